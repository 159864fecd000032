// SPDX-License-Identifier: MIT
//
// link.h: configurations for tests, and the two sides of a connection over TLS
// in one process.
#ifndef LINK_H
#define LINK_H

#include "../net/net_test.h"

#include <weft/tls.h>

#include "authority.h"

// With NAME's certificate; authorities: that the peer's is to be from, or NULL.
static inline weft_tls *config_of(bool server, const char *name,
                                  const char *authorities)
{
    char file[64], key[64];
    weft_tls *tls;

    snprintf(file, sizeof(file), "%s.pem", name);
    snprintf(key, sizeof(key), "%s.key", name);
    const struct weft_tls_options options = {
        .size = sizeof(options),
        .certificate = authority_path(file),
        .key = authority_path(key),
        .authorities = authorities,
    };
    kit_assert_code(server ? weft_tls_server_with(&tls, &options, NULL, 0)
                           : weft_tls_client_with(&tls, &options, NULL, 0),
                    0);
    return tls;
}

static inline weft_tls *server_config(const char *name)
{
    return config_of(true, name, NULL);
}

// One side of two that show each other certificates.
static inline weft_tls *mutual_config(bool server, const char *name)
{
    return config_of(server, name, authority_path("ca.pem"));
}

static inline weft_tls *client_config(void)
{
    weft_tls *tls;

    kit_assert_code(
        weft_tls_client(&tls, .authorities = authority_path("ca.pem")), 0);
    return tls;
}

// One connection in memory: the server's half in a task.
struct half {
    weft_tls *tls;
    weft_stream *stream;
    int code;
    weft_future *task;
};

static inline int accept_tls(void *arg)
{
    struct half *h = arg;

    h->code = weft_tls_start(h->tls, &h->stream);
    return 0;
}

struct link {
    struct half server;
    weft_stream *client;
    int code;
    char why[200];
};

static inline void connect_over(weft_stream *pair[2], struct link *l,
                                weft_tls *client, weft_tls *server,
                                const char *host)
{
    l->client = pair[0];
    l->server = (struct half){server, pair[1], 0, NULL};
    l->server.task = weft_task_start(accept_tls, &l->server);
    l->code = weft_tls_start(client, &l->client, .host = host, .why = l->why,
                             .why_size = sizeof(l->why));
    if (l->code < 0) // or the server would wait for more
        weft_stream_shutdown(l->client);
    kit_assert_code(weft_join(l->server.task), 0);
}

static inline void connect_in_memory(struct link *l, weft_tls *client,
                                     weft_tls *server, const char *host)
{
    weft_stream *pair[2];

    kit_assert_code(weft_stream_pair(pair), 0);
    connect_over(pair, l, client, server, host);
}

static inline void close_link(struct link *l)
{
    kit_assert_code(weft_stream_close(l->client), 0);
    kit_assert_code(weft_stream_close(l->server.stream), 0);
}

#endif
