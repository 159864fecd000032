// SPDX-License-Identifier: MIT
// fork() by the user. Before any runtime, and while no other thread uses Weft,
// nothing changes; else the child may exec, _exit or call weft_fork_child(),
// and everything else returns -WEFT_EFORKED.
#include "kit.h"

#include <pthread.h>

// Runs fn in a forked child, which exits with its result. In the child nothing
// of Check may be called: another thread may have held its lock.
static void in_child(int (*fn)(void), int status)
{
    int got;
    pid_t pid = fork();

    if (pid == 0)
        _exit(fn());
    ck_assert_int_eq(waitpid(pid, &got, 0), pid);
    ck_assert_msg(WIFEXITED(got) && WEXITSTATUS(got) == status,
                  "the child's wait status is 0x%x, not exit %d", got, status);
}

static int use_everything(void)
{
    int runs = 0;

    if (weft_run(kit_count, &runs) != 0 ||
        weft_join(weft_task_start(kit_count, &runs)) != 0 ||
        weft_join(weft_thread_start(kit_count, &runs)) != 0)
        return 1;
    return runs == 3 ? 42 : 2;
}

static int forked_calls(void)
{
    int runs = 0;

    if (weft_run(kit_count, &runs) != -WEFT_EFORKED)
        return 1;
    if (weft_join(weft_task_start(kit_count, &runs)) != -WEFT_EFORKED)
        return 2;
    if (weft_join(weft_thread_start(kit_count, &runs)) != -WEFT_EFORKED)
        return 3;
    return runs == 0 ? 42 : 4;
}

static int fresh_runtime(void)
{
    if (weft_fork_child() != 0)
        return 10;
    // A second time it is no forked child any more.
    if (weft_fork_child() != -EINVAL)
        return 11;
    return use_everything();
}

static int dropped;

static void count_drop(void *arg)
{
    (void)arg;
    dropped++;
}

static int failed_start_drops(void)
{
    weft_join(weft_task_start(kit_never, NULL, .drop = count_drop));
    weft_join(weft_thread_start(kit_never, NULL, .drop = count_drop));
    return dropped == 2 ? 42 : 1;
}

// The thread that forked is the child's only one, and may end as it would have.
static int fork_in_a_thread(void *arg)
{
    int status;
    pid_t pid = fork();

    (void)arg;
    if (pid == 0)
        return weft_fork_child();
    if (waitpid(pid, &status, 0) != pid)
        return -errno;
    return status;
}

static void thread_that_forks(void)
{
    weft_future *other = weft_thread_start(kit_block, NULL);
    int status = weft_join(weft_thread_start(fork_in_a_thread, NULL));

    weft_cancel(other);
    weft_join(other);
    _exit(status == 0 ? 42 : 1);
}

WEFT_TEST(a_thread_that_has_forked_ends_in_the_child_too)
{
    if (KIT_SANITIZED)
        weft_test_skip("a sanitizer knows the threads of the parent only");
    char text[1000];
    int status = kit_child(thread_that_forks, text, sizeof(text));

    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 42,
                  "wait status 0x%x: %s", status, text);
}

// What the child of a fork in a main task returns there, its weft_run returns.
static pid_t forked;

static int fork_anew(void *arg)
{
    weft_future *sleeper = weft_task_start(kit_block, NULL);

    weft_yield();
    forked = fork();
    weft_future_unref(sleeper);
    if (forked != 0)
        return 0;
    return arg == NULL ? 42 : fresh_runtime();
}

// The scopes around the fork are the parent's, and are left without a word.
static int fork_in_scopes(void *arg)
{
    int rc = 1;

    {
        WEFT_TIMEOUT(10);
        WEFT_GROUP(g, &rc);
        WEFT_SHIELD(10);
        weft_future_unref(weft_task_start(kit_block, NULL));
        weft_yield();
        forked = fork();
        if (forked == 0 && fresh_runtime() != 42)
            return 2;
        weft_group_cancel(g);
    }
    if (forked == 0)
        return rc == -WEFT_EFORKED ? 42 : 3;
    return rc == 0 ? kit_return(arg) : 4;
}

