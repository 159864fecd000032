// SPDX-License-Identifier: MIT
//
// held.h: a lock whose holder waits for somebody who wants it. The holder may
// not leave, for the other one has its memory, and so the other one is told.
#ifndef WEFT_TEST_HELD_H
#define WEFT_TEST_HELD_H

#include "kit.h"

struct held {
    struct weft_lock lock;
    int began, ended, code;
};

// A weft_function: what it is told is its code, and in arg.
static inline int want_what_is_held(void *arg)
{
    struct held *h = arg;
    kit_count(&h->began);
    h->code = weft_lock_acquire(&h->lock);
    if (h->code == 0)
        weft_lock_release(&h->lock);
    kit_count(&h->ended);
    return h->code;
}

#endif
