// SPDX-License-Identifier: MIT
// Futures, promises, waiting for many, deadlocks.
#include "case.h"

static weft_promise *promise;

static weft_future *promised(void)
{
    promise = weft_promise_new(.name = "case");
    return weft_promise_future(promise);
}

static void keep(void)
{
    long value = 42, out = 0;
    short wrong = 5;
    weft_future *f = promised();

    CHECK(!weft_done(f));
    CODE(weft_future_code(f), -EAGAIN);
    CODE(weft_promise_keep(promise, 3, &value, sizeof value, "said"), 0);
    CODE(weft_future_code(f), 3);
    CODE(weft_get(f, &wrong), -WEFT_ETYPE);
    CHECK(wrong == 5);
    CODE(weft_get(f, &out), 3);
    CHECK(out == 42);
    CODE(weft_result(f, &out), 3);
}

static void failing(void)
{
    weft_future *f = promised();

    CODE(weft_promise_keep(promise, -EIO, NULL, 0, "no disk"), 0);
    CHECK(strstr(weft_future_text(f), "no disk"));
    CODE(weft_join(f), -EIO);
    f = promised();
    weft_promise_drop(promise);
    CODE(weft_join(f), -WEFT_EABANDONED);
}

static void canceled(void)
{
    weft_future *f = promised();

    CODE(weft_cancel(f), 0);
    CODE(weft_promise_keep(promise, 0, NULL, 0, NULL), -EALREADY);
    CODE(weft_cancel(f), -EALREADY);
    CODE(weft_join(f), -WEFT_EJOBCANCELED);
}

static void two_ends(void)
{
    weft_future *f = promised(), *kept = weft_future_ref(f);
    {
        WEFT_TIMEOUT(0.0005);
        CODE(weft_get_into(f, NULL, 0), -ETIMEDOUT);
        CHECK(!weft_done(f));
        CODE(weft_join(f), -ETIMEDOUT);
    }
    CODE(weft_promise_keep(promise, 0, NULL, 0, NULL), -EALREADY);
    CODE(weft_join(kept), -WEFT_EJOBCANCELED);
}

static int keep_later(void *arg)
{
    weft_sleep(0.0005);
    return weft_promise_keep(arg, 0, NULL, 0, NULL);
}

static void from_elsewhere(void)
{
    weft_future *f = promised();
    weft_future *keeper = weft_thread_start(keep_later, promise);

    CODE(weft_join(f), 0);
    CODE(weft_join(keeper), 0);
    f = promised();
    keeper = weft_task_start(keep_later, promise);
    CODE(weft_join(f), 0);
    CODE(weft_join(keeper), 0);
}

static void called(weft_future *f, void *arg)
{
    CHECK(weft_done(f));
    count(arg);
}

static void callbacks(void)
{
    int calls = 0;
    weft_future *f = promised();

    CODE(weft_future_on_done(f, called, &calls), 0);
    CODE(weft_promise_keep(promise, 0, NULL, 0, NULL), 0);
    CHECK(calls == 1);
    CODE(weft_future_on_done(f, called, &calls), 0);
    CHECK(calls == 2);
    weft_future_unref(f);
}

static int reports;

static void report(int code, const char *text)
{
    (void)text;
    reports += code == -EIO;
}

static void unobserved(void)
{
    weft_future *f = promised();

    reports = 0;
    weft_on_unobserved(report);
    weft_promise_keep(promise, -EIO, NULL, 0, NULL);
    weft_future_unref(f);
    CHECK(reports == 1);
    f = promised();
    weft_promise_keep(promise, -EIO, NULL, 0, NULL);
    CODE(weft_join(f), -EIO);
    CHECK(reports == 1);
    weft_on_unobserved(NULL);
}

static void ids(void)
{
    weft_future *f = promised();
    weft_future *again = weft_future_open(weft_future_id(f));

    CHECK(weft_future_id(f) != 0);
    CHECK(weft_future_id(f) == weft_future_id(again));
    weft_promise_keep(promise, 8, NULL, 0, NULL);
    CODE(weft_join(again), 8);
    CODE(weft_join(f), 8);
    CODE(weft_join(weft_future_open(UINT64_MAX - 3)), -ESRCH);
}

static void waits(void)
{
    weft_future *set[] = {promised(), weft_task_start(give, number(1)),
                          weft_thread_start(give, number(2))};

    CODE(weft_wait(set + 1, 2, WEFT_ALL_COMPLETED, INFINITY), 2);
    CODE(weft_wait(set, 3, WEFT_ALL_COMPLETED, 0), 2);
    CODE(weft_wait(set, 3, WEFT_ALL_COMPLETED, 0.0005), 2);
    CODE(weft_wait(set, 3, WEFT_FIRST_COMPLETED, INFINITY), 2);
    CODE(weft_wait(set, 1, WEFT_FIRST_FAILED, 0), 0);
    CODE(weft_wait(set, 0, WEFT_ALL_COMPLETED, INFINITY), 0);
    weft_promise_keep(promise, -EIO, NULL, 0, NULL);
    CODE(weft_wait(set, 3, WEFT_FIRST_FAILED, INFINITY), 3);
    CODE(weft_gather_into(set, 3, NULL, 0, NULL), -EIO);
}

static void as_completed(void)
{
    weft_future *set[] = {promised(), weft_task_start(give, number(1))};
    weft_as_completed *it = weft_as_completed_open(set, 2);

    CODE(weft_as_completed_next(it), 1);
    weft_promise_keep(promise, 0, NULL, 0, NULL);
    CODE(weft_as_completed_next(it), 0);
    CODE(weft_as_completed_next(it), -ENOENT);
    weft_as_completed_close(it);
    weft_join(set[0]);
    weft_join(set[1]);
}

static void gathers(void)
{
    weft_future *set[3];
    int out[3] = {0};

    for (int i = 0; i < 3; i++) {
        set[i] = promised();
        weft_promise_keep(promise, 0, &i, sizeof i, NULL);
    }
    CODE(weft_gather(set, 3, out), 0);
    CHECK(out[0] == 0 && out[1] == 1 && out[2] == 2);
}

// Deadlocks -------------------------------------------------------------------

static weft_future *ring[3];
static int told, all_there;

static int wait_for_next(void *arg)
{
    int me = (int)(intptr_t)arg;

    while (!load(&all_there))
        weft_yield();
    int rc = weft_get_into(ring[(me + 1) % 3], NULL, 0);
    if (rc == -WEFT_EDEADLOCK)
        count(&told);
    return 20 + me;
}

static void deadlocks(void)
{
    told = all_there = 0;
    for (int i = 0; i < 3; i++)
        ring[i] = i == 1 ? weft_thread_start(wait_for_next, number(i))
                         : weft_task_start(wait_for_next, number(i));
    count(&all_there);
    CODE(weft_wait(ring, 3, WEFT_ALL_COMPLETED, 1000), 3);
    CHECK(load(&told) == 1);
    for (int i = 0; i < 3; i++)
        CODE(weft_join(ring[i]), 20 + i);
}

const struct conformance_case futures_cases[] = {
    {"promise kept", keep},
    {"promise failed", failing},
    {"promise canceled", canceled},
    {"two ends of a wait", two_ends},
    {"kept elsewhere", from_elsewhere},
    {"callbacks", callbacks},
    {"unobserved", unobserved},
    {"ids", ids},
    {"wait", waits},
    {"as completed", as_completed},
    {"gather", gathers},
    {"would deadlock", deadlocks},
    {NULL, NULL}};
