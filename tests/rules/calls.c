// SPDX-License-Identifier: MIT
// Rule 2: each macro of the public headers, without options and with one, as a
// strict compiler sees it. Compiled by the script of this name, never run.
#include <weft.h>
#include <weft/fork.h>
#include <weft/tls.h>

#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>

struct tile {
    int x, y;
};
WEFT_JOB(long, square, long, x)
{
    return x * x;
}
WEFT_JOB(int, turn, struct tile, t)
{
    return t.x - t.y;
}
WEFT_JOB(int, three)
{
    return 3;
}
WEFT_FORKABLE(int, leaf, w)
{
    (void)w;
    return 1;
}
WEFT_FORKABLE(int, add, w, int, a, int, b)
{
    int sum;
    (void)w;
    weft_fork(w, leaf);
    weft_fork(w, add, a, b);
    sum = weft_join_child(w, add) + weft_join_child(w, leaf);
    return sum;
}

static int body(void *arg)
{
    return arg != NULL;
}
static void tick(void *arg)
{
    (void)arg;
}
static int range(size_t begin, size_t end, void *arg)
{
    return begin < end && arg == NULL;
}
static int tile(const struct weft_tile *t, void *arg)
{
    return t->begin[0] == 0 && arg == NULL;
}
static int compare(const void *a, const void *b, void *arg)
{
    return a == b && arg == NULL;
}
static int parse(weft_future *f, void *result, void *arg)
{
    return f != NULL && result == NULL && arg == NULL;
}
static int make(void *in, void *arg)
{
    return in == NULL && arg == NULL;
}
static int take(size_t i, int code, const void *out, void *arg)
{
    return i == 0 && code == 0 && out == NULL && arg == NULL;
}
static void *state(const void *arg, size_t size)
{
    return size == 0 && arg == NULL ? NULL : calloc(1, 1);
}
static int handler(weft_stream *s, void *arg)
{
    return s != NULL && arg == NULL;
}

int tasks(void);
int tasks(void)
{
    int rc = 0;
    {
        WEFT_GROUP(plain, &rc);
        WEFT_GROUP(named, &rc, .name = "g");
        WEFT_TIMEOUT(1);
        WEFT_SHIELD(1);
        rc += (int)(weft_group_size(plain) + weft_group_size(named));
    }
    weft_group *g = weft_group_open();
    weft_group *h = weft_group_open(.grace = 1);
    rc += weft_group_close(h) + weft_group_close(g);
    rc += weft_run(body, NULL) + weft_run(body, NULL, .workers = 2);
    rc += weft_join(weft_task_start(body, NULL));
    rc += weft_join(weft_task_start(body, NULL, .name = "t", .eager = true));
    rc += weft_join(weft_thread_start(body, NULL));
    rc += weft_join(weft_thread_start(body, NULL, .name = "t"));
    rc += weft_join(weft_process_start(body, NULL, 0));
    rc += weft_join(weft_process_start(body, NULL, 0, .name = "p"));
    rc += weft_blocking(body, NULL) + weft_blocking(body, NULL, .name = "b");
    struct weft_program_end end = {.size = sizeof end};
    rc += weft_join(weft_program_start(WEFT_ARGV("true")));
    rc += weft_join(weft_program_start(WEFT_ARGV("true", "x"), .nice = 1));
    rc += weft_program_run(WEFT_ARGV("true"), &end);
    rc += weft_program_run(WEFT_ARGV("true"), &end, .out = WEFT_DEV_CAPTURE);
    weft_future *f = weft_program_start(WEFT_ARGV("cat"), .in = WEFT_DEV_PIPE);
    rc += weft_process_communicate(f, "x", 1, NULL, NULL);
    rc += weft_process_communicate(f, NULL, 0, NULL, NULL, .limit = 1);
    rc += weft_join(f);
    return rc;
}

int futures(weft_future *f);
int futures(weft_future *f)
{
    long out = 0;
    weft_promise *p = weft_promise_new();
    weft_promise *q = weft_promise_new(.name = "q");
    weft_future *set[] = {
        weft_then(f, parse, NULL), weft_then(f, parse, NULL, .always = true),
        weft_all(&f, 1),           weft_all(&f, 1, .cancel_rest = true),
        weft_any(&f, 1),           weft_any(&f, 1, .cancel_rest = true),
        weft_race(&f, 1),          weft_race(&f, 1, .cancel_rest = true)};
    weft_promise_drop(p);
    weft_promise_drop(q);
    return weft_get(f, &out) + weft_result(f, &out) + weft_gather(set, 1, &out);
}

