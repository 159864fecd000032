// SPDX-License-Identifier: MIT
//
// local.h: sockets between processes of one machine, and descriptors that
// travel through them. A name is abstract: it lies in no folder, and is gone
// with the socket.
#ifndef WI_OS_LOCAL_H
#define WI_OS_LOCAL_H

#include <stdbool.h>
#include <stddef.h>

enum { WI_LOCAL_NAME = 100 }; // bytes of a name, with its NUL

// A socket that listens at a name, or one connected to it; both non-blocking,
// close-on-exec, and for whole messages (SOCK_SEQPACKET). Negative codes:
// -EADDRINUSE; -ECONNREFUSED (there is no such name).
int wi_os_local_listen(const char *name);
int wi_os_local_connect(const char *name);
int wi_os_local_accept(int fd); // -EAGAIN: nobody is there

// Whether the process on the other side runs as the same user.
bool wi_os_local_same_user(int fd);

// Sends a descriptor in a message of one byte; receives one. Never blocks.
int wi_os_local_give(int fd, int sent);
int wi_os_local_take(int fd); // -EAGAIN: not yet; -ECONNRESET: never

unsigned wi_os_user(void);

#endif
