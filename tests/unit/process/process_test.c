// SPDX-License-Identifier: MIT
// weft_process_start: the result, the ways to end, what the child is given.
#include "weft_test.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <weft.h>

#include "base/sanitizer_detect.h"
#include "process/launcher.h"

// Waits for f, checks its code, and returns a copy of its text.
static const char *expect(weft_future *f, int code)
{
    static char text[512];
    int got = weft_get_into(f, NULL, 0);
    snprintf(text, sizeof text, "%s", weft_future_text(f));
    ck_assert_msg(got == code, "code %d (%s), not %d; text: %s", got,
                  weft_error_name(got), code, text);
    weft_future_unref(f);
    return text;
}

#define expect_text(f, code, part)                                             \
    do {                                                                       \
        const char *text_ = expect((f), (code));                               \
        ck_assert_msg(strstr(text_, (part)) != NULL, "\"%s\" lacks \"%s\"",    \
                      text_, (part));                                          \
    } while (0)

// Results ---------------------------------------------------------------------

static int return_it(void *arg)
{
    return *(int *)arg;
}

WEFT_TEST(a_result_travels_whole)
{
    static const int codes[] = {0,       1,  42,      255,   256,
                                INT_MAX, -1, -EINVAL, -4096, -WEFT_ECRASHED,
                                INT_MIN};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        expect(weft_process_start(return_it, &codes[i], sizeof codes[i]),
               codes[i]);
}

// Else it would be taken for the end of the wait for the process.
WEFT_TEST(an_end_of_a_wait_of_its_own_is_the_processs)
{
    static const int codes[][2] = {{-ETIMEDOUT, -WEFT_EJOBTIMEOUT},
                                   {-ECANCELED, -WEFT_EJOBCANCELED}};
    for (size_t i = 0; i < 2; i++)
        expect(weft_process_start(return_it, &codes[i][0], sizeof(int)),
               codes[i][1]);
}

static int says_its_name(void *arg)
{
    char name[64];
    (void)arg;
    return weft_current_name(name, sizeof name) == 8 &&
                   strcmp(name, "worker-7") == 0
               ? 0
               : -EINVAL;
}

WEFT_TEST(a_child_knows_its_name)
{
    expect(weft_process_start(says_its_name, NULL, 0, .name = "worker-7"), 0);
    expect(weft_process_start(says_its_name, NULL, 0), -EINVAL);
    expect(weft_process_start(says_its_name, NULL, 0, .name = "worker-7",
                              .start = WEFT_START_ZYGOTE),
           0);
}

static int check_none(void *arg)
{
    return arg == NULL ? 7 : -1;
}

WEFT_TEST(no_argument_is_null)
{
    expect(weft_process_start(check_none, NULL, 0), 7);
}

static int sum_bytes(void *arg)
{
    const unsigned char *bytes = arg;
    int sum = 0;
    for (size_t i = 0; i < 5 << 20; i++)
        sum += bytes[i];
    return sum;
}

WEFT_TEST(a_large_argument_is_copied)
{
    unsigned char *bytes = malloc(5 << 20);
    int sum = 0;
    for (size_t i = 0; i < 5 << 20; i++)
        sum += bytes[i] = (unsigned char)(i * 31);
    weft_future *f = weft_process_start(sum_bytes, bytes, 5 << 20);
    memset(bytes, 0, 5 << 20);
    expect(f, sum);
    free(bytes);
}

static int is_child(void *arg)
{
    (void)arg;
    return weft_is_worker() ? 3 : 4;
}

WEFT_TEST(a_child_knows_that_it_is_one)
{
    ck_assert(!weft_is_worker());
    expect(weft_process_start(is_child, NULL, 0), 3);
}

static int grandchild(void *arg)
{
    return weft_join(weft_process_start(return_it, arg, sizeof(int)));
}

WEFT_TEST(processes_nest)
{
    int code = -EDOM;
    expect(weft_process_start(grandchild, &code, sizeof code), -EDOM);
}

// The ways to end -------------------------------------------------------------

static int raise_it(void *arg)
{
    signal(*(int *)arg, SIG_DFL);
    raise(*(int *)arg);
    return 0;
}