int jobs(void);
int jobs(void)
{
    struct tile t = {1, 2};
    long in[3] = {1, 2, 3}, out[3];
    int rc = 0;
    weft_executor *ex = weft_thread_pool();
    rc += weft_executor_close(weft_thread_pool(.workers = 2));
    rc += weft_executor_close(weft_process_pool());
    rc += weft_executor_close(weft_process_pool(.workers = 2));
    rc += weft_join(weft_submit(ex, three));
    rc += weft_join(weft_submit(ex, square, 7));
    rc += weft_join(weft_submit(ex, turn, .x = 1, .y = 2));
    rc += weft_join(weft_submit(ex, turn, 1, 2));
    rc += weft_join(weft_submit_struct(ex, turn, t));
    rc += weft_join(
        weft_submit(weft_executor_with(ex, .deadline = 2), square, 7));
    rc += weft_map(ex, square, in, 3, out);
    rc += weft_map(ex, square, in, 3, out, .ordered = true);
    rc += weft_map_stream(ex, square, make, take, NULL);
    rc += weft_map_stream(ex, square, make, take, NULL, .window = 2);
    rc += weft_executor_close(ex, .mode = WEFT_CLOSE_CANCEL_ALL);

    weft_manager *m = weft_manager_start(state, NULL, 0);
    rc += weft_manager_close(weft_manager_start(state, NULL, 0, .restart = 1));
    rc += weft_manager_close(weft_manager_store());
    rc += weft_manager_close(weft_manager_store(.name = "s"));
    rc += weft_join(weft_manager_call(m, three));
    rc += weft_join(weft_manager_call(m, square, 7));
    rc += weft_join(weft_manager_call(m, turn, .x = 1, .y = 2));
    rc += weft_join(weft_manager_call_struct(m, turn, t));
    return rc + weft_manager_close(m);
}

int parallel(weft_executor *ex);
int parallel(weft_executor *ex)
{
    const size_t extent[2] = {3, 4};
    struct weft_stage stages[1] = {{0}};
    struct weft_reduction sum = {.size = sizeof(int)};
    struct weft_scan scan = {.sum = sum};
    int rc = 0, n = 0;
    weft_graph *g = weft_graph_new();
    rc += weft_graph_run(g) + weft_graph_run(g, .executor = ex);
    rc += weft_parallel_for(0, 9, range, NULL);
    rc += weft_parallel_for(0, 9, range, NULL, .grain = 2);
    rc += weft_parallel_tiles(2, extent, NULL, tile, NULL);
    rc += weft_parallel_tiles(2, extent, NULL, tile, NULL, .executor = ex);
    rc += weft_parallel_reduce(0, 9, &sum, &n, NULL);
    rc += weft_parallel_reduce(0, 9, &sum, &n, NULL, .grain = 2);
    rc += weft_parallel_scan(0, 9, &scan, &n, NULL);
    rc += weft_parallel_scan(0, 9, &scan, &n, NULL, .grain = 2);
    rc += weft_parallel_sort(&n, 1, sizeof n, compare, NULL);
    rc += weft_parallel_sort(&n, 1, sizeof n, compare, NULL, .grain = 2);
    rc += weft_pipeline(stages, 1, NULL);
    rc += weft_pipeline(stages, 1, NULL, .tokens = 2);
    rc += weft_fork_run(ex, &n, leaf);
    rc += weft_fork_run(ex, &n, add, 1, 2);
    return rc;
}

