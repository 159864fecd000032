// SPDX-License-Identifier: MIT
// Rule 3: >= 0 or a negative code; Weft's own below -4096 and never a multiple
// of 256; one table makes enum, name and text; nothing through errno, which
// is saved around every park; programming errors abort and say where.
#include "kit.h"

#include <stdio.h>
#include <sys/socket.h>

// Codes -----------------------------------------------------------------------

static const struct {
    const char *name, *text;
    int code;
} table[] = {
#define ROW(name, number, text) {#name, text, number},
    WEFT_ERRORS(ROW)
#undef ROW
};
#define ROWS (sizeof table / sizeof *table)

WEFT_TEST(own_codes_are_no_status_zero)
{
    for (size_t i = 0; i < ROWS; i++) {
        ck_assert_int_gt(table[i].code, 4096);
        ck_assert_int_ne(table[i].code % 256, 0);
        for (size_t k = 0; k < i; k++)
            ck_assert_int_ne(table[i].code, table[k].code);
    }
}

WEFT_TEST(every_code_has_its_name_and_text_with_either_sign)
{
    for (size_t i = 0; i < ROWS; i++)
        for (int sign = -1; sign <= 1; sign += 2) {
            int code = sign * table[i].code;
            ck_assert_str_eq(weft_error_name(code), table[i].name);
            ck_assert_str_eq(weft_strerror(code), table[i].text);
        }
}

WEFT_TEST(codes_of_the_system_have_names_and_texts_too)
{
    ck_assert_str_eq(weft_error_name(-EINVAL), "EINVAL");
    ck_assert_str_eq(weft_error_name(EAGAIN), "EAGAIN");
    ck_assert_str_eq(weft_error_name(-ECANCELED), "ECANCELED");
    ck_assert_str_eq(weft_error_name(-ETIMEDOUT), "ETIMEDOUT");
    ck_assert_str_eq(weft_error_name(0), "OK");
    ck_assert_str_eq(weft_strerror(0), "success");
    ck_assert_uint_gt(strlen(weft_strerror(-ENOENT)), 0);
    for (int code = -6000; code < 6000; code++) {
        ck_assert_ptr_nonnull(weft_strerror(code));
        ck_assert_ptr_nonnull(weft_error_name(code));
    }
    ck_assert_str_eq(weft_error_name(-ENAMETOOLONG), "ENAMETOOLONG");
    ck_assert_str_eq(weft_error_name(-EROFS), "EROFS");
    ck_assert_str_eq(weft_error_name(-3999), "E?");
    ck_assert_str_eq(weft_error_name(-5999), "E?");
    ck_assert_ptr_nonnull(weft_strerror(INT32_MIN));
}

// A program whose main returns a code never says 0 for a failure.
static void return_last_code(void)
{
    exit(-WEFT_EPROTO);
}

WEFT_TEST(a_code_returned_from_main_is_a_failure)
{
    char text[100];
    int status = kit_child(return_last_code, text, sizeof text);

    ck_assert(WIFEXITED(status));
    ck_assert_int_ne(WEXITSTATUS(status), 0);
}

// errno -----------------------------------------------------------------------

static int pipe_fds[2];
static weft_executor *ex;
static struct kit_gate closed;

WEFT_JOB(long, fail_some, long, x)
{
    errno = 99;
    if (x % 2)
        weft_fail(-EIO, "odd");
    return x;
}

static int spoil_errno(void *arg)
{
    errno = 98;
    return kit_return(arg);
}

static void start_and_join(void)
{
    weft_join(weft_task_start(spoil_errno, NULL));
    weft_join(weft_task_start(spoil_errno, kit_number(-EIO)));
}

static void start_and_join_thread(void)
{
    weft_join(weft_thread_start(spoil_errno, NULL));
}

static void fail_to_start(void)
{
    unsigned cpu = 1000000;
    weft_join(
        weft_thread_start(spoil_errno, NULL, .cpus = &cpu, .cpu_count = 1));
}

static void sleep_and_yield(void)
{
    weft_sleep(0.0001);
    weft_yield();
    weft_park(0.0001);
    weft_check();
    weft_now();
}