WEFT_TEST(a_death_is_told_with_its_signal)
{
    static const struct {
        int sig;
        const char *name;
    } deaths[] = {{SIGKILL, "SIGKILL"},
                  {SIGTERM, "SIGTERM"},
                  {SIGUSR1, "SIGUSR1"},
                  {SIGABRT, "SIGABRT"}};
    for (size_t i = 0; i < sizeof deaths / sizeof *deaths; i++)
        expect_text(weft_process_start(raise_it, &deaths[i].sig, sizeof(int)),
                    -WEFT_ECRASHED, deaths[i].name);
}

static int touch_null(void *arg)
{
    (void)arg;
    int *volatile bad = (int *)16;
    return *bad;
}

WEFT_TEST(a_fault_is_told_with_its_address)
{
    if (WI_ASAN || WI_TSAN)
        weft_test_skip("the sanitizer handles SIGSEGV itself");
    expect_text(weft_process_start(touch_null, NULL, 0, .name = "toucher"),
                -WEFT_ECRASHED, "toucher: process ");
    expect_text(weft_process_start(touch_null, NULL, 0), -WEFT_ECRASHED,
                "SIGSEGV) at address 0x10, pc 0x");
}

static int exit_it(void *arg)
{
    exit(*(int *)arg);
}

WEFT_TEST(an_exit_is_no_result)
{
    int status = 3;
    expect_text(weft_process_start(exit_it, &status, sizeof status),
                -WEFT_ECRASHED, "exit status 3");
    status = 0;
    expect_text(weft_process_start(exit_it, &status, sizeof status),
                -WEFT_ECRASHED, "exit status 0");
}

static int hang(void *arg)
{
    (void)arg;
    for (;;)
        pause();
    return 0;
}

static int hang_unkindly(void *arg)
{
    signal(SIGTERM, SIG_IGN);
    ssize_t n = write(*(int *)arg, "x", 1);
    (void)n;
    return hang(NULL);
}

WEFT_TEST(terminate_and_kill)
{
    weft_future *f = weft_process_start(hang, NULL, 0);
    ck_assert_int_eq(weft_process_terminate(f), 0);
    expect_text(f, -WEFT_ECRASHED, "SIGTERM");
    f = weft_process_start(hang, NULL, 0);
    while (weft_future_native_id(f) == 0) // until it runs
        weft_yield();
    ck_assert_int_eq(weft_process_kill(f), 0);
    weft_get_into(f, NULL, 0);
    ck_assert_int_eq(weft_process_kill(f), -ESRCH);
    ck_assert_int_eq(weft_process_terminate(f), -ESRCH);
    expect_text(f, -WEFT_ECRASHED, "SIGKILL");
}

static int let_go; // atomic

static void hold_back(struct wi_launch *launch)
{
    (void)launch;
    while (!__atomic_load_n(&let_go, __ATOMIC_RELAXED))
        sched_yield();
}

// Signals are kept for one that does not run yet.
WEFT_TEST(a_kill_stays_one_whatever_follows)
{
    int one = 1;
    wi_launcher_made = hold_back;
    weft_future *first = weft_process_start(return_it, &one, sizeof one);
    weft_future *f = weft_process_start(hang, NULL, 0);
    ck_assert_int_eq(weft_process_kill(f), 0);
    ck_assert_int_eq(weft_process_terminate(f), 0);
    ck_assert_int_eq(weft_process_interrupt(f), 0);
    __atomic_store_n(&let_go, 1, __ATOMIC_RELAXED);
    expect_text(f, -WEFT_ECRASHED, "SIGKILL");
    expect(first, 1);
}

WEFT_TEST(only_processes_take_signals)
{
    weft_promise *promise = weft_promise_new();
    weft_future *f = weft_promise_future(promise);
    ck_assert_int_eq(weft_process_kill(f), -EINVAL);
    weft_promise_keep(promise, 0, NULL, 0, NULL);
    weft_future_unref(f);
}

// A pipe whose writing end children inherit by number: descriptor 1, to them.
static int stdout_pipe(int *keep)
{
    int ends[2];
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    *keep = dup(STDOUT_FILENO);
    dup2(ends[1], STDOUT_FILENO);
    close(ends[1]);
    return ends[0];
}

