// SPDX-License-Identifier: MIT
// The producer side: a future that the program itself completes.
#include "kit.h"

#include <weft/job.h>

KIT_BOTH(a_kept_promise_gives_code_and_result)
{
    weft_promise *p = weft_promise_new(.name = "answer");
    weft_future *f = weft_promise_future(p);
    long answer = 42, out = 0;

    ck_assert(!weft_done(f));
    kit_assert_code(weft_promise_keep(p, 3, &answer, sizeof answer, NULL), 0);
    answer = 0; // it was copied
    ck_assert(weft_done(f));
    kit_assert_code(weft_get(f, &out), 3);
    ck_assert_int_eq(out, 42);
    out = 0;
    kit_assert_code(weft_result(f, &out), 3);
    ck_assert_int_eq(out, 42);
}

KIT_BOTH(a_large_result_is_copied_whole)
{
    static char in[100000], out[100000];
    weft_promise *p = weft_promise_new();
    weft_future *f = weft_promise_future(p);

    for (size_t i = 0; i < sizeof in; i++)
        in[i] = (char)(i * 7);
    kit_assert_code(weft_promise_keep(p, 0, in, sizeof in, NULL), 0);
    kit_assert_code(weft_result(f, &out), 0);
    ck_assert(!memcmp(in, out, sizeof in));
}

KIT_BOTH(another_size_is_etype_and_touches_nothing)
{
    weft_promise *p = weft_promise_new();
    weft_future *f = weft_promise_future(p);
    long answer = 42, right = 0;
    short wrong = 7;

    kit_assert_code(weft_promise_keep(p, 0, &answer, sizeof answer, NULL), 0);
    kit_assert_code(weft_get(f, &wrong), -WEFT_ETYPE);
    ck_assert_int_eq(wrong, 7);
    kit_assert_code(weft_get(f, &right), 0);
    ck_assert_int_eq(right, 42);
    kit_assert_code(weft_get_into(f, NULL, 0), 0);
    kit_assert_code(weft_result(f, &wrong), -WEFT_ETYPE);
    ck_assert_int_eq(wrong, 7);
}

KIT_BOTH(a_failed_promise_has_code_and_text)
{
    weft_promise *p = weft_promise_new();
    weft_future *f = weft_promise_future(p);
    char said[] = "no route";
    long out = 7;

    kit_assert_code(weft_promise_keep(p, -ENETDOWN, NULL, 0, said), 0);
    memset(said, 'x', sizeof said - 1); // it was copied
    kit_assert_code(weft_get(f, &out), -ENETDOWN);
    ck_assert_int_eq(out, 7);
    ck_assert_ptr_nonnull(strstr(weft_future_text(f), "no route"));
    weft_future_unref(f);
}

KIT_BOTH(an_end_of_the_keepers_wait_is_none_of_the_waiters)
{
    static const int codes[][2] = {{-ETIMEDOUT, -WEFT_EJOBTIMEOUT},
                                   {-ECANCELED, -WEFT_EJOBCANCELED}};

    for (size_t i = 0; i < 2; i++) {
        weft_promise *p = weft_promise_new();
        weft_future *f = weft_promise_future(p);

        kit_assert_code(weft_promise_keep(p, codes[i][0], NULL, 0, NULL), 0);
        kit_assert_code(weft_join(f), codes[i][1]);
    }
}

KIT_BOTH(each_call_for_the_future_is_one_more_handle)
{
    weft_promise *p = weft_promise_new();
    weft_future *a = weft_promise_future(p), *b = weft_promise_future(p);

    ck_assert_uint_eq(weft_future_id(a), weft_future_id(b));
    kit_assert_code(weft_promise_keep(p, 1, NULL, 0, NULL), 0);
    kit_assert_code(weft_join(a), 1);
    kit_assert_code(weft_join(b), 1);
}

KIT_BOTH(a_dropped_promise_is_abandoned)
{
    weft_promise *p = weft_promise_new();
    weft_future *f = weft_promise_future(p);

    weft_promise_drop(p);
    kit_assert_code(weft_join(f), -WEFT_EABANDONED);
    weft_promise_drop(NULL);
}

KIT_BOTH(on_cancel_is_called_once_inline)
{
    int calls = 0;
    weft_promise *p =
        weft_promise_new(.on_cancel = kit_count_drop, .arg = &calls);
    weft_future *f = weft_promise_future(p);

    kit_assert_code(weft_cancel(f), 0);
    ck_assert_int_eq(calls, 1);
    weft_cancel(f);
    ck_assert_int_eq(calls, 1);
    kit_assert_code(weft_promise_keep(p, 0, NULL, 0, NULL), -EALREADY);
    kit_assert_code(weft_join(f), -WEFT_EJOBCANCELED);
    ck_assert_int_eq(calls, 1);
}

