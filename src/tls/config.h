// SPDX-License-Identifier: MIT
//
// config.h: the inside of a configuration, and the names of what goes wrong.
#ifndef WI_TLS_CONFIG_H
#define WI_TLS_CONFIG_H

#include <pthread.h>
#include <weft/tls.h>

#include <openssl/ssl.h>

enum { SESSIONS = 64 }; // that a client remembers

struct session {
    char *key;
    SSL_SESSION *session;
    uint64_t used; // when, in the order of uses
};

struct weft_tls {
    unsigned refs;  // any thread, atomically; to and from 0 under a lock
    bool unwanted;  // stands in the list of those, under that lock
    weft_tls *next; // there
    SSL_CTX *context;
    bool server, unverified;
    weft_tls *(*choose)(const char *name, void *arg);
    void *arg;
    unsigned char protocols[256]; // in the form of the wire
    unsigned protocols_size;
    pthread_mutex_t lock; // for all below
    uint64_t uses;
    struct session sessions[SESSIONS];
};

void wi_tls_ref(weft_tls *tls);

// Lets a client's connection go on with an earlier session under this key, and
// has later sessions kept there. The key is copied.
void wi_tls_sessions_use(weft_tls *tls, SSL *ssl, const char *key);

// The code for what OpenSSL has just failed with, on this thread, and its text.
// ssl: the connection, or NULL. Empties the thread's list of errors.
int wi_tls_error(const SSL *ssl, char *why, size_t size);

// `why`, which may be NULL, has no reason yet.
void wi_tls_no_reason(char *why, size_t size);

// Puts the reason of a code for people into `why`, which may be NULL, unless
// one stands there; text NULL: what is said of the code. Returns the code.
int wi_tls_explain(char *why, size_t size, int code, const char *text);

// Whether a read of a TLS stream would not wait: it gives bytes, the end or a
// failure. The reader alone; never waits.
bool wi_tls_readable(weft_stream *stream);

// Reads the first `size` bytes of a TLS stream, whose reader has read nothing
// yet. 0 or a code, and the peer's reason for it.
int wi_tls_read_first(weft_stream *stream, void *buf, size_t size, char *why,
                      size_t why_size);

#endif
