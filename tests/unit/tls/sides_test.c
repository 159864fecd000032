// SPDX-License-Identifier: MIT
//
// What the two directions of a connection do to each other, and the reason that a
// failure gives.
#include "link.h"

static weft_tls *client_tls, *server_tls;

static void configure(void)
{
    authority_begin();
    authority_issue("server", "DNS:here.test", -1, 10, 0);
    client_tls = client_config();
    server_tls = server_config("server");
}

static void give_back(void)
{
    weft_tls_unref(client_tls);
    weft_tls_unref(server_tls);
}

static void connect_sides(struct link *l)
{
    connect_in_memory(l, client_tls, server_tls, "here.test");
    ck_assert_msg(l->code == 0, "%s", l->why);
    kit_assert_code(l->server.code, 0);
}

static char much[300000];

// A peer that has heard enough reads no more, and says so.
KIT_BOTH(a_write_that_a_deadline_has_ended_is_not_in_the_way, .timeout = 20)
{
    struct link l;

    configure();
    connect_sides(&l);
    {
        WEFT_TIMEOUT(0.01);
        kit_assert_code(weft_stream_write(l.client, much, sizeof(much)),
                        -ETIMEDOUT);
    }
    say(l.server.stream, "enough");
    {
        WEFT_TIMEOUT(weft_test_seconds(5));
        hear(l.client, "enough");
    }
    kit_assert_code(weft_stream_abort(l.server.stream), 0);
    kit_assert_code(weft_stream_close(l.client), 0);
    give_back();
}

// A peer that has gone, but not without a word.
KIT_BOTH(a_write_that_has_failed_is_not_in_the_way, .timeout = 20)
{
    struct link l;

    configure();
    connect_sides(&l);
    say(l.server.stream, "enough");
    kit_assert_code(weft_stream_close(l.server.stream), 0);
    kit_assert_code(weft_stream_write(l.client, much, sizeof(much)), -EPIPE);
    hear(l.client, "enough");
    hear_end(l.client);
    kit_assert_code(weft_stream_close(l.client), 0);
    give_back();
}

// Reasons ---------------------------------------------------------------------

// Whatever stood there before.
KIT_BOTH(every_failure_has_its_reason, .timeout = 20)
{
    struct weft_tls_options options = {.size = sizeof(options)};
    weft_stream *stream, *pair[2];
    weft_tls *tls;
    char why[100];

    configure();
    memset(why, '?', sizeof(why));
    kit_assert_code(weft_tls_connect(client_tls, "127.0.0.1", 1, &stream,
                                     .why = why, .why_size = sizeof(why)),
                    -ECONNREFUSED);
    ck_assert_str_eq(why, weft_strerror(-ECONNREFUSED));
    kit_assert_code(weft_stream_pair(pair), 0);
    memset(why, '?', sizeof(why));
    {
        WEFT_TIMEOUT(0);
        kit_assert_code(weft_tls_start(client_tls, &pair[0],
                                       .host = "here.test", .why = why,
                                       .why_size = sizeof(why)),
                        -ETIMEDOUT);
    }
    ck_assert_str_eq(why, weft_strerror(-ETIMEDOUT));
    stream_close_both(pair);
    memset(why, '?', sizeof(why));
    kit_assert_code(weft_tls_server_with(&tls, &options, why, sizeof(why)),
                    -EINVAL);
    ck_assert_str_eq(why, "a server needs a certificate");
    give_back();
}

WEFT_TEST_MAIN("sides")
