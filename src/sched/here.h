// SPDX-License-Identifier: MIT
//
// here.h: what the calling thread is to Weft. One thread-local structure with
// the initial-exec model, so that reaching it costs one instruction. Its
// address is that of this thread until the next park: a job that roams
// (roam.c) may come out of one on another thread.
#ifndef WI_SCHED_HERE_H
#define WI_SCHED_HERE_H

#include <stdbool.h>
#include <stdint.h>

#include "arch/arch.h"

struct wi_task;
struct wi_canceling;
struct wi_locals;
struct wi_worker;

struct wi_this_thread {
    struct wi_worker *worker; // NULL in a plain thread
    struct wi_task *self;     // the running record; in the scheduler the one
                              // that ran last, or NULL, as in a plain thread
                              // that has none yet
    struct wi_task *free;     // records to reuse, linked by `next`
    uint32_t free_count;
    uint32_t keeps;   // its end gives `free` back: records.c. Else it has none,
                      // and the count is as if it had the most
    uint64_t next_id; // ids next_id .. end_id - 1 are this thread's
    uint64_t end_id;
    struct wi_task *thread; // this thread's own record, if it has one
    struct wi_canceling
        *canceling; // cancel functions that run here: external.c
    // Around each sleep of a plain thread: a pool lends its place (NULL: none).
    void (*sleeping)(bool begins);
    // The same around the sleep of a worker that this thread is, when all its
    // tasks wait. polls: some of them for descriptors.
    void (*idling)(bool begins, bool polls);
    void *pool;               // whose thread this is, for `sleeping`
    struct wi_locals *locals; // values of the thread: future/local.c
    int64_t fresh;            // the last deadline that was made from now, when
                              // it lay ahead: park.c
    uint32_t random;          // of weft_select: where it begins to look
    int refused;              // set by `sleeping`: the code that ends this wait
    int wake_fd;              // eventfd for wi_park_poll, plus one; 0: none yet
    unsigned ending; // records whose end calls the program's code just now
} __attribute__((aligned(16))); // its address has marks in `owner`: task.h

extern __thread struct wi_this_thread wi_here_storage
    __attribute__((tls_model("initial-exec"), visibility("hidden")));
#define wi_here (*WI_ARCH_LOCAL(wi_here_storage))

// In a worker: the watchdog looks at it from its own thread.
static inline void wi_here_set_self(struct wi_task *t)
{
    // relaxed: what it finds there it checks by the record's owner (culprit.c)
    __atomic_store_n(&wi_here.self, t, __ATOMIC_RELAXED);
}

#endif
