// SPDX-License-Identifier: MIT
// Runs: nested, several at once, with several workers; their root groups; the
// default loop of plain threads.
#include "kit.h"

#include <pthread.h>

static int start_tasks(void *arg)
{
    int rc;
    {
        WEFT_GROUP(g, &rc);
        for (int i = 0; i < 100; i++)
            weft_future_unref(weft_task_start(kit_count, arg));
    }
    return rc;
}

WEFT_TEST(a_run_returns_the_code_of_its_main_task)
{
    kit_assert_code(weft_run(kit_return, kit_number(5)), 5);
    kit_assert_code(weft_run(kit_return, kit_number(-EIO)), -EIO);
    kit_assert_code(weft_run(kit_return, NULL), 0);
}

WEFT_TEST(runs_follow_each_other)
{
    int runs = 0;

    for (int i = 0; i < 50; i++)
        kit_assert_code(weft_run(start_tasks, &runs), 0);
    ck_assert_int_eq(runs, 5000);
}

static int open_things(void *arg)
{
    int fds[2], rc;

    ck_assert_int_eq(pipe(fds), 0);
    kit_assert_code(weft_write(fds[1], "x", 1), 1);
    {
        WEFT_TIMEOUT(0.0001);
        rc = weft_fd_wait(fds[0], WEFT_READABLE);
    }
    weft_close(fds[0]);
    weft_close(fds[1]);
    return rc == WEFT_READABLE || rc == -ETIMEDOUT ? start_tasks(arg) : -EIO;
}

WEFT_TEST(runs_leave_nothing_behind, .timeout = 20)
{
    int runs = 0;

    // A sanitizer starts a thread of its own beside the first one.
    kit_assert_code(weft_run(open_things, &runs, .workers = 2), 0);
    int fds = weft_test_count_fds(), threads = weft_test_count_threads();
    for (unsigned i = 0; i < 50; i++)
        kit_assert_code(weft_run(open_things, &runs, .workers = 1 + i % 4), 0);
    weft_test_await_threads(threads);
    ck_assert_int_eq(weft_test_count_fds(), fds);
}

// Nested ----------------------------------------------------------------------

static int run_inside(void *arg)
{
    return weft_run(start_tasks, arg);
}

KIT_TASK(a_nested_run)
{
    int runs = 0;

    kit_assert_code(weft_run(start_tasks, &runs), 0);
    kit_assert_code(weft_join(weft_task_start(run_inside, &runs)), 0);
    ck_assert_int_eq(runs, 200);
    kit_assert_code(weft_yield(), 0);
}

static int nest_runs(void *arg)
{
    int depth = (int)(intptr_t)arg;

    if (depth == 0)
        return weft_sleep(0.0001);
    return weft_run(nest_runs, kit_number(depth - 1));
}

KIT_TASK(runs_nested_five_deep)
{
    kit_assert_code(nest_runs(kit_number(5)), 0);
}

KIT_TASK(a_nested_run_with_workers)
{
    int runs = 0;

    kit_assert_code(weft_run(start_tasks, &runs, .workers = 3), 0);
    ck_assert_int_eq(runs, 100);
}

// Several workers -------------------------------------------------------------

static int met;

// Ends only if four threads run tasks at the same time.
static int meet(void *arg)
{
    (void)arg;
    kit_count(&met);
    while (kit_load(&met) < 4)
        sched_yield();
    return 0;
}

static int meet_all(void *arg)
{
    weft_future *fs[4];

    for (int i = 0; i < 4; i++)
        fs[i] = weft_task_start(meet, arg);
    return weft_gather_into(fs, 4, NULL, 0, NULL);
}

WEFT_TEST(four_workers_run_four_tasks_at_once, .timeout = 20)
{
    kit_assert_code(weft_run(meet_all, NULL, .workers = 4), 0);
}

static int pinned(void *arg)
{
    pthread_t before = pthread_self();

    for (int i = 0; i < 50; i++) {
        weft_yield();
        if (i % 10 == 0)
            weft_sleep(0.0001);
        ck_assert(pthread_equal(before, pthread_self()));
    }
    return kit_count(arg);
}

static int start_pinned(void *arg)
{
    int rc;
    {
        WEFT_GROUP(g, &rc);
        for (int i = 0; i < 200; i++)
            weft_future_unref(weft_task_start(pinned, arg));
    }
    return rc;
}

WEFT_TEST(a_started_task_never_changes_thread, .timeout = 20)
{
    int done = 0;

    kit_assert_code(weft_run(start_pinned, &done, .workers = 4), 0);
    ck_assert_int_eq(done, 200);
}

static int tree(void *arg)
{
    int depth = (int)(intptr_t)arg;

    if (depth == 0)
        return 1;
    weft_future *left = weft_task_start(tree, kit_number(depth - 1));
    weft_future *right = weft_task_start(tree, kit_number(depth - 1));
    int a = weft_join(left), b = weft_join(right);
    return a < 0 ? a : b < 0 ? b : a + b;
}

