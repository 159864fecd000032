// SPDX-License-Identifier: MIT
// What a child can be given, and what can be known of it: descriptors, limits,
// CPUs, groups; the steps of its end; its result as bytes.
#include "jobs.h"

#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

// Descriptors -----------------------------------------------------------------

static int has_null(void *arg);

static int speak(void *arg)
{
    (void)arg;
    char text[16] = "";
    if (fgets(text, sizeof text, stdin) == NULL)
        return -EIO;
    printf("out %s", text);
    fprintf(stderr, "err %s", text);
    return 0;
}

static void expect_file(int fd, const char *want)
{
    char text[64] = "";
    ck_assert_int_ge(pread(fd, text, sizeof text - 1, 0), 0);
    ck_assert_str_eq(text, want);
}

static int temporary(void)
{
    char path[] = "/tmp/weft-test-XXXXXX";
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    unlink(path);
    return fd;
}

WEFT_TEST(stdio_can_be_files)
{
    int in = temporary(), out = temporary(), err = temporary();
    ck_assert_int_eq(write(in, "hello\n", 6), 6);
    lseek(in, 0, SEEK_SET);
    weft_future *f =
        weft_process_start(speak, NULL, 0, .in = in, .out = out, .err = err);
    expect(f, 0);
    expect_file(out, "out hello\n");
    expect_file(err, "err hello\n");
}

WEFT_TEST(one_file_may_be_both)
{
    int in = temporary(), both = temporary();
    ck_assert_int_eq(write(in, "x\n", 2), 2);
    lseek(in, 0, SEEK_SET);
    weft_future *f =
        weft_process_start(speak, NULL, 0, .in = in, .out = both, .err = both);
    close(both == 0 ? -1 : in); // the child has its own
    expect(f, 0);
    expect_file(both, "err x\nout x\n"); // stdout is written at the end
}

// Capture ---------------------------------------------------------------------

static int chatter(void *arg)
{
    int n = *(int *)arg;
    for (int i = 0; i < n; i++)
        printf("line %d\n", i);
    fflush(stdout);
    fprintf(stderr, "to err\n");
    return 0;
}

static void expect_output(weft_future *f, int fd, const char *want)
{
    struct weft_bytes got;
    uint64_t lost = 1;
    ck_assert_int_eq(weft_process_output(f, fd, &got, &lost), 0);
    ck_assert_str_eq(got.data, want);
    ck_assert_uint_eq(got.len, strlen(want));
    ck_assert_uint_eq(lost, 0);
    weft_bytes_free(&got);
}

static void capture_with(enum weft_start_method start)
{
    int n = 3;
    struct weft_bytes none;
    weft_future *f =
        weft_process_start(chatter, &n, sizeof n, .start = start,
                           .out = WEFT_DEV_CAPTURE, .err = WEFT_DEV_CAPTURE);
    ck_assert_int_eq(weft_get_into(f, NULL, 0), 0);
    expect_output(f, 1, "line 0\nline 1\nline 2\n");
    expect_output(f, 2, "to err\n");
    weft_future_unref(f);
    f = weft_process_start(chatter, &n, sizeof n, .start = start,
                           .out = WEFT_DEV_CAPTURE, .err = WEFT_DEV_OUT);
    ck_assert_int_eq(weft_get_into(f, NULL, 0), 0);
    expect_output(f, 1, "line 0\nline 1\nline 2\nto err\n");
    ck_assert_int_eq(weft_process_output(f, 2, &none, NULL), -ENODATA);
    weft_future_unref(f);
}

WEFT_TEST(output_can_be_captured)
{
    capture_with(WEFT_START_EXEC);
    capture_with(WEFT_START_ZYGOTE);
    int fds = weft_test_count_fds();
    capture_with(WEFT_START_ZYGOTE);
    capture_with(WEFT_START_EXEC);
    ck_assert_int_eq(weft_test_count_fds(), fds);
}

