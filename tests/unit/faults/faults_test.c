// SPDX-License-Identifier: MIT
//
// Each use of the library runs with its first call for memory, a descriptor or
// a thread failing, its second, and so on: once with that one alone, once with
// twenty in a row. It must end, with what it should give or a code; and once
// there is enough again, the same use in the same process succeeds.
//
// Every attempt is a forked process of its own: a crash or a hang is its own.
// For a debugger: FAULT=N, or FAULT=N+ for twenty from the N-th on, makes the
// one attempt in the process itself: `FAULT=3+ faults_test --no-fork CASE`.
#include <stdio.h>
#include <weft.h>

#define WEFT_TEST_ENTRY() weft_main_hook()
#include "base/sanitizer_detect.h"
#include "kit.h"

#include "faults.h"

// A use gives 0, or the code of what failed. What is simply wrong ends the
// process with status 3.
typedef int use(void);

#define HOLDS(condition)                                                       \
    do {                                                                       \
        if (!(condition)) {                                                    \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);    \
            _exit(3);                                                          \
        }                                                                      \
    } while (0)

static int first_of(int rc, int next)
{
    return rc < 0 ? rc : next < 0 ? next : 0;
}

static int attempt(use *fn, long at, long length, unsigned kinds)
{
    faults_arm(kinds, at, length);
    int rc = fn();
    faults_arm(0, -1, 0);
    HOLDS(rc == 0 || at >= 0);
    rc = fn();
    if (rc != 0)
        fprintf(stderr, "afterwards: %s\n", weft_error_name(rc));
    return rc == 0 ? 0 : 4;
}

// How many calls a use makes, counted in a process of its own.
static long count_calls(use *fn, unsigned kinds)
{
    int fds[2];
    long n = -1;

    ck_assert_int_eq(pipe(fds), 0);
    pid_t pid = fork();
    if (pid == 0) {
        faults_arm(kinds, -1, 0);
        int rc = fn();
        n = rc == 0 ? __atomic_load_n(&fault_calls, __ATOMIC_SEQ_CST) : -1;
        _exit(write(fds[1], &n, sizeof n) == sizeof n ? 0 : 1);
    }
    ck_assert_int_eq(read(fds[0], &n, sizeof n), sizeof n);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    close(fds[0]);
    close(fds[1]);
    return n;
}

static void try_one(use *fn, const char *what, long at, long length,
                    unsigned kinds)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        signal(SIGALRM, SIG_DFL); // Check's handler would kill the case
        alarm((unsigned)weft_test_seconds(10));
        _exit(attempt(fn, at, length, kinds));
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(status == 0, "%s, call %ld%s: wait status 0x%x", what, at,
                  length > 1 ? " and more" : "", (unsigned)status);
}

enum {
    // Faults tried: the first ones, and so many of the rest. A process of a
    // program with TSan begins slowly.
    FIRST = WI_TSAN ? 12 : 60,
    MOST = WI_TSAN ? 20 : 120,
    LONG = 20,
};

static void try_all(use *fn, unsigned kinds)
{
    static const char *const names[] = {
        [FAULT_MEMORY] = "memory",   [FAULT_FDS] = "descriptors",
        [FAULT_THREADS] = "threads", [FAULT_ROOM] = "room",
        [FAULT_WATCHES] = "watches",
    };
    const char *only = getenv("FAULT");
    if (only != NULL) {
        long length = strchr(only, '+') != NULL ? LONG : 1;
        ck_assert_int_eq(attempt(fn, atol(only), length, kinds), 0);
        return;
    }
    long calls = count_calls(fn, kinds);

    ck_assert_int_ge(calls, 0);
    for (long at = 0; at < calls; at += 1 + (at > FIRST) * (calls / MOST)) {
        try_one(fn, names[kinds], at, 1, kinds);
        try_one(fn, names[kinds], at, LONG, kinds);
    }
}

