// SPDX-License-Identifier: MIT
//
// What the two directions of a connection do to each other, what a call leaves
// behind, and the reason that it gives.
#include "link.h"

#include "os/last_errno.h"

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

KIT_BOTH(errno_is_left_alone, .timeout = 20)
{
    struct link l;

    configure();
    connect_sides(&l);
    errno = 99;
    say(l.client, "one");
    ck_assert_int_eq(errno, 99);
    hear(l.server.stream, "one");
    ck_assert_int_eq(errno, 99);
    ck_assert_uint_eq(weft_stream_buffered(l.server.stream), 0);
    ck_assert_int_eq(errno, 99);
    kit_assert_code(weft_stream_shutdown(l.client), 0);
    ck_assert_int_eq(errno, 99);
    close_link(&l);
    ck_assert_int_eq(errno, 99);
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

// Jobs that change their thread -----------------------------------------------

static uint32_t occupied, leave, begun, behind, through;

static void tell(uint32_t *word)
{
    __atomic_store_n(word, 1, __ATOMIC_RELEASE);
}

static bool compute_until(const uint32_t *word)
{
    double end = weft_now() + weft_test_seconds(10);

    while (!__atomic_load_n(word, __ATOMIC_ACQUIRE))
        if (weft_now() > end)
            return false;
    return true;
}

WEFT_JOB(bool, occupy)
{
    tell(&occupied);
    return compute_until(&leave);
}

static weft_stream *roaming;

WEFT_JOB(bool, shake_hands_and_roam)
{
    tell(&begun);
    wi_os_set_errno(77);
    int rc = weft_tls_start(client_tls, &roaming, .host = "here.test");
    bool whole = rc == 0 && wi_os_errno() == 77;
    tell(&through);
    return whole;
}

WEFT_JOB(bool, keep_errno)
{
    wi_os_set_errno(55);
    tell(&behind);
    return compute_until(&through) && wi_os_errno() == 55;
}

// The job begins on a thread that computes when it goes on, on another one.
WEFT_TEST(errno_of_a_thread_that_was_left_is_anothers, .timeout = 30)
{
    weft_executor *ex = weft_thread_pool(.workers = 2);
    bool first = false, second = false, third = false;
    weft_stream *pair[2];

    configure();
    kit_assert_code(weft_stream_pair(pair), 0);
    roaming = pair[0];
    weft_future *one = weft_submit(ex, occupy);
    ck_assert(compute_until(&occupied));
    weft_future *two = weft_submit(weft_executor_with(ex, .migrate = true),
                                   shake_hands_and_roam);
    ck_assert(compute_until(&begun));
    weft_future *three = weft_submit(ex, keep_errno);
    ck_assert(compute_until(&behind)); // so the job waits
    tell(&leave);
    kit_assert_code(weft_tls_start(server_tls, &pair[1]), 0);
    kit_assert_code(weft_result(one, &first), 0);
    kit_assert_code(weft_result(two, &second), 0);
    kit_assert_code(weft_result(three, &third), 0);
    ck_assert(first && second);
    ck_assert_msg(third, "the thread that was left has another errno");
    kit_assert_code(weft_stream_close(roaming), 0);
    kit_assert_code(weft_stream_close(pair[1]), 0);
    weft_executor_close(ex);
    give_back();
}

WEFT_TEST_MAIN("sides")
