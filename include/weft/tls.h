// SPDX-License-Identifier: MIT
//
// tls.h: TLS 1.2 and 1.3 over any stream, by OpenSSL. In a library of its own:
// link with -lweft_tls (pkg-config weft-tls, or weft::tls in CMake).
//
// A configuration is made once, for a client or for a server, and used for any
// number of connections, by any threads. A client checks by default that the
// certificate is signed by an authority that the system trusts, is valid today,
// and is that of the host; what fails has a code of its own, and nothing is
// sent to such a peer.
#ifndef WEFT_TLS_H
#define WEFT_TLS_H

#include <weft/base.h>
#include <weft/connection.h>
#include <weft/net.h>
#include <weft/stream.h>

typedef struct weft_tls weft_tls;

struct weft_tls_options {
    size_t size;
    // The own certificate, with those between it and an authority, and its
    // key: files in PEM form. A server needs them.
    const char *certificate;
    const char *key;
    const char *password; // that the key is encrypted with; NULL: such a key is
                          // refused
    // Whom to trust: a file of authorities in PEM form. NULL: for a client, the
    // system's; for a server, nobody: it asks its peers for no certificate.
    const char *authorities;
    const char *protocols; // ALPN, the preferred first: "h2,http/1.1"
    bool unverified;       // client: checks no certificate, so anybody may
                           // be on the other side
    // Server: the configuration for the name that a client has asked for (""
    // if it has not); NULL refuses it. Must not block. What it returns stays
    // the program's, which may give it back at any time and in any thread, as
    // when certificates are read anew: the connection goes on with it. NULL:
    // always this one.
    weft_tls *(*choose)(const char *name, void *arg);
    void *arg; // for choose
};

struct weft_tls_start_options {
    size_t size;
    const char *host; // client: whose certificate it must be, and what is asked
                      // for (SNI). Needed unless .unverified
    const char *session; // client: connections with the same text share their
                         // sessions, so that later ones begin quicker. NULL:
                         // the host
    double timeout;      // seconds for the handshake; 0 means 60
    bool borrow;         // the stream below is not closed with the new one
    char *why;           // if it fails: the reason for people; NULL: not wanted
    size_t why_size;
};

// Of a connection (connection.h) or a listener for them. Both sides show a
// certificate; there is no option to do without.
struct weft_tls_connection_options {
    size_t size;
    // The own certificate, with those between it and an authority, and its
    // key: files in PEM form. NULL for the key: it is in the same file.
    const char *certificate;
    const char *key;
    const char *password;    // of the key, if it is encrypted
    const char *authorities; // a file in PEM form: who signs for the peers
    const char *host; // open: whose certificate the peer must have. NULL: that
                      // of the host
    double timeout;   // seconds that a peer may take to be accepted; 0: 10
    // Listen: a peer was refused, for this reason (-EBUSY: it took its time
    // while others wanted in); called in a task of the default loop, must not
    // block. NULL: not wanted.
    void (*on_failure)(int code, const struct weft_address *peer, void *arg);
    void *arg; // for on_failure
    char *why; // if it fails: the reason for people; NULL: not wanted
    size_t why_size;
};

// What the two sides of a TLS stream have agreed on.
struct weft_tls_info {
    size_t size;
    const char *version; // "TLSv1.3"
    const char *cipher;
    const char *protocol; // what ALPN has chosen; "" if nothing
    const char *host;     // server: what the client has asked for; ""
    bool resumed;         // from an earlier session
    bool verified;        // the peer has shown a certificate that is trusted
    // Who the peer says it is, which is worth nothing unless .verified: the
    // subject of its certificate, as RFC 4514 writes it, with the last part
    // first ("CN=alice,O=Example"); "" if it has shown none.
    const char *peer;
    const void *certificate; // all of it, in DER; NULL
    size_t certificate_size;
};

WEFT_BEGIN

// A configuration. Returns 0 or a negative code; why (may be NULL) gets the
// reason for people, such as the file that is not there; the macros
// weft_tls_client(&tls, ...) and weft_tls_server(&tls, ...) do not ask for it.
// Blocks: reads files. Threads: any. Errors: -ENOENT,
// -EACCES, -WEFT_ECERT (a file is no certificate, the key is another's, or
// its password is not .password),
// -EINVAL (protocols), -ENOMEM. Since 0.1.
WEFT_API int weft_tls_client_with(weft_tls **tls,
                                  const struct weft_tls_options *options,
                                  char *why, size_t why_size);
