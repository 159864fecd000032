// SPDX-License-Identifier: MIT
// Rule 3: a programming error aborts with a message that names the function.
// Here: a NULL where there is to be an object, for each parameter of each call
// (tests/rules/nulls_listed sees to it that none is left out).
#define WEFT_TEST_ENTRY() weft_main_hook()
#include "nulls.h"

#include <sys/socket.h>
#include <weft/fork.h>
#include <weft/work.h>

WEFT_JOB(long, echo, long, x)
{
    return x;
}

WEFT_JOB(long, quiet)
{
    return 1;
}

static char data[64];
static int numbers[4];
static struct iovec parts[] = {{"x", 1}};

static int then(weft_future *f, void *result, void *arg)
{
    (void)f;
    (void)result;
    return nothing(arg);
}

static void on_done(weft_future *f, void *arg)
{
    (void)f;
    (void)arg;
}

static void on_time(void *arg)
{
    (void)arg;
}

// A set of two with a NULL in it.
static weft_future **gap(void)
{
    static weft_future *set[2];
    set[0] = weft_promise_future(weft_promise_new());
    return set;
}

static struct weft_case *no_object(void)
{
    static struct weft_case of = WEFT_CASE_FUTURE(NULL);
    return &of;
}

static bool always(void *arg)
{
    (void)arg;
    return true;
}

static int make(void *in, void *arg)
{
    (void)in;
    return nothing(arg);
}

static int take(size_t index, int code, const void *out, void *arg)
{
    (void)index;
    (void)code;
    (void)out;
    return nothing(arg);
}

static void forked(weft_worker *w, void *args)
{
    (void)w;
    (void)args;
}

static int range(size_t begin, size_t end, void *arg)
{
    (void)begin;
    (void)end;
    return nothing(arg);
}

static int tile(const struct weft_tile *t, void *arg)
{
    (void)t;
    return nothing(arg);
}

static void *make_state(const void *arg, size_t size)
{
    (void)arg;
    (void)size;
    return data;
}

static int fold(size_t begin, size_t end, void *accumulator, void *arg)
{
    (void)accumulator;
    return range(begin, end, arg);
}

static void combine(void *left, const void *right, void *arg)
{
    (void)left;
    (void)right;
    (void)arg;
}

static int compare(const void *a, const void *b, void *arg)
{
    (void)a;
    (void)b;
    (void)arg;
    return 0;
}

#define SUM                                                                    \
    {                                                                          \
        8, data, fold, combine                                                 \
    }
static const struct weft_reduction sum = SUM;
static const struct weft_scan scan = {.sum = SUM, .output = fold};

static int stop(void **item, void *arg)
{
    (void)item;
    (void)arg;
    return 1;
}

static const struct weft_stage stages[] = {{stop, false}};

static weft_arena *arena(void)
{
    weft_arena *a = NULL;
    weft_arena_new(1 << 20, &a);
    return need(a);
}

static weft_channel *channel(void)
{
    return weft_channel_new(.capacity = 4, .item = 8);
}

static weft_channel *filled_channel(void)
{
    weft_channel *c = channel();
    weft_channel_send(c, data);
    return c;
}

static weft_queue *queue(void)
{
    return weft_queue_new(.item = 8, .maxsize = 4);
}

static weft_queue *filled_queue(void)
{
    weft_queue *q = queue();
    weft_queue_put(q, data);
    return q;
}

static weft_queue *records(void)
{
    return weft_queue_new(.arena = arena(), .bytes = 4096);
}

static weft_queue *filled_records(void)
{
    weft_queue *q = records();
    weft_queue_put_bytes(q, data, 8);
    return q;
}

static weft_executor *pool(void)
{
    return weft_thread_pool(.workers = 1);
}

static weft_future *future(void)
{
    weft_promise *p = weft_promise_new();
    weft_future *f = weft_promise_future(p);
    weft_promise_keep(p, 0, NULL, 0, NULL);
    return f;
}

static weft_future **set(void)
{
    static weft_future *one[1];
    one[0] = future();
    return one;
}

static weft_manager *manager(void)
{
    return weft_manager_store();
}

static int udp(void)
{
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_DGRAM, 0, fds) < 0)
        _exit(97);
    numbers[0] = fds[1];
    return fds[0];
}

static int filled_udp(void)
{
    int fd = udp();
    if (write(numbers[0], data, 8) != 8)
        _exit(96);
    return fd;
}

static struct weft_lock *lock(void)
{
    static struct weft_lock held;
    weft_lock_acquire(&held);
    return &held;
}

static struct weft_rlock *rlock(void)
{
    static struct weft_rlock held;
    weft_rlock_acquire(&held);
    return &held;
}

