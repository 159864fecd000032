// SPDX-License-Identifier: MIT
// "Nothing can run any more": said when it is so, and never else. A scene plays
// in a child that ends by abort when it has been said.
#include "kit.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/time.h>
#include <time.h>

static struct weft_event never, later;
static struct weft_lock first_lock, second_lock;

static char said[8192];

static void with_policy(const char *policy)
{
    setenv("WEFT_DEADLOCK", policy, 1);
}

static void (*scene)(void);

// The frame of the test has handlers of its own, which might wake somebody.
static void play(void)
{
    for (int s = 1; s < 32; s++)
        signal(s, SIG_DFL);
    scene();
}

static void assert_said(void (*fn)(void))
{
    scene = fn;
    with_policy("abort");
    int status = kit_child(play, said, sizeof said);
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT,
                  "status 0x%x, said: %s", status, said);
    ck_assert_msg(strstr(said, "nothing can run any more: all") != NULL,
                  "said: %s", said);
}

static void assert_not_said(void (*fn)(void))
{
    scene = fn;
    with_policy("abort");
    int status = kit_child(play, said, sizeof said);
    ck_assert_msg(status == 0 && said[0] == '\0', "status 0x%x, said: %s",
                  status, said);
}

static int wait_for_nothing(void *arg)
{
    (void)arg;
    return weft_event_wait(&never);
}

static int wait_for_later(void *arg)
{
    (void)arg;
    return weft_event_wait(&later);
}

// Longer than the watchdog waits before it looks.
enum { WHILE_MS = 400 };

static void pause_ms(long ms)
{
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&time, &time) != 0)
        ;
}

// True stalls -----------------------------------------------------------------

static int two_tasks(void *arg)
{
    return weft_join(weft_task_start(wait_for_nothing, arg, .name = "stuck"));
}

static void in_a_run(void)
{
    weft_run(two_tasks, NULL);
}

static void in_a_run_of_four(void)
{
    weft_run(two_tasks, NULL, .workers = 4);
}

// Timers that have fired or were taken back are none.
static int use_timers_and_stall(void *arg)
{
    weft_future *f = weft_task_start(wait_for_nothing, arg);
    weft_sleep(0.001);
    {
        WEFT_TIMEOUT(60);
        weft_event_wait_for(&never, 0.001);
    }
    weft_cancel(f);
    weft_join(f);
    return two_tasks(arg);
}

static void after_timers(void)
{
    weft_run(use_timers_and_stall, NULL);
}

// A plain thread joins a task of the default loop.
static void under_a_plain_thread(void)
{
    two_tasks(NULL);
}

static int lose_a_message(void *arg)
{
    weft_queue *q = arg;
    long item;
    return weft_queue_get(q, &item);
}

static int all_get(void *arg)
{
    (void)arg;
    weft_queue *q = weft_queue_new(.item = sizeof(long), .maxsize = 1);
    weft_future *f[3];
    for (int i = 0; i < 3; i++)
        f[i] = weft_task_start(lose_a_message, q);
    return weft_join(f[0]);
}

static void at_a_queue(void)
{
    weft_run(all_get, NULL);
}

// A future that is waited for has the number that the line of its task has.
static void assert_future_is_named(void)
{
    unsigned long long id = 0;
    char line[64];
    const char *stuck = strstr(said, " stuck waits for");
    while (stuck != NULL && stuck > said && stuck[-1] != ' ')
        stuck--;
    if (stuck != NULL)
        id = strtoull(stuck, NULL, 10);
    snprintf(line, sizeof line, " waits for future %llu\n", id);
    ck_assert_msg(id != 0 && strstr(said, line) != NULL, "said: %s", said);
    ck_assert_msg(strstr(said, "nil") == NULL, "said: %s", said);
}

static int run_inside(void *arg)
{
    return weft_run(two_tasks, arg);
}

static int a_task_that_runs(void *arg)
{
    return weft_join(weft_task_start(run_inside, arg));
}

static void in_a_run_inside(void)
{
    weft_run(a_task_that_runs, NULL);
}

enum { MANY = 40 };

static int many_tasks(void *arg)
{
    weft_future *f[MANY];
    for (int i = 0; i < MANY; i++)
        f[i] = weft_task_start(wait_for_nothing, arg);
    return weft_join(f[0]);
}

static void with_many_tasks(void)
{
    weft_run(many_tasks, NULL);
}

// The worker is blocked for so long that the watchdog looks but now and then,
// and sleeps before it looks again.
static int block_then_wait(void *arg)
{
    weft_future *f = weft_task_start(wait_for_nothing, arg);
    weft_yield();
    pause_ms(WHILE_MS);
    return weft_join(f);
}

