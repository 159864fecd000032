// SPDX-License-Identifier: MIT
//
// net.h: addresses, connections, servers, datagrams, and descriptors in
// messages. Streams come out (stream.h); sockets that are made here do not
// block and are close-on-exec.
#ifndef WEFT_NET_H
#define WEFT_NET_H

#include <weft/base.h>
#include <weft/stream.h>

#include <sys/socket.h>

// Where a socket is or goes to.
struct weft_address {
    socklen_t len; // 0: none
    struct sockaddr_storage storage;
};

// How sockets are made; the zero of each is what is best for most.
struct weft_socket_options {
    bool nagle;         // let the kernel hold small writes back (TCP)
    double keepalive;   // seconds of silence before it asks whether the peer
                        // is still there; 0: it does not ask (TCP)
    int send_buffer;    // bytes in the kernel; 0: the kernel's own choice
    int receive_buffer; // the same
};

struct weft_connect_options {
    size_t size;
    struct weft_socket_options socket;
    double stagger; // seconds that one address may take before the next is
                    // tried beside it; 0 means 0.25, INFINITY one by one
    int family;     // AF_INET, AF_INET6; 0: both
    const struct weft_address *local; // to bind to first; NULL: any
    bool abstract; // weft_unix_connect: the path may begin with '@'
};

struct weft_listen_options {
    size_t size;
    struct weft_socket_options socket; // of the connections
    int backlog;     // connections that may wait to be accepted; 0 means 4096,
                     // and the system has a limit of its own
    bool reuse_port; // several listeners share the port (TCP)
    int family;      // AF_INET, AF_INET6; 0: both
    const char *const *also; // more hosts (TCP)
    size_t also_count;
    unsigned mode; // weft_unix_listen: who may connect, as in chmod(2); 0: as
                   // the umask says
    bool abstract; // weft_unix_listen: the path may begin with '@'
};

typedef struct weft_listener weft_listener;

// Talks to one peer. The stream is closed when it returns. Its code ends
// nothing else; see weft_serve_with.
typedef int weft_handler(weft_stream *stream, void *arg);

struct weft_serve_options {
    size_t size;
    size_t limit;     // connections at once; further ones wait. 0: no limit
    double grace;     // seconds that handlers may take after weft_listener_stop
                      // before they are canceled; 0 means 10, INFINITY for ever
    const char *name; // of the tasks, for `weft ps`; NULL: none
    // A handler has returned a negative code; the peer, whose len is 0 if it
    // has gone already. Not called for -ECANCELED, -EPIPE, -ECONNRESET and
    // -ETIMEDOUT. NULL: reported as a failure that nobody asked for
    // (weft_on_unobserved).
    void (*on_failure)(int code, const struct weft_address *peer, void *arg);
};

struct weft_udp_options {
    size_t size;
    struct weft_socket_options socket;
    int family;      // AF_INET, AF_INET6; 0: as the host says
    bool reuse_port; // several sockets share the port
    bool broadcast;  // may send to everybody
};

WEFT_BEGIN

// An address from numbers: "127.0.0.1", "::1", "fe80::1%eth0". Returns 0, or
// -EINVAL for anything else, such as a name: see weft_resolve. Since 0.1.
WEFT_API int weft_address_parse(struct weft_address *address, const char *host,
                                uint16_t port);

// The address of a Unix socket. A path that begins with '@' stands for a name
// without a file, and is refused with -EINVAL unless `abstract` is true: such
// names have no owner and no permissions. Returns 0; -ENAMETOOLONG. Since 0.1.
WEFT_API int weft_address_unix(struct weft_address *address, const char *path,
                               bool abstract);

// The port, 0 if it has none. Since 0.1.
WEFT_API uint16_t weft_address_port(const struct weft_address *address);

// Writes an address for people: "127.0.0.1:80", "[::1]:80", "/run/x", "@x". Cut
// at size - 1 bytes; returns the whole length. Since 0.1.
WEFT_API size_t weft_address_text(const struct weft_address *address,
                                  char *text, size_t size);

