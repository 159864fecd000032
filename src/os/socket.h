// SPDX-License-Identifier: MIT
//
// socket.h: making sockets and asking about them. Nothing here waits. All
// return 0 or more, or a negative code; descriptors are close-on-exec and do
// not block.
#ifndef WI_OS_SOCKET_H
#define WI_OS_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

int wi_os_socket(int family, int type);
int wi_os_bind(int fd, const struct sockaddr *addr, socklen_t len);
int wi_os_listen(int fd, int backlog);
int wi_os_shutdown_write(int fd);
int wi_os_local_address(int fd, struct sockaddr *addr, socklen_t *len);
int wi_os_peer_address(int fd, struct sockaddr *addr, socklen_t *len);
int wi_os_set_option(int fd, int level, int name, int value);
int wi_os_get_option(int fd, int level, int name);

// Closing fd is to reset the connection.
int wi_os_linger_never(int fd);

// From now on fd does not block.
int wi_os_set_nonblocking(int fd);

// What kind of thing fd is: "tcp", "unix", "udp", "socket", "pipe", "tty",
// "file" or "device"; NULL if it is not open.
const char *wi_os_fd_kind(int fd);

// Whether fd is open for writing alone.
bool wi_os_is_write_only(int fd);

#endif