static void after_a_block(void)
{
    weft_run(block_then_wait, NULL);
}

WEFT_TEST(a_stall_is_reported)
{
    if (KIT_TSAN)
        weft_test_skip("TSan has a thread that might wake somebody");
    assert_said(in_a_run);
    ck_assert_msg(strstr(said, " stuck waits for event ") != NULL, "said: %s",
                  said);
    assert_said(in_a_run_of_four);
    assert_said(after_timers);
    assert_said(under_a_plain_thread);
    assert_future_is_named();
    assert_said(at_a_queue);
    assert_said(after_a_block);
    assert_said(in_a_run_inside);
}

// Some of those who wait, and how many they are.
WEFT_TEST(a_stall_of_many_is_reported_in_short)
{
    if (KIT_TSAN)
        weft_test_skip("TSan has a thread that might wake somebody");
    assert_said(with_many_tasks);
    unsigned lines = 0, more = 0;
    for (char *p = said; (p = strstr(p, " waits for ")) != NULL; p++)
        lines++;
    char *rest = strstr(said, "  and ");
    ck_assert_ptr_nonnull(rest);
    ck_assert_int_eq(sscanf(rest, "  and %u more", &more), 1);
    ck_assert_uint_eq(lines + more, MANY); // one runs inside its join
    ck_assert_uint_lt(lines, MANY);
}

static void stall_until_the_alarm(void)
{
    alarm(1);
    in_a_run();
}

WEFT_TEST(a_stall_may_be_wanted_quiet)
{
    scene = stall_until_the_alarm;
    with_policy("0");
    int status = kit_child(play, said, sizeof said);
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM &&
                      said[0] == '\0',
                  "status 0x%x, said: %s", status, said);
}

// No stall: somebody will come ------------------------------------------------

static int sleep_and_set(void *arg)
{
    (void)arg;
    int rc = weft_sleep(WHILE_MS / 1e3);
    weft_event_set(&later);
    return rc;
}

static int wait_with_a_timer(void *arg)
{
    weft_task_start(sleep_and_set, arg);
    return weft_join(weft_task_start(wait_for_later, arg));
}

static void a_timer(void)
{
    if (weft_run(wait_with_a_timer, NULL) != 0)
        abort();
}

WEFT_JOB(int, sleep_a_while)
{
    return weft_sleep(WHILE_MS / 1e3);
}

// One that belongs to no worker while it sleeps.
static void a_timer_of_a_job_that_migrates(void)
{
    weft_executor *ex = weft_thread_pool(.workers = 2);
    if (weft_join(weft_submit(weft_executor_with(ex, .migrate = true),
                              sleep_a_while)) != 0)
        abort();
    weft_executor_close(ex);
}

static int wait_with_a_deadline(void *arg)
{
    WEFT_TIMEOUT(WHILE_MS / 1e3);
    return weft_join(weft_task_start(wait_for_nothing, arg)) == -ETIMEDOUT
               ? 0
               : -EIO;
}

static void a_deadline(void)
{
    if (weft_run(wait_with_a_deadline, NULL) != 0)
        abort();
}

static void *plain_thread(void *arg)
{
    pause_ms(WHILE_MS);
    weft_event_set(arg);
    return NULL;
}

static int wait_for_a_plain_thread(void *arg)
{
    return weft_join(weft_task_start(wait_for_later, arg));
}

static void another_thread(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, plain_thread, &later);
    if (weft_run(wait_for_a_plain_thread, NULL) != 0)
        abort();
    pthread_join(thread, NULL);
}

// The plain thread that waits has a limit of its own.
static void a_thread_with_a_limit(void)
{
    weft_future *f = weft_task_start(wait_for_later, NULL);
    if (weft_event_wait_for(&never, WHILE_MS / 1e3) != -ETIMEDOUT)
        abort();
    weft_event_set(&later);
    if (weft_join(f) != 0)
        abort();
}

static void a_busy_main_thread(void)
{
    weft_future *f = weft_task_start(wait_for_later, NULL);
    pause_ms(WHILE_MS);
    weft_event_set(&later);
    if (weft_join(f) != 0)
        abort();
}

static int pipe_ends[2];

static int read_a_byte(void *arg)
{
    char byte;
    (void)arg;
    return weft_read(pipe_ends[0], &byte, 1) == 1 ? 0 : -EIO;
}

static int read_in_a_task(void *arg)
{
    return weft_join(weft_task_start(read_a_byte, arg));
}

static void a_descriptor(void)
{
    if (pipe(pipe_ends) != 0)
        abort();
    if (fork() == 0) {
        pause_ms(WHILE_MS);
        _exit(write(pipe_ends[1], "x", 1) != 1);
    }
    if (weft_run(read_in_a_task, NULL) != 0)
        abort();
}

