// SPDX-License-Identifier: MIT
// then, all, any, race: outcomes, contexts, cancel in both directions, and that
// nothing is left on futures that live long.
#include "kit.h"

#include <pthread.h>
#include <stdio.h>

static weft_promise *promise[8];
static weft_future *future[8];

static void make(int n)
{
    for (int i = 0; i < n; i++) {
        promise[i] = weft_promise_new();
        future[i] = weft_promise_future(promise[i]);
    }
}

static void keep(int i, int code)
{
    long x = i;
    weft_promise_keep(promise[i], code, &x, sizeof x, code < 0 ? "lost" : NULL);
    promise[i] = NULL;
}

static void give_back(int n)
{
    for (int i = 0; i < n; i++) {
        if (promise[i] != NULL)
            keep(i, 0);
        weft_future_code(future[i]);
        weft_future_unref(future[i]);
    }
}

KIT_BOTH(all_waits_for_all)
{
    make(3);
    weft_future *all = weft_all(future, 3);
    keep(2, 0);
    keep(0, 0);
    ck_assert(!weft_done(all));
    keep(1, 5);
    kit_assert_code(weft_join(all), 0);
    kit_assert_code(weft_join(weft_all(future, 3)), 0);
    kit_assert_code(weft_join(weft_all(NULL, 0)), 0);
    give_back(3);
}

KIT_BOTH(all_ends_with_the_first_failure)
{
    make(3);
    weft_future *all = weft_all(future, 3);
    keep(1, -EDOM);
    ck_assert(weft_done(all));
    ck_assert_str_eq(weft_future_text(all), "lost");
    kit_assert_code(weft_join(all), -EDOM);
    ck_assert(!weft_done(future[0]));
    keep(0, -EIO);
    give_back(3);
}

KIT_BOTH(any_wants_a_success)
{
    make(3);
    weft_future *any = weft_any(future, 3);
    keep(0, -EDOM);
    ck_assert(!weft_done(any));
    keep(2, 0);
    kit_assert_code(weft_join(any), 2);
    kit_assert_code(weft_join(weft_any(future, 3)), 2);
    any = weft_any(future, 1);
    kit_assert_code(weft_join(any), -EDOM);
    kit_assert_code(weft_join(weft_any(future, 0)), -EINVAL);
    give_back(3);
}

KIT_BOTH(race_takes_the_first)
{
    make(3);
    weft_future *race = weft_race(future, 3), *again = weft_race(future, 3);
    keep(1, -EDOM);
    kit_assert_code(weft_join(race), -EDOM);
    keep(0, 0);
    kit_assert_code(weft_join(again), -EDOM);
    weft_future *reversed[] = {future[2], future[0]};
    kit_assert_code(weft_join(weft_race(reversed, 2)), 1);
    give_back(3);
}

KIT_BOTH(the_rest_is_canceled_if_asked)
{
    make(3);
    weft_future *any = weft_any(future, 3, .cancel_rest = true);
    keep(1, 0);
    kit_assert_code(weft_join(any), 1);
    kit_assert_code(weft_future_code(future[0]), -WEFT_EJOBCANCELED);
    kit_assert_code(weft_future_code(future[2]), -WEFT_EJOBCANCELED);
    give_back(3);
}

KIT_BOTH(canceling_a_combination_cancels_what_it_waits_for)
{
    make(4);
    weft_future *one = weft_race(future, 1), *all = weft_all(future + 1, 3);
    kit_assert_code(weft_cancel(all), 0);
    kit_assert_code(weft_join(all), -WEFT_EJOBCANCELED);
    ck_assert(!weft_done(future[0]));
    kit_assert_code(weft_cancel(one), 0);
    kit_assert_code(weft_join(one), -WEFT_EJOBCANCELED);
    for (int i = 0; i < 4; i++)
        kit_assert_code(weft_future_code(future[i]), -WEFT_EJOBCANCELED);
    give_back(4);
}

KIT_BOTH(one_future_may_stand_twice)
{
    make(1);
    weft_future *twice[] = {future[0], future[0]};
    weft_future *all = weft_all(twice, 2), *race = weft_race(twice, 2);
    keep(0, 0);
    kit_assert_code(weft_join(all), 0);
    kit_assert_code(weft_join(race), 0);
    give_back(1);
}

// Many races against a future that never ends; their memory must go before it
// does, which the leak checker cannot see: so the resident memory is looked at.
static long resident_pages(void)
{
    long size, resident = 0;
    FILE *in = fopen("/proc/self/statm", "re");
    if (in == NULL || fscanf(in, "%ld %ld", &size, &resident) != 2)
        resident = 0;
    if (in != NULL)
        fclose(in);
    return resident;
}

