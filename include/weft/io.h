// SPDX-License-Identifier: MIT
//
// io.h: file descriptors. A task that waits for one parks, on io_uring or
// epoll; a plain thread sleeps in the kernel. File descriptors stay plain
// ints, and may be used with or without Weft, with one rule: a descriptor that
// has been given to these calls is closed with weft_close, so that no event of
// the old file reaches the next one with the same number.
// None that Weft opens for itself has the number 0, 1 or 2, also where the
// program has closed those.
//
// A call that need not wait returns at once; but a task that has made many in a
// row lets the others run first, so that one whose peer is quick does not keep
// its thread for itself.
//
// Reading ahead. On io_uring, Weft takes from the kernel what will be asked
// for: connections of a listener from the first weft_accept on, and the bytes
// of a stream socket that weft_accept or weft_connect has made, once
// weft_read has read it a few times. Other programs' calls (accept(2), read(2),
// a library that is given the descriptor, a child process) do not see what was
// taken. So use Weft's calls for such a descriptor, from any thread or task;
// or call weft_fd_wait on it before the first weft_read or weft_accept: then
// it is never read ahead. All other descriptors never are.
#ifndef WEFT_IO_H
#define WEFT_IO_H

#include <weft/base.h>

#include <sys/socket.h>
#include <sys/uio.h>

// What to wait for, as in poll(2).
enum weft_fd_event {
    WEFT_READABLE = 0x001,
    WEFT_WRITABLE = 0x004,
    WEFT_HANGUP = 0x010, // only an answer, never asked for
    WEFT_FAULT = 0x008,  // only an answer
};

WEFT_BEGIN

// Waits until fd is ready for one of events. Returns the events that hold (an
// error or a hang-up counts as ready). Blocks: the caller only. Cancels: yes.
// Threads: any. Errors: -EBADF, -ECANCELED, -ETIMEDOUT, -EPERM (a regular
// file, which is always ready). Since 0.1.
WEFT_API int weft_fd_wait(int fd, unsigned events);

// Reads up to size bytes; 0 is the end. As read(2), for blocking and
// non-blocking descriptors alike. buf is the caller's again when it returns,
// also when canceled, and a canceled read has taken nothing from the stream.
// Blocks: the caller only. Cancels: yes. Threads: any. Errors: those of
// read(2) except EAGAIN and EINTR; -ECANCELED, -ETIMEDOUT. Since 0.1.
WEFT_API ssize_t weft_read(int fd, void *buf, size_t size);

// Writes up to size bytes; returns how many, which may be fewer. Never raises
// SIGPIPE on a socket: -EPIPE. As weft_read otherwise. Since 0.1.
WEFT_API ssize_t weft_write(int fd, const void *buf, size_t size);

// Writes all of it, or fails; returns size or a negative code. When canceled
// in the middle, an unknown part has been written. Since 0.1.
WEFT_API ssize_t weft_write_all(int fd, const void *buf, size_t size);

// As weft_write, from n buffers in their order; at most 1024 of them count.
// -EINVAL if n is negative. Since 0.1.
WEFT_API ssize_t weft_writev(int fd, const struct iovec *parts, int n);

// Sends a message on a socket, as sendmsg(2): a datagram to an address,
// descriptors over a Unix socket. Never raises SIGPIPE. Returns the bytes sent.
// Blocks: the caller only. Cancels: yes. Threads: any. Errors: those of
// sendmsg; -ECANCELED, -ETIMEDOUT. Since 0.1.
WEFT_API ssize_t weft_sendmsg(int fd, const struct msghdr *message, int flags);

// Receives one, as recvmsg(2); descriptors that come are close-on-exec. On a
// stream socket that is no Unix socket it is weft_read into the first buffer,
// and flags must be 0. Does not wait for MSG_ERRQUEUE: -EAGAIN, and
// weft_fd_wait tells when to ask (WEFT_FAULT). Otherwise as weft_sendmsg.
// Since 0.1.
WEFT_API ssize_t weft_recvmsg(int fd, struct msghdr *message, int flags);

// Moves up to size bytes from one descriptor to another, in the kernel, as
// splice(2). One of the two is a pipe, the other one a pipe or a non-blocking
// socket. Returns how many, which may be fewer; 0 at the end of `from`. One
// that fails has moved nothing. Never raises SIGPIPE: -EPIPE. Blocks: the
// caller only. Cancels: yes. Threads: any. Errors: -EOPNOTSUPP: weft_read and
// weft_write can do it (neither is a pipe, one of them would block the thread,
// Weft has read ahead on `from`); others of splice(2), -ECANCELED, -ETIMEDOUT.
// Since 0.1.
WEFT_API ssize_t weft_splice(int from, int to, size_t size);

// Accepts one connection; returns its descriptor (close-on-exec, non-blocking)
// and stores the peer's address if addr is not NULL (*len is 0 if the peer has
// already gone). Connections come in order; one is never lost to a cancel. A
// listener that other processes accept from as well should be non-blocking.
// Blocks: the caller only. Cancels: yes. Threads: any. Errors: those of
// accept4 (-EMFILE: try again when a descriptor is free); -ECANCELED,
// -ETIMEDOUT. Since 0.1.
WEFT_API int weft_accept(int fd, struct sockaddr *addr, socklen_t *len);

// Connects a socket. Returns 0 or a negative code; after any other code than 0
// the socket is good for weft_close only. Blocks: the caller only. Cancels:
// yes. Threads: any. Errors: those of connect; -ECANCELED, -ETIMEDOUT.
// Since 0.1.
WEFT_API int weft_connect(int fd, const struct sockaddr *addr, socklen_t len);

// Closes fd: calls that wait on it in this process return -ECANCELED, and so do
// those that begin meanwhile; connections that it has but nobody has claimed
// are closed. Waits until every loop has let go of fd. Returns 0 or -EBADF.
// Blocks: the caller only. Cancels: no. Threads: any. Errors: -EBADF,
// -WEFT_EFORKED. Since 0.1.
WEFT_API int weft_close(int fd);

// The name of the backend that the caller's waits go through: "uring" or
// "epoll" in a task, "poll" in a plain thread. Since 0.1.
WEFT_API const char *weft_backend(void);

// Counters of the caller's backend, for tests and measurements.
struct weft_backend_counters {
    size_t size;
    uint64_t turns;            // times the kernel was entered for events
    uint64_t multishot_accept; // connections from a multishot accept
    uint64_t multishot_recv;   // completions of multishot receives
    uint64_t provided_buffers; // buffers the kernel picked from the ring
    uint64_t fallbacks;        // operations done a worse way than meant: no
                               // buffer was left, the kernel lacks multishot
                               // receive, a file on disk blocked the thread
};
// Fills in counters up to its size; 0, or -ENOENT in a plain thread. Since 0.1.
WEFT_API int weft_backend_count(struct weft_backend_counters *counters);

WEFT_END

#endif
