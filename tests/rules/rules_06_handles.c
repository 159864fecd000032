// SPDX-License-Identifier: MIT
// Rule 6: join and result wait, hand over and release; get keeps the handle; a
// size mismatch is -WEFT_ETYPE; the waiter's end and the job's own are never
// confused; a join that gave up asks to cancel and drops the reference.
#include "kit.h"

WEFT_JOB(long, square, long, x)
{
    return x * x;
}

WEFT_JOB(int, block)
{
    weft_sleep(INFINITY);
    return 1;
}

static weft_executor *ex;

// The same for a task, a thread and a job.
typedef weft_future *starter(void);

static weft_future *a_task(void)
{
    return weft_task_start(kit_block, NULL);
}

static weft_future *a_thread(void)
{
    return weft_thread_start(kit_block, NULL);
}

static weft_future *a_promise(void)
{
    static weft_promise *p;
    p = weft_promise_new();
    return weft_promise_future(p);
}

static starter *const kinds[] = {a_task, a_thread, a_promise};
#define KINDS (sizeof kinds / sizeof *kinds)

KIT_BOTH(join_and_result_release_and_get_keeps)
{
    long out = 0;

    ex = weft_thread_pool(.workers = 1);
    weft_future *f = weft_submit(ex, square, 5);
    weft_future *other = weft_future_ref(f);
    for (int i = 0; i < 10; i++)
        kit_assert_code(weft_get(f, &out), 0);
    kit_assert_code(weft_result(f, &out), 0); // one handle less
    ck_assert_int_eq(out, 25);
    kit_assert_code(weft_join(other), 0); // and the last
    kit_assert_code(weft_executor_close(ex), 0);
}

KIT_BOTH(a_size_mismatch_is_etype)
{
    char out[3] = "ab";

    ex = weft_thread_pool(.workers = 1);
    kit_assert_code(weft_result(weft_submit(ex, square, 5), &out), -WEFT_ETYPE);
    ck_assert_str_eq(out, "ab");
    kit_assert_code(weft_executor_close(ex), 0);
}

KIT_BOTH(the_waiters_deadline_is_etimedout_the_jobs_is_its_own)
{
    for (size_t i = 0; i < KINDS; i++) {
        weft_future *f = kinds[i](), *kept = weft_future_ref(f);
        {
            WEFT_TIMEOUT(0.001);
            kit_assert_code(weft_get_into(kept, NULL, 0), -ETIMEDOUT);
        }
        ck_assert(!weft_done(f)); // get does not cancel
        {
            WEFT_TIMEOUT(0.001);
            kit_assert_code(weft_join(f), -ETIMEDOUT);
        }
        kit_assert_code(weft_join(kept), -WEFT_EJOBCANCELED); // join does
    }
}

static weft_future *waited_for;

static int join_it(void *arg)
{
    kit_count(arg);
    return weft_join(waited_for) == -ECANCELED ? 9 : -EIO;
}

KIT_BOTH(the_waiters_cancel_is_ecanceled_the_jobs_is_its_own)
{
    for (size_t i = 0; i < KINDS; i++) {
        int joining = 0;
        waited_for = kinds[i]();
        weft_future *kept = weft_future_ref(waited_for);
        weft_future *joiner = weft_thread_start(join_it, &joining);
        kit_await(&joining, 1);
        kit_assert_code(weft_cancel(joiner), 0);
        kit_assert_code(weft_join(joiner), 9);
        kit_assert_code(weft_join(kept), -WEFT_EJOBCANCELED);
    }
}

KIT_BOTH(what_was_canceled_itself_says_ejobcanceled)
{
    for (size_t i = 0; i < KINDS; i++) {
        weft_future *f = kinds[i]();
        kit_assert_code(weft_cancel(f), 0);
        kit_assert_code(weft_join(f), -WEFT_EJOBCANCELED);
    }
}

KIT_BOTH(what_overran_itself_says_ejobtimeout)
{
    ex = weft_thread_pool(.workers = 1);
    kit_assert_code(weft_join(weft_submit(
                        weft_executor_with(ex, .deadline = 0.001), block)),
                    -WEFT_EJOBTIMEOUT);
    kit_assert_code(weft_executor_close(ex), 0);
}

// Both at once: the waiter's own end comes first.
KIT_BOTH(a_waiter_in_an_ended_scope_learns_nothing_of_the_job)
{
    weft_future *f = weft_task_start(kit_return, kit_number(3));

    ck_assert_int_eq(weft_wait(&f, 1, WEFT_ALL_COMPLETED, INFINITY), 1);
    WEFT_TIMEOUT(0);
    kit_assert_code(weft_get_into(f, NULL, 0), -ETIMEDOUT);
    kit_assert_code(weft_future_code(f), 3);
    kit_assert_code(weft_join(f), -ETIMEDOUT);
}

static int started, ended;

static int end_later(void *arg)
{
    kit_count(&started);
    weft_sleep(INFINITY);
    WEFT_SHIELD(weft_test_seconds(30));
    for (int i = 0; i < 5; i++)
        kit_assert_code(weft_sleep(0.0005), 0);
    return kit_count(arg);
}

KIT_BOTH(its_group_still_joins_what_a_join_gave_up)
{
    weft_group *g = weft_group_open();
    weft_future *f = weft_task_start(end_later, &ended);

    kit_await(&started, 1);
    {
        WEFT_TIMEOUT(0.001);
        kit_assert_code(weft_join(f), -ETIMEDOUT);
    }
    kit_assert_code(weft_group_close(g), 0);
    ck_assert_int_eq(ended, 1);
}

WEFT_TEST_MAIN("rule 6")