WEFT_TEST(a_tree_of_joins_on_one_to_four_workers, .timeout = 60)
{
    for (unsigned n = 1; n <= 4; n++)
        kit_assert_code(weft_run(tree, kit_number(12), .workers = n), 1 << 12);
}

// Several runs at once --------------------------------------------------------

static int run_here(void *arg)
{
    for (int i = 0; i < 10; i++)
        kit_assert_code(weft_run(start_tasks, arg), 0);
    return 0;
}

WEFT_TEST(runs_in_several_threads_at_once, .timeout = 20)
{
    weft_future *threads[6];
    int runs = 0;

    for (int i = 0; i < 6; i++)
        threads[i] = weft_thread_start(run_here, &runs);
    kit_assert_code(weft_gather_into(threads, 6, NULL, 0, NULL), 0);
    ck_assert_int_eq(runs, 6000);
}

static void *run_in_pthread(void *arg)
{
    run_here(arg);
    return NULL;
}

WEFT_TEST(runs_in_threads_that_weft_did_not_start, .timeout = 20)
{
    pthread_t threads[6];
    int runs = 0;

    for (int i = 0; i < 6; i++)
        ck_assert_int_eq(
            pthread_create(&threads[i], NULL, run_in_pthread, &runs), 0);
    for (int i = 0; i < 6; i++)
        pthread_join(threads[i], NULL);
    ck_assert_int_eq(runs, 6000);
}

struct crossing {
    struct kit_gate mine, other;
};

static int wait_then_open(void *arg)
{
    struct crossing *c = arg;
    int rc = kit_gate_wait(&c->other);
    kit_gate_open(&c->mine);
    return rc;
}

static int run_wait_then_open(void *arg)
{
    return weft_run(wait_then_open, arg);
}

// A task of one run waits for what a task of another run completes.
WEFT_TEST(tasks_of_different_runs_wait_for_each_other)
{
    struct kit_gate a = kit_gate_new(), b = kit_gate_new(), c = kit_gate_new();
    struct crossing first = {.mine = b, .other = a};
    struct crossing second = {.mine = c, .other = b};
    weft_future *one = weft_thread_start(run_wait_then_open, &first);
    weft_future *two = weft_thread_start(run_wait_then_open, &second);

    kit_gate_open(&a);
    kit_assert_code(kit_gate_wait(&c), 0);
    kit_assert_code(weft_join(one), 0);
    kit_assert_code(weft_join(two), 0);
    weft_future_unref(a.future);
    weft_future_unref(b.future);
    weft_future_unref(c.future);
}

// The root group --------------------------------------------------------------

static struct {
    int started, ran, drops, code;
} root;

static int block_and_tell(void *arg)
{
    (void)arg;
    kit_count(&root.started);
    root.code = weft_sleep(INFINITY);
    return 0;
}

static int leave_one_parked(void *arg)
{
    (void)arg;
    weft_future_unref(weft_task_start(block_and_tell, NULL));
    kit_await(&root.started, 1);
    return 3;
}

WEFT_TEST(what_still_runs_at_the_end_is_canceled_and_joined)
{
    kit_assert_code(weft_run(leave_one_parked, NULL), 3);
    kit_assert_code(root.code, -ECANCELED);
}

static int leave_one_unstarted(void *arg)
{
    (void)arg;
    weft_future_unref(
        weft_task_start(kit_never, &root.drops, .drop = kit_count_drop));
    return 4;
}

static int release[2]; // a pipe

static int stay_until_released(void *arg)
{
    char byte;
    WEFT_SHIELD((double)INFINITY);

    ++*(int *)arg;
    return weft_read(release[0], &byte, 1) == 1 ? 0 : -EIO;
}

static int leave_two_behind(void *arg)
{
    static int begun;

    (void)arg;
    weft_future_unref(
        weft_task_start(stay_until_released, &begun, .name = "oak"));
    weft_future_unref(
        weft_task_start(stay_until_released, &begun, .name = "elm"));
    while (begun < 2)
        weft_yield();
    return 7;
}

// All are named, and waited for: they are let go when that was read.
WEFT_TEST(what_will_not_end_is_reported_and_waited_for, .timeout = 20)
{
    char text[4096] = "";
    size_t have = 0;
    ssize_t n = 1;
    int said[2], status;

    ck_assert_int_eq(pipe(said), 0);
    ck_assert_int_eq(pipe(release), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(said[1], STDERR_FILENO);
        _exit(weft_run(leave_two_behind, NULL, .grace = 0.01));
    }
    close(said[1]);
    while (n > 0 && !(strstr(text, "oak") && strstr(text, "elm"))) {
        n = read(said[0], text + have, sizeof(text) - 1 - have);
        have += n > 0 ? (size_t)n : 0;
        text[have] = '\0';
    }
    ck_assert_msg(n > 0, "not named in: %s", text);
    ck_assert_int_eq(write(release[1], "xx", 2), 2);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 7 << 8);
}