static void time_out(void)
{
    WEFT_TIMEOUT(0.0001);
    weft_sleep(1);
    kit_gate_wait(&closed);
}

static void submit_and_map(void)
{
    long in[10] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, out[10], one;
    weft_result(weft_submit(ex, fail_some, 2), &one);
    weft_join(weft_submit(ex, fail_some, 3));
    weft_map(ex, fail_some, in, 10, out);
}

static void open_and_close_pool(void)
{
    weft_executor_close(weft_thread_pool(.workers = 2));
}

static void groups_and_cancel(void)
{
    weft_group *g = weft_group_open();
    weft_future *f = weft_task_start(kit_block, NULL);
    weft_group_cancel(g);
    weft_group_close(g);
    weft_join(f);
}

static void pipes(void)
{
    char c;
    weft_write(pipe_fds[1], "x", 1);
    weft_read(pipe_fds[0], &c, 1);
    weft_fd_wait(pipe_fds[1], WEFT_WRITABLE);
    WEFT_TIMEOUT(0.0001);
    weft_read(pipe_fds[0], &c, 1);
}

static void bad_descriptors(void)
{
    char c;
    weft_read(-1, &c, 1);
    weft_write(pipe_fds[0], &c, 1);
    weft_fd_wait(999, WEFT_READABLE);
    weft_close(999);
}

static void sets(void)
{
    weft_future *set[] = {closed.future, weft_task_start(spoil_errno, NULL)};
    weft_wait(set, 2, WEFT_FIRST_COMPLETED, INFINITY);
    weft_wait(set, 2, WEFT_ALL_COMPLETED, 0.0001);
    weft_join(set[1]);
    weft_future_unref(weft_future_open(UINT64_MAX - 5));
}

static void a_run(void)
{
    weft_run(spoil_errno, NULL, .workers = 2);
}

static const struct {
    const char *name;
    void (*call)(void);
} calls[] = {
    {"start and join", start_and_join},
    {"threads", start_and_join_thread},
    {"a failed start", fail_to_start},
    {"sleep, yield, park", sleep_and_yield},
    {"timeouts", time_out},
    {"submit and map", submit_and_map},
    {"a pool", open_and_close_pool},
    {"groups", groups_and_cancel},
    {"pipes", pipes},
    {"bad descriptors", bad_descriptors},
    {"sets", sets},
    {"a run", a_run},
};

static void open_things(void)
{
    ck_assert_int_eq(pipe(pipe_fds), 0);
    ex = weft_thread_pool(.workers = 2);
    closed = kit_gate_new();
    signal(SIGPIPE, SIG_IGN);
}

// Calls each, and names those after which errno was another.
static void call_all(char *names, size_t size)
{
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        errno = 4321;
        calls[i].call();
        int now = errno;
        size_t have = strlen(names);
        if (now != 4321)
            snprintf(names + have, size - have, "; after %s: %d", calls[i].name,
                     now);
    }
}

// The first call of each kind, which makes things, and the ones that follow.
KIT_BOTH(no_call_touches_errno, .timeout = 20)
{
    char names[2000] = "";

    open_things();
    for (int round = 0; round < 3; round++)
        call_all(names, sizeof names);
    ck_assert_msg(names[0] == '\0', "errno was touched%s", names);
    kit_assert_code(weft_executor_close(ex), 0);
    kit_gate_free(&closed);
}

static int own_errno(void *arg)
{
    int mine = (int)(intptr_t)arg;

    for (int i = 0; i < 20; i++) {
        errno = mine + i;
        if (i % 3 == 0)
            weft_yield();
        else if (i % 3 == 1)
            weft_sleep(0.0001);
        else
            weft_park(0.0001);
        int now = errno;
        ck_assert_int_eq(now, mine + i);
    }
    return 0;
}

KIT_BOTH(each_task_has_its_own_errno)
{
    weft_future *fs[50];

    for (int i = 0; i < 50; i++)
        fs[i] = weft_task_start(own_errno, kit_number(1000 + 100 * i));
    kit_assert_code(weft_gather_into(fs, 50, NULL, 0, NULL), 0);
}

