// SPDX-License-Identifier: MIT
// OS threads as futures.
#include "kit.h"

#include <limits.h>
#include <pthread.h>
#include <stdio.h>

static int run_in(void *arg)
{
    *(pthread_t *)arg = pthread_self();
    return 1;
}

KIT_BOTH(a_thread_is_another_thread)
{
    pthread_t other;

    kit_assert_code(weft_join(weft_thread_start(run_in, &other)), 1);
    ck_assert(!pthread_equal(other, pthread_self()));
}

KIT_BOTH(the_whole_code_comes_back)
{
    static const int codes[] = {
        0, 1, -1, 255, 256, 65536, INT_MAX, -EINVAL, -4095, -5000, INT_MIN + 1};

    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        kit_assert_code(
            weft_join(weft_thread_start(kit_return, kit_number(codes[i]))),
            codes[i]);
}

static int met;

static int meet(void *arg)
{
    int n = (int)(intptr_t)arg;

    kit_count(&met);
    while (kit_load(&met) < n)
        sched_yield();
    return 0;
}

KIT_BOTH(threads_run_at_the_same_time, .timeout = 20)
{
    weft_future *fs[20];

    for (int i = 0; i < 20; i++)
        fs[i] = weft_thread_start(meet, kit_number(20));
    kit_assert_code(weft_gather_into(fs, 20, NULL, 0, NULL), 0);
}

// Options ---------------------------------------------------------------------

static int check_names(void *arg)
{
    char path[100], name[64] = "", own[64];
    FILE *comm;

    snprintf(path, sizeof path, "/proc/self/task/%d/comm", (int)gettid());
    comm = fopen(path, "r");
    ck_assert_ptr_nonnull(comm);
    ck_assert_int_eq(fscanf(comm, "%63[^\n]", name), 1);
    fclose(comm);
    weft_current_name(own, sizeof own);
    ck_assert_int_eq(strncmp(name, arg, 15), 0);
    ck_assert_uint_eq(strlen(name), strlen(arg) < 15 ? strlen(arg) : 15);
    ck_assert_int_eq(strncmp(own, arg, 31), 0);
    return 0;
}

KIT_BOTH(a_thread_has_its_name_in_the_system_too)
{
    char name[] = "reader";

    weft_future *f = weft_thread_start(check_names, "reader", .name = name);
    memset(name, 'x', sizeof name - 1); // it was copied
    kit_assert_code(weft_join(f), 0);
    kit_assert_code(
        weft_join(weft_thread_start(check_names, "a-name-of-more-than-15-bytes",
                                    .name = "a-name-of-more-than-15-bytes")),
        0);
}

static int stack_size(void *arg)
{
    pthread_attr_t attr;
    size_t size = 0;

    ck_assert_int_eq(pthread_getattr_np(pthread_self(), &attr), 0);
    ck_assert_int_eq(pthread_attr_getstacksize(&attr, &size), 0);
    pthread_attr_destroy(&attr);
    *(size_t *)arg = size;
    return 0;
}

KIT_BOTH(a_stack_larger_than_memory_is_refused)
{
    int runs = 0;
    int rc = weft_join(
        weft_thread_start(kit_count, &runs, .stack_size = SIZE_MAX - 1));
    kit_assert_code(rc, -EINVAL);
    ck_assert_int_eq(runs, 0);
}

KIT_BOTH(the_stack_size_is_obeyed)
{
    size_t size = 0;

    kit_assert_code(
        weft_join(weft_thread_start(stack_size, &size, .stack_size = 3000001)),
        0);
    ck_assert_uint_ge(size, 3000001);
    ck_assert_uint_lt(size, 3000001 + 65536 + (KIT_SANITIZED ? 1 << 24 : 0));
}

static int count_cpus(void *arg)
{
    cpu_set_t set;

    ck_assert_int_eq(sched_getaffinity(0, sizeof set, &set), 0);
    *(cpu_set_t *)arg = set;
    return CPU_COUNT(&set);
}

KIT_BOTH(the_cpus_are_obeyed)
{
    cpu_set_t here, there;
    int all = count_cpus(&here);

    for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &here))
            continue;
        kit_assert_code(weft_join(weft_thread_start(
                            count_cpus, &there, .cpus = &cpu, .cpu_count = 1)),
                        1);
        ck_assert(CPU_ISSET(cpu, &there));
    }
    kit_assert_code(weft_join(weft_thread_start(count_cpus, &there)), all);
}

