// SPDX-License-Identifier: MIT
//
// order.h: the checking of lock order, which WEFT_LOCKORDER turns on. Who
// acquires B while it holds A says that A comes before B; if somebody has said
// the opposite before, perhaps over other locks, both are reported, though
// neither has waited for the other yet.
#ifndef WI_SYNC_ORDER_H
#define WI_SYNC_ORDER_H

#include <stdbool.h>
#include <stdint.h>

struct wi_task;

// 0, or all ones while order is checked; constant once the program has begun.
// A fast path that compares the caller's record with it, in place of NULL, is
// not taken then, and costs nothing more otherwise.
extern uintptr_t wi_order_floor __attribute__((visibility("hidden")));

static inline bool wi_order_on(void)
{
    return __builtin_expect(wi_order_floor != 0, false);
}

// All of these only while it is on. `site` is the place in the program.

// The caller is going to acquire the lock, and will wait if need be.
void wi_order_want(struct wi_task *self, const void *lock, const void *site);

// It has it; it gives it back.
void wi_order_hold(struct wi_task *self, const void *lock, const void *site);
void wi_order_leave(struct wi_task *self, const void *lock);

// The lock has this name in reports (NULL: none), or is no more.
void wi_order_name(const void *lock, const char *name);
void wi_order_forget(const void *lock);

#endif
