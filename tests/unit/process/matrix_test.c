// SPDX-License-Identifier: MIT
// Kill -9 of everybody who has a share in something, in each thing that they
// may be at. One that only uses a queue, one that owns a lock while it does, a
// manager, a worker of a pool, and one that has a child; each idle, in the
// middle of a put, of a get, with a lock held, with its result half sent, and
// while it comes to be, the parent while a child of its own does. A zygote has
// but the first and the last of these: limits_test.c.
//
// The victim says where it is in shared memory. It is stopped at random
// instants until it is where it shall die, so no cell of the matrix is empty.
// After each death: the lock can be had, and tells of it; what it guards can
// be made whole; the queues go on, without a gap and without an item twice but
// what the dead had in hand; who waits for the dead hears of it, the next one
// takes over, and its children are gone. WEFT_KILLS says how many die in each
// cell (20; 1,000 with WEFT_STRESS).
#include "jobs.h"

#include <dirent.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "os/clock.h"
#include "shared/queue.h"

enum host { PEER, OWNER, MANAGER, WORKER, PARENT, HOSTS };
enum cell { IDLE, PUT, GET, HOLDING, RESULT, SPAWN, CELLS };
static const char *const host_names[] = {"queue peer", "lock owner", "manager",
                                         "worker", "parent"};
static const char *const cell_names[] = {
    "idle", "mid-put", "mid-get", "holding a lock", "mid-result", "mid-spawn"};
enum { ITEMS = 8, BYTES = 1 << 20 };

// In the arena. All but the lock's words are written by one process at a time,
// atomically.
struct stage {
    struct weft_arena_ref in, out, never; // queues; nobody puts to `never`
    struct weft_lock lock;
    uint64_t first, second; // under the lock, and the same if it is free
    uint64_t put;           // items that the victims have put: 0, 1, ...
    uint64_t next;          // item that they will get next
    uint64_t lost, wrong;   // in the hands of the dead; never to be
    uint32_t where;         // the cell that the victim is in, + 1; 0: none
    uint32_t there;         // it has come on stage
};

struct order {
    struct weft_arena_ref stage;
    enum host host;
    enum cell cell;
};

// The victim ------------------------------------------------------------------

static struct stage *stage;
static weft_queue *in, *out, *never;
static struct order order;
static bool putting;

static void be_at(unsigned where)
{
    __atomic_store_n(&stage->where, where, __ATOMIC_SEQ_CST);
}

// So that a stop hits it there.
static void dwell(void)
{
    for (volatile int i = 0; i < 3000; i++)
        ;
}

// A peer that holds a lock has taken a queue's own.
static void note(unsigned point)
{
    if (order.host == PEER && order.cell == HOLDING && point == WI_QUEUE_LOCKED)
        be_at(HOLDING + 1);
    else if (point == WI_QUEUE_COPIED || point == WI_QUEUE_MOVED)
        be_at((putting ? PUT : GET) + 1);
    else if (point == WI_QUEUE_ASLEEP && order.cell == IDLE)
        be_at(IDLE + 1);
    else if (point == WI_QUEUE_UNLOCKED)
        be_at(0);
    dwell();
}

static void open_stage(void)
{
    weft_arena *a;
    if (stage == NULL) {
        stage = weft_arena_open(order.stage, &a);
        in = weft_queue_open(stage->in);
        out = weft_queue_open(stage->out);
        never = weft_queue_open(stage->never);
        wi_shared_queue_at = note;
    }
    __atomic_store_n(&stage->there, 1, __ATOMIC_SEQ_CST);
}

static void put_one(void)
{
    uint64_t x = stage->put;
    putting = true;
    if (weft_queue_put(out, &x) == 0)
        __atomic_store_n(&stage->put, x + 1, __ATOMIC_SEQ_CST);
}

static void get_one(void)
{
    uint64_t x;
    putting = false;
    if (weft_queue_get(in, &x) != 0)
        return;
    stage->wrong += x < stage->next;
    stage->lost += x - stage->next;
    __atomic_store_n(&stage->next, x + 1, __ATOMIC_SEQ_CST);
}

static void acquire(void)
{
    int rc = weft_lock_acquire(&stage->lock);
    if (rc == -EOWNERDEAD) {
        stage->second = stage->first;
        weft_lock_repaired(&stage->lock);
    }
    stage->wrong += rc != 0 && rc != -EOWNERDEAD;
    stage->wrong += stage->first != stage->second;
}