// This process's descriptor 1 is a pipe from here on; the end to read from.
static int pipe_as_output(void)
{
    int ends[2];
    fflush(stdout);
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    ck_assert_int_eq(dup2(ends[1], 1), 1);
    close(ends[1]);
    return ends[0];
}

static size_t read_all(int fd, char *text, size_t size)
{
    size_t n = 0;
    ssize_t got;
    close(1);
    while (n < size - 1 && (got = read(fd, text + n, size - 1 - n)) > 0)
        n += (size_t)got;
    text[n] = '\0';
    close(fd);
    return n;
}

static int say_lines(void *arg)
{
    (void)arg;
    printf("one\n\ntw");
    fflush(stdout);
    printf("o\nno newline");
    return 0;
}

WEFT_TEST(lines_have_the_name_of_who_writes)
{
    char want[300], got[300];
    int fd = pipe_as_output();
    weft_future *f = weft_process_start(say_lines, NULL, 0, .name = "scribe",
                                        .echo = true, .out = WEFT_DEV_CAPTURE);
    ck_assert_int_eq(weft_get_into(f, NULL, 0), 0);
    expect_output(f, 1, "one\n\ntwo\nno newline");
    weft_future_unref(f);
    read_all(fd, got, sizeof got);
    ck_assert_int_eq(strncmp(got, "[scribe ", 8), 0);
    int pid = atoi(got + 8);
    snprintf(want, sizeof want,
             "[scribe %d] one\n[scribe %d] \n[scribe %d] two\n"
             "[scribe %d] no newline\n",
             pid, pid, pid, pid);
    ck_assert_int_gt(pid, 1);
    ck_assert_str_eq(got, want);
}

static int say_much(void *arg)
{
    long n = *(long *)arg;
    for (long i = 0; i < n; i++)
        printf("%0100ld\n", i);
    return 0;
}

// Nobody reads: the child ends all the same, and what was left out is counted.
WEFT_TEST(lines_wait_for_nobody)
{
    enum { LINES = 5000 };
    long n = LINES;
    static char got[1 << 20];
    int fd = pipe_as_output();
    weft_future *f = weft_process_start(say_much, &n, sizeof n, .echo = true,
                                        .out = WEFT_DEV_CAPTURE);
    ck_assert_int_eq(weft_get_into(f, NULL, 0), 0);
    weft_future_unref(f);
    read_all(fd, got, sizeof got);
    long lines = 0;
    for (const char *at = got; (at = strchr(at, '\n')) != NULL; at++) {
        ck_assert_int_eq(*got, '[');
        lines++;
    }
    ck_assert_int_gt(lines, 100);
    ck_assert_int_lt(lines, LINES);
}

WEFT_JOB(long, say_number, long, x)
{
    printf("%ld\n", x);
    fflush(stdout);
    return x;
}

WEFT_TEST(lines_of_workers)
{
    const struct weft_process_options like = {
        .size = sizeof like, .out = WEFT_DEV_CAPTURE, .echo = true};
    static char got[10000];
    char line[20];
    int fd = pipe_as_output();
    weft_executor *ex =
        weft_process_pool(.workers = 2, .name = "scribes", .process = &like);
    for (long i = 0; i < 50; i++) {
        long x;
        ck_assert_int_eq(weft_result(weft_submit(ex, say_number, i), &x), 0);
    }
    ck_assert_int_eq(weft_executor_close(ex), 0);
    read_all(fd, got, sizeof got);
    for (long i = 0; i < 50; i++) {
        snprintf(line, sizeof line, "] %ld\n", i);
        ck_assert_msg(strstr(got, line) != NULL, "no line %ld in: %s", i, got);
    }
    ck_assert_int_eq(strncmp(got, "[scribes ", 9), 0);
}

