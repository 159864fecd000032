// SPDX-License-Identifier: MIT
//
// connection.h: messages between processes of one machine, with boundaries,
// and with descriptors and arenas in them. Python's Pipe, Listener and Client.
// tls.h has connections to other machines, for the same calls.
//
//     weft_connection_listener *l;                          // one process
//     weft_connection_listen("prices", &l);
//     weft_connection *c;
//     weft_connection_accept(l, &c);
//     weft_connection_send(c, &price, sizeof price);
//
//     weft_connection_open("prices", &c);        // another
//     ssize_t n = weft_connection_receive(c, &price, sizeof price);
//
// Each message is whole, however many write and read: threads, tasks, and
// other processes that have the same end. What the peer sends is believed to
// be bytes, nothing more: if it is no message, the receive fails with
// -WEFT_EPROTO and the next one is looked at.
#ifndef WEFT_CONNECTION_H
#define WEFT_CONNECTION_H

#include <weft/arena.h>
#include <weft/base.h>

#include <sys/types.h>

typedef struct weft_connection weft_connection;
typedef struct weft_connection_listener weft_connection_listener;

enum { WEFT_MESSAGE_FDS = 16 }; // that one message can carry

struct weft_send_options {
    size_t size;
    const int *fds;    // sent along; they stay the caller's
    unsigned fd_count; // at most WEFT_MESSAGE_FDS
    weft_arena *arena; // sent along, as a descriptor behind the others
    bool nowait;       // -EAGAIN instead of waiting
};

struct weft_receive_options {
    size_t size;
    int *fds;           // room for descriptors, close-on-exec; the caller's
    unsigned fd_room;   // how many fit; others are closed
    unsigned *fd_count; // out, may be NULL: how many came
    bool nowait;        // -EAGAIN instead of waiting
};

// Who is on the other side, as the kernel says: when it connected or listened.
struct weft_peer {
    size_t size;
    pid_t pid;
    uid_t uid;
    gid_t gid;
};

// What a kind of connection does; the calls below say what each is to do. The
// options are whole structures, never NULL.
struct weft_connection_ops {
    size_t size;      // sizeof(struct weft_connection_ops)
    const char *kind; // "local", "tls", ...
    int (*send)(weft_connection *c, const void *data, size_t size,
                const struct weft_send_options *options);
    ssize_t (*receive)(weft_connection *c, void *data, size_t size,
                       const struct weft_receive_options *options);
    ssize_t (*next)(weft_connection *c);
    int (*poll)(weft_connection *c, double timeout);
    int (*fd)(weft_connection *c); // NULL: it has none, -WEFT_ENOTLOCAL
    // NULL: unknown, -WEFT_ENOTLOCAL.
    int (*peer)(weft_connection *c, struct weft_peer *peer);
    void (*close)(weft_connection *c); // and frees it
};

// The same for a kind of listener.
struct weft_connection_listener_ops {
    size_t size; // sizeof(struct weft_connection_listener_ops)
    const char *kind;
    int (*accept)(weft_connection_listener *l, weft_connection **c);
    int (*fd)(weft_connection_listener *l); // NULL: as above
    void (*close)(weft_connection_listener *l);
};

// A program's own kind of connection, or of listener, has this first in its
// object.
struct weft_connection {
    const struct weft_connection_ops *ops;
};
struct weft_connection_listener {
    const struct weft_connection_listener_ops *ops;
};

WEFT_BEGIN

// Two connections that are connected to each other. Returns 0 or -EMFILE,
// -ENOMEM. Since 0.1.
WEFT_API int weft_connection_pair(weft_connection *pair[2]);

// A connection over a descriptor that weft_connection_fd gave in another
// process; fd is the connection's from now on. Errors: -EBADF, -EPROTOTYPE (no
// socket of that kind), -ENOMEM; then fd is still the caller's. Since 0.1.
WEFT_API int weft_connection_adopt(int fd, weft_connection **c);

// Connects to a listener of the same user. A name with a '/' is a path; others
// lie in no folder. Returns 0. Blocks: the caller only, while the listener has
// too many others waiting. Cancels: yes. Errors: -ENOENT (nobody listens),
// -EACCES (it belongs to another user, or its folder to others as well),
// -EINVAL (name), -EMFILE, -ENOMEM, -ECANCELED, -ETIMEDOUT. Since 0.1.
WEFT_API int weft_connection_open(const char *name, weft_connection **c);

// Closes it: the peer gets what was sent, then the end. Nobody may be in a
// call on c. NULL is allowed. Since 0.1.
WEFT_API void weft_connection_close(weft_connection *c);

