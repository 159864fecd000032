// SPDX-License-Identifier: MIT
//
// life.h: the life word: a word in shared memory by which one process learns
// at once that another one has died. The kernel marks it before it takes the
// dead process's memory apart, which for a large process is 100 ms earlier
// than its pidfd tells.
#ifndef WI_OS_LIFE_H
#define WI_OS_LIFE_H

#include <stdbool.h>
#include <stdint.h>

enum { WI_LIFE_SIZE = 64, WI_LIFE_MAX = 127 };

// The calling thread holds the life area (zeroed shared memory, WI_LIFE_SIZE
// bytes, aligned to 16) until it ends. Returns the offset of the word in the
// area, or a negative code.
int wi_os_life_hold(void *area);

// The thread that holds the area gives it back: its word is 0 then.
void wi_os_life_release(void *area);

// Whether the value of a life word says that its holder is dead.
bool wi_os_life_gone(uint32_t value);

// A life word and the value that it had.
struct wi_life {
    uint32_t *word;
    uint32_t value;
};

// Sleeps until *control (private) is no longer `value`, or one of n life words
// (shared, n <= WI_LIFE_MAX) has changed or is not mapped any more. Returns 0,
// or -ENOSYS before Linux 5.16.
int wi_os_life_wait(uint32_t *control, uint32_t value,
                    const struct wi_life *lives, unsigned n);

// Sleeps while *own (private) == own_value and each of n shared words is 1, at
// most until deadline (monotonic ns). 0, -ETIMEDOUT, or -ENOSYS before 5.16.
int wi_os_futex_wait_any(uint32_t *own, uint32_t own_value,
                         uint32_t *const *words, unsigned n, int64_t deadline);

struct wi_futex_wait {
    uint32_t *word;
    uint32_t value;
    bool shared; // it lies in memory that several processes map
};

// Sleeps while every one of n <= WI_LIFE_MAX + 1 words has its value, at most
// until deadline (monotonic ns, WI_FOREVER for none). May return for no reason.
// 0, -ETIMEDOUT, or -ENOSYS before 5.16.
int wi_os_futex_wait_many(const struct wi_futex_wait *words, unsigned n,
                          int64_t deadline);

#endif