WEFT_TEST(races_leave_nothing_on_what_goes_on)
{
    long before = 0;
    make(1);
    for (int i = 0; i < 200000; i++) {
        weft_promise *p = weft_promise_new();
        weft_future *set[] = {future[0], weft_promise_future(p)};
        weft_future *race = weft_race(set, 2);
        weft_promise_keep(p, 0, NULL, 0, NULL);
        if (weft_join(race) != 1)
            ck_abort_msg("another one won");
        weft_future_unref(set[1]);
        if (i == 20000)
            before = resident_pages();
    }
    if (!KIT_SANITIZED)
        ck_assert_int_lt(resident_pages(), before + 1000);
    give_back(1);
}

// then ------------------------------------------------------------------------

static pthread_t ran_in;
static int calls;

static int add_ten(weft_future *f, void *result, void *arg)
{
    long x = 0;
    int rc = weft_get(f, &x);
    ran_in = pthread_self();
    kit_count(&calls);
    ck_assert_int_eq(*(long *)result, 0);
    *(long *)result = x + 10;
    return rc < 0 ? (int)(intptr_t)arg : 0;
}

WEFT_JOB(long, number, long, x)
{
    return x;
}

KIT_BOTH(then_runs_inline_in_who_completes)
{
    long out = 0;
    make(2);
    calls = 0;
    weft_future *f =
        weft_then(future[1], add_ten, NULL, .result_size = sizeof out);
    weft_future *g = weft_then(f, add_ten, NULL, .result_size = sizeof out);
    ck_assert(!weft_done(g) && calls == 0);
    keep(1, 0);
    ck_assert(weft_done(g) && calls == 2);
    ck_assert(pthread_equal(ran_in, pthread_self()));
    kit_assert_code(weft_result(f, &out), 0);
    ck_assert_int_eq(out, 11);
    kit_assert_code(weft_result(g, &out), 0);
    ck_assert_int_eq(out, 21);
    f = weft_then(future[1], add_ten, NULL, .result_size = sizeof out);
    ck_assert(weft_done(f));
    kit_assert_code(weft_join(f), 0);
    give_back(2);
}

static int ask_for_result(weft_future *f, void *result, void *arg)
{
    (void)f;
    *(bool *)arg = result != NULL;
    return 0;
}

KIT_BOTH(then_has_a_result_only_if_it_was_asked_for)
{
    bool has = true;
    make(1);
    keep(0, 0);
    kit_assert_code(weft_join(weft_then(future[0], ask_for_result, &has)), 0);
    ck_assert(!has);
    kit_assert_code(
        weft_join(weft_then(future[0], ask_for_result, &has, .result_size = 1)),
        0);
    ck_assert(has);
    give_back(1);
}

KIT_BOTH(then_runs_as_a_job)
{
    weft_executor *ex = weft_thread_pool(.workers = 2);
    long out = 0;
    make(2);
    weft_future *f = weft_then(future[1], add_ten, NULL, .executor = ex,
                               .result_size = sizeof out);
    keep(1, 0);
    kit_assert_code(weft_result(f, &out), 0);
    ck_assert_int_eq(out, 11);
    ck_assert(!pthread_equal(ran_in, pthread_self()));
    give_back(2);
    weft_executor_close(ex);
}

KIT_BOTH(then_passes_failures_on)
{
    make(2);
    calls = 0;
    weft_future *f =
        weft_then(future[0], add_ten, NULL, .result_size = sizeof(long));
    weft_future *always =
        weft_then(future[0], add_ten, kit_number(-EIO),
                  .result_size = sizeof(long), .always = true);
    keep(0, -EDOM);
    ck_assert_str_eq(weft_future_text(f), "lost");
    kit_assert_code(weft_join(f), -EDOM);
    kit_assert_code(weft_join(always), -EIO);
    ck_assert_int_eq(calls, 1);
    give_back(2);
}

KIT_BOTH(canceling_then_cancels_what_comes_before)
{
    make(1);
    weft_future *f = weft_then(future[0], add_ten, NULL);
    weft_future *g = weft_then(f, add_ten, NULL);
    kit_assert_code(weft_cancel(g), 0);
    kit_assert_code(weft_join(g), -WEFT_EJOBCANCELED);
    kit_assert_code(weft_join(f), -WEFT_EJOBCANCELED);
    kit_assert_code(weft_future_code(future[0]), -WEFT_EJOBCANCELED);
    give_back(1);
}

static int block_then(weft_future *f, void *result, void *arg)
{
    (void)f;
    (void)result;
    return kit_count_and_block(arg);
}

KIT_BOTH(canceling_then_cancels_its_job, .timeout = 30)
{
    weft_executor *ex = weft_thread_pool(.workers = 1);
    int begun = 0;
    make(1);
    weft_future *f = weft_then(future[0], block_then, &begun, .executor = ex);
    keep(0, 0);
    kit_await(&begun, 1);
    kit_assert_code(weft_cancel(f), 0);
    kit_assert_code(weft_join(f), -WEFT_EJOBCANCELED);
    give_back(1);
    weft_executor_close(ex);
}