static int run_and_fork(weft_function *fn, void *arg, int *ran)
{
    int status = 0;

    *ran = weft_run(fn, arg, .workers = 2);
    if (forked == 0)
        return 0;
    waitpid(forked, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -status;
}

static void child_returns_from_a_run(void)
{
    int ran = -1, status = run_and_fork(fork_anew, NULL, &ran);

    _exit(forked == 0 ? ran : ran == 0 && status == 42 ? 42 : 1);
}

static void child_begins_anew_in_a_run(void)
{
    int ran = -1, status = run_and_fork(fork_anew, kit_number(1), &ran);

    if (forked == 0 && ran == 42)
        ran = use_everything(); // outside as well
    _exit(forked == 0 ? ran : ran == 0 && status == 42 ? 42 : 1);
}

static void child_begins_anew_in_scopes(void)
{
    int ran = -1, status = run_and_fork(fork_in_scopes, NULL, &ran);

    _exit(forked == 0 ? ran : ran == 0 && status == 42 ? 42 : 1);
}

WEFT_TEST(a_child_may_return_from_its_parents_run, .timeout = 20)
{
    char text[1000];
    int status = kit_child(child_returns_from_a_run, text, sizeof(text));

    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 42,
                  "wait status 0x%x: %s", status, text);
}

WEFT_TEST(a_child_that_has_begun_anew_may_return_from_it, .timeout = 20)
{
    if (KIT_SANITIZED)
        weft_test_skip("a sanitizer knows the threads of the parent only");
    char text[1000];
    int status = kit_child(child_begins_anew_in_a_run, text, sizeof(text));

    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 42,
                  "wait status 0x%x: %s", status, text);
}

WEFT_TEST(a_child_that_has_begun_anew_leaves_its_parents_scopes, .timeout = 20)
{
    if (KIT_SANITIZED)
        weft_test_skip("a sanitizer knows the threads of the parent only");
    char text[1000];
    int status = kit_child(child_begins_anew_in_scopes, text, sizeof(text));

    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 42,
                  "wait status 0x%x: %s", status, text);
}

// Before any runtime ----------------------------------------------------------

WEFT_TEST(before_any_runtime_nothing_changes)
{
    in_child(use_everything, 42);
    ck_assert_int_eq(use_everything(), 42);
}

WEFT_TEST(outside_a_forked_child_there_is_nothing_to_do)
{
    kit_assert_code(weft_fork_child(), -EINVAL);
    ck_assert_int_eq(use_everything(), 42);
    kit_assert_code(weft_fork_child(), -EINVAL);
}

// With a runtime alive --------------------------------------------------------

static void need_threads_in_the_child(void)
{
    if (KIT_TSAN)
        weft_test_skip("TSan ends a forked child that starts threads");
    if (KIT_SANITIZED)
        weft_test_skip(
            "at the fork a thread may hold the lock of ASan's malloc");
}

static int exec_true(void)
{
    execl("/bin/true", "true", (char *)NULL);
    return 1;
}

static int just_leave(void)
{
    return 17;
}

KIT_BOTH(a_child_may_exec_and_exit)
{
    weft_group *g = weft_group_open();
    weft_future_unref(weft_task_start(kit_return, NULL));
    in_child(exec_true, 0);
    in_child(just_leave, 17);
    kit_assert_code(weft_group_close(g), 0);
}

static int started;

static void fork_with_a_runtime(int (*fn)(void))
{
    weft_future *fs[] = {weft_task_start(kit_count_and_block, &started),
                         weft_thread_start(kit_count_and_block, &started)};

    kit_await(&started, 2);
    in_child(fn, 42);
    // The parent goes on as before.
    weft_cancel(fs[0]);
    weft_cancel(fs[1]);
    kit_assert_code(weft_join(fs[0]), -WEFT_EJOBCANCELED);
    kit_assert_code(weft_join(fs[1]), -WEFT_EJOBCANCELED);
    ck_assert_int_eq(use_everything(), 42);
}

