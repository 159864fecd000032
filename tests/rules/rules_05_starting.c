// SPDX-License-Identifier: MIT
// Rule 5: starting never returns NULL: a failed start is a failed future. A
// future carries a code, result bytes and a text.
#include "kit.h"

#include <sys/resource.h>

// A start that fails for a reason of the caller's, or of the system's.
KIT_BOTH(a_failed_start_is_a_failed_future)
{
    unsigned cpu = 1000000;
    weft_future *f =
        weft_thread_start(kit_never, NULL, .cpus = &cpu, .cpu_count = 1);

    ck_assert_ptr_nonnull(f);
    ck_assert(weft_done(f));
    kit_assert_code(weft_future_code(f), -EINVAL);
    kit_assert_code(weft_get_into(f, NULL, 0), -EINVAL);
    ck_assert_int_eq(weft_wait(&f, 1, WEFT_ALL_COMPLETED, INFINITY), 1);
    kit_assert_code(weft_cancel(f), -EALREADY);
    kit_assert_code(weft_join(f), -EINVAL);
}

WEFT_JOB(long, same, long, x)
{
    return x;
}

static const struct weft_job not_a_job = {.name = "without the magic"};

KIT_BOTH(a_submit_that_fails_is_a_failed_future)
{
    long x = 1;
    weft_executor *ex = weft_thread_pool(.workers = 1);
    weft_future *f = weft_submit_job(ex, &not_a_job, &x);

    ck_assert_ptr_nonnull(f);
    kit_assert_code(weft_join(f), -WEFT_ENOJOB);
    kit_assert_code(weft_executor_close(ex), 0);
}

// One immortal future for ENOMEM ----------------------------------------------

static void limit_memory(int on)
{
    struct rlimit limit;

    ck_assert_int_eq(getrlimit(RLIMIT_AS, &limit), 0);
    limit.rlim_cur = on ? 1 << 20 : limit.rlim_max; // less than is in use
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
}

#define MOST 3000000

static int drops;

static weft_future *start_until_enomem(void)
{
    weft_future *f;

    limit_memory(1);
    for (int i = 0; i < MOST; i++) {
        f = weft_task_start(kit_return, &drops, .drop = kit_count_drop);
        if (f == NULL || weft_done(f))
            break;
        weft_future_unref(f);
    }
    limit_memory(0);
    return f;
}

KIT_TASK(without_memory_there_is_still_a_future, .timeout = 60)
{
    if (KIT_SANITIZED)
        weft_test_skip("a sanitizer needs its address space");
    weft_future *f = start_until_enomem();
    ck_assert_ptr_nonnull(f);
    ck_assert(weft_done(f));
    ck_assert_int_eq(drops, 1);
    // It may be used as any other, as often as one likes.
    for (int i = 0; i < 5; i++)
        weft_future_ref(f);
    for (int i = 0; i < 5; i++)
        kit_assert_code(weft_join(f), -ENOMEM);
    kit_assert_code(weft_get_into(f, NULL, 0), -ENOMEM);
    kit_assert_code(weft_cancel(f), -EALREADY);
    ck_assert_int_eq(weft_wait(&f, 1, WEFT_ALL_COMPLETED, 0), 1);
    ck_assert_ptr_nonnull(weft_future_text(f));
    weft_future_unref(f);
}

// What a future carries -------------------------------------------------------

KIT_BOTH(a_future_carries_code_result_and_text)
{
    weft_promise *p = weft_promise_new();
    weft_future *f = weft_promise_future(p);
    char bytes[3] = {1, 2, 3}, out[3] = {0};

    kit_assert_code(weft_promise_keep(p, 17, bytes, 3, "seventeen"), 0);
    kit_assert_code(weft_get_into(f, out, 3), 17);
    ck_assert_int_eq(memcmp(out, bytes, 3), 0);
    kit_assert_code(weft_join(f), 17);
}

WEFT_JOB(int, fail_here)
{
    weft_fail(-EXDEV, "moved from %s to %s", "here", "there");
    return 0;
}

// The text says which job it was.
KIT_BOTH(the_text_of_a_failed_job_names_it)
{
    weft_executor *ex = weft_thread_pool(.workers = 1);
    weft_future *f = weft_submit(ex, fail_here);

    kit_assert_code(weft_get_into(f, NULL, 0), -EXDEV);
    ck_assert_ptr_nonnull(
        strstr(weft_future_text(f), "moved from here to there"));
    ck_assert_ptr_nonnull(strstr(weft_future_text(f), "fail_here"));
    weft_future_unref(f);
    kit_assert_code(weft_executor_close(ex), 0);
}

WEFT_TEST_MAIN("rule 5")
