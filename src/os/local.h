// SPDX-License-Identifier: MIT
//
// local.h: sockets between processes of one machine, and descriptors that
// travel through them. A name is abstract: it lies in no folder, and is gone
// with the socket.
#ifndef WI_OS_LOCAL_H
#define WI_OS_LOCAL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

enum { WI_LOCAL_NAME = 100 }; // bytes of a name, with its NUL

// A socket that listens at a name, or one connected to it; both non-blocking,
// close-on-exec, and for whole messages (SOCK_SEQPACKET). Negative codes:
// -EADDRINUSE; -ECONNREFUSED (there is no such name).
int wi_os_local_listen(const char *name);
int wi_os_local_connect(const char *name);
int wi_os_local_accept(int fd); // -EAGAIN: nobody is there

// Nobody can connect to a listening socket any more, and who has connected and
// was not accepted sees the end.
void wi_os_local_refuse(int fd);

// The same with a path, in a folder that is this user's alone (else -EACCES).
// Listening makes the folder if it is not there, and replaces a socket that
// nobody listens on.
int wi_os_local_listen_at(const char *path);
int wi_os_local_connect_at(const char *path);
void wi_os_local_unlink(const char *path);

int wi_os_local_pair(int fds[2]);
bool wi_os_local_is_one(int fd); // whether fd is such a socket, connected

// Whether the process on the other side runs as the same user.
bool wi_os_local_same_user(int fd);

// Sends a descriptor in a message of one byte; receives one. Never blocks.
int wi_os_local_give(int fd, int sent);
int wi_os_local_take(int fd); // -EAGAIN: not yet; -ECONNRESET: never

unsigned wi_os_user(void); // the id of the user that this process acts for

// The other side's process, user and group.
int wi_os_local_peer(int fd, pid_t *pid, uid_t *uid, gid_t *gid);

// Descriptors that travel with a message.
enum { WI_LOCAL_FDS = 40 };
struct wi_local_fds {
    int fd[WI_LOCAL_FDS];
    unsigned n;
};

// Sends one message of n parts; never blocks. 0, -EAGAIN, -EPIPE, ...
int wi_os_local_send(int fd, struct iovec *parts, int n,
                     const struct wi_local_fds *fds);

// Receives one. Its length (0: the end), -EAGAIN, -EMSGSIZE (it was longer than
// all parts, or had more descriptors than can be: it is gone), ...
ssize_t wi_os_local_receive(int fd, struct iovec *parts, int n,
                            struct wi_local_fds *fds);

#endif
