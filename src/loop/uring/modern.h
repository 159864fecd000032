// SPDX-License-Identifier: MIT
#ifndef WI_LOOP_URING_MODERN_H
#define WI_LOOP_URING_MODERN_H

#include <stdbool.h>

struct wi_loop;

// Whether the ring has what makes it better than epoll: multishot operations
// and provided buffers, which came with Linux 5.19.
bool wi_uring_modern(const struct wi_loop *loop);

#endif
