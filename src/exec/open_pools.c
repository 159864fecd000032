// SPDX-License-Identifier: MIT
//
// The look at exit comes after all that the program does there, the joins of
// its threads among it, since it is registered before main: a thread may still
// have waited for a job.
#include "exec/open_pools.h"

#include <stdbool.h>
#include <stdio.h>

#include <weft/error.h>

#include "base/fresh.h"
#include "base/text.h"
#include "future/external.h"
#include "os/clock.h"
#include "os/fork.h"
#include "os/thread.h"

// ns: for a lock, and for a job that has given its result to be counted.
enum { PATIENCE = 1000000000, GRACE = 5000000 };

static struct wi_mutex lock;
static struct wi_open_pool *pools; // under it

void wi_open_pools_add(struct wi_open_pool *pool, weft_executor *executor,
                       const char *name,
                       size_t (*jobs)(weft_executor *executor))
{
    pool->executor = executor;
    pool->jobs = jobs;
    wi_text_copy(pool->name, sizeof pool->name, name);
    wi_mutex_lock(&lock);
    pool->next = pools;
    pools = pool;
    wi_mutex_unlock(&lock);
}

void wi_open_pools_remove(weft_executor *executor)
{
    wi_mutex_lock(&lock);
    struct wi_open_pool **link = &pools;
    while (*link != NULL && (*link)->executor != executor)
        link = &(*link)->next;
    if (*link != NULL)
        *link = (*link)->next;
    wi_mutex_unlock(&lock);
}

// This very thread might have it, if exit was called where it should not be:
// gives up after a while.
static bool try_lock(struct wi_mutex *mutex)
{
    bool got;
    for (int64_t end = wi_os_now() + PATIENCE;
         !(got = wi_mutex_try(mutex)) && wi_os_now() < end;)
        wi_os_thread_yield();
    return got;
}

size_t wi_open_pools_read(struct wi_mutex *mutex, const size_t *number)
{
    if (!try_lock(mutex))
        return 0;
    size_t n = *number;
    wi_mutex_unlock(mutex);
    return n;
}

static void tell(const char *name, size_t jobs)
{
    char text[128];
    snprintf(text, sizeof text,
             "%zu job%s of pool \"%s\", which was not closed, %s lost: call "
             "weft_executor_close()",
             jobs, jobs == 1 ? "" : "s", name, jobs == 1 ? "is" : "are");
    wi_future_unobserved(-WEFT_EJOBCANCELED, "exit", text);
}

// Under the lock.
static size_t count(const struct wi_open_pool *pool)
{
    int64_t end = wi_os_now() + GRACE;
    size_t jobs;
    while ((jobs = pool->jobs(pool->executor)) > 0 && wi_os_now() < end)
        wi_os_thread_yield();
    return jobs;
}

// Who is told may close pools: no lock is held.
static void tell_all(void)
{
    struct wi_open_pool *pool;
    while (!wi_forked() && try_lock(&lock)) {
        char name[sizeof pool->name] = "";
        size_t jobs = 0;
        pool = pools;
        if (pool != NULL) {
            pools = pool->next;
            jobs = count(pool);
            wi_text_copy(name, sizeof name, pool->name);
        }
        wi_mutex_unlock(&lock);
        if (pool == NULL)
            break;
        if (jobs > 0)
            tell(name, jobs);
    }
}

// In a child of fork: they are the parent's.
static void forget_all(void)
{
    lock = (struct wi_mutex){0};
    pools = NULL;
}

__attribute__((constructor)) static void watch(void)
{
    wi_fresh_add(forget_all);
    wi_os_at_exit(tell_all);
}
