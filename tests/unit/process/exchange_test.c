// SPDX-License-Identifier: MIT
// What Python's tests of connections, of waits for several of them, of shared
// values and of managers ask for and no other test here does;
// tests/behaviour/exchange says which is which.
#include "jobs.h"
#include "kit.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>

static void pair_of(weft_connection *pair[2])
{
    ck_assert_int_eq(weft_connection_pair(pair), 0);
}

// A child that has the other end of c, which the parent closes at once.
static weft_future *child_with(weft_function *fn, weft_connection *other,
                               int number)
{
    int fd = weft_connection_fd(other);
    weft_future *f = weft_process_start(fn, &number, sizeof number, .fds = &fd,
                                        .fd_count = 1);
    weft_connection_close(other);
    return f;
}

static weft_connection *connection_of_child(void)
{
    weft_connection *c;
    return weft_connection_adopt(weft_process_fd(0), &c) == 0 ? c : NULL;
}

// Connections -----------------------------------------------------------------

// Sends back what comes, until a message is empty.
static int echo(void *arg)
{
    (void)arg;
    weft_connection *c = connection_of_child();
    ssize_t size;
    while ((size = weft_connection_next(c)) > 0) {
        char *data = malloc((size_t)size);
        if (weft_connection_receive(c, data, (size_t)size) != size ||
            weft_connection_send(c, data, (size_t)size) != 0)
            return -EIO;
        free(data);
    }
    return (int)size;
}

WEFT_TEST(a_child_answers_at_the_other_end, .timeout = 30)
{
    enum { MUCH = 16 << 20 };
    static char out[MUCH], in[MUCH];
    weft_connection *p[2];
    pair_of(p);
    weft_future *child = child_with(echo, p[1], 0);
    ck_assert_int_eq(weft_connection_send(p[0], "hello", 5), 0);
    ck_assert_int_eq(weft_connection_receive(p[0], in, MUCH), 5);
    ck_assert(memcmp(in, "hello", 5) == 0);
    memset(out, 'X', MUCH);
    ck_assert_int_eq(weft_connection_send(p[0], out, MUCH), 0);
    ck_assert_int_eq(weft_connection_receive(p[0], in, MUCH), MUCH);
    ck_assert(memcmp(in, out, MUCH) == 0);
    ck_assert_int_eq(weft_connection_poll(p[0], 0), 0);
    ck_assert_int_eq(weft_connection_send(p[0], NULL, 0), 0);
    ck_assert_int_eq(weft_join(child), 0);
    ck_assert_int_eq(weft_connection_receive(p[0], in, 1), -WEFT_ECLOSED);
    weft_connection_close(p[0]);
}

// A poll looks and takes nothing, not even a part; who polls may be another
// process than who receives.
static int look_only(void *arg)
{
    (void)arg;
    weft_connection *c = connection_of_child();
    for (int i = 0; i < 3; i++)
        if (weft_connection_poll(c, 5) != 1)
            return -EIO;
    return 0;
}

WEFT_TEST(a_poll_takes_nothing, .timeout = 20)
{
    weft_connection *p[2];
    char buf[8];
    pair_of(p);
    int fd = weft_connection_fd(p[0]);
    weft_future *child =
        weft_process_start(look_only, NULL, 0, .fds = &fd, .fd_count = 1);
    weft_connection_send(p[1], "", 0);
    weft_connection_send(p[1], "a", 1);
    weft_connection_send(p[1], "bc", 2);
    ck_assert_int_eq(weft_join(child), 0);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(weft_connection_poll(p[0], 1), 1);
        ck_assert_int_eq(weft_connection_poll(p[0], 0), 1);
        ck_assert_int_eq(weft_connection_receive(p[0], buf, sizeof buf), i);
    }
    ck_assert_int_eq(weft_connection_poll(p[0], -1), 0);
    weft_connection_close(p[0]);
    weft_connection_close(p[1]);
}

// Two connections come to the child over the first: it writes to one and reads
// from the other.
static int use_what_comes(void *arg)
{
    (void)arg;
    weft_connection *first = connection_of_child(), *c[2];
    int fds[2];
    unsigned n = 0;
    char text[32];
    if (weft_connection_receive(first, text, sizeof text, .fds = fds,
                                .fd_room = 2, .fd_count = &n) != 2 ||
        n != 2)
        return -EIO;
    for (int i = 0; i < 2; i++)
        if (weft_connection_adopt(fds[i], &c[i]) != 0)
            return -EIO;
    weft_connection_send(c[0], "all is well", 11);
    ssize_t size = weft_connection_receive(c[1], text, sizeof text);
    return size < 0 ? (int)size
                    : weft_connection_send(first, text, (size_t)size);
}

