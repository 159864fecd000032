// SPDX-License-Identifier: MIT
//
// Workers that are blocked by plain libc: a spare runs what waits behind them,
// the culprit is named once, and nobody else is.
#include "kit.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>

// What is said ----------------------------------------------------------------

static int said[2]; // standard error of this case
static char text[16384];
static size_t length;

static void listen_to_stderr(void)
{
    ck_assert_int_eq(pipe2(said, O_CLOEXEC), 0);
    ck_assert_int_ge(dup2(said[1], STDERR_FILENO), 0);
    close(said[1]);
    length = 0;
    text[0] = '\0';
}

// Takes in what there is; waits for the first of it.
static void take_in(void)
{
    ssize_t n = read(said[0], text + length, sizeof text - 1 - length);
    ck_assert_int_gt(n, 0);
    length += (size_t)n;
    text[length] = '\0';
}

static void listen_until(const char *word)
{
    while (strstr(text, word) == NULL)
        take_in();
}

// How often it was said; nobody may say any more.
static int times_said(const char *word)
{
    int times = 0;
    fcntl(said[0], F_SETFL, O_NONBLOCK);
    ssize_t n;
    while ((n = read(said[0], text + length, sizeof text - 1 - length)) > 0)
        length += (size_t)n;
    text[length] = '\0';
    for (const char *p = text; (p = strstr(p, word)) != NULL; p++)
        times++;
    return times;
}

#define assert_said(word, n)                                                   \
    do {                                                                       \
        int times = times_said(word);                                          \
        ck_assert_msg(times == (n), "%d times \"%s\" in: %s", times, word,     \
                      text);                                                   \
    } while (0)

static void assert_silence(void)
{
    int lines = times_said("\n");
    ck_assert_msg(lines == 0, "said: %s", text);
}

// The watchdog's thread, as the kernel sees it --------------------------------

static bool read_task(const char *thread, const char *file, char *to, int size)
{
    char path[300];
    snprintf(path, sizeof path, "/proc/self/task/%s/%s", thread, file);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, to, (size_t)size - 1);
    to[n > 0 ? n : 0] = '\0';
    if (fd >= 0)
        close(fd);
    return n > 0;
}

// A number in its status, in that base; -1: there is no watchdog.
static long long watchdog_status(const char *field, int base)
{
    char name[64], status[4096];
    long long value = -1;
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *e; (e = readdir(tasks)) != NULL;) {
        if (!read_task(e->d_name, "comm", name, sizeof name) ||
            strcmp(name, "weft-watchdog\n") != 0 ||
            !read_task(e->d_name, "status", status, sizeof status))
            continue;
        const char *line = strstr(status, field);
        ck_assert_ptr_nonnull(line);
        value = (long long)strtoull(line + strlen(field), NULL, base);
    }
    closedir(tasks);
    return value;
}

static long long watchdog_sleeps(void)
{
    return watchdog_status("\nvoluntary_ctxt_switches:", 10);
}

