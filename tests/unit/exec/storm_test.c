// SPDX-License-Identifier: MIT
//
// Everything at once: threads and jobs submit, others cancel, jobs change the
// pool's size, and it is closed in any way while they do.
#include "kit.h"

enum {
    ROUNDS = KIT_SANITIZED ? 60 : 600,
    SEEDS = 40, // jobs that each thread submits
    CHILDREN = 3,
    SLOTS = 64,
};

static weft_executor *pool;
static weft_future *slots[SLOTS]; // for whoever cancels
static int submitted, ran, dropped, over;

static uint32_t next(uint32_t *random)
{
    return *random = *random * 1664525u + 1013904223u;
}

// Leaves a future where others find it, and lets go of the one that was there.
static void leave(weft_future *f, uint32_t *random)
{
    weft_future *old =
        __atomic_exchange_n(&slots[next(random) >> 26], f, __ATOMIC_ACQ_REL);
    if (old == NULL)
        return;
    if (next(random) >> 31)
        weft_cancel(old);
    weft_future_unref(old);
}

static void submit_one(uint32_t *random, long depth);

WEFT_JOB_DECLARE(long, breed, long);
WEFT_JOB(long, breed, long, what)
{
    uint32_t random = (uint32_t)what;
    long depth = what >> 32;
    kit_count(&ran);
    for (int i = 0; i < CHILDREN && depth > 0; i++)
        submit_one(&random, depth - 1);
    uint32_t chance = next(&random) >> 24;
    if (chance < 40)
        weft_sleep(chance * 1e-6);
    else if (chance < 50)
        weft_thread_pool_resize(pool, 1 + chance % 5);
    else if (chance < 60)
        weft_fail(-EDOM, "so it happens");
    else if (chance < 80)
        return weft_yield();
    return what;
}

// By a job of the pool, or by a thread as long as nobody closes it.
static void submit_one(uint32_t *random, long depth)
{
    long what = depth << 32 | next(random);
    int chance = (int)(next(random) >> 29);
    weft_future *f;
    if (chance < 5)
        f = weft_submit(pool, breed, what);
    else
        f = weft_submit(weft_executor_with(pool, .priority = chance - 6,
                                           .migrate = next(random) >> 31),
                        breed, what);
    kit_count(&submitted);
    leave(f, random);
}

static int submit_seeds(void *arg)
{
    uint32_t random = (uint32_t)(uintptr_t)arg;
    for (int i = 0; i < SEEDS; i++)
        submit_one(&random, 2);
    return 0;
}

static int cancel_some(void *arg)
{
    uint32_t random = (uint32_t)(uintptr_t)arg;
    while (!kit_load(&over)) {
        leave(NULL, &random);
        sched_yield();
    }
    return 0;
}

// Every future is done when its pool is closed.
static void take_in(void)
{
    for (int i = 0; i < SLOTS; i++) {
        weft_future *f = slots[i];
        slots[i] = NULL;
        if (f == NULL)
            continue;
        ck_assert(weft_done(f));
        int code = weft_future_code(f);
        ck_assert_msg(code == 0 || code == -EDOM || code == -WEFT_EJOBCANCELED,
                      "the code is %s", weft_strerror(code));
        dropped += code == -WEFT_EJOBCANCELED;
        weft_future_unref(f);
    }
}

static void *seed(void)
{
    return kit_number((int)(weft_test_random() & 0x7fffffff));
}

static void storm(unsigned workers, enum weft_close_mode mode, double deadline)
{
    weft_future *threads[3];
    submitted = ran = over = 0;
    pool = weft_thread_pool(.workers = workers);
    for (int i = 0; i < 2; i++)
        threads[i] = weft_thread_start(submit_seeds, seed());
    threads[2] = weft_thread_start(cancel_some, seed());
    kit_assert_code(weft_gather_into(threads, 2, NULL, 0, NULL), 0);
    for (uint64_t n = weft_test_random() % 20000; n > 0; n--)
        __atomic_signal_fence(__ATOMIC_SEQ_CST);
    int rc = weft_executor_close(pool, .mode = mode, .deadline = deadline);
    ck_assert(rc == 0 || (deadline > 0 && rc == -ETIMEDOUT));
    __atomic_store_n(&over, 1, __ATOMIC_RELEASE);
    kit_assert_code(weft_join(threads[2]), 0);
    ck_assert_int_le(ran, submitted);
    take_in();
}

// Of a failure that nobody asked for: of those that breed makes, or a cancel.
static void hear(int code, const char *text)
{
    ck_assert_msg(code == -EDOM || code == -WEFT_EJOBCANCELED, "%s: %s",
                  weft_strerror(code), text);
}

WEFT_TEST(everything_at_once, .timeout = 120)
{
    weft_on_unobserved(hear);
    for (int i = 0; i < ROUNDS; i++) {
        unsigned workers = 1 + (unsigned)i % 4;
        enum weft_close_mode mode = (enum weft_close_mode)(i / 4 % 3);
        storm(workers, mode, i % 5 == 0 ? 0.0005 : 0);
    }
    ck_assert_int_gt(dropped, 0);
}

// The end of a deque ----------------------------------------------------------

WEFT_JOB(int, count_me)
{
    return kit_count(&ran);
}

// What it submitted last it takes back and runs itself, unless another worker
// is faster; the next one lies where that lay.
WEFT_JOB(int, give_and_take_back, int, n)
{
    int rc = 0;
    for (int i = 0; i < n; i++) {
        weft_future *f = weft_submit(pool, count_me);
        for (int k = i % 512; k > 0; k--)
            __atomic_signal_fence(__ATOMIC_SEQ_CST);
        rc |= weft_join(f);
        weft_future_unref(weft_submit(pool, count_me));
    }
    return rc;
}

WEFT_TEST(nothing_lies_hidden_behind_what_was_taken_back, .timeout = 60)
{
    const int n = KIT_SANITIZED ? 100000 : 3000000;
    ran = 0;
    pool = weft_thread_pool(.workers = 2);
    kit_assert_code(weft_join(weft_submit(pool, give_and_take_back, n)), 0);
    kit_assert_code(weft_executor_close(pool), 0);
    ck_assert_int_eq(ran, 2 * n);
}

WEFT_TEST_MAIN("storm")