WEFT_TEST(connections_travel_in_connections, .timeout = 20)
{
    weft_connection *p[2], *to_me[2], *from_me[2];
    char text[32];
    pair_of(p);
    pair_of(to_me);
    pair_of(from_me);
    weft_future *child = child_with(use_what_comes, p[1], 0);
    int fds[] = {weft_connection_fd(to_me[1]), weft_connection_fd(from_me[1])};
    ck_assert_int_eq(
        weft_connection_send(p[0], "2!", 2, .fds = fds, .fd_count = 2), 0);
    weft_connection_close(to_me[1]);
    weft_connection_close(from_me[1]);
    weft_connection_send(from_me[0], "foobar", 6);
    ck_assert_int_eq(weft_connection_receive(to_me[0], text, sizeof text), 11);
    ck_assert(memcmp(text, "all is well", 11) == 0);
    ck_assert_int_eq(weft_connection_receive(p[0], text, sizeof text), 6);
    ck_assert(memcmp(text, "foobar", 6) == 0);
    ck_assert_int_eq(weft_join(child), 0);
    weft_connection_close(to_me[0]);
    weft_connection_close(from_me[0]);
    weft_connection_close(p[0]);
}

// Signals ---------------------------------------------------------------------

// A wait of the test's thread, which another one disturbs and then ends.
struct disturbed {
    pthread_t who;
    weft_connection *p[2];
    char name[64];
    int pipe[2];
    void (*release)(struct disturbed *);
};

static int signals_seen;

static void note_signal(int signal)
{
    (void)signal;
    __atomic_fetch_add(&signals_seen, 1, __ATOMIC_RELAXED);
}

static void *disturb(void *arg)
{
    struct disturbed *d = arg;
    for (int i = 0; i < 300; i++) {
        pthread_kill(d->who, SIGUSR1);
        sched_yield();
    }
    d->release(d);
    return NULL;
}

static pthread_t disturbed_until(struct disturbed *d,
                                 void (*release)(struct disturbed *))
{
    pthread_t thread;
    d->release = release;
    ck_assert_int_eq(pthread_create(&thread, NULL, disturb, d), 0);
    return thread;
}

static void send_one(struct disturbed *d)
{
    weft_connection_send(d->p[1], "x", 1);
}

static void empty_it(struct disturbed *d)
{
    static char buf[1000];
    while (weft_connection_receive(d->p[1], buf, 1000) > 1)
        ;
}

static void connect_to_it(struct disturbed *d)
{
    weft_connection *c;
    weft_connection_open(d->name, &c);
    weft_connection_close(c);
}

static void write_to_it(struct disturbed *d)
{
    if (write(d->pipe[1], "x", 1) != 1)
        abort();
}

static int read_one(void *arg)
{
    char x;
    (void)arg;
    return (int)read(weft_process_fd(0), &x, 1);
}

static void expect_message(struct disturbed *d)
{
    char x;
    pthread_t other = disturbed_until(d, send_one);
    ck_assert_int_eq(weft_connection_receive(d->p[0], &x, 1), 1);
    pthread_join(other, NULL);
    other = disturbed_until(d, send_one);
    ck_assert_int_eq(weft_connection_poll(d->p[0], 100), 1);
    pthread_join(other, NULL);
    ck_assert_int_eq(weft_connection_receive(d->p[0], &x, 1), 1);
}

static void expect_room(struct disturbed *d)
{
    static const char much[1000];
    while (weft_connection_send(d->p[0], much, 1000, .nowait = true) == 0)
        ;
    pthread_t other = disturbed_until(d, empty_it);
    ck_assert_int_eq(weft_connection_send(d->p[0], much, 1000), 0);
    ck_assert_int_eq(weft_connection_send(d->p[0], "x", 1), 0); // the last
    pthread_join(other, NULL);
}

