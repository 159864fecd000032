// SPDX-License-Identifier: MIT
//
// The end of a group against the last touches of its children.
#include <weft/weft.h>

#include "weft_test.h"

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

// A child on another thread leaves at the moment of the close.
static int close_at_once(void *arg)
{
    (void)arg;
    for (int i = 0; i < 5000; i++) {
        weft_group *g = weft_group_open();
        weft_future *f = weft_thread_start(nothing, NULL, .group = g);
        while (!weft_done(f))
            ;
        weft_future_unref(f);
        ck_assert_int_eq(weft_group_close(g), 0);
    }
    return 0;
}

WEFT_TEST(foreign_child_leaves_last, .timeout = 30)
{
    ck_assert_int_eq(weft_run(close_at_once, NULL), 0);
}

WEFT_TEST_MAIN("group_end")
