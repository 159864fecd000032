// SPDX-License-Identifier: MIT
//
// The supervisor sleeps in epoll, which knows no futex words; so a thread of
// its own sleeps on all life words at once and on a word that says that the
// list has changed. It looks at the words under the lock only: a word that is
// forgotten may be unmapped at once.
#include <stddef.h>

#include "base/fresh.h"
#include "os/futex.h"
#include "os/launch.h"
#include "os/life.h"
#include "os/thread.h"
#include "process/supervisor.h"
#include "process/life.h"

static struct wi_mutex lock;
static struct wi_lifeline *list;           // under lock
static unsigned count;                     // under lock
static uint32_t changed;                   // futex word
static enum { OFF, RUNNING, NEVER } state; // under lock

// Gathers the words to sleep on; tells of those that are gone.
static unsigned gather(struct wi_life *lives)
{
    unsigned n = 0;
    wi_mutex_lock(&lock);
    for (struct wi_lifeline *s = list; s != NULL; s = s->next) {
        // acquire: pairs with the holder's release
        uint32_t value = __atomic_load_n(s->word, __ATOMIC_ACQUIRE);
        if (s->gone)
            continue;
        if (!wi_os_life_gone(value)) {
            lives[n++] = (struct wi_life){s->word, value};
            continue;
        }
        // release: pairs with the supervisor's acquire
        __atomic_store_n(&s->gone, true, __ATOMIC_RELEASE);
        wi_supervisor_post(s->errand);
    }
    wi_mutex_unlock(&lock);
    return n;
}

static void run(void *arg)
{
    (void)arg;
    wi_os_block_signals(false);
    int rc = 0;
    while (rc == 0) {
        struct wi_life lives[WI_LIFE_MAX];
        // acquire: before the list is read; pairs with touch
        uint32_t now = __atomic_load_n(&changed, __ATOMIC_ACQUIRE);
        unsigned n = gather(lives);
        rc = wi_os_life_wait(&changed, now, lives, n);
    }
    wi_mutex_lock(&lock);
    state = NEVER;
    wi_mutex_unlock(&lock);
}

static void touch(void)
{
    // release: the list has changed; pairs with the acquire in run
    __atomic_fetch_add(&changed, 1, __ATOMIC_RELEASE);
    wi_os_futex_wake(&changed, 1, false);
}

static void start(void)
{
    const struct wi_os_thread_options options = {
        .name = "weft-lives", .service = true, .stack_size = 64 << 10};
    struct wi_os_thread thread;
    if (wi_os_thread_start(&thread, run, NULL, &options) < 0)
        return;
    wi_os_thread_detach(&thread);
    state = RUNNING;
}

void wi_life_watch(struct wi_lifeline *s)
{
    wi_mutex_lock(&lock);
    if (state == OFF)
        start();
    bool add = state == RUNNING && count < WI_LIFE_MAX;
    if (add) {
        s->gone = false;
        s->listed = true;
        s->next = list;
        list = s;
        count++;
    }
    wi_mutex_unlock(&lock);
    if (add)
        touch();
}

void wi_life_forget(struct wi_lifeline *s)
{
    wi_mutex_lock(&lock);
    if (s->listed) {
        struct wi_lifeline **link = &list;
        while (*link != s)
            link = &(*link)->next;
        *link = s->next;
        s->listed = false;
        count--;
    }
    wi_mutex_unlock(&lock);
    touch();
}

static void fresh(void)
{
    lock = (struct wi_mutex){0};
    list = NULL;
    count = 0;
    state = OFF;
}

__attribute__((constructor)) static void register_fresh(void)
{
    wi_fresh_add(fresh);
}
