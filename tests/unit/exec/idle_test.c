// SPDX-License-Identifier: MIT
//
// Pools that have nothing to do sleep: none of their threads wakes up, whatever
// they did before. And they count on no more CPUs than they may use.
#include "kit.h"
#include "sleeps.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "os/cpu.h"

// The watchdog dozes by then, and what was warm is given back.
static void wait_for_silence(void)
{
    await_silence(own_sleeps);
}

static struct weft_event event;

WEFT_JOB(long, work, long, x)
{
    if (x % 4 == 1)
        weft_sleep(0.001);
    if (x % 4 == 2)
        weft_yield();
    if (x % 4 == 3)
        weft_event_wait_for(&event, 0.002);
    return x;
}

static void check_silence(weft_executor *ex)
{
    weft_future *fs[400];
    for (int i = 0; i < 400; i++)
        fs[i] = weft_submit(
            weft_executor_with(ex, .priority = i % 3 - 1, .migrate = i % 2),
            work, (long)i);
    kit_assert_code(weft_gather_into(fs, 400, NULL, 0, NULL), 0);
    wait_for_silence();
    kit_assert_code(weft_executor_close(ex), 0);
}

WEFT_TEST(a_pool_sleeps, .timeout = 30)
{
    check_silence(weft_thread_pool(.workers = 4));
}

WEFT_TEST(a_pool_that_was_made_smaller_sleeps, .timeout = 30)
{
    weft_executor *ex = weft_thread_pool(.workers = 6);
    kit_assert_code(weft_thread_pool_resize(ex, 2), 0);
    check_silence(ex);
}

WEFT_TEST(a_pool_of_blocking_threads_sleeps, .timeout = 30)
{
    check_silence(weft_thread_pool(.workers = 4, .blocking = true));
}

WEFT_JOB(int, wait_for_event)
{
    return weft_event_wait(&event);
}

// Jobs that wait for no time wake nobody either.
WEFT_TEST(a_pool_of_waiting_jobs_sleeps, .timeout = 30)
{
    weft_future *fs[100];
    weft_executor *ex = weft_thread_pool(.workers = 3);
    for (int i = 0; i < 100; i++)
        fs[i] = weft_submit(weft_executor_with(ex, .migrate = i % 2),
                            wait_for_event);
    wait_for_silence();
    weft_event_set(&event);
    kit_assert_code(weft_gather_into(fs, 100, NULL, 0, NULL), 0);
    kit_assert_code(weft_executor_close(ex), 0);
}

// CPUs ------------------------------------------------------------------------

WEFT_TEST(the_affinity_counts)
{
    cpu_set_t all, one;
    unsetenv("WEFT_NPROC");
    ck_assert_int_eq(sched_getaffinity(0, sizeof all, &all), 0);
    int first = 0;
    while (!CPU_ISSET(first, &all))
        first++;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    ck_assert_int_eq(sched_setaffinity(0, sizeof one, &one), 0);
    ck_assert_uint_eq(wi_os_cpu_budget(), 1);
    ck_assert(wi_os_cpu_scarce()); // so nobody spins
    weft_executor *ex = weft_thread_pool();
    ck_assert_uint_eq(weft_executor_width(ex), 1);
    kit_assert_code(weft_executor_close(ex), 0);
}

// A cgroup of this test's own, with another inside it.
struct cgroups {
    const char *root;
    bool v2;
    char outer[64], inner[80];
};

static struct cgroups cgroups_here(void)
{
    struct cgroups c = {.root = "/sys/fs/cgroup"};
    c.v2 = access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0;
    if (!c.v2)
        c.root = "/sys/fs/cgroup/cpu";
    snprintf(c.outer, sizeof c.outer, "%s/weft-test-%d", c.root, (int)getpid());
    snprintf(c.inner, sizeof c.inner, "%s/inner", c.outer);
    return c;
}

static bool limit_and_enter(const struct cgroups *c)
{
    return mkdir(c->outer, 0755) == 0 && mkdir(c->inner, 0755) == 0 &&
           (c->v2 ? kit_put(c->outer, "cpu.max", "100000 100000")
                  : kit_put(c->outer, "cpu.cfs_quota_us", "100000")) &&
           kit_put(c->inner, "cgroup.procs", "0");
}

// The quota of a cgroup above ours, where ours has none.
WEFT_TEST(the_quota_of_an_ancestor_counts)
{
    struct cgroups c = cgroups_here();
    unsetenv("WEFT_NPROC");
    bool entered = limit_and_enter(&c);
    unsigned budget = wi_os_cpu_budget();
    bool scarce = wi_os_cpu_scarce();
    kit_put(c.root, "cgroup.procs", "0");
    rmdir(c.inner);
    rmdir(c.outer);
    if (!entered)
        weft_test_skip("needs a cgroup for CPUs that may be written");
    ck_assert_uint_eq(budget, 1);
    ck_assert(scarce);
}

WEFT_TEST_MAIN("idle")
