// SPDX-License-Identifier: MIT
//
// Streams and connections that change hands at random: tasks of several
// workers and plain threads read, wait, give up by deadline or cancel and go
// on, all on the same descriptors. No byte and no connection is lost, doubled
// or misplaced, and everything ends.
#include "loop_test.h"

#include <pthread.h>
#include <stdlib.h>

static size_t below(uint64_t *state, size_t limit)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (size_t)(*state >> 33) % limit;
}

static int scale(void)
{
    return getenv("WEFT_STRESS") ? 20 : 1;
}

// Streams ---------------------------------------------------------------------

struct stream {
    int fds[2]; // read, write
    size_t size;
    size_t at; // read so far
    uint64_t random;
    int failed;
};

static char pattern(size_t at)
{
    return (char)(at * 31 + (at >> 8) * 7);
}

static int write_all(void *arg)
{
    struct stream *s = arg;
    uint64_t random = weft_test_seed() ^ (uint64_t)s->fds[1];
    char buf[3000];
    size_t at = 0;

    while (at < s->size) {
        size_t n = 1 + below(&random, below(&random, 10) ? 40 : 3000);

        if (n > s->size - at)
            n = s->size - at;
        for (size_t i = 0; i < n; i++)
            buf[i] = pattern(at + i);
        if (weft_write_all(s->fds[1], buf, n) != (ssize_t)n)
            return -EIO;
        at += n;
        if (!below(&random, 4))
            weft_sleep((double)below(&random, 300) * 1e-6);
    }
    return weft_close(s->fds[1]);
}

// One read, perhaps with a deadline, perhaps after a wait. 0 at the end.
static int read_some(struct stream *s)
{
    char buf[4096];
    ssize_t n;

    WEFT_TIMEOUT(below(&s->random, 3) ? 10
                                      : (double)below(&s->random, 500) * 1e-6);
    if (!below(&s->random, 20)) {
        n = weft_fd_wait(s->fds[0], WEFT_READABLE);
        if (n == -ETIMEDOUT)
            return 1;
    }
    n = weft_read(s->fds[0], buf, 1 + below(&s->random, sizeof(buf)));
    if (n == -ETIMEDOUT)
        return 1;
    if (n < 0)
        s->failed = (int)n;
    for (ssize_t i = 0; i < n; i++)
        if (buf[i] != pattern(s->at + (size_t)i))
            s->failed = -EILSEQ;
    s->at += n > 0 ? (size_t)n : 0;
    return n > 0 && !s->failed;
}

static int read_part(void *arg)
{
    struct stream *s = arg;
    size_t reads = 1 + below(&s->random, 60);

    while (reads-- && read_some(s))
        continue;
    return 0;
}

// The reader changes: this task, another task (of any worker), a thread.
static int pass_on(void *arg)
{
    struct stream *s = arg;

    while (s->at < s->size && !s->failed) {
        switch (below(&s->random, 3)) {
        case 0:
            read_part(s);
            break;
        case 1:
            weft_join(weft_task_start(read_part, s));
            break;
        default:
            weft_join(weft_thread_start(read_part, s));
            break;
        }
    }
    return s->failed ? s->failed : weft_close(s->fds[0]);
}

static int streams(void *arg)
{
    enum { N = 24 };
    static struct stream all[N];
    static weft_future *tasks[2 * N];

    (void)arg;
    for (int i = 0; i < N; i++) {
        all[i] = (struct stream){.size = 20000, .random = weft_test_random()};
        tcp_pair(all[i].fds);
        tasks[i] = weft_task_start(write_all, &all[i]);
        tasks[N + i] = weft_task_start(pass_on, &all[i]);
    }
    for (int i = 0; i < 2 * N; i++)
        ck_assert_int_eq(weft_join(tasks[i]), 0);
    for (int i = 0; i < N; i++)
        ck_assert_int_eq(all[i].at, all[i].size);
    return 0;
}

WEFT_TEST(streams_change_hands, .timeout = 60, .repeat = 3)
{
    int before = weft_test_count_fds();

    for (int i = 0; i < scale(); i++)
        ck_assert_int_eq(weft_run(streams, NULL, .workers = 3), 0);
    ck_assert_fds(before);
}

// Connections -----------------------------------------------------------------

#define CONNECTIONS 400

static struct {
    int listener;
    struct sockaddr_in addr;
    uint32_t seen[CONNECTIONS];
    uint32_t count;
} server;

static uint32_t seen_so_far(void)
{
    return __atomic_load_n(&server.count, __ATOMIC_ACQUIRE);
}

static int take_one(int fd)
{
    uint32_t name;

    if (weft_read(fd, &name, sizeof(name)) != sizeof(name))
        return -EIO;
    __atomic_fetch_add(&server.seen[name], 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&server.count, 1, __ATOMIC_RELEASE);
    return weft_close(fd);
}

static int accept_some(void *arg)
{
    uint64_t random = (uintptr_t)arg;

    while (seen_so_far() < CONNECTIONS) {
        WEFT_TIMEOUT((double)below(&random, 3000) * 1e-6);
        int fd = weft_accept(server.listener, NULL, NULL), rc = fd;

        if (fd >= 0) {
            WEFT_SHIELD(10);
            rc = take_one(fd);
        }
        if (rc < 0 && rc != -ETIMEDOUT)
            return rc;
    }
    return 0;
}