int objects(void);
int objects(void)
{
    static struct weft_lock lock;
    static struct weft_rlock rlock;
    static struct weft_rwlock rwlock;
    static struct weft_condition condition;
    static struct weft_semaphore semaphore = WEFT_SEMAPHORE(2);
    static struct weft_semaphore bounded = WEFT_SEMAPHORE_BOUNDED(2);
    static struct weft_event event;
    static struct weft_barrier barrier;
    static struct weft_once once;
    static struct weft_timer timer;
    weft_arena *a = NULL;
    int rc = 0, value = 0;
    {
        WEFT_LOCKED(&lock);
        WEFT_RLOCKED(&rlock);
    }
    rc += weft_arena_new(4096, &a) + weft_arena_new(4096, &a, .name = "a");
    struct weft_arena_ref ref = weft_arena_ref(a, NULL);
    int *one = weft_arena_value(a, int), *two = weft_arena_array(a, int, 2);
    rc += one == two;
    rc += weft_arena_open(ref, &a) == NULL;
    rc += weft_arena_open(ref, &a, .read_only = true) == NULL;
    rc += weft_arena_find("a", &a) + weft_arena_find("a", &a, .huge = true);
    rc += weft_arena_attach(3, &a) + weft_arena_attach(3, &a, .huge = true);
    weft_lock_init(&lock);
    weft_lock_init(&lock, .name = "l");
    weft_rlock_init(&rlock);
    weft_rlock_init(&rlock, .name = "l");
    weft_rwlock_init(&rwlock);
    weft_rwlock_init(&rwlock, .name = "l");
    weft_condition_init(&condition);
    weft_condition_init(&condition, .arena = a);
    weft_semaphore_init(&semaphore, 2);
    weft_semaphore_init(&bounded, 2, .bound = 2);
    weft_event_init(&event);
    weft_event_init(&event, .arena = a);
    weft_barrier_init(&barrier, 2);
    weft_barrier_init(&barrier, 2, .arena = a);
    weft_once_init(&once);
    weft_once_init(&once, .arena = a);
    rc += weft_timer_start(&timer, 1, tick, NULL);
    rc += weft_timer_start(&timer, 1, tick, NULL, .period = 1);

    weft_queue *q = weft_queue_new();
    weft_queue_free(weft_queue_new(.item = sizeof value));
    rc += weft_queue_put(q, &value) + weft_queue_put(q, &value, .timeout = 1);
    rc += weft_queue_try_put(q, &value);
    rc += weft_queue_try_put(q, &value, .priority = 1);
    rc += weft_queue_get(q, &value) + weft_queue_get(q, &value, .timeout = 1);
    rc += weft_queue_try_get(q, &value);
    rc += weft_queue_put_n(q, &value, 1) > 0;
    rc += weft_queue_put_n(q, &value, 1, .timeout = 1) > 0;
    rc += weft_queue_get_n(q, &value, 1) > 0;
    rc += weft_queue_get_n(q, &value, 1, .timeout = 1) > 0;
    rc += weft_queue_put_bytes(q, &value, 1);
    rc += weft_queue_put_bytes(q, &value, 1, .timeout = 1);
    rc += weft_queue_get_bytes(q, &value, 1) > 0;
    rc += weft_queue_get_bytes(q, &value, 1, .timeout = 1) > 0;

    weft_channel *c = weft_channel_new();
    weft_channel_free(weft_channel_new(.item = sizeof value));
    rc += weft_channel_send(c, &value);
    rc += weft_channel_send(c, &value, .timeout = 1);
    rc += weft_channel_receive(c, &value);
    rc += weft_channel_receive(c, &value, .timeout = 1);
    rc += weft_channel_try_send(c, &value);
    rc += weft_channel_try_receive(c, &value);

    weft_signals *s = weft_signals_open((const int[]){SIGHUP}, 1);
    weft_future *f = weft_promise_future(NULL);
    struct weft_case cases[] = {WEFT_CASE_NONE(),
                                WEFT_CASE_PUT(q, &value),
                                WEFT_CASE_PUT_PRIORITY(q, &value, 1),
                                WEFT_CASE_GET(q, &value),
                                WEFT_CASE_SEND(c, &value),
                                WEFT_CASE_RECEIVE(c, &value),
                                WEFT_CASE_FUTURE(f),
                                WEFT_CASE_AFTER(2.5),
                                WEFT_CASE_READY(0, WEFT_READABLE),
                                WEFT_CASE_SIGNAL(s),
                                WEFT_CASE_EVENT(&event)};
    rc += weft_select(cases, 11) + weft_select(cases, 11, .nowait = true);
    return rc;
}

int network(weft_connection *c, weft_listener *l);
int network(weft_connection *c, weft_listener *l)
{
    struct weft_address to = {0};
    struct weft_address list[2];
    weft_stream *s, *pair[2];
    int rc = 0, value = 0;
    rc += weft_tcp_connect("a", 1, &s) +
          weft_tcp_connect("a", 1, &s, .family = AF_INET);
    rc += weft_address_connect(&to, &s) +
          weft_address_connect(&to, &s, .stagger = 1);
    rc += weft_unix_connect("a", &s) +
          weft_unix_connect("@a", &s, .abstract = true);
    rc += weft_tcp_listen(NULL, 1, &l) +
          weft_tcp_listen(NULL, 1, &l, .backlog = 2);
    rc += weft_unix_listen("a", &l) + weft_unix_listen("a", &l, .mode = 0600);
    rc += weft_serve(l, handler, NULL);
    rc += weft_serve(l, handler, NULL, .limit = 2);
    rc += weft_udp_bind(NULL, 1) + weft_udp_bind(NULL, 1, .family = AF_INET);
    rc +=
        weft_udp_connect("a", 1) + weft_udp_connect("a", 1, .family = AF_INET);
    rc += (int)weft_resolve("a", 1, list, 2);
    rc += (int)weft_resolve("a", 1, list, 2, .family = AF_INET);
    rc += weft_stream_pair(pair) + weft_stream_pair(pair, .room = 9);
    rc += weft_connection_send(c, &value, 1);
    rc += weft_connection_send(c, &value, 1, .nowait = true);
    rc += weft_connection_receive(c, &value, 1) > 0;
    rc += weft_connection_receive(c, &value, 1, .nowait = true) > 0;
    return rc;
}

int tls(weft_listener *l);
int tls(weft_listener *l)
{
    weft_tls *t;
    weft_stream *s;
    weft_connection *c;
    weft_connection_listener *cl;
    int rc = 0;
    rc += weft_tls_client(&t) + weft_tls_client(&t, .unverified = true);
    rc += weft_tls_server(&t) + weft_tls_server(&t, .certificate = "c.pem");
    rc += weft_tls_start(t, &s) + weft_tls_start(t, &s, .host = "a");
    rc += weft_tls_connect(t, "a", 1, &s) +
          weft_tls_connect(t, "a", 1, &s, .timeout = 1);
    rc += weft_tls_serve(l, t, handler, NULL);
    rc += weft_tls_serve(l, t, handler, NULL, .limit = 2);
    rc += weft_tls_connection_listen("a", 1, &cl);
    rc += weft_tls_connection_listen("a", 1, &cl, .timeout = 1);
    rc += weft_tls_connection_open("a", 1, &c);
    rc += weft_tls_connection_open("a", 1, &c, .timeout = 1);
    return rc;
}