// The last bytes count.
WEFT_TEST(captured_output_is_bounded)
{
    int n = 50000;
    struct weft_bytes got;
    uint64_t lost;
    weft_future *f =
        weft_process_start(chatter, &n, sizeof n, .out = WEFT_DEV_CAPTURE,
                           .err = WEFT_DEV_NULL, .capture = 1000);
    ck_assert_int_eq(weft_get_into(f, NULL, 0), 0);
    ck_assert_int_eq(weft_process_output(f, 1, &got, &lost), 0);
    ck_assert_uint_eq(got.len, 1000);
    ck_assert_uint_eq(lost,
                      50000ul * 11 - 10 * 4 - 90 * 3 - 900 * 2 - 9000 - 1000);
    ck_assert_str_eq((char *)got.data + 1000 - 11, "line 49999\n");
    weft_bytes_free(&got);
    weft_future_unref(f);
}

static int last_words(void *arg)
{
    (void)arg;
    fprintf(stderr, "first\nit is\tover\n\n");
    abort();
    return 0;
}

WEFT_TEST(last_words_stand_in_the_text)
{
    expect_text(
        weft_process_start(last_words, NULL, 0, .err = WEFT_DEV_CAPTURE),
        -WEFT_ECRASHED, "; it wrote \"it is?over\"");
}

static int write_and_wait(void *arg)
{
    char byte;
    (void)arg;
    if (write(1, "so far", 6) != 6)
        return -EIO;
    return (int)read(0, &byte, 1);
}

WEFT_TEST(output_can_be_seen_while_it_comes)
{
    int ends[2];
    struct weft_bytes got = {NULL, 0};
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    weft_future *f = weft_process_start(write_and_wait, NULL, 0, .in = ends[0],
                                        .out = WEFT_DEV_CAPTURE);
    do {
        weft_bytes_free(&got);
        ck_assert_int_eq(weft_process_output(f, 1, &got, NULL), 0);
        sched_yield();
    } while (got.len < 6);
    ck_assert_str_eq(got.data, "so far");
    weft_bytes_free(&got);
    close(ends[1]);
    expect(f, 0);
}

static int say_so(void *arg)
{
    (void)arg;
    return write(1, "so", 2) == 2 ? 0 : -errno;
}

// Whoever looks while it ends finds what it has written, and who it was.
WEFT_TEST(a_process_is_known_at_each_moment_of_its_end, .timeout = 30)
{
    for (int i = 0; i < 100; i++) {
        struct weft_process_info info = {.size = sizeof info};
        struct weft_bytes got;
        pid_t pid = 0;
        weft_future *f =
            weft_process_start(say_so, NULL, 0, .out = WEFT_DEV_CAPTURE);
        for (bool done = false; !done;) {
            done = weft_done(f);
            ck_assert_int_eq(weft_process_output(f, 1, &got, NULL), 0);
            ck_assert_int_eq(weft_process_info(f, &info), 0);
            ck_assert(pid == 0 || info.pid == pid);
            ck_assert(info.alive || info.exit_code == 0);
            ck_assert(!done || got.len == 2);
            pid = info.pid;
            weft_bytes_free(&got);
        }
        ck_assert_int_eq(info.exit_code, 0);
        expect(f, 0);
    }
}

WEFT_TEST(what_cannot_be_captured_is_an_error)
{
    struct weft_bytes none;
    expect(weft_process_start(chatter, NULL, 0, .in = WEFT_DEV_CAPTURE),
           -EBADF);
    expect(weft_process_start(chatter, NULL, 0, .out = WEFT_DEV_OUT), -EBADF);
    expect(weft_process_start(chatter, NULL, 0, .out = -5), -EBADF);
    weft_future *f = weft_process_start(has_null, NULL, 0, .in = WEFT_DEV_NULL,
                                        .out = WEFT_DEV_NULL);
    ck_assert_int_eq(weft_process_output(f, 1, &none, NULL), -ENODATA);
    expect(f, 0);
}

WEFT_JOB(long, job_last_words, int, x)
{
    if (x == 0)
        return write(2, "all is well\n", 12);
    fprintf(stderr, "no more %d\n", x);
    abort();
    return 0;
}