#define SCARCE_OF(name, what, kind)                                            \
    WEFT_TEST(name##_without_##what, .timeout = 60)                            \
    {                                                                          \
        try_all(use_##name, kind);                                             \
    }
#define SCARCE(name)                                                           \
    static int use_##name(void);                                               \
    SCARCE_OF(name, memory, FAULT_MEMORY)                                      \
    SCARCE_OF(name, descriptors, FAULT_FDS)                                    \
    SCARCE_OF(name, threads, FAULT_THREADS)                                    \
    static int use_##name(void)
// Of what lies in shared memory also without room in it.
#define SCARCE_SHARED(name)                                                    \
    static int use_##name(void);                                               \
    SCARCE_OF(name, room, FAULT_ROOM)                                          \
    SCARCE(name)

// Of what has processes also without the means to hear of them.
#define SCARCE_PROCESSES(name)                                                 \
    static int use_##name(void);                                               \
    SCARCE_OF(name, watches, FAULT_WATCHES)                                    \
    SCARCE_SHARED(name)

// Tasks -----------------------------------------------------------------------

static int nap_and_count(void *arg)
{
    int rc = weft_sleep(0.0001);
    kit_count(arg);
    return rc;
}

static int many_tasks(void *arg)
{
    int ran = 0, dropped = 0, rc = 0;
    weft_future *fs[20];

    (void)arg;
    for (int i = 0; i < 20; i++)
        fs[i] = weft_task_start(i % 2 ? nap_and_count : kit_count, &ran,
                                .name = i % 3 ? NULL : "named");
    for (int i = 0; i < 20; i++) {
        int code = weft_join(fs[i]);
        dropped += code < 0;
        rc = first_of(rc, code);
    }
    HOLDS(kit_load(&ran) + dropped >= 20);
    return rc;
}

SCARCE(tasks)
{
    return weft_run(many_tasks, NULL, .workers = 2);
}

SCARCE(tasks_of_a_thread)
{
    return many_tasks(NULL);
}

// Groups and scopes -----------------------------------------------------------

static int grouped(void *arg)
{
    int ran = 0, started = 0, rc = 0;
    weft_group *g = weft_group_open(.name = "scarce");

    (void)arg;
    for (int i = 0; i < 10; i++) {
        weft_future *f = weft_task_start(nap_and_count, &ran);
        started++;
        weft_future_unref(f);
    }
    rc = weft_group_close(g);
    HOLDS(rc < 0 || kit_load(&ran) == started);
    {
        WEFT_TIMEOUT(0.001);
        int code = weft_join(weft_task_start(kit_block, NULL));
        HOLDS(code < 0);
        if (code != -ETIMEDOUT && code != -WEFT_EJOBCANCELED)
            rc = first_of(rc, code);
    }
    return rc;
}

// Without memory to open a group the program ends.
static int use_groups(void)
{
    return weft_run(grouped, NULL);
}
SCARCE_OF(groups, descriptors, FAULT_FDS)
SCARCE_OF(groups, threads, FAULT_THREADS)

// Threads ---------------------------------------------------------------------

SCARCE(threads)
{
    int ran = 0, rc = 0;
    weft_future *fs[4];

    for (int i = 0; i < 4; i++)
        fs[i] = weft_thread_start(nap_and_count, &ran, .name = "t");
    for (int i = 0; i < 4; i++)
        rc = first_of(rc, weft_join(fs[i]));
    HOLDS(rc < 0 || kit_load(&ran) == 4);
    return rc;
}

// Promises and waits ----------------------------------------------------------

static int keep(void *arg)
{
    weft_promise_keep(arg, 7, NULL, 0, "kept");
    return 0;
}

static void drop_promise(void *promise)
{
    weft_promise_drop(promise);
}

static int waits(void *arg)
{
    struct kit_gate gate = kit_gate_new();
    weft_future *fs[3] = {
        gate.future,
        weft_task_start(nap_and_count, arg),
        weft_thread_start(keep, gate.promise, .drop = drop_promise),
    };
    int rc = 0, code;

    code = weft_wait(fs, 3, WEFT_ALL_COMPLETED, weft_test_seconds(5));
    HOLDS(code != -ETIMEDOUT);
    rc = first_of(rc, code < 0 ? code : 0);
    code = weft_get_into(gate.future, NULL, 0);
    HOLDS(code == 7 || code < 0);
    rc = first_of(rc, code < 0 ? code : 0);
    weft_future_unref(fs[0]);
    rc = first_of(rc, weft_join(fs[1]));
    return first_of(rc, weft_join(fs[2]));
}

SCARCE(waiting)
{
    int ran = 0;
    return weft_run(waits, &ran);
}

// Queues ----------------------------------------------------------------------

static int produce(void *arg)
{
    for (long i = 1; i <= 300; i++) {
        int rc = weft_queue_put(arg, &i);
        if (rc < 0) {
            weft_queue_shutdown(arg, false);
            return rc;
        }
    }
    return weft_queue_shutdown(arg, false);
}

static void drop_producer(void *q)
{
    weft_queue_shutdown(q, false);
}

static int queue_between(void *arg)
{
    weft_queue *q =
        weft_queue_new(.item = sizeof(long), .maxsize = arg ? 0 : 8);
    weft_future *f = weft_task_start(produce, q, .drop = drop_producer);
    long item, sum = 0, want = 0, n = 0;
    int rc;

    while ((rc = weft_queue_get(q, &item)) == 0) {
        HOLDS(item == ++n);
        sum += item;
        want += n;
    }
    HOLDS(sum == want);
    int code = weft_join(f);
    weft_queue_free(q);
    rc = first_of(rc == -WEFT_ECLOSED ? 0 : rc, code);
    HOLDS(rc < 0 || n == 300);
    return rc;
}

SCARCE(queues)
{
    return weft_run(queue_between, NULL);
}

SCARCE(queues_without_bound)
{
    return queue_between(kit_number(1));
}

// Timers ----------------------------------------------------------------------

static void ring(void *arg)
{
    kit_count(arg);
}

// Each that was set rings, though maybe later.
static int set_timers(void *arg)
{
    enum { N = 8 };
    struct weft_timer timers[N] = {{.state = 0}};
    int rings = 0, set = 0, rc = 0;

    (void)arg;
    for (int i = 0; i < N; i++) {
        int code = weft_timer_start(&timers[i], 0.0001 * i, ring, &rings);
        set += code == 0;
        rc = first_of(rc, code);
    }
    for (int i = 0; i < N; i++)
        rc = first_of(rc, weft_timer_join(&timers[i]));
    HOLDS(rings == set);
    return rc;
}

SCARCE(timers)
{
    return weft_run(set_timers, NULL);
}

// Pools -----------------------------------------------------------------------

WEFT_JOB(long, square, long, x)
{
    weft_sleep(x % 3 ? 0 : 0.0001);
    return x * x;
}

WEFT_JOB(struct weft_bytes, repeat, struct weft_bytes, in)
{
    struct weft_bytes out = weft_bytes_copy(in.data, in.len);
    if (out.data == NULL)
        weft_fail(-ENOMEM, "no memory for a copy");
    return out;
}

static int use_pool(weft_executor *ex)
{
    long in[40], out[40] = {0}, value = 0;
    struct weft_bytes bytes = {"some bytes that are longer than a word", 39};
    struct weft_bytes back = {NULL, 0};
    int rc = 0, code;

    for (long i = 0; i < 40; i++)
        in[i] = i;
    code = weft_map(ex, square, in, 40, out, .chunk = 8);
    for (long i = 0; i < 40 && code >= 0; i++)
        HOLDS(out[i] == i * i);
    rc = first_of(rc, code);
    code = weft_result(weft_submit(ex, square, 9), &value);
    HOLDS(code < 0 || value == 81);
    rc = first_of(rc, code);
    code = weft_result(weft_submit_job(ex, &weft_job_repeat, &bytes), &back);
    HOLDS(code < 0 || (back.len == 39 && !memcmp(back.data, bytes.data, 39)));
    weft_bytes_free(&back);
    rc = first_of(rc, code);
    return first_of(rc, weft_executor_close(ex));
}

SCARCE(thread_pools)
{
    return use_pool(weft_thread_pool(.workers = 2));
}

SCARCE(blocking_pools)
{
    return use_pool(weft_thread_pool(.workers = 2, .blocking = true));
}

SCARCE(inline_executors)
{
    return use_pool(weft_inline_executor());
}

static int use_loop_executor(void *arg)
{
    (void)arg;
    return use_pool(weft_loop_executor());
}

SCARCE(loop_executors)
{
    return weft_run(use_loop_executor, NULL);
}

static int inside; // of jobs that have begun and not ended

WEFT_JOB(long, lingers, long, x)
{
    WEFT_SHIELD(INFINITY);
    __atomic_fetch_add(&inside, 1, __ATOMIC_SEQ_CST);
    weft_sleep(0.001);
    __atomic_fetch_sub(&inside, 1, __ATOMIC_SEQ_CST);
    return x;
}

static int make_one(void *element, void *arg)
{
    long *left = arg;
    *(long *)element = *left;
    return --*left >= 0;
}

static int take_one(size_t i, int code, const void *result, void *arg)
{
    (void)i;
    (void)result;
    (void)arg;
    return code;
}

// The memory of a map is the caller's when it returns, whatever was missing: no
// job is left that has it. The wait for more than eight needs memory itself.
SCARCE(wide_maps)
{
    enum { WIDE = 12 };
    long in[WIDE] = {0}, out[WIDE], left = WIDE;
    weft_executor *ex = weft_thread_pool(.workers = 2);
    int rc = weft_map(ex, lingers, in, WIDE, out, .chunk = 1, .window = WIDE);
    HOLDS(__atomic_load_n(&inside, __ATOMIC_SEQ_CST) == 0);
    rc = first_of(rc, weft_map_stream(ex, lingers, make_one, take_one, &left,
                                      .chunk = 1));
    HOLDS(__atomic_load_n(&inside, __ATOMIC_SEQ_CST) == 0);
    return first_of(rc, weft_executor_close(ex));
}

SCARCE_PROCESSES(process_pools)
{
    return use_pool(weft_process_pool(.workers = 1));
}

// More than a pipe takes: somebody has to read it.
WEFT_JOB(long, say_much)
{
    static char line[1 << 10];
    memset(line, '.', sizeof line);
    for (int i = 0; i < 128; i++)
        if (write(1, line, sizeof line) != sizeof line)
            weft_fail(-errno, "write");
    return 0;
}

SCARCE_PROCESSES(pools_that_are_heard)
{
    const struct weft_process_options like = {.size = sizeof like,
                                              .out = WEFT_DEV_CAPTURE};
    weft_executor *ex = weft_process_pool(.workers = 1, .process = &like);
    int rc = weft_join(weft_submit(ex, say_much));
    return first_of(rc, weft_executor_close(ex));
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

SCARCE_PROCESSES(processes)
{
    int rc = weft_join(weft_process_start(nothing, "x", 2));
    HOLDS(rc <= 0);
    return rc;
}

// Arguments and results that lie in windows behind the rings.
SCARCE_PROCESSES(large_arguments)
{
    enum { SIZE = 300000 };
    char *much = calloc(1, SIZE);
    struct weft_bytes in = {much, SIZE}, out = {NULL, 0};
    weft_executor *ex = weft_process_pool(.workers = 1);
    int rc = much == NULL ? -ENOMEM : 0;

    for (int i = 0; i < 3 && much != NULL; i++) {
        int code =
            weft_result(weft_submit_job(ex, &weft_job_repeat, &in), &out);
        HOLDS(code < 0 || (out.len == SIZE && !memcmp(out.data, much, SIZE)));
        weft_bytes_free(&out);
        rc = first_of(rc, code);
    }
    free(much);
    return first_of(rc, weft_executor_close(ex));
}

// Shared memory ---------------------------------------------------------------

static int get_in_child(void *arg)
{
    weft_queue *q = weft_queue_open(*(struct weft_arena_ref *)arg);
    long x = 0, sum = 0;
    int rc;

    while ((rc = weft_queue_get(q, &x)) == 0)
        sum += x;
    weft_queue_free(q);
    return rc != -WEFT_ECLOSED ? rc : sum == 55 ? 0 : 1;
}

static int use_arena(weft_arena *a)
{
    weft_queue *q = weft_queue_new(.arena = a, .item = sizeof(long));
    struct weft_arena_ref ref = weft_queue_ref(q);
    weft_future *f = weft_process_start(get_in_child, &ref, sizeof ref);
    char *block = weft_arena_alloc(a, 3 << 20);
    int rc = block == NULL ? -ENOMEM : 0;

    for (long i = 1; i <= 10; i++)
        rc = first_of(rc, weft_queue_put(q, &i));
    weft_queue_shutdown(q, false);
    int code = weft_join(f);
    HOLDS(code <= 0 || rc < 0);
    HOLDS(weft_arena_check(a) == 0);
    weft_arena_free(a, block);
    weft_queue_free(q);
    return first_of(rc, code < 0 ? code : 0);
}

SCARCE_SHARED(arenas)
{
    weft_arena *a;
    int rc = weft_arena_new(8 << 20, &a);

    if (rc < 0)
        return rc;
    rc = use_arena(a);
    weft_arena_close(a);
    return rc;
}

static void *count_new(const void *arg, size_t size)
{
    (void)arg;
    (void)size;
    return calloc(1, sizeof(long));
}

WEFT_JOB(long, add_to_state, long, x)
{
    return *(long *)weft_manager_state() += x;
}

SCARCE_PROCESSES(managers)
{
    weft_manager *m = weft_manager_start(count_new, NULL, 0);
    long sum = 0;
    int rc = weft_result(weft_manager_call(m, add_to_state, 5), &sum);

    HOLDS(rc < 0 || sum == 5);
    return first_of(rc, weft_manager_close(m));
}

// Descriptors -----------------------------------------------------------------

static int echo(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char buf[64];
    ssize_t n;

    while ((n = weft_read(fd, buf, sizeof buf)) > 0)
        if ((n = weft_write_all(fd, buf, (size_t)n)) < 0)
            break;
    weft_close(fd);
    return (int)n;
}

static void drop_echo(void *arg)
{
    weft_close((int)(intptr_t)arg);
}

static int talk(void *arg)
{
    int fds[2];
    char buf[6] = "";
    ssize_t rc = 0;

    (void)arg;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0)
        return -errno;
    weft_future *f =
        weft_task_start(echo, kit_number(fds[1]), .drop = drop_echo);
    for (int i = 0; i < 12 && rc >= 0; i++) {
        rc = weft_write_all(fds[0], "hello", 5);
        if (rc > 0)
            rc = weft_read(fds[0], buf, 5);
        HOLDS(rc <= 0 || !memcmp(buf, "hello", (size_t)rc));
        if (rc == 0)
            rc = -EPIPE;
    }
    weft_close(fds[0]);
    int code = weft_join(f); // says why, if the connection broke
    return first_of(code, (int)rc);
}

SCARCE(sockets)
{
    return weft_run(talk, NULL);
}

SCARCE(sockets_of_a_thread)
{
    return talk(NULL);
}

// A connection that lives on under another number makes the loop move all the
// others to a new set, once its peer speaks.

enum { OTHERS = 5 };

struct moved {
    weft_stream *streams[1 + OTHERS];
    int peers[1 + OTHERS];
};

static int read_one(void *arg)
{
    char byte;
    ssize_t n = weft_stream_read(arg, &byte, 1);

    return n < 0 ? (int)n : 0;
}

static int connect_one(weft_listener *l, struct moved *m, int i)
{
    struct weft_address address;
    int rc = weft_listener_address(l, 0, &address);

    m->peers[i] = __real_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    HOLDS(rc == 0 && m->peers[i] >= 0);
    HOLDS(connect(m->peers[i], (struct sockaddr *)&address.storage,
                  address.len) == 0);
    return weft_listener_accept(l, &m->streams[i], NULL);
}

// Each waits for its peer; then the first is closed, but not the last of it.
static int read_and_move(struct moved *m)
{
    weft_future *readers[1 + OTHERS];
    int rc, twin;

    for (int i = 0; i <= OTHERS; i++)
        readers[i] = weft_task_start(read_one, m->streams[i]);
    weft_sleep(0.0001);
    HOLDS(send(m->peers[0], "1", 1, MSG_NOSIGNAL) == 1);
    rc = weft_join(readers[0]);
    twin = dup(weft_stream_fd(m->streams[0]));
    HOLDS(weft_stream_close(m->streams[0]) == 0);
    m->streams[0] = NULL;
    for (int i = 0; i < 3; i++) {
        HOLDS(send(m->peers[0], "2", 1, MSG_NOSIGNAL) == 1);
        weft_sleep(0.0001);
    }
    for (int i = 1; i <= OTHERS; i++) {
        HOLDS(send(m->peers[i], "3", 1, MSG_NOSIGNAL) == 1);
        rc = first_of(rc, weft_join(readers[i]));
    }
    close(twin);
    return rc;
}

static int move(void *arg)
{
    struct moved m = {.peers = {-1, -1, -1, -1, -1, -1}};
    weft_listener *l;
    int rc = weft_tcp_listen("127.0.0.1", 0, &l);

    (void)arg;
    if (rc < 0)
        return rc;
    for (int i = 0; rc == 0 && i <= OTHERS; i++)
        rc = connect_one(l, &m, i);
    if (rc == 0)
        rc = read_and_move(&m);
    for (int i = 0; i <= OTHERS; i++) {
        if (m.streams[i] != NULL)
            weft_stream_close(m.streams[i]);
        if (m.peers[i] >= 0)
            close(m.peers[i]);
    }
    weft_listener_close(l);
    return rc;
}

static int use_a_set_that_moves(void)
{
    return weft_run(move, NULL);
}

SCARCE_OF(a_set_that_moves, watches, FAULT_WATCHES)
SCARCE_OF(a_set_that_moves, descriptors, FAULT_FDS)

// Servers ---------------------------------------------------------------------

// How many calls for memory succeed from the moment on that counts.
static long spared;

struct server {
    weft_listener *listener;
    int peers[2];
    weft_future *task;
};

static void meet(struct server *s, int i, unsigned socket)
{
    struct weft_address to;

    s->peers[i] = __real_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    HOLDS(weft_listener_address(s->listener, socket, &to) == 0);
    HOLDS(weft_connect(s->peers[i], (struct sockaddr *)&to.storage, to.len) ==
          0);
}

static int stop_serving(weft_stream *stream, void *arg)
{
    (void)stream;
    weft_listener_stop(((struct server *)arg)->listener);
    return 0;
}

// On so many sockets, with two peers at the last one, who wait already. Groups
// have their memory; what is asked for then is what the acceptors need, and
// later the peers, of whom the second is served at any rate.
static int begin_to_serve(unsigned sockets)
{
    static const char *const more[] = {"127.0.0.4"};
    struct server s;
    int rc = weft_tcp_listen("127.0.0.1", 0, &s.listener, .also = more,
                             .also_count = sockets - 1);

    HOLDS(rc == 0);
    meet(&s, 0, sockets - 1);
    meet(&s, 1, sockets - 1);
    faults_arm(FAULT_MEMORY, spared, spared >= 0);
    rc = weft_serve(s.listener, stop_serving, &s);
    faults_arm(0, -1, 0);
    HOLDS(rc == 0 || (rc == -ENOMEM && spared >= 0));
    spared = -1;
    weft_close(s.peers[0]);
    weft_close(s.peers[1]);
    weft_listener_close(s.listener);
    return rc;
}

static int serve_one_socket(void *arg)
{
    (void)arg;
    return begin_to_serve(1);
}

static int use_one_socket(void)
{
    return weft_run(serve_one_socket, NULL);
}

static int serve_two_sockets(void *arg)
{
    (void)arg;
    return begin_to_serve(2);
}

static int use_two_sockets(void)
{
    return weft_run(serve_two_sockets, NULL);
}

// The server and its two groups come first.
WEFT_TEST(servers_that_begin_without_memory, .timeout = 60)
{
    enum { FROM = 3, TO = 9 };

    for (spared = FROM; spared < TO; spared++) {
        try_one(use_one_socket, "memory", spared, 1, 0);
        try_one(use_two_sockets, "memory", spared, 1, 0);
    }
}

// The queue of tasks that have not started is full, and stays so: each of them
// starts the next. What starts beside them needs a larger queue.

enum { FULL = 255 };

static int relays; // that there are at present
static bool relayed;

static int relay(void *arg)
{
    relays--;
    if (!relayed) {
        weft_future *f = weft_task_start(relay, arg);
        relays += weft_future_code(f) == -EAGAIN;
        weft_future_unref(f);
    }
    return 0;
}

static int echo_raw(weft_stream *stream, void *arg)
{
    int fd = weft_stream_fd(stream);
    char byte;

    (void)arg;
    while (weft_read(fd, &byte, 1) == 1)
        if (weft_write(fd, &byte, 1) != 1)
            break;
    return 0;
}

static int serve_raw(void *arg)
{
    struct server *s = arg;

    return weft_serve(s->listener, echo_raw, s);
}

static bool is_served(const struct server *s, int i)
{
    char byte = 0;

    return weft_write(s->peers[i], "x", 1) == 1 &&
           weft_read(s->peers[i], &byte, 1) == 1 && byte == 'x';
}

static int refuse_a_connection(void *arg)
{
    struct server s;

    (void)arg;
    HOLDS(weft_tcp_listen("127.0.0.1", 0, &s.listener) == 0);
    s.task = weft_task_start(serve_raw, &s);
    meet(&s, 0, 0);
    HOLDS(is_served(&s, 0));
    relays = 0;
    relayed = false;
    while (relays < FULL) {
        weft_future_unref(weft_task_start(relay, NULL));
        relays++;
    }
    faults_arm(FAULT_MEMORY, spared, spared >= 0);
    meet(&s, 1, 0);
    is_served(&s, 1); // or not
    faults_arm(0, -1, 0);
    HOLDS(is_served(&s, 0));
    relayed = true;
    weft_listener_stop(s.listener);
    weft_close(s.peers[0]);
    weft_close(s.peers[1]);
    HOLDS(weft_join(s.task) == 0);
    weft_listener_close(s.listener);
    spared = -1;
    return 0;
}

static int use_full_server(void)
{
    return weft_run(refuse_a_connection, NULL);
}

WEFT_TEST(a_connection_without_memory_for_its_task, .timeout = 60)
{
    for (spared = 0; spared < 6; spared++)
        try_one(use_full_server, "memory", spared, 1, 0);
}

// Seals -----------------------------------------------------------------------

// The kernel itself may hold a page for a moment, and then refuses a seal.
WEFT_TEST(a_seal_that_is_refused_for_a_moment)
{
    enum { MUCH = 300000 };
    static char much[MUCH];
    weft_connection *pair[2];
    weft_arena *a;

    ck_assert_int_eq(weft_connection_pair(pair), 0);
    faults_arm(FAULT_SEALS, 0, 3);
    ck_assert_int_eq(weft_connection_send(pair[0], much, MUCH), 0);
    ck_assert_int_eq(fault_calls, 4);
    ck_assert_int_eq(weft_connection_receive(pair[1], much, MUCH), MUCH);
    ck_assert_int_eq(weft_arena_new(1 << 20, &a), 0);
    faults_arm(FAULT_SEALS, 0, 3);
    ck_assert_int_eq(weft_arena_seal(a), 0);
    faults_arm(FAULT_SEALS, 0, 1000); // somebody does write
    ck_assert_int_eq(weft_connection_send(pair[0], much, MUCH), -EBUSY);
    faults_arm(0, -1, 0);
    ck_assert_int_eq(weft_connection_send(pair[0], much, MUCH), 0);
    weft_arena_close(a);
    weft_connection_close(pair[0]);
    weft_connection_close(pair[1]);
}

WEFT_TEST_MAIN("faults")