// Connects to a host, by name or number. All its addresses are tried, IPv6 and
// IPv4 in turn, each with a head start before the next; the first that answers
// is taken, the others are given up. Returns 0 or a negative code, that of the
// first address. Blocks: the caller only. Cancels: yes. Threads: any.
// Errors: -ECONNREFUSED, -EHOSTUNREACH, ...; those of weft_resolve; -EMFILE,
// -ENOMEM, -ECANCELED, -ETIMEDOUT. Since 0.1.
WEFT_API int weft_tcp_connect_with(const char *host, uint16_t port,
                                   weft_stream **stream,
                                   const struct weft_connect_options *options);

// Connects to one address, of TCP or of a Unix socket. Otherwise as
// weft_tcp_connect_with. Since 0.1.
WEFT_API int
weft_address_connect_with(const struct weft_address *address,
                          weft_stream **stream,
                          const struct weft_connect_options *options);

// Connects to a Unix socket. Otherwise as weft_tcp_connect_with; also
// -ENOENT, -EACCES, -ENAMETOOLONG, -EINVAL (see weft_address_unix). Since 0.1.
WEFT_API int weft_unix_connect_with(const char *path, weft_stream **stream,
                                    const struct weft_connect_options *options);

// Listens on every address of a host; NULL is every address of this machine,
// by IPv6 and IPv4. Port 0: one that is free, see weft_listener_address.
// Returns 0 or a negative code. Blocks: while the name is looked up. Cancels:
// then. Threads: any. Errors: -EADDRINUSE, -EACCES, -EADDRNOTAVAIL; those of
// weft_resolve. Since 0.1.
WEFT_API int weft_tcp_listen_with(const char *host, uint16_t port,
                                  weft_listener **listener,
                                  const struct weft_listen_options *options);

// Listens on a Unix socket. A socket file that a dead program has left is
// replaced, one that somebody listens on is -EADDRINUSE. The file is removed
// when the listener is closed. Errors: -EADDRINUSE, -EACCES, -ENOENT,
// -ENAMETOOLONG, -EINVAL (see weft_address_unix). Since 0.1.
WEFT_API int weft_unix_listen_with(const char *path, weft_listener **listener,
                                   const struct weft_listen_options *options);

// A listener from a socket that listens already, such as one that the program
// was started with. It owns fd from now on, and makes it non-blocking, as it
// must stay in every process that has it; on TCP the small writes of its
// connections are not held back. Returns 0; -EBADF, -ENOTSOCK, -EINVAL (it does
// not listen), -ENOMEM. Since 0.1.
WEFT_API int weft_listener_open(int fd, weft_listener **listener);

// Its i-th address. Returns 0, or -ENOENT past the last. Since 0.1.
WEFT_API int weft_listener_address(weft_listener *listener, size_t i,
                                   struct weft_address *address);

// Accepts one connection; peer may be NULL. Returns 0 or a negative code.
// Blocks: the caller only. Cancels: yes. Threads: any. Errors: -EMFILE and
// such; -ENOMEM; -WEFT_ECLOSED: weft_listener_stop, before or meanwhile;
// -ECANCELED, -ETIMEDOUT. Since 0.1.
WEFT_API int weft_listener_accept(weft_listener *listener, weft_stream **stream,
                                  struct weft_address *peer);

// Runs handler in a task for each connection, until weft_listener_stop (then
// it waits for the handlers and returns 0) or until the caller's scopes end it
// (then they are canceled and waited for, and it returns -ECANCELED or
// -ETIMEDOUT). While no descriptor is free, new connections wait, and nobody
// who is served is disturbed; nor while none can be accepted for another reason
// that may pass, which is reported and tried again, at last once a second.
// Blocks: the caller only. Threads: any; from a plain thread the handlers run
// on the default loop. Once at a time for a listener. Errors: -WEFT_ECLOSED (it
// was stopped before), -ENOMEM, and what ends a listener for good. Since 0.1.
WEFT_API int weft_serve_with(weft_listener *listener, weft_handler *handler,
                             void *arg,
                             const struct weft_serve_options *options);

