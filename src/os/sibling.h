// SPDX-License-Identifier: MIT
//
// sibling.h: copies of a process that has one thread. A copy is not its child
// but its sibling: the child of its parent.
#ifndef WI_OS_SIBLING_H
#define WI_OS_SIBLING_H

#include <stdint.h>
#include <sys/types.h>

// Learns what is needed of this process; once, before the first copy. 0,
// -ENOTSUP: this libc, kernel or tool cannot do it.
int wi_os_sibling_prepare(void);

// Makes a copy. In the copy returns 0; here its process id or a negative code,
// and *pidfd is its pidfd, or -1 on kernels and in containers without clone3.
// *born, which may lie in shared memory, holds the id before the copy runs, and
// also if this process is killed at any instant: while it is 0 there is no
// copy, and when this process has ended there will be none. Handlers of
// pthread_atfork do not run.
pid_t wi_os_sibling(uint32_t *born, int *pidfd);

#endif