WEFT_API int weft_tls_server_with(weft_tls **tls,
                                  const struct weft_tls_options *options,
                                  char *why, size_t why_size);

// Gives the configuration back; streams that use it go on. NULL is allowed.
// Since 0.1.
WEFT_API void weft_tls_unref(weft_tls *tls);

// Begins TLS on a stream: does the handshake, and puts the new stream in the
// place of *stream, which it owns from now on. May be in the middle of a
// conversation (STARTTLS); bytes that the peer has sent too early are refused
// with -WEFT_EPROTO. When it fails *stream is as it was, and good for closing.
// Blocks: the caller only. Cancels: yes. Threads: any. Errors:
// -WEFT_ECERTEXPIRED, -WEFT_ECERTHOST, -WEFT_ECERTUNTRUSTED, -WEFT_ECERT (the
// peer's certificate), -WEFT_ETLS (the peer does not speak TLS, or refuses),
// -WEFT_EENDED, -ETIMEDOUT, -EINVAL (a client that is to check the certificate
// without .host), and what the stream below has. Since 0.1.
WEFT_API int weft_tls_start_with(weft_tls *tls, weft_stream **stream,
                                 const struct weft_tls_start_options *options);

// weft_tcp_connect and weft_tls_start in one. Since 0.1.
WEFT_API int weft_tls_connect_with(weft_tls *tls, const char *host,
                                   uint16_t port, weft_stream **stream,
                                   const struct weft_tls_start_options *start,
                                   const struct weft_connect_options *connect);

// weft_serve with TLS on each connection: the handler gets the stream when the
// handshake is done. Peers that fail in it are told to .on_failure only.
// Otherwise as weft_serve_with. Since 0.1.
WEFT_API int weft_tls_serve_with(weft_listener *listener, weft_tls *tls,
                                 weft_handler *handler, void *arg,
                                 const struct weft_serve_options *options);

// What was agreed on, filled in up to info->size. The texts live as long as the
// stream. Returns 0; -EINVAL: it is no TLS stream; -ENOMEM. Blocks: no.
// Threads: any. Since 0.1.
WEFT_API int weft_tls_info(weft_stream *stream, struct weft_tls_info *info);

// Listens for connections of other machines, in a thread of its own. The calls
// of connection.h are for the listener and for what it accepts; a peer without
// a certificate of these authorities is never seen. host and port: as
// weft_tcp_listen. Returns 0 or a negative code. Blocks: reads files, looks the
// host up. Threads: any. Errors: -EINVAL (no certificate or no authorities),
// those of weft_tls_server and of weft_tcp_listen, -EAGAIN (no thread).
// Since 0.1.
WEFT_API int weft_tls_connection_listen_with(
    const char *host, uint16_t port, weft_connection_listener **l,
    const struct weft_tls_connection_options *options);

// Where a listener of this kind listens. Returns 0, or -EINVAL: it is of
// another. Since 0.1.
WEFT_API int weft_tls_connection_address(weft_connection_listener *l,
                                         struct weft_address *address);

// weft_tls_info of a connection between machines. Since 0.1.
WEFT_API int weft_tls_connection_info(weft_connection *c,
                                      struct weft_tls_info *info);

// Connects to such a listener; when it returns, both sides have accepted each
// other's certificate. The connection differs from one within a machine: it
// carries no descriptors and arenas, and has none itself (-WEFT_ENOTLOCAL);
// what is no message ends it (-WEFT_EPROTO from then on), a cut is
// -WEFT_EENDED; a send that is ended when a part of it was written breaks it
// (-EPIPE from then on), and one with .nowait may wait for the rest of a long
// message. Returns 0 or a negative code. Blocks: the caller only, and reads
// files. Cancels: yes. Threads: any. Errors: -EINVAL (no certificate or no
// authorities), those of weft_tls_connect, -WEFT_ETLS (the peer has refused our
// certificate: see .why), -WEFT_EPROTO (it speaks another protocol),
// -ETIMEDOUT. Since 0.1.
WEFT_API int weft_tls_connection_open_with(
    const char *host, uint16_t port, weft_connection **c,
    const struct weft_tls_connection_options *options);