static weft_waiter *parked;

static void wake_parked(int signal)
{
    (void)signal;
    weft_unpark_signal(parked);
}

static int park_here(void *arg)
{
    (void)arg;
    __atomic_store_n(&parked, weft_self(), __ATOMIC_SEQ_CST);
    struct itimerval time = {.it_value = {0, WHILE_MS * 1000L}};
    setitimer(ITIMER_REAL, &time, NULL);
    return weft_park(INFINITY);
}

static int park_in_a_task(void *arg)
{
    return weft_join(weft_task_start(park_here, arg));
}

static void a_signal_handler(void)
{
    signal(SIGALRM, wake_parked);
    if (weft_run(park_in_a_task, NULL) != 0)
        abort();
}

static int ring(void *arg)
{
    weft_arena *a;
    struct weft_event *event =
        weft_arena_open(*(struct weft_arena_ref *)arg, &a);
    pause_ms(WHILE_MS);
    weft_event_set(event);
    weft_arena_close(a);
    return 0;
}

static int wait_at(void *event)
{
    return weft_event_wait(event);
}

static int wait_in_an_arena(void *arg)
{
    weft_arena *a;
    (void)arg;
    if (weft_arena_new(1 << 20, &a) != 0)
        return -ENOMEM;
    struct weft_event *event = weft_arena_value(a, struct weft_event);
    weft_event_init(event, .arena = a);
    struct weft_arena_ref ref = weft_arena_ref(a, event);
    weft_future *f = weft_process_start(ring, &ref, sizeof ref);
    int rc = weft_join(weft_task_start(wait_at, event));
    weft_join(f);
    weft_arena_close(a);
    return rc;
}

static void another_process(void)
{
    if (weft_run(wait_in_an_arena, NULL) != 0)
        abort();
}

WEFT_JOB(int, nothing_much)
{
    return 1;
}

// A pool has nothing to do for a while: nobody waits.
static void an_idle_pool(void)
{
    weft_executor *ex = weft_thread_pool();
    int one;
    if (weft_result(weft_submit(ex, nothing_much), &one) != 0)
        abort();
    pause_ms(WHILE_MS);
    weft_executor_close(ex);
}

WEFT_TEST(what_can_go_on_is_not_reported, .timeout = 30)
{
    assert_not_said(a_timer);
    assert_not_said(a_timer_of_a_job_that_migrates);
    assert_not_said(a_deadline);
    assert_not_said(another_thread);
    assert_not_said(a_thread_with_a_limit);
    assert_not_said(a_busy_main_thread);
    assert_not_said(a_descriptor);
    assert_not_said(a_signal_handler);
    assert_not_said(another_process);
    assert_not_said(an_idle_pool);
}

// Cycles ----------------------------------------------------------------------

static int met;

static int take_both(void *arg)
{
    struct weft_lock *first = arg == NULL ? &first_lock : &second_lock;
    struct weft_lock *second = arg == NULL ? &second_lock : &first_lock;
    int rc = weft_lock_acquire(first);
    kit_count(&met);
    kit_await(&met, 2);
    if (rc == 0)
        rc = weft_lock_acquire(second);
    if (rc == 0)
        weft_lock_release(second);
    weft_lock_release(first);
    return rc;
}

static int cross(void *arg)
{
    (void)arg;
    weft_future *f = weft_task_start(take_both, NULL, .name = "left");
    weft_future *g = weft_task_start(take_both, &met, .name = "right");
    int rc = weft_join(f), other = weft_join(g);
    return (rc == -WEFT_EDEADLOCK) == (other == -WEFT_EDEADLOCK) ? -EIO : 0;
}

static void a_cycle(void)
{
    if (weft_run(cross, NULL) != 0)
        abort();
}

WEFT_TEST(cycles_by_policy)
{
    unsetenv("WEFT_DEADLOCK");
    ck_assert_int_eq(kit_child(a_cycle, said, sizeof said), 0);
    ck_assert_ptr_null(strstr(said, "cycle"));
    with_policy("report");
    ck_assert_int_eq(kit_child(a_cycle, said, sizeof said), 0);
    ck_assert_ptr_nonnull(strstr(said, "would close a cycle of waits"));
    ck_assert_ptr_nonnull(strstr(said, " left"));
    ck_assert_ptr_nonnull(strstr(said, " right"));
    with_policy("abort");
    int status = kit_child(a_cycle, said, sizeof said);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    ck_assert_ptr_nonnull(strstr(said, "would close a cycle of waits"));
}

WEFT_TEST_MAIN("stall")