WEFT_TEST(cancel_kills_after_the_grace)
{
    int keep, from = stdout_pipe(&keep), to = STDOUT_FILENO;
    char byte;
    weft_future *f =
        weft_process_start(hang_unkindly, &to, sizeof to, .grace = 0.01);
    ck_assert_int_eq(read(from, &byte, 1), 1); // it ignores SIGTERM now
    dup2(keep, STDOUT_FILENO);
    ck_assert_int_eq(weft_cancel(f), 0);
    expect_text(f, -WEFT_EJOBCANCELED, "SIGKILL");
}

static int drops;

static void count_drop(void *arg)
{
    drops += *(int *)arg;
}

WEFT_TEST(what_never_ran_is_dropped_once)
{
    int one = 1;
    expect(weft_process_start(return_it, &one, sizeof one,
                              .program = "/nonexistent/program",
                              .drop = count_drop),
           -ENOENT);
    ck_assert_int_eq(drops, 1);
    expect(weft_process_start(return_it, &one, sizeof one, .drop = count_drop),
           1);
    ck_assert_int_eq(drops, 1);
    // Whether it has begun by now or not, the two agree.
    for (int i = 0; i < 20; i++) {
        drops = 0;
        weft_future *f =
            weft_process_start(return_it, &one, sizeof one, .drop = count_drop);
        weft_cancel(f);
        int code = weft_join(f);
        ck_assert(code == 1 || code == -WEFT_EJOBCANCELED);
        ck_assert(code == 1 ? drops == 0 : drops <= 1);
    }
}

static int cannot(void *arg)
{
    (void)arg;
    return -EIO;
}

static void close_arena(void *arena)
{
    weft_arena_close(arena);
    drops++;
}

static void close_at_the_end(weft_future *f, void *arena)
{
    (void)f;
    close_arena(arena);
}

// What is called when a process has ended runs on the thread that sees to all
// of them, which must not wait for itself.
WEFT_TEST(who_hears_of_an_end_may_close_what_others_can_open)
{
    weft_arena *a, *b;
    int one = 1;
    ck_assert_int_eq(weft_arena_new(1 << 20, &a), 0);
    ck_assert_int_eq(weft_arena_new(1 << 20, &b), 0);
    ck_assert_uint_ne(weft_arena_ref(a, NULL).id[0], 0);
    ck_assert_uint_ne(weft_arena_ref(b, NULL).id[0], 0);
    drops = 0;
    expect(weft_process_start(return_it, a, 0, .preload = cannot,
                              .drop = close_arena),
           -EIO);
    weft_future *f = weft_process_start(return_it, &one, sizeof one);
    ck_assert_int_eq(weft_future_on_done(f, close_at_the_end, b), 0);
    expect(f, 1);
    expect(weft_process_start(return_it, &one, sizeof one), 1);
    ck_assert_int_eq(drops, 2);
}

WEFT_TEST(what_was_not_found_is_named)
{
    expect_text(weft_process_start(return_it, NULL, 0, .program = "/bin/nix"),
                -ENOENT, "/bin/nix cannot be executed: ");
    expect_text(weft_process_start(return_it, NULL, 0, .cwd = "/nix"), -ENOENT,
                "folder /nix: ");
}

WEFT_TEST(a_program_without_the_hook_is_told)
{
    expect(weft_process_start(return_it, NULL, 0, .program = "/bin/true"),
           -WEFT_ENOENTRY);
}

static int on_stack(void *arg);

