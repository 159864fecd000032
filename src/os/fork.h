// SPDX-License-Identifier: MIT
#ifndef WI_OS_FORK_H
#define WI_OS_FORK_H

// Calls fn in the child after each fork() of this process.
void wi_os_at_fork(void (*fn)(void));

// Calls fn when the program exits, after what was registered later.
void wi_os_at_exit(void (*fn)(void));

// Calls these functions, for a process that will leave without exit().
void wi_os_run_at_exit(void);

#endif
