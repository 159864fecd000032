// SPDX-License-Identifier: MIT
// What runs: handles, names, numbers, the list of threads, stacks.
#include "kit.h"

#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>

static int check_current(void *arg)
{
    weft_future *f = weft_current();
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(weft_future_id(f), weft_current_id());
    ck_assert(!weft_done(f));
    kit_assert_code(weft_join(f), -WEFT_EDEADLOCK);
    ck_assert_int_eq(weft_native_id(), (pid_t)syscall(SYS_gettid));
    return arg != NULL;
}

KIT_BOTH(what_runs_has_a_handle_on_itself)
{
    ck_assert_ptr_null(weft_current());
    kit_assert_code(weft_join(weft_task_start(check_current, NULL)), 0);
    kit_assert_code(weft_join(weft_thread_start(check_current, NULL)), 0);
}

static int change_name(void *arg)
{
    char name[64], os[64] = "", path[64];
    kit_assert_code(weft_set_current_name("a name of twenty chars"), 0);
    ck_assert_uint_eq(weft_current_name(name, sizeof name), 22);
    ck_assert_str_eq(name, "a name of twenty chars");
    snprintf(path, sizeof path, "/proc/self/task/%d/comm", weft_native_id());
    FILE *file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    ck_assert_ptr_nonnull(fgets(os, sizeof os, file));
    fclose(file);
    if (arg != NULL)
        ck_assert_str_eq(os, "a name of twent\n");
    else
        ck_assert_str_ne(os, "a name of twent\n");
    return 0;
}

KIT_BOTH(names_can_be_changed)
{
    kit_assert_code(weft_join(weft_task_start(change_name, NULL)), 0);
    kit_assert_code(weft_join(weft_thread_start(change_name, kit_number(1))),
                    0);
}

static int start_some(void *arg)
{
    for (int i = 0; i < 10; i++)
        kit_assert_code(weft_join(weft_task_start(kit_return, NULL)), 0);
    return arg != NULL;
}

// Its record was that of a task before.
WEFT_TEST(a_plain_thread_that_was_a_loop_has_no_name)
{
    char name[64] = "?";
    kit_assert_code(weft_run(start_some, NULL), 0);
    ck_assert_uint_eq(weft_current_name(name, sizeof name), 0);
    ck_assert_str_eq(name, "");
}

KIT_BOTH(threads_that_run_are_listed)
{
    struct kit_gate gate = kit_gate_new();
    weft_future *f[3], *list[8];
    ck_assert_uint_eq(weft_thread_list(NULL, 0), 0);
    for (int i = 0; i < 3; i++)
        f[i] = weft_thread_start(kit_wait_at_gate, &gate);
    ck_assert_uint_eq(weft_thread_list(list, 2), 3);
    for (int i = 0; i < 2; i++) {
        ck_assert_ptr_eq(list[i], f[2 - i]);
        weft_future_unref(list[i]);
    }
    kit_gate_open(&gate);
    for (int i = 0; i < 3; i++)
        kit_assert_code(weft_join(f[i]), 0);
    ck_assert_uint_eq(weft_thread_list(list, 8), 0);
    kit_gate_free(&gate);
}

static int __attribute__((noinline)) use_stack(size_t bytes)
{
    volatile char *room = __builtin_alloca(bytes);
    for (size_t i = 0; i < bytes; i += 64)
        room[bytes - 1 - i] = 1;
    return room[bytes / 2 % 64];
}

static int check_high_water(void *arg)
{
    enum { BIG = 100 << 10 };
    (void)arg;
    weft_yield(); // a task of its own stack from here on
    size_t before = weft_stack_high_water();
    ck_assert_uint_gt(before, 0);
    use_stack(BIG);
    size_t after = weft_stack_high_water();
    ck_assert_uint_ge(after, BIG);
    ck_assert_uint_ge(after, before);
    ck_assert_uint_lt(after, 16 << 20);
    return 0;
}

KIT_BOTH(the_high_water_of_a_stack)
{
    kit_assert_code(weft_join(weft_task_start(check_high_water, NULL)), 0);
    kit_assert_code(weft_join(weft_thread_start(check_high_water, NULL,
                                                .stack_size = 1 << 20)),
                    0);
}

// Then the system tells no lower end of the main thread's stack.
WEFT_TEST(the_high_water_without_a_limit)
{
    struct rlimit limit;
    ck_assert_int_eq(getrlimit(RLIMIT_STACK, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    ck_assert_int_eq(setrlimit(RLIMIT_STACK, &limit), 0);
    use_stack(100 << 10);
    size_t bytes = weft_stack_high_water();
    ck_assert_uint_ge(bytes, 100 << 10);
    ck_assert_uint_lt(bytes, 64 << 20);
}

WEFT_TEST_MAIN("current")
