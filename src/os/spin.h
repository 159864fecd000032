// SPDX-License-Identifier: MIT
//
// spin.h: waiting a little before sleeping. Worth while if what is waited for
// comes within the time that a sleep and a wake cost; so the time is halved
// after each try in vain, and grows with each success. After the first few
// microseconds the CPU is offered to others at each look: what is waited for
// may need it.
#ifndef WI_OS_SPIN_H
#define WI_OS_SPIN_H

#include <stdbool.h>
#include <stdint.h>

#include "arch/arch.h"
#include "os/clock.h"
#include "os/thread.h"

enum {
    WI_SPIN_LEAST = 2000, // ns
    WI_SPIN_ALONE = 1000, // for so long without offering the CPU
    WI_SPIN_MOST = 60000,
    WI_SPIN_LOOKS = 16,     // between two looks at the clock
    WI_SPIN_CROWD = 500000, // a yield that takes so long: the CPUs are not free
    WI_SPIN_REST = 256,     // so often there is no spinning then
};

// The time that a kind of spinning is worth; written by any thread, for it is
// a guess: so relaxed is enough for all that is done with it.
struct wi_spin {
    uint32_t budget;
    uint32_t rest; // waits that shall not spin
};

static inline uint32_t wi_spin_budget(const struct wi_spin *spin)
{
    uint32_t budget = __atomic_load_n(&spin->budget, __ATOMIC_RELAXED);
    return budget == 0 ? WI_SPIN_MOST : budget;
}

static inline void wi_spin_learn(struct wi_spin *spin, bool success)
{
    uint32_t budget = wi_spin_budget(spin);
    budget = success ? budget + budget / 4 : budget / 2;
    if (budget < WI_SPIN_LEAST)
        budget = WI_SPIN_LEAST;
    if (budget > WI_SPIN_MOST)
        budget = WI_SPIN_MOST;
    __atomic_store_n(&spin->budget, budget, __ATOMIC_RELAXED);
}

// Offers the CPU. Who gets it back only after a time slice of somebody else
// must not do that at each wait: then sleeping is cheaper, for the kernel runs
// who is woken before who has yielded.
static inline int64_t wi_spin_yield(struct wi_spin *spin)
{
    int64_t begin = wi_os_now();
    wi_os_thread_yield();
    int64_t now = wi_os_now();
    if (now - begin > WI_SPIN_CROWD)
        __atomic_store_n(&spin->rest, WI_SPIN_REST, __ATOMIC_RELAXED);
    return now;
}

static inline bool wi_spin_rests(struct wi_spin *spin)
{
    uint32_t rest = __atomic_load_n(&spin->rest, __ATOMIC_RELAXED);
    if (rest > 0)
        __atomic_store_n(&spin->rest, rest - 1, __ATOMIC_RELAXED);
    return rest > 0;
}

// Calls look(arg) until it says true, or the time is up: then false.
static inline bool wi_spin(struct wi_spin *spin, bool (*look)(void *arg),
                           void *arg)
{
    int64_t begin = wi_os_now(), now = begin;
    bool found = look(arg);
    if (wi_spin_rests(spin))
        return found;
    while (!found && now - begin < wi_spin_budget(spin)) {
        for (int i = 0; i < WI_SPIN_LOOKS && !found; i++) {
            wi_arch_relax();
            found = look(arg);
        }
        now = now - begin > WI_SPIN_ALONE && !found ? wi_spin_yield(spin)
                                                    : wi_os_now();
    }
    wi_spin_learn(spin, found);
    return found;
}

#endif
