// SPDX-License-Identifier: MIT
//
// Promises that hang on each other.
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

WEFT_TEST_MAIN("cancel_chain")
