// SPDX-License-Identifier: MIT
// Rule 8: a future crosses processes by its id; a local future in the worker
// is completed by the parent; mutual waits across processes are seen by the
// parent, which tells exactly one of them.
#define WEFT_TEST_ENTRY() weft_main_hook()
#include "kit.h"

static weft_executor *pool;

static void open_pool(unsigned workers)
{
    pool = weft_process_pool(.workers = workers);
}

static void close_pool(void)
{
    kit_assert_code(weft_executor_close(pool), 0);
}

struct answer {
    int code;
    long value;
    char text[100];
};

// Waits in a worker process for the future of the parent with this id.
WEFT_JOB(struct answer, wait_for_id, uint64_t, id)
{
    struct answer answer = {.value = -1};
    weft_future *f = weft_future_open(id);

    answer.code = weft_get(f, &answer.value);
    strncpy(answer.text, weft_future_text(f), sizeof answer.text - 1);
    weft_future_unref(f);
    return answer;
}

KIT_BOTH(a_worker_waits_for_a_future_of_the_parent, .timeout = 20)
{
    weft_promise *p = weft_promise_new();
    weft_future *f = weft_promise_future(p);
    struct answer answer;
    long value = 42;

    open_pool(1);
    weft_future *job = weft_submit(pool, wait_for_id, weft_future_id(f));
    ck_assert_int_eq(weft_wait(&job, 1, WEFT_ALL_COMPLETED, 0.01), 0);
    kit_assert_code(weft_promise_keep(p, 3, &value, sizeof value, NULL), 0);
    kit_assert_code(weft_result(job, &answer), 0);
    kit_assert_code(answer.code, 3);
    ck_assert_int_eq(answer.value, 42);
    kit_assert_code(weft_join(f), 3);
    close_pool();
}

KIT_BOTH(a_worker_opens_what_is_done_already, .timeout = 20)
{
    weft_promise *p = weft_promise_new();
    weft_future *f = weft_promise_future(p);
    uint64_t id = weft_future_id(f);
    struct answer answer;

    kit_assert_code(weft_promise_keep(p, -EIO, NULL, 0, "the disk is gone"), 0);
    open_pool(1);
    kit_assert_code(weft_result(weft_submit(pool, wait_for_id, id), &answer),
                    0);
    kit_assert_code(answer.code, -EIO);
    ck_assert_ptr_nonnull(strstr(answer.text, "the disk is gone"));
    kit_assert_code(weft_join(f), -EIO);
    close_pool();
}

KIT_BOTH(a_worker_hears_of_a_cancel, .timeout = 20)
{
    struct kit_gate gate = kit_gate_new();
    struct answer answer;

    open_pool(1);
    weft_future *job =
        weft_submit(pool, wait_for_id, weft_future_id(gate.future));
    kit_assert_code(weft_cancel(gate.future), 0);
    weft_promise_drop(gate.promise);
    kit_assert_code(weft_result(job, &answer), 0);
    kit_assert_code(answer.code, -WEFT_EJOBCANCELED);
    weft_future_unref(gate.future);
    close_pool();
}

KIT_BOTH(an_unknown_id_is_esrch, .timeout = 20)
{
    struct answer answer;

    open_pool(1);
    kit_assert_code(
        weft_result(weft_submit(pool, wait_for_id, UINT64_MAX - 7), &answer),
        0);
    kit_assert_code(answer.code, -ESRCH);
    close_pool();
}

// Many workers wait for one future, and one worker for a task and a thread.
KIT_BOTH(many_workers_wait_for_one_future, .timeout = 20)
{
    struct kit_gate gate = kit_gate_new();
    weft_future *jobs[6];

    open_pool(3);
    for (int i = 0; i < 6; i++)
        jobs[i] = weft_submit(pool, wait_for_id, weft_future_id(gate.future));
    kit_gate_open(&gate);
    for (int i = 0; i < 6; i++) {
        struct answer answer;
        kit_assert_code(weft_result(jobs[i], &answer), 0);
        // It has no result bytes, and a long was asked for.
        kit_assert_code(answer.code, -WEFT_ETYPE);
    }
    kit_gate_free(&gate);
    close_pool();
}

// Mutual waits ----------------------------------------------------------------

// The id of the other job comes as the result of a promise.
WEFT_JOB(int, wait_for_the_other, uint64_t, promise)
{
    uint64_t id = 0;
    int rc = weft_result(weft_future_open(promise), &id);

    if (rc == 0)
        rc = weft_join(weft_future_open(id));
    // A thread that was told itself ends with 1.
    return rc == -WEFT_EDEADLOCK ? 1 : rc >= 0 ? 0 : -1;
}

static void keep_id(weft_promise *p, weft_future *f)
{
    uint64_t id = weft_future_id(f);
    kit_assert_code(weft_promise_keep(p, 0, &id, sizeof id, NULL), 0);
}

KIT_BOTH(mutual_waits_across_processes_tell_exactly_one, .timeout = 30)
{
    open_pool(2);
    for (int i = 0; i < 10; i++) {
        weft_promise *p = weft_promise_new(), *q = weft_promise_new();
        weft_future *fp = weft_promise_future(p), *fq = weft_promise_future(q);
        int told[2] = {-9, -9};
        weft_future *jobs[] = {
            weft_submit(pool, wait_for_the_other, weft_future_id(fp)),
            weft_submit(pool, wait_for_the_other, weft_future_id(fq))};
        keep_id(p, jobs[1]);
        keep_id(q, jobs[0]);
        kit_assert_code(weft_gather(jobs, 2, told), 0);
        ck_assert_int_eq(told[0] + told[1], 1);
        weft_future_unref(fp);
        weft_future_unref(fq);
    }
    close_pool();
}

// A ring of a worker's job and a thread of the parent.
static weft_future *ring_job;

static int join_the_job(void *arg)
{
    (void)arg;
    int out, rc = weft_get(ring_job, &out);
    return rc == -WEFT_EDEADLOCK ? 1 : 0;
}

KIT_BOTH(a_ring_of_a_job_and_a_thread_tells_exactly_one, .timeout = 30)
{
    weft_promise *p = weft_promise_new();
    weft_future *fp = weft_promise_future(p);
    int told = -9;

    open_pool(1);
    ring_job = weft_submit(pool, wait_for_the_other, weft_future_id(fp));
    weft_future *thread = weft_thread_start(join_the_job, NULL);
    keep_id(p, thread);
    int other = weft_join(thread);
    kit_assert_code(weft_result(ring_job, &told), 0);
    ck_assert_int_eq(told + other, 1);
    weft_future_unref(fp);
    close_pool();
}

WEFT_TEST_MAIN("rule 8")