WEFT_TEST(a_function_of_no_module_is_refused)
{
    weft_function *generated = (weft_function *)(uintptr_t)mmap(
        NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    expect(weft_process_start(generated, NULL, 0), -EINVAL);
    expect(weft_process_start(on_stack, NULL, 0), 9);
}

static int on_stack(void *arg)
{
    (void)arg;
    return 9;
}

// What the child is given -----------------------------------------------------

static int look_around(void *arg)
{
    char cwd[PATH_MAX];
    (void)arg;
    if (getcwd(cwd, sizeof cwd) == NULL || strcmp(cwd, "/proc") != 0)
        return -1;
    if (getenv("HOME") != NULL || strcmp(getenv("ONLY"), "this") != 0)
        return -2;
    return getenv("WEFT_WORKER") == NULL ? 0 : -3;
}

WEFT_TEST(cwd_and_environment)
{
    const char *const env[] = {"ONLY=this", NULL};
    expect(weft_process_start(look_around, NULL, 0, .cwd = "/proc", .env = env),
           0);
    expect(weft_process_start(look_around, NULL, 0, .cwd = "/nonexistent"),
           -ENOENT);
}

static int read_arguments(void *arg)
{
    char line[64] = "";
    (void)arg;
    FILE *file = fopen("/proc/self/cmdline", "r");
    size_t n = fread(line, 1, sizeof line, file);
    fclose(file);
    return n == 8 && memcmp(line, "one\0two", 8) == 0 ? 0 : -1;
}

WEFT_TEST(arguments)
{
    const char *const argv[] = {"one", "two", NULL};
    expect(weft_process_start(read_arguments, NULL, 0, .argv = argv), 0);
}

static int count_fds(void *arg)
{
    int extra = 0;
    for (int fd = 3; fd < 1000; fd++)
        if (fcntl(fd, F_GETFD) >= 0 && (fcntl(fd, F_GETFD) & FD_CLOEXEC) == 0)
            extra++;
    return arg != NULL && fcntl(*(int *)arg, F_GETFD) >= 0 ? -1 : extra;
}

WEFT_TEST(descriptors_are_not_inherited)
{
    if (WI_ASAN || WI_TSAN)
        weft_test_skip("posix_spawn passes on what is not close-on-exec");
    int high = fcntl(STDOUT_FILENO, F_DUPFD, 700); // without close-on-exec
    expect(weft_process_start(count_fds, &high, sizeof high), 0);
}

static int look_at_signals(void *arg)
{
    sigset_t mask;
    struct sigaction action;
    (void)arg;
    sigprocmask(SIG_SETMASK, NULL, &mask);
    for (int sig = 1; sig < 32; sig++)
        if (sigismember(&mask, sig))
            return -sig;
    sigaction(SIGUSR1, NULL, &action);
    if (action.sa_handler != SIG_DFL)
        return -100;
    return getpgrp() == getpid() ? 0 : -101;
}

static void ignore(int sig)
{
    (void)sig;
}

WEFT_TEST(signals_are_fresh)
{
    sigset_t all;
    signal(SIGUSR1, ignore);
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    expect(weft_process_start(look_at_signals, NULL, 0), 0);
}

static int name_is(void *arg)
{
    char name[16];
    prctl(PR_GET_NAME, name);
    return strcmp(name, arg) == 0 ? 0 : -1;
}

WEFT_TEST(a_name_is_the_systems_name_too)
{
    expect(weft_process_start(name_is, "sculptor", 9, .name = "sculptor"), 0);
}

// The host --------------------------------------------------------------------

static void run_some(void)
{
    int code = -EINVAL, sig = SIGKILL, status = 3;
    for (int i = 0; i < 10; i++) {
        expect(weft_process_start(return_it, &code, sizeof code), -EINVAL);
        expect(weft_process_start(raise_it, &sig, sizeof sig), -WEFT_ECRASHED);
        expect(weft_process_start(exit_it, &status, sizeof status),
               -WEFT_ECRASHED);
    }
}

WEFT_TEST(a_host_that_ignores_sigchld, .timeout = 20)
{
    signal(SIGCHLD, SIG_IGN);
    run_some();
}

static void reap_all(int sig)
{
    int saved = errno;
    (void)sig;
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
    errno = saved;
}

WEFT_TEST(a_host_that_reaps_everything, .timeout = 20)
{
    signal(SIGCHLD, reap_all);
    run_some();
}

WEFT_TEST(a_group_joins_its_processes)
{
    int code = 0;
    weft_group *group = weft_group_open();
    weft_future *f =
        weft_process_start(return_it, &code, sizeof code, .group = group);
    ck_assert_int_eq(weft_group_close(group), 0);
    ck_assert(weft_done(f));
    weft_future_unref(f);
    group = weft_group_open();
    f = weft_process_start(hang, NULL, 0, .group = group);
    weft_group_cancel(group);
    weft_group_close(group);
    ck_assert_int_eq(weft_future_code(f), -WEFT_EJOBCANCELED);
    weft_future_unref(f);
}

static int wait_in_task(void *arg)
{
    int code = 11;
    (void)arg;
    return weft_join(weft_process_start(return_it, &code, sizeof code));
}

WEFT_TEST(a_task_waits_for_a_process)
{
    ck_assert_int_eq(weft_run(wait_in_task, NULL), 11);
}

WEFT_TEST(nothing_stays_behind)
{
    run_some();
    int fds = weft_test_count_fds();
    int threads = weft_test_count_threads();
    run_some();
    ck_assert_int_eq(weft_test_count_fds(), fds);
    weft_test_await_threads(threads);
    ck_assert_int_eq(waitpid(-1, NULL, 0), -1);
    ck_assert_int_eq(errno, ECHILD);
}

static int sleep_long(void *arg)
{
    (void)arg;
    return weft_sleep(60);
}

static int a_group_with_a_deadline(void *arg)
{
    int rc = 0;
    {
        WEFT_TIMEOUT(0.01);
        WEFT_GROUP(g, &rc);
        weft_future *f =
            weft_process_start(hang, NULL, 0, .group = g, .name = "late");
        *(weft_future **)arg = f;
    }
    return rc;
}

WEFT_TEST(a_deadline_around_a_group_ends_its_processes, .timeout = 20)
{
    weft_future *f;
    ck_assert_int_eq(a_group_with_a_deadline(&f), -WEFT_EJOBTIMEOUT);
    expect(f, -WEFT_EJOBCANCELED);
    ck_assert_int_eq(weft_run(a_group_with_a_deadline, &f), -WEFT_EJOBTIMEOUT);
    expect(f, -WEFT_EJOBCANCELED);
}

WEFT_TEST(a_canceled_group_starts_no_process, .timeout = 20)
{
    weft_group *g = weft_group_open();
    weft_group_cancel(g);
    weft_future *f = weft_process_start(sleep_long, NULL, 0, .group = g);
    weft_group_close(g);
    ck_assert_int_eq(weft_future_code(f), -WEFT_EJOBCANCELED);
    weft_future_unref(f);
}

// Signals --------------------------------------------------------------------

static int is_ignored(void *arg)
{
    struct sigaction usr1, usr2;
    (void)arg;
    sigaction(SIGUSR1, NULL, &usr1);
    sigaction(SIGUSR2, NULL, &usr2);
    return usr1.sa_handler == SIG_IGN && usr2.sa_handler == SIG_DFL ? 0 : 1;
}

static void do_nothing(int sig)
{
    (void)sig;
}

// As exec has it: nohup shall reach them.
WEFT_TEST(what_is_ignored_stays_so_and_what_is_caught_does_not)
{
    signal(SIGUSR1, SIG_IGN);
    signal(SIGUSR2, do_nothing);
    expect(weft_process_start(is_ignored, NULL, 0), 0);
}

// A thread -------------------------------------------------------------------

static int write_late(void *arg)
{
    (void)arg;
    // It makes a process that does not wait fail; one that does may be as late.
    weft_sleep(0.05);
    return write(weft_process_fd(0), "late", 4) == 4 ? 0 : -errno;
}

static int leave_a_thread(void *arg)
{
    (void)arg;
    weft_future_unref(weft_thread_start(write_late, NULL));
    return 0;
}

WEFT_TEST(the_threads_of_a_process_are_joined_at_its_end)
{
    int ends[2];
    char text[8];
    ck_assert_int_eq(pipe(ends), 0);
    expect(weft_process_start(leave_a_thread, NULL, 0, .fds = &ends[1],
                              .fd_count = 1),
           0);
    close(ends[1]);
    ck_assert_int_eq(read(ends[0], text, sizeof text), 4);
    close(ends[0]);
}

WEFT_TEST_MAIN("process")
