// SPDX-License-Identifier: MIT
// The ways in which a child comes to be: by exec, as a copy of a zygote, as a
// copy of this process.
#include "children.h"
#include "jobs.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

// Copies of a process that runs are not for TSan and for Valgrind: there all
// are executed, and preload in each.
#define COPIES (!WI_TSAN && !WI_ON_VALGRIND)

static int preloaded; // how often it has run here

static int preload(void *arg)
{
    if (arg != NULL)
        return -EINVAL;
    preloaded++;
    return 7; // is no failure
}

#define zygote_start(fn, arg, size, ...)                                       \
    weft_process_start((fn), (arg), (size), .start = WEFT_START_ZYGOTE,        \
                       .preload = preload, ##__VA_ARGS__)

// 0: there is none, or a copy that still has its name.
static pid_t zygote_pid(void)
{
    pid_t pid;
    return count_named("weft-zygote", &pid) == 1 ? pid : 0;
}

// What any child can do -------------------------------------------------------

static int report(void *arg)
{
    int given = *(int *)arg;
    char text[64];
    if (!weft_is_worker() || weft_process_asked())
        return -EPERM;
    int n = snprintf(text, sizeof text, "%d %d %d", preloaded, given,
                     (int)getppid());
    return weft_process_return(text, (size_t)n + 1);
}

WEFT_TEST(a_zygote_makes_children_of_its_parent)
{
    for (int i = 0; i < 20; i++) {
        struct weft_bytes said;
        char want[64];
        int rc = weft_result(zygote_start(report, &i, sizeof i), &said);
        ck_assert_int_eq(rc, 0);
        snprintf(want, sizeof want, "1 %d %d", i, (int)getpid());
        ck_assert_str_eq(said.data, want);
        weft_bytes_free(&said);
    }
    ck_assert_int_eq(preloaded, 0); // not here
    pid_t pid;
    while (count_named("weft-zygote", &pid) != COPIES)
        sched_yield(); // a copy has the name for a moment
}

static int use_mutexes(void)
{
    static const int types[] = {PTHREAD_MUTEX_ERRORCHECK,
                                PTHREAD_MUTEX_RECURSIVE};
    for (int i = 0; i < 2; i++) {
        pthread_mutexattr_t attr;
        pthread_mutex_t m;
        pthread_mutexattr_init(&attr);
        pthread_mutexattr_settype(&attr, types[i]);
        pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
        pthread_mutex_init(&m, &attr);
        int twice = types[i] == PTHREAD_MUTEX_RECURSIVE ? 0 : EDEADLK;
        if (pthread_mutex_lock(&m) != 0 || pthread_mutex_lock(&m) != twice)
            return -EDEADLK;
        if (twice == 0 && pthread_mutex_unlock(&m) != 0)
            return -EPERM;
        if (pthread_mutex_unlock(&m) != 0 || pthread_mutex_destroy(&m) != 0)
            return -EPERM;
    }
    return 0;
}

static pthread_mutex_t left;

static void *leave_locked(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&left);
    return NULL;
}

// The end of a thread is told by its list of robust mutexes.
static int use_robust(void)
{
    pthread_mutexattr_t attr;
    pthread_t thread;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&left, &attr);
    if (pthread_create(&thread, NULL, leave_locked, NULL) != 0 ||
        pthread_join(thread, NULL) != 0)
        return -EAGAIN;
    return pthread_mutex_lock(&left) == EOWNERDEAD ? 0 : -EIO;
}

static int nested(void *arg)
{
    (void)arg;
    return 5;
}

static int amain(void *arg)
{
    weft_sleep(0.001);
    return weft_join(weft_task_start(nested, arg));
}

static int live(void *arg)
{
    (void)arg;
    int rc = use_mutexes();
    if (rc == 0)
        rc = use_robust();
    if (rc < 0)
        return rc;
    if (weft_run(amain, NULL) != 5)
        return -1;
    if (weft_join(weft_thread_start(nested, NULL)) != 5)
        return -2;
    if (weft_join(weft_process_start(nested, NULL, 0)) != 5)
        return -3;
    if (weft_join(zygote_start(nested, NULL, 0)) != 5)
        return -4;
    long x = 0;
    weft_executor *ex = weft_process_pool(.workers = 1);
    rc = weft_result(weft_submit(ex, square, 6), &x);
    weft_executor_close(ex);
    return rc < 0 ? rc : (int)x;
}

