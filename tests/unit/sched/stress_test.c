// SPDX-License-Identifier: MIT
//
// stress_test.c: programs drawn at random from a seed. Each program is a tree
// of nodes: tasks, threads and jobs that start others in groups and outside,
// sleep, yield, wait for gates, join with and without deadlines, cancel,
// fail, and park. After each program the books must balance:
//
//  - every node that was started ran once or was dropped once;
//  - every handle was given back, and what a future told was one of what its
//    node could say;
//  - no wait of such a program is a cycle, so none is told so.
//
// Environment: WEFT_TEST_SEED repeats a run; the number of the program is
// printed when it hangs or fails. WEFT_STRESS is the time to run in seconds;
// without it one second. `make stress` takes half a minute, `make stress
// STRESS=600` ten.
#include "kit.h"

#include <stdio.h>

#define DEPTH    4
#define CHILDREN 6

static struct {
    int started, ran, dropped, joined, threads;
    int told[8]; // how often each kind of code was seen
    weft_executor *pool, *blocking;
    struct kit_gate gate; // opened at the end of each program
} books;

enum { TOLD_OWN, TOLD_FAILED, TOLD_CANCELED, TOLD_TIMEOUT, TOLD_GAVE_UP };

// Random numbers: a node has a state of its own -------------------------------

static uint64_t draw(uint64_t *state, uint64_t below)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (z ^ (z >> 31)) % below;
}

// A node's argument: depth in the lowest bits, seed above them; by value, so
// that it needs no memory and can be a job's.
static uint64_t node_arg(uint64_t seed, unsigned depth)
{
    return seed << 3 | depth;
}

// What a future told ----------------------------------------------------------

static void note(int kind)
{
    __atomic_fetch_add(&books.told[kind], 1, __ATOMIC_RELAXED);
}

// A node returns 1 to 100, or fails with -EPROTO; groups fail with what their
// children failed with. Anything else is a bug.
static void check_code(int rc)
{
    if (rc >= 0)
        note(TOLD_OWN);
    else if (rc == -EPROTO)
        note(TOLD_FAILED);
    else if (rc == -WEFT_EJOBCANCELED)
        note(TOLD_CANCELED);
    else if (rc == -WEFT_EJOBTIMEOUT)
        note(TOLD_TIMEOUT);
    else if (rc == -ECANCELED || rc == -ETIMEDOUT)
        note(TOLD_GAVE_UP);
    else if (rc != -EAGAIN) // no more threads
        ck_abort_msg("a future told %d (%s)", rc, weft_error_name(rc));
}

// Starting --------------------------------------------------------------------

static int node(void *arg);
static int node_of_job(uint64_t arg);

static void count_dropped(void *arg)
{
    (void)arg;
    kit_count(&books.dropped);
}

WEFT_JOB(int, node_job, uint64_t, arg)
{
    int rc = node_of_job(arg);

    if (rc < 0)
        weft_fail(rc, "node %llx", (unsigned long long)arg);
    return rc;
}

static void leave_thread(void)
{
    __atomic_fetch_sub(&books.threads, 1, __ATOMIC_SEQ_CST);
}

static int node_of_thread(void *arg)
{
    int rc = node(arg);
    leave_thread();
    return rc;
}

static void count_dropped_thread(void *arg)
{
    count_dropped(arg);
    leave_thread();
}

static weft_future *start_thread(void *arg, weft_group *group)
{
    kit_count(&books.threads);
    return weft_thread_start(node_of_thread, arg, .group = group,
                             .drop = count_dropped_thread,
                             .stack_size = 256 * 1024);
}

// Jobs have no .drop: those that never ran are counted when they are joined.
static weft_future *start_node(uint64_t *state, unsigned depth, bool *job)
{
    uint64_t value = node_arg(draw(state, 1u << 30), depth - 1);
    void *arg = (void *)(uintptr_t)value;

    kit_count(&books.started);
    *job = false;
    switch (draw(state, 12)) {
    case 0:
        if (kit_load(&books.threads) < 30)
            return start_thread(arg, NULL);
        break;
    case 1:
        *job = true;
        return weft_submit(books.blocking, node_job, value);
    case 2:
    case 3:
        *job = true;
        return weft_submit(books.pool, node_job, value);
    }
    return weft_task_start(node, arg, .drop = count_dropped);
}

