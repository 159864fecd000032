// SPDX-License-Identifier: MIT
//
// A manager whose process has no memory for what a client needs: whoever cannot
// be served is closed, a call that cannot be answered is told so, and the
// others never hear of it.
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>

#include <weft.h>

#define WEFT_TEST_ENTRY() weft_main_hook()
#include "faults.h"
#include "kit.h"

enum { MOST = 40 }; // allocations that a client and its call may need

static void *counter_new(const void *arg, size_t size)
{
    (void)arg;
    (void)size;
    return calloc(1, sizeof(long));
}

WEFT_JOB(long, count)
{
    long *counter = weft_manager_state();
    return ++*counter;
}

struct faults {
    long at, length;
};

// The n-th allocation from here on fails, and so many; none if n < 0.
WEFT_JOB(int, arm, struct faults, f)
{
    faults_arm(f.at < 0 ? 0 : FAULT_MEMORY, f.at, f.length);
    return 0;
}

static long call_count(weft_manager *m)
{
    long n = -1;
    int rc = weft_result(weft_manager_call(m, count), &n);
    return rc < 0 ? rc : n;
}

static void call_arm(weft_manager *m, long at, long length)
{
    int rc, nothing;
    do // its own answer may be what there is no memory for
        rc = weft_result(weft_manager_call(m, arm, at, length), &nothing);
    while (rc == -ENOMEM && at < 0);
    ck_assert_msg(rc == 0 || rc == -ENOMEM, "arm: %s", weft_strerror(rc));
}

// A client that is no manager's handle.
static weft_connection *dial(weft_manager *m)
{
    struct weft_manager_ref ref = weft_manager_ref(m);
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    weft_connection *c;
    int n = snprintf(
        at.sun_path + 1, sizeof at.sun_path - 1, "weft-manager-%016llx%016llx",
        (unsigned long long)ref.id[0], (unsigned long long)ref.id[1]);
    socklen_t size =
        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1) + (socklen_t)n;
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&at, size), 0);
    kit_assert_code(weft_connection_adopt(fd, &c), 0);
    return c;
}

// What it sends is no call: it is closed for that, unless it was before. The
// client before is still there, and has used what memory is kept for one.
static void let_in(weft_manager *m, weft_connection **c)
{
    char byte;
    *c = dial(m);
    WEFT_TIMEOUT(10);
    weft_connection_send(*c, "junk", 4);
    kit_assert_code(weft_connection_receive(*c, &byte, 1), -WEFT_ECLOSED);
}

static void let_in_without(long length)
{
    weft_manager *m = weft_manager_start(counter_new, NULL, 0);
    weft_connection *idle[MOST], *c;
    long n = 0;
    for (long at = 0; at < MOST; at++) {
        call_arm(m, at, length);
        idle[at] = dial(m);
        let_in(m, &c);
        weft_connection_close(c);
        long rc = call_count(m);
        ck_assert_msg(rc == n + 1 || rc == -ENOMEM, "%s",
                      weft_strerror((int)rc));
        call_arm(m, -1, 0);
        n = call_count(m);
        ck_assert_int_gt(n, 0);
    }
    for (long at = 0; at < MOST; at++)
        weft_connection_close(idle[at]);
    kit_assert_code(weft_manager_close(m), 0);
}

WEFT_TEST(an_allocation_that_fails, .timeout = 60)
{
    let_in_without(1);
}

WEFT_TEST(several_allocations_that_fail, .timeout = 60)
{
    let_in_without(5);
}

WEFT_TEST_MAIN("manager")
