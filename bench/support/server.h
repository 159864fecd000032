// SPDX-License-Identifier: MIT
// server.h: what a question needs that runs a server in a process of its own.
#ifndef BENCH_SERVER_H
#define BENCH_SERVER_H

#include <sys/types.h>

#include "bench.h"

// The calling thread, and those it starts, on the n-th CPU, modulo how many
// there are; where that is not allowed: anywhere.
void bench_pin_to(int n);

// Nanoseconds of CPU time of another process.
double bench_cpu_of(pid_t pid);

// Whether the kernel, or who runs the machine, allows io_uring.
bool bench_have_uring(void);

#endif
