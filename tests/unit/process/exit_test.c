// SPDX-License-Identifier: MIT
// What a program says at its exit of pools that it has not closed. Each case is
// a child, whose standard error is read.
#include "jobs.h"

#include <sys/wait.h>

enum kind { THREADS, BLOCKING, PROCESSES, KINDS };

enum way {
    LEFT,    // three jobs are under way
    DONE,    // three jobs were waited for
    CLOSED,  // and the pool was closed
    NONE,    // there was none
    HEARD,   // the program hears of it
    JOINED,  // a thread still waits for the one job
    FORKED,  // it is a child of fork that exits
    RETURNS, // left, and the function returns instead of calling exit
};

struct order {
    enum kind kind;
    enum way way;
};

WEFT_JOB(int, sleep_on, double, seconds)
{
    return weft_sleep(seconds);
}

static weft_executor *open_pool(enum kind kind)
{
    return kind == PROCESSES ? weft_process_pool(.workers = 1, .name = "render")
                             : weft_thread_pool(.workers = 1, .name = "render",
                                                .blocking = kind == BLOCKING);
}

static void hear(int code, const char *text)
{
    fprintf(stderr, "heard %s: %s\n", weft_error_name(code), text);
}

static int wait_for_job(void *pool)
{
    return weft_join(weft_submit(pool, sleep_on, 0.05));
}

static int be_program(void *arg)
{
    struct order order = *(struct order *)arg;
    weft_executor *pool = open_pool(order.kind);
    bool waits = order.way == DONE || order.way == CLOSED;
    bool submits = order.way != NONE && order.way != JOINED;
    for (int i = 0; i < 3 && submits; i++) {
        weft_future *f = weft_submit(pool, sleep_on, waits ? 0 : 1e6);
        if (waits)
            weft_join(f);
        else
            weft_future_unref(f);
    }
    if (order.way == CLOSED)
        weft_executor_close(pool);
    if (order.way == HEARD)
        weft_on_unobserved(hear);
    if (order.way == JOINED)
        weft_future_unref(weft_thread_start(wait_for_job, pool));
    if (order.way == FORKED) {
        pid_t pid = fork();
        int status = -1;
        if (pid == 0)
            exit(5);
        waitpid(pid, &status, 0);
        _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
    }
    if (order.way == RETURNS)
        return 5;
    exit(5);
}

static void expect_words(enum kind kind, enum way way, const char *words)
{
    struct order order = {kind, way};
    struct weft_bytes err;
    struct weft_process_info info = {.size = sizeof info};
    weft_future *f = weft_process_start(be_program, &order, sizeof order,
                                        .err = WEFT_DEV_PIPE);
    weft_process_communicate(f, NULL, 0, NULL, &err);
    weft_process_info(f, &info);
    ck_assert_int_eq(info.exit_code, 5);
    ck_assert_msg(strcmp(err.data, words) == 0, "pool %d, way %d: \"%s\"", kind,
                  way, (char *)err.data);
    weft_bytes_free(&err);
    weft_future_unref(f);
}

#define LOST                                                                   \
    "3 jobs of pool \"render\", which was not closed, are lost: call "         \
    "weft_executor_close()\n"
#define LINE                                                                   \
    "weft: a failure nobody asked for: exit: the job itself was canceled "     \
    "(WEFT_EJOBCANCELED): " LOST

WEFT_TEST(lost_jobs_are_told_of, .timeout = 30)
{
    for (enum kind kind = 0; kind < KINDS; kind++) {
        expect_words(kind, LEFT, LINE);
        expect_words(kind, RETURNS, LINE);
        expect_words(kind, HEARD, "heard WEFT_EJOBCANCELED: " LOST);
    }
}

WEFT_TEST(where_nothing_is_lost_nothing_is_said, .timeout = 30)
{
    for (enum kind kind = 0; kind < KINDS; kind++) {
        for (int i = 0; i < 10; i++)
            expect_words(kind, DONE, "");
        expect_words(kind, CLOSED, "");
        expect_words(kind, NONE, "");
        expect_words(kind, JOINED, "");
        if (!WI_ASAN) // which looks for leaks in a child of fork, too
            expect_words(kind, FORKED, "");
    }
}

WEFT_JOB(int, exit_now, int, status)
{
    exit(status);
}

static int exit_from_job(void *arg)
{
    weft_executor *pool = open_pool(*(enum kind *)arg);
    weft_join(weft_submit(pool, exit_now, 5));
    return 1;
}

// The job that calls exit is not lost.
WEFT_TEST(a_job_that_exits, .timeout = 30)
{
    for (enum kind kind = THREADS; kind <= BLOCKING; kind++) {
        struct weft_bytes err;
        struct weft_process_info info = {.size = sizeof info};
        weft_future *f = weft_process_start(exit_from_job, &kind, sizeof kind,
                                            .err = WEFT_DEV_PIPE);
        weft_process_communicate(f, NULL, 0, NULL, &err);
        weft_process_info(f, &info);
        ck_assert_int_eq(info.exit_code, 5);
        ck_assert_str_eq(err.data, "");
        weft_bytes_free(&err);
        weft_future_unref(f);
    }
}

static int run_on(void *arg)
{
    (void)arg;
    return weft_sleep(1e6);
}

static int wait_for_process(void *arg)
{
    (void)arg;
    return weft_join(weft_process_start(run_on, NULL, 0));
}

static int end_at_once(void *arg)
{
    (void)arg;
    return 0;
}

static void exit_when_done(weft_future *f, void *arg)
{
    (void)f;
    (void)arg;
    exit(5);
}

// The callback runs where the end of the other process would be seen.
static int exit_from_callback(void *arg)
{
    (void)arg;
    weft_future_unref(weft_thread_start(wait_for_process, NULL));
    weft_future *f = weft_process_start(end_at_once, NULL, 0);
    weft_future_on_done(f, exit_when_done, NULL);
    weft_sleep(1e6);
    return 1;
}

WEFT_TEST(a_callback_exits_while_a_thread_waits_for_a_process, .timeout = 30)
{
    struct weft_process_info info = {.size = sizeof info};
    weft_future *f = weft_process_start(exit_from_callback, NULL, 0);

    weft_wait(&f, 1, WEFT_ALL_COMPLETED, weft_test_seconds(10));
    weft_process_info(f, &info);
    ck_assert_int_eq(info.exit_code, 5);
    weft_cancel(f);
    weft_get_into(f, NULL, 0);
    weft_future_unref(f);
}

WEFT_TEST_MAIN("pools at exit")