WEFT_TEST(a_copy_of_a_zygote_can_do_all, .timeout = 60)
{
    expect(zygote_start(live, NULL, 0), 36);
}

static int has_all(void *arg)
{
    char cwd[64] = "", byte = 0;
    (void)arg;
    if (getcwd(cwd, sizeof cwd) == NULL || strcmp(cwd, "/usr") != 0)
        return 1;
    if (getenv("MINE") == NULL || strcmp(getenv("MINE"), "yes") != 0 ||
        getenv("PATH") != NULL || getenv("WEFT_WORKER") != NULL)
        return 2;
    if (getpgid(0) != getpid())
        return 3;
    if (read(weft_process_fd(0), &byte, 1) != 1 || byte != 'x')
        return 4;
    if (COPIES && weft_process_fd(1) != -EBADF)
        return 5;
    if (getpriority(PRIO_PROCESS, 0) < 3)
        return 6;
    puts("hello");
    return 0;
}

WEFT_TEST(a_copy_is_as_it_shall_be)
{
    const char *const env[] = {"MINE=yes", NULL};
    int ends[2], out = memfd_create("out", MFD_CLOEXEC);
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_eq(write(ends[1], "x", 1), 1);
    weft_future *f =
        zygote_start(has_all, NULL, 0, .env = env, .cwd = "/usr", .fds = ends,
                     .fd_count = 1, .out = out, .nice = 3);
    expect(f, 0);
    char text[16] = "";
    ck_assert_int_eq(pread(out, text, sizeof text, 0), 6);
    ck_assert_str_eq(text, "hello\n");
    expect_text(zygote_start(has_all, NULL, 0, .cwd = "/no/such"), -ENOENT,
                COPIES ? "the working directory" : "");
}

static int stays(void *arg)
{
    (void)arg;
    for (;;)
        pause();
    return 0;
}

static int crash(void *arg)
{
    (void)arg;
    abort();
    return 0;
}

static int status(void *arg)
{
    (void)arg;
    _exit(3);
}

WEFT_TEST(the_end_of_a_copy_is_told_as_ever)
{
    struct weft_process_info info = {.size = sizeof info};
    expect_text(zygote_start(crash, NULL, 0, .name = "boom"), -WEFT_ECRASHED,
                "boom");
    expect_text(zygote_start(status, NULL, 0), -WEFT_ECRASHED, "exit status 3");
    weft_future *f = zygote_start(stays, NULL, 0);
    weft_cancel(f);
    int rc = weft_get_into(f, NULL, 0);
    ck_assert_int_eq(rc, -WEFT_EJOBCANCELED);
    weft_future_unref(f);
    f = zygote_start(stays, NULL, 0);
    while (weft_process_info(f, &info) == 0 && info.pid == 0)
        sched_yield();
    ck_assert_int_eq(weft_process_kill(f), 0);
    ck_assert_int_eq(weft_get_into(f, NULL, 0), -WEFT_ECRASHED);
    ck_assert_int_eq(weft_process_info(f, &info), 0);
    ck_assert_int_eq(info.signal, SIGKILL);
    ck_assert_uint_gt(info.max_rss, 0);
    weft_future_unref(f);
}

WEFT_TEST(who_ignores_its_children_is_told_too)
{
    signal(SIGCHLD, SIG_IGN);
    expect(zygote_start(nested, NULL, 0), 5);
    expect(weft_process_start(nested, NULL, 0), 5);
}

// The zygote itself -----------------------------------------------------------

WEFT_TEST(a_zygote_can_be_started_early_and_ended)
{
    pid_t pid;
    ck_assert_int_eq(weft_zygote_stop(preload, NULL), -ESRCH);
    ck_assert_int_eq(weft_join(weft_zygote_start(preload, NULL)), 0);
    ck_assert_int_eq(weft_join(weft_zygote_start(preload, NULL)), 0);
    weft_future *f = zygote_start(stays, NULL, 0);
    struct weft_process_info info = {.size = sizeof info};
    while (weft_process_info(f, &info) == 0 && info.pid == 0)
        sched_yield();
    if (COPIES) {
        while (count_named("weft-zygote", &pid) != 1)
            sched_yield(); // a copy has the name for a moment
        ck_assert_int_eq(weft_zygote_stop(preload, NULL), 0);
        while (zygote_pid() == pid)
            sched_yield();
    }
    ck_assert_int_eq(weft_process_info(f, &info), 0);
    ck_assert(info.alive); // it has no part in that
    expect(zygote_start(nested, NULL, 0), 5);
    weft_process_kill(f);
    expect(f, -WEFT_ECRASHED);
}