KIT_BOTH(everything_else_says_forked)
{
    fork_with_a_runtime(forked_calls);
}

KIT_BOTH(a_failed_start_in_the_child_drops)
{
    fork_with_a_runtime(failed_start_drops);
}

KIT_BOTH(a_fresh_runtime_works)
{
    need_threads_in_the_child();
    fork_with_a_runtime(fresh_runtime);
}

static int fork_from_here(void *arg)
{
    in_child(arg, 42);
    return 0;
}

WEFT_TEST(fork_from_a_child_task)
{
    need_threads_in_the_child();
    kit_assert_code(weft_join(weft_task_start(fork_from_here, forked_calls)),
                    0);
    kit_assert_code(weft_join(weft_task_start(fork_from_here, fresh_runtime)),
                    0);
}

WEFT_TEST(fork_from_a_thread)
{
    need_threads_in_the_child();
    kit_assert_code(weft_join(weft_thread_start(fork_from_here, forked_calls)),
                    0);
    kit_assert_code(weft_join(weft_thread_start(fork_from_here, fresh_runtime)),
                    0);
}

enum { MANY_HANDLES = 1000, FEW = 256 };

static weft_future *handles[MANY_HANDLES];

// All at once, then none: each n, so that any mistake in a count is met.
static int make_and_free(void)
{
    weft_promise *promises[FEW];

    for (int n = 1; n <= FEW; n++) {
        for (int i = 0; i < n; i++)
            promises[i] = weft_promise_new();
        for (int i = 0; i < n; i++)
            if (weft_promise_keep(promises[i], 0, NULL, 0, NULL) != 0)
                return 2;
    }
    return use_everything();
}

static int give_handles_back(void)
{
    if (weft_fork_child() != 0)
        return 1;
    for (int i = 0; i < MANY_HANDLES; i++)
        weft_future_unref(handles[i]);
    return make_and_free();
}

WEFT_TEST(a_child_gives_back_many_handles_of_its_parent, .timeout = 20)
{
    need_threads_in_the_child();
    for (int i = 0; i < MANY_HANDLES; i++) {
        handles[i] = weft_task_start(kit_return, NULL);
        kit_assert_code(weft_get_into(handles[i], NULL, 0), 0);
    }
    in_child(give_handles_back, 42);
    for (int i = 0; i < MANY_HANDLES; i++)
        weft_future_unref(handles[i]);
}

// Threads of the program's own that share a lock, and nothing else of Weft.
static struct weft_lock shared_lock;
static struct weft_event let_go;
static int holds;

static void *hold_lock(void *arg)
{
    (void)arg;
    kit_assert_code(weft_lock_acquire(&shared_lock), 0);
    kit_count(&holds);
    kit_assert_code(weft_event_wait(&let_go), 0);
    weft_lock_release(&shared_lock);
    return NULL;
}

static int acquire_in_child(void)
{
    alarm(5);
    if (weft_lock_acquire(&shared_lock) != -WEFT_EFORKED)
        return 1;
    if (weft_fork_child() != 0)
        return 2;
    return weft_lock_acquire(&shared_lock) == -EOWNERDEAD ? 42 : 3;
}

WEFT_TEST(a_lock_of_a_foreign_thread_says_forked, .timeout = 20)
{
    pthread_t thread;

    ck_assert_int_eq(pthread_create(&thread, NULL, hold_lock, NULL), 0);
    while (kit_load(&holds) == 0)
        sched_yield();
    in_child(acquire_in_child, 42);
    weft_event_set(&let_go);
    pthread_join(thread, NULL);
    // Nobody else is there any more.
    in_child(use_everything, 42);
}

static uint64_t parents_id;

static int open_parents_future(void)
{
    if (weft_fork_child() != 0)
        return 1;
    weft_future *f = weft_future_open(parents_id);
    if (!weft_done(f) || weft_future_code(f) != -ESRCH)
        return 2;
    weft_future_unref(f);
    return 42;
}

