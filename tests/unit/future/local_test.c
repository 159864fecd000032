// SPDX-License-Identifier: MIT
// weft_local: whose value it is, what is inherited, when it is destroyed.
#include "kit.h"
#include "latest_first.h"

#include <pthread.h>

static int destroyed;

static void count_destroy(void *value)
{
    __atomic_fetch_add(&destroyed, *(int *)value, __ATOMIC_SEQ_CST);
}

static struct weft_local own = {.destroy = count_destroy};
static struct weft_local inherited = {.kind = WEFT_LOCAL_INHERITED,
                                      .destroy = count_destroy};
static struct weft_local of_thread = {.kind = WEFT_LOCAL_THREAD,
                                      .destroy = count_destroy};
static int one = 1, ten = 10, hundred = 100;

static int code_of(struct weft_local *key)
{
    int *value = weft_local_get(key);
    return value == NULL ? 0 : *value;
}

static int get_it(void *key)
{
    return code_of(key);
}

static int set_and_get(void *key)
{
    int before = code_of(key);
    kit_assert_code(weft_local_set(key, &ten), 0);
    for (int i = 0; i < 3; i++)
        weft_yield();
    ck_assert_int_eq(code_of(key), 10);
    return before;
}

KIT_BOTH(each_has_a_value_of_its_own)
{
    struct weft_local plain = {.kind = WEFT_LOCAL_OWN};
    ck_assert_ptr_null(weft_local_get(&plain));
    kit_assert_code(weft_local_set(&plain, &one), 0);
    weft_future *f[4] = {weft_task_start(set_and_get, &plain),
                         weft_task_start(get_it, &plain),
                         weft_thread_start(set_and_get, &plain),
                         weft_thread_start(get_it, &plain)};
    for (int i = 0; i < 4; i++)
        kit_assert_code(weft_join(f[i]), 0);
    ck_assert_int_eq(code_of(&plain), 1);
    kit_assert_code(weft_local_set(&plain, NULL), 0);
    ck_assert_ptr_null(weft_local_get(&plain));
    kit_assert_code(weft_local_set(&plain, NULL), 0);
}

WEFT_JOB(int, get_inherited)
{
    return code_of(&inherited);
}

KIT_BOTH(what_is_inherited_is_a_copy)
{
    destroyed = 0;
    kit_assert_code(weft_local_set(&inherited, &one), 0);
    weft_future *f[4] = {weft_task_start(set_and_get, &inherited),
                         weft_task_start(get_it, &inherited),
                         weft_thread_start(set_and_get, &inherited),
                         weft_thread_start(get_it, &inherited)};
    // Later changes are not seen by those that have been started.
    kit_assert_code(weft_local_set(&inherited, &hundred), 0);
    for (int i = 0; i < 4; i++)
        kit_assert_code(weft_join(f[i]), 1);
    ck_assert_int_eq(code_of(&inherited), 100);
    // Two tens, and the one of which all have let go by now.
    ck_assert_int_eq(kit_load(&destroyed), 21);
    kit_assert_code(weft_local_set(&inherited, NULL), 0);
    ck_assert_int_eq(kit_load(&destroyed), 121);
}

static weft_executor *pool_of_threads(void)
{
    return weft_thread_pool(.workers = 2);
}

static weft_executor *pool_of_blocking(void)
{
    return weft_thread_pool(.workers = 2, .blocking = true);
}

static weft_executor *(*const executors[])(void) = {
    pool_of_threads, pool_of_blocking, weft_loop_executor, weft_inline_executor,
    latest_first};
enum { EXECUTORS = sizeof executors / sizeof executors[0] };

KIT_BOTH(jobs_inherit)
{
    for (int i = 0; i < EXECUTORS; i++) {
        weft_executor *ex = executors[i]();
        int value = 0;
        kit_assert_code(weft_local_set(&inherited, &one), 0);
        kit_assert_code(weft_result(weft_submit(ex, get_inherited), &value), 0);
        ck_assert_int_eq(value, 1);
        destroyed = 0;
        kit_assert_code(weft_local_set(&inherited, NULL), 0);
        weft_executor_close(ex);
        ck_assert_int_eq(kit_load(&destroyed), 1);
    }
}

WEFT_JOB(int, set_both)
{
    int before = code_of(&own) * 1000 + code_of(&inherited);
    kit_assert_code(weft_local_set(&own, &ten), 0);
    kit_assert_code(weft_local_set(&inherited, &ten), 0);
    ck_assert_int_eq(code_of(&own) + code_of(&inherited), 20);
    return before;
}