WEFT_TEST(zygotes_of_two_kinds)
{
    int x = 0;
    struct weft_bytes said;
    weft_future *f =
        weft_process_start(report, &x, sizeof x, .start = WEFT_START_ZYGOTE);
    ck_assert_int_eq(weft_result(f, &said), 0);
    ck_assert_int_eq(((char *)said.data)[0], '0');
    weft_bytes_free(&said);
    ck_assert_int_eq(weft_result(zygote_start(report, &x, sizeof x), &said), 0);
    ck_assert_int_eq(((char *)said.data)[0], '1');
    weft_bytes_free(&said);
    f = weft_process_start(report, &x, sizeof x, .preload = preload);
    ck_assert_int_eq(weft_result(f, &said), 0); // by exec, in the child
    ck_assert_int_eq(((char *)said.data)[0], '1');
    weft_bytes_free(&said);
}

WEFT_TEST(a_zygote_that_is_killed_is_replaced)
{
    if (!COPIES)
        return;
    ck_assert_int_eq(weft_join(weft_zygote_start(preload, NULL)), 0);
    weft_future *f = zygote_start(stays, NULL, 0);
    struct weft_process_info info = {.size = sizeof info};
    while (weft_process_info(f, &info) == 0 && info.pid == 0)
        sched_yield();
    for (int i = 0; i < 5; i++) {
        pid_t old, now;
        while ((old = zygote_pid()) == 0)
            sched_yield();
        ck_assert_int_eq(kill(old, i % 2 == 0 ? SIGKILL : SIGINT), 0);
        while ((now = zygote_pid()) == 0 || now == old)
            sched_yield(); // without being asked
        expect(zygote_start(nested, NULL, 0), 5);
    }
    ck_assert_int_eq(weft_process_info(f, &info), 0);
    ck_assert(info.alive);
    weft_process_kill(f);
    expect(f, -WEFT_ECRASHED);
}

static int cannot(void *arg)
{
    (void)arg;
    return -ENOSPC;
}

static void *for_ever(void *arg)
{
    for (;;)
        pause();
    return arg;
}

static int leaves_a_thread(void *arg)
{
    pthread_t thread;
    return pthread_create(&thread, NULL, for_ever, arg) == 0 ? 0 : -EAGAIN;
}

#define start_after(fn)                                                        \
    weft_process_start(nested, NULL, 0, .start = WEFT_START_ZYGOTE,            \
                       .preload = (fn))

WEFT_TEST(a_preload_function_that_fails_fails_the_start)
{
    expect_text(start_after(cannot), -ENOSPC, "the preload function");
    expect_text(weft_process_start(nested, NULL, 0, .preload = cannot), -ENOSPC,
                "the preload function");
    weft_executor *ex =
        weft_process_pool(.process = &(struct weft_process_options){
                              .size = sizeof(struct weft_process_options),
                              .start = WEFT_START_ZYGOTE,
                              .preload = cannot});
    expect_text(weft_submit(ex, square, 2), -WEFT_EBROKEN,
                "the preload function");
    weft_executor_close(ex);
    if (!COPIES)
        return;
    expect(weft_zygote_start(cannot, NULL), -ENOSPC);
    expect_text(start_after(crash), -WEFT_ECRASHED, "SIGABRT");
    expect_text(start_after(leaves_a_thread), -EBUSY, "threads");
}

