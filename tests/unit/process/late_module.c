// SPDX-License-Identifier: MIT
// A module that crash_test loads when its process runs already.
int late_fault(volatile int *at);

int late_fault(volatile int *at)
{
    *at = 1;
    return *at + 1;
}
