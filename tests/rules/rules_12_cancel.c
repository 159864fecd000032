// SPDX-License-Identifier: MIT
// Rule 12: cancel is level-triggered until its scope is left; every blocking
// call tests cancel and deadline first, even if it need not block; joining the
// children of a group is never ended by them; nothing is lost by a canceled
// wait. (Locks come with a later issue.)
#include "kit.h"

#include <netinet/in.h>
#include <sys/socket.h>

// Blocking calls, each in a situation in which it need not block --------------

static struct {
    int fds[2], server, client;
    struct sockaddr_in addr;
    weft_executor *pool;
    weft_future *done;
} ready;

WEFT_JOB(long, same, long, x)
{
    return x;
}

static long call_sleep(void)
{
    return weft_sleep(0);
}

static long call_yield(void)
{
    return weft_yield();
}

static long call_check(void)
{
    return weft_check();
}

static long call_park(void)
{
    weft_unpark(weft_self());
    return weft_park(INFINITY);
}

static long call_join(void)
{
    return weft_join(weft_future_ref(ready.done));
}

static long call_get(void)
{
    return weft_get_into(ready.done, NULL, 0);
}

static long call_result(void)
{
    return weft_result_into(weft_future_ref(ready.done), NULL, 0);
}

static long call_wait(void)
{
    return weft_wait(&ready.done, 1, WEFT_ALL_COMPLETED, 0);
}

static long call_gather(void)
{
    weft_future *f = weft_future_ref(ready.done);
    return weft_gather_into(&f, 1, NULL, 0, NULL);
}

static long call_as_completed(void)
{
    weft_as_completed *it = weft_as_completed_open(&ready.done, 1);
    long rc = weft_as_completed_next(it);
    weft_as_completed_close(it);
    return rc;
}

static long call_map(void)
{
    long in = 1, out;
    return weft_map(ready.pool, same, &in, 1, &out);
}

static long call_fd_wait(void)
{
    return weft_fd_wait(ready.fds[1], WEFT_WRITABLE);
}

static long call_read(void)
{
    char c;
    return weft_read(ready.fds[0], &c, 1);
}

static long call_write(void)
{
    return weft_write(ready.fds[1], "x", 1);
}

static long call_write_all(void)
{
    return weft_write_all(ready.fds[1], "x", 1);
}

static long call_accept(void)
{
    return weft_accept(ready.server, NULL, NULL);
}

static long call_connect(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    long rc =
        weft_connect(fd, (struct sockaddr *)&ready.addr, sizeof ready.addr);
    weft_close(fd);
    return rc;
}

static const struct {
    const char *name;
    long (*call)(void);
} calls[] = {
    {"weft_sleep", call_sleep},
    {"weft_yield", call_yield},
    {"weft_check", call_check},
    {"weft_park", call_park},
    {"weft_join", call_join},
    {"weft_get", call_get},
    {"weft_result", call_result},
    {"weft_wait", call_wait},
    {"weft_gather", call_gather},
    {"weft_as_completed", call_as_completed},
    {"weft_map", call_map},
    {"weft_fd_wait", call_fd_wait},
    {"weft_read", call_read},
    {"weft_write", call_write},
    {"weft_write_all", call_write_all},
    {"weft_accept", call_accept},
    {"weft_connect", call_connect},
};
#define CALLS (sizeof calls / sizeof *calls)

static void get_ready(void)
{
    socklen_t len = sizeof ready.addr;

    ck_assert_int_eq(pipe(ready.fds), 0);
    ck_assert_int_eq(write(ready.fds[1], "abc", 3), 3);
    ready.server = socket(AF_INET, SOCK_STREAM, 0);
    ready.addr = (struct sockaddr_in){.sin_family = AF_INET};
    ready.addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ck_assert_int_eq(bind(ready.server, (struct sockaddr *)&ready.addr, len),
                     0);
    ck_assert_int_eq(listen(ready.server, 8), 0);
    getsockname(ready.server, (struct sockaddr *)&ready.addr, &len);
    ready.client = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(connect(ready.client, (struct sockaddr *)&ready.addr,
                             sizeof ready.addr),
                     0);
    ready.pool = weft_thread_pool(.workers = 1);
    ready.done = weft_task_start(kit_return, kit_number(1));
    ck_assert_int_eq(weft_wait(&ready.done, 1, WEFT_ALL_COMPLETED, INFINITY),
                     1);
}

