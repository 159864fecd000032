// SPDX-License-Identifier: MIT
//
// peer.h: who the other side of a TLS connection is, by its certificate.
#ifndef WI_TLS_PEER_H
#define WI_TLS_PEER_H

#include <stddef.h>

#include <openssl/ssl.h>

struct wi_tls_peer {
    char *name;                 // its subject; NULL: not looked at yet
    unsigned char *certificate; // in DER; NULL: it has shown none
    size_t size;
};

// Fills in what the peer of ssl, whose handshake is done, has shown. Once: then
// it stays as it is, and its texts with it. 0 or -ENOMEM.
int wi_tls_peer_look(struct wi_tls_peer *peer, const SSL *ssl);

void wi_tls_peer_free(struct wi_tls_peer *peer);

#endif