static void hold_and_change(void)
{
    acquire();
    stage->first++;
    be_at(HOLDING + 1);
    dwell();
    stage->second++;
    be_at(0);
    weft_lock_release(&stage->lock);
}

// What a victim does over and over, until it is killed.
static void act(void)
{
    bool owner = order.host == OWNER;
    if (order.cell == HOLDING && order.host != PEER) {
        hold_and_change();
        return;
    }
    if (owner)
        acquire();
    if (order.cell == GET)
        get_one();
    else
        put_one();
    if (owner)
        weft_lock_release(&stage->lock);
}

static void *result_bytes(void)
{
    void *bytes = malloc(BYTES);
    memset(bytes, 'r', BYTES);
    be_at(RESULT + 1);
    return bytes;
}

static int stay(void *arg)
{
    (void)arg;
    for (;;)
        pause();
    return 0;
}

static int leave(void *arg)
{
    (void)arg;
    return 0;
}

static void be_parent(void)
{
    weft_future *child = weft_process_start(stay, NULL, 0);
    until_running(child);
    while (order.cell == SPAWN) {
        be_at(SPAWN + 1);
        weft_join(weft_process_start(leave, NULL, 0));
    }
}

static int be_process(void *arg)
{
    uint64_t x;
    order = *(struct order *)arg;
    open_stage();
    if (order.host == PARENT)
        be_parent();
    if (order.cell == IDLE && order.host == OWNER) {
        be_at(IDLE + 1);
        acquire(); // somebody else holds it
    }
    if (order.cell == IDLE || order.cell == SPAWN) // too late to die in that
        return weft_queue_get(never, &x);
    if (order.cell == RESULT) {
        if (order.host == OWNER)
            acquire();
        return weft_process_return(result_bytes(), BYTES);
    }
    for (;;)
        act();
}

// As a job of the pool, or a method of the manager.
WEFT_JOB(struct weft_bytes, be_callee, struct order, o)
{
    order = o;
    open_stage();
    if (o.cell == RESULT)
        return (struct weft_bytes){result_bytes(), BYTES};
    while (o.cell != IDLE)
        act();
    return (struct weft_bytes){NULL, 0};
}

WEFT_JOB(long, own_pid)
{
    return getpid();
}

// The manager comes to be, until it is there.
static void *no_state(const void *arg, size_t size)
{
    (void)size;
    memcpy(&order, arg, sizeof order);
    open_stage();
    return malloc(1);
}

// Those who live on -----------------------------------------------------------

static weft_arena *arena;
static weft_executor *pool;
static weft_manager *manager;
static int deaths;

// Takes what the victims put.
static int take_all(void *arg)
{
    uint64_t x, expected = 0;
    int twice = 0;
    (void)arg;
    while (weft_queue_get(out, &x) == 0) {
        if (x + 1 == expected)
            twice++; // it was visible, and the dead had not counted it
        else if (x != expected++)
            return -1;
    }
    return twice <= __atomic_load_n(&deaths, __ATOMIC_SEQ_CST) ? 0 : -2;
}

static int feed(void *arg)
{
    (void)arg;
    for (uint64_t x = 0; weft_queue_put(in, &x) == 0; x++)
        ;
    return 0;
}

static weft_queue *new_queue(struct weft_arena_ref *ref)
{
    weft_queue *q = weft_queue_new(.arena = arena, .item = sizeof(uint64_t),
                                   .maxsize = ITEMS);
    *ref = weft_queue_ref(q);
    return q;
}

static void open_all(void)
{
    ck_assert_int_eq(weft_arena_new(4 << 20, &arena), 0);
    stage = weft_arena_value(arena, struct stage);
    weft_lock_init(&stage->lock, .arena = arena);
    in = new_queue(&stage->in);
    out = new_queue(&stage->out);
    never = new_queue(&stage->never);
    pool = weft_process_pool(.workers = 1);
    struct order o = {weft_arena_ref(arena, stage), MANAGER, IDLE};
    manager = weft_manager_start(no_state, &o, sizeof o, .restart = 1u << 30);
    deaths = 0;
}

