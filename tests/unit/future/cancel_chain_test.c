// SPDX-License-Identifier: MIT
//
// Promises that hang on each other.
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include <weft/weft.h>

#include "weft_test.h"

static weft_future *source;
static weft_promise *derived;

static void cancel_source(void *arg)
{
    (void)arg;
    weft_cancel(source);
}

static void keep_derived(weft_future *f, void *arg)
{
    (void)arg;
    weft_promise_keep(derived, weft_future_code(f), NULL, 0, NULL);
}

// What a `then` is made of: the derived promise passes its cancel on to its
// source, whose end keeps the derived one, all inside the first cancel.
WEFT_TEST(source_ends_inside_the_cancel)
{
    weft_promise *p = weft_promise_new();
    source = weft_promise_future(p);
    derived = weft_promise_new(.on_cancel = cancel_source);
    weft_future *f = weft_promise_future(derived);
    weft_future_on_done(source, keep_derived, NULL);
    ck_assert_int_eq(weft_cancel(f), 0);
    ck_assert_int_eq(weft_future_code(f), -WEFT_EJOBCANCELED);
    weft_promise_drop(p);
    weft_future_unref(source);
    weft_future_unref(f);
}

// Two futures that are made of a promise each, canceled at once: when both
// cancels are under way, each of them keeps the other's promise.
struct crossed {
    pthread_barrier_t both_cancel;
    weft_promise *promise[2];
    weft_future *made[2];
};

struct side {
    struct crossed *of;
    int me;
};

static void keep_the_others(void *arg)
{
    struct side *side = arg;
    pthread_barrier_wait(&side->of->both_cancel);
    weft_promise_keep(side->of->promise[!side->me], -EIO, NULL, 0, NULL);
}

static int cancel_mine(void *arg)
{
    struct side *side = arg;
    return weft_cancel(side->of->made[side->me]);
}

static int pass_on(weft_future *f, void *result, void *arg)
{
    (void)result;
    (void)arg;
    return weft_future_code(f);
}

static weft_future *make(const char *how, weft_future *f)
{
    return strcmp(how, "all") == 0   ? weft_all(&f, 1)
           : strcmp(how, "any") == 0 ? weft_any(&f, 1)
           : strcmp(how, "race") == 0
               ? weft_race(&f, 1)
               : weft_then(f, pass_on, NULL, .always = true);
}

static void cross(const char *how)
{
    struct crossed c;
    struct side side[2] = {{&c, 0}, {&c, 1}};
    weft_future *thread[2], *from[2];
    pthread_barrier_init(&c.both_cancel, NULL, 2);
    for (int i = 0; i < 2; i++) {
        c.promise[i] =
            weft_promise_new(.on_cancel = keep_the_others, .arg = &side[i]);
        from[i] = weft_promise_future(c.promise[i]);
        c.made[i] = make(how, from[i]);
    }
    for (int i = 0; i < 2; i++)
        thread[i] = weft_thread_start(cancel_mine, &side[i]);
    for (int i = 0; i < 2; i++) {
        ck_assert_msg(weft_join(thread[i]) == 0, "%s", how);
        ck_assert_int_lt(weft_join(c.made[i]), 0);
        weft_future_unref(from[i]);
    }
    pthread_barrier_destroy(&c.both_cancel);
}

WEFT_TEST(cancels_that_complete_each_other_do_not_wait)
{
    cross("all");
    cross("any");
    cross("race");
    cross("then");
}

WEFT_TEST_MAIN("cancel_chain")
