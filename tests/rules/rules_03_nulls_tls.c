// SPDX-License-Identifier: MIT
// rules_03_nulls.c for the calls of libweft_tls.
#include "nulls.h"

#include <weft/tls.h>

static weft_tls *tls(void)
{
    weft_tls *t = NULL;
    weft_tls_client(&t);
    return need(t);
}

#define NULL_CALLS(REFUSED, ALLOWED)                                           \
    /* tls.h */                                                                \
    REFUSED(weft_tls_client_with(NULL, NULL, text, 1))                         \
    ALLOWED(weft_tls_client_with(&(weft_tls *){0}, NULL, text, 1))             \
    ALLOWED(weft_tls_client_with(&(weft_tls *){0}, NULL, NULL, 1))             \
    REFUSED(weft_tls_server_with(NULL, NULL, text, 1))                         \
    ALLOWED(weft_tls_server_with(&(weft_tls *){0}, NULL, text, 1))             \
    ALLOWED(weft_tls_server_with(&(weft_tls *){0}, NULL, NULL, 1))             \
    ALLOWED(weft_tls_unref(NULL))                                              \
    REFUSED(weft_tls_start_with(NULL, &(weft_stream *){0}, NULL))              \
    REFUSED(weft_tls_start_with(tls(), NULL, NULL))                            \
    REFUSED(weft_tls_connect_with(NULL, "127.0.0.1", 1, &(weft_stream *){0},   \
                                  NULL, NULL))                                 \
    REFUSED(weft_tls_connect_with(tls(), NULL, 1, &(weft_stream *){0}, NULL,   \
                                  NULL))                                       \
    REFUSED(weft_tls_connect_with(tls(), "127.0.0.1", 1, NULL, NULL, NULL))    \
    ALLOWED(weft_tls_connect_with(tls(), "127.0.0.1", 1, &(weft_stream *){0},  \
                                  NULL, NULL))                                 \
    ALLOWED(weft_tls_connect_with(tls(), "127.0.0.1", 1, &(weft_stream *){0},  \
                                  NULL, NULL))                                 \
    REFUSED(weft_tls_serve_with(NULL, tls(), handler, NULL, NULL))             \
    REFUSED(weft_tls_serve_with(listener(), NULL, handler, NULL, NULL))        \
    REFUSED(weft_tls_serve_with(listener(), tls(), NULL, NULL, NULL))          \
    REFUSED(weft_tls_info(NULL, &(struct weft_tls_info){0}))                   \
    REFUSED(weft_tls_info(stream(), NULL))                                     \
    ALLOWED(weft_tls_connection_listen_with(                                   \
        NULL, 1, &(weft_connection_listener *){0}, NULL))                      \
    REFUSED(weft_tls_connection_listen_with("127.0.0.1", 1, NULL, NULL))       \
    ALLOWED(weft_tls_connection_listen_with(                                   \
        "127.0.0.1", 1, &(weft_connection_listener *){0}, NULL))               \
    REFUSED(weft_tls_connection_info(NULL, &(struct weft_tls_info){0}))        \
    REFUSED(weft_tls_connection_info(connection(), NULL))                      \
    REFUSED(weft_tls_connection_address(NULL, &(struct weft_address){0}))      \
    REFUSED(weft_tls_connection_address(clistener(), NULL))                    \
    REFUSED(                                                                   \
        weft_tls_connection_open_with(NULL, 1, &(weft_connection *){0}, NULL)) \
    REFUSED(weft_tls_connection_open_with("127.0.0.1", 1, NULL, NULL))         \
    ALLOWED(weft_tls_connection_open_with("127.0.0.1", 1,                      \
                                          &(weft_connection *){0}, NULL))      \
    REFUSED(weft_tls_start_with(tls(), &(weft_stream *){NULL}, NULL))

NULLS_TEST(a_null_is_told, NULL_CALLS)

WEFT_TEST_MAIN("rules.03_nulls_tls")
