// SPDX-License-Identifier: MIT
//
// The memory of the records: a peak's goes back, and what may still look at a
// record of it finds that it has ended.
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>

#include <weft/local.h>

#include "kit.h"
#include "sched/deque.h"
#include "sched/here.h"
#include "sched/records.h"
#include "sched/stack.h"
#include "sched/task.h"

enum { PEAK = 30000 };

static struct wi_task *records[PEAK];

static void rise(int n)
{
    for (int i = 0; i < n; i++) {
        records[i] = wi_task_new(WI_KIND_TASK, WI_RUNNING, 1);
        ck_assert_ptr_nonnull(records[i]);
    }
}

static void fall(int n)
{
    for (int i = 0; i < n; i++)
        wi_task_unref(records[i]);
}

// Whether the memory of t is there. Reading t would not tell.
static bool resident(struct wi_task *t)
{
    unsigned char there;
    void *page = (void *)((uintptr_t)t & ~(uintptr_t)4095);
    ck_assert_int_eq(mincore(page, 1, &there), 0);
    return there & 1;
}

static int count_resident(int n)
{
    int count = 0;
    for (int i = 0; i < n; i++)
        count += resident(records[i]);
    return count;
}

static void trim(void)
{
    wi_records_trim(&wi_here);
}

WEFT_TEST(a_peak_goes_back)
{
    if (sysconf(_SC_PAGESIZE) != 4096)
        weft_test_skip("blocks are whole pages of 4 KiB only");
    ck_assert(!wi_records_want_trim());
    rise(PEAK);
    ck_assert_int_eq(count_resident(PEAK), PEAK);
    fall(PEAK);
    ck_assert(wi_records_want_trim());
    trim();
    ck_assert_int_eq(count_resident(PEAK), 0);
    ck_assert(!wi_records_want_trim());
}

WEFT_TEST(what_is_in_use_keeps_its_block)
{
    rise(PEAK);
    struct wi_task *last = records[PEAK / 2];
    uint64_t id = last->id;
    records[PEAK / 2] = records[0];
    records[0] = last;
    for (int i = 1; i < PEAK; i++)
        wi_task_unref(records[i]);
    trim();
    ck_assert_uint_eq(last->id, id);
    ck_assert_uint_eq(last->state & WI_PHASE, WI_RUNNING);
    ck_assert_int_le(count_resident(PEAK), WI_RECORD_BATCH + 1);
    wi_task_unref(last);
    trim();
    ck_assert_int_eq(count_resident(PEAK), 0);
}

// As a wake that has found an owner just before the record's end: it is in an
// inbox, linked by `mail`, until that owner's worker comes to it.
WEFT_TEST(what_is_in_an_inbox_keeps_its_block)
{
    rise(PEAK);
    struct wi_task *t = records[PEAK / 2];
    t->inflight = 1;
    t->mail = records[0];
    fall(PEAK);
    trim();
    ck_assert_uint_eq(t->inflight, 1);
    ck_assert_ptr_eq(t->mail, records[0]);
    t->inflight = 0;
    trim();
    ck_assert(!resident(t));
}

static bool is_of_now(wi_hint hint)
{
    uint32_t state = wi_hint_task(hint)->state;
    return state >> 16 == wi_hint_gen(hint) && (state & WI_PHASE) != WI_FREE;
}

WEFT_TEST(old_hints_stay_old)
{
    static wi_hint old[PEAK];
    for (int round = 0; round < 5; round++) {
        rise(PEAK);
        for (int i = 0; round > 0 && i < PEAK; i++)
            ck_assert(!is_of_now(old[i]));
        for (int i = 0; i < PEAK; i++)
            old[i] = wi_hint_of(records[i]);
        ck_assert(is_of_now(old[0]));
        fall(PEAK);
        trim();
    }
}

// Threads that end ------------------------------------------------------------

static void count_one(struct wi_task *t, void *count)
{
    (void)t;
    ++*(long *)count;
}

static long records_made(void)
{
    long count = 0;
    wi_task_each(count_one, &count);
    return count;
}

static void *only_run(void *arg)
{
    return (void *)(intptr_t)weft_run(kit_return, arg);
}

static void *only_start(void *arg)
{
    weft_future_unref(weft_task_start(kit_return, NULL));
    return arg;
}

static void *only_give_back(void *f)
{
    weft_future_unref(f);
    return NULL;
}

// What a thread's last act comes after: a destructor that waits.
static void wait_at_the_end(void *arg)
{
    (void)arg;
    weft_sleep(1e-6);
}

static const struct weft_local waits = {.kind = WEFT_LOCAL_THREAD,
                                        .destroy = wait_at_the_end};

static int set_waits(void *arg)
{
    return weft_local_set(&waits, arg);
}

static void *wait_after_run(void *arg)
{
    return (void *)(intptr_t)weft_run(set_waits, &arg);
}

