// SPDX-License-Identifier: MIT
//
// cpu.h: how many CPUs this process may use, and which one runs the caller.
#ifndef WI_OS_CPU_H
#define WI_OS_CPU_H

#include <stdbool.h>

// Affinity and every cgroup quota above this process, rounded up, at least 1;
// WEFT_NPROC overrides.
unsigned wi_os_cpu_budget(void);

// Whether a thread that spins could keep another one off the CPU: one CPU, or
// a CPU quota is in force.
bool wi_os_cpu_scarce(void);

// The number of the CPU that the caller runs on, a moment ago; -1: unknown.
int wi_os_cpu_here(void);

#endif