// What a job sets is its own, and goes with it, whoever runs it.
KIT_BOTH(what_a_job_sets_is_its_own)
{
    for (int i = 0; i < EXECUTORS; i++) {
        weft_executor *ex = executors[i]();
        int before = 0;
        kit_assert_code(weft_local_set(&own, &hundred), 0);
        kit_assert_code(weft_local_set(&inherited, &one), 0);
        for (int turn = 0; turn < 2; turn++) {
            destroyed = 0;
            weft_future *f = weft_submit(ex, set_both);
            kit_assert_code(weft_result(f, &before), 0);
            ck_assert_int_eq(before, 1);
            kit_await(&destroyed, 20);
        }
        ck_assert_int_eq(code_of(&own) + code_of(&inherited), 101);
        kit_assert_code(weft_local_set(&own, NULL), 0);
        kit_assert_code(weft_local_set(&inherited, NULL), 0);
        weft_executor_close(ex);
        ck_assert_int_eq(kit_load(&destroyed), 20 + 101);
    }
}

// What never runs lets go as well.
KIT_BOTH(a_job_that_never_runs_lets_go)
{
    for (int i = 0; i < EXECUTORS; i++) {
        weft_executor *ex = executors[i]();
        destroyed = 0;
        kit_assert_code(weft_local_set(&inherited, &one), 0);
        for (int k = 0; k < 20; k++) {
            weft_executor *late = weft_executor_with(ex, .deadline = -1);
            weft_future *f = weft_submit(k % 2 ? late : ex, get_inherited);
            weft_cancel(f);
            weft_future_code(f); // so that nobody need hear of it
            weft_future_unref(f);
        }
        kit_assert_code(weft_local_set(&inherited, NULL), 0);
        weft_executor_close(ex);
        ck_assert_int_eq(kit_load(&destroyed), 1);
    }
}

static int set_own(void *arg)
{
    (void)arg;
    kit_assert_code(weft_local_set(&own, &one), 0);
    kit_assert_code(weft_local_set(&own, &one), 0); // the same: nothing happens
    ck_assert_int_eq(kit_load(&destroyed), 0);
    kit_assert_code(weft_local_set(&own, &ten), 0);
    ck_assert_int_eq(kit_load(&destroyed), 1);
    return 0;
}

KIT_BOTH(values_are_destroyed_at_the_end)
{
    for (int thread = 0; thread < 2; thread++) {
        destroyed = 0;
        kit_assert_code(weft_join(thread ? weft_thread_start(set_own, NULL)
                                         : weft_task_start(set_own, NULL)),
                        0);
        ck_assert_int_eq(kit_load(&destroyed), 11);
    }
}

static int *last_words;

static void set_again(void *value)
{
    static struct weft_local other = {.destroy = count_destroy};
    (void)value;
    // It still is a task that may wait.
    kit_assert_code(weft_yield(), 0);
    ck_assert_ptr_null(weft_local_get(&other));
    kit_assert_code(weft_local_set(&other, &hundred), 0);
    kit_count(last_words);
}

static struct weft_local stubborn = {.destroy = set_again};

static int set_stubborn(void *arg)
{
    last_words = arg;
    return weft_local_set(&stubborn, &one);
}

KIT_BOTH(a_destructor_may_use_weft)
{
    int words = 0;
    destroyed = 0;
    kit_assert_code(weft_join(weft_task_start(set_stubborn, &words)), 0);
    ck_assert_int_eq(words, 1);
    ck_assert_int_eq(kit_load(&destroyed), 100);
    kit_assert_code(weft_join(weft_thread_start(set_stubborn, &words)), 0);
    ck_assert_int_eq(words, 2);
    ck_assert_int_eq(kit_load(&destroyed), 200);
}

static int no_start(void *arg)
{
    (void)arg;
    return -EIO;
}

// What a pool refuses has inherited, too.
KIT_BOTH(a_refused_job_gives_back_what_it_inherited)
{
    weft_executor *pools[] = {
        weft_thread_pool(.workers = 1, .initializer = no_start),
        weft_thread_pool(.workers = 1, .initializer = no_start,
                         .blocking = true)};
    destroyed = 0;
    for (int i = 0; i < 2; i++) {
        while (weft_join(weft_submit(pools[i], get_inherited)) !=
               -WEFT_EBROKEN) // the first fails with the initializer
            ;
        kit_assert_code(weft_local_set(&inherited, &one), 0);
        kit_assert_code(weft_join(weft_submit(pools[i], get_inherited)),
                        -WEFT_EBROKEN);
        kit_assert_code(weft_local_set(&inherited, NULL), 0);
        ck_assert_int_eq(kit_load(&destroyed), i + 1);
        weft_executor_close(pools[i]);
    }
}