KIT_BOTH(on_cancel_is_not_called_for_a_kept_promise)
{
    int calls = 0;
    weft_promise *p =
        weft_promise_new(.on_cancel = kit_count_drop, .arg = &calls);
    weft_future *f = weft_promise_future(p);

    kit_assert_code(weft_promise_keep(p, 0, NULL, 0, NULL), 0);
    kit_assert_code(weft_cancel(f), -EALREADY);
    kit_assert_code(weft_join(f), 0);
    ck_assert_int_eq(calls, 0);
}

static int keep_it(void *arg)
{
    long value = 5;
    return weft_promise_keep(arg, 0, &value, sizeof value, NULL);
}

static void keep_from(weft_future *(*start)(weft_promise *p))
{
    weft_promise *p = weft_promise_new();
    weft_future *f = weft_promise_future(p);
    weft_future *keeper = start(p);
    long value = 0;

    kit_assert_code(weft_result(f, &value), 0);
    ck_assert_int_eq(value, 5);
    kit_assert_code(weft_join(keeper), 0);
}

static weft_future *keep_in_thread(weft_promise *p)
{
    return weft_thread_start(keep_it, p);
}

static weft_future *keep_in_task(weft_promise *p)
{
    return weft_task_start(keep_it, p);
}

KIT_BOTH(threads_and_tasks_keep_promises)
{
    for (int i = 0; i < 50; i++) {
        keep_from(keep_in_thread);
        keep_from(keep_in_task);
    }
}

struct race {
    weft_promise *promise;
    weft_future *future;
    int kept;
};

static int race_keep(void *arg)
{
    struct race *race = arg;
    race->kept = weft_promise_keep(race->promise, 1, NULL, 0, NULL);
    return 0;
}

static int race_cancel(void *arg)
{
    struct race *race = arg;
    weft_cancel(race->future);
    return 0;
}

// Either the keeper or the canceller wins; what keep says and what the future
// says agree.
static void race_once(void)
{
    struct race race = {.promise = weft_promise_new()};
    race.future = weft_promise_future(race.promise);
    weft_future *both[] = {weft_thread_start(race_keep, &race),
                           weft_thread_start(race_cancel, &race)};

    kit_assert_code(weft_gather_into(both, 2, NULL, 0, NULL), 0);
    if (race.kept == 0)
        kit_assert_code(weft_join(race.future), 1);
    else {
        kit_assert_code(race.kept, -EALREADY);
        kit_assert_code(weft_join(race.future), -WEFT_EJOBCANCELED);
    }
}

WEFT_TEST(keep_and_cancel_race, .timeout = 20)
{
    for (int i = 0; i < 300; i++)
        race_once();
}

// Two that complete each other when they are canceled, at once.
struct one_of_two {
    weft_promise *other;
    int *inside;
};

static void keep_other(void *arg)
{
    struct one_of_two *one = arg;
    kit_count(one->inside);
    // Both are in here before either goes on, if both were canceled in time.
    for (int i = 0; i < 1000 && kit_load(one->inside) < 2; i++)
        sched_yield();
    weft_promise_keep(one->other, 0, NULL, 0, NULL);
}

static int cancel_it(void *future)
{
    weft_cancel(future);
    return 0;
}

WEFT_TEST(promises_that_complete_each_other, .timeout = 30)
{
    int both = 0;
    for (int i = 0; i < 200; i++) {
        int inside = 0;
        struct one_of_two a = {.inside = &inside}, b = {.inside = &inside};
        weft_promise *pa = weft_promise_new(.on_cancel = keep_other, .arg = &a);
        weft_promise *pb = weft_promise_new(.on_cancel = keep_other, .arg = &b);
        a.other = pb;
        b.other = pa;
        weft_future *fa = weft_promise_future(pa);
        weft_future *fb = weft_promise_future(pb);
        weft_future *f = weft_thread_start(cancel_it, fa);
        weft_cancel(fb);
        weft_join(f);
        both += inside == 2;
        ck_assert(weft_done(fa) && weft_done(fb));
        // If only one on_cancel ran, its own promise was not given back.
        if (inside < 2)
            weft_promise_drop(weft_future_code(fa) == 0 ? pb : pa);
        weft_future_unref(fa);
        weft_future_unref(fb);
    }
    ck_assert_int_gt(both, 0);
}

WEFT_TEST_MAIN("promise")
