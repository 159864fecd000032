// SPDX-License-Identifier: MIT
// Rule 2: options are keyword arguments over plain functions; their struct
// begins with its size, zero is every default. The plain functions are the
// whole API: the last cases reach them through dlsym alone, as ctypes does.
#include "kit.h"

#include <dlfcn.h>

#define SIZE_FIRST(type)                                                       \
    _Static_assert(offsetof(struct type, size) == 0 &&                         \
                       sizeof((struct type){0}.size) == sizeof(size_t),        \
                   "the size comes first")
SIZE_FIRST(weft_run_options);
SIZE_FIRST(weft_task_options);
SIZE_FIRST(weft_thread_options);
SIZE_FIRST(weft_process_options);
SIZE_FIRST(weft_group_options);
SIZE_FIRST(weft_promise_options);
SIZE_FIRST(weft_thread_pool_options);
SIZE_FIRST(weft_process_pool_options);
SIZE_FIRST(weft_submit_options);
SIZE_FIRST(weft_map_options);
SIZE_FIRST(weft_close_options);
SIZE_FIRST(weft_backend_counters);

WEFT_JOB(long, square, long, x)
{
    return x * x;
}

WEFT_TEST(nothing_named_is_every_default)
{
    long out = 0;
    weft_executor *ex = weft_thread_pool();

    kit_assert_code(weft_run(kit_return, kit_number(1)), 1);
    kit_assert_code(weft_join(weft_task_start(kit_return, kit_number(2))), 2);
    kit_assert_code(weft_join(weft_thread_start(kit_return, kit_number(3))), 3);
    kit_assert_code(weft_result(weft_submit(ex, square, 4), &out), 0);
    ck_assert_int_eq(out, 16);
    kit_assert_code(weft_executor_close(ex), 0);
    weft_promise_drop(weft_promise_new());
    kit_assert_code(weft_group_close(weft_group_open()), 0);
}

WEFT_TEST(a_structure_of_zeros_is_every_default)
{
    struct weft_run_options run = {.size = sizeof run};
    struct weft_task_options task = {.size = sizeof task};
    struct weft_thread_options thread = {.size = sizeof thread};

    kit_assert_code(weft_run_with(kit_return, kit_number(1), &run), 1);
    kit_assert_code(
        weft_join(weft_task_start_with(kit_return, kit_number(2), &task)), 2);
    kit_assert_code(
        weft_join(weft_thread_start_with(kit_return, kit_number(3), &thread)),
        3);
}

static int tell_name(void *arg)
{
    return (int)weft_current_name(arg, 32);
}

WEFT_TEST(keywords_in_any_order)
{
    char name[32];

    kit_assert_code(
        weft_join(weft_task_start(tell_name, name, .drop = kit_count_drop,
                                  .name = "first")),
        5);
    ck_assert_str_eq(name, "first");
    kit_assert_code(
        weft_join(weft_thread_start(tell_name, name, .name = "second",
                                    .stack_size = 1 << 20)),
        6);
    ck_assert_str_eq(name, "second");
    kit_assert_code(weft_run(tell_name, name, .workers = 2, .name = "third"),
                    5);
    ck_assert_str_eq(name, "third");
}

static void abort_drop(void *arg)
{
    (void)arg;
    abort();
}

// A program that was compiled with older headers has a shorter structure:
// what lies behind its end is not read.
WEFT_TEST(a_shorter_task_structure_ends_where_its_size_says)
{
    struct weft_task_options old = {
        .size = offsetof(struct weft_task_options, drop), .drop = abort_drop};
    struct weft_group_options older = {
        .size = offsetof(struct weft_group_options, name),
        .name = (const char *)1};
    weft_group *g = weft_group_open_with(&older);

    weft_group_cancel(g);
    weft_future *f = weft_task_start_with(kit_return, NULL, &old);
    weft_cancel(f);
    weft_group_close(g);
    weft_join(f);
}

WEFT_TEST(a_shorter_thread_structure_ends_where_its_size_says)
{
    struct weft_thread_options old = {
        .size = offsetof(struct weft_thread_options, stack_size),
        .name = "old",
        .stack_size = 1,
        .cpus = (const unsigned *)1,
        .cpu_count = 1,
        .group = (weft_group *)1,
        .drop = abort_drop,
    };

    kit_assert_code(
        weft_join(weft_thread_start_with(kit_return, kit_number(3), &old)), 3);
}

WEFT_TEST(a_shorter_run_structure_ends_where_its_size_says)
{
    struct weft_run_options old = {
        .size = offsetof(struct weft_run_options, workers),
        .workers = 1u << 30,
        .stack_size = SIZE_MAX};

    kit_assert_code(weft_run_with(kit_return, kit_number(3), &old), 3);
}

