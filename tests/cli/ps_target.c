// SPDX-License-Identifier: MIT
//
// ps_target [hang]: waits in every way, for `weft ps` to look at. With `hang`
// the thread of the event loop locks a plain mutex twice, so that no code of
// Weft runs any more. Prints "ready" when all of them wait.
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <weft.h>

static weft_future *sleeping;
static weft_promise *promise;
static int ends[2];
static struct weft_lock lock;
static struct weft_rwlock rwlock;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static int sleep_long(void *arg)
{
    (void)arg;
    return weft_sleep(3600);
}

static int read_pipe(void *arg)
{
    char byte;

    (void)arg;
    return (int)weft_read(ends[0], &byte, 1);
}

static int park(void *arg)
{
    (void)arg;
    return weft_park(INFINITY);
}

static int join(void *arg)
{
    (void)arg;
    return weft_get_into(sleeping, NULL, 0);
}

// Holds both locks.
static int hold(void *arg)
{
    (void)arg;
    if (weft_lock_acquire(&lock) < 0 || weft_rwlock_write_acquire(&rwlock) < 0)
        return -1;
    return weft_park(INFINITY);
}

static int want_lock(void *arg)
{
    (void)arg;
    return weft_lock_acquire(&lock);
}

// With a time limit, so that no cycle can lead over this wait.
static int want_lock_for(void *arg)
{
    (void)arg;
    return weft_lock_acquire_for(&lock, 3600);
}

static int want_to_read(void *arg)
{
    (void)arg;
    return weft_rwlock_read_acquire(&rwlock);
}

static int await_promise(void *arg)
{
    (void)arg;
    return weft_join(weft_promise_future(promise));
}

static int open_group(void *arg)
{
    int rc = 0;

    {
        WEFT_GROUP(g, &rc);
        for (int i = 0; i < *(const int *)arg; i++)
            weft_future_unref(
                weft_task_start(sleep_long, NULL, .name = "child", .group = g));
    }
    return rc;
}

static int end_at_once(void *arg)
{
    (void)arg;
    return 7;
}

WEFT_JOB(int, nap)
{
    return weft_sleep(3600);
}

WEFT_JOB(int, doze)
{
    return weft_sleep(3600);
}

static int amain(void *arg)
{
    static int three = 3, one = 1;
    bool hang = *(bool *)arg;

    sleeping = weft_task_start(sleep_long, NULL, .name = "sleeper");
    weft_task_start(read_pipe, NULL, .name = "reader");
    // Its last bytes would steer a terminal: as they are, and as UTF-8.
    weft_task_start(park, NULL, .name = "parker\x9b\xc2\x9b");
    weft_task_start(park, NULL);
    weft_task_start(join, NULL, .name = "joiner");
    weft_task_start(open_group, &three, .name = "grouper");
    weft_task_start(open_group, &one, .name = "parent");
    weft_task_start(hold, NULL, .name = "holder");
    weft_task_start(want_lock, NULL, .name = "locker");
    weft_task_start(want_lock_for, NULL, .name = "limited");
    weft_task_start(want_to_read, NULL, .name = "rw-reader");
    weft_task_start(end_at_once, NULL, .name = "ended");
    weft_thread_start(await_promise, NULL, .name = "thread",
                      .on_exit = WEFT_EXIT_ABANDON);
    weft_process_start(sleep_long, NULL, 0, .name = "kid");
    weft_submit(weft_thread_pool(.workers = 1), nap);
    weft_submit(weft_process_pool(.workers = 1), doze);
    for (int i = 0; i < 20; i++)
        weft_yield(); // all tasks come to their waits
    puts("ready");
    fflush(stdout);
    if (hang) {
        pthread_mutex_lock(&mutex);
        pthread_mutex_lock(&mutex);
    }
    return weft_sleep(3600);
}

int main(int argc, char **argv)
{
    weft_main_hook();
    bool hang = argc > 1 && !strcmp(argv[1], "hang");

    if (pipe(ends))
        return 1;
    promise = weft_promise_new(.name = "promised");
    return weft_run(amain, &hang, .name = "amain");
}