static void expect_client(struct disturbed *d)
{
    weft_connection_listener *l;
    weft_connection *c;
    snprintf(d->name, sizeof d->name, "disturbed.%d", (int)getpid());
    ck_assert_int_eq(weft_connection_listen(d->name, &l), 0);
    pthread_t other = disturbed_until(d, connect_to_it);
    ck_assert_int_eq(weft_connection_accept(l, &c), 0);
    pthread_join(other, NULL);
    weft_connection_close(c);
    weft_connection_listener_close(l);
}

static void expect_end_of_process(struct disturbed *d)
{
    ck_assert_int_eq(pipe2(d->pipe, O_CLOEXEC), 0);
    weft_future *child =
        weft_process_start(read_one, NULL, 0, .fds = d->pipe, .fd_count = 1);
    pthread_t other = disturbed_until(d, write_to_it);
    ck_assert_int_eq(weft_join(child), 1);
    pthread_join(other, NULL);
    close(d->pipe[0]);
    close(d->pipe[1]);
}

WEFT_TEST(signals_do_not_end_a_wait, .timeout = 60)
{
    struct disturbed d = {.who = pthread_self()};
    const struct sigaction action = {.sa_handler = note_signal};
    struct sigaction before;
    sigaction(SIGUSR1, &action, &before);
    pair_of(d.p);
    expect_message(&d);
    expect_room(&d);
    expect_client(&d);
    expect_end_of_process(&d);
    ck_assert_int_gt(signals_seen, 0);
    weft_connection_close(d.p[0]);
    weft_connection_close(d.p[1]);
    sigaction(SIGUSR1, &before, NULL);
}

// Waiting for several ---------------------------------------------------------

enum { SENDERS = 4, EACH = 10 };

static int send_numbers(void *arg)
{
    weft_connection *c = connection_of_child();
    int rc = 0;
    for (int i = 0; i < EACH && rc == 0; i++)
        rc = weft_connection_send(c, &i, sizeof i);
    return rc < 0 ? rc : *(int *)arg;
}

static int write_numbers(void *arg)
{
    for (int i = 0; i < EACH; i++)
        if (write(weft_process_fd(0), &i, sizeof i) != sizeof i)
            return -EIO;
    return *(int *)arg;
}

struct sender {
    weft_connection *c; // or
    int fd;             // a socket
    weft_future *process;
    int next; // number that comes
};

static void sender_init(struct sender *s, int number)
{
    weft_connection *p[2];
    int ends[2];
    *s = (struct sender){0};
    if (number % 2 == 0) {
        pair_of(p);
        s->c = p[0];
        s->process = child_with(send_numbers, p[1], number);
        return;
    }
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends),
                     0);
    s->fd = ends[0];
    s->process = weft_process_start(write_numbers, &number, sizeof number,
                                    .fds = &ends[1], .fd_count = 1);
    close(ends[1]);
}

// Whether it has more to send.
static bool take_number(struct sender *s)
{
    int x;
    ssize_t n = s->c != NULL ? weft_connection_receive(s->c, &x, sizeof x)
                             : read(s->fd, &x, sizeof x);
    if (n == sizeof x) {
        ck_assert_int_eq(x, s->next++);
        return true;
    }
    ck_assert_int_eq(n, s->c != NULL ? -WEFT_ECLOSED : 0);
    return false;
}

static void sender_fini(struct sender *s, int number)
{
    ck_assert_int_eq(s->next, EACH);
    ck_assert_int_eq(weft_join(s->process), number);
    weft_connection_close(s->c);
    if (s->c == NULL)
        close(s->fd);
}

WEFT_TEST(connections_sockets_and_processes_at_once, .timeout = 30)
{
    struct sender senders[SENDERS];
    struct weft_case cases[2 * SENDERS];
    for (int i = 0; i < SENDERS; i++) {
        struct sender *s = &senders[i];
        sender_init(s, i);
        int fd = s->c != NULL ? weft_connection_fd(s->c) : s->fd;
        cases[2 * i] = (struct weft_case)WEFT_CASE_READY(fd, WEFT_READABLE);
        cases[2 * i + 1] = (struct weft_case)WEFT_CASE_FUTURE(s->process);
    }
    for (int left = 2 * SENDERS; left > 0;) {
        int i = weft_select(cases, 2 * SENDERS);
        ck_assert_int_ge(i, 0);
        if (i % 2 == 0 && take_number(&senders[i / 2]))
            continue;
        cases[i].kind = WEFT_CASE_IS_NONE;
        left--;
    }
    for (int i = 0; i < SENDERS; i++)
        sender_fini(&senders[i], i);
}