// Ends weft_serve gracefully: no new connections are taken, those that are
// served go on. Who is in weft_listener_accept or weft_listener_await gets
// -WEFT_ECLOSED. The listener is good for weft_listener_close only, when they
// have left. Idempotent. Blocks: no. Threads: any, while the listener is open.
// Since 0.1.
WEFT_API void weft_listener_stop(weft_listener *listener);

// For a handler, between two requests of its peer: waits until there is
// something to read, as weft_stream_await, or until weft_listener_stop; so that
// a stop ends connections that have nothing to do at once, and the others with
// the request they are at. Errors: -WEFT_ECLOSED, the listener is stopped and
// nothing stands in the buffer; otherwise as weft_stream_await. Since 0.1.
WEFT_API ssize_t weft_listener_await(weft_listener *listener,
                                     weft_stream *stream);

// Closes the listener and frees it; NULL is allowed. Nobody may serve or accept
// from it any more, or be in weft_listener_await. Since 0.1.
WEFT_API void weft_listener_close(weft_listener *listener);

// The addresses of the two ends of a stream over a socket. Return 0 or a
// negative code: -EBADF, -ENOTSOCK, -ENOTCONN. Since 0.1.
WEFT_API int weft_stream_peer(weft_stream *s, struct weft_address *address);
WEFT_API int weft_stream_local(weft_stream *s, struct weft_address *address);

// The same for a descriptor, such as a UDP socket: which port weft_udp_bind has
// found. Blocks: no. Threads: any. Since 0.1.
WEFT_API int weft_socket_peer(int fd, struct weft_address *address);
WEFT_API int weft_socket_local(int fd, struct weft_address *address);

// A UDP socket that is bound to host and port; NULL: any address, port 0: any.
// Returns a descriptor, for weft_close, or a negative code as
// weft_tcp_listen_with. Since 0.1.
WEFT_API int weft_udp_bind_with(const char *host, uint16_t port,
                                const struct weft_udp_options *options);

// A UDP socket that sends to one peer and hears that one only. Use weft_write
// and weft_udp_receive. Otherwise as weft_udp_bind_with. Since 0.1.
WEFT_API int weft_udp_connect_with(const char *host, uint16_t port,
                                   const struct weft_udp_options *options);

// Sends one datagram to an address; NULL: to whom fd is connected. Returns
// size. Blocks: the caller only. Cancels: yes. Threads: any. Errors: -EMSGSIZE
// (too large), -ECONNREFUSED (an earlier one found nobody); -ECANCELED,
// -ETIMEDOUT. Since 0.1.
WEFT_API ssize_t weft_udp_send(int fd, const void *buf, size_t size,
                               const struct weft_address *to);

// Receives one datagram; from may be NULL. Returns its size, which may be 0.
// Errors: -WEFT_ETOOBIG, it was larger than size and is lost; otherwise as
// weft_udp_send. Since 0.1.
WEFT_API ssize_t weft_udp_receive(int fd, void *buf, size_t size,
                                  struct weft_address *from);

// Sends bytes (at least one) and n descriptors with them over a Unix socket;
// the descriptors stay open here. Returns how many bytes were sent, which may
// be fewer; the descriptors went with the first. Errors: -EINVAL (no byte, or
// more than 253 descriptors), -ETOOMANYREFS (more are under way than one user
// may have open); otherwise as weft_sendmsg. Since 0.1.
WEFT_API ssize_t weft_send_fds(int socket, const void *buf, size_t size,
                               const int *fds, size_t n);

// Receives bytes and the descriptors that come with them: up to *n, and says in
// *n how many. They are close-on-exec, and the caller's. Returns the bytes, 0
// at the end. Errors: -WEFT_ETOOBIG, there were more descriptors than *n, or
// -EMFILE, this process may not have so many: all of them are closed, and the
// bytes are lost; otherwise as weft_recvmsg. Since 0.1.
WEFT_API ssize_t weft_receive_fds(int socket, void *buf, size_t size, int *fds,
                                  size_t *n);

WEFT_END

#ifndef __cplusplus
#define weft_tcp_connect(...) WEFT_TCP_CONNECT_(__VA_ARGS__, )
#define WEFT_TCP_CONNECT_(host, port, stream, ...)                             \
    weft_tcp_connect_with((host), (port), (stream),                            \
                          WEFT_OPTIONS(weft_connect_options, __VA_ARGS__))
