// SPDX-License-Identifier: MIT
// Rule 3: what went wrong is told in words that lead to its cause: which
// object, which number, which limit.
#define WEFT_TEST_ENTRY() weft_main_hook()
#include "kit.h"

#include <sys/resource.h>

WEFT_JOB(long, square, long, x)
{
    return x * x;
}

WEFT_JOB(int, length, struct weft_text, text)
{
    return (int)strlen(text.s);
}

WEFT_JOB(struct weft_text, unended, int, letter)
{
    struct weft_text text;
    memset(&text, letter, sizeof text);
    return text;
}

static void says(const char *text, const char *word)
{
    ck_assert_msg(strstr(text, word), "no \"%s\" in: %s", word, text);
}

// f has failed with this code, and its text has the words.
static void failed(weft_future *f, int code, const char *word,
                   const char *second)
{
    ck_assert_int_eq(weft_get_into(f, NULL, 0), code);
    says(weft_future_text(f), word);
    says(weft_future_text(f), second);
    weft_future_unref(f);
}

WEFT_TEST(a_promise_that_was_dropped_is_named)
{
    weft_promise *p = weft_promise_new(.name = "answer");
    weft_future *f = weft_promise_future(p);
    weft_promise_drop(p);
    failed(f, -WEFT_EABANDONED, "promise \"answer\"", "dropped");
}

static int leaves_a_group(void *arg)
{
    (void)arg;
    weft_group_open();
    return 0;
}

static void leave_in_run(void)
{
    weft_run(leaves_a_group, NULL);
}

static void leave_in_task(void)
{
    weft_join(weft_task_start(leaves_a_group, NULL, .name = "parse"));
}

static void leave_in_thread(void)
{
    weft_join(weft_thread_start(leaves_a_group, NULL, .name = ""));
}

WEFT_TEST(a_scope_that_is_left_open_names_task_and_function)
{
    kit_assert_aborts(leave_in_run,
                      "weft: task \"main\" (id 1), function rules_03_");
    kit_assert_aborts(leave_in_task, "weft: task \"parse\" (id ");
    kit_assert_aborts(leave_in_thread, "weft: thread (id ");
}

static void ask_for_another_size(void)
{
    int small;
    weft_executor *ex = weft_thread_pool(.workers = 1);
    if (weft_result(weft_submit(ex, square, 3), &small) == -WEFT_ETYPE)
        abort();
}

WEFT_TEST(both_sizes_are_told)
{
    kit_assert_aborts(ask_for_another_size,
                      "weft: the result of job \"square\" (id ");
    kit_assert_aborts(ask_for_another_size,
                      "has 8 bytes, and 4 were asked for");
}

WEFT_TEST(a_descriptor_that_is_not_open_is_named)
{
    failed(weft_process_start(leaves_a_group, NULL, 0, .out = 777), -EBADF,
           ".out = 777", "open");
    failed(weft_process_start(leaves_a_group, NULL, 0, .in = WEFT_DEV_CAPTURE),
           -EBADF, ".in = -2", "open");
    failed(weft_process_start(leaves_a_group, NULL, 0, .err = WEFT_DEV_OUT,
                              .fds = (int[]){1, 778}, .fd_count = 2),
           -EBADF, ".fds[1] = 778", "open");
}

WEFT_TEST(a_limit_of_descriptors_is_named)
{
    struct rlimit limit = {16, 16};
    if (KIT_SANITIZED)
        weft_test_skip("a sanitizer opens files of its own");
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    while (dup(1) >= 0) {
    }
    failed(weft_process_start(leaves_a_group, NULL, 0), -EMFILE, "ulimit -n",
           "the 16 ");
    says(weft_strerror(-EMFILE), "ulimit -n");
}

WEFT_TEST(a_stack_that_cannot_be_had_is_told_with_its_size)
{
    if (KIT_SANITIZED)
        weft_test_skip("a sanitizer needs the address space");
    struct rlimit limit = {256 << 20, 256 << 20};
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
    failed(weft_thread_start(leaves_a_group, NULL, .stack_size = 1 << 30),
           -EAGAIN, "1048576 KiB", "ulimit -u");
}

// A text without its end ------------------------------------------------------

static void cuts_the_last(weft_executor *ex)
{
    struct weft_text text;
    int n = 0;
    memset(&text, 'x', sizeof text);
    ck_assert_int_eq(weft_result(weft_submit_struct(ex, length, text), &n), 0);
    ck_assert_int_eq(n, WEFT_TEXT_SIZE - 1);
    ck_assert_int_eq(weft_result(weft_submit(ex, unended, 'x'), &text), 0);
    ck_assert_int_eq(strnlen(text.s, sizeof text.s), WEFT_TEXT_SIZE - 1);
    weft_executor_close(ex);
}

WEFT_TEST(a_text_without_nul_is_cut_alike_in_every_pool)
{
    cuts_the_last(weft_thread_pool(.workers = 1));
    cuts_the_last(weft_thread_pool(.workers = 1, .blocking = true));
    cuts_the_last(weft_process_pool(.workers = 1));
}

// Limits that are over --------------------------------------------------------

WEFT_JOB(int, sleeper, int, seconds)
{
    int rc = weft_sleep(seconds);
    if (rc < 0)
        weft_fail(rc, "woken early");
    return rc;
}

static void closes_at_once(weft_executor *ex)
{
    weft_future *f = weft_submit(ex, sleeper, 1000);
    ck_assert_int_eq(weft_executor_close(ex, .deadline = -1), -ETIMEDOUT);
    ck_assert_int_eq(weft_join(f), -WEFT_EJOBCANCELED);
}

WEFT_TEST(a_close_with_a_negative_limit_waits_for_nothing, .timeout = 20)
{
    closes_at_once(weft_thread_pool(.workers = 1));
    closes_at_once(weft_thread_pool(.workers = 1, .blocking = true));
    closes_at_once(weft_process_pool(.workers = 1));
}

// A child of fork -------------------------------------------------------------

static struct weft_lock held, other;

static int hold_other(void *arg)
{
    int rc = weft_lock_acquire(&other);
    weft_event_set(arg);
    return rc < 0 ? rc : weft_sleep(INFINITY);
}

static void look_in_child(void)
{
    struct weft_event has = {0};
    weft_thread_start(hold_other, &has);
    if (weft_lock_acquire(&held) < 0 || weft_event_wait(&has) < 0)
        _exit(2);
    pid_t pid = fork();
    if (pid == 0)
        _exit(weft_lock_acquire(&held) == -WEFT_EDEADLOCK &&
                      weft_lock_acquire(&other) == -WEFT_EFORKED
                  ? 0
                  : 1);
    int status = -1;
    waitpid(pid, &status, 0);
    if (status == 0)
        abort();
}

WEFT_TEST(a_lock_in_a_child_is_held_or_lost)
{
    if (KIT_TSAN)
        weft_test_skip("TSan does not know a child of threads");
    kit_assert_aborts(look_in_child, "");
}

WEFT_TEST_MAIN("rules.03_texts")