static void check_all(int want)
{
    for (size_t i = 0; i < CALLS; i++) {
        long rc = calls[i].call();
        ck_assert_msg(rc == want, "%s: %ld (%s), not %s", calls[i].name, rc,
                      weft_error_name((int)rc), weft_error_name(want));
    }
}

// Nothing was taken by the calls that were turned away: three bytes and one
// connection are still there, and all calls work.
static void check_nothing_lost(void)
{
    char text[8] = "";

    kit_assert_code(weft_read(ready.fds[0], text, 7), 3);
    ck_assert_str_eq(text, "abc");
    int fd = weft_accept(ready.server, NULL, NULL);
    ck_assert_int_ge(fd, 0);
    weft_close(fd);
    for (size_t i = 0; i < CALLS; i++)
        if (calls[i].call != call_read && calls[i].call != call_accept) {
            long rc = calls[i].call();
            ck_assert_msg(rc >= 0 || rc == -ETIMEDOUT, "%s: %ld (%s)",
                          calls[i].name, rc, weft_error_name((int)rc));
        }
    weft_join(ready.done);
    kit_assert_code(weft_executor_close(ready.pool), 0);
}

KIT_BOTH(every_blocking_call_tests_cancel_first, .timeout = 20)
{
    get_ready();
    weft_group *g = weft_group_open();
    weft_group_cancel(g);
    check_all(-ECANCELED);
    check_all(-ECANCELED); // level-triggered
    weft_group_close(g);
    check_nothing_lost(); // as before
}

KIT_BOTH(every_blocking_call_tests_the_deadline_first, .timeout = 20)
{
    get_ready();
    {
        WEFT_TIMEOUT(0);
        check_all(-ETIMEDOUT);
        check_all(-ETIMEDOUT);
    }
    check_nothing_lost();
}

KIT_BOTH(cancel_wins_over_timeout, .timeout = 20)
{
    get_ready();
    weft_group *g = weft_group_open();
    weft_group_cancel(g);
    {
        WEFT_TIMEOUT(0);
        check_all(-ECANCELED);
    }
    weft_group_close(g);
    check_nothing_lost();
}

// Calls that do block ---------------------------------------------------------

static int entered;
static struct kit_gate closed;

static int blocked_in_sleep(void)
{
    return weft_sleep(INFINITY);
}

static int blocked_in_get(void)
{
    return kit_gate_wait(&closed);
}

static int blocked_in_wait(void)
{
    return weft_wait(&closed.future, 1, WEFT_FIRST_COMPLETED, INFINITY);
}

static int blocked_in_read(void)
{
    char c;
    int fds[2];

    ck_assert_int_eq(pipe(fds), 0);
    ssize_t rc = weft_read(fds[0], &c, 1);
    weft_close(fds[0]);
    weft_close(fds[1]);
    return (int)rc;
}

static int blocked_in_park(void)
{
    int rc;

    while ((rc = weft_park(INFINITY)) == 0)
        continue;
    return rc;
}

static int (*const blocking[])(void) = {blocked_in_sleep, blocked_in_get,
                                        blocked_in_wait, blocked_in_read,
                                        blocked_in_park};
#define BLOCKING (sizeof blocking / sizeof *blocking)

static int block_twice(void *arg)
{
    int (*call)(void) = blocking[(intptr_t)arg];

    kit_count(&entered);
    kit_assert_code(call(), -ECANCELED);
    kit_assert_code(call(), -ECANCELED);
    return 7;
}

