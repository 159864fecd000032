// SPDX-License-Identifier: MIT
// Workers and children of another build: what is found there by its name, and
// what is refused. The other build is other_build.c.
#include "jobs.h"

#include "build.h"

WEFT_JOB(long, as_ever, long, x)
{
    return x;
}

struct two {
    long first, second;
};

WEFT_JOB(long, longer, struct two, x)
{
    return x.first + x.second;
}

WEFT_JOB_VERSION(1, long, revised, long, x)
{
    return x;
}

WEFT_JOB(long, absent, long, x)
{
    return x;
}

static weft_executor *pool_of_others(void)
{
    return weft_process_pool(.workers = 1, .program = OTHER_BUILD);
}

WEFT_TEST(jobs_are_found_by_their_names)
{
    weft_executor *pool = pool_of_others();
    long in[] = {1, 2, 3}, out[3];
    expect_long(weft_submit(pool, as_ever, 5), OTHER + 5);
    ck_assert_int_eq(weft_map(pool, as_ever, in, 3, out), 0);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(out[i], OTHER + in[i]);
    weft_executor_close(pool);
}

WEFT_TEST(another_job_of_the_name_is_refused)
{
    weft_executor *pool = pool_of_others();
    expect_text(weft_submit(pool, longer, .first = 1), -WEFT_ENOJOB, "longer");
    expect_text(weft_submit(pool, revised, 1), -WEFT_ENOJOB, "revised");
    expect_text(weft_submit(pool, absent, 1), -WEFT_ENOJOB, "absent");
    expect_long(weft_submit(pool, as_ever, 6), OTHER + 6); // it goes on
    weft_executor_close(pool);
    // Within this build all of them run.
    pool = weft_process_pool(.workers = 1);
    expect_long(weft_submit(pool, longer, .first = 1, .second = 2), 3);
    expect_long(weft_submit(pool, revised, 7), 7);
    weft_executor_close(pool);
}

static int some_function(void *arg)
{
    (void)arg;
    return 3;
}

static int some_initializer(void *arg)
{
    (void)arg;
    return 0;
}

WEFT_TEST(functions_are_those_of_a_build)
{
    expect_text(
        weft_process_start(some_function, NULL, 0, .program = OTHER_BUILD),
        -WEFT_ENOJOB, "function");
    expect_text(weft_process_start(some_function, NULL, 0,
                                   .program = OTHER_BUILD,
                                   .start = WEFT_START_ZYGOTE),
                -WEFT_ENOJOB, "function");
    weft_executor *pool =
        weft_process_pool(.workers = 1, .program = OTHER_BUILD,
                          .initializer = some_initializer);
    expect_text(weft_submit(pool, as_ever, 1), -WEFT_EBROKEN, "initializer");
    weft_executor_close(pool);
}

WEFT_TEST_MAIN("another build")
