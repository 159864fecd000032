// SPDX-License-Identifier: MIT
//
// connection.h: the inside of connections over TLS.
#ifndef WI_TLS_CONNECTION_H
#define WI_TLS_CONNECTION_H

#include <weft/tls.h>

#define WI_TLS_PROTOCOL "weft-connection/1" // in ALPN

enum { WI_TLS_GREETING_TIME = 10 }; // seconds, if the options have none

// The configuration of a side: with a certificate of its own, and with
// authorities for the other's.
int wi_tls_mutual(weft_tls **tls, bool server,
                  const struct weft_tls_connection_options *options);

// Before the first byte is read of a new socket: no loop reads ahead on it
// (io.h), so that who does not want to wait can ask the kernel what has come.
int wi_tls_never_ahead(weft_stream *stream);

// Whether both sides of a stream have shown their certificates and speak this
// protocol: 0 or a code.
int wi_tls_check_mutual(weft_stream *stream);

// A connection over a stream, which it owns from then on; also when it fails.
int wi_tls_connection_new(weft_stream *stream, weft_connection **c);

// The word of a server that it has accepted the client.
int wi_tls_greet(weft_stream *stream);

#endif