// A negative code is what errno would have been.
KIT_BOTH(the_codes_of_descriptors_are_those_of_the_system)
{
    int ends[2], pair[2];
    char c = 'x';

    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    signal(SIGPIPE, SIG_IGN);
    kit_assert_code(weft_read(-1, &c, 1), -EBADF);
    kit_assert_code(weft_read(ends[1], &c, 1), -EBADF);
    kit_assert_code(weft_write(ends[0], &c, 1), -EBADF);
    kit_assert_code(weft_close(999), -EBADF);
    kit_assert_code(weft_close(pair[1]), 0);
    kit_assert_code(weft_write(pair[0], &c, 1), -EPIPE);
    kit_assert_code(weft_read(pair[0], &c, 1), 0);
}

// As accept4(2): it says so at once, and does not wait.
KIT_BOTH(accept_on_what_does_not_listen_is_einval)
{
    int pair[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    kit_assert_code(weft_accept(pair[0], NULL, NULL), -EINVAL);
}

KIT_BOTH(accept_on_what_is_no_socket_is_enotsock)
{
    int ends[2];

    ck_assert_int_eq(pipe(ends), 0);
    kit_assert_code(weft_accept(ends[0], NULL, NULL), -ENOTSOCK);
}

// Programming errors ----------------------------------------------------------

static void join_null(void)
{
    weft_join(NULL);
}

static int join_twice_inside(void *arg)
{
    weft_future *f = weft_task_start(kit_return, kit_number(0));
    (void)arg;
    weft_join(f);
    return weft_join(f);
}

static void join_twice(void)
{
    weft_run(join_twice_inside, NULL);
}

// One whose only reference was given back.
static weft_future *stale_handle(void)
{
    weft_self(); // or the thread's own record would be that one, used again
    weft_promise *p = weft_promise_new();
    weft_future *f = weft_promise_future(p);
    weft_promise_keep(p, 0, NULL, 0, NULL);
    weft_future_unref(f);
    return f;
}

static void unref_twice(void)
{
    weft_future_unref(stale_handle());
}

static void cancel_stale(void)
{
    weft_cancel(stale_handle());
}

static void ask_stale(void)
{
    weft_done(stale_handle());
}

// A future is still waited for when its promise is kept a second time.
static void keep_twice(void)
{
    weft_promise *p = weft_promise_new();
    weft_future *f = weft_promise_future(p);
    weft_promise_keep(p, 0, NULL, 0, NULL);
    weft_promise_keep(p, 0, NULL, 0, NULL);
    weft_join(f);
}

static void drop_what_was_kept(void)
{
    weft_promise *p = weft_promise_new();
    weft_promise_keep(p, 0, NULL, 0, NULL);
    weft_promise_drop(p);
}

static void code_of_stale(void)
{
    weft_future_code(stale_handle());
}

static void text_of_stale(void)
{
    weft_future_text(stale_handle());
}

static void id_of_stale(void)
{
    weft_future_id(stale_handle());
}

static void native_id_of_stale(void)
{
    weft_future_native_id(stale_handle());
}

static void never(weft_future *f, void *arg)
{
    (void)f;
    (void)arg;
}

static void hear_of_stale(void)
{
    weft_future_on_done(stale_handle(), never, NULL);
}

static void wait_for_stale(void)
{
    weft_future *f = stale_handle();
    weft_wait(&f, 1, WEFT_ALL_COMPLETED, INFINITY);
}

static void gather_stale(void)
{
    weft_future *f = stale_handle();
    weft_gather_into(&f, 1, NULL, 0, NULL);
}

static void go_through_stale(void)
{
    weft_future *f = stale_handle();
    weft_as_completed_close(weft_as_completed_open(&f, 1));
}

static void add_stale(void)
{
    weft_as_completed *it = weft_as_completed_open(NULL, 0);
    weft_as_completed_add(it, stale_handle());
}

static void select_stale(void)
{
    struct weft_case cases[] = {WEFT_CASE_FUTURE(stale_handle())};
    weft_select(cases, 1, .nowait = true);
}

WEFT_JOB(unsigned long, length_of, struct weft_bytes, b)
{
    return b.len;
}

static void submit_no_bytes_to(weft_executor *ex)
{
    weft_submit(ex, length_of, .len = 10);
}

static void submit_no_bytes(void)
{
    submit_no_bytes_to(weft_thread_pool(.workers = 1));
}

static void send_no_bytes(void)
{
    submit_no_bytes_to(weft_process_pool(.workers = 1));
}

static void start_null(void)
{
    weft_task_start(NULL, NULL);
}

static void run_null(void)
{
    weft_run(NULL, NULL);
}

static void leave_in_wrong_order(void)
{
    struct weft_scope outer, inner;
    weft_timeout_enter(&outer, 1);
    weft_timeout_enter(&inner, 1);
    weft_scope_leave(&outer);
}

static int leave_scope_open(void *arg)
{
    static struct weft_scope scope;
    (void)arg;
    weft_timeout_enter(&scope, 60);
    return 0;
}

static void end_in_a_scope(void)
{
    weft_run(leave_scope_open, NULL);
}

static int close_group(void *arg)
{
    return weft_group_close(arg);
}

static void close_from_elsewhere(void)
{
    weft_join(weft_thread_start(close_group, weft_group_open()));
}

static weft_executor *own_pool;
WEFT_JOB(int, close_own, int, unused)
{
    (void)unused;
    return weft_executor_close(own_pool);
}

static void close_by_own_job(void)
{
    own_pool = weft_thread_pool(.workers = 1);
    weft_join(weft_submit(own_pool, close_own, 0));
}

static void set_without_a_name(void)
{
    weft_dict_set(weft_manager_store(), NULL, "key", "value", 5);
}

static int leave_blocking(void *arg)
{
    (void)arg;
    weft_blocking_begin();
    return 0;
}

static void leave_a_region(void)
{
    weft_run(leave_blocking, NULL);
}

WEFT_TEST(programming_errors_abort_and_say_where)
{
    kit_assert_aborts(close_by_own_job, "weft_executor_close");
    kit_assert_aborts(set_without_a_name, "weft_dict_set");
    kit_assert_aborts(leave_a_region, "weft: weft_blocking_begin");
    kit_assert_aborts(join_null, "weft_join");
    kit_assert_aborts(join_twice, "weft_join");
    kit_assert_aborts(unref_twice, "weft_future_unref");
    kit_assert_aborts(cancel_stale, "weft_cancel");
    kit_assert_aborts(ask_stale, "weft_done");
    kit_assert_aborts(code_of_stale, "weft_future_code");
    kit_assert_aborts(text_of_stale, "weft_future_text");
    kit_assert_aborts(id_of_stale, "weft_future_id");
    kit_assert_aborts(native_id_of_stale, "weft_future_native_id");
    kit_assert_aborts(hear_of_stale, "weft_future_on_done");
    kit_assert_aborts(wait_for_stale, "weft_wait");
    kit_assert_aborts(gather_stale, "weft_gather");
    kit_assert_aborts(go_through_stale, "weft_as_completed_open");
    kit_assert_aborts(add_stale, "weft_as_completed_add");
    kit_assert_aborts(select_stale, "weft_select");
    kit_assert_aborts(keep_twice, "weft_promise_keep");
    kit_assert_aborts(drop_what_was_kept, "weft_promise_drop");
    kit_assert_aborts(submit_no_bytes, "weft_submit");
    kit_assert_aborts(send_no_bytes, "weft_submit");
    kit_assert_aborts(start_null, "weft_task_start");
    kit_assert_aborts(run_null, "weft_run");
    kit_assert_aborts(leave_in_wrong_order, "weft_scope_leave");
    kit_assert_aborts(end_in_a_scope, "weft");
    kit_assert_aborts(close_from_elsewhere, "weft: weft_group_close");
}

WEFT_TEST_MAIN("rule 3")