// What never runs has inherited, too.
KIT_BOTH(a_task_that_never_runs_lets_go)
{
    destroyed = 0;
    kit_assert_code(weft_local_set(&inherited, &one), 0);
    {
        weft_group *g = weft_group_open();
        weft_group_cancel(g);
        weft_future_unref(weft_task_start(kit_never, NULL, .group = g));
        weft_future_unref(weft_thread_start(kit_never, NULL, .group = g));
        weft_group_close(g);
    }
    kit_assert_code(weft_local_set(&inherited, NULL), 0);
    ck_assert_int_eq(kit_load(&destroyed), 1);
}

static int many_keys(void *arg)
{
    enum { KEYS = 100 };
    static struct weft_local keys[KEYS];
    static int values[KEYS];
    (void)arg;
    for (int i = 0; i < KEYS; i++) {
        keys[i].kind = i % 2 ? WEFT_LOCAL_OWN : WEFT_LOCAL_INHERITED;
        kit_assert_code(weft_local_set(&keys[i], &values[i]), 0);
    }
    for (int i = 0; i < KEYS; i += 3)
        kit_assert_code(weft_local_set(&keys[i], NULL), 0);
    for (int i = 0; i < KEYS; i++)
        ck_assert_ptr_eq(weft_local_get(&keys[i]), i % 3 ? &values[i] : NULL);
    return 0;
}

KIT_BOTH(there_may_be_many_keys)
{
    kit_assert_code(weft_join(weft_task_start(many_keys, NULL)), 0);
    kit_assert_code(weft_join(weft_thread_start(many_keys, NULL)), 0);
}

static int set_of_thread(void *arg)
{
    kit_assert_code(weft_local_set(&of_thread, arg), 0);
    return 0;
}

static int thread_of_tasks(void *arg)
{
    (void)arg;
    weft_future *f = weft_task_start(set_of_thread, &one);
    kit_assert_code(weft_join(f), 0);
    f = weft_task_start(get_it, &of_thread);
    kit_assert_code(weft_join(f), 1);
    ck_assert_int_eq(code_of(&of_thread), 1);
    return 0;
}

static int run_tasks(void *arg)
{
    int rc = weft_run(thread_of_tasks, arg);
    ck_assert_int_eq(code_of(&of_thread), 1);
    return rc;
}

static void *foreign_thread(void *arg)
{
    kit_assert_code(weft_local_set(&of_thread, arg), 0);
    kit_assert_code(weft_local_set(&own, &hundred), 0);
    return NULL;
}

WEFT_TEST(the_tasks_of_a_thread_share_its_values)
{
    destroyed = 0;
    kit_assert_code(weft_join(weft_thread_start(run_tasks, NULL)), 0);
    ck_assert_int_eq(code_of(&of_thread), 0);
    // The values of a thread go when the thread itself does.
    while (kit_load(&destroyed) != 1)
        sched_yield();
}

WEFT_TEST(a_thread_of_others_has_values, .timeout = 10)
{
    pthread_t thread;
    destroyed = 0;
    ck_assert_int_eq(pthread_create(&thread, NULL, foreign_thread, &one), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(kit_load(&destroyed), 101);
}

// What is inherited goes last, and may leave something behind.
static void leave_own(void *value)
{
    kit_assert_code(weft_local_set(&own, value), 0);
}

static struct weft_local leaves_own = {.kind = WEFT_LOCAL_INHERITED,
                                       .destroy = leave_own};

static int set_leaves_own(void *value)
{
    return weft_local_set(&leaves_own, value);
}

KIT_BOTH(a_destructor_may_set_a_value_of_another_kind)
{
    destroyed = 0;
    kit_assert_code(weft_join(weft_task_start(set_leaves_own, &ten)), 0);
    ck_assert_int_eq(destroyed, 10);
    kit_assert_code(weft_join(weft_thread_start(set_leaves_own, &ten)), 0);
    ck_assert_int_eq(destroyed, 20);
}

WEFT_TEST_MAIN("local")
