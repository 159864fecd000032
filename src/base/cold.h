// SPDX-License-Identifier: MIT
//
// cold.h: keeps the rare half of a function out of its frequent half, which
// then needs neither a frame nor saved registers.
#ifndef WI_BASE_COLD_H
#define WI_BASE_COLD_H

#define WI_COLD         __attribute__((cold, noinline))
#define WI_MERGED       inline __attribute__((always_inline))
#define WI_LIKELY(test) __builtin_expect(!!(test), 1)
#define WI_RARELY(test) __builtin_expect(!!(test), 0)

#endif
