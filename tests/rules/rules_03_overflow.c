// SPDX-License-Identifier: MIT
// Rule 3, for a stack that is used up: the message names who ran on it, its
// size, and what makes it larger, on every kind of stack.
#define WEFT_TEST_ENTRY() weft_main_hook()
#include "kit.h"

#include <sys/resource.h>

#define NAMES_AND_HINTS(fn, ...)                                               \
    overflows(fn, (const char *const[]){__VA_ARGS__, NULL})

__attribute__((noinline)) static int deep(int depth)
{
    volatile char here[512];
    here[depth % 512] = 1;
    __asm__ volatile("" : : "r"(here) : "memory"); // makes the array real
    return depth > 0 ? deep(depth - 1) + here[0] : 0;
}

static int deepest(void *arg)
{
    (void)arg;
    return deep(1 << 30);
}

WEFT_JOB(int, deep_job, int, depth)
{
    return deep(depth);
}

static void overflows(void (*fn)(void), const char *const words[])
{
    char said[4096];
    if (KIT_SANITIZED)
        weft_test_skip("a sanitizer tells overflows itself");
    int status = kit_child(fn, said, sizeof said);
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV,
                  "wait status 0x%x, said: %s", status, said);
    for (size_t i = 0; words[i] != NULL; i++)
        ck_assert_msg(strstr(said, words[i]), "no \"%s\" in: %s", words[i],
                      said);
}

static void small_main_stack(void)
{
    struct rlimit limit = {1 << 20, RLIM_INFINITY};
    ck_assert_int_eq(setrlimit(RLIMIT_STACK, &limit), 0);
}

static void in_a_run(void)
{
    small_main_stack();
    weft_run(deepest, NULL);
}

WEFT_TEST(in_the_main_task, .timeout = 20)
{
    NAMES_AND_HINTS(in_a_run, "stack overflow in task \"main\"", "1024 KiB",
                    "ulimit -s");
}

static void in_a_thread(void)
{
    weft_join(weft_thread_start(deepest, NULL, .name = "io",
                                .stack_size = 256 << 10));
}

WEFT_TEST(in_a_thread_of_its_own, .timeout = 20)
{
    NAMES_AND_HINTS(in_a_thread, "stack overflow in thread \"io\" (id ",
                    "256 KiB", ".stack_size");
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int run_inside(void *arg)
{
    weft_run(nothing, arg);
    return deepest(arg);
}

static void after_a_run(void)
{
    weft_join(weft_thread_start(run_inside, NULL, .name = "io",
                                .stack_size = 256 << 10));
}

WEFT_TEST(in_a_thread_that_had_a_run, .timeout = 20)
{
    NAMES_AND_HINTS(after_a_run, "stack overflow in thread \"io\" (id ");
}

static void in_a_blocking_pool(void)
{
    weft_executor *ex = weft_thread_pool(.workers = 1, .blocking = true,
                                         .stack_size = 256 << 10);
    weft_join(weft_submit(ex, deep_job, 1 << 30));
}

WEFT_TEST(in_a_job_with_a_thread, .timeout = 20)
{
    NAMES_AND_HINTS(in_a_blocking_pool, "stack overflow in job \"deep_job\"",
                    "256 KiB", ".stack_size");
}

static void in_a_pool(void)
{
    weft_executor *ex = weft_thread_pool(.workers = 1, .stack_size = 64 << 10);
    weft_join(weft_submit(ex, deep_job, 1 << 30));
}

WEFT_TEST(in_a_job, .timeout = 20)
{
    NAMES_AND_HINTS(in_a_pool, "stack overflow in job \"deep_job\"", "64 KiB",
                    "its run or pool", ".stack_size");
}

// A process of its own --------------------------------------------------------

static void tells(weft_future *f)
{
    ck_assert_int_eq(weft_get_into(f, NULL, 0), -WEFT_ECRASHED);
    const char *text = weft_future_text(f);
    const char *const words[] = {"SIGSEGV", "1024 KiB", "is used up",
                                 "RLIMIT_STACK", "ulimit -s"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        ck_assert_msg(strstr(text, words[i]), "no \"%s\" in: %s", words[i],
                      text);
    weft_future_unref(f);
}

static const struct weft_limit small[] = {{RLIMIT_STACK, 1 << 20, 1 << 20}};

WEFT_TEST(in_a_process, .timeout = 20)
{
    if (KIT_SANITIZED)
        weft_test_skip("a sanitizer tells overflows itself");
    tells(weft_process_start(deepest, NULL, 0, .limits = small,
                             .limit_count = 1));
}

WEFT_TEST(in_a_worker_process, .timeout = 20)
{
    if (KIT_SANITIZED)
        weft_test_skip("a sanitizer tells overflows itself");
    const struct weft_process_options like = {
        .size = sizeof like, .limits = small, .limit_count = 1};
    weft_executor *ex = weft_process_pool(.workers = 1, .process = &like);
    tells(weft_submit(ex, deep_job, 1 << 30));
    weft_executor_close(ex);
}

WEFT_TEST_MAIN("rules.03_overflow")