WEFT_TEST(what_has_not_started_at_the_end_never_runs)
{
    kit_assert_code(weft_run(leave_one_unstarted, NULL), 4);
    ck_assert_int_eq(root.drops, 1);
}

static int clean_up_slowly(void *arg)
{
    block_and_tell(arg);
    WEFT_SHIELD(weft_test_seconds(30));
    for (int i = 0; i < 10; i++)
        kit_assert_code(weft_sleep(0.0005), 0);
    root.ran = 1;
    return 0;
}

static int leave_one_that_cleans_up(void *arg)
{
    (void)arg;
    weft_future_unref(weft_task_start(clean_up_slowly, NULL));
    kit_await(&root.started, 1);
    return 0;
}

WEFT_TEST(the_end_of_a_run_waits_for_cleaning_up)
{
    kit_assert_code(weft_run(leave_one_that_cleans_up, NULL), 0);
    ck_assert_int_eq(root.ran, 1);
}

static weft_future *kept;

static int keep_the_handle(void *arg)
{
    kept = weft_task_start(kit_return, arg);
    kit_assert_code(weft_get_into(kept, NULL, 0), (int)(intptr_t)arg);
    return 0;
}

WEFT_TEST(a_handle_outlives_its_run)
{
    kit_assert_code(weft_run(keep_the_handle, kit_number(11)), 0);
    ck_assert(weft_done(kept));
    kit_assert_code(weft_join(kept), 11);
}

// A failure in the root group is its task's own: the others go on, as with
// asyncio.create_task.
KIT_TASK(a_failure_in_the_root_group_ends_nobody_else)
{
    int runs = 0;
    weft_future *bad = weft_task_start(kit_return, kit_number(-EIO));

    kit_assert_code(weft_join(bad), -EIO);
    kit_assert_code(weft_check(), 0);
    kit_assert_code(weft_join(weft_task_start(kit_count, &runs)), 0);
    ck_assert_int_eq(runs, 1);
}

// The default loop ------------------------------------------------------------

static int yield_and_count(void *arg)
{
    weft_yield();
    return kit_count(arg);
}

static int start_many(void *arg)
{
    weft_future *fs[200];

    for (int i = 0; i < 200; i++)
        fs[i] = weft_task_start(yield_and_count, arg);
    return weft_gather_into(fs, 200, NULL, 0, NULL);
}

WEFT_TEST(plain_threads_share_the_default_loop, .timeout = 20)
{
    weft_future *threads[8];
    int runs = 0;

    for (int i = 0; i < 8; i++)
        threads[i] = weft_thread_start(start_many, &runs);
    kit_assert_code(weft_gather_into(threads, 8, NULL, 0, NULL), 0);
    ck_assert_int_eq(runs, 1600);
}

static int start_and_join(void *arg)
{
    for (int i = 0; i < 5000; i++)
        if (weft_join(weft_task_start(kit_count, arg)) != 0)
            return -EIO;
    return 0;
}

// Between two of them the loop may fall asleep, and must wake each time.
static void start_and_join_in_threads(int n)
{
    weft_future *threads[4];
    int runs = 0;

    for (int i = 0; i < n; i++)
        threads[i] = weft_thread_start(start_and_join, &runs);
    kit_assert_code(weft_gather_into(threads, (size_t)n, NULL, 0, NULL), 0);
    ck_assert_int_eq(runs, n * 5000);
}

WEFT_TEST(a_thread_starts_and_joins_one_by_one, .timeout = 30)
{
    start_and_join_in_threads(1);
}

WEFT_TEST(threads_start_and_join_one_by_one, .timeout = 30)
{
    for (int n = 2; n <= 4; n++)
        start_and_join_in_threads(n);
}

WEFT_TEST(a_task_of_the_default_loop_runs_without_a_wait)
{
    int runs = 0;
    weft_future *f = weft_task_start(kit_count, &runs);

    while (!weft_done(f))
        sched_yield();
    ck_assert_int_eq(runs, 1);
    kit_assert_code(weft_join(f), 0);
}

static int exit_with_seven(void *arg)
{
    kit_count(arg);
    if (weft_sleep(INFINITY) == -ECANCELED)
        _exit(7);
    return 0;
}

WEFT_TEST(exit_cancels_and_joins_the_default_loop, .exit_code = 7)
{
    static int reached;

    weft_future_unref(weft_task_start(exit_with_seven, &reached));
    kit_await(&reached, 1);
}

WEFT_TEST_MAIN("run")