// What a node does with those it started --------------------------------------

static int join_in_time(weft_future *f, uint64_t *state)
{
    WEFT_TIMEOUT((double)draw(state, 400) * 1e-6);
    return weft_get_into(f, NULL, 0);
}

static void end_one(weft_future *f, bool job, uint64_t *state)
{
    if (draw(state, 4) == 0)
        check_code(join_in_time(f, state));
    if (draw(state, 5) == 0)
        weft_cancel(f);
    // The last join is not ended by what this node stands in.
    WEFT_SHIELD(INFINITY);
    int rc = weft_join(f);
    ck_assert(rc != -ECANCELED && rc != -ETIMEDOUT);
    check_code(rc);
    if (job && rc == -WEFT_EJOBCANCELED)
        kit_count(&books.joined); // ran or never did: see run_program
}

static void wait_for_some(weft_future **fs, size_t n, uint64_t *state)
{
    int mode = (int)draw(state, 3);
    int rc = weft_wait(fs, n, (enum weft_wait_mode)mode,
                       (double)draw(state, 300) * 1e-6);

    ck_assert_msg(rc >= 0 || rc == -ECANCELED || rc == -ETIMEDOUT,
                  "weft_wait: %d (%s)", rc, weft_error_name(rc));
}

static void take_some(weft_future **fs, size_t n, uint64_t *state)
{
    WEFT_TIMEOUT((double)draw(state, 500) * 1e-6);
    weft_as_completed *it = weft_as_completed_open(fs, n);
    ssize_t k;

    while ((k = weft_as_completed_next(it)) >= 0)
        ck_assert(weft_done(fs[k]));
    ck_assert(k == -ENOENT || k == -ECANCELED || k == -ETIMEDOUT);
    weft_as_completed_close(it);
}

// Children with handles: each is joined in the end.
static void start_and_end(uint64_t *state, unsigned depth)
{
    weft_future *fs[CHILDREN];
    bool job[CHILDREN];
    size_t n = 1 + draw(state, CHILDREN);

    for (size_t i = 0; i < n; i++)
        fs[i] = start_node(state, depth, &job[i]);
    if (draw(state, 3) == 0)
        wait_for_some(fs, n, state);
    if (draw(state, 4) == 0)
        take_some(fs, n, state);
    for (size_t i = 0; i < n; i++)
        end_one(fs[i], job[i], state);
}

// Children of a group, some without handles.
static int group_of_nodes(uint64_t *state, unsigned depth)
{
    int rc = 0;
    {
        WEFT_GROUP(g, &rc);
        for (size_t i = draw(state, CHILDREN); i > 0; i--) {
            uint64_t value = node_arg(draw(state, 1u << 30), depth - 1);
            void *arg = (void *)(uintptr_t)value;
            kit_count(&books.started);
            if (draw(state, 10) == 0 && kit_load(&books.threads) < 30)
                weft_future_unref(start_thread(arg, g));
            else
                weft_future_unref(
                    weft_task_start(node, arg, .drop = count_dropped));
        }
        if (draw(state, 3) == 0)
            weft_sleep((double)draw(state, 200) * 1e-6);
        if (draw(state, 6) == 0)
            weft_group_cancel(g);
    }
    return rc;
}

static int timed_group(uint64_t *state, unsigned depth)
{
    WEFT_TIMEOUT((double)draw(state, 600) * 1e-6);
    return group_of_nodes(state, depth);
}

static void park_a_little(uint64_t *state)
{
    if (draw(state, 2))
        weft_unpark(weft_self());
    int rc = weft_park((double)draw(state, 200) * 1e-6);
    ck_assert(rc == 0 || rc == -ETIMEDOUT || rc == -ECANCELED);
}

static void wait_at_gate(uint64_t *state)
{
    WEFT_TIMEOUT((double)draw(state, 300) * 1e-6);
    int rc = kit_gate_wait(&books.gate);
    ck_assert(rc == 0 || rc == -ETIMEDOUT || rc == -ECANCELED);
}

