// SPDX-License-Identifier: MIT
//
// peer.c: the certificate that the other side has shown. Most connections are
// never asked for it, so it is copied for those that are.
#include "tls/peer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509.h>

// A name has no end that is not written: quotes, controls and what separates
// its parts are escaped, so that nobody can call himself "x,O=Somebody else".
// What is not ASCII stays as it is, in UTF-8.
static char *text_of(const X509_NAME *name)
{
    const unsigned long form =
        (XN_FLAG_RFC2253 | ASN1_STRFLGS_UTF8_CONVERT) & ~ASN1_STRFLGS_ESC_MSB;
    BIO *memory = BIO_new(BIO_s_mem());
    char *data, *text = NULL;

    if (memory != NULL && X509_NAME_print_ex(memory, name, 0, form) >= 0) {
        long size = BIO_get_mem_data(memory, &data);

        text = strndup(size > 0 ? data : "", (size_t)size);
    }
    BIO_free(memory);
    return text;
}

int wi_tls_peer_look(struct wi_tls_peer *peer, const SSL *ssl)
{
    X509 *shown = SSL_get0_peer_certificate(ssl);
    int size = 0;

    if (peer->name != NULL)
        return 0;
    if (shown != NULL)
        size = i2d_X509(shown, &peer->certificate);
    if (size >= 0)
        peer->name = shown ? text_of(X509_get_subject_name(shown)) : strdup("");
    ERR_clear_error();
    if (peer->name == NULL) {
        wi_tls_peer_free(peer);
        return -ENOMEM;
    }
    peer->size = (size_t)size;
    return 0;
}

void wi_tls_peer_free(struct wi_tls_peer *peer)
{
    OPENSSL_free(peer->certificate);
    free(peer->name);
    *peer = (struct wi_tls_peer){0};
}
