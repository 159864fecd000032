// SPDX-License-Identifier: MIT
// OS threads.
#include "case.h"

#include <pthread.h>

static int tell_thread(void *arg)
{
    *(pthread_t *)arg = pthread_self();
    return 5;
}

static void joined(void)
{
    pthread_t other;

    CODE(weft_join(weft_thread_start(tell_thread, &other)), 5);
    CHECK(!pthread_equal(other, pthread_self()));
    CODE(weft_join(weft_thread_start(give, number(-EIO))), -EIO);
}

static void many(void)
{
    weft_future *fs[20];
    int runs = 0;

    for (int i = 0; i < 20; i++)
        fs[i] = weft_thread_start(count, &runs, .stack_size = 128 * 1024);
    CODE(weft_gather_into(fs, 20, NULL, 0, NULL), 0);
    CHECK(load(&runs) == 20);
}

static void failed_start(void)
{
    unsigned cpu = 1000000;
    int drops = 0;

    CODE(weft_join(weft_thread_start(count, &drops, .cpus = &cpu,
                                     .cpu_count = 1, .drop = count_drop)),
         -EINVAL);
    CHECK(drops == 1);
}

static int join_it(void *arg)
{
    return weft_join(arg);
}

static void anywhere(void)
{
    weft_future *task = weft_task_start(give, number(9));
    weft_future *thread = weft_thread_start(join_it, task);

    CODE(weft_join(weft_task_start(join_it, thread)), 9);
}

// A thread that Weft did not start may use it, and go.
static void *use_weft(void *arg)
{
    CODE(weft_sleep(0.0001), 0);
    CODE(weft_join(weft_task_start(count, arg)), 0);
    return NULL;
}

static void foreign(void)
{
    pthread_t thread;
    int runs = 0;

    for (int i = 0; i < 5; i++) {
        CHECK(pthread_create(&thread, NULL, use_weft, &runs) == 0);
        weft_yield();
        pthread_join(thread, NULL);
    }
    CHECK(load(&runs) == 5);
}

const struct conformance_case threads_cases[] = {
    {"threads", joined},
    {"many threads", many},
    {"a failed start", failed_start},
    {"joined anywhere", anywhere},
    {"foreign threads", foreign},
    {NULL, NULL}};