KIT_BOTH(a_request_ends_every_wait_and_those_that_follow, .timeout = 20)
{
    weft_future *fs[2 * BLOCKING];

    closed = kit_gate_new();
    for (size_t i = 0; i < BLOCKING; i++) {
        fs[2 * i] = weft_task_start(block_twice, kit_number((long)i));
        fs[2 * i + 1] = weft_thread_start(block_twice, kit_number((long)i));
    }
    kit_await(&entered, 2 * BLOCKING);
    for (size_t i = 0; i < 2 * BLOCKING; i++)
        kit_assert_code(weft_cancel(fs[i]), 0);
    for (size_t i = 0; i < 2 * BLOCKING; i++)
        kit_assert_code(weft_join(fs[i]), 7);
    kit_gate_free(&closed);
}

static int leave_the_scope(void *arg)
{
    (void)arg;
    weft_group *g = weft_group_open();
    kit_count(&entered);
    weft_group_cancel(g);
    for (int i = 0; i < 5; i++)
        kit_assert_code(weft_sleep(1), -ECANCELED);
    weft_group_close(g);
    kit_assert_code(weft_sleep(0.0001), 0); // as before
    return 8;
}

KIT_BOTH(after_its_scope_the_task_is_as_before)
{
    kit_assert_code(weft_join(weft_task_start(leave_the_scope, NULL)), 8);
    kit_assert_code(weft_join(weft_thread_start(leave_the_scope, NULL)), 8);
}

// What is never ended ---------------------------------------------------------

static int ended;

static int end_slowly(void *arg)
{
    kit_count(&entered);
    weft_sleep(INFINITY);
    WEFT_SHIELD(weft_test_seconds(30));
    for (int i = 0; i < 10; i++)
        kit_assert_code(weft_sleep(0.0005), 0);
    return kit_count(arg);
}

static int close_canceled(void *arg)
{
    weft_group *g = weft_group_open();

    (void)arg;
    weft_future_unref(weft_task_start(end_slowly, &ended));
    weft_future_unref(weft_thread_start(end_slowly, &ended, .group = g));
    kit_await(&entered, 2);
    kit_count(&entered);
    weft_group_close(g);
    ck_assert_int_eq(kit_load(&ended), 2);
    return 6;
}

KIT_BOTH(cancel_never_ends_the_close_of_a_group)
{
    weft_future *f = weft_task_start(close_canceled, NULL);

    kit_await(&entered, 3);
    kit_assert_code(weft_cancel(f), 0);
    kit_assert_code(weft_join(f), 6);
}

KIT_BOTH(a_deadline_never_ends_the_close_of_a_group)
{
    WEFT_TIMEOUT(0.002);
    weft_group *g = weft_group_open();
    weft_future_unref(weft_task_start(end_slowly, &ended));
    weft_future_unref(weft_thread_start(end_slowly, &ended, .group = g));
    while (kit_load(&entered) < 2) {
        WEFT_SHIELD(INFINITY);
        weft_yield();
    }
    weft_group_close(g);
    ck_assert_int_eq(kit_load(&ended), 2);
}

// Nothing is lost -------------------------------------------------------------

// Readers with short deadlines on a pipe: every byte comes to one of them.
static int read_with_deadlines(void *arg)
{
    int have = 0;

    for (int i = 0; kit_load(arg) < 500; i++) {
        char c;
        WEFT_TIMEOUT((double)(i % 3) * 1e-4);
        if (weft_read(ready.fds[0], &c, 1) == 1) {
            have++;
            kit_count(arg);
        }
    }
    return have;
}

KIT_BOTH(a_canceled_read_takes_nothing, .timeout = 30)
{
    weft_future *readers[4];
    int read = 0, sum = 0;

    ck_assert_int_eq(pipe(ready.fds), 0);
    for (int i = 0; i < 4; i++)
        readers[i] = i % 2 ? weft_task_start(read_with_deadlines, &read)
                           : weft_thread_start(read_with_deadlines, &read);
    for (int i = 0; i < 500; i++) {
        ck_assert_int_eq(write(ready.fds[1], "x", 1), 1);
        if (i % 5 == 0)
            kit_assert_code(weft_sleep(0.0001), 0);
    }
    for (int i = 0; i < 4; i++)
        sum += weft_join(readers[i]);
    ck_assert_int_eq(sum, 500);
}

WEFT_TEST_MAIN("rule 12")