#define weft_address_connect(...) WEFT_ADDRESS_CONNECT_(__VA_ARGS__, )
#define WEFT_ADDRESS_CONNECT_(address, stream, ...)                            \
    weft_address_connect_with((address), (stream),                             \
                              WEFT_OPTIONS(weft_connect_options, __VA_ARGS__))
#define weft_unix_connect(...) WEFT_UNIX_CONNECT_(__VA_ARGS__, )
#define WEFT_UNIX_CONNECT_(path, stream, ...)                                  \
    weft_unix_connect_with((path), (stream),                                   \
                           WEFT_OPTIONS(weft_connect_options, __VA_ARGS__))
#define weft_tcp_listen(...) WEFT_TCP_LISTEN_(__VA_ARGS__, )
#define WEFT_TCP_LISTEN_(host, port, listener, ...)                            \
    weft_tcp_listen_with((host), (port), (listener),                           \
                         WEFT_OPTIONS(weft_listen_options, __VA_ARGS__))
#define weft_unix_listen(...) WEFT_UNIX_LISTEN_(__VA_ARGS__, )
#define WEFT_UNIX_LISTEN_(path, listener, ...)                                 \
    weft_unix_listen_with((path), (listener),                                  \
                          WEFT_OPTIONS(weft_listen_options, __VA_ARGS__))
#define weft_serve(...) WEFT_SERVE_(__VA_ARGS__, )
#define WEFT_SERVE_(listener, handler, arg, ...)                               \
    weft_serve_with((listener), (handler), (arg),                              \
                    WEFT_OPTIONS(weft_serve_options, __VA_ARGS__))
#define weft_udp_bind(...) WEFT_UDP_BIND_(__VA_ARGS__, )
#define WEFT_UDP_BIND_(host, port, ...)                                        \
    weft_udp_bind_with((host), (port),                                         \
                       WEFT_OPTIONS(weft_udp_options, __VA_ARGS__))
#define weft_udp_connect(...) WEFT_UDP_CONNECT_(__VA_ARGS__, )
#define WEFT_UDP_CONNECT_(host, port, ...)                                     \
    weft_udp_connect_with((host), (port),                                      \
                          WEFT_OPTIONS(weft_udp_options, __VA_ARGS__))
#else
#define WEFT_NET_INLINE_(result, name, parameters, arguments)                  \
    inline result name parameters                                              \
    {                                                                          \
        o.size = sizeof o;                                                     \
        return name##_with arguments;                                          \
    }
WEFT_NET_INLINE_(int, weft_tcp_connect,
                 (const char *host, uint16_t port, weft_stream **stream,
                  weft_connect_options o = {}),
                 (host, port, stream, &o))
WEFT_NET_INLINE_(int, weft_address_connect,
                 (const weft_address *address, weft_stream **stream,
                  weft_connect_options o = {}),
                 (address, stream, &o))
WEFT_NET_INLINE_(int, weft_unix_connect,
                 (const char *path, weft_stream **stream,
                  weft_connect_options o = {}),
                 (path, stream, &o))
WEFT_NET_INLINE_(int, weft_tcp_listen,
                 (const char *host, uint16_t port, weft_listener **listener,
                  weft_listen_options o = {}),
                 (host, port, listener, &o))
WEFT_NET_INLINE_(int, weft_unix_listen,
                 (const char *path, weft_listener **listener,
                  weft_listen_options o = {}),
                 (path, listener, &o))
WEFT_NET_INLINE_(int, weft_serve,
                 (weft_listener * listener, weft_handler *handler, void *arg,
                  weft_serve_options o = {}),
                 (listener, handler, arg, &o))
WEFT_NET_INLINE_(int, weft_udp_bind,
                 (const char *host, uint16_t port, weft_udp_options o = {}),
                 (host, port, &o))
WEFT_NET_INLINE_(int, weft_udp_connect,
                 (const char *host, uint16_t port, weft_udp_options o = {}),
                 (host, port, &o))
#undef WEFT_NET_INLINE_
#endif

#endif