WEFT_TEST(then_ends_when_its_job_cannot_run)
{
    weft_executor *none = weft_thread_pool(.stack_size = (size_t)1 << 40);
    weft_executor *processes = weft_process_pool(.workers = 1);
    make(2);
    keep(0, 0);
    kit_assert_code(
        weft_join(weft_then(future[0], add_ten, NULL, .executor = none)),
        -EINVAL);
    kit_assert_code(
        weft_join(weft_then(future[0], add_ten, NULL, .executor = processes)),
        -ENOTSUP);
    give_back(2);
    weft_executor_close(none);
    weft_executor_close(processes);
}

// Storm -----------------------------------------------------------------------

static int keep_in_thread(void *arg)
{
    weft_promise_keep(arg, 0, NULL, 0, NULL);
    return 0;
}

static int nothing(weft_future *f, void *result, void *arg)
{
    (void)f;
    (void)result;
    (void)arg;
    return 0;
}

// The inline executor has run the job before its submitter goes on.
WEFT_TEST(a_job_that_is_faster_leaves_nothing, .timeout = 30)
{
    long before = 0;
    weft_executor *ex = weft_inline_executor();
    for (int i = 0; i < 60000; i++) {
        weft_promise *p = weft_promise_new();
        weft_future *f = weft_promise_future(p);
        weft_future *then = weft_then(f, nothing, NULL, .executor = ex);
        weft_promise_keep(p, 0, NULL, 0, NULL);
        kit_assert_code(weft_join(then), 0);
        weft_future_unref(f);
        if (i == 10000)
            before = resident_pages();
    }
    if (!KIT_SANITIZED)
        ck_assert_int_lt(resident_pages(), before + 1000);
    weft_executor_close(ex);
}

WEFT_TEST(completers_and_cancels_meet, .timeout = 60)
{
    weft_executor *ex = weft_thread_pool(.workers = 3);
    for (int turn = 0; turn < 300; turn++) {
        weft_future *set[4], *threads[4];
        weft_promise *p[4];
        for (int i = 0; i < 4; i++) {
            p[i] = weft_promise_new();
            set[i] = weft_promise_future(p[i]);
        }
        weft_future *all = weft_all(set, 4);
        weft_future *race = weft_race(set, 4, .cancel_rest = turn % 2 == 0);
        weft_future *then = weft_then(race, add_ten, NULL, .always = true,
                                      .executor = turn % 3 ? ex : NULL,
                                      .result_size = sizeof(long));
        for (int i = 0; i < 4; i++)
            threads[i] = weft_thread_start(keep_in_thread, p[i]);
        if (turn % 5 == 0)
            weft_cancel(then);
        weft_join(then);
        weft_join(race);
        weft_join(all);
        for (int i = 0; i < 4; i++) {
            kit_assert_code(weft_join(threads[i]), 0);
            weft_join(set[i]);
        }
    }
    weft_executor_close(ex);
}

// Two promises, kept at one moment by two threads.
struct both {
    weft_promise *first, *second;
    int codes[2];
    int ready;
};

static int keep_second(void *arg)
{
    struct both *b = arg;
    kit_count(&b->ready);
    while (kit_load(&b->ready) < 2)
        continue;
    return weft_promise_keep(b->second, b->codes[1], NULL, 0, NULL);
}

typedef weft_future *combine_with(weft_future *const *set, size_t n,
                                  const struct weft_combine_options *options);

static int keep_both(combine_with *with, int first, int second)
{
    struct both b = {
        weft_promise_new(), weft_promise_new(), {first, second}, 0};
    weft_future *set[2] = {weft_promise_future(b.first),
                           weft_promise_future(b.second)};
    weft_future *f = with(set, 2, NULL);
    weft_future *thread = weft_thread_start(keep_second, &b);
    kit_count(&b.ready);
    while (kit_load(&b.ready) < 2)
        continue;
    weft_promise_keep(b.first, first, NULL, 0, NULL);
    kit_assert_code(weft_join(thread), 0);
    weft_future_unref(set[0]);
    weft_future_unref(set[1]);
    return weft_join(f);
}

WEFT_TEST(no_input_decides_by_coming_last, .timeout = 60)
{
    for (int i = 0; i < 150; i++) {
        kit_assert_code(keep_both(weft_all_with, -EIO, 0), -EIO);
        kit_assert_code(keep_both(weft_any_with, -EIO, 0), 1);
        kit_assert_code(keep_both(weft_any_with, 0, -EIO), 0);
        kit_assert_code(keep_both(weft_all_with, 0, -EIO), -EIO);
    }
}

WEFT_TEST_MAIN("combine")
