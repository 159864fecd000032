// SPDX-License-Identifier: MIT
//
// worker.h: a worker process, as its own files see it.
#ifndef WI_PROCESS_WORKER_H
#define WI_PROCESS_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "os/futex.h"
#include "process/carry.h"

struct wi_worker_self {
    struct wi_boot *boot;
    struct wi_ring *ring;
    uint32_t next;          // the main thread's: the slot that comes next
    uint16_t ticket;        // the main thread's: of the job on top
    unsigned depth;         // the main thread's: jobs on its stack
    struct wi_task *record; // of the main thread
    // The main thread's: of the job on top, if it may have a tray.
    const struct wi_job_frame *frame;
    struct wi_mutex tell; // for what follows: any thread may speak
    uint32_t frames;      // written
};
extern struct wi_worker_self wi_worker_self;

// Runs the next request if there is one. on_top: if it is meant to be run on
// top of a wait. Main thread only.
bool wi_worker_run_one(bool on_top);

// Writes a frame: `size` bytes at `bytes` go with it. Any thread; may sleep
// until there is a free place.
int wi_worker_tell(struct wi_frame *frame, const void *bytes, uint64_t size,
                   uint64_t window);

// remote.c: futures of the parent in this process.
void wi_remote_start(void);
void wi_remote_go_on(void); // a job has ended: it does not wait any more

#endif
