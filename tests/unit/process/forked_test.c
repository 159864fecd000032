// SPDX-License-Identifier: MIT
// What a child of fork does with its parent's handles: they are dead there, and
// what they stand for in the parent does not hear of it.
#include "jobs.h"

#include <fcntl.h>
#include <sys/wait.h>

static bool anew; // in a child that has called weft_fork_child

static int in_child(int (*fn)(void))
{
    return anew && weft_fork_child() != 0 ? 99 : fn();
}

// Runs fn in a forked child, as it comes and after weft_fork_child. In the
// child nothing of Check may be called.
static void in_children(int (*fn)(void))
{
    for (int i = 0; i < 2; i++) {
        int got;
        anew = i == 1;
        pid_t pid = fork();
        if (pid == 0)
            _exit(in_child(fn));
        ck_assert_int_eq(waitpid(pid, &got, 0), pid);
        ck_assert_msg(WIFEXITED(got) && WEXITSTATUS(got) == 42,
                      "the child's wait status is 0x%x, not exit 42", got);
    }
}

// Processes -------------------------------------------------------------------

static weft_future *process;

static int wait_for_a_byte(void *arg)
{
    char byte;
    (void)arg;
    return read(weft_process_fd(0), &byte, 1) == 1 ? 7 : -EIO;
}

static int end_the_process(void)
{
    struct weft_process_info info = {.size = sizeof info};
    struct weft_bytes bytes;
    if (weft_process_kill(process) != -WEFT_EFORKED ||
        weft_process_terminate(process) != -WEFT_EFORKED ||
        weft_process_interrupt(process) != -WEFT_EFORKED)
        return 1;
    if (weft_process_stop(process, 0, 0) != -WEFT_EFORKED)
        return 2;
    if (weft_process_info(process, &info) != -WEFT_EFORKED ||
        weft_process_output(process, 1, &bytes, NULL) != -WEFT_EFORKED ||
        weft_process_pidfd(process) != -WEFT_EFORKED)
        return 3;
    if (weft_process_children(NULL, 0) != 0)
        return 4;
    if (!anew) // a record of the parent's tells itself gone
        weft_cancel(process);
    return 42;
}

WEFT_TEST(a_process_of_the_parent_is_left_alone, .timeout = 20)
{
    int ends[2];
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    process = weft_process_start(wait_for_a_byte, NULL, 0, .fds = &ends[0],
                                 .fd_count = 1);
    until_running(process);
    in_children(end_the_process);
    ck_assert_int_eq(write(ends[1], "x", 1), 1);
    expect(process, 7);
}

static int stop_the_zygote(void)
{
    int rc = weft_zygote_stop(NULL, NULL);
    return rc == -WEFT_EFORKED || rc == -ESRCH ? 42 : 1;
}

WEFT_TEST(its_zygote_too, .timeout = 20)
{
    if (WI_TSAN || WI_ON_VALGRIND)
        weft_test_skip("zygotes are not for these");
    weft_join(weft_zygote_start(NULL, NULL));
    in_children(stop_the_zygote);
    ck_assert_int_eq(weft_zygote_stop(NULL, NULL), 0);
}

// Pools -----------------------------------------------------------------------

static weft_executor *pool;
static weft_future *job;

static int use_the_pool(void)
{
    struct weft_process_pool_stats stats = {.size = sizeof stats};
    if (weft_process_pool_resize(pool, 2) != -WEFT_EFORKED)
        return 1;
    if (weft_process_pool_stats(pool, &stats) != -WEFT_EFORKED)
        return 2;
    if (weft_process_pool_workers(pool, NULL, 0) != -WEFT_EFORKED)
        return 3;
    if (!anew)
        weft_cancel(job);
    return 42;
}

WEFT_JOB(long, wait_for_it)
{
    char byte;
    return read(weft_process_fd(0), &byte, 1);
}

WEFT_TEST(a_job_of_the_parent_is_left_alone, .timeout = 20)
{
    int ends[2];
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    struct weft_process_options like = {
        .size = sizeof like, .fds = &ends[0], .fd_count = 1};
    pool = weft_process_pool(.workers = 1, .process = &like);
    job = weft_submit(pool, wait_for_it);
    until_running(job);
    in_children(use_the_pool);
    ck_assert_int_eq(write(ends[1], "x", 1), 1);
    expect_long(job, 1);
    ck_assert_int_eq(weft_executor_close(pool), 0);
}

// Managers --------------------------------------------------------------------

static weft_manager *manager;

static void *count_new(const void *arg, size_t size)
{
    (void)arg;
    (void)size;
    return calloc(1, sizeof(long));
}

WEFT_JOB(long, count_up)
{
    return ++*(long *)weft_manager_state();
}

static int use_the_manager(void)
{
    if (weft_join(weft_manager_call(manager, count_up)) != -WEFT_EFORKED)
        return 1;
    return weft_manager_close(manager) == -WEFT_EFORKED ? 42 : 2;
}

WEFT_TEST(a_manager_of_the_parent_is_left_alone, .timeout = 20)
{
    manager = weft_manager_start(count_new, NULL, 0);
    expect_long(weft_manager_call(manager, count_up), 1);
    in_children(use_the_manager);
    expect_long(weft_manager_call(manager, count_up), 2);
    ck_assert_int_eq(weft_manager_close(manager), 0);
}

// Arenas ----------------------------------------------------------------------

static weft_arena *arena;
static struct weft_buffer buffer;

static int close_the_arena(void)
{
    weft_arena_close(arena);
    // One that has begun anew could open the memory as any other process.
    return anew || weft_buffer_data(buffer) == NULL ? 42 : 1;
}

WEFT_TEST(an_arena_of_the_parent_is_left_alone, .timeout = 20)
{
    weft_arena *again;
    ck_assert_int_eq(weft_arena_new(1 << 20, &arena), 0);
    struct weft_counter *c = weft_arena_value(arena, struct weft_counter);
    struct weft_arena_ref ref = weft_arena_ref(arena, c);
    buffer = weft_buffer_new(1000);
    ck_assert_ptr_nonnull(weft_buffer_data(buffer));
    in_children(close_the_arena);
    ck_assert_ptr_eq(weft_arena_open(ref, &again), c);
    ck_assert_int_eq(weft_counter_add(c, 1), 1);
    weft_arena_close(again);
    weft_arena_close(arena);
    weft_buffer_free(buffer);
}

WEFT_TEST_MAIN("forked")