// More than a plain cpu_set_t has; as any other that is not there.
KIT_BOTH(a_large_number_of_a_cpu_is_a_number)
{
    cpu_set_t here;
    unsigned cpus[] = {0, CPU_SETSIZE + 700};

    count_cpus(&here);
    while (!CPU_ISSET(cpus[0], &here))
        cpus[0]++;
    kit_assert_code(weft_join(weft_thread_start(count_cpus, &here, .cpus = cpus,
                                                .cpu_count = 2)),
                    1);
}

KIT_BOTH(a_cpu_that_does_not_exist_is_einval)
{
    unsigned cpu = 1000000;
    int drops = 0;
    weft_future *f = weft_thread_start(kit_never, &drops, .cpus = &cpu,
                                       .cpu_count = 1, .drop = kit_count_drop);

    ck_assert_ptr_nonnull(f);
    kit_assert_code(weft_join(f), -EINVAL);
    ck_assert_int_eq(drops, 1);
}

KIT_BOTH(drop_is_not_called_for_what_ran)
{
    int drops = 0;

    kit_assert_code(weft_join(weft_thread_start(kit_return, kit_number(2),
                                                .drop = kit_count_drop)),
                    2);
    ck_assert_int_eq(drops, 0);
}

// Ids -------------------------------------------------------------------------

struct native {
    struct kit_gate gate;
    int tid;
};

static int tell_tid(void *arg)
{
    struct native *n = arg;

    __atomic_store_n(&n->tid, (int)gettid(), __ATOMIC_SEQ_CST);
    return kit_gate_wait(&n->gate);
}

KIT_BOTH(the_native_id_is_the_kernels)
{
    struct native n = {.gate = kit_gate_new()};
    weft_future *f = weft_thread_start(tell_tid, &n);

    kit_await(&n.tid, 1);
    ck_assert_int_eq(weft_future_native_id(f), n.tid);
    kit_gate_open(&n.gate);
    kit_assert_code(weft_get_into(f, NULL, 0), 0);
    ck_assert_int_eq(weft_future_native_id(f), 0);
    kit_assert_code(weft_join(f), 0);
    kit_gate_free(&n.gate);
}

KIT_BOTH(what_is_no_thread_has_no_native_id)
{
    struct kit_gate gate = kit_gate_new();
    weft_future *f = weft_task_start(kit_wait_at_gate, &gate);

    ck_assert_int_eq(weft_future_native_id(f), 0);
    ck_assert_int_eq(weft_future_native_id(gate.future), 0);
    kit_gate_open(&gate);
    kit_assert_code(weft_join(f), 0);
    kit_gate_free(&gate);
}

WEFT_TEST(the_cpu_count_is_sensible)
{
    cpu_set_t set;
    unsigned n = weft_cpu_count();

    ck_assert_uint_ge(n, 1);
    ck_assert_uint_le(n, (unsigned)count_cpus(&set));
}

WEFT_TEST(the_environment_overrides_the_cpu_count)
{
    setenv("WEFT_NPROC", "7", 1);
    ck_assert_uint_eq(weft_cpu_count(), 7);
}

// Many ------------------------------------------------------------------------

KIT_BOTH(hundreds_of_threads, .timeout = 30)
{
    weft_future *fs[200];
    int runs = 0;

    // A sanitizer starts a thread of its own beside the first one.
    kit_assert_code(weft_join(weft_thread_start(kit_return, NULL)), 0);
    int before = weft_test_count_threads();
    for (int i = 0; i < 200; i++)
        fs[i] = weft_thread_start(kit_count, &runs, .stack_size = 65536);
    kit_assert_code(weft_gather_into(fs, 200, NULL, 0, NULL), 0);
    ck_assert_int_eq(runs, 200);
    weft_test_await_threads(before);
}

static int start_more(void *arg)
{
    int depth = (int)(intptr_t)arg, a, b;

    if (depth == 0)
        return 1;
    weft_future *left = weft_thread_start(start_more, kit_number(depth - 1));
    weft_future *right = weft_thread_start(start_more, kit_number(depth - 1));
    a = weft_join(left);
    b = weft_join(right);
    return a < 0 ? a : b < 0 ? b : a + b;
}

KIT_BOTH(threads_start_threads, .timeout = 20)
{
    kit_assert_code(start_more(kit_number(6)), 64);
}

static weft_future *handed_over;

static int join_the_other(void *arg)
{
    (void)arg;
    return weft_join(handed_over);
}

KIT_BOTH(a_thread_may_be_joined_from_anywhere)
{
    struct kit_gate gate = kit_gate_new();

    handed_over = weft_thread_start(kit_wait_at_gate, &gate);
    weft_future *joiner = weft_thread_start(join_the_other, NULL);
    kit_gate_open(&gate);
    kit_assert_code(weft_join(joiner), 0);
    kit_gate_free(&gate);
}

WEFT_TEST_MAIN("thread")
