// SPDX-License-Identifier: MIT
//
// Only one job runs on a worker from the end of one wait to the beginning of
// the next, so what changes meanwhile in the thread-local variables is its
// doing. Reading them shows in nothing, but what is only read is the same in
// all threads, mostly.
#include "sched/roam_check.h"

#include <stdlib.h>
#include <string.h>

#include "base/fresh.h"
#include "os/environment.h"
#include "os/report.h"
#include "os/thread_image.h"
#include "sched/worker.h"

enum { MAX_TOLD = 64 };

static struct wi_mutex lock;
static const struct weft_job *told[MAX_TOLD]; // under the lock
static unsigned told_count;

static void fresh(void)
{
    lock = (struct wi_mutex){0};
}

__attribute__((constructor)) static void register_fresh(void)
{
    wi_fresh_add(fresh);
}

bool wi_roam_check_wanted(void)
{
    static int known; // 0 unknown, 1 yes, 2 no; races write the same value
    int value = __atomic_load_n(&known, __ATOMIC_RELAXED);
    if (value == 0) {
        const char *text = wi_os_environment("WEFT_MIGRATE");
        value = text != NULL && strcmp(text, "check") == 0 ? 1 : 2;
        __atomic_store_n(&known, value, __ATOMIC_RELAXED);
    }
    return value == 1;
}

static bool is_new(const struct weft_job *job)
{
    bool new = true;
    wi_mutex_lock(&lock);
    for (unsigned i = 0; i < told_count; i++)
        new &= told[i] != job;
    if (new &&told_count < MAX_TOLD)
        told[told_count++] = job;
    wi_mutex_unlock(&lock);
    return new;
}

void wi_roam_check_goes_on(struct wi_worker *worker)
{
    worker->image =
        wi_os_thread_image_take(worker->image, &wi_here, sizeof wi_here);
}

void wi_roam_check_waits(struct wi_worker *worker, const struct wi_task *t)
{
    struct wi_os_thread_change change;
    if (worker->image == NULL ||
        !wi_os_thread_image_changed(worker->image, &change) || !is_new(t->job))
        return;
    wi_report("job \"%s\" (id %llu) has written a thread-local variable of %s "
              "(at offset %#zx) and waits now: with .migrate it may go on on "
              "another thread, which has another value there",
              t->job->name, (unsigned long long)t->id, change.module,
              change.offset);
}
