// SPDX-License-Identifier: MIT
//
// cpu.h: how many CPUs this process may use.
#ifndef WI_OS_CPU_H
#define WI_OS_CPU_H

#include <stdbool.h>

// Affinity and every cgroup quota above this process, rounded up, at least 1;
// WEFT_NPROC overrides.
unsigned wi_os_cpu_budget(void);

// Whether a thread that spins could keep another one off the CPU: one CPU, or
// a CPU quota is in force.
bool wi_os_cpu_scarce(void);

#endif