WEFT_TEST(a_fresh_runtime_knows_no_id_of_the_parent)
{
    weft_promise *promise = weft_promise_new();
    weft_future *f = weft_promise_future(promise);
    parents_id = weft_future_id(f);
    kit_assert_code(weft_run(kit_return, NULL), 0);
    in_child(open_parents_future, 42);
    weft_future *again = weft_future_open(parents_id);
    ck_assert_ptr_eq(again, f);
    weft_future_unref(again);
    weft_promise_keep(promise, 0, NULL, 0, NULL);
    kit_assert_code(weft_join(f), 0);
}

static int fork_again(void)
{
    int status;

    if (weft_fork_child() != 0 || use_everything() != 42)
        return 20;
    pid_t pid = fork();
    if (pid == 0)
        _exit(weft_fork_child() == 0 ? use_everything() : 21);
    return waitpid(pid, &status, 0) == pid && WIFEXITED(status)
               ? WEXITSTATUS(status)
               : 22;
}

WEFT_TEST(a_child_of_a_child)
{
    need_threads_in_the_child();
    fork_with_a_runtime(fork_again);
}

static weft_executor *pool;

WEFT_JOB(long, one_more, long, x)
{
    return x + 1;
}

static int submit_in_child(void)
{
    long out = 0;
    return weft_result(weft_submit(pool, one_more, 1), &out) == -WEFT_EFORKED
               ? 42
               : 1;
}

WEFT_TEST(an_executor_of_the_parent_says_forked)
{
    long out = 0;

    pool = weft_thread_pool(.workers = 2);
    kit_assert_code(weft_result(weft_submit(pool, one_more, 1), &out), 0);
    in_child(submit_in_child, 42);
    kit_assert_code(weft_result(weft_submit(pool, one_more, 2), &out), 0);
    ck_assert_int_eq(out, 3);
    kit_assert_code(weft_executor_close(pool), 0);
}

// Where a job of the pool forks, its thread goes on in the child.
WEFT_JOB(int, fork_and_submit, int, wanted)
{
    long out;
    kit_assert_code(weft_result(weft_submit(pool, one_more, 1), &out), 0);
    in_child(submit_in_child, wanted);
    return 0;
}

WEFT_TEST(an_executor_of_the_parent_says_forked_in_its_own_job)
{
    int out;

    pool = weft_thread_pool(.workers = 1);
    kit_assert_code(weft_result(weft_submit(pool, fork_and_submit, 42), &out),
                    0);
    kit_assert_code(weft_executor_close(pool), 0);
}

static weft_executor *pools[4];

static int submit_to_all(void)
{
    for (int i = 0; i < 4; i++) {
        long out = 0, in = 1;
        int rc = weft_result(weft_submit(pools[i], one_more, 1), &out);
        if (rc != -WEFT_EFORKED)
            return 10 + i;
        rc = weft_map(pools[i], one_more, &in, 1, &out);
        if (rc != -WEFT_EFORKED)
            return 20 + i;
        if (i < 2 && weft_thread_pool_resize(pools[i], 3) != -WEFT_EFORKED)
            return 40 + i;
        if (weft_executor_close(pools[i]) != -WEFT_EFORKED)
            return 30 + i;
    }
    return 42;
}

static int submit_after_a_new_beginning(void)
{
    return weft_fork_child() != 0 ? 1 : submit_to_all();
}

WEFT_TEST(an_executor_of_the_parent_stays_the_parents, .timeout = 20)
{
    pools[0] = weft_thread_pool(.workers = 2);
    pools[1] = weft_thread_pool(.workers = 2, .blocking = true);
    pools[2] = weft_loop_executor();
    pools[3] = weft_process_pool(.workers = 1);
    in_child(submit_to_all, 42);
    in_child(submit_after_a_new_beginning, 42);
    for (int i = 0; i < 4; i++)
        kit_assert_code(weft_executor_close(pools[i]), 0);
}