static void close_all(weft_future *taker, weft_future *feeder)
{
    weft_queue_shutdown(out, false);
    weft_queue_shutdown(in, true);
    ck_assert_int_eq(weft_join(taker), 0);
    ck_assert_int_eq(weft_join(feeder), 0);
    ck_assert_uint_eq(weft_queue_size(out), 0);
    ck_assert_int_eq(weft_manager_close(manager), 0);
    ck_assert_int_eq(weft_executor_close(pool), 0);
    weft_queue_free(in);
    weft_queue_free(out);
    weft_queue_free(never);
    weft_arena_close(arena);
    stage = NULL;
}

// The victim as seen by its killer --------------------------------------------

struct victim {
    struct order order;
    weft_future *future; // what the killer waits for, if there is something
    weft_future *behind; // a job that shall not suffer
    pid_t pid;
};

static pid_t pid_of_manager(void)
{
    long pid = 0;
    while (weft_result(weft_manager_call(manager, own_pid), &pid) < 0)
        ;
    return (pid_t)pid;
}

static pid_t pid_of_worker(void)
{
    long pid = 0;
    ck_assert_int_eq(weft_result(weft_submit(pool, own_pid), &pid), 0);
    return (pid_t)pid;
}

// The state of a worker; -1: the pool has none of that number.
static int worker_state(pid_t pid)
{
    struct weft_worker_stats all[8];
    ssize_t n = weft_process_pool_workers(pool, all, 8);
    for (ssize_t i = 0; i < n && i < 8; i++)
        if (all[i].pid == pid)
            return (int)all[i].state;
    return -1;
}

// A child of this process that is no worker, and not this one. 0: there is
// none.
static pid_t other_child(pid_t but)
{
    DIR *threads = opendir("/proc/self/task");
    struct dirent *entry;
    pid_t found = 0;
    while ((entry = readdir(threads)) != NULL) {
        char path[300];
        int pid;
        snprintf(path, sizeof path, "/proc/self/task/%s/children",
                 entry->d_name);
        FILE *children = fopen(path, "re");
        while (children != NULL && fscanf(children, "%d", &pid) == 1)
            if (pid != but && worker_state(pid) < 0)
                found = pid;
        if (children != NULL)
            fclose(children);
    }
    closedir(threads);
    return found;
}

// Until no worker is on its way, who would not be known as one: there are the
// one and its spare.
static bool is_settled(void)
{
    struct weft_process_pool_stats now = {.size = sizeof now};
    weft_process_pool_stats(pool, &now);
    return now.starting == 0 && now.workers == 2;
}

static void settle(void)
{
    while (!is_settled())
        sched_yield();
}

static pid_t starting_worker(void)
{
    struct weft_worker_stats all[8];
    ssize_t n = weft_process_pool_workers(pool, all, 8);
    for (ssize_t i = 0; i < n && i < 8; i++)
        if (all[i].state == WEFT_WORKER_STARTING)
            return all[i].pid;
    return 0;
}

// Kills the one that is there, so that the next one comes to be.
static void begin_spawn(struct victim *v)
{
    bool worker = v->order.host == WORKER;
    settle();
    pid_t old = worker ? pid_of_worker() : pid_of_manager();
    __atomic_store_n(&stage->there, 0, __ATOMIC_SEQ_CST);
    kill(old, SIGKILL);
    do { // none: it was quicker
        v->pid = worker ? starting_worker() : other_child(old);
    } while (v->pid == 0 && !(worker && worker_state(old) < 0 && is_settled()));
    if (worker)
        v->behind = weft_submit(pool, square, 7);
}

// Whether it is just coming to be; stopped, or that may change.
static bool comes_to_be(const struct victim *v)
{
    if (v->order.host == WORKER)
        return worker_state(v->pid) == WEFT_WORKER_STARTING;
    return __atomic_load_n(&stage->there, __ATOMIC_SEQ_CST) == 0;
}