WEFT_END

#ifndef __cplusplus
#define weft_tls_client(...) WEFT_TLS_CLIENT_(__VA_ARGS__, )
#define WEFT_TLS_CLIENT_(tls, ...)                                             \
    weft_tls_client_with((tls), WEFT_OPTIONS(weft_tls_options, __VA_ARGS__),   \
                         NULL, 0)
#define weft_tls_server(...) WEFT_TLS_SERVER_(__VA_ARGS__, )
#define WEFT_TLS_SERVER_(tls, ...)                                             \
    weft_tls_server_with((tls), WEFT_OPTIONS(weft_tls_options, __VA_ARGS__),   \
                         NULL, 0)
#define weft_tls_start(...) WEFT_TLS_START_(__VA_ARGS__, )
#define WEFT_TLS_START_(tls, stream, ...)                                      \
    weft_tls_start_with((tls), (stream),                                       \
                        WEFT_OPTIONS(weft_tls_start_options, __VA_ARGS__))
#define weft_tls_connect(...) WEFT_TLS_CONNECT_(__VA_ARGS__, )
#define WEFT_TLS_CONNECT_(tls, host, port, stream, ...)                        \
    weft_tls_connect_with((tls), (host), (port), (stream),                     \
                          WEFT_OPTIONS(weft_tls_start_options, __VA_ARGS__),   \
                          NULL)
#define weft_tls_serve(...) WEFT_TLS_SERVE_(__VA_ARGS__, )
#define WEFT_TLS_SERVE_(listener, tls, handler, arg, ...)                      \
    weft_tls_serve_with((listener), (tls), (handler), (arg),                   \
                        WEFT_OPTIONS(weft_serve_options, __VA_ARGS__))
#define weft_tls_connection_listen(...)                                        \
    WEFT_TLS_CONNECTION_LISTEN_(__VA_ARGS__, )
#define WEFT_TLS_CONNECTION_LISTEN_(host, port, l, ...)                        \
    weft_tls_connection_listen_with(                                           \
        (host), (port), (l),                                                   \
        WEFT_OPTIONS(weft_tls_connection_options, __VA_ARGS__))
#define weft_tls_connection_open(...) WEFT_TLS_CONNECTION_OPEN_(__VA_ARGS__, )
#define WEFT_TLS_CONNECTION_OPEN_(host, port, c, ...)                          \
    weft_tls_connection_open_with(                                             \
        (host), (port), (c),                                                   \
        WEFT_OPTIONS(weft_tls_connection_options, __VA_ARGS__))
#else
inline int weft_tls_client(weft_tls **tls, weft_tls_options o = {})
{
    o.size = sizeof o;
    return weft_tls_client_with(tls, &o, nullptr, 0);
}
inline int weft_tls_server(weft_tls **tls, weft_tls_options o = {})
{
    o.size = sizeof o;
    return weft_tls_server_with(tls, &o, nullptr, 0);
}
inline int weft_tls_start(weft_tls *tls, weft_stream **stream,
                          weft_tls_start_options o = {})
{
    o.size = sizeof o;
    return weft_tls_start_with(tls, stream, &o);
}
inline int weft_tls_connect(weft_tls *tls, const char *host, uint16_t port,
                            weft_stream **stream, weft_tls_start_options o = {})
{
    o.size = sizeof o;
    return weft_tls_connect_with(tls, host, port, stream, &o, nullptr);
}
inline int weft_tls_serve(weft_listener *listener, weft_tls *tls,
                          weft_handler *handler, void *arg,
                          weft_serve_options o = {})
{
    o.size = sizeof o;
    return weft_tls_serve_with(listener, tls, handler, arg, &o);
}
inline int weft_tls_connection_listen(const char *host, uint16_t port,
                                      weft_connection_listener **l,
                                      weft_tls_connection_options o = {})
{
    o.size = sizeof o;
    return weft_tls_connection_listen_with(host, port, l, &o);
}
inline int weft_tls_connection_open(const char *host, uint16_t port,
                                    weft_connection **c,
                                    weft_tls_connection_options o = {})
{
    o.size = sizeof o;
    return weft_tls_connection_open_with(host, port, c, &o);
}
#endif

#endif