// Sends one message of size bytes (0 too); waits while the peer is far behind.
// Large ones travel as memory. Returns 0. Blocks: the caller only. Cancels:
// yes; then it was not sent. Threads: any. Errors: -EPIPE (the peer has closed
// or ended), -EAGAIN (nowait), -EBADF (fds), -WEFT_ENOTLOCAL (descriptors or an
// arena over TLS), -ENOMEM, -EMFILE, -ECANCELED, -ETIMEDOUT. Since 0.1.
WEFT_API int weft_connection_send_with(weft_connection *c, const void *data,
                                       size_t size,
                                       const struct weft_send_options *options);

// Receives one message into data and returns its length. Blocks: the caller
// only. Cancels: yes; then nothing was received. Threads: any. Errors:
// -WEFT_ECLOSED (the peer has closed or ended, and all was received),
// -WEFT_ETOOBIG (it has more than size bytes, and is there still: see
// weft_connection_next), -WEFT_EPROTO, -EAGAIN (nowait), -ECANCELED,
// -ETIMEDOUT. Since 0.1.
WEFT_API ssize_t
weft_connection_receive_with(weft_connection *c, void *data, size_t size,
                             const struct weft_receive_options *options);

// Waits for a message, and returns its length without receiving it. Errors: as
// weft_connection_receive. Since 0.1.
WEFT_API ssize_t weft_connection_next(weft_connection *c);

// Whether a receive would not wait: 1, or 0 after `timeout` seconds.
// -ECANCELED and -ETIMEDOUT from the caller's scopes. Since 0.1.
WEFT_API int weft_connection_poll(weft_connection *c, double timeout);

// Its descriptor: to wait for with others, or to be sent to another process.
// Not readable while a message is held that was too long for a receive.
// -WEFT_ENOTLOCAL over TLS, where bytes of the socket are no messages yet.
// Since 0.1.
WEFT_API int weft_connection_fd(weft_connection *c);

// Fills in peer up to its size; 0, or -WEFT_ENOTLOCAL. Since 0.1.
WEFT_API int weft_connection_peer(weft_connection *c, struct weft_peer *peer);

// Listens at a name. A name without '/' is gone when the process is. A path
// lies in a folder that belongs to this user alone, and is made (0700) if it
// is not there; what a dead listener has left there is replaced. Returns 0.
// Errors: -EADDRINUSE, -EINVAL (name), -EACCES (the folder is not this user's
// alone), -EMFILE, -ENOMEM. Since 0.1.
WEFT_API int weft_connection_listen(const char *name,
                                    weft_connection_listener **l);

// Waits for a connection; one of another user is closed unseen. Returns 0.
// Blocks: the caller only. Cancels: yes. Threads: any. Errors: -EMFILE (try
// again when a descriptor is free), -ENOMEM, -ECANCELED, -ETIMEDOUT.
// Since 0.1.
WEFT_API int weft_connection_accept(weft_connection_listener *l,
                                    weft_connection **c);

// Its descriptor, to wait for with others; -WEFT_ENOTLOCAL for TLS. Since 0.1.
WEFT_API int weft_connection_listener_fd(weft_connection_listener *l);

// Ends it; who waits in accept gets -ECANCELED. NULL is allowed. Since 0.1.
WEFT_API void weft_connection_listener_close(weft_connection_listener *l);

WEFT_END

#ifndef __cplusplus
#define weft_connection_send(c, data, ...)                                     \
    WEFT_CONNECTION_SEND_((c), (data), __VA_ARGS__, )
#define WEFT_CONNECTION_SEND_(c, data, bytes, ...)                             \
    weft_connection_send_with(c, data, (bytes),                                \
                              WEFT_OPTIONS(weft_send_options, __VA_ARGS__))
#define weft_connection_receive(c, data, ...)                                  \
    WEFT_CONNECTION_RECEIVE_((c), (data), __VA_ARGS__, )
#define WEFT_CONNECTION_RECEIVE_(c, data, bytes, ...)                          \
    weft_connection_receive_with(                                              \
        c, data, (bytes), WEFT_OPTIONS(weft_receive_options, __VA_ARGS__))
#else
inline int weft_connection_send(weft_connection *c, const void *data,
                                size_t size, weft_send_options o = {})
{
    o.size = sizeof o;
    return weft_connection_send_with(c, data, size, &o);
}
inline ssize_t weft_connection_receive(weft_connection *c, void *data,
                                       size_t size, weft_receive_options o = {})
{
    o.size = sizeof o;
    return weft_connection_receive_with(c, data, size, &o);
}
#endif

#endif
