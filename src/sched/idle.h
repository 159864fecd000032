// SPDX-License-Identifier: MIT
//
// idle.h: what comes to a worker from others, how it sleeps when there is
// nothing, and how it is woken.
#ifndef WI_SCHED_IDLE_H
#define WI_SCHED_IDLE_H

#include "arch/arch.h"
#include "base/cold.h"
#include "sched/worker.h"

// Sends t to its owner's inbox, from any thread or a signal handler.
void wi_mail(struct wi_task *t);

// Ends the inbox; what is still in it goes on to where its records live now.
void wi_inbox_close(struct wi_worker *worker);

// Takes in the inbox; returns whether something became ready.
bool wi_inbox_drain(struct wi_worker *worker);

// Looks at everything that can make something ready without sleeping: inbox,
// timers, file descriptors.
void wi_worker_look_around(struct wi_worker *worker);

// Sleeps until something may have happened. May return at once.
void wi_worker_idle(struct wi_worker *worker);

// Makes worker leave its sleep, or not begin it; whether it slept.
bool wi_worker_wake(struct wi_worker *worker);

// The worker has found work, or looks no more: then it must look once more
// after this, and before it sleeps.
void wi_worker_end_search(struct wi_worker *worker);

// The worker's loop of file descriptors, opened at the first call: NULL with
// *rc == 0 in a plain thread, NULL with *rc < 0 if it cannot be opened.
struct wi_loop *wi_loop_here(int *rc);

// Words of the idle mask that are in use.
static inline unsigned wi_runtime_mask_words(const struct wi_runtime *runtime)
{
    return (wi_runtime_live(runtime) + 63) / 64;
}

// Whether a bit is set in any word of the idle mask; few runtimes have more
// than the first. For a late caller the runtime may be another one by now.
static inline bool wi_runtime_has_idle(const struct wi_runtime *runtime)
{
    uint64_t any = __atomic_load_n(&runtime->idle[0], __ATOMIC_RELAXED);
    unsigned words = wi_runtime_mask_words(runtime);
    for (unsigned i = 1; WI_RARELY(i < words); i++)
        any |= __atomic_load_n(&runtime->idle[i], __ATOMIC_RELAXED);
    return any != 0;
}

// There is work for any worker: wakes one that is idle, unless one looks for
// work already. After the work was published, with a full barrier between.
void wi_runtime_wake_idle(struct wi_runtime *runtime);
static inline void wi_runtime_wake_one(struct wi_runtime *runtime)
{
    if (WI_RARELY(wi_runtime_has_idle(runtime)))
        wi_runtime_wake_idle(runtime);
}

// The worker has queued something that others may take: whether one of them
// may sleep, and has to be woken.
static inline bool wi_worker_may_wake(const struct wi_worker *worker)
{
    // relaxed, and only the compiler is held: pairs with the barrier in
    // add_worker. As long as that has not come, nobody else could be woken.
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    if (__atomic_load_n(&worker->runtime->alone, __ATOMIC_RELAXED))
        return false;
    wi_arch_fence(); // the work before the idle mask; pairs with announce
    return WI_RARELY(wi_runtime_has_idle(worker->runtime));
}

#endif
