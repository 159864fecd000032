// SPDX-License-Identifier: MIT
// As many tasks asleep as one may think of, within the limits of any user.
#include "kit.h"

#include <stdio.h>

static unsigned asleep, most_asleep, woken;

static int sleep_and_count(void *arg)
{
    double *until = arg;
    asleep++;
    most_asleep = asleep > most_asleep ? asleep : most_asleep;
    int rc = weft_sleep(*until - weft_now());
    asleep--;
    woken += rc == 0;
    return rc;
}

// They sleep until the last one has been started, and a little longer.
static int start_sleepers(void *arg)
{
    unsigned count = *(unsigned *)arg;
    double until = INFINITY;
    weft_group *group = weft_group_open();
    for (unsigned i = 0; i < count; i++) {
        weft_future *f = weft_task_start(sleep_and_count, &until);
        if (i % 1000 == 999 || i + 1 == count)
            while (asleep <= i) // and so none is queued for long
                weft_yield();
        weft_future_unref(f);
    }
    ck_assert_uint_eq(most_asleep, count);
    weft_group_cancel(group);
    weft_group_close(group);
    ck_assert_uint_eq(asleep, 0);

    until = weft_now() + count * 2e-5;
    group = weft_group_open();
    for (unsigned i = 0; i < count; i++)
        weft_future_unref(weft_task_start(sleep_and_count, &until));
    kit_assert_code(weft_group_close(group), 0);
    ck_assert_uint_eq(woken, count);
    ck_assert(weft_now() >= until);
    return 0;
}

static void run_sleepers(unsigned count)
{
    kit_assert_code(weft_run(start_sleepers, &count, .stack_size = 65536), 0);
    ck_assert_int_lt(weft_test_count_mappings(), 5000);
}

WEFT_TEST(fifty_thousand_sleepers, .timeout = 60)
{
    run_sleepers(KIT_SANITIZED ? 2000 : 50000);
}

WEFT_TEST(a_million_sleepers, .timeout = 300)
{
    if (!getenv("WEFT_STRESS") || KIT_SANITIZED != 0)
        weft_test_skip("needs WEFT_STRESS=1 and 5 GB");
    run_sleepers(1000000);
}

WEFT_TEST_MAIN("million")