static void begin(struct victim *v)
{
    const struct order *o = &v->order;
    be_at(o->cell == IDLE ? IDLE + 1 : 0);
    __atomic_store_n(&stage->there, 0, __ATOMIC_SEQ_CST);
    v->future = v->behind = NULL;
    if (o->cell == SPAWN && (o->host == MANAGER || o->host == WORKER)) {
        begin_spawn(v);
    } else if (o->host == PEER || o->host == OWNER || o->host == PARENT) {
        be_at(0);
        v->future = weft_process_start(be_process, o, sizeof *o);
        until_running(v->future);
        v->pid = weft_future_native_id(v->future); // 0: it was quicker
    } else if (o->host == MANAGER) {
        v->pid = pid_of_manager();
        if (o->cell != IDLE)
            v->future = weft_manager_call_job(manager, &weft_job_be_callee, o);
    } else if (o->cell == IDLE) {
        v->pid = pid_of_worker();
    } else {
        v->future = weft_submit_job(pool, &weft_job_be_callee, o);
        v->behind = weft_submit(pool, square, 7);
        until_running(v->future);
        v->pid = weft_future_native_id(v->future);
    }
}

static bool is_where_it_shall_be(const struct victim *v)
{
    if (v->order.cell == SPAWN && v->order.host != PARENT)
        return comes_to_be(v);
    return __atomic_load_n(&stage->where, __ATOMIC_SEQ_CST) ==
               v->order.cell + 1u &&
           (v->order.cell != RESULT || !weft_done(v->future));
}

// Waits until the victim seems to be there, but not for ever; and a little.
static void await_instant(const struct victim *v)
{
    bool spawn = v->order.cell == SPAWN && v->order.host != PARENT;
    while (!spawn && v->future != NULL && !weft_done(v->future) &&
           __atomic_load_n(&stage->there, __ATOMIC_SEQ_CST) == 0)
        sched_yield(); // starting
    // By the clock: on a busy machine a yield may take as long as a turn.
    for (int64_t end = wi_os_now() + 2000000;
         !is_where_it_shall_be(v) && wi_os_now() < end;)
        sched_yield();
    for (uint64_t i = weft_test_random() % 2000; i > 0; i--)
        __asm__ volatile("");
}

// 1: killed there; 0: it was elsewhere; -1: it has ended.
static int strike(struct victim *v)
{
    siginfo_t info = {0};
    int killed = 0;
    await_instant(v);
    if (v->pid == 0 || kill(v->pid, SIGSTOP) != 0 ||
        waitid(P_PID, (id_t)v->pid, &info, WSTOPPED | WNOWAIT) != 0)
        return -1;
    if (is_where_it_shall_be(v)) {
        killed = 1;
        __atomic_fetch_add(&deaths, 1, __ATOMIC_SEQ_CST);
        kill(v->pid, SIGKILL);
    }
    kill(v->pid, SIGCONT);
    return killed;
}

// A result is whole, or the death is told.
static void check_end(struct victim *v)
{
    static char whole[BYTES];
    struct weft_bytes bytes = {NULL, 0};
    bool result = v->order.cell == RESULT;
    int rc = result ? weft_get(v->future, &bytes)
                    : weft_get_into(v->future, NULL, 0);
    ck_assert_msg(rc == -WEFT_ECRASHED || (rc == 0 && result), "%s, %s: %s: %s",
                  host_names[v->order.host], cell_names[v->order.cell],
                  weft_error_name(rc), weft_future_text(v->future));
    if (rc == 0) {
        memset(whole, 'r', BYTES);
        ck_assert_uint_eq(bytes.len, BYTES);
        ck_assert(memcmp(bytes.data, whole, BYTES) == 0);
    }
    weft_bytes_free(&bytes);
    weft_future_unref(v->future);
}

// What the dead parent had started is ours now, and dies.
static void check_orphans(void)
{
    pid_t manager_pid = pid_of_manager(), orphan;
    settle();
    while ((orphan = other_child(manager_pid)) != 0)
        ck_assert(waitpid(orphan, NULL, 0) == orphan || errno == ECHILD);
}

// Until the victim has died in its cell.
static void kill_in(enum host host, enum cell cell)
{
    struct victim v = {.order = {weft_arena_ref(arena, stage), host, cell}};
    int rc;
    do {
        begin(&v);
        bool once = cell == SPAWN && host != PARENT;
        while ((rc = strike(&v)) == 0 && !once &&
               (v.future == NULL || !weft_done(v.future)))
            ;
        if (rc == 0 && once && v.future != NULL)
            weft_process_kill(v.future);
        if (v.future != NULL)
            check_end(&v); // it may have been quicker
        if (v.behind != NULL)
            expect_long(v.behind, 49);
        if (host == PARENT)
            check_orphans();
    } while (rc != 1);
}

