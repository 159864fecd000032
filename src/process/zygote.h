// SPDX-License-Identifier: MIT
//
// zygote.h: processes that wait to be copied.
#ifndef WI_PROCESS_ZYGOTE_H
#define WI_PROCESS_ZYGOTE_H

#include <stdbool.h>
#include <stdint.h>

#include "process/launcher.h"
#include "process/name.h"

struct wi_zygote;

// The zygote of a program (NULL: this one) and a preload function (size 0:
// none). It is there for good, and is started when it is needed. 0 or -ENOMEM.
int wi_zygote_of(const char *program, const struct wi_name *preload,
                 struct wi_zygote **zygote);

// Has launch->zygote make a child, now or when it can; launch->done tells.
// false: it cannot, and the child must be executed. Without a lock.
bool wi_zygote_take(struct wi_launch *launch);

// It has not answered for long, and somebody can wait no longer: it may be
// stopped, or stuck in its preload function. It is killed, and replaced as one
// that has died. Below the pools' locks.
void wi_zygote_give_up(struct wi_zygote *zygote);

// What parent and zygote say to each other; descriptors travel with an order.
struct wi_zygote_order {
    uint32_t group;
    uint32_t fd_count;
    int8_t stdio[3];           // index among those that travel, or
                               // WI_LAUNCH_SAME, WI_LAUNCH_NULL
    int8_t fds[WI_LAUNCH_FDS]; // the same; -1: none
};

struct wi_zygote_reply {
    uint32_t hello; // it is ready: the first thing that it says
    int32_t rc; // the new process, or a negative code; its pidfd comes along
};

#endif