// Descriptors: on io_uring the parent's ring would get what the child asks for.
static int forked_io(int fd)
{
    char byte;
    alarm(5);
    if (weft_read(fd, &byte, 1) != -WEFT_EFORKED)
        return 1;
    return weft_fd_wait(fd, WEFT_READABLE) == -WEFT_EFORKED ? 42 : 2;
}

static int fork_and_read(void *arg)
{
    int *fds = arg, got;
    char byte = 0;
    pid_t pid = fork();
    if (pid == 0)
        _exit(forked_io(fds[0]));
    ck_assert_int_eq(waitpid(pid, &got, 0), pid);
    ck_assert_int_eq(WIFEXITED(got) ? WEXITSTATUS(got) : -got, 42);
    ck_assert_int_eq(weft_write(fds[1], "x", 1), 1);
    ck_assert_int_eq(weft_read(fds[0], &byte, 1), 1);
    ck_assert_int_eq(byte, 'x');
    return 0;
}

WEFT_TEST(descriptors_in_a_child_say_forked, .timeout = 20)
{
    int fds[2];
    ck_assert_int_eq(pipe(fds), 0);
    ck_assert_int_eq(weft_run(fork_and_read, fds), 0);
    close(fds[0]);
    close(fds[1]);
}

// Many forks while tasks and threads work: the child never hangs on a lock
// that somebody held at the moment of the fork.
static int busy_until(void *arg)
{
    while (!kit_load(arg))
        kit_assert_code(weft_join(weft_task_start(kit_return, kit_number(0))),
                        0);
    return 0;
}

WEFT_TEST(forks_at_any_moment, .timeout = 30)
{
    weft_future *busy[3];
    int stop = 0;

    need_threads_in_the_child();
    for (int i = 0; i < 3; i++)
        busy[i] = weft_thread_start(busy_until, &stop);
    for (int i = 0; i < (KIT_SANITIZED ? 10 : 40); i++)
        in_child(i % 2 ? fresh_runtime : forked_calls, 42);
    kit_count(&stop);
    kit_assert_code(weft_gather_into(busy, 3, NULL, 0, NULL), 0);
}

// Calls that wait in a loop until something has happened, which it never will.
static int forked_waits(void)
{
    if (weft_sleep(60) != -WEFT_EFORKED)
        return 1;
    return 42;
}

static int sleep_long(void *arg)
{
    (void)arg;
    return weft_sleep(60);
}

static int fork_in_a_group(void *arg)
{
    (void)arg;
    weft_group *g = weft_group_open();
    weft_future *f = weft_task_start(sleep_long, NULL);
    weft_as_completed *it = weft_as_completed_open(&f, 1);
    weft_yield();
    int got;
    pid_t pid = fork();
    if (pid == 0) {
        alarm(5);
        if (weft_as_completed_next(it) != -WEFT_EFORKED)
            _exit(1);
        _exit(weft_group_close(g) == -WEFT_EFORKED ? forked_waits() : 2);
    }
    ck_assert_int_eq(waitpid(pid, &got, 0), pid);
    ck_assert_int_eq(WIFEXITED(got) ? WEXITSTATUS(got) : -got, 42);
    weft_as_completed_close(it);
    weft_group_cancel(g);
    weft_group_close(g);
    weft_future_unref(f);
    return 0;
}

WEFT_TEST(waits_of_a_child_end, .timeout = 20)
{
    ck_assert_int_eq(weft_run(fork_in_a_group, NULL), 0);
}

static int close_blocking(void)
{
    weft_executor *ex = weft_thread_pool(.blocking = true);
    pid_t pid = fork();
    int got;
    if (pid == 0) {
        alarm(5);
        _exit(weft_executor_close(ex) == -WEFT_EFORKED ? 42 : 1);
    }
    waitpid(pid, &got, 0);
    weft_executor_close(ex);
    return WIFEXITED(got) ? WEXITSTATUS(got) : -got;
}

WEFT_TEST(a_child_does_not_close_its_parents_blocking_pool, .timeout = 20)
{
    ck_assert_int_eq(close_blocking(), 42);
}

WEFT_TEST_MAIN("fork")
