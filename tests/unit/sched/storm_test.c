// SPDX-License-Identifier: MIT
// A storm of signals whose handler does not restart system calls: no wait
// ends early, none tells of EINTR, nothing is lost.
#include "kit.h"

#include <pthread.h>
#include <sys/socket.h>
#include <sys/time.h>

static int signals;

static void on_signal(int signal)
{
    int saved = errno;

    (void)signal;
    __atomic_fetch_add(&signals, 1, __ATOMIC_RELAXED);
    errno = saved;
}

static void start_storm(void)
{
    long us = KIT_SANITIZED ? 2000 : 150;
    struct itimerval every = {{0, us}, {0, us}};
    struct sigaction action = {.sa_handler = on_signal};

    ck_assert_int_eq(sigaction(SIGALRM, &action, NULL), 0);
    ck_assert_int_eq(setitimer(ITIMER_REAL, &every, NULL), 0);
}

static void end_storm(void)
{
    struct itimerval never = {{0, 0}, {0, 0}};

    setitimer(ITIMER_REAL, &never, NULL);
    ck_assert_int_gt(__atomic_load_n(&signals, __ATOMIC_RELAXED), 0);
}

// A thread that Weft does not know keeps sending to one that it does.
static struct {
    pthread_t target, sender;
    int stop;
} hail;

static void *send_hail(void *arg)
{
    struct timespec pause = {0, KIT_SANITIZED ? 2000000 : 100000};

    (void)arg;
    while (!kit_load(&hail.stop)) {
        pthread_kill(hail.target, SIGALRM);
        nanosleep(&pause, NULL);
    }
    return NULL;
}

static void start_hail(void)
{
    start_storm();
    hail.target = pthread_self();
    ck_assert_int_eq(pthread_create(&hail.sender, NULL, send_hail, NULL), 0);
}

static void end_hail(void)
{
    kit_count(&hail.stop);
    pthread_join(hail.sender, NULL);
    end_storm();
}

// What is done in the storm ---------------------------------------------------

static int sleep_exactly(void *arg)
{
    (void)arg;
    for (int i = 0; i < 20; i++) {
        double before = weft_now();
        kit_assert_code(weft_sleep(0.001), 0);
        ck_assert(weft_now() - before >= 0.001 - 1e-6);
    }
    return 0;
}

KIT_BOTH(sleeps_in_a_storm, .timeout = 20)
{
    start_hail();
    weft_future *fs[] = {weft_task_start(sleep_exactly, NULL),
                         weft_thread_start(sleep_exactly, NULL)};
    sleep_exactly(NULL);
    kit_assert_code(weft_gather_into(fs, 2, NULL, 0, NULL), 0);
    end_hail();
}

#define BYTES 200000

static int send_bytes(void *arg)
{
    char part[777];
    int fd = *(int *)arg;

    for (size_t sent = 0; sent < BYTES;) {
        size_t n = BYTES - sent < sizeof part ? BYTES - sent : sizeof part;
        for (size_t i = 0; i < n; i++)
            part[i] = (char)((sent + i) * 31);
        ck_assert_int_eq(weft_write_all(fd, part, n), (ssize_t)n);
        sent += n;
    }
    return weft_close(fd);
}

static int receive_bytes(void *arg)
{
    char part[1001];
    size_t have = 0;
    ssize_t n;

    while ((n = weft_read(*(int *)arg, part, sizeof part)) > 0)
        for (ssize_t i = 0; i < n; i++, have++)
            if (part[i] != (char)(have * 31))
                ck_abort_msg("byte %zu is wrong", have);
    kit_assert_code(n, 0);
    ck_assert_uint_eq(have, BYTES);
    return weft_close(*(int *)arg);
}

static void stream(int ends[2])
{
    weft_future *reader = weft_task_start(receive_bytes, &ends[0]);

    kit_assert_code(send_bytes(&ends[1]), 0);
    kit_assert_code(weft_join(reader), 0);
}

KIT_BOTH(a_pipe_in_a_storm, .timeout = 30)
{
    int ends[2];

    ck_assert_int_eq(pipe(ends), 0);
    start_hail();
    stream(ends);
    end_hail();
}

KIT_BOTH(a_socket_in_a_storm, .timeout = 30)
{
    int ends[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    start_hail();
    stream(ends);
    end_hail();
}

KIT_BOTH(a_reader_in_a_thread_in_a_storm, .timeout = 30)
{
    int ends[2];

    ck_assert_int_eq(pipe(ends), 0);
    start_hail();
    weft_future *reader = weft_thread_start(receive_bytes, &ends[0]);
    weft_future *writer = weft_thread_start(send_bytes, &ends[1]);
    kit_assert_code(weft_join(reader), 0);
    kit_assert_code(weft_join(writer), 0);
    end_hail();
}

static int nap(void *arg)
{
    int rc = weft_sleep(0.0002);
    return rc < 0 ? rc : kit_return(arg);
}

KIT_BOTH(joins_in_a_storm, .timeout = 30)
{
    start_hail();
    for (int i = 0; i < 100; i++) {
        kit_assert_code(weft_join(weft_task_start(nap, kit_number(i))), i);
        kit_assert_code(weft_join(weft_thread_start(nap, kit_number(i))), i);
    }
    end_hail();
}

WEFT_JOB(long, nap_job, long, x)
{
    return nap(kit_number(x));
}

KIT_BOTH(a_pool_in_a_storm, .timeout = 30)
{
    long in[300], out[300];

    start_hail();
    weft_executor *ex = weft_thread_pool(.workers = 3);
    for (int i = 0; i < 300; i++)
        in[i] = i;
    kit_assert_code(weft_map(ex, nap_job, in, 300, out, .chunk = 1), 0);
    kit_assert_code(weft_executor_close(ex), 0);
    end_hail();
    for (int i = 0; i < 300; i++)
        ck_assert_int_eq(out[i], i);
}

KIT_BOTH(deadlines_in_a_storm, .timeout = 30)
{
    struct kit_gate gate = kit_gate_new();
    int ends[2];
    char c;

    ck_assert_int_eq(pipe(ends), 0);
    start_hail();
    for (int i = 0; i < 20; i++) {
        double before = weft_now();
        WEFT_TIMEOUT(0.001);
        if (i % 2)
            kit_assert_code(kit_gate_wait(&gate), -ETIMEDOUT);
        else
            kit_assert_code(weft_read(ends[0], &c, 1), -ETIMEDOUT);
        ck_assert(weft_now() - before >= 0.001 - 1e-6);
    }
    end_hail();
    weft_close(ends[0]);
    weft_close(ends[1]);
    kit_gate_free(&gate);
}

WEFT_TEST(several_workers_in_a_storm, .timeout = 30)
{
    start_storm();
    for (unsigned n = 1; n <= 4; n++)
        kit_assert_code(weft_run(sleep_exactly, NULL, .workers = n), 0);
    end_storm();
}

WEFT_TEST_MAIN("storm")
