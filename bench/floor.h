// SPDX-License-Identifier: MIT
// floor.h: switching as cheaply as it can be: `param[0]` contexts in a ring,
// each of which goes straight to the next. No scheduler, no queue.
#ifndef BENCH_FLOOR_H
#define BENCH_FLOOR_H

#include "support/bench.h"

bench_fn floor_call;     // a call through a pointer, on one stack
bench_fn floor_fcontext; // Boost.Context's switch
bench_fn floor_ucontext; // libc's switch: two system calls for the signal mask

// A call that the compiler does not see through.
uint64_t floor_opaque(uint64_t n);

#endif