// A thread that Weft did not start, which never waits.
static void one_after_another(void *(*fn)(void *arg), int n)
{
    for (int i = 0; i < n; i++) {
        pthread_t thread;
        void *out = NULL;
        weft_future *f = weft_task_start(kit_return, NULL);
        kit_assert_code(weft_get_into(f, NULL, 0), 0);
        ck_assert_int_eq(pthread_create(&thread, NULL, fn, f), 0);
        ck_assert_int_eq(pthread_join(thread, &out), 0);
        if (fn != only_give_back)
            weft_future_unref(f);
    }
}

WEFT_TEST(a_thread_that_ends_leaves_its_free_records, .repeat = 4,
          .timeout = 30)
{
    void *(*const kinds[])(void *arg) = {only_run, only_start, only_give_back,
                                         wait_after_run};
    void *(*fn)(void *arg) = kinds[weft_test_round()];
    one_after_another(fn, 4);
    long before = records_made();
    // A few batches may be on their way between threads.
    one_after_another(fn, 20 * WI_RECORD_BATCH);
    ck_assert_int_le(records_made(), before + 8 * WI_RECORD_BATCH);
}

// The queue of what has not started, which a peak makes long ------------------

static int slots_resident(const struct wi_deque *deque)
{
    int count = 0;
    for (const wi_hint *at = deque->ring->slots + 4096 / sizeof(wi_hint);
         at < deque->ring->slots + PEAK; at += 4096 / sizeof(wi_hint))
        count += resident((struct wi_task *)(uintptr_t)at);
    return count;
}

static struct wi_task queued;

WEFT_TEST(slots_of_an_empty_deque_go_back, .repeat = 2)
{
    struct wi_deque deque;
    bool solo = weft_test_round() == 0, busy;
    if (sysconf(_SC_PAGESIZE) != 4096)
        weft_test_skip("counts pages of 4 KiB");
    ck_assert_int_eq(wi_deque_init(&deque, solo, NULL), 0);
    queued.state = WI_QUEUED;
    const wi_hint hint = wi_hint_of(&queued);
    for (uint64_t i = 1; i <= PEAK; i++)
        ck_assert_int_eq(wi_deque_push(&deque, hint), 0);
    int before = slots_resident(&deque);
    ck_assert_int_gt(before, 50);
    wi_deque_discard(&deque); // it is not empty
    ck_assert_int_eq(slots_resident(&deque), before);
    for (uint64_t i = 1; i <= PEAK; i++)
        ck_assert_uint_eq(wi_deque_take(&deque, &busy), hint);
    wi_deque_discard(&deque);
    ck_assert_int_eq(slots_resident(&deque), 0);
    ck_assert_int_eq(wi_deque_push(&deque, hint), 0);
    ck_assert_uint_eq(wi_deque_take(&deque, &busy), hint);
    wi_deque_fini(&deque);
}

// Through the public API: an idle run gives back what its tasks had.
static long resident_bytes(void)
{
    long all, here;
    FILE *f = fopen("/proc/self/statm", "r");
    ck_assert_int_eq(fscanf(f, "%ld %ld", &all, &here), 2);
    fclose(f);
    return here * sysconf(_SC_PAGESIZE);
}

static int peak_of_tasks(void *arg)
{
    static weft_future *f[PEAK];
    (void)arg;
    memset(f, 1, sizeof f);
    weft_join(weft_task_start(kit_return, NULL));
    long start = resident_bytes();
    for (int i = 0; i < PEAK; i++)
        f[i] = weft_task_start(kit_return, NULL);
    ck_assert_int_gt(resident_bytes(), start + PEAK * 192);
    for (int i = 0; i < PEAK; i++)
        ck_assert_int_eq(weft_join(f[i]), 0);
    while (resident_bytes() > start + PEAK * 192 / 4)
        weft_sleep(
            0.05); // until the memory is back, or the case is out of time
    return 0;
}

WEFT_TEST(an_idle_run_gives_back, .timeout = 30)
{
    if (KIT_SANITIZED || sysconf(_SC_PAGESIZE) != 4096)
        weft_test_skip("counts pages");
    ck_assert_int_eq(weft_run(peak_of_tasks, NULL), 0);
}

static int wait_at(void *event)
{
    return weft_event_wait(event);
}

static size_t stacks_with_memory(void)
{
    struct wi_stack_pool_stats stats;
    wi_stack_pool_stats(&stats);
    return stats.stacks - stats.cold;
}

// Its thread sleeps, and nothing wakes it but the time to give back.
WEFT_TEST(an_idle_loop_gives_stacks_back, .timeout = 30)
{
    enum { MANY = 300 };
    static weft_future *f[MANY];
    struct weft_event event = {0};
    for (int i = 0; i < MANY; i++)
        f[i] = weft_task_start(wait_at, &event);
    while (stacks_with_memory() < MANY)
        weft_sleep(0.001);
    weft_event_set(&event);
    kit_assert_code(weft_gather_into(f, MANY, NULL, 0, NULL), 0);
    while (stacks_with_memory() > MANY / 2)
        weft_sleep(0.01); // or the case is out of time
}

WEFT_TEST_MAIN("records")
