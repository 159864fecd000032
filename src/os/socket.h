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

// How many connections wait at a TCP listener to be accepted; 0 if unknown.
unsigned wi_os_pending(int listener);

// Closing fd is to reset the connection.
int wi_os_linger_never(int fd);

// From now on fd does not block.
int wi_os_set_nonblocking(int fd);

// What kind of thing fd is: "tcp", "unix", "udp", "socket", "pipe", "tty",
// "file" or "device"; NULL if it is not open.
const char *wi_os_fd_kind(int fd);

// Whether fd is open for writing alone.
bool wi_os_is_write_only(int fd);

// An address from numbers; -EINVAL for anything else.
int wi_os_parse_address(const char *host, uint16_t port,
                        struct sockaddr_storage *to, socklen_t *len);
// The host of an internet address in numbers; one of IPv4 within IPv6 as such.
void wi_os_address_host(const struct sockaddr_storage *addr, char *text,
                        size_t size);
uint16_t wi_os_port(const struct sockaddr_storage *addr);
void wi_os_set_port(struct sockaddr_storage *addr, uint16_t port);

// Begins to connect a socket that does not block: 0, -EINPROGRESS or an error.
int wi_os_connect_begin(int fd, const struct sockaddr *addr, socklen_t len);
// What came of it: 0, -EINPROGRESS while it is under way, or an error.
int wi_os_connect_result(int fd);

// The permissions that the file of a Unix socket will have; before bind.
int wi_os_set_mode(int fd, unsigned mode);

// Which socket a path stands for; -ENOTSOCK for another kind of file.
struct wi_os_identity {
    uint64_t device, number;
};
int wi_os_path_identity(const char *path, struct wi_os_identity *identity);
int wi_os_unlink(const char *path);

#endif