static void pause_ms(long ms)
{
    const struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

// Jobs ------------------------------------------------------------------------

static int ends[2];
static int met;
static struct kit_gate gate;

static void open_ends(void)
{
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
}

static void close_ends(void)
{
    close(ends[0]);
    close(ends[1]);
}

WEFT_JOB(int, plain_reader)
{
    char c;
    kit_count(&met);
    return read(ends[0], &c, 1) == 1 ? 0 : -1;
}

WEFT_JOB(int, plain_writer, int, n)
{
    while (n > 0 && write(ends[1], "w", 1) == 1)
        n--;
    return n;
}

WEFT_JOB(int, parked_writer)
{
    kit_count(&met);
    kit_gate_wait(&gate);
    return write(ends[1], "p", 1) == 1 ? 0 : -1;
}

WEFT_JOB(int, compute, double, seconds)
{
    volatile unsigned long x = 1;
    double end = weft_now() + seconds;
    while (weft_now() < end)
        x = x * 3 + 1;
    return 0;
}

// Three that block and the one that frees them, in a pool of so many.
static void run_blocked_ones(unsigned workers)
{
    weft_executor *ex = weft_thread_pool(.workers = workers);
    weft_future *f[4];
    open_ends();
    for (int i = 0; i < 3; i++)
        f[i] = weft_submit(ex, plain_reader);
    f[3] = weft_submit(ex, plain_writer, 3);
    for (int i = 0; i < 4; i++)
        kit_assert_code(weft_join(f[i]), 0);
    kit_assert_code(weft_executor_close(ex), 0);
    close_ends();
}

// Cases -----------------------------------------------------------------------

WEFT_TEST(spares_run_what_waits_and_the_function_is_named_once, .timeout = 20)
{
    listen_to_stderr();
    run_blocked_ones(1);
    assert_said("\"plain_reader\"", 1);
    assert_said("system call read ", 1);
    assert_said("\n", 1);
}

// What is submitted when the watchdog has seen the one blocked for long.
WEFT_TEST(a_spare_comes_late_too, .timeout = 20)
{
    listen_to_stderr();
    open_ends();
    weft_executor *ex = weft_thread_pool(.workers = 1);
    weft_future *reader = weft_submit(ex, plain_reader);
    listen_until("\"plain_reader\"");
    pause_ms(300);
    struct weft_thread_pool_stats stats = {.size = sizeof stats};
    kit_assert_code(weft_thread_pool_stats(ex, &stats), 0);
    ck_assert_uint_eq(stats.spares, 0); // there is nothing for one
    kit_assert_code(weft_join(weft_submit(ex, plain_writer, 1)), 0);
    kit_assert_code(weft_join(reader), 0);
    kit_assert_code(weft_executor_close(ex), 0);
}

WEFT_TEST(the_same_in_a_pool_of_two, .timeout = 20)
{
    listen_to_stderr();
    run_blocked_ones(2);
    assert_said("\"plain_reader\"", 1);
    assert_said("\n", 1);
}

// More than are found at one look.
WEFT_TEST(the_same_in_a_pool_of_many, .timeout = 20)
{
    enum { MANY = 20 };
    weft_future *f[MANY];
    listen_to_stderr();
    open_ends();
    weft_executor *ex = weft_thread_pool(.workers = MANY);
    for (int i = 0; i < MANY; i++)
        f[i] = weft_submit(ex, plain_reader);
    kit_await(&met, MANY);
    listen_until("\"plain_reader\"");
    kit_assert_code(weft_join(weft_submit(ex, plain_writer, MANY)), 0);
    kit_assert_code(weft_gather_into(f, MANY, NULL, 0, NULL), 0);
    kit_assert_code(weft_executor_close(ex), 0);
    assert_said("\n", 1);
}

WEFT_TEST(threads_and_descriptors_are_as_before, .timeout = 20)
{
    listen_to_stderr();
    run_blocked_ones(1); // a sanitizer starts threads of its own
    int threads = weft_test_count_threads(), fds = weft_test_count_fds();
    for (int i = 0; i < 3; i++)
        run_blocked_ones(1);
    weft_test_await_threads(threads);
    ck_assert_int_eq(weft_test_count_fds(), fds);
    assert_said("\"plain_reader\"", 1);
}

WEFT_TEST(one_that_may_migrate_is_named, .timeout = 20)
{
    listen_to_stderr();
    open_ends();
    weft_executor *ex = weft_thread_pool(.workers = 1);
    weft_future *reader =
        weft_submit(weft_executor_with(ex, .migrate = true), plain_reader);
    listen_until("\"plain_reader\"");
    kit_assert_code(weft_join(weft_submit(ex, plain_writer, 1)), 0);
    kit_assert_code(weft_join(reader), 0);
    kit_assert_code(weft_executor_close(ex), 0);
}

WEFT_JOB(int, reader_of, int, fd)
{
    char c;
    return read(fd, &c, 1) == 1 ? 0 : -1;
}

static int write_when_named(void *arg)
{
    listen_until(arg);
    return write(ends[1], "four", 4) == 4 ? 0 : -1;
}

// Not the job that runs it on many elements.
WEFT_TEST(the_function_of_a_map_is_named, .timeout = 20)
{
    int out[4];
    listen_to_stderr();
    open_ends();
    const int in[4] = {ends[0], ends[0], ends[0], ends[0]};
    weft_executor *ex = weft_thread_pool(.workers = 1);
    weft_future *f = weft_thread_start(write_when_named, "job \"reader_of\"");
    kit_assert_code(weft_map(ex, reader_of, in, 4, out, .chunk = 4), 0);
    kit_assert_code(weft_join(f), 0);
    kit_assert_code(weft_executor_close(ex), 0);
}

static int read_a_byte(void *arg)
{
    char c;
    (void)arg;
    kit_count(&met);
    return read(ends[0], &c, 1) == 1 ? 0 : -1;
}

static int write_a_byte(void *arg)
{
    (void)arg;
    return write(ends[1], "t", 1) == 1 ? 0 : -1;
}

// On a thread of its own, once both workers are blocked.
static int start_writers(void *group)
{
    kit_await(&met, 2);
    for (int i = 0; i < 2; i++)
        weft_future_unref(weft_task_start(write_a_byte, NULL, .group = group));
    return 0;
}

static int block_in_a_run(void *arg)
{
    int rc = 0;
    (void)arg;
    {
        WEFT_GROUP(g, &rc);
        for (int i = 0; i < 2; i++)
            weft_future_unref(weft_task_start(read_a_byte, NULL, .group = g));
        weft_future_unref(weft_thread_start(start_writers, g, .group = g));
    }
    return rc;
}

WEFT_TEST(tasks_of_a_run_of_two_workers_get_spares, .timeout = 20)
{
    listen_to_stderr();
    open_ends();
    ck_assert_int_eq(weft_run(block_in_a_run, NULL, .workers = 2), 0);
    assert_said("function watchdog_test+0x", 1);
    assert_said("\n", 1);
}

// One worker, so that nobody can help it: it is named all the same.
static int wait_to_be_named(void *arg)
{
    (void)arg;
    while (strstr(text, "\"reader\"") == NULL) {
        struct pollfd fd = {.fd = said[0], .events = POLLIN};
        poll(&fd, 1, -1); // in the place of a plain blocking call
        take_in();
    }
    return 0;
}

static int start_one(void *arg)
{
    return weft_join(weft_task_start(wait_to_be_named, arg, .name = "reader"));
}

WEFT_TEST(a_task_on_the_only_worker_is_named, .timeout = 20)
{
    listen_to_stderr();
    ck_assert_int_eq(weft_run(start_one, NULL), 0);
    ck_assert_int_eq(weft_run(start_one, NULL), 0);
    assert_said("\n", 1);
}

// A parked job that would end the wait has its thread taken from it.
static void block_before_a_parked_one(bool blocking)
{
    weft_executor *ex =
        weft_thread_pool(.workers = blocking ? 2 : 1, .blocking = blocking);
    open_ends();
    gate = kit_gate_new();
    weft_future *parked = weft_submit(ex, parked_writer);
    kit_await(&met, 1);
    weft_future *reader = weft_submit(ex, plain_reader);
    kit_await(&met, 2);
    kit_gate_open(&gate);
    if (!blocking) {
        listen_until("\"plain_reader\"");
        ck_assert(!weft_done(parked));
        ck_assert_int_eq(write(ends[1], "x", 1), 1);
    }
    kit_assert_code(weft_join(reader), 0);
    kit_assert_code(weft_join(parked), 0);
    kit_assert_code(weft_executor_close(ex), 0);
    kit_gate_free(&gate);
}

WEFT_TEST(what_cannot_be_helped_is_named, .timeout = 20)
{
    listen_to_stderr();
    block_before_a_parked_one(false);
    assert_said("\n", 1);
}

WEFT_TEST(with_blocking_it_ends_and_nothing_is_said, .timeout = 20)
{
    listen_to_stderr();
    block_before_a_parked_one(true);
    assert_silence();
}

WEFT_TEST(who_computes_is_not_named, .timeout = 20)
{
    weft_future *f[6];
    listen_to_stderr();
    weft_executor *ex = weft_thread_pool(.workers = 2);
    for (int i = 0; i < 6; i++)
        f[i] = weft_submit(ex, compute, 0.1);
    kit_assert_code(weft_gather_into(f, 6, NULL, 0, NULL), 0);
    kit_assert_code(weft_executor_close(ex), 0);
    assert_silence();
}

static int sleep_well(void *arg)
{
    (void)arg;
    return weft_sleep(0.05);
}

WEFT_TEST(who_waits_with_weft_is_not_named, .timeout = 20)
{
    listen_to_stderr();
    weft_executor *ex = weft_thread_pool(.workers = 1);
    ck_assert_int_eq(weft_run(sleep_well, NULL), 0);
    kit_assert_code(weft_join(weft_task_start(sleep_well, NULL)), 0);
    kit_assert_code(weft_executor_close(ex), 0);
    assert_silence();
}

static int run_inside(void *arg)
{
    return weft_run(sleep_well, arg);
}

WEFT_JOB(int, run_in_a_job)
{
    return run_inside(NULL);
}

WEFT_TEST(who_runs_a_run_inside_is_not_named, .timeout = 20)
{
    listen_to_stderr();
    kit_assert_code(weft_join(weft_task_start(run_inside, NULL)), 0);
    weft_executor *ex = weft_thread_pool(.workers = 1);
    kit_assert_code(weft_join(weft_submit(ex, run_in_a_job)), 0);
    kit_assert_code(weft_executor_close(ex), 0);
    assert_silence();
}

// Sleeping --------------------------------------------------------------------

// Until it has not run for 300 ms.
static void wait_for_its_sleep(void)
{
    long long before, after = watchdog_sleeps();
    do {
        before = after;
        pause_ms(300);
        after = watchdog_sleeps();
    } while (after != before);
    ck_assert_int_ge(after, 0);
}

WEFT_TEST(it_sleeps_when_all_do_and_wakes_with_them, .timeout = 60)
{
    listen_to_stderr();
    weft_executor *ex = weft_thread_pool(.workers = 2);
    for (int i = 0; i < 3; i++) {
        kit_assert_code(weft_join(weft_submit(ex, compute, 0.001)), 0);
        wait_for_its_sleep();
    }
    assert_silence();
    open_ends();
    weft_future *f[5];
    for (int i = 0; i < 4; i++)
        f[i] = weft_submit(ex, plain_reader);
    f[4] = weft_submit(ex, plain_writer, 4);
    kit_assert_code(weft_gather_into(f, 5, NULL, 0, NULL), 0);
    kit_assert_code(weft_executor_close(ex), 0);
    assert_said("\"plain_reader\"", 1);
}

static int read_with_weft(void *arg)
{
    char c;
    (void)arg;
    return weft_read(ends[0], &c, 1) == 1 ? 0 : -1;
}

// One that waits for a descriptor is in a system call too, and sleeps.
WEFT_TEST(it_sleeps_beside_a_wait_for_a_descriptor, .timeout = 60)
{
    listen_to_stderr();
    open_ends();
    weft_future *f = weft_task_start(read_with_weft, NULL);
    wait_for_its_sleep();
    ck_assert_int_eq(write(ends[1], "x", 1), 1);
    kit_assert_code(weft_join(f), 0);
    assert_silence();
}

WEFT_TEST(a_run_without_tasks_has_none, .timeout = 20)
{
    int threads = weft_test_count_threads();
    ck_assert_int_eq(weft_run(sleep_well, NULL), 0);
    ck_assert_int_eq(weft_test_count_threads(), threads);
    ck_assert_int_eq(watchdog_sleeps(), -1);
}

WEFT_TEST(the_environment_can_forbid_it, .timeout = 20)
{
    ck_assert_int_eq(setenv("WEFT_WATCHDOG", "0", 1), 0);
    listen_to_stderr();
    weft_executor *ex = weft_thread_pool(.workers = 1);
    open_ends();
    weft_future *f = weft_submit(ex, plain_reader);
    ck_assert_int_eq(watchdog_sleeps(), -1);
    pause_ms(50);
    ck_assert_int_eq(write(ends[1], "x", 1), 1);
    kit_assert_code(weft_join(f), 0);
    kit_assert_code(weft_executor_close(ex), 0);
    assert_silence();
}

// Its thread takes no signal; a spare takes those that the pool's threads do.
WEFT_JOB(int, blocks_usr1)
{
    sigset_t set;
    pthread_sigmask(SIG_BLOCK, NULL, &set);
    if (write(ends[1], "s", 1) != 1)
        return -1;
    return sigismember(&set, SIGUSR1) | sigismember(&set, SIGUSR2) << 1;
}

WEFT_TEST(signals_are_for_the_programs_own_threads, .timeout = 20)
{
    sigset_t set;
    int blocked = -1;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    listen_to_stderr();
    weft_executor *ex = weft_thread_pool(.workers = 1);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    open_ends();
    weft_future *reader = weft_submit(ex, plain_reader);
    weft_future *f = weft_submit(ex, blocks_usr1);
    kit_assert_code(weft_result(f, &blocked), 0);
    ck_assert_int_eq(blocked, 2);
    ck_assert(watchdog_status("\nSigBlk:", 16) & 1ll << (SIGUSR1 - 1));
    kit_assert_code(weft_join(reader), 0);
    kit_assert_code(weft_executor_close(ex), 0);
}

// Fork ------------------------------------------------------------------------

WEFT_TEST(a_forked_child_has_its_own, .timeout = 30)
{
    if (KIT_SANITIZED)
        weft_test_skip("a forked child that starts threads upsets sanitizers");
    listen_to_stderr();
    run_blocked_ones(1);
    weft_executor *ex = weft_thread_pool(.workers = 1);
    kit_assert_code(weft_join(weft_submit(ex, compute, 0.001)), 0);
    pid_t pid = fork();
    if (pid == 0) {
        kit_assert_code(weft_fork_child(), 0);
        run_blocked_ones(1);
        _exit(watchdog_sleeps() == -1 ? 7 : 8); // the parent's pool is none
    }
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 7,
                  "wait status 0x%x", status);
    kit_assert_code(weft_executor_close(ex), 0);
    assert_said("\"plain_reader\"", 2);
}