static void take_step(uint64_t *state, unsigned depth)
{
    switch (draw(state, depth > 0 ? 8 : 5)) {
    case 0:
        weft_yield();
        return;
    case 1:
        weft_sleep((double)draw(state, 100) * 1e-6);
        return;
    case 2:
        park_a_little(state);
        return;
    case 3:
        wait_at_gate(state);
        return;
    case 4:
        weft_check();
        return;
    case 5:
        start_and_end(state, depth);
        return;
    case 6:
        check_code(group_of_nodes(state, depth));
        return;
    case 7:
        check_code(timed_group(state, depth));
        return;
    }
}

// A node ends with a number of its own, a failure, or what its scopes say.
static int live(uint64_t arg)
{
    unsigned depth = arg & 7;
    uint64_t state = arg * 0x2545f4914f6cdd1du + 1;

    for (uint64_t steps = draw(&state, 4); steps > 0; steps--)
        take_step(&state, depth);
    if (draw(&state, 12) == 0)
        return -EPROTO;
    if (draw(&state, 2) && weft_check() < 0)
        return weft_check();
    return 1 + (int)draw(&state, 100);
}

static int node(void *arg)
{
    kit_count(&books.ran);
    return live((uint64_t)(uintptr_t)arg);
}

static int node_of_job(uint64_t arg)
{
    kit_count(&books.ran);
    return live(arg);
}

// One program -----------------------------------------------------------------

static int root(void *arg)
{
    uint64_t state = *(uint64_t *)arg;

    for (int i = 0; i < 3; i++) {
        start_and_end(&state, DEPTH);
        check_code(group_of_nodes(&state, DEPTH));
    }
    return 0;
}

static void run_program(uint64_t seed)
{
    static const unsigned workers[] = {0, 1, 1, 2, 4};
    unsigned n = workers[seed % 5];

    books.started = books.ran = books.dropped = books.joined = 0;
    books.gate = kit_gate_new();
    books.pool = weft_thread_pool(.workers = 1 + seed % 3);
    books.blocking = weft_thread_pool(.workers = 8, .blocking = true);
    if (n == 0)
        root(&seed);
    else
        kit_assert_code(weft_run(root, &seed, .workers = n), 0);
    kit_assert_code(weft_executor_close(books.pool), 0);
    kit_assert_code(weft_executor_close(books.blocking), 0);
    kit_gate_open(&books.gate);
    kit_gate_free(&books.gate);
    // A job that was canceled may have run or not: it has no .drop.
    int unknown = books.started - books.ran - books.dropped;
    ck_assert_msg(unknown >= 0 && unknown <= books.joined,
                  "%d started, %d ran, %d dropped, %d jobs canceled",
                  books.started, books.ran, books.dropped, books.joined);
}

// The watchdog tells which program hangs.
static volatile unsigned long long program;

static void on_alarm(int signal)
{
    char text[100];
    int n = snprintf(text, sizeof text,
                     "stress: program %llu hangs (seed 0x%llx)\n", program,
                     (unsigned long long)weft_test_seed());

    (void)signal;
    if (write(STDERR_FILENO, text, (size_t)n) < 0 || n > 0)
        abort();
}

static double time_to_run(void)
{
    const char *text = getenv("WEFT_STRESS");
    double seconds = text ? atof(text) : 0;

    return seconds > 0 ? seconds : 1;
}

static void ignore_failures(int code, const char *text)
{
    (void)code;
    (void)text;
}

WEFT_TEST(programs_at_random, .timeout = 900)
{
    double end = weft_now() + time_to_run();

    signal(SIGALRM, on_alarm);
    weft_on_unobserved(ignore_failures);
    do {
        alarm((unsigned)weft_test_seconds(20) + 1);
        run_program(weft_test_seed() + program);
        program++;
    } while (weft_now() < end);
    alarm(0);
    printf("stress: %llu programs; told %d own codes, %d failures, "
           "%d canceled, %d overrun, %d waits given up\n",
           program, books.told[TOLD_OWN], books.told[TOLD_FAILED],
           books.told[TOLD_CANCELED], books.told[TOLD_TIMEOUT],
           books.told[TOLD_GAVE_UP]);
}

WEFT_TEST_MAIN("stress")