// The plain functions alone ---------------------------------------------------

static void *library;

#define LOAD(name)                                                             \
    __typeof__(name) *const p_##name =                                         \
        (__typeof__(name) *)dlsym(library, #name);                             \
    ck_assert_msg(p_##name != NULL, "%s is not exported", #name)

static void load(void)
{
    library = dlopen(WEFT_LIBRARY, RTLD_NOW | RTLD_LOCAL);
    ck_assert_msg(library != NULL, "%s", dlerror());
}

static void call_square(const void *in, void *out)
{
    *(long *)out = *(const long *)in * *(const long *)in;
}

WEFT_TEST(tasks_and_threads_through_plain_functions)
{
    struct weft_task_options task = {.size = sizeof task};
    struct weft_thread_options thread = {.size = sizeof thread};
    struct weft_run_options run = {.size = sizeof run};

    load();
    LOAD(weft_run_with);
    LOAD(weft_task_start_with);
    LOAD(weft_thread_start_with);
    LOAD(weft_result_into);
    LOAD(weft_join);
    kit_assert_code(p_weft_run_with(kit_return, kit_number(5), &run), 5);
    kit_assert_code(
        p_weft_join(p_weft_task_start_with(kit_return, kit_number(6), &task)),
        6);
    kit_assert_code(p_weft_result_into(p_weft_thread_start_with(
                                           kit_return, kit_number(7), &thread),
                                       NULL, 0),
                    7);
}

// A job made by hand, as a foreign language makes it.
WEFT_TEST(executors_through_plain_functions)
{
    const struct weft_job job = {.magic = WEFT_JOB_MAGIC,
                                 .name = "foreign square",
                                 .call = call_square,
                                 .arg_size = sizeof(long),
                                 .result_size = sizeof(long)};
    struct weft_thread_pool_options pool = {.size = sizeof pool, .workers = 2};
    struct weft_map_options map = {.size = sizeof map, .chunk = 2};
    struct weft_close_options close = {.size = sizeof close};
    struct weft_bound_executor bound = {.options.size = sizeof bound.options,
                                        .options.deadline = 60};
    long in[5] = {1, 2, 3, 4, 5}, out[5] = {0}, one = 0;

    load();
    LOAD(weft_thread_pool_with);
    LOAD(weft_submit_job);
    LOAD(weft_result_into);
    LOAD(weft_map_job);
    LOAD(weft_executor_bind);
    LOAD(weft_executor_close_with);
    weft_executor *ex = p_weft_thread_pool_with(&pool);
    bound.target = ex;
    weft_future *f = p_weft_submit_job(p_weft_executor_bind(&bound), &job, in);
    kit_assert_code(p_weft_result_into(f, &one, sizeof one), 0);
    ck_assert_int_eq(one, 1);
    kit_assert_code(p_weft_map_job(ex, &job, in, 5, out, &map), 0);
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(out[i], in[i] * in[i]);
    kit_assert_code(p_weft_executor_close_with(ex, &close), 0);
}

WEFT_TEST(promises_through_plain_functions)
{
    struct weft_promise_options promise = {.size = sizeof promise};
    int value = 9, out = 0;

    load();
    LOAD(weft_promise_new_with);
    LOAD(weft_promise_future);
    LOAD(weft_promise_keep);
    LOAD(weft_get_into);
    LOAD(weft_future_unref);
    weft_promise *p = p_weft_promise_new_with(&promise);
    weft_future *f = p_weft_promise_future(p);
    kit_assert_code(p_weft_promise_keep(p, 0, &value, sizeof value, NULL), 0);
    kit_assert_code(p_weft_get_into(f, &out, sizeof out), 0);
    ck_assert_int_eq(out, 9);
    p_weft_future_unref(f);
}

WEFT_TEST(scopes_through_plain_functions)
{
    struct weft_group_options group = {.size = sizeof group};
    struct weft_scope scope;

    load();
    LOAD(weft_timeout_enter);
    LOAD(weft_shield_enter);
    LOAD(weft_scope_leave);
    LOAD(weft_group_open_with);
    LOAD(weft_group_close);
    LOAD(weft_sleep);
    p_weft_timeout_enter(&scope, 0.001);
    kit_assert_code(p_weft_sleep(INFINITY), -ETIMEDOUT);
    p_weft_scope_leave(&scope);
    p_weft_shield_enter(&scope, 60);
    kit_assert_code(p_weft_group_close(p_weft_group_open_with(&group)), 0);
    p_weft_scope_leave(&scope);
}

WEFT_TEST_MAIN("rule 2")