// Tasks that hold their worker ------------------------------------------------

static int stop_it;

// Each has a frame of its own, and no other code within so many bytes.
enum { ROOM = 256 };
#define ALONE __attribute__((noinline, aligned(ROOM)))

ALONE static int innermost(void)
{
    unsigned long x = 1;
    while (!__atomic_load_n(&stop_it, __ATOMIC_RELAXED))
        x = x * 3 + 1;
    return (int)(x & 1);
}

ALONE static int hold(void *arg)
{
    (void)arg;
    int odd = innermost();
    return odd >= 0 ? 0 : -1;
}

static int hear(void *arg)
{
    listen_until(arg);
    __atomic_store_n(&stop_it, 1, __ATOMIC_RELAXED);
    return 0;
}

static int hold_in_a_run(void *arg)
{
    weft_future *listener = weft_thread_start(hear, arg);
    weft_future *f = weft_task_start(hold, NULL, .name = "hog");
    kit_assert_code(weft_join(f), 0);
    return weft_join(listener);
}

extern char __executable_start[]; // the linker's

// How many frames of a report lie in the function. Frames are offsets from
// where the program was loaded; so is what nm or addr2line say.
static int frames_in(void *function)
{
    int frames = 0;
    unsigned long at, base = (uintptr_t)__executable_start;
    for (char *p = text; (p = strstr(p, "    watchdog_test+0x")) != NULL; p++) {
        ck_assert_int_eq(sscanf(p, "    watchdog_test+%lx", &at), 1);
        frames += base + at - (uintptr_t)function < ROOM;
    }
    return frames;
}