WEFT_TEST(a_wait_for_several_may_end_without)
{
    weft_connection *p[2];
    pair_of(p);
    struct weft_case cases[] = {
        WEFT_CASE_READY(weft_connection_fd(p[0]), WEFT_READABLE),
        WEFT_CASE_READY(weft_connection_fd(p[1]), WEFT_READABLE),
    };
    ck_assert_int_eq(weft_select(cases, 2, .timeout = 0.001), -ETIMEDOUT);
    ck_assert_int_eq(weft_select(cases, 2, .timeout = -1), -ETIMEDOUT);
    ck_assert_int_eq(weft_select(cases, 2, .nowait = true), -EAGAIN);
    weft_connection_send(p[1], "x", 1);
    ck_assert_int_eq(weft_select(cases, 2, .timeout = 20), 0);
    weft_connection_close(p[0]);
    weft_connection_close(p[1]);
}

// Shared values ---------------------------------------------------------------

struct point {
    int x;
    double y;
    int64_t z;
};

struct values {
    int i;
    double d;
    short h;
    int64_t q;
    char c;
    struct point point;
    int sums[10];
    char text[20];
};

static int change_all(void *arg)
{
    weft_arena *a;
    struct values *v = weft_arena_open(*(const struct weft_arena_ref *)arg, &a);
    v->i *= 2;
    v->d *= 2;
    v->h *= 2;
    v->q *= 2;
    v->c = 'y';
    v->point.x *= 2;
    v->point.y *= 2;
    v->point.z *= 2;
    for (int i = 1; i < 10; i++)
        v->sums[i] += v->sums[i - 1];
    memcpy(v->text + strlen(v->text), "hello", 6);
    weft_arena_close(a);
    return 0;
}

WEFT_TEST(values_arrays_and_structures, .timeout = 20)
{
    weft_arena *a;
    ck_assert_int_eq(weft_arena_new(1 << 20, &a), 0);
    struct values *v = weft_arena_value(a, struct values);
    ck_assert_int_eq(v->sums[9], 0);
    *v = (struct values){.i = 7,
                         .d = 1.0 / 3,
                         .h = -232,
                         .q = 1l << 33,
                         .c = 'x',
                         .point = {3, 2.5, 1l << 33},
                         .sums = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1},
                         .text = "hello"};
    struct weft_arena_ref ref = weft_arena_ref(a, v);
    expect(weft_process_start(change_all, &ref, sizeof ref), 0);
    ck_assert_int_eq(v->i, 14);
    ck_assert_double_eq(v->d, 2.0 / 3);
    ck_assert_int_eq(v->h, -464);
    ck_assert_int_eq(v->q, 1l << 34);
    ck_assert_int_eq(v->c, 'y');
    ck_assert_int_eq(v->point.x, 6);
    ck_assert_double_eq(v->point.y, 5);
    ck_assert_int_eq(v->point.z, 1l << 34);
    ck_assert_int_eq(v->sums[9], 10);
    ck_assert_str_eq(v->text, "hellohello");
    weft_arena_close(a);
}

// Zeroed each time, whatever the memory held before.
WEFT_TEST(an_array_is_zeroed_each_time)
{
    weft_arena *a;
    ck_assert_int_eq(weft_arena_new(1 << 20, &a), 0);
    for (int round = 0; round < 3; round++) {
        int *array = weft_arena_array(a, int, 10);
        for (int i = 0; i < 10; i++) {
            ck_assert_int_eq(array[i], 0);
            array[i] = i + 1;
        }
        weft_arena_free(a, array);
    }
    weft_arena_close(a);
    ck_assert_int_eq(weft_arena_new(0, &a), -EINVAL);
}

struct visit {
    char name[64];
    bool killed;
};

static int visit_arena(void *arg)
{
    const struct visit *visit = arg;
    weft_arena *a;
    int rc = weft_arena_find(visit->name, &a);
    if (rc < 0)
        return rc;
    ++*(long *)weft_arena_root(a);
    if (visit->killed)
        raise(SIGKILL);
    weft_arena_close(a);
    return 0;
}

