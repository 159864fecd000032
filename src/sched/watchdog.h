// SPDX-License-Identifier: MIT
//
// watchdog.h: notices workers that are blocked in the kernel by what they run,
// says so once for each function, and has spare workers take what they cannot
// get at. WEFT_WATCHDOG=0 in the environment does without. Also tasks that keep
// their worker to themselves, if that is wanted.
#ifndef WI_SCHED_WATCHDOG_H
#define WI_SCHED_WATCHDOG_H

#include <stdbool.h>
#include <stdint.h>

struct wi_runtime;
struct wi_worker;

// Watches a runtime from now on; until remove returns, which may be called for
// one that is not watched. Neither by two threads for one runtime.
void wi_watchdog_add(struct wi_runtime *runtime);
void wi_watchdog_remove(struct wi_runtime *runtime);

// Makes it a runtime of `count` workers: those beyond are spares, and rest when
// they have ended what they have begun. 0, or a negative code: then it has as
// many as before.
int wi_watchdog_resize(struct wi_runtime *runtime, unsigned count);

// The calling thread is the worker's, from now on; until it leaves.
void wi_watchdog_enter(struct wi_worker *worker);
void wi_watchdog_leave(struct wi_worker *worker);

// Seconds as the `stall` of a runtime; 0 or less: 0.
int64_t wi_watchdog_limit(double seconds);

// The caller's task will block its worker, the caller's own: a spare takes what
// has not started, now and not after a look, and nobody is named; until the
// end, which is false if there was no beginning. They nest.
void wi_watchdog_region_begin(struct wi_worker *worker);
bool wi_watchdog_region_end(struct wi_worker *worker);

extern uint32_t wi_watchdog_asleep;
void wi_watchdog_wake(void);

// A worker has left its sleep: then the watchdog must not sleep either.
static inline void wi_watchdog_poke(void)
{
    // seq_cst: after the worker's sleep word; pairs with doze in watchdog.c
    if (__atomic_load_n(&wi_watchdog_asleep, __ATOMIC_SEQ_CST) != 0)
        wi_watchdog_wake();
}

#endif
