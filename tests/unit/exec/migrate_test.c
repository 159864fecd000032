// SPDX-License-Identifier: MIT
//
// Jobs with .migrate: one that waits goes on on whichever worker is free, by
// whatever it waits for, and keeps all that is its own. Where a thread is part
// of the wait it stays.
#include "kit.h"

#include <sys/syscall.h>

#include <weft/fork.h>

#include "os/last_errno.h"

enum { WORKERS = 2 };

static uint32_t turn(uint32_t *word)
{
    return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static void tell(uint32_t *word)
{
    __atomic_store_n(word, 1, __ATOMIC_RELEASE);
}

static pid_t thread_id(void)
{
    return (pid_t)syscall(SYS_gettid);
}

// Computes until *word is told; whether it was in time.
static bool compute_until(uint32_t *word)
{
    double end = weft_now() + weft_test_seconds(10);
    while (!turn(word)) {
        if (weft_now() > end)
            return false;
    }
    return true;
}

// A job behind a busy one -----------------------------------------------------

// What ends the wait of the job, and how it waits.
struct way {
    const char *name;
    int (*wait)(void);
    void (*end)(void); // NULL: it ends by itself
};

static struct weft_lock lock;
static struct weft_event event;
static struct weft_semaphore semaphore;
static struct weft_condition condition;
static struct weft_barrier barrier = WEFT_BARRIER(2);
static weft_queue *queue;
static weft_promise *promise;
static weft_future *promised;
static weft_waiter *waiter;
static bool condition_holds;

static int wait_lock(void)
{
    int rc = weft_lock_acquire(&lock);
    if (rc == 0)
        weft_lock_release(&lock);
    return rc;
}

static void end_lock(void)
{
    weft_lock_release(&lock);
}

static int wait_event(void)
{
    return weft_event_wait(&event);
}

static void end_event(void)
{
    weft_event_set(&event);
}

static int wait_semaphore(void)
{
    return weft_semaphore_acquire(&semaphore);
}

static void end_semaphore(void)
{
    weft_semaphore_release(&semaphore, 1);
}

static int wait_condition(void)
{
    static struct weft_lock own;
    int rc = weft_lock_acquire(&own);
    while (rc == 0 && !__atomic_load_n(&condition_holds, __ATOMIC_ACQUIRE))
        rc = weft_condition_wait(&condition, &own);
    weft_lock_release(&own);
    return rc;
}

static void end_condition(void)
{
    __atomic_store_n(&condition_holds, true, __ATOMIC_RELEASE);
    while (weft_condition_notify_all(&condition) == 0)
        weft_yield();
}

static int wait_barrier(void)
{
    int rc = weft_barrier_wait(&barrier);
    return rc < 0 ? rc : 0;
}

static void end_barrier(void)
{
    ck_assert_int_ge(weft_barrier_wait(&barrier), 0);
}

static int wait_queue(void)
{
    int item;
    return weft_queue_get(queue, &item);
}

static void end_queue(void)
{
    const int item = 1;
    ck_assert_int_eq(weft_queue_put(queue, &item), 0);
}

static int wait_future(void)
{
    int out;
    return weft_get(promised, &out);
}

static int wait_set(void)
{
    return weft_wait(&promised, 1, WEFT_ALL_COMPLETED, INFINITY) == 1 ? 0 : -1;
}

static void end_future(void)
{
    const int value = 5;
    weft_promise_keep(promise, 0, &value, sizeof value, NULL);
}

static int wait_park(void)
{
    __atomic_store_n(&waiter, weft_self(), __ATOMIC_RELEASE);
    return weft_park(INFINITY);
}

static void end_park(void)
{
    weft_unpark(__atomic_load_n(&waiter, __ATOMIC_ACQUIRE));
}

static int wait_sleep(void)
{
    return weft_sleep(0.05);
}

static int wait_timeout(void)
{
    WEFT_TIMEOUT(0.05);
    return weft_event_wait(&event) == -ETIMEDOUT ? 0 : -1;
}

static const struct way ways[] = {
    {"lock", wait_lock, end_lock},
    {"event", wait_event, end_event},
    {"semaphore", wait_semaphore, end_semaphore},
    {"condition", wait_condition, end_condition},
    {"barrier", wait_barrier, end_barrier},
    {"queue", wait_queue, end_queue},
    {"future", wait_future, end_future},
    {"set of futures", wait_set, end_future},
    {"park", wait_park, end_park},
    {"sleep", wait_sleep, NULL},
    {"timeout", wait_timeout, NULL},
};
enum { WAYS = sizeof ways / sizeof *ways };

static uint32_t occupied, leave, waits, through, behind;

WEFT_JOB(bool, occupy)
{
    tell(&occupied);
    return compute_until(&leave);
}

WEFT_JOB(bool, go_through, int, way)
{
    wi_os_set_errno(77);
    uint64_t id = weft_current_id();
    tell(&waits);
    int rc = ways[way].wait();
    bool whole = rc == 0 && wi_os_errno() == 77 && weft_current_id() == id;
    tell(&through);
    return whole;
}

WEFT_JOB(bool, stand_in_the_way)
{
    tell(&behind);
    return compute_until(&through);
}

// One worker computes until the job is through that has waited on it, while
// the other has nothing to do: it is through only on the other.
static void check_way(int way)
{
    weft_executor *ex = weft_thread_pool(.workers = WORKERS);
    weft_future *first = weft_submit(ex, occupy);
    ck_assert(compute_until(&occupied));
    weft_future *job =
        weft_submit(weft_executor_with(ex, .migrate = true), go_through, way);
    ck_assert(compute_until(&waits));
    weft_future *second = weft_submit(ex, stand_in_the_way);
    ck_assert(compute_until(&behind)); // so the job has parked
    tell(&leave);
    bool in_time = false, whole = false;
    ck_assert_int_eq(weft_result(first, &in_time), 0);
    ck_assert(in_time);
    if (ways[way].end != NULL)
        ways[way].end();
    ck_assert_int_eq(weft_result(second, &in_time), 0);
    ck_assert_msg(in_time, "%s: left behind", ways[way].name);
    ck_assert_int_eq(weft_result(job, &whole), 0);
    ck_assert_msg(whole, "%s: not what it was", ways[way].name);
    struct weft_thread_pool_stats stats = {.size = sizeof stats};
    ck_assert_int_eq(weft_thread_pool_stats(ex, &stats), 0);
    if (ways[way].end != NULL)
        ck_assert_uint_ge(stats.migrations, 1);
    weft_executor_close(ex);
}

WEFT_TEST(goes_on_while_its_worker_is_busy, .repeat = WAYS, .timeout = 30)
{
    int way = weft_test_round();
    queue = weft_queue_new(sizeof(int), 4);
    promise = weft_promise_new();
    promised = weft_promise_future(promise);
    ck_assert_int_eq(weft_lock_acquire(&lock), 0);
    check_way(way);
    if (ways[way].end != end_lock)
        weft_lock_release(&lock);
    if (ways[way].end != end_future)
        end_future();
    weft_future_unref(promised);
    weft_queue_free(queue);
}

// Where the thread is part of the wait ----------------------------------------

WEFT_FORKABLE(long, tree, w, int, depth)
{
    if (depth == 0) {
        weft_yield();
        weft_sleep(0.0005);
        return 1;
    }
    weft_fork(w, tree, depth - 1);
    long right = tree(w, depth - 1);
    return weft_join_child(w, tree) + right;
}

WEFT_JOB(bool, fork_and_stay, int, depth)
{
    weft_sleep(0.0005);
    pid_t before = thread_id();
    long leaves = 0;
    int rc = weft_fork_run(NULL, &leaves, tree, depth);
    return rc == 0 && leaves == 1L << depth && thread_id() == before;
}

WEFT_JOB(int, wait_in_a_join, int, n)
{
    for (int i = 0; i < n; i++)
        weft_sleep(0.0005);
    return n;
}

// The join may run the job inside itself, on the stack of its caller.
WEFT_JOB(bool, join_one, uint64_t, pool)
{
    weft_executor *ex = (weft_executor *)(uintptr_t)pool;
    char pattern[256];
    memset(pattern, 'p', sizeof pattern);
    __asm__ volatile("" : : "r"(pattern) : "memory");
    weft_future *f =
        weft_submit(weft_executor_with(ex, .migrate = true), wait_in_a_join, 3);
    int out = 0;
    int rc = weft_result(f, &out);
    for (size_t i = 0; i < sizeof pattern; i++)
        rc |= pattern[i] != 'p';
    return rc == 0 && out == 3;
}

WEFT_TEST(a_fork_join_run_stays, .timeout = 30)
{
    weft_executor *ex = weft_thread_pool(.workers = 3);
    weft_executor *roaming = weft_executor_with(ex, .migrate = true);
    weft_future *f[12];
    for (int i = 0; i < 12; i++)
        f[i] = weft_submit(roaming, fork_and_stay, 5);
    for (int i = 0; i < 12; i++) {
        bool stayed = false;
        ck_assert_int_eq(weft_result(f[i], &stayed), 0);
        ck_assert(stayed);
    }
    weft_executor_close(ex);
}

WEFT_TEST(joined_inside_a_join, .timeout = 30)
{
    weft_executor *ex = weft_thread_pool(.workers = 3);
    weft_future *f[30];
    for (int i = 0; i < 30; i++)
        f[i] = weft_submit(weft_executor_with(ex, .migrate = i % 2 == 0),
                           join_one, (uint64_t)(uintptr_t)ex);
    for (int i = 0; i < 30; i++) {
        bool fine = false;
        ck_assert_int_eq(weft_result(f[i], &fine), 0);
        ck_assert(fine);
    }
    weft_executor_close(ex);
}

// How often it was elsewhere after a wait in a region, in which it has said
// that it blocks its thread.
WEFT_JOB(int, wait_in_a_region, int, n)
{
    int moved = 0;
    for (int i = 0; i < n; i++) {
        weft_sleep(0.0001);
        weft_blocking_begin();
        pid_t before = thread_id();
        weft_sleep(0.0003);
        weft_yield();
        moved += thread_id() != before;
        weft_blocking_end();
    }
    return moved;
}

// The same, after one for a descriptor among others.
WEFT_JOB(int, wait_for_one_of_several, int, n)
{
    int moved = 0, fds[2];
    if (pipe(fds) < 0)
        return -1;
    for (int i = 0; i < n; i++) {
        struct weft_case cases[] = {WEFT_CASE_READY(fds[0], WEFT_READABLE),
                                    WEFT_CASE_AFTER(0.0003)};
        weft_sleep(0.0001);
        pid_t before = thread_id();
        moved += weft_select(cases, 2) != 1 || thread_id() != before;
    }
    close(fds[0]);
    close(fds[1]);
    return moved;
}

static void check_stays(weft_executor *ex, const struct weft_job *job)
{
    weft_executor *roaming = weft_executor_with(ex, .migrate = true);
    weft_future *f[8];
    const int rounds = 100;
    for (int i = 0; i < 8; i++)
        f[i] = weft_submit_job(roaming, job, &rounds);
    for (int i = 0; i < 8; i++) {
        int moved = -1;
        ck_assert_int_eq(weft_result(f[i], &moved), 0);
        ck_assert_int_eq(moved, 0);
    }
}

WEFT_TEST(waits_that_belong_to_the_thread_stay, .timeout = 30)
{
    weft_executor *ex = weft_thread_pool(.workers = 3);
    check_stays(ex, &weft_job_wait_in_a_region);
    check_stays(ex, &weft_job_wait_for_one_of_several);
    weft_executor_close(ex);
}

enum { BELLS = 8 };
static weft_executor *bell_pool;
static struct weft_event bells[BELLS];

WEFT_JOB(int, ring, int, bell)
{
    weft_event_set(&bells[bell]);
    return 0;
}

// It stays with its worker for a wait whose limit is mostly not reached.
WEFT_JOB(int, hear_in_a_region, int, bell)
{
    int rc = 0;
    for (int i = 0; i < 100 && (rc == 0 || rc == -ETIMEDOUT); i++) {
        weft_event_clear(&bells[bell]);
        weft_future *f = weft_submit(bell_pool, ring, bell);
        weft_blocking_begin();
        rc = weft_event_wait_for(&bells[bell], 0.002);
        weft_blocking_end();
        weft_join(f);
    }
    weft_sleep(0.005); // for what might be left of them
    return rc == -ETIMEDOUT ? 0 : rc;
}

WEFT_TEST(limits_of_waits_that_stay_end_with_them, .timeout = 30)
{
    weft_future *f[BELLS];
    bell_pool = weft_thread_pool(.workers = 2);
    for (int i = 0; i < BELLS; i++)
        f[i] = weft_submit(weft_executor_with(bell_pool, .migrate = true),
                           hear_in_a_region, i);
    for (int i = 0; i < BELLS; i++) {
        int code = 1;
        ck_assert_int_eq(weft_result(f[i], &code), 0);
        ck_assert_int_eq(code, 0);
    }
    weft_executor_close(bell_pool);
}

// Wakes and times -------------------------------------------------------------

WEFT_JOB(int, wake_then_yield)
{
    weft_unpark(weft_self());
    weft_yield();
    return weft_park(weft_test_seconds(5));
}

WEFT_TEST(a_wake_before_a_yield_is_for_the_wait_behind_it)
{
    weft_executor *ex = weft_thread_pool(.workers = 1);
    int code = 1;
    weft_future *f =
        weft_submit(weft_executor_with(ex, .migrate = true), wake_then_yield);
    ck_assert_int_eq(weft_result(f, &code), 0);
    ck_assert_int_eq(code, 0);
    weft_executor_close(ex);
}

static uint32_t noted;

WEFT_JOB(int, note)
{
    tell(&noted);
    return 0;
}

WEFT_JOB(int, yield_to_another, uint64_t, pool)
{
    int yields = 0;
    weft_future_unref(weft_submit((weft_executor *)(uintptr_t)pool, note));
    for (; !turn(&noted); yields++)
        weft_yield();
    return yields;
}

WEFT_TEST(a_yield_lets_a_new_job_begin)
{
    weft_executor *ex = weft_thread_pool(.workers = 1);
    int yields = 0;
    weft_future *f = weft_submit(weft_executor_with(ex, .migrate = true),
                                 yield_to_another, (uint64_t)(uintptr_t)ex);
    ck_assert_int_eq(weft_result(f, &yields), 0);
    ck_assert_int_eq(yields, 1);
    weft_executor_close(ex);
}

// Longer than the watchdog looks, who would see that their time has come.
WEFT_JOB(int, sleep_often, int, times)
{
    int code = 0;
    while (times-- > 0 && code == 0)
        code = weft_sleep(0.15);
    return code;
}

static void check_sleeps(unsigned workers)
{
    weft_executor *ex = weft_thread_pool(.workers = workers);
    int code = 1;
    weft_future *f =
        weft_submit(weft_executor_with(ex, .migrate = true), sleep_often, 4);
    ck_assert_int_eq(
        weft_wait(&f, 1, WEFT_ALL_COMPLETED, weft_test_seconds(10)), 1);
    ck_assert_int_eq(weft_result(f, &code), 0);
    ck_assert_int_eq(code, 0);
    weft_executor_close(ex);
}

WEFT_TEST(nobody_else_need_be_awake_when_a_sleep_ends, .timeout = 60)
{
    check_sleeps(WORKERS);
}

WEFT_TEST(a_sleep_ends_without_the_watchdog, .timeout = 60)
{
    ck_assert_int_eq(setenv("WEFT_WATCHDOG", "0", 1), 0);
    check_sleeps(1);
    check_sleeps(WORKERS);
}

static uint32_t began, may_sleep;

WEFT_JOB(int, sleep_when_told)
{
    tell(&began);
    return compute_until(&may_sleep) ? weft_sleep(0.3) : -ETIMEDOUT;
}

WEFT_JOB(int, have_another_in_a_region)
{
    weft_blocking_begin();
    bool in_time = compute_until(&began);
    weft_blocking_end();
    return in_time ? 0 : -ETIMEDOUT;
}

static void wait_until_idle(weft_executor *ex, unsigned n)
{
    struct weft_thread_pool_stats stats = {.size = sizeof stats};
    do
        kit_assert_code(weft_thread_pool_stats(ex, &stats), 0);
    while (stats.idle < n);
}

static uint32_t far_began;

WEFT_JOB(int, sleep_far)
{
    tell(&far_began);
    return weft_sleep(3600);
}

// The worker that sleeps until the far one is due does not know of the other.
WEFT_TEST(a_sleep_ends_beside_a_longer_one, .timeout = 30)
{
    weft_executor *ex = weft_thread_pool(.workers = WORKERS);
    weft_executor *roaming = weft_executor_with(ex, .migrate = true);
    int code = 1;
    weft_future *near = weft_submit(roaming, sleep_when_told);
    ck_assert(compute_until(&began));
    weft_future *far = weft_submit(roaming, sleep_far);
    ck_assert(compute_until(&far_began));
    wait_until_idle(ex, 1);
    tell(&may_sleep);
    ck_assert_int_eq(
        weft_wait(&near, 1, WEFT_ALL_COMPLETED, weft_test_seconds(10)), 1);
    ck_assert_int_eq(weft_result(near, &code), 0);
    ck_assert_int_eq(code, 0);
    weft_cancel(far);
    weft_join(far);
    weft_executor_close(ex);
}

// The worker that it waits on is sent to rest, as its last act; the other one
// sleeps already, and knows nothing of its time.
WEFT_TEST(a_sleep_ends_that_began_on_a_spare, .timeout = 30)
{
    weft_executor *ex = weft_thread_pool(.workers = 1);
    int code = 1;
    weft_future *other = weft_submit(ex, have_another_in_a_region);
    weft_future *f =
        weft_submit(weft_executor_with(ex, .migrate = true), sleep_when_told);
    ck_assert_int_eq(weft_result(other, &code), 0);
    ck_assert_int_eq(code, 0);
    wait_until_idle(ex, 1);
    tell(&may_sleep);
    ck_assert_int_eq(
        weft_wait(&f, 1, WEFT_ALL_COMPLETED, weft_test_seconds(10)), 1);
    ck_assert_int_eq(weft_result(f, &code), 0);
    ck_assert_int_eq(code, 0);
    weft_executor_close(ex);
}

// Ends ------------------------------------------------------------------------

WEFT_JOB(int, wait_for_ever)
{
    tell(&waits);
    return weft_event_wait(&event);
}

static int seen;
static struct weft_event ends[4];

WEFT_JOB(int, wait_for_its_end, int, i)
{
    kit_count(&seen);
    return weft_event_wait(&ends[i]);
}

// Of three of a pool the second and the first end, and a job of another pool
// has the record of one of them when the third is canceled.
static void check_who_is_canceled(bool migrate)
{
    weft_executor *ex = weft_thread_pool(.workers = 1);
    weft_executor *other = weft_thread_pool(.workers = 1);
    weft_future *f[4];
    int code;
    seen = 0;
    memset(ends, 0, sizeof ends);
    for (int i = 0; i < 3; i++) {
        f[i] = weft_submit(weft_executor_with(ex, .migrate = migrate),
                           wait_for_its_end, i);
        kit_await(&seen, i + 1);
    }
    for (int i = 1; i >= 0; i--) {
        weft_event_set(&ends[i]);
        ck_assert_int_eq(weft_result(f[i], &code), 0);
    }
    f[3] = weft_submit(weft_executor_with(other, .migrate = migrate),
                       wait_for_its_end, 3);
    kit_await(&seen, 4);
    ck_assert_int_eq(weft_executor_close(ex, .mode = WEFT_CLOSE_CANCEL_ALL), 0);
    ck_assert_int_eq(weft_result(f[2], &code), 0);
    ck_assert_int_eq(code, -ECANCELED);
    weft_event_set(&ends[3]);
    ck_assert_int_eq(weft_result(f[3], &code), 0);
    ck_assert_int_eq(code, 0);
    weft_executor_close(other);
}

WEFT_TEST(close_cancels_nobody_else, .timeout = 20)
{
    check_who_is_canceled(true);
    check_who_is_canceled(false);
}

WEFT_TEST(close_cancels_those_that_wait)
{
    enum { N = 20 };
    weft_executor *ex = weft_thread_pool(.workers = WORKERS);
    weft_executor *roaming = weft_executor_with(ex, .migrate = true);
    weft_future *f[N];
    for (int i = 0; i < N; i++)
        f[i] = weft_submit(roaming, wait_for_ever);
    ck_assert(compute_until(&waits));
    weft_executor_close(ex, .mode = WEFT_CLOSE_CANCEL_ALL);
    for (int i = 0; i < N; i++) {
        int code = 0, rc = weft_result(f[i], &code);
        ck_assert(rc == -WEFT_EJOBCANCELED || code == -ECANCELED);
    }
}

WEFT_TEST(a_cancel_ends_its_wait)
{
    weft_executor *ex = weft_thread_pool(.workers = WORKERS);
    weft_future *f =
        weft_submit(weft_executor_with(ex, .migrate = true), wait_for_ever);
    ck_assert(compute_until(&waits));
    weft_cancel(f);
    int code = 0;
    ck_assert_int_eq(weft_result(f, &code), 0);
    ck_assert_int_eq(code, -ECANCELED);
    weft_executor_close(ex);
}

WEFT_TEST(its_deadline_ends_its_wait)
{
    weft_executor *ex = weft_thread_pool(.workers = WORKERS);
    weft_executor *limited =
        weft_executor_with(ex, .migrate = true, .deadline = 0.02);
    int code = 0;
    ck_assert_int_eq(weft_result(weft_submit(limited, wait_for_ever), &code),
                     -WEFT_EJOBTIMEOUT);
    weft_executor_close(ex);
}

// Elsewhere the option means nothing.
WEFT_TEST(other_executors_take_the_option)
{
    weft_executor *pools[] = {weft_thread_pool(.blocking = true),
                              weft_inline_executor()};
    for (int i = 0; i < 2; i++) {
        bool fine = false;
        weft_future *f =
            weft_submit(weft_executor_with(pools[i], .migrate = true),
                        go_through, WAYS - 2);
        ck_assert_int_eq(weft_result(f, &fine), 0);
        ck_assert(fine);
        weft_executor_close(pools[i]);
    }
}

// The check for thread-local variables ----------------------------------------

static __thread volatile int calls;

WEFT_JOB(int, counts_calls, int, n)
{
    for (int i = 0; i < n; i++) {
        weft_sleep(0.0001);
        calls++;
    }
    return 0;
}

WEFT_JOB(int, counts_nothing, int, n)
{
    for (int i = 0; i < n; i++)
        weft_sleep(0.0001);
    return 0;
}

// What is said on standard error while `job` waits n times.
static size_t hear(const struct weft_job *job, char *text, size_t size)
{
    int said[2];
    ck_assert_int_eq(pipe(said), 0);
    ck_assert_int_ge(dup2(said[1], STDERR_FILENO), 0);
    close(said[1]);
    setenv("WEFT_MIGRATE", "check", 1);
    weft_executor *ex = weft_thread_pool(.workers = WORKERS);
    const int n = 3;
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(weft_join(weft_submit_job(
                             weft_executor_with(ex, .migrate = true), job, &n)),
                         0);
    weft_executor_close(ex);
    dup2(STDOUT_FILENO, STDERR_FILENO); // nobody may say any more
    ssize_t got = read(said[0], text, size - 1);
    text[got > 0 ? got : 0] = '\0';
    return strlen(text);
}

WEFT_TEST(thread_locals_are_told_once)
{
    char text[4096];
    hear(&weft_job_counts_calls, text, sizeof text);
    char *first = strstr(text, "job \"counts_calls\"");
    ck_assert_msg(first != NULL && strstr(text, "the program"), "%s", text);
    ck_assert_ptr_null(strstr(first + 8, "counts_calls"));
}

WEFT_TEST(without_thread_locals_nothing_is_told)
{
    char text[4096];
    ck_assert_msg(hear(&weft_job_counts_nothing, text, sizeof text) == 0, "%s",
                  text);
}

// A storm ---------------------------------------------------------------------

enum { STORM_JOBS = 48, STORM_STEPS = KIT_SANITIZED ? 60 : 300 };

struct storm {
    weft_executor *ex;
    struct weft_lock lock;
    struct weft_semaphore permits;
    weft_queue *items;
    uint64_t inside; // under the lock
    int pipe[2];     // under the lock
};

static struct storm storm;

WEFT_JOB(int, add_one, int, x)
{
    return x + 1;
}

static int step_lock(bool yields)
{
    int rc = weft_lock_acquire(&storm.lock);
    if (rc < 0)
        return rc;
    uint64_t before = storm.inside++;
    if (yields)
        weft_yield();
    rc = before == 0 && storm.inside == 1 ? 0 : -EILSEQ;
    storm.inside--;
    weft_lock_release(&storm.lock);
    return rc;
}

static int step_permit(void)
{
    int rc = weft_semaphore_acquire(&storm.permits);
    if (rc < 0)
        return rc;
    weft_yield();
    return weft_semaphore_release(&storm.permits, 1);
}

// Takes out what it has put in, or what another one has.
static int step_queue(void)
{
    int item = 1;
    int rc = weft_queue_put(storm.items, &item);
    return rc < 0 ? rc : weft_queue_get(storm.items, &item);
}

// A wait for a descriptor is tied to the worker.
static int step_pipe(void)
{
    char byte = 'x';
    int rc = weft_lock_acquire(&storm.lock);
    if (rc < 0)
        return rc;
    WEFT_TIMEOUT(0.0002);
    ssize_t n = weft_read(storm.pipe[0], &byte, 1);
    weft_lock_release(&storm.lock);
    return n == -ETIMEDOUT ? 0 : -EILSEQ;
}

static int step_job(bool late)
{
    int out = 0;
    weft_future *f = weft_submit(storm.ex, add_one, 4);
    if (late)
        weft_yield();
    int rc = weft_result(f, &out);
    return rc < 0 ? rc : out == 5 ? 0 : -EILSEQ;
}

static int step_timeout(void)
{
    WEFT_TIMEOUT(0.0002);
    int rc = weft_semaphore_acquire(&storm.permits);
    if (rc == 0)
        weft_semaphore_release(&storm.permits, 1);
    return rc == -ETIMEDOUT ? 0 : rc;
}

static int storm_step(unsigned pick)
{
    switch (pick) {
    case 0:
        return weft_sleep(0.0001);
    case 1:
        return step_pipe();
    case 2:
    case 3:
        return step_lock(pick == 3);
    case 4:
        return step_permit();
    case 5:
        return step_queue();
    case 6:
    case 7:
        return step_job(pick == 7);
    case 8:
        return step_timeout();
    default:
        return weft_yield();
    }
}

WEFT_JOB(int, blow, uint32_t, seed)
{
    uint32_t random = seed;
    for (int i = 0; i < STORM_STEPS; i++) {
        random = random * 1664525u + 1013904223u;
        int rc = storm_step(random >> 28);
        if (rc != 0)
            return rc;
    }
    return 0;
}

// Jobs that roam and jobs that do not, through everything that they can wait
// for.
WEFT_TEST(a_storm, .timeout = 120, .repeat = 3)
{
    storm.ex = weft_thread_pool(.workers = 4);
    weft_semaphore_init(&storm.permits, 2);
    storm.items = weft_queue_new(sizeof(int), 3);
    ck_assert_int_eq(pipe(storm.pipe), 0);
    weft_future *f[STORM_JOBS];
    for (int i = 0; i < STORM_JOBS; i++)
        f[i] = weft_submit(weft_executor_with(storm.ex, .migrate = i % 4 != 0),
                           blow, (uint32_t)weft_test_random());
    for (int i = 0; i < STORM_JOBS; i++) {
        int code = -1;
        ck_assert_int_eq(weft_result(f[i], &code), 0);
        ck_assert_int_eq(code, 0);
    }
    weft_executor_close(storm.ex);
    weft_queue_free(storm.items);
}

WEFT_TEST_MAIN("migrate")