#define NULL_CALLS(REFUSED, ALLOWED)                                           \
    /* arena.h */                                                              \
    REFUSED(weft_arena_new_with(1, NULL, NULL))                                \
    ALLOWED(weft_arena_new_with(1, &(weft_arena *){0}, NULL))                  \
    REFUSED(weft_arena_open_with((struct weft_arena_ref){0}, NULL, &(int){0},  \
                                 NULL))                                        \
    ALLOWED(weft_arena_open_with((struct weft_arena_ref){0},                   \
                                 &(weft_arena *){0}, NULL, NULL))              \
    ALLOWED(weft_arena_open_with((struct weft_arena_ref){0},                   \
                                 &(weft_arena *){0}, &(int){0}, NULL))         \
    REFUSED(weft_arena_find_with(NULL, &(weft_arena *){0}, NULL))              \
    REFUSED(weft_arena_find_with("name", NULL, NULL))                          \
    ALLOWED(weft_arena_find_with("name", &(weft_arena *){0}, NULL))            \
    REFUSED(weft_arena_attach_with(0, NULL, NULL))                             \
    ALLOWED(weft_arena_attach_with(0, &(weft_arena *){0}, NULL))               \
    REFUSED(weft_arena_fd(NULL))                                               \
    ALLOWED(weft_arena_close(NULL))                                            \
    REFUSED(weft_arena_ref(NULL, NULL))                                        \
    ALLOWED(weft_arena_ref(arena(), NULL))                                     \
    REFUSED(weft_arena_alloc(NULL, 8))                                         \
    REFUSED(weft_arena_alloc_aligned(NULL, 8, 1))                              \
    REFUSED(weft_arena_alloc_into(NULL, &(uint64_t){0}, 8))                    \
    REFUSED(weft_arena_alloc_into(arena(), NULL, 8))                           \
    REFUSED(weft_arena_free(NULL, data))                                       \
    ALLOWED(weft_arena_free(arena(), NULL))                                    \
    REFUSED(weft_arena_free_from(NULL, &(uint64_t){0}))                        \
    REFUSED(weft_arena_free_from(arena(), NULL))                               \
    REFUSED(weft_arena_offset(NULL, NULL))                                     \
    ALLOWED(weft_arena_offset(arena(), NULL))                                  \
    REFUSED(weft_arena_at(NULL, 1))                                            \
    REFUSED(weft_arena_set_root(NULL, NULL))                                   \
    ALLOWED(weft_arena_set_root(arena(), NULL))                                \
    REFUSED(weft_arena_root(NULL))                                             \
    REFUSED(weft_arena_seal(NULL))                                             \
    REFUSED(weft_arena_recover(NULL))                                          \
    REFUSED(weft_arena_stat(NULL, &(struct weft_arena_stat){0}))               \
    REFUSED(weft_arena_stat(arena(), NULL))                                    \
    REFUSED(weft_arena_check(NULL))                                            \
    /* barrier.h */                                                            \
    REFUSED(weft_barrier_init_with(NULL, 1, NULL))                             \
    ALLOWED(weft_barrier_init_with(&(struct weft_barrier){0}, 1, NULL))        \
    REFUSED(weft_barrier_wait(NULL))                                           \
    REFUSED(weft_barrier_wait_for(NULL, 0))                                    \
    REFUSED(weft_barrier_reset(NULL))                                          \
    REFUSED(weft_barrier_abort(NULL))                                          \
    REFUSED(weft_barrier_parties(NULL))                                        \
    REFUSED(weft_barrier_waiting(NULL))                                        \
    REFUSED(weft_barrier_broken(NULL))                                         \
    REFUSED(weft_barrier_fini(NULL))                                           \
    /* channel.h */                                                            \
    ALLOWED(weft_channel_new_with(NULL))                                       \
    ALLOWED(weft_channel_free(NULL))                                           \
    REFUSED(weft_channel_send_with(NULL, data, NULL))                          \
    REFUSED(weft_channel_send_with(channel(), NULL, NULL))                     \
    ALLOWED(weft_channel_send_with(channel(), data, NULL))                     \
    REFUSED(weft_channel_receive_with(NULL, data, NULL))                       \
    REFUSED(weft_channel_receive_with(channel(), NULL, NULL))                  \
    REFUSED(weft_channel_close(NULL))                                          \
    REFUSED(weft_channel_sender_add(NULL))                                     \
    REFUSED(weft_channel_receiver_add(NULL))                                   \
    REFUSED(weft_channel_sender_done(NULL))                                    \
    REFUSED(weft_channel_receiver_done(NULL))                                  \
    REFUSED(weft_channel_size(NULL))                                           \
    ALLOWED(weft_channel_receive_with(filled_channel(), data, NULL))           \
    /* combine.h */                                                            \
    REFUSED(weft_then_with(NULL, then, NULL, NULL))                            \
    REFUSED(weft_then_with(future(), NULL, NULL, NULL))                        \
    ALLOWED(weft_then_with(future(), then, NULL, NULL))                        \
    REFUSED(weft_all_with(NULL, 1, NULL))                                      \
    ALLOWED(weft_all_with(set(), 1, NULL))                                     \
    REFUSED(weft_any_with(NULL, 1, NULL))                                      \
    ALLOWED(weft_any_with(set(), 1, NULL))                                     \
    REFUSED(weft_race_with(NULL, 1, NULL))                                     \
    ALLOWED(weft_race_with(set(), 1, NULL))                                    \
    ALLOWED(weft_all_with(NULL, 0, NULL))                                      \
    /* condition.h */                                                          \
    REFUSED(weft_condition_init_with(NULL, NULL))                              \
    ALLOWED(weft_condition_init_with(&(struct weft_condition){0}, NULL))       \
    REFUSED(weft_condition_wait(NULL, lock()))                                 \
    REFUSED(weft_condition_wait(&(struct weft_condition){0}, NULL))            \
    REFUSED(weft_condition_wait_for(NULL, lock(), always, NULL, 0))            \
    REFUSED(weft_condition_wait_for(&(struct weft_condition){0}, NULL, always, \
                                    NULL, 0))                                  \
    ALLOWED(weft_condition_wait_for(&(struct weft_condition){0}, lock(), NULL, \
                                    NULL, 0))                                  \
    REFUSED(weft_condition_wait_rlock(NULL, rlock()))                          \
    REFUSED(weft_condition_wait_rlock(&(struct weft_condition){0}, NULL))      \
    REFUSED(weft_condition_wait_rlock_for(NULL, rlock(), always, NULL, 0))     \
    REFUSED(weft_condition_wait_rlock_for(&(struct weft_condition){0}, NULL,   \
                                          always, NULL, 0))                    \
    ALLOWED(weft_condition_wait_rlock_for(&(struct weft_condition){0},         \
                                          rlock(), NULL, NULL, 0))             \
    REFUSED(weft_condition_notify(NULL, 1))                                    \
    REFUSED(weft_condition_notify_all(NULL))                                   \
    REFUSED(weft_condition_waiting(NULL))                                      \
    REFUSED(weft_condition_fini(NULL))                                         \
    /* connection.h */                                                         \
    REFUSED(weft_connection_pair(NULL))                                        \
    REFUSED(weft_connection_adopt(0, NULL))                                    \
    REFUSED(weft_connection_open(NULL, &(weft_connection *){0}))               \
    REFUSED(weft_connection_open("name", NULL))                                \
    ALLOWED(weft_connection_close(NULL))                                       \
    REFUSED(weft_connection_send_with(NULL, data, 8, NULL))                    \
    REFUSED(weft_connection_send_with(connection(), NULL, 8, NULL))            \
    ALLOWED(weft_connection_send_with(connection(), data, 8, NULL))            \
    REFUSED(weft_connection_send_with(                                         \
        connection(), data, 8,                                                 \
        WEFT_OPTIONS(weft_send_options, .fd_count = 1)))                       \
    REFUSED(weft_connection_receive_with(NULL, data, 8, NULL))                 \
    REFUSED(weft_connection_receive_with(connection(), NULL, 8, NULL))         \
    REFUSED(weft_connection_receive_with(                                      \
        connection(), data, 8,                                                 \
        WEFT_OPTIONS(weft_receive_options, .fd_room = 1)))                     \
    REFUSED(weft_connection_next(NULL))                                        \
    REFUSED(weft_connection_poll(NULL, 1))                                     \
    REFUSED(weft_connection_fd(NULL))                                          \
    REFUSED(weft_connection_peer(NULL, &(struct weft_peer){0}))                \
    REFUSED(weft_connection_peer(connection(), NULL))                          \
    REFUSED(weft_connection_listen(NULL, &(weft_connection_listener *){0}))    \
    REFUSED(weft_connection_listen("name", NULL))                              \
    REFUSED(weft_connection_accept(NULL, &(weft_connection *){0}))             \
    REFUSED(weft_connection_accept(clistener(), NULL))                         \
    REFUSED(weft_connection_listener_fd(NULL))                                 \
    ALLOWED(weft_connection_listener_close(NULL))                              \
    /* dns.h */                                                                \
    REFUSED(weft_resolve_with(NULL, 1, &(struct weft_address){0}, 1, NULL))    \
    REFUSED(weft_resolve_with("127.0.0.1", 1, NULL, 1, NULL))                  \
    ALLOWED(                                                                   \
        weft_resolve_with("127.0.0.1", 1, &(struct weft_address){0}, 1, NULL)) \
    REFUSED(weft_resolve_name(NULL, text, 8))                                  \
    REFUSED(weft_resolve_name(&(struct weft_address){0}, NULL, 8))             \
    /* event.h */                                                              \
    REFUSED(weft_event_init_with(NULL, NULL))                                  \
    ALLOWED(weft_event_init_with(&(struct weft_event){0}, NULL))               \
    REFUSED(weft_event_set(NULL))                                              \
    REFUSED(weft_event_clear(NULL))                                            \
    REFUSED(weft_event_is_set(NULL))                                           \
    REFUSED(weft_event_wait(NULL))                                             \
    REFUSED(weft_event_wait_for(NULL, 0))                                      \
    REFUSED(weft_event_fini(NULL))                                             \
    /* executor.h */                                                           \
    ALLOWED(weft_thread_pool_with(NULL))                                       \
    REFUSED(weft_thread_pool_stats(NULL, &(struct weft_thread_pool_stats){0})) \
    REFUSED(weft_thread_pool_stats(pool(), NULL))                              \
    REFUSED(weft_thread_pool_resize(NULL, 1))                                  \
    REFUSED(weft_submit_job(NULL, &weft_job_echo, NULL))                       \
    ALLOWED(weft_submit_job(pool(), NULL, NULL))                               \
    REFUSED(weft_map_job(NULL, &weft_job_echo, data, 1, data, NULL))           \
    ALLOWED(weft_map_job(pool(), NULL, data, 1, data, NULL))                   \
    REFUSED(weft_map_job(pool(), &weft_job_echo, NULL, 1, data, NULL))         \
    REFUSED(weft_map_job(pool(), &weft_job_echo, data, 1, NULL, NULL))         \
    REFUSED(weft_map_stream_job(NULL, &weft_job_echo, make, take, NULL, NULL)) \
    ALLOWED(weft_map_stream_job(pool(), NULL, make, take, NULL, NULL))         \
    REFUSED(                                                                   \
        weft_map_stream_job(pool(), &weft_job_echo, NULL, take, NULL, NULL))   \
    REFUSED(                                                                   \
        weft_map_stream_job(pool(), &weft_job_echo, make, NULL, NULL, NULL))   \
    ALLOWED(                                                                   \
        weft_map_stream_job(pool(), &weft_job_echo, make, take, NULL, NULL))   \
    ALLOWED(weft_executor_close_with(NULL, NULL))                              \
    ALLOWED(weft_executor_close_with(pool(), NULL))                            \
    REFUSED(weft_executor_width(NULL))                                         \
    REFUSED(weft_executor_leave(NULL))                                         \
    REFUSED(weft_executor_bind(NULL))                                          \
    REFUSED(weft_blocking_with(NULL, NULL, NULL))                              \
    ALLOWED(weft_blocking_with(nothing, NULL, NULL))                           \
    REFUSED(weft_submit_job(pool(), &weft_job_echo, NULL))                     \
    ALLOWED(weft_submit_job(pool(), &weft_job_quiet, NULL))                    \
    ALLOWED(weft_map_job(pool(), &weft_job_echo, NULL, 0, NULL, NULL))         \
    ALLOWED(                                                                   \
        weft_map_job(pool(), &weft_job_echo, &(long){1}, 1, &(long){0}, NULL)) \
    ALLOWED(weft_map_job(pool(), &weft_job_quiet, NULL, 1, &(long){0}, NULL))  \
    /* fork.h */                                                               \
    REFUSED(weft_fork_run_on(pool(), NULL, data))                              \
    ALLOWED(weft_fork_run_on(pool(), forked, NULL))                            \
    /* future.h */                                                             \
    REFUSED(weft_join(NULL))                                                   \
    REFUSED(weft_result_into(NULL, data, 8))                                   \
    REFUSED(weft_result_into(future(), NULL, 8))                               \
    REFUSED(weft_get_into(NULL, data, 8))                                      \
    REFUSED(weft_get_into(future(), NULL, 8))                                  \
    REFUSED(weft_wait(NULL, 1, WEFT_ALL_COMPLETED, 1))                         \
    REFUSED(weft_wait(gap(), 2, WEFT_ALL_COMPLETED, 1))                        \
    REFUSED(weft_gather_into(gap(), 2, NULL, 0, numbers))                      \
    REFUSED(weft_as_completed_open(gap(), 2))                                  \
    REFUSED(weft_gather_into(NULL, 1, data, 8, numbers))                       \
    ALLOWED(weft_gather_into(set(), 1, NULL, 8, numbers))                      \
    ALLOWED(weft_gather_into(set(), 1, data, 8, NULL))                         \
    REFUSED(weft_as_completed_open(NULL, 1))                                   \
    REFUSED(weft_as_completed_next(NULL))                                      \
    REFUSED(weft_as_completed_add(NULL, future()))                             \
    REFUSED(weft_as_completed_add(weft_as_completed_open(NULL, 0), NULL))      \
    ALLOWED(weft_as_completed_close(NULL))                                     \
    REFUSED(weft_cancel(NULL))                                                 \
    REFUSED(weft_done(NULL))                                                   \
    REFUSED(weft_future_code(NULL))                                            \
    REFUSED(weft_future_text(NULL))                                            \
    REFUSED(weft_future_id(NULL))                                              \
    REFUSED(weft_future_ref(NULL))                                             \
    ALLOWED(weft_future_unref(NULL))                                           \
    REFUSED(weft_future_on_done(NULL, on_done, NULL))                          \
    REFUSED(weft_future_on_done(future(), NULL, NULL))                         \
    ALLOWED(weft_on_unobserved(NULL))                                          \
    ALLOWED(weft_promise_new_with(NULL))                                       \
    REFUSED(weft_promise_future(NULL))                                         \
    REFUSED(weft_promise_keep(NULL, 1, data, 8, "name"))                       \
    REFUSED(weft_promise_keep(weft_promise_new(), 1, NULL, 8, "name"))         \
    ALLOWED(weft_promise_keep(weft_promise_new(), 1, data, 8, NULL))           \
    ALLOWED(weft_promise_drop(NULL))                                           \
    ALLOWED(weft_wait(NULL, 0, WEFT_ALL_COMPLETED, 0))                         \
    ALLOWED(weft_gather_into(NULL, 0, NULL, 0, NULL))                          \
    ALLOWED(weft_as_completed_open(NULL, 0))                                   \
    ALLOWED(weft_result_into(future(), NULL, 0))                               \
    /* graph.h */                                                              \
    ALLOWED(weft_graph_free(NULL))                                             \
    REFUSED(weft_graph_add(NULL, nothing, NULL))                               \
    ALLOWED(weft_graph_add(weft_graph_new(), NULL, NULL))                      \
    REFUSED(weft_graph_edge(NULL, 1, 1))                                       \
    REFUSED(weft_graph_size(NULL))                                             \
    REFUSED(weft_graph_order(NULL, numbers))                                   \
    ALLOWED(weft_graph_order(weft_graph_new(), NULL))                          \
    REFUSED(weft_graph_cycle(NULL, numbers, 1))                                \
    REFUSED(weft_graph_cycle(weft_graph_new(), NULL, 1))                       \
    REFUSED(weft_graph_run_with(NULL, NULL))                                   \
    ALLOWED(weft_graph_run_with(weft_graph_new(), NULL))                       \
    /* io.h */                                                                 \
    ALLOWED(weft_read(filled_udp(), NULL, 8))                                  \
    ALLOWED(weft_write(udp(), NULL, 8))                                        \
    ALLOWED(weft_write_all(udp(), NULL, 8))                                    \
    ALLOWED(weft_sendmsg(udp(), NULL, 0))                                      \
    ALLOWED(weft_recvmsg(filled_udp(), NULL, 0))                               \
    ALLOWED(weft_accept(udp(), NULL, NULL))                                    \
    ALLOWED(weft_connect(udp(), NULL, 0))                                      \
    REFUSED(weft_writev(0, NULL, 1))                                           \
    REFUSED(weft_backend_count(NULL))                                          \
    ALLOWED(weft_writev(1, NULL, 0))                                           \
    /* job.h */                                                                \
    REFUSED(weft_bytes_copy(NULL, 8))                                          \
    ALLOWED(weft_bytes_free(NULL))                                             \
    REFUSED(weft_fail(1, NULL, 1))                                             \
    REFUSED(weft_job_find(NULL))                                               \
    REFUSED(weft_text(NULL))                                                   \
    ALLOWED(weft_bytes_copy(NULL, 0))                                          \
    /* local.h */                                                              \
    REFUSED(weft_local_get(NULL))                                              \
    REFUSED(weft_local_set(NULL, data))                                        \
    ALLOWED(weft_local_set(&(struct weft_local){0}, NULL))                     \
    /* lock.h */                                                               \
    REFUSED(weft_lock_init_with(NULL, NULL))                                   \
    ALLOWED(weft_lock_init_with(&(struct weft_lock){0}, NULL))                 \
    REFUSED(weft_rlock_init_with(NULL, NULL))                                  \
    ALLOWED(weft_rlock_init_with(&(struct weft_rlock){0}, NULL))               \
    REFUSED(weft_lock_acquire(NULL))                                           \
    REFUSED(weft_lock_try(NULL))                                               \
    REFUSED(weft_lock_acquire_for(NULL, 0))                                    \
    REFUSED(weft_lock_release(NULL))                                           \
    REFUSED(lock(), weft_lock_acquire(NULL))                                   \
    REFUSED(lock(), weft_lock_release(NULL))                                   \
    REFUSED(weft_lock_held(NULL))                                              \
    REFUSED(weft_lock_locked(NULL))                                            \
    REFUSED(weft_lock_repaired(NULL))                                          \
    REFUSED(weft_lock_fini(NULL))                                              \
    REFUSED(weft_rlock_acquire(NULL))                                          \
    REFUSED(weft_rlock_try(NULL))                                              \
    REFUSED(weft_rlock_acquire_for(NULL, 0))                                   \
    REFUSED(weft_rlock_release(NULL))                                          \
    REFUSED(weft_rlock_held(NULL))                                             \
    REFUSED(weft_rlock_locked(NULL))                                           \
    REFUSED(weft_rlock_repaired(NULL))                                         \
    REFUSED(weft_rlock_fini(NULL))                                             \
    REFUSED(weft_rlock_depth(NULL))                                            \
    REFUSED(weft_lock_guard(NULL))                                             \
    REFUSED(weft_rlock_guard(NULL))                                            \
    /* manager.h */                                                            \
    REFUSED(weft_manager_start_with(NULL, NULL, 8, NULL))                      \
    REFUSED(weft_manager_ref(NULL))                                            \
    ALLOWED(weft_manager_close(NULL))                                          \
    REFUSED(weft_manager_call_job(NULL, &weft_job_echo, NULL))                 \
    ALLOWED(weft_manager_call_job(manager(), NULL, NULL))                      \
    ALLOWED(weft_manager_store_with(NULL))                                     \
    REFUSED(weft_dict_set(NULL, "name", "name", data, 8))                      \
    REFUSED(weft_dict_set(manager(), NULL, "name", data, 8))                   \
    REFUSED(weft_dict_set(manager(), "name", NULL, data, 8))                   \
    REFUSED(weft_dict_set(manager(), "name", "name", NULL, 8))                 \
    REFUSED(weft_dict_get(NULL, "name", "name", &(struct weft_bytes){0}))      \
    REFUSED(weft_dict_get(manager(), NULL, "name", &(struct weft_bytes){0}))   \
    REFUSED(weft_dict_get(manager(), "name", NULL, &(struct weft_bytes){0}))   \
    REFUSED(weft_dict_get(manager(), "name", "name", NULL))                    \
    REFUSED(weft_dict_remove(NULL, "name", "name"))                            \
    REFUSED(weft_dict_remove(manager(), NULL, "name"))                         \
    REFUSED(weft_dict_remove(manager(), "name", NULL))                         \
    REFUSED(weft_dict_size(NULL, "name"))                                      \
    REFUSED(weft_dict_size(manager(), NULL))                                   \
    REFUSED(weft_dict_key(NULL, "name", 1, &(struct weft_text){0}))            \
    REFUSED(weft_dict_key(manager(), NULL, 1, &(struct weft_text){0}))         \
    REFUSED(weft_dict_key(manager(), "name", 1, NULL))                         \
    REFUSED(weft_list_append(NULL, "name", data, 8))                           \
    REFUSED(weft_list_append(manager(), NULL, data, 8))                        \
    REFUSED(weft_list_append(manager(), "name", NULL, 8))                      \
    REFUSED(weft_list_get(NULL, "name", 1, &(struct weft_bytes){0}))           \
    REFUSED(weft_list_get(manager(), NULL, 1, &(struct weft_bytes){0}))        \
    REFUSED(weft_list_get(manager(), "name", 1, NULL))                         \
    REFUSED(weft_list_pop(NULL, "name", 1, &(struct weft_bytes){0}))           \
    REFUSED(weft_list_pop(manager(), NULL, 1, &(struct weft_bytes){0}))        \
    REFUSED(weft_list_pop(manager(), "name", 1, NULL))                         \
    REFUSED(weft_list_size(NULL, "name"))                                      \
    REFUSED(weft_list_size(manager(), NULL))                                   \
    REFUSED(weft_count(NULL, "name", 1, &(int64_t){0}))                        \
    REFUSED(weft_count(manager(), NULL, 1, &(int64_t){0}))                     \
    ALLOWED(weft_count(manager(), "name", 1, NULL))                            \
    REFUSED(weft_manager_start_with(make_state, NULL, 8, NULL))                \
    ALLOWED(weft_manager_start_with(make_state, NULL, 0, NULL))                \
    REFUSED(weft_manager_call_job(manager(), &weft_job_echo, NULL))            \
    /* net.h */                                                                \
    REFUSED(weft_address_parse(NULL, "127.0.0.1", 1))                          \
    REFUSED(weft_address_parse(&(struct weft_address){0}, NULL, 1))            \
    REFUSED(weft_address_unix(NULL, "/tmp/none", 1))                           \
    REFUSED(weft_address_unix(&(struct weft_address){0}, NULL, 1))             \
    REFUSED(weft_address_port(NULL))                                           \
    REFUSED(weft_address_text(NULL, text, 8))                                  \
    REFUSED(weft_address_text(&(struct weft_address){0}, NULL, 8))             \
    REFUSED(weft_tcp_connect_with(NULL, 1, &(weft_stream *){0}, NULL))         \
    REFUSED(weft_tcp_connect_with("127.0.0.1", 1, NULL, NULL))                 \
    ALLOWED(weft_tcp_connect_with("127.0.0.1", 1, &(weft_stream *){0}, NULL))  \
    REFUSED(weft_address_connect_with(NULL, &(weft_stream *){0}, NULL))        \
    REFUSED(weft_address_connect_with(&(struct weft_address){0}, NULL, NULL))  \
    ALLOWED(weft_address_connect_with(&(struct weft_address){0},               \
                                      &(weft_stream *){0}, NULL))              \
    REFUSED(weft_unix_connect_with(NULL, &(weft_stream *){0}, NULL))           \
    REFUSED(weft_unix_connect_with("/tmp/none", NULL, NULL))                   \
    ALLOWED(weft_unix_connect_with("/tmp/none", &(weft_stream *){0}, NULL))    \
    ALLOWED(weft_tcp_listen_with(NULL, 1, &(weft_listener *){0}, NULL))        \
    REFUSED(weft_tcp_listen_with("127.0.0.1", 1, NULL, NULL))                  \
    ALLOWED(weft_tcp_listen_with("127.0.0.1", 1, &(weft_listener *){0}, NULL)) \
    REFUSED(weft_unix_listen_with(NULL, &(weft_listener *){0}, NULL))          \
    REFUSED(weft_unix_listen_with("/tmp/none", NULL, NULL))                    \
    ALLOWED(weft_unix_listen_with("/tmp/none", &(weft_listener *){0}, NULL))   \
    REFUSED(weft_listener_open(0, NULL))                                       \
    REFUSED(weft_listener_address(NULL, 1, &(struct weft_address){0}))         \
    REFUSED(weft_listener_address(listener(), 1, NULL))                        \
    REFUSED(weft_listener_accept(NULL, &(weft_stream *){0},                    \
                                 &(struct weft_address){0}))                   \
    REFUSED(weft_listener_accept(listener(), NULL, &(struct weft_address){0})) \
    REFUSED(weft_serve_with(NULL, handler, NULL, NULL))                        \
    REFUSED(weft_serve_with(listener(), NULL, NULL, NULL))                     \
    REFUSED(weft_listener_stop(NULL))                                          \
    REFUSED(weft_listener_await(NULL, stream()))                               \
    REFUSED(weft_listener_await(listener(), NULL))                             \
    ALLOWED(weft_listener_close(NULL))                                         \
    REFUSED(weft_stream_peer(NULL, &(struct weft_address){0}))                 \
    REFUSED(weft_stream_peer(stream(), NULL))                                  \
    REFUSED(weft_stream_local(NULL, &(struct weft_address){0}))                \
    REFUSED(weft_stream_local(stream(), NULL))                                 \
    REFUSED(weft_socket_peer(1, NULL))                                         \
    REFUSED(weft_socket_local(1, NULL))                                        \
    ALLOWED(weft_udp_bind_with(NULL, 1, NULL))                                 \
    ALLOWED(weft_udp_bind_with("127.0.0.1", 1, NULL))                          \
    REFUSED(weft_udp_connect_with(NULL, 1, NULL))                              \
    ALLOWED(weft_udp_connect_with("127.0.0.1", 1, NULL))                       \
    REFUSED(weft_send_fds(1, data, 8, NULL, 1))                                \
    REFUSED(weft_receive_fds(1, data, 8, numbers, NULL))                       \
    ALLOWED(weft_udp_send(udp(), data, 8, NULL))                               \
    ALLOWED(weft_udp_receive(filled_udp(), data, 8, NULL))                     \
    /* once.h */                                                               \
    REFUSED(weft_once_init_with(NULL, NULL))                                   \
    ALLOWED(weft_once_init_with(&(struct weft_once){0}, NULL))                 \
    REFUSED(weft_once_call(NULL, nothing, NULL))                               \
    REFUSED(weft_once_call(&(struct weft_once){0}, NULL, NULL))                \
    REFUSED(weft_once_done(NULL))                                              \
    /* parallel.h */                                                           \
    REFUSED(weft_parallel_for_with(1, 1, NULL, NULL, NULL))                    \
    ALLOWED(weft_parallel_for_with(1, 1, range, NULL, NULL))                   \
    REFUSED(                                                                   \
        weft_parallel_tiles_with(1, NULL, (size_t[]){1}, tile, NULL, NULL))    \
    ALLOWED(                                                                   \
        weft_parallel_tiles_with(1, (size_t[]){1}, NULL, tile, NULL, NULL))    \
    REFUSED(weft_parallel_tiles_with(1, (size_t[]){1}, (size_t[]){1}, NULL,    \
                                     NULL, NULL))                              \
    ALLOWED(weft_parallel_tiles_with(1, (size_t[]){1}, (size_t[]){1}, tile,    \
                                     NULL, NULL))                              \
    REFUSED(weft_parallel_reduce_with(1, 1, NULL, data, NULL, NULL))           \
    REFUSED(weft_parallel_reduce_with(1, 1, &sum, NULL, NULL, NULL))           \
    ALLOWED(weft_parallel_reduce_with(1, 1, &sum, data, NULL, NULL))           \
    REFUSED(weft_parallel_scan_with(1, 1, NULL, data, NULL, NULL))             \
    ALLOWED(weft_parallel_scan_with(1, 1, &scan, NULL, NULL, NULL))            \
    ALLOWED(weft_parallel_scan_with(1, 1, &scan, data, NULL, NULL))            \
    REFUSED(weft_parallel_sort_with(NULL, 1, 8, compare, NULL, NULL))          \
    REFUSED(weft_parallel_sort_with(data, 1, 8, NULL, NULL, NULL))             \
    ALLOWED(weft_parallel_sort_with(data, 1, 8, compare, NULL, NULL))          \
    REFUSED(weft_pipeline_with(NULL, 1, (void *[]){NULL}, NULL))               \
    ALLOWED(weft_pipeline_with(stages, 1, NULL, NULL))                         \
    ALLOWED(weft_pipeline_with(stages, 1, (void *[]){NULL}, NULL))             \
    /* process.h */                                                            \
    REFUSED(weft_process_start_with(NULL, NULL, 8, NULL))                      \
    ALLOWED(weft_zygote_start(NULL, NULL))                                     \
    ALLOWED(weft_zygote_stop(nothing, NULL))                                   \
    REFUSED(weft_process_terminate(NULL))                                      \
    REFUSED(weft_process_kill(NULL))                                           \
    REFUSED(weft_process_interrupt(NULL))                                      \
    REFUSED(weft_process_stop(NULL, 1, 1))                                     \
    REFUSED(weft_process_info(NULL, &(struct weft_process_info){0}))           \
    REFUSED(weft_process_info(future(), NULL))                                 \
    REFUSED(weft_process_crash(NULL, &(struct weft_crash){0}))                 \
    REFUSED(weft_process_crash(future(), NULL))                                \
    REFUSED(                                                                   \
        weft_process_output(NULL, 1, &(struct weft_bytes){0}, &(uint64_t){0})) \
    REFUSED(weft_process_output(future(), 1, NULL, &(uint64_t){0}))            \
    ALLOWED(weft_process_output(future(), 1, &(struct weft_bytes){0}, NULL))   \
    REFUSED(weft_process_communicate_with(NULL, "", 1, NULL, NULL, NULL))      \
    REFUSED(                                                                   \
        weft_process_communicate_with(future(), NULL, 1, NULL, NULL, NULL))    \
    ALLOWED(                                                                   \
        weft_process_communicate_with(future(), NULL, 0, NULL, NULL, NULL))    \
    REFUSED(weft_process_pidfd(NULL))                                          \
    REFUSED(weft_process_children(NULL, 1))                                    \
    REFUSED(weft_process_return(NULL, 8))                                      \
    ALLOWED(weft_process_start_with(nothing, NULL, 0, NULL))                   \
    ALLOWED(weft_process_start_with(nothing, NULL, 8, NULL))                   \
    /* program.h */                                                            \
    REFUSED(weft_program_start_with(NULL, NULL))                               \
    ALLOWED(weft_program_start_with(WEFT_ARGV("true"), NULL))                  \
    REFUSED(weft_program_run_with(NULL, NULL, NULL))                           \
    ALLOWED(weft_program_run_with(WEFT_ARGV("true"), NULL, NULL))              \
    ALLOWED(weft_program_end_free(NULL))                                       \
    /* process_pool.h */                                                       \
    ALLOWED(weft_process_pool_with(NULL))                                      \
    REFUSED(weft_process_pool_resize(NULL, 1))                                 \
    REFUSED(                                                                   \
        weft_process_pool_stats(NULL, &(struct weft_process_pool_stats){0}))   \
    REFUSED(weft_process_pool_stats(pool(), NULL))                             \
    REFUSED(                                                                   \
        weft_process_pool_workers(NULL, &(struct weft_worker_stats){0}, 1))    \
    REFUSED(weft_process_pool_workers(pool(), NULL, 1))                        \
    REFUSED(weft_executor_id(NULL))                                            \
    /* queue.h */                                                              \
    ALLOWED(weft_queue_new_with(NULL))                                         \
    REFUSED(weft_queue_ref(NULL))                                              \
    ALLOWED(weft_queue_free(NULL))                                             \
    REFUSED(weft_queue_put_with(NULL, data, NULL))                             \
    REFUSED(weft_queue_put_with(queue(), NULL, NULL))                          \
    ALLOWED(weft_queue_put_with(queue(), data, NULL))                          \
    REFUSED(weft_queue_get_with(NULL, data, NULL))                             \
    REFUSED(weft_queue_get_with(queue(), NULL, NULL))                          \
    REFUSED(weft_queue_put_n_with(NULL, data, 1, NULL))                        \
    REFUSED(weft_queue_put_n_with(queue(), NULL, 1, NULL))                     \
    ALLOWED(weft_queue_put_n_with(queue(), data, 1, NULL))                     \
    REFUSED(weft_queue_get_n_with(NULL, data, 1, NULL))                        \
    REFUSED(weft_queue_get_n_with(queue(), NULL, 1, NULL))                     \
    REFUSED(weft_queue_put_bytes_with(NULL, data, 8, NULL))                    \
    REFUSED(weft_queue_put_bytes_with(queue(), NULL, 8, NULL))                 \
    REFUSED(weft_queue_get_bytes_with(NULL, data, 8, NULL))                    \
    REFUSED(weft_queue_get_bytes_with(queue(), NULL, 8, NULL))                 \
    REFUSED(weft_queue_size(NULL))                                             \
    REFUSED(weft_queue_empty(NULL))                                            \
    REFUSED(weft_queue_full(NULL))                                             \
    REFUSED(weft_queue_task_done(NULL))                                        \
    REFUSED(weft_queue_unfinished(NULL))                                       \
    REFUSED(weft_queue_join(NULL))                                             \
    REFUSED(weft_queue_shutdown(NULL, 1))                                      \
    REFUSED(weft_queue_is_shutdown(NULL))                                      \
    REFUSED(weft_queue_producer_add(NULL))                                     \
    REFUSED(weft_queue_producer_done(NULL))                                    \
    ALLOWED(weft_queue_get_with(filled_queue(), data, NULL))                   \
    ALLOWED(weft_queue_get_n_with(filled_queue(), data, 1, NULL))              \
    ALLOWED(weft_queue_put_bytes_with(records(), data, 8, NULL))               \
    ALLOWED(weft_queue_put_bytes_with(records(), NULL, 0, NULL))               \
    ALLOWED(weft_queue_get_bytes_with(filled_records(), data, 8, NULL))        \
    /* rwlock.h */                                                             \
    REFUSED(weft_rwlock_init_with(NULL, NULL))                                 \
    ALLOWED(weft_rwlock_init_with(&(struct weft_rwlock){0}, NULL))             \
    REFUSED(weft_rwlock_read_acquire(NULL))                                    \
    REFUSED(weft_rwlock_read_try(NULL))                                        \
    REFUSED(weft_rwlock_read_acquire_for(NULL, 0))                             \
    REFUSED(weft_rwlock_read_release(NULL))                                    \
    REFUSED(weft_rwlock_write_acquire(NULL))                                   \
    REFUSED(weft_rwlock_write_try(NULL))                                       \
    REFUSED(weft_rwlock_write_acquire_for(NULL, 0))                            \
    REFUSED(weft_rwlock_write_release(NULL))                                   \
    REFUSED(weft_rwlock_downgrade(NULL))                                       \
    REFUSED(weft_rwlock_write_held(NULL))                                      \
    REFUSED(weft_rwlock_repaired(NULL))                                        \
    REFUSED(weft_rwlock_fini(NULL))                                            \
    /* scope.h */                                                              \
    ALLOWED(weft_group_open_with(NULL))                                        \
    REFUSED(weft_group_close(NULL))                                            \
    REFUSED(weft_group_cancel(NULL))                                           \
    REFUSED(weft_group_fail(NULL, 1))                                          \
    REFUSED(weft_group_size(NULL))                                             \
    REFUSED(weft_group_failures(NULL))                                         \
    REFUSED(weft_group_failure(NULL, 1, &(const char *){0}))                   \
    ALLOWED(weft_group_failure(weft_group_open(), 1, NULL))                    \
    /* select.h */                                                             \
    REFUSED(weft_select_with(no_object(), 1, NULL))                            \
    REFUSED(weft_select_with(NULL, 1, NULL))                                   \
    ALLOWED(weft_select_with(&(struct weft_case)WEFT_CASE_AFTER(0), 1, NULL))  \
    /* semaphore.h */                                                          \
    REFUSED(weft_semaphore_init_with(NULL, 1, NULL))                           \
    ALLOWED(weft_semaphore_init_with(&(struct weft_semaphore){0}, 1, NULL))    \
    REFUSED(weft_semaphore_acquire(NULL))                                      \
    REFUSED(weft_semaphore_acquire_for(NULL, 0))                               \
    REFUSED(weft_semaphore_try(NULL))                                          \
    REFUSED(weft_semaphore_release(NULL, 1))                                   \
    REFUSED(weft_semaphore_permits(NULL))                                      \
    REFUSED(weft_semaphore_fini(NULL))                                         \
    /* signal.h */                                                             \
    REFUSED(weft_signals_open(NULL, 1))                                        \
    REFUSED(weft_signals_wait(NULL))                                           \
    ALLOWED(weft_signals_close(NULL))                                          \
    /* stream.h */                                                             \
    REFUSED(weft_stream_init(NULL, &(struct weft_stream_ops){0}))              \
    REFUSED(weft_stream_init(stream(), NULL))                                  \
    REFUSED(weft_stream_open(0, NULL))                                         \
    REFUSED(weft_process_stream(NULL, 0, &(weft_stream *){0}))                 \
    REFUSED(weft_process_stream(future(), 0, NULL))                            \
    REFUSED(weft_stream_pair_with(NULL, NULL))                                 \
    ALLOWED(weft_stream_pair_with((weft_stream *[2]){0}, NULL))                \
    REFUSED(weft_stream_read(NULL, data, 8))                                   \
    REFUSED(weft_stream_read(stream(), NULL, 8))                               \
    REFUSED(weft_stream_read_exactly(NULL, data, 8))                           \
    REFUSED(weft_stream_read_exactly(stream(), NULL, 8))                       \
    REFUSED(weft_stream_read_until(NULL, data, 1, data, 8))                    \
    REFUSED(weft_stream_read_until(stream(), NULL, 1, data, 8))                \
    REFUSED(weft_stream_read_until_any(NULL, parts, 1, numbers, data, 8))      \
    REFUSED(weft_stream_read_until_any(stream(), NULL, 1, numbers, data, 8))   \
    ALLOWED(weft_stream_read_until_any(stream(), parts, 1, NULL, data, 8))     \
    REFUSED(weft_stream_read_until_any(stream(), parts, 1, numbers, NULL, 8))  \
    REFUSED(weft_stream_read_line(NULL, text, 8))                              \
    REFUSED(weft_stream_read_line(stream(), NULL, 8))                          \
    REFUSED(weft_stream_await(NULL))                                           \
    REFUSED(weft_stream_skip(NULL, 8))                                         \
    REFUSED(weft_stream_buffered(NULL))                                        \
    REFUSED(weft_stream_write(NULL, data, 8))                                  \
    REFUSED(weft_stream_write(stream(), NULL, 8))                              \
    REFUSED(weft_stream_writev(NULL, parts, 1))                                \
    REFUSED(weft_stream_writev(stream(), NULL, 1))                             \
    REFUSED(weft_stream_printf(NULL, "%d", 1))                                 \
    REFUSED(weft_stream_printf(stream(), NULL, 1))                             \
    REFUSED(weft_stream_sendfile(NULL, 0, 0, 8))                               \
    REFUSED(weft_stream_copy(NULL, stream(), 8))                               \
    REFUSED(weft_stream_copy(stream(), NULL, 8))                               \
    REFUSED(weft_stream_splice(NULL, stream(), 8))                             \
    REFUSED(weft_stream_splice(stream(), NULL, 8))                             \
    REFUSED(weft_stream_shutdown(NULL))                                        \
    ALLOWED(weft_stream_close(NULL))                                           \
    REFUSED(weft_stream_abort(NULL))                                           \
    REFUSED(weft_stream_fd(NULL))                                              \
    REFUSED(weft_stream_kind(NULL))                                            \
    /* task.h */                                                               \
    REFUSED(weft_run_with(NULL, NULL, NULL))                                   \
    ALLOWED(weft_run_with(nothing, NULL, NULL))                                \
    REFUSED(weft_task_start_with(NULL, NULL, NULL))                            \
    ALLOWED(weft_task_start_with(nothing, NULL, NULL))                         \
    REFUSED(weft_current_name(NULL, 8))                                        \
    REFUSED(weft_unpark(NULL))                                                 \
    REFUSED(weft_unpark_signal(NULL))                                          \
    /* thread.h */                                                             \
    REFUSED(weft_thread_start_with(NULL, NULL, NULL))                          \
    ALLOWED(weft_thread_start_with(nothing, NULL, NULL))                       \
    REFUSED(weft_future_native_id(NULL))                                       \
    REFUSED(weft_set_current_name(NULL))                                       \
    REFUSED(weft_thread_list(NULL, 1))                                         \
    /* timer.h */                                                              \
    REFUSED(weft_timer_start_with(NULL, 0, on_time, NULL, NULL))               \
    REFUSED(                                                                   \
        weft_timer_start_with(&(struct weft_timer){0}, 0, NULL, NULL, NULL))   \
    ALLOWED(weft_timer_start_with(&(struct weft_timer){0}, 0, on_time, NULL,   \
                                  NULL))                                       \
    REFUSED(weft_timer_cancel(NULL))                                           \
    REFUSED(weft_timer_join(NULL))                                             \
    REFUSED(weft_timer_pending(NULL))                                          \
    /* work.h */                                                               \
    ALLOWED(weft_work_new(NULL, NULL, NULL, &(weft_future *){0}))              \
    REFUSED(weft_work_new(&weft_job_echo, NULL, NULL, NULL))                   \
    REFUSED(weft_work_run(NULL))                                               \
    REFUSED(weft_work_cancel(NULL))                                            \
    REFUSED(weft_work_drop(NULL, 1))                                           \
    ALLOWED(weft_work_free(NULL))                                              \
    REFUSED(weft_work_new(&weft_job_echo, NULL, NULL, &(weft_future *){0}))    \
    ALLOWED(                                                                   \
        weft_work_new(&weft_job_echo, &(long){1}, NULL, &(weft_future *){0}))

NULLS_TEST(a_null_is_told, NULL_CALLS)

WEFT_TEST_MAIN("rules.03_nulls")