static void assert_stack(void)
{
    assert_said("task \"hog\"", 1);
    assert_said("function watchdog_test+0x", 1);
    if (KIT_SANITIZED == 2) // it delivers a signal when it likes to
        return;
    ck_assert_int_eq(frames_in(innermost), 1);
    ck_assert_int_eq(frames_in(hold), 1);
}

// The listener goes on when the last line of a report has come.
WEFT_TEST(who_holds_a_worker_is_reported_with_its_stack, .timeout = 20)
{
    listen_to_stderr();
    ck_assert_int_eq(weft_run(hold_in_a_run, "hog\"", .stall = 0.03), 0);
    assert_stack();
}

static int hold_too(void *arg)
{
    int odd = innermost();
    return odd >= 0 ? 0 : kit_return(arg);
}

static int hold_twice_in_a_run(void *arg)
{
    (void)arg;
    weft_future *listener = weft_thread_start(hear, "\"first\"");
    weft_future *f = weft_task_start(hold, NULL, .name = "first");
    kit_assert_code(weft_join(f), 0);
    kit_assert_code(weft_join(listener), 0);
    stop_it = 0;
    listener = weft_thread_start(hear, "\"second\"");
    f = weft_task_start(hold_too, NULL, .name = "second");
    kit_assert_code(weft_join(f), 0);
    return weft_join(listener);
}