WEFT_TEST(what_cannot_be_is_an_error)
{
    const char *const argv[] = {"a", NULL};
    expect(zygote_start(nested, NULL, 0, .argv = argv), -EINVAL);
    expect(weft_process_start(nested, NULL, 0, .start = WEFT_START_FORK,
                              .program = "/bin/true"),
           -EINVAL);
    expect(
        weft_process_start(nested, NULL, 0, .start = (enum weft_start_method)9),
        -EINVAL);
    if (COPIES)
        expect(weft_process_start(nested, NULL, 0, .start = WEFT_START_ZYGOTE,
                                  .program = "/no/such"),
               -ENOENT);
    expect(weft_zygote_start(NULL, "/no/such"), -ENOENT);
}

WEFT_TEST(many_at_once_and_nothing_is_left, .timeout = 60)
{
    enum { MANY = 60 };
    weft_future *all[MANY];
    expect(zygote_start(nested, NULL, 0), 5);
    int fds = weft_test_count_fds();
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < MANY; i++)
            all[i] = zygote_start(nested, NULL, 0);
        for (int i = 0; i < MANY; i++)
            expect(all[i], 5);
    }
    ck_assert_int_eq(weft_test_count_fds(), fds);
}

static int exits(void *arg)
{
    int tell = weft_process_fd(0);
    (void)arg;
    weft_future *f = zygote_start(stays, NULL, 0, .fds = &tell, .fd_count = 1);
    struct weft_process_info info = {.size = sizeof info};
    while (weft_process_info(f, &info) == 0 && info.pid == 0)
        sched_yield();
    kill(getpid(), SIGKILL);
    return 0;
}

WEFT_TEST(copies_and_zygote_die_with_the_parent)
{
    int ends[2];
    char byte;
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    expect(weft_process_start(exits, NULL, 0, .fds = &ends[1], .fd_count = 1),
           -WEFT_ECRASHED);
    close(ends[1]);
    ck_assert_int_eq(read(ends[0], &byte, 1), 0); // all that had it are gone
    while (waitpid(-1, NULL, 0) > 0)
        ;
    ck_assert_int_eq(errno, ECHILD);
}

// A pool ----------------------------------------------------------------------

WEFT_JOB(long, loaded, int, x)
{
    return preloaded * 100 + x;
}

WEFT_JOB(long, kill_me, int, sig)
{
    raise(sig);
    return 0;
}

