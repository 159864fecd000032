// SPDX-License-Identifier: MIT
//
// held SCENE: holds a mutex of the operating system in one way or another, for
// libweft-debug to look at.
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <weft.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t other = PTHREAD_MUTEX_INITIALIZER;

static int wait_inside(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&mutex);
    int rc = weft_sleep(0.001);
    pthread_mutex_unlock(&mutex);
    return rc;
}

// One place in the program is reported once.
static int wait_inside_often(void *arg)
{
    int rc = 0;
    for (int i = 0; i < 3 && rc == 0; i++)
        rc = wait_inside(arg);
    return rc;
}

static int wait_after(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&mutex);
    pthread_mutex_lock(&other);
    pthread_mutex_unlock(&mutex);
    pthread_mutex_unlock(&other);
    return weft_sleep(0.001);
}

// Not in the order of locking.
static int wait_with_one_of_two(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&mutex);
    pthread_mutex_lock(&other);
    pthread_mutex_unlock(&mutex);
    int rc = weft_sleep(0.001);
    pthread_mutex_unlock(&other);
    return rc;
}

static int try_and_wait(void *arg)
{
    struct timespec at;
    (void)arg;
    clock_gettime(CLOCK_REALTIME, &at);
    at.tv_sec += 10;
    int rc = pthread_mutex_trylock(&mutex);
    if (rc == 0)
        rc = pthread_mutex_timedlock(&other, &at);
    if (rc == 0)
        rc = pthread_mutex_trylock(&mutex) != 0 ? weft_sleep(0.001) : 1;
    pthread_mutex_unlock(&other);
    pthread_mutex_unlock(&mutex);
    return rc;
}

// A report that cannot be written is no error of the wait.
static int wait_and_look(void *arg)
{
    errno = E2BIG;
    int rc = wait_inside(arg);
    return errno == E2BIG ? rc : -EPROTO;
}

// A plain thread sleeps with it; nobody else runs there.
static int in_a_thread(void *arg)
{
    return wait_inside(arg);
}

static int start_thread(void *arg)
{
    return weft_join(weft_thread_start(in_a_thread, arg));
}

static const struct scene {
    const char *name;
    weft_function *fn;
} scenes[] = {
    {"inside", wait_inside_often}, {"after", wait_after},
    {"one", wait_with_one_of_two}, {"try", try_and_wait},
    {"thread", start_thread},      {"errno", wait_and_look},
};

static int play(void *arg)
{
    return weft_join(
        weft_task_start(*(weft_function **)arg, NULL, .name = "keeper-of-it"));
}

int main(int argc, char **argv)
{
    for (size_t i = 0; i < sizeof scenes / sizeof *scenes; i++) {
        weft_function *fn = scenes[i].fn;
        if (argc > 1 && strcmp(argv[1], scenes[i].name) == 0)
            return weft_run(play, &fn) < 0;
    }
    fputs("held: no such scene\n", stderr);
    return 2;
}
