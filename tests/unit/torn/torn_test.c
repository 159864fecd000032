// SPDX-License-Identifier: MIT
// That the library's calls do go by torn.c, and the test's own do not.
#include "../net/net_test.h"

#include "torn.h"

KIT_BOTH(calls_are_torn)
{
    static char much[100000];
    weft_stream *pair[2];
    int fds[2];

    unsigned before = torn_count();

    for (int i = 0; i < 30; i++) { // one call of four
        stream_socket_pair(pair);
        struct peer p = {.stream = pair[0], .text = much, .size = sizeof(much)};
        peer_start(&p);
        ck_assert_int_eq(weft_stream_skip(pair[1], sizeof(much)), sizeof(much));
        peer_join(&p);
        stream_close_both(pair);
    }
    ck_assert_uint_gt(torn_count(), before);

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    before = torn_count();
    for (int i = 0; i < 100; i++) {
        ck_assert_int_eq(send(fds[0], much, 100, 0), 100);
        ck_assert_int_eq(recv(fds[1], much, 100, MSG_WAITALL), 100);
    }
    ck_assert_uint_eq(torn_count(), before);
    close(fds[0]);
    close(fds[1]);
}

WEFT_TEST_MAIN("torn")