static void work_with(enum weft_start_method start)
{
    struct weft_process_options like = {
        .size = sizeof like, .start = start, .preload = preload};
    weft_executor *ex = weft_process_pool(.workers = 2, .process = &like);
    expect_long(weft_submit(ex, loaded, 5), 105);
    expect(weft_submit(ex, kill_me, SIGKILL), -WEFT_ECRASHED);
    expect(weft_submit(ex, kill_me, SIGSEGV), -WEFT_ECRASHED);
    for (int i = 0; i < 50; i++)
        expect_long(weft_submit(ex, loaded, i), 100 + i);
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

WEFT_TEST(workers_can_be_copies_of_a_zygote)
{
    work_with(WEFT_START_ZYGOTE);
}

// Orders that it has got would be answered never. The zygote is replaced, and
// nobody else notices.
WEFT_TEST(a_pool_closes_though_its_zygote_is_stopped, .timeout = 20)
{
    if (!COPIES)
        return;
    struct weft_process_options like = {
        .size = sizeof like, .start = WEFT_START_ZYGOTE, .preload = preload};
    pid_t old;
    ck_assert_int_eq(weft_join(weft_zygote_start(preload, NULL)), 0);
    while ((old = zygote_pid()) == 0)
        sched_yield();
    ck_assert_int_eq(kill(old, SIGSTOP), 0);
    weft_executor *ex =
        weft_process_pool(.workers = 2, .process = &like, .leave = 0.1);
    weft_future *f = zygote_start(nested, NULL, 0);
    weft_future *job = weft_submit(ex, loaded, 5);
    for (int i = 0; i < 1000; i++) // its orders are on their way
        sched_yield();
    weft_executor_close(ex, .mode = WEFT_CLOSE_CANCEL_ALL);
    expect(job, -WEFT_EJOBCANCELED);
    kill(old, SIGCONT); // if no worker's order had come so far
    expect(f, 5);
}

static int waits(void *arg)
{
    for_ever(arg);
    return 0;
}

WEFT_TEST(so_does_one_whose_preload_function_never_returns, .timeout = 20)
{
    if (!COPIES)
        return;
    struct weft_process_options like = {
        .size = sizeof like, .start = WEFT_START_ZYGOTE, .preload = waits};
    weft_executor *ex =
        weft_process_pool(.workers = 2, .process = &like, .leave = 0.1);
    weft_future *job = weft_submit(ex, loaded, 5);
    weft_executor_close(ex, .mode = WEFT_CLOSE_CANCEL_ALL);
    expect(job, -WEFT_EJOBCANCELED);
    ck_assert_int_eq(zygote_pid(), 0);
}

WEFT_TEST(workers_by_exec_preload_each)
{
    work_with(WEFT_START_EXEC);
}

// A copy of this process ------------------------------------------------------

static int state_of_parent;
static FILE *file;

static int see(void *arg)
{
    int fd = *(int *)arg;
    if (pwrite(fd, "ok", 2, 0) != 2) // what the memory refers to is there
        return -EBADF;
    if (getppid() == getpid() || !weft_is_worker())
        return -1;
    fputs("child ", file);
    return state_of_parent;
}

WEFT_TEST(a_fork_has_the_memory_of_this_moment)
{
    if (!COPIES)
        return;
    int fd = memfd_create("test", MFD_CLOEXEC);
    FILE *both = tmpfile();
    file = both;
    for (int i = 1; i < 5; i++) {
        state_of_parent = i * 11;
        weft_future *f =
            weft_process_start(see, &fd, sizeof fd, .start = WEFT_START_FORK);
        state_of_parent = -1;
        expect(f, i * 11);
    }
    char text[3] = "";
    ck_assert_int_eq(pread(fd, text, 2, 0), 2);
    ck_assert_str_eq(text, "ok");
}

WEFT_TEST(a_fork_can_do_all, .timeout = 60)
{
    if (COPIES)
        expect(weft_process_start(live, NULL, 0, .start = WEFT_START_FORK), 36);
}

WEFT_TEST(a_fork_is_refused_while_threads_run)
{
    uint32_t stop = 0;
    if (!COPIES)
        return;
    expect(weft_process_start(nested, NULL, 0), 5); // Weft's do not count
    expect(weft_process_start(nested, NULL, 0, .start = WEFT_START_FORK), 5);
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, for_ever, &stop), 0);
    expect_text(weft_process_start(nested, NULL, 0, .start = WEFT_START_FORK),
                -EBUSY, "threads run");
    expect(weft_process_start(nested, NULL, 0, .start = WEFT_START_FORK_ANYWAY),
           5);
    pthread_cancel(thread);
    pthread_join(thread, NULL);
}

static int seven(void *arg)
{
    (void)arg;
    return 7;
}

// A copy of the worker, which has a thread that hears the parent's answers.
WEFT_JOB(long, asks_and_forks)
{
    long nine = 0;
    int rc = weft_result(weft_submit(weft_executor_open(0), square, 3), &nine);
    if (rc == 0 && nine == 9)
        rc = weft_join(
            weft_process_start(seven, NULL, 0, .start = WEFT_START_FORK));
    return rc;
}

WEFT_TEST(a_worker_that_has_asked_its_parent_can_fork)
{
    if (!COPIES)
        return;
    weft_executor *ex = weft_process_pool(.workers = 1);
    expect_long(weft_submit(ex, asks_and_forks), 7);
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

WEFT_TEST(forks_are_ended_and_told_as_ever)
{
    const char *const env[] = {"MINE=yes", NULL};
    int ends[2];
    if (!COPIES)
        return;
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_eq(write(ends[1], "x", 1), 1);
    expect(weft_process_start(has_all, NULL, 0, .start = WEFT_START_FORK,
                              .env = env, .cwd = "/usr", .fds = ends,
                              .fd_count = 1, .out = WEFT_DEV_NULL, .nice = 3),
           0);
    expect_text(weft_process_start(crash, NULL, 0, .start = WEFT_START_FORK),
                -WEFT_ECRASHED, "SIGABRT");
    weft_future *f =
        weft_process_start(stays, NULL, 0, .start = WEFT_START_FORK);
    weft_cancel(f);
    expect(f, -WEFT_EJOBCANCELED);
}

WEFT_TEST(workers_can_be_forks)
{
    if (COPIES)
        work_with(WEFT_START_FORK_ANYWAY);
}

WEFT_TEST_MAIN("ways to start")
