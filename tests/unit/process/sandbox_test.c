// SPDX-License-Identifier: MIT
// Children that give up rights for good.
#include "jobs.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

// A kernel or a container may refuse Landlock or filters: then the start must
// say so, and there is no more to test.
static bool is_refused(weft_future *f)
{
    int rc = weft_get_into(f, NULL, 0);
    bool refused = rc == -ENOSYS || rc == -EOPNOTSUPP || rc == -EINVAL;
    if (refused)
        ck_assert_ptr_nonnull(strstr(weft_future_text(f), "cannot begin"));
    weft_future_unref(f);
    return refused;
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static void need_filters(void)
{
    if (WI_ASAN || WI_TSAN)
        weft_test_skip("a sanitizer needs more system calls");
    if (is_refused(weft_process_start(nothing, NULL, 0, .compute_only = true)))
        weft_test_skip("no system call filters here");
}

static int has_no_new_privs(void *arg)
{
    (void)arg;
    return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
}

WEFT_TEST(no_new_privileges)
{
    expect(weft_process_start(has_no_new_privs, NULL, 0), 0);
    expect(weft_process_start(has_no_new_privs, NULL, 0, .no_new_privs = true),
           1);
}

// Paths -----------------------------------------------------------------------

static char folder[64];

static void make_folder(void)
{
    snprintf(folder, sizeof folder, "/tmp/weft-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static int try_open(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC, 0600);
    if (fd >= 0)
        close(fd);
    return fd >= 0 ? 0 : errno;
}

static int use_paths(void *arg)
{
    char path[128];
    snprintf(path, sizeof path, "%s/file", (char *)arg);
    if (try_open(path, O_WRONLY | O_CREAT) != 0)
        return 1;
    if (try_open("/etc/passwd", O_RDONLY) != EACCES)
        return 2;
    if (try_open("/usr", O_RDONLY) != 0)
        return 3;
    if (try_open("/usr/weft-test-no", O_WRONLY | O_CREAT) != EACCES)
        return 4;
    unlink(path);
    return 0;
}

WEFT_TEST(only_these_paths)
{
    if (WI_ASAN || WI_TSAN)
        weft_test_skip("a sanitizer opens files of its own");
    const char *readable[] = {"/usr", NULL}, *writable[] = {folder, NULL};
    make_folder();
    if (is_refused(weft_process_start(nothing, NULL, 0, .readable = readable)))
        weft_test_skip("the kernel has no Landlock");
    expect(weft_process_start(use_paths, folder, sizeof folder,
                              .readable = readable, .writable = writable),
           0);
    rmdir(folder);
}

static int no_path_at_all(void *arg)
{
    (void)arg;
    return try_open("/usr", O_RDONLY) == EACCES ? 0 : 1;
}

WEFT_TEST(an_empty_list_is_nothing_at_all)
{
    const char *none[] = {NULL};
    if (WI_ASAN || WI_TSAN ||
        is_refused(weft_process_start(nothing, NULL, 0, .readable = none)))
        weft_test_skip("no Landlock here");
    expect(weft_process_start(no_path_at_all, NULL, 0, .readable = none), 0);
}

WEFT_TEST(a_path_that_is_not_there_is_named)
{
    const char *paths[] = {"/nowhere/at/all", NULL};
    if (is_refused(weft_process_start(nothing, NULL, 0,
                                      .readable = (const char *const[]){NULL})))
        weft_test_skip("no Landlock here");
    expect_text(weft_process_start(nothing, NULL, 0, .readable = paths),
                -ENOENT, "/nowhere/at/all");
}

// Calls -----------------------------------------------------------------------

static void *in_a_thread(void *arg)
{
    *(int *)arg = 5;
    return NULL;
}

static int only_compute(void *arg)
{
    pthread_t thread;
    int five = 0;
    (void)arg;
    if (try_open("/etc/passwd", O_RDONLY) != EPERM)
        return 1;
    if (socket(AF_INET, SOCK_STREAM, 0) >= 0 || errno != EPERM)
        return 2;
    if (fork() >= 0 || errno != EPERM)
        return 3;
    if (kill(getppid(), 0) == 0 || errno != EPERM)
        return 4;
    if (syscall(SYS_ptrace, 0, 0, 0, 0) >= 0 || errno != EPERM)
        return 5;
    void *memory = malloc(10 << 20);
    if (memory == NULL)
        return 6;
    memset(memory, 1, 10 << 20);
    free(memory);
    if (pthread_create(&thread, NULL, in_a_thread, &five) != 0)
        return 7;
    pthread_join(thread, NULL);
    return five == 5 ? 0 : 8;
}

WEFT_TEST(only_computation)
{
    need_filters();
    expect(weft_process_start(only_compute, NULL, 0, .compute_only = true), 0);
}

WEFT_JOB(long, open_passwd)
{
    return try_open("/etc/passwd", O_RDONLY);
}

WEFT_JOB(struct weft_bytes, double_bytes, struct weft_bytes, in)
{
    struct weft_bytes out = {malloc(2 * in.len), 2 * in.len};
    memcpy(out.data, in.data, in.len);
    memcpy((char *)out.data + in.len, in.data, in.len);
    return out;
}

WEFT_JOB(long, nest, long, x)
{
    long value = 0;
    int rc = weft_result(weft_submit(weft_executor_open(0), square, x), &value);
    if (rc < 0)
        weft_fail(rc, NULL);
    return value;
}

WEFT_JOB(long, crash)
{
    abort();
}

static int initializer_may(void *arg)
{
    (void)arg;
    return try_open("/etc/passwd", O_RDONLY) == 0 ? 0 : -EIO;
}

// Everything of the pool works in workers that may only compute: large
// arguments, nested jobs, crashes.
WEFT_TEST(a_pool_of_workers_that_only_compute)
{
    need_filters();
    struct weft_process_options like = {.size = sizeof like,
                                        .compute_only = true};
    weft_executor *ex = weft_process_pool(.workers = 2, .process = &like,
                                          .initializer = initializer_may);
    static char big[300000];
    struct weft_bytes in = {big, sizeof big}, out;
    for (int i = 0; i < 10; i++) {
        expect_long(weft_submit(ex, open_passwd), EPERM);
        expect_long(weft_submit(ex, nest, i), i * i);
        ck_assert_int_eq(
            weft_result(weft_submit_job(ex, &weft_job_double_bytes, &in), &out),
            0);
        ck_assert_uint_eq(out.len, 2 * sizeof big);
        weft_bytes_free(&out);
        expect_text(weft_submit(ex, crash), -WEFT_ECRASHED, "SIGABRT");
    }
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

// What the initializer has started --------------------------------------------

static sem_t ready;

// A thread with a filter of its own, which lets through everything.
static void *in_its_own_filter(void *arg)
{
    struct sock_filter all = {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW};
    struct sock_fprog prog = {1, &all};
    int *rc = arg;
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    *rc = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog);
    sem_post(&ready);
    for (;;)
        pause();
    return NULL;
}

static int start_a_filtered_thread(void *arg)
{
    static int rc;
    pthread_t thread;
    (void)arg;
    sem_init(&ready, 0, 0);
    if (pthread_create(&thread, NULL, in_its_own_filter, &rc) != 0)
        return -EAGAIN;
    sem_wait(&ready);
    errno = 0;
    return rc == 0 ? 0 : -ENOSYS;
}

// The kernel gives a thread that has a filter of its own no other one, and then
// gives it to none.
WEFT_TEST(a_thread_that_cannot_be_confined_fails_the_start)
{
    need_filters();
    struct weft_process_options like = {.size = sizeof like,
                                        .compute_only = true};
    weft_executor *ex =
        weft_process_pool(.workers = 1, .process = &like,
                          .initializer = start_a_filtered_thread);
    expect_text(weft_submit(ex, open_passwd), -WEFT_EBROKEN,
                "the system call filter");
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

static sem_t asked;
static int answer;

static void *open_for_others(void *arg)
{
    (void)arg;
    for (;;) {
        while (sem_wait(&asked) != 0)
            ;
        answer = try_open("/usr", O_RDONLY);
        sem_post(&ready);
    }
    return NULL;
}

static void *promises_for_others(void *arg)
{
    (void)arg;
    for (;;) {
        while (sem_wait(&asked) != 0)
            ;
        answer = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
        sem_post(&ready);
    }
    return NULL;
}

static int start_thread(void *(*fn)(void *))
{
    pthread_t thread;
    sem_init(&ready, 0, 0);
    sem_init(&asked, 0, 0);
    return -pthread_create(&thread, NULL, fn, NULL);
}

static int start_opener(void *arg)
{
    (void)arg;
    return start_thread(open_for_others);
}

static int start_promiser(void *arg)
{
    (void)arg;
    return start_thread(promises_for_others);
}

WEFT_JOB(long, ask_thread)
{
    sem_post(&asked);
    while (sem_wait(&ready) != 0)
        ;
    return answer;
}

WEFT_TEST(threads_that_run_already_promise_too)
{
    struct weft_process_options like = {.size = sizeof like,
                                        .no_new_privs = true};
    if (WI_ASAN || WI_TSAN ||
        is_refused(weft_process_start(nothing, NULL, 0, .compute_only = true)))
        weft_test_skip("no system call filters here");
    weft_executor *ex = weft_process_pool(.workers = 1, .process = &like,
                                          .initializer = start_promiser);
    expect_long(weft_submit(ex, ask_thread), 1);
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

WEFT_TEST(paths_cannot_be_taken_from_threads_that_run_already)
{
    const char *none[] = {NULL};
    struct weft_process_options like = {.size = sizeof like, .readable = none};
    if (WI_ASAN || WI_TSAN ||
        is_refused(weft_process_start(nothing, NULL, 0, .readable = none)))
        weft_test_skip("no Landlock here");
    weft_executor *ex = weft_process_pool(.workers = 1, .process = &like,
                                          .initializer = start_opener);
    expect_text(weft_submit(ex, ask_thread), -WEFT_EBROKEN,
                "threads that run already");
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

WEFT_TEST_MAIN("sandbox")
