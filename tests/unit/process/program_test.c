// SPDX-License-Identifier: MIT
// Programs that are not Weft's.
#include "jobs.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define END                                                                    \
    (struct weft_program_end)                                                  \
    {                                                                          \
        .size = sizeof(struct weft_program_end)                                \
    }

#define SH(text) WEFT_ARGV("sh", "-c", text)

WEFT_TEST(the_exit_status_is_the_code)
{
    struct weft_program_end end = END;
    ck_assert_int_eq(weft_program_run(SH("exit 0"), NULL), 0);
    ck_assert_int_eq(weft_program_run(SH("exit 7"), &end), 7);
    ck_assert_int_eq(end.exit_code, 7);
    ck_assert_int_eq(end.signal, 0);
    ck_assert_int_gt(end.pid, 0);
    ck_assert_uint_gt(end.max_rss, 0);
    ck_assert_ptr_null(end.out.data);
    ck_assert_int_eq(
        weft_program_run(WEFT_ARGV("/bin/sh", "-c", "exit 255"), &end), 255);
    ck_assert_int_eq(weft_join(weft_program_start(SH("exit 3"))), 3);
}

WEFT_TEST(what_it_writes)
{
    struct weft_program_end end = END;
    int rc = weft_program_run(SH("echo \"$1\"; echo no >&2; exit 1"), &end,
                              .out = WEFT_DEV_CAPTURE, .err = WEFT_DEV_CAPTURE);
    ck_assert_int_eq(rc, 1);
    ck_assert_str_eq(end.out.data, "\n");
    ck_assert_str_eq(end.err.data, "no\n");
    weft_program_end_free(&end);
    rc = weft_program_run(WEFT_ARGV("printf", "%s,%s", "a b", ""), &end,
                          .out = WEFT_DEV_CAPTURE);
    ck_assert_int_eq(rc, 0);
    ck_assert_str_eq(end.out.data, "a b,");
    ck_assert_uint_eq(end.out.len, 4);
    ck_assert_ptr_null(end.err.data);
    weft_program_end_free(&end);
    rc = weft_program_run(SH("seq 100000"), &end, .out = WEFT_DEV_CAPTURE,
                          .capture = 7);
    ck_assert_int_eq(rc, 0);
    ck_assert_str_eq(end.out.data, "100000\n");
    ck_assert_uint_eq(end.out_lost, 588895 - 7);
    weft_program_end_free(&end);
}

WEFT_TEST(a_signal_is_a_crash)
{
    struct weft_program_end end = END;
    ck_assert_int_eq(weft_program_run(SH("kill -9 $$"), &end), -WEFT_ECRASHED);
    ck_assert_int_eq(end.signal, SIGKILL);
    ck_assert_int_eq(end.exit_code, -1);
    ck_assert_ptr_nonnull(strstr(end.text, "sh: "));
    ck_assert_ptr_nonnull(strstr(end.text, "signal 9"));
}

static void check_refused(const char *path, int code)
{
    struct weft_program_end end = END;
    ck_assert_int_eq(weft_program_run(WEFT_ARGV(path), &end), code);
    ck_assert_int_eq(end.exit_code == 0, 0);
    ck_assert_msg(strstr(end.text, "cannot begin") != NULL, "%s", end.text);
    ck_assert_msg(strstr(end.text, path) != NULL, "%s", end.text);
}

WEFT_TEST(what_cannot_be_executed)
{
    char name[] = "/tmp/weft-test-XXXXXX";
    close(mkstemp(name));
    check_refused("no-such-program-here", -ENOENT);
    check_refused("/no/such/program", -ENOENT);
    check_refused(name, -EACCES);
    unlink(name);
    ck_assert_int_eq(weft_program_run(WEFT_ARGV(NULL), NULL), -EINVAL);
    ck_assert_int_eq(weft_program_run(SH("exit"), NULL, .program = "/bin/sh"),
                     -EINVAL);
}

WEFT_TEST(options_of_a_process)
{
    struct weft_program_end end = END;
    int ends[2];
    char text[16], expected[64];
    int nicer = getpriority(PRIO_PROCESS, 0) + 3;
    snprintf(expected, sizeof expected, "/\ny\n%d\n0\n1\n2\n3\n4\n5\n",
             nicer < 19 ? nicer : 19);
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    int rc = weft_program_run(
        SH("pwd; echo $WEFT_WORKER $X; nice; echo fd >&4; ls /proc/self/fd"),
        &end, .cwd = "/", .env = WEFT_ARGV("X=y", "PATH=/usr/bin:/bin"),
        .nice = 3, .fds = (int[]){0, ends[1]}, .fd_count = 2,
        .out = WEFT_DEV_CAPTURE);
    ck_assert_int_eq(rc, 0);
    // The last one is that of the folder that is listed.
    ck_assert_str_eq(end.out.data, expected);
    ck_assert_int_eq(read(ends[0], text, sizeof text), 3);
    weft_program_end_free(&end);
    rc = weft_program_run(SH("exit 4"), NULL, .start = WEFT_START_ZYGOTE);
    ck_assert_int_eq(rc, 4);
    rc = weft_program_run(SH("exit 5"), NULL, .start = WEFT_START_FORK_ANYWAY);
    ck_assert_int_eq(rc, 5);
}

static bool is_alive(pid_t pid)
{
    return kill(pid, 0) == 0;
}

WEFT_TEST(a_wait_that_ends_ends_the_program)
{
    struct weft_program_end end = END;
    pid_t pid = 0;
    weft_future *f = weft_program_start(SH("sleep 100; exit 1"));
    while (pid == 0)
        pid = weft_future_native_id(f);
    weft_cancel(f);
    expect(f, -WEFT_EJOBCANCELED);
    ck_assert(!is_alive(pid));
    while (is_alive(-pid)) // its group: the program that the shell has run
        weft_yield();
    {
        WEFT_TIMEOUT(0.05);
        ck_assert_int_eq(weft_program_run(WEFT_ARGV("sleep", "100"), &end),
                         -ETIMEDOUT);
    }
    ck_assert_uint_eq(weft_process_children(NULL, 0), 0);
    ck_assert_int_eq(end.exit_code, -1);
    ck_assert_int_eq(end.signal, SIGTERM);
}

struct canceled_run {
    struct weft_program_end end;
    int code;
};

static int run_canceled(void *arg)
{
    struct canceled_run *r = arg;
    r->end = END;
    r->code = weft_program_run(
        SH("trap 'echo last; exit 3' TERM; echo first; kill -INT $PPID; "
           "while :; do sleep 0.01; done"),
        &r->end, .out = WEFT_DEV_CAPTURE);
    return 0;
}

// What it has written is there, its last words too.
WEFT_TEST(what_it_wrote_before_the_wait_ended)
{
    struct canceled_run r = {0};
    weft_signals *told = weft_signals_open((int[]){SIGINT}, 1);
    weft_future *f = weft_thread_start(run_canceled, &r);
    ck_assert_int_eq(weft_signals_wait(told), SIGINT);
    weft_cancel(f);
    expect(f, 0);
    ck_assert_int_eq(r.code, -ECANCELED);
    ck_assert_int_eq(r.end.exit_code, 3);
    ck_assert_str_eq(r.end.out.data, "first\nlast\n");
    weft_program_end_free(&r.end);
    weft_signals_close(told);
}

WEFT_TEST_MAIN("programs")