WEFT_TEST(last_words_of_a_job_stand_in_its_text)
{
    struct weft_process_options like = {.size = sizeof like,
                                        .out = WEFT_DEV_CAPTURE,
                                        .err = WEFT_DEV_OUT,
                                        .capture = 256};
    weft_executor *ex = weft_process_pool(.workers = 1, .process = &like);
    expect_long(weft_submit(ex, job_last_words, 0), 12);
    expect_text(weft_submit(ex, job_last_words, 7), -WEFT_ECRASHED,
                "it wrote \"no more 7\"");
    expect_long(weft_submit(ex, job_last_words, 0), 12);
    weft_executor_close(ex);
}

static int has_null(void *arg)
{
    char byte;
    struct stat out, null;
    (void)arg;
    if (read(0, &byte, 1) != 0)
        return 1;
    fstat(1, &out);
    stat("/dev/null", &null);
    return out.st_rdev == null.st_rdev ? 0 : 2;
}

WEFT_TEST(stdio_can_be_nothing)
{
    expect(weft_process_start(has_null, NULL, 0, .in = WEFT_DEV_NULL,
                              .out = WEFT_DEV_NULL),
           0);
}

static int copy_over(void *arg)
{
    char text[8] = "";
    (void)arg;
    if (weft_process_fd(3) != -EBADF)
        return -EBADF;
    // posix_spawn, which sanitizers need, cannot close what it does not know.
    if (!WI_ASAN && !WI_TSAN && fcntl(20, F_GETFD) >= 0)
        return -EMFILE;
    ssize_t n = read(weft_process_fd(0), text, sizeof text);
    if (write(weft_process_fd(1), text, (size_t)n) != n ||
        write(weft_process_fd(2), "!", 1) != 1)
        return -EIO;
    return fcntl(weft_process_fd(0), F_GETFD) == FD_CLOEXEC ? (int)n : -1;
}

// Also the same one twice, and more than one place needs a number that another
// comes from.
WEFT_TEST(a_child_gets_the_descriptors_that_are_passed)
{
    int from[2], to[2];
    char text[8] = "";
    ck_assert_int_eq(weft_process_fd(0), -EBADF);
    ck_assert_int_eq(pipe2(from, O_CLOEXEC), 0);
    ck_assert_int_eq(pipe2(to, O_CLOEXEC), 0);
    dup2(0, 20); // is not passed
    int fds[] = {from[0], to[1], to[1]};
    weft_future *f =
        weft_process_start(copy_over, NULL, 0, .fds = fds, .fd_count = 3);
    close(from[0]);
    close(to[1]);
    ck_assert_int_eq(write(from[1], "abc", 3), 3);
    expect(f, 3);
    ck_assert_int_eq(read(to[0], text, sizeof text), 4);
    ck_assert_str_eq(text, "abc!");
    ck_assert_int_eq(read(to[0], text, sizeof text), 0); // nobody else has it
}

WEFT_TEST(a_descriptor_that_is_not_open_is_an_error)
{
    expect(weft_process_start(chatter, NULL, 0, .fd_count = 1), -EINVAL);
    int fds[] = {999};
    expect(weft_process_start(copy_over, NULL, 0, .fds = fds, .fd_count = 1),
           -EBADF);
    expect(weft_process_start(copy_over, NULL, 0, .out = 999), -EBADF);
}

WEFT_JOB(long, write_to_first, int, x)
{
    return write(weft_process_fd(0), &x, sizeof x);
}

WEFT_TEST(workers_get_them_too)
{
    int ends[2], value = 0;
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    struct weft_process_options like = {
        .size = sizeof like, .fds = &ends[1], .fd_count = 1, .nice = 3};
    weft_executor *ex = weft_process_pool(.workers = 1, .process = &like);
    close(ends[1]);
    expect_long(weft_submit(ex, write_to_first, 77), sizeof(int));
    ck_assert_int_eq(read(ends[0], &value, sizeof value), sizeof value);
    ck_assert_int_eq(value, 77);
    ck_assert_int_eq(weft_executor_close(ex), 0);
    ck_assert_int_eq(read(ends[0], &value, sizeof value), 0);
}

// Settings --------------------------------------------------------------------