WEFT_TEST(the_next_who_holds_it_is_reported_too, .timeout = 20)
{
    listen_to_stderr();
    ck_assert_int_eq(weft_run(hold_twice_in_a_run, NULL, .stall = 0.03), 0);
    assert_said("is held", 2);
}

WEFT_TEST(the_environment_sets_the_limit, .timeout = 20)
{
    ck_assert_int_eq(setenv("WEFT_STALL", "0.03", 1), 0);
    listen_to_stderr();
    ck_assert_int_eq(weft_run(hold_in_a_run, "hog\"", .workers = 2), 0);
    assert_stack();
}

// Nobody can ask its thread where it is.
static int hold_without_signals(void *arg)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = hold(arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

static int hold_deaf_in_a_run(void *arg)
{
    weft_future *listener = weft_thread_start(hear, arg);
    weft_future *f = weft_task_start(hold_without_signals, NULL, .name = "hog");
    kit_assert_code(weft_join(f), 0);
    return weft_join(listener);
}

WEFT_TEST(who_takes_no_signal_is_reported_without, .timeout = 20)
{
    listen_to_stderr();
    ck_assert_int_eq(weft_run(hold_deaf_in_a_run, "its stack cannot be seen\n",
                              .stall = 0.03),
                     0);
    assert_said("task \"hog\"", 1);
}

// One that is blocked in the kernel is told about with its stack too.
ALONE static int block_in_a_read(void *arg)
{
    char c;
    return read(*(int *)arg, &c, 1) == 1 ? 0 : -errno;
}

static int hear_and_write(void *arg)
{
    listen_until("is held");
    return write(*(int *)arg, "x", 1) == 1 ? 0 : -1;
}

static int read_in_a_run(void *arg)
{
    weft_future *listener = weft_thread_start(hear_and_write, &ends[1]);
    weft_future *f = weft_task_start(block_in_a_read, arg, .name = "reader");
    kit_assert_code(weft_join(f), 0);
    return weft_join(listener);
}

WEFT_TEST(who_blocks_has_a_stack_too, .timeout = 20)
{
    listen_to_stderr();
    open_ends();
    ck_assert_int_eq(weft_run(read_in_a_run, &ends[0], .stall = 0.03), 0);
    assert_said("task \"reader\"", 2); // once as blocked, once as held
    if (KIT_SANITIZED != 2)
        ck_assert_int_eq(frames_in(block_in_a_read), 1);
}

// Who yields, waits or computes as a job does not hold its worker.
static int yield_for_long(void *arg)
{
    double end = weft_now() + 0.2;
    while (weft_now() < end)
        weft_yield();
    return kit_return(arg);
}

static int be_polite(void *arg)
{
    weft_future *f = weft_task_start(yield_for_long, arg);
    kit_assert_code(weft_join(f), 0);
    return weft_sleep(0.05);
}

WEFT_TEST(who_lets_others_run_is_not_reported, .timeout = 20)
{
    ck_assert_int_eq(setenv("WEFT_STALL", "0.03", 1), 0);
    listen_to_stderr();
    ck_assert_int_eq(weft_run(be_polite, NULL), 0);
    weft_executor *ex = weft_thread_pool(.workers = 1);
    kit_assert_code(weft_join(weft_submit(ex, compute, 0.1)), 0);
    kit_assert_code(weft_executor_close(ex), 0);
    assert_silence();
}

// Regions ---------------------------------------------------------------------

WEFT_JOB(int, reader_in_a_region, int, depth)
{
    char c;
    for (int i = 0; i < depth; i++)
        weft_blocking_begin();
    kit_count(&met);
    ssize_t n = read(ends[0], &c, 1);
    for (int i = 0; i < depth; i++)
        weft_blocking_end();
    return n == 1 ? 0 : -1;
}

WEFT_JOB(int, waker)
{
    return write(ends[1], "r", 1) == 1 ? 0 : -1;
}

// Without the watchdog, who blocks without a word would stay there for ever.
WEFT_TEST(a_region_has_its_spare_without_the_watchdog, .timeout = 20)
{
    ck_assert_int_eq(setenv("WEFT_WATCHDOG", "0", 1), 0);
    listen_to_stderr();
    open_ends();
    weft_executor *ex = weft_thread_pool(.workers = 1);
    for (int round = 0; round < 20; round++) {
        weft_future *f[4];
        met = 0;
        for (int i = 0; i < 3; i++)
            f[i] = weft_submit(ex, reader_in_a_region, 1 + i % 2);
        kit_await(&met, 3);
        f[3] = weft_submit(ex, plain_writer, 3);
        for (int i = 0; i < 4; i++)
            kit_assert_code(weft_join(f[i]), 0);
    }
    struct weft_thread_pool_stats stats = {.size = sizeof stats};
    kit_assert_code(weft_thread_pool_stats(ex, &stats), 0);
    ck_assert_uint_eq(stats.spares, 3);
    kit_assert_code(weft_executor_close(ex), 0);
    assert_silence();
}

WEFT_TEST(who_blocks_in_a_region_is_not_named, .timeout = 20)
{
    listen_to_stderr();
    open_ends();
    weft_executor *ex = weft_thread_pool(.workers = 1);
    weft_future *announced = weft_submit(ex, reader_in_a_region, 1);
    kit_await(&met, 1);
    weft_future *plain = weft_submit(ex, plain_reader);
    listen_until("\"plain_reader\"");
    weft_future *f = weft_submit(ex, plain_writer, 2);
    kit_assert_code(weft_join(f), 0);
    kit_assert_code(weft_join(announced), 0);
    kit_assert_code(weft_join(plain), 0);
    kit_assert_code(weft_executor_close(ex), 0);
    assert_said("\n", 1);
}

// After its end the worker is watched as before.
WEFT_JOB(int, reader_after_a_region)
{
    char c;
    weft_blocking_begin();
    weft_blocking_end();
    return read(ends[0], &c, 1) == 1 ? 0 : -1;
}

WEFT_TEST(a_region_ends, .timeout = 20)
{
    listen_to_stderr();
    open_ends();
    weft_executor *ex = weft_thread_pool(.workers = 1);
    weft_future *f = weft_submit(ex, reader_after_a_region);
    listen_until("\"reader_after_a_region\"");
    kit_assert_code(weft_join(weft_submit(ex, waker)), 0);
    kit_assert_code(weft_join(f), 0);
    kit_assert_code(weft_executor_close(ex), 0);
}

static int region_is_over;

WEFT_JOB(int, reader_after_a_long_region)
{
    char c;
    weft_blocking_begin();
    kit_count(&met);
    while (!kit_load(&region_is_over))
        pause_ms(1);
    weft_blocking_end();
    return read(ends[0], &c, 1) == 1 ? 0 : -1;
}

// The watchdog had nobody to look at meanwhile, and slept.
WEFT_TEST(a_long_region_ends, .timeout = 60)
{
    listen_to_stderr();
    open_ends();
    weft_executor *ex = weft_thread_pool(.workers = 1);
    weft_future *f = weft_submit(ex, reader_after_a_long_region);
    kit_await(&met, 1);
    wait_for_its_sleep();
    kit_count(&region_is_over);
    listen_until("\"reader_after_a_long_region\"");
    kit_assert_code(weft_join(weft_submit(ex, waker)), 0);
    kit_assert_code(weft_join(f), 0);
    kit_assert_code(weft_executor_close(ex), 0);
}

// A run of one worker has nobody to stand in; a plain thread needs nobody.
static int region_in_a_run(void *arg)
{
    (void)arg;
    weft_blocking_begin();
    weft_blocking_begin();
    weft_blocking_end();
    weft_blocking_end();
    return 0;
}

WEFT_TEST(regions_where_they_do_nothing)
{
    ck_assert_int_eq(weft_run(region_in_a_run, NULL), 0);
    weft_blocking_end();
    weft_blocking_begin();
}

static int end_too_often(void *arg)
{
    region_in_a_run(arg);
    weft_blocking_end();
    return 0;
}

static int leave_one_open(void *arg)
{
    (void)arg;
    weft_blocking_begin();
    return 0;
}

static void run_with_an_end_too_many(void)
{
    weft_run(end_too_often, NULL);
}

static void run_with_one_left_open(void)
{
    weft_run(leave_one_open, NULL);
}

WEFT_TEST(a_region_that_is_not_paired_aborts)
{
    kit_assert_aborts(run_with_an_end_too_many, "weft_blocking_end: ");
    kit_assert_aborts(run_with_one_left_open, "(weft_blocking_end)");
}

// Everything at once ----------------------------------------------------------

// Blocks, computes, waits for another one or hands on, as its number says.
static weft_executor *busy;
static int ended;

WEFT_JOB(int, any_of_these, unsigned, n)
{
    if (n % 64 == 1)
        pause_ms(30);
    else if (n % 4 == 2)
        weft_sleep(0.001);
    else if (n % 4 == 3)
        weft_join(weft_submit(busy, any_of_these, n / 4));
    kit_count(&ended);
    return 0;
}

static int submit_some(void *arg)
{
    unsigned count = KIT_SANITIZED ? 200 : 600, seed = (unsigned)(intptr_t)arg;
    for (unsigned i = 0; i < count; i++) {
        seed = seed * 1664525 + 1013904223;
        weft_future *f = weft_submit(busy, any_of_these, seed >> 16);
        if (seed >> 31)
            kit_assert_code(weft_join(f), 0);
        else
            weft_future_unref(f);
    }
    return 0;
}

WEFT_TEST(spares_come_and_rest_and_nothing_is_lost, .timeout = 60)
{
    weft_future *f[3];
    listen_to_stderr();
    for (unsigned workers = 1; workers <= 3; workers++) {
        busy = weft_thread_pool(.workers = workers);
        for (int i = 0; i < 3; i++)
            f[i] = weft_thread_start(submit_some,
                                     kit_number((long)weft_test_random()));
        kit_assert_code(weft_gather_into(f, 3, NULL, 0, NULL), 0);
        kit_assert_code(weft_executor_close(busy), 0);
    }
    ck_assert_int_ge(ended, 3 * 3 * (KIT_SANITIZED ? 200 : 600));
}

WEFT_TEST_MAIN("watchdog")