WEFT_TEST(an_arena_outlives_its_visitors, .timeout = 20)
{
    struct visit visit = {.killed = false};
    weft_arena *a, *again;
    snprintf(visit.name, sizeof visit.name, "visited.%d", (int)getpid());
    ck_assert_int_eq(weft_arena_new(1 << 20, &a, .name = visit.name), 0);
    long *visits = weft_arena_value(a, long);
    weft_arena_set_root(a, visits);
    for (int i = 0; i < 4; i++) {
        visit.killed = i % 2;
        expect(weft_process_start(visit_arena, &visit, sizeof visit),
               visit.killed ? -WEFT_ECRASHED : 0);
        ck_assert_int_eq(*visits, i + 1);
    }
    ck_assert_int_eq(weft_arena_find(visit.name, &again), 0);
    weft_arena_close(again);
    weft_arena_close(a);
    ck_assert_int_eq(weft_arena_find(visit.name, &again), -ENOENT);
}

// Queues ----------------------------------------------------------------------

static int put_if_empty(void *arg)
{
    weft_queue *q = weft_queue_open(*(const struct weft_arena_ref *)arg);
    int rc = 0;
    for (int i = 0; i < 2 && rc == 0; i++) {
        uint64_t was_empty = weft_queue_empty(q);
        rc = weft_queue_put(q, &was_empty);
    }
    weft_queue_free(q);
    return rc;
}

WEFT_TEST(a_queue_tells_whether_it_is_empty, .timeout = 20)
{
    weft_arena *a;
    ck_assert_int_eq(weft_arena_new(1 << 20, &a), 0);
    weft_queue *q = weft_queue_new(.arena = a, .item = sizeof(uint64_t));
    struct weft_arena_ref ref = weft_queue_ref(q);
    uint64_t was_empty;
    ck_assert(weft_queue_empty(q));
    expect(weft_process_start(put_if_empty, &ref, sizeof ref), 0);
    ck_assert_uint_eq(weft_queue_size(q), 2);
    for (uint64_t i = 0; i < 2; i++) {
        ck_assert(!weft_queue_empty(q));
        ck_assert_int_eq(weft_queue_get(q, &was_empty), 0);
        ck_assert_uint_eq(was_empty, i == 0);
    }
    ck_assert(weft_queue_empty(q));
    weft_queue_free(q);
    weft_arena_close(a);
}

// What was put before the process began comes before what it puts itself.
static int put_ten_more(void *arg)
{
    weft_queue *q = weft_queue_open(*(const struct weft_arena_ref *)arg);
    int rc = 0;
    for (uint64_t i = 10; i < 20 && rc == 0; i++)
        rc = weft_queue_put(q, &i);
    weft_queue_free(q);
    return rc;
}

WEFT_TEST(a_queue_that_is_in_use_is_handed_on, .timeout = 20)
{
    weft_arena *a;
    ck_assert_int_eq(weft_arena_new(1 << 20, &a), 0);
    weft_queue *q = weft_queue_new(.arena = a, .item = sizeof(uint64_t));
    struct weft_arena_ref ref = weft_queue_ref(q);
    uint64_t x;
    for (uint64_t i = 0; i < 10; i++)
        ck_assert_int_eq(weft_queue_put(q, &i), 0);
    weft_future *child = weft_process_start(put_ten_more, &ref, sizeof ref);
    for (uint64_t i = 0; i < 20; i++) {
        ck_assert_int_eq(weft_queue_get(q, &x), 0);
        ck_assert_uint_eq(x, i);
    }
    ck_assert_int_eq(weft_queue_try_get(q, &x), -EAGAIN);
    expect(child, 0);
    weft_queue_free(q);
    weft_arena_close(a);
}

// Managers --------------------------------------------------------------------

static void *counter_new(const void *arg, size_t size)
{
    (void)arg;
    (void)size;
    return calloc(1, sizeof(long));
}

WEFT_JOB(long, count_one)
{
    return ++*(long *)weft_manager_state();
}

WEFT_TEST(managers_come_and_go, .timeout = 30)
{
    int fds = weft_test_count_fds();
    for (int i = 0; i < 5; i++) {
        weft_manager *m = weft_manager_start(counter_new, NULL, 0);
        expect_long(weft_manager_call(m, count_one), 1);
        expect_long(weft_manager_call(m, count_one), 2);
        ck_assert_int_eq(weft_manager_close(m), 0);
        if (i == 0)
            fds = weft_test_count_fds(); // those that stay for the next
    }
    ck_assert_int_eq(weft_test_count_fds(), fds);
}

WEFT_TEST_MAIN("exchange")