static int connect_all(void *arg)
{
    (void)arg;
    for (uint32_t i = 0; i < CONNECTIONS; i++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), rc;

        rc = weft_connect(fd, (struct sockaddr *)&server.addr,
                          sizeof(server.addr));
        if (rc == 0)
            rc = weft_write(fd, &i, sizeof(i)) == sizeof(i) ? 0 : -EIO;
        if (rc < 0 || (rc = weft_close(fd)) < 0)
            return rc;
    }
    return 0;
}

static int connections(void *arg)
{
    weft_future *all[8];
    int n = 0;

    (void)arg;
    memset(server.seen, 0, sizeof(server.seen));
    __atomic_store_n(&server.count, 0, __ATOMIC_RELEASE);
    server.listener = listen_loopback(&server.addr, 512);
    for (; n < 5; n++)
        all[n] =
            weft_task_start(accept_some, (void *)(uintptr_t)weft_test_random());
    for (; n < 7; n++)
        all[n] = weft_thread_start(accept_some,
                                   (void *)(uintptr_t)weft_test_random());
    all[n++] = weft_task_start(connect_all, NULL);
    while (n--)
        ck_assert_int_eq(weft_join(all[n]), 0);
    for (int i = 0; i < CONNECTIONS; i++)
        ck_assert_int_eq(server.seen[i], 1);
    return weft_close(server.listener);
}

WEFT_TEST(connections_find_a_taker, .timeout = 60, .repeat = 3)
{
    int before = weft_test_count_fds();

    for (int i = 0; i < scale(); i++)
        ck_assert_int_eq(weft_run(connections, NULL, .workers = 3), 0);
    ck_assert_fds(before);
}

// Closing ---------------------------------------------------------------------

struct victim {
    int fds[2];
    uint64_t random;
    uint32_t calls; // of weft_read that have begun
    uint32_t ended; // those that have returned
    uint32_t bytes; // what they got
};

static int read_until_closed(void *arg)
{
    struct victim *v = arg;
    char buf[64];
    ssize_t n;

    do {
        __atomic_fetch_add(&v->calls, 1, __ATOMIC_RELEASE);
        n = weft_read(v->fds[0], buf, sizeof(buf));
        __atomic_fetch_add(&v->bytes, n > 0 ? (uint32_t)n : 0,
                           __ATOMIC_RELEASE);
        __atomic_fetch_add(&v->ended, 1, __ATOMIC_RELEASE);
    } while (n > 0);
    return n == -ECANCELED ? 0 : n < 0 ? (int)n : -EIO;
}

// A call that begins after the close would be a mistake of this test: all bytes
// are read, all readers are in a call again, and have had time to go to sleep.
static void wait_for_readers(struct victim *v, uint32_t bytes)
{
    while (__atomic_load_n(&v->bytes, __ATOMIC_ACQUIRE) != bytes ||
           __atomic_load_n(&v->calls, __ATOMIC_ACQUIRE) -
                   __atomic_load_n(&v->ended, __ATOMIC_ACQUIRE) !=
               3)
        weft_sleep(0.001);
    weft_sleep(weft_test_seconds(0.05));
}

// Readers of all kinds wait on a socket; then somebody closes it.
static int close_under_them(void *arg)
{
    struct victim *v = arg;
    weft_future *readers[3];

    for (int round = 0; round < 10; round++) {
        tcp_pair(v->fds);
        v->calls = v->ended = v->bytes = 0;
        uint32_t bytes = 0;
        for (int i = 0; i < 3; i++)
            readers[i] = below(&v->random, 2)
                             ? weft_task_start(read_until_closed, v)
                             : weft_thread_start(read_until_closed, v);
        for (size_t i = below(&v->random, 8); i > 0; i--) {
            weft_write(v->fds[1], "xyz", 3);
            bytes += 3;
            weft_sleep((double)below(&v->random, 200) * 1e-6);
        }
        wait_for_readers(v, bytes);
        int rc = weft_close(v->fds[0]);
        for (int i = 0; i < 3; i++) {
            int code = weft_join(readers[i]);
            rc = rc ? rc : code;
        }
        if (rc < 0)
            return rc;
        weft_close(v->fds[1]);
    }
    return 0;
}

static int closers(void *arg)
{
    enum { N = 8 };
    static struct victim all[N];
    weft_future *tasks[N];

    (void)arg;
    for (int i = 0; i < N; i++) {
        all[i] = (struct victim){.random = weft_test_random()};
        tasks[i] = weft_task_start(close_under_them, &all[i]);
    }
    for (int i = 0; i < N; i++)
        ck_assert_int_eq(weft_join(tasks[i]), 0);
    return 0;
}

WEFT_TEST(closing_ends_every_wait, .timeout = 60)
{
    int before = weft_test_count_fds();

    for (int i = 0; i < scale(); i++)
        ck_assert_int_eq(weft_run(closers, NULL, .workers = 3), 0);
    ck_assert_fds(before);
}

WEFT_TEST_MAIN("loop chaos")