// The lock tells of a death, exactly then.
static void check_lock(bool died_with_it)
{
    int rc = weft_lock_acquire_for(&stage->lock, 20);
    ck_assert_int_eq(rc, died_with_it ? -EOWNERDEAD : 0);
    if (rc == -EOWNERDEAD) {
        ck_assert_uint_le(stage->first - stage->second, 1);
        stage->second = stage->first;
        weft_lock_repaired(&stage->lock);
    }
    ck_assert_uint_eq(stage->first, stage->second);
    weft_lock_release(&stage->lock);
}

static void kill_and_check(enum host host, enum cell cell)
{
    bool held = host == OWNER && cell == IDLE;
    if (held)
        ck_assert_int_eq(weft_lock_acquire(&stage->lock), 0);
    kill_in(host, cell);
    if (held)
        weft_lock_release(&stage->lock);
    bool owns = host == OWNER && cell != IDLE && cell != SPAWN;
    check_lock(owns || (cell == HOLDING && host != PEER));
    ck_assert_uint_eq(stage->wrong, 0);
}

// The queues go on: two more items pass each of them.
static void check_queues(void)
{
    uint64_t next = stage->next, put = stage->put;
    struct order o = {weft_arena_ref(arena, stage), PEER, GET};
    for (o.cell = PUT; o.cell <= GET; o.cell++) {
        weft_future *f = weft_process_start(be_process, &o, sizeof o);
        while (o.cell == PUT
                   ? __atomic_load_n(&stage->put, __ATOMIC_SEQ_CST) < put + 2
                   : __atomic_load_n(&stage->next, __ATOMIC_SEQ_CST) < next + 2)
            weft_yield();
        __atomic_fetch_add(&deaths, 1, __ATOMIC_SEQ_CST);
        weft_process_kill(f);
        ck_assert_int_eq(weft_join(f), -WEFT_ECRASHED);
    }
}

static int kills_in_a_cell(void)
{
    const char *asked = getenv("WEFT_KILLS");
    return asked != NULL                   ? atoi(asked)
           : getenv("WEFT_STRESS") != NULL ? 1000
                                           : 20;
}

static void print_matrix(int seen[HOSTS][CELLS])
{
    printf("%-12s", "killed");
    for (int cell = 0; cell < CELLS; cell++)
        printf(" %15s", cell_names[cell]);
    for (int host = 0; host < HOSTS; host++) {
        printf("\n%-12s", host_names[host]);
        for (int cell = 0; cell < CELLS; cell++)
            printf(" %15d", seen[host][cell]);
    }
    printf("\n");
}

static void run_matrix(int kills, int seen[HOSTS][CELLS])
{
    open_all();
    weft_future *taker = weft_thread_start(take_all, NULL);
    weft_future *feeder = weft_thread_start(feed, NULL);
    for (int i = 0; i < kills; i++) {
        for (int host = 0; host < HOSTS; host++) {
            for (int cell = 0; cell < CELLS; cell++) {
                kill_and_check((enum host)host, (enum cell)cell);
                seen[host][cell]++;
            }
        }
        check_queues();
    }
    ck_assert_uint_le(stage->lost, (uint64_t)deaths);
    close_all(taker, feeder);
}

WEFT_TEST(everybody_in_every_state, .timeout = 3000)
{
    int seen[HOSTS][CELLS] = {{0}}, kills = kills_in_a_cell();
    prctl(PR_SET_CHILD_SUBREAPER, 1); // whom the dead leave behind comes here
    run_matrix(1, seen);              // caches and threads fill
    int fds = weft_test_count_fds();
    int threads = weft_test_count_threads();
    memset(seen, 0, sizeof seen);
    run_matrix(kills, seen);
    print_matrix(seen);
    for (int host = 0; host < HOSTS; host++)
        for (int cell = 0; cell < CELLS; cell++)
            ck_assert_int_ge(seen[host][cell], kills);
    ck_assert_int_eq(weft_test_count_fds(), fds);
    weft_test_await_threads(threads);
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
    ck_assert_int_eq(errno, ECHILD);
}

WEFT_TEST_MAIN("fault matrix")