static int tell_settings(void *arg)
{
    struct rlimit limit;
    cpu_set_t set;
    (void)arg;
    getrlimit(RLIMIT_NOFILE, &limit);
    sched_getaffinity(0, sizeof set, &set);
    if (limit.rlim_cur != 50 || limit.rlim_max != 60)
        return 1;
    if (CPU_COUNT(&set) != 1)
        return 2;
    return 1000 + getpriority(PRIO_PROCESS, 0);
}

static unsigned first_cpu(void)
{
    unsigned cpu = 0;
    cpu_set_t set;
    sched_getaffinity(0, sizeof set, &set);
    while (!CPU_ISSET(cpu, &set))
        cpu++;
    return cpu;
}

WEFT_TEST(nice_limits_and_cpus)
{
    unsigned cpu = first_cpu();
    int nice = getpriority(PRIO_PROCESS, 0);
    struct weft_limit limits[] = {{RLIMIT_NOFILE, 50, 60}, {RLIMIT_CORE, 0, 0}};
    if (nice > 15)
        weft_test_skip("the nice value cannot grow by so much");
    expect(weft_process_start(tell_settings, NULL, 0, .nice = 4, .cpus = &cpu,
                              .cpu_count = 1, .limits = limits,
                              .limit_count = 2),
           1000 + nice + 4);
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int dropped;

static void drop(void *arg)
{
    (void)arg;
    dropped++;
}

WEFT_TEST(a_setting_that_cannot_be_is_told_by_name)
{
    struct weft_limit bad = {12345, 1, 1};
    unsigned cpu = 1023;
    expect_text(weft_process_start(nothing, NULL, 0, .limits = &bad,
                                   .limit_count = 1, .drop = drop),
                -EINVAL, "resource limit");
    ck_assert_int_eq(dropped, 1);
    expect_text(
        weft_process_start(nothing, NULL, 0, .cpus = &cpu, .cpu_count = 1),
        -EINVAL, "CPU affinity");
    ck_assert_int_eq(
        weft_join(weft_process_start(nothing, NULL, 0, .limit_count = 3)),
        -EINVAL);
    struct weft_process_options like = {
        .size = sizeof like, .limits = &bad, .limit_count = 1};
    weft_executor *ex = weft_process_pool(.workers = 1, .process = &like);
    expect_text(weft_submit(ex, square, 1), -WEFT_EBROKEN, "resource limit");
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

WEFT_JOB(long, take_memory, size_t, size)
{
    volatile char *memory = malloc(size);
    if (memory == NULL)
        weft_fail(-ENOMEM, "no memory");
    for (size_t i = 0; memory != NULL && i < size; i += 4096)
        memory[i] = 1;
    free((void *)memory);
    return 1;
}

WEFT_TEST(a_memory_limit_fails_only_the_job_that_meets_it)
{
    if (WI_ASAN || WI_TSAN)
        weft_test_skip("a sanitizer needs more memory than that");
    struct weft_process_options like = {.size = sizeof like,
                                        .memory = 64 << 20};
    weft_executor *ex = weft_process_pool(.workers = 1, .process = &like);
    expect_long(weft_submit(ex, take_memory, 1 << 20), 1);
    expect_text(weft_submit(ex, take_memory, 1ul << 30), -ENOMEM, "no memory");
    expect_long(weft_submit(ex, take_memory, 1 << 20), 1);
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

static int group_of_mine(void *arg)
{
    return getpgid(0) == getpid()        ? (getsid(0) == getpid() ? 2 : 1)
           : getpgid(0) == *(pid_t *)arg ? 3
                                         : 4;
}

WEFT_TEST(groups_and_sessions)
{
    pid_t own = getpgid(0);
    expect(weft_process_start(group_of_mine, &own, sizeof own), 1);
    expect(weft_process_start(group_of_mine, &own, sizeof own,
                              .process_group = WEFT_GROUP_SESSION),
           2);
    expect(weft_process_start(group_of_mine, &own, sizeof own,
                              .process_group = WEFT_GROUP_PARENT),
           3);
}

// Results ---------------------------------------------------------------------

static int give_bytes(void *arg)
{
    size_t size = *(size_t *)arg;
    unsigned char *bytes = malloc(size + 1);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)(i * 7);
    int rc = weft_process_return("first", 5); // the last one counts
    if (rc == 0)
        rc = weft_process_return(bytes, size);
    free(bytes);
    return rc < 0 ? rc : 5;
}

WEFT_TEST(a_result_can_be_bytes)
{
    static const size_t sizes[] = {1, 5000, 3 << 20};
    for (int i = 0; i < 3; i++) {
        struct weft_bytes bytes = {NULL, 0};
        weft_future *f =
            weft_process_start(give_bytes, &sizes[i], sizeof sizes[i]);
        ck_assert_int_eq(weft_result(f, &bytes), 5);
        ck_assert_uint_eq(bytes.len, sizes[i]);
        const unsigned char *at = bytes.data;
        size_t right = 0;
        while (right < bytes.len && at[right] == (unsigned char)(right * 7))
            right++;
        ck_assert_uint_eq(right, sizes[i]);
        weft_bytes_free(&bytes);
    }
    ck_assert_int_eq(weft_process_return("x", 1), -EINVAL); // no child
}

// What is known ---------------------------------------------------------------

static struct weft_process_info info_of(weft_future *f)
{
    struct weft_process_info info = {.size = sizeof info};
    ck_assert_int_eq(weft_process_info(f, &info), 0);
    return info;
}

static int burn(void *arg)
{
    static char *volatile much;
    (void)arg;
    much = malloc(40 << 20);
    memset(much, 1, 40 << 20);
    _exit(9);
}

static int die_by_signal(void *arg)
{
    raise(*(int *)arg);
    return 0;
}

static int hang_on(void *arg)
{
    (void)arg;
    for (;;)
        pause();
    return 0;
}

static void until_alive(weft_future *f)
{
    while (weft_future_native_id(f) == 0)
        weft_yield();
}

WEFT_TEST(how_it_ended_is_known)
{
    int sig = SIGKILL;
    weft_future *f = weft_process_start(burn, NULL, 0);
    weft_get_into(f, NULL, 0);
    struct weft_process_info info = info_of(f);
    ck_assert(!info.alive);
    ck_assert_int_gt(info.pid, 0);
    ck_assert_int_eq(info.exit_code, 9);
    ck_assert_int_eq(info.signal, 0);
    ck_assert_uint_gt(info.max_rss, 40 << 20);
    weft_future_unref(f);
    f = weft_process_start(die_by_signal, &sig, sizeof sig);
    weft_get_into(f, NULL, 0);
    info = info_of(f);
    ck_assert_int_eq(info.signal, SIGKILL);
    ck_assert_int_eq(info.exit_code, -1);
    weft_future_unref(f);
}

WEFT_TEST(a_live_one_is_known_too)
{
    pid_t pids[4];
    ck_assert_uint_eq(weft_process_children(pids, 4), 0);
    weft_future *f = weft_process_start(hang_on, NULL, 0);
    until_alive(f);
    struct weft_process_info info = info_of(f);
    ck_assert(info.alive);
    ck_assert_int_eq(info.pid, weft_future_native_id(f));
    ck_assert_uint_eq(weft_process_children(pids, 4), 1);
    ck_assert_int_eq(pids[0], info.pid);
    int fd = weft_process_pidfd(f);
    struct pollfd ended = {.fd = fd, .events = POLLIN};
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(poll(&ended, 1, 0), 0);
    ck_assert_int_eq(weft_process_kill(f), 0);
    ck_assert_int_eq(poll(&ended, 1, 4000), 1);
    weft_get_into(f, NULL, 0);
    ck_assert_int_eq(weft_process_pidfd(f), -ESRCH);
    ck_assert_uint_eq(weft_process_children(pids, 4), 0);
    ck_assert(!info_of(f).alive);
    weft_future_unref(f);
    close(fd);
}

// Steps of the end ------------------------------------------------------------

static int until_asked(void *arg)
{
    (void)arg;
    while (!weft_process_asked())
        usleep(100);
    return 11;
}

WEFT_TEST(one_that_is_asked_may_end_by_itself)
{
    weft_future *f = weft_process_start(until_asked, NULL, 0);
    until_alive(f);
    ck_assert_int_eq(weft_process_stop(f, (double)INFINITY, 0), 0);
    expect(f, 11);
}

WEFT_TEST(one_that_does_not_listen_gets_signals)
{
    weft_future *f = weft_process_start(hang_on, NULL, 0);
    until_alive(f);
    ck_assert_int_eq(weft_process_stop(f, 0.01, 30), 0);
    expect_text(f, -WEFT_ECRASHED, "SIGTERM");
}

static int hang_stubborn(void *arg)
{
    signal(SIGTERM, SIG_IGN);
    if (write(*(int *)arg, "x", 1) != 1)
        return -EIO;
    return hang_on(arg);
}

WEFT_TEST(one_that_ignores_them_is_killed)
{
    int ends[2], place = 6;
    char byte;
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    weft_future *f = weft_process_start(hang_stubborn, &place, sizeof place,
                                        .fds = &ends[1], .fd_count = 1);
    ck_assert_int_eq(read(ends[0], &byte, 1), 1);
    ck_assert_int_eq(weft_process_stop(f, 0, 0.05), 0);
    expect_text(f, -WEFT_ECRASHED, "SIGKILL");
}

// A first word need not be the last.
WEFT_TEST(one_that_was_asked_can_be_told_more_urgently)
{
    double never = (double)INFINITY;
    weft_future *f = weft_process_start(hang_on, NULL, 0);
    until_alive(f);
    ck_assert_int_eq(weft_process_stop(f, never, never), 0);
    ck_assert_int_eq(weft_process_stop(f, 0, never), 0);
    expect_text(f, -WEFT_ECRASHED, "SIGTERM");
}

static int told;

static void tell(int sig)
{
    (void)sig;
    if (write(told, "t", 1) != 1)
        _exit(9);
}

// Says on its descriptor that it is there, and that it has got SIGTERM.
static int hang_deaf(void *arg)
{
    told = *(int *)arg;
    signal(SIGTERM, tell);
    if (write(told, "x", 1) != 1)
        return -EIO;
    return hang_on(arg);
}

// One that SIGTERM has reached and that shall never be killed.
static weft_future *start_deaf(double grace)
{
    int ends[2], place = 6;
    char byte;
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    weft_future *f =
        weft_process_start(hang_deaf, &place, sizeof place, .fds = &ends[1],
                           .fd_count = 1, .grace = grace);
    close(ends[1]);
    until_alive(f); // one that is just starting is killed by a stop
    ck_assert_int_eq(read(ends[0], &byte, 1), 1);
    ck_assert_int_eq(weft_process_stop(f, 0, (double)INFINITY), 0);
    ck_assert_int_eq(read(ends[0], &byte, 1), 1);
    ck_assert_int_eq(byte, 't');
    return f;
}

WEFT_TEST(one_that_was_to_live_can_be_killed)
{
    weft_future *f = start_deaf(0);
    ck_assert_int_eq(weft_process_stop(f, -1, -(double)INFINITY), 0);
    expect_text(f, -WEFT_ECRASHED, "SIGKILL");
}

WEFT_TEST(a_cancel_has_its_grace_after_a_stop_too)
{
    weft_future *f = start_deaf(0.05);
    ck_assert_int_eq(weft_cancel(f), 0);
    expect_text(f, -WEFT_EJOBCANCELED, "SIGKILL");
}

WEFT_TEST(interrupt_is_what_the_keyboard_does)
{
    weft_future *f = weft_process_start(hang_on, NULL, 0);
    until_alive(f);
    ck_assert_int_eq(weft_process_interrupt(f), 0);
    expect_text(f, -WEFT_ECRASHED, "signal 2");
}

WEFT_TEST_MAIN("process options")
