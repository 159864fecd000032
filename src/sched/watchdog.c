// SPDX-License-Identifier: MIT
//
// A worker that calls a plain blocking function stops everything that it
// alone can go on with, and what is queued behind it until a thief comes. One
// thread of the process looks at all workers every LOOK_NS while one of them
// is busy. A worker that has neither made a turn nor used any CPU time between
// two looks, and that the kernel says is in a system call, is blocked:
//
// - it is named, once for each function (culprit.c);
// - in a runtime that may have them, one spare worker for each blocked one is
//   let loose on what has not started, a new one if there are not enough. A
//   spare that is blocked itself counts for nothing. When fewer are blocked,
//   the spares from the end rest: they end what they have begun. Spares live
//   as long as their runtime; workers that it has no more are spares too.
//
// A task may also say itself that it is going to block (a region): then the
// spare comes at once, whether there is anything for it yet or not, and the
// watchdog has no need to look at that worker.
//
// Where the user wants it (.stall of weft_run, WEFT_STALL=seconds), a task that
// has had its worker for so long without a turn is reported with its stack, be
// it blocked or not. Jobs are not: they may compute.
//
// Parked tasks on a blocked thread are not helped: a started task never
// changes thread.
//
// When nothing has changed for QUIET looks, the watchdog dozes: for as long as
// it takes if all workers sleep, for DOZE_NS if some are blocked. A worker that
// leaves its sleep ends that. Both follow the protocol of idle.c: the watchdog
// says that it sleeps and then looks at the workers' sleep words, a worker
// changes its word and then looks whether the watchdog sleeps.
//
// Before it dozes because all sleep, it looks once whether any of them can ever
// wake (standstill.c).
//
// A run of one worker is watched from its first task on: before that there is
// nobody that it could hold up.
//
// `lives` orders the start and the end of the thread, and who is watched;
// `lock` is for the list of runtimes and for what is known of the workers. Who
// holds `lock` waits for nothing but a handler that walks its stack, which
// takes no lock, and for a limited time; reports are written after it.
#include "sched/watchdog.h"

#include <stdlib.h>
#include <string.h>

#include "base/fresh.h"
#include "os/blocked.h"
#include "os/environment.h"
#include "os/report.h"
#include "sched/culprit.h"
#include "sched/fork_join.h"
#include "sched/idle.h"
#include "sched/scope.h"
#include "sched/standstill.h"
#include "sched/worker.h"

enum {
    LOOK_NS = 10000000,
    DOZE_NS = 100000000,
    QUIET = 10,    // looks without a change
    MAX_FOUND = 8, // reports after one look; the others come after the next
    NOT_SEEN = -2, // no CPU time
};

// What a look has found, the worst of all workers.
enum finding { ALL_ASLEEP, STUCK, BUSY };

struct found {
    struct wi_culprit culprit;
    long call;
    int64_t ns;
};

static struct wi_mutex lives, lock;
static struct wi_runtime *runtimes;
static struct wi_os_thread thread;
static bool running;
static uint32_t stop; // atomic; slept on between two looks
uint32_t wi_watchdog_asleep;

// The watchdog's own.
static struct found found[MAX_FOUND];
static unsigned found_count;
static struct {
    bool found;
    struct wi_culprit culprit;
    struct wi_os_trace trace;
    int64_t ns;
} held;

static void fresh(void)
{
    lives = (struct wi_mutex){0};
    lock = (struct wi_mutex){0};
    runtimes = NULL;
    running = false;
    stop = 0;
    wi_watchdog_asleep = 0;
    found_count = 0;
    held.found = false;
    wi_culprit_forget();
}

__attribute__((constructor)) static void register_fresh(void)
{
    wi_fresh_add(fresh);
}

// One worker ------------------------------------------------------------------

// Whether it is no concern of ours now: there is no thread, it sleeps, it has
// said that it blocks, or it is inside another run, which is watched itself.
static bool is_off(struct wi_worker *worker)
{
    // seq_cst: after wi_watchdog_asleep; pairs with the poke
    uint32_t word = __atomic_load_n(&worker->sleep, __ATOMIC_SEQ_CST);
    return worker->watch.here == NULL || word == WI_ASLEEP ||
           word == WI_POLLING || worker->watch.regions > 0 ||
           (worker->watch.nested != NULL && worker->runtime->solo);
}

static bool has_moved(struct wi_worker *worker, int64_t now)
{
    struct wi_watched *watch = &worker->watch;
    uint64_t turns = wi_worker_progress(worker);
    int64_t cpu = wi_os_thread_cpu(watch->thread);
    if (turns != watch->turns || watch->cpu == NOT_SEEN) {
        watch->turned = now;
        watch->turned_cpu = cpu;
        watch->told_held = false;
    }
    if (turns == watch->turns && cpu == watch->cpu)
        return false;
    watch->turns = turns;
    watch->cpu = cpu;
    watch->since = now;
    return true;
}

// Notes who blocks; whether it can be believed: the worker stands still yet.
static bool identify(struct wi_worker *worker, long call, int64_t now)
{
    struct found *f = &found[found_count];
    worker->watch.told = true;
    bool new = wi_culprit_find(worker, &f->culprit);
    f->call = call;
    f->ns = now - worker->watch.since;
    if (has_moved(worker, now))
        return false;
    found_count += new;
    return true;
}

// Whether a worker that stands still does so in the kernel.
static bool is_blocked(struct wi_worker *worker, int64_t now)
{
    struct wi_watched *watch = &worker->watch;
    long call;
    if (watch->blocked && watch->told)
        return true;
    // relaxed: a hint. What has a lock of the library's and lost its CPU gets
    // one again, and is nobody's fault.
    if (now - watch->since < LOOK_NS ||
        !wi_os_thread_blocked(watch->thread, &call) ||
        __atomic_load_n(watch->mutex, __ATOMIC_RELAXED))
        return false;
    return watch->told || found_count == MAX_FOUND ||
           identify(worker, call, now);
}

// Whether its task has had the worker for that long, and not the machine: it
// has used the CPU for half of it at least, or is blocked.
static bool is_held(const struct wi_watched *watch, int64_t limit, int64_t now)
{
    return now - watch->turned >= limit &&
           (watch->blocked || watch->cpu - watch->turned_cpu >= limit / 2);
}

// Reports a task that has had the worker for too long; one after each look.
static void look_for_stall(struct wi_worker *worker, int64_t now)
{
    struct wi_watched *watch = &worker->watch;
    int64_t limit = worker->runtime->stall;
    if (limit == WI_FOREVER || watch->told_held || held.found ||
        !is_held(watch, limit, now))
        return;
    watch->told_held = true;
    held.ns = now - watch->turned;
    held.found = wi_culprit_catch(worker, &held.culprit, &held.trace);
}

static enum finding look_at_worker(struct wi_worker *worker, int64_t now)
{
    struct wi_watched *watch = &worker->watch;
    bool off = is_off(worker);
    if (off)
        watch->cpu = NOT_SEEN;
    if (off || has_moved(worker, now))
        watch->told = watch->blocked = false;
    else
        watch->blocked = is_blocked(worker, now);
    if (!off)
        look_for_stall(worker, now);
    return off ? ALL_ASLEEP : watch->blocked ? STUCK : BUSY;
}

// Spares ----------------------------------------------------------------------

static void let_loose(struct wi_runtime *runtime, unsigned spares)
{
    unsigned before = runtime->spares_on;
    // seq_cst: before the wakes; pairs with wi_worker_rests after the
    // announcement of sleep
    __atomic_store_n(&runtime->spares_on, spares, __ATOMIC_SEQ_CST);
    for (unsigned i = before; i < spares; i++) {
        if (runtime->count + i < runtime->live)
            wi_worker_wake(runtime->workers[runtime->count + i]);
    }
}

static bool is_away(const struct wi_worker *worker)
{
    return worker->watch.blocked || worker->watch.regions > 0;
}

// What a join has run in its place is no work for a spare.
static bool has_open_work(struct wi_runtime *runtime)
{
    for (unsigned i = 0; i < runtime->live; i++)
        wi_deque_has_living(&runtime->workers[i]->jobs);
    return wi_runtime_has_open_work(runtime);
}

// The spares that stand in for those that are away; `at_once`: before there is
// anything for them to do.
static void compensate(struct wi_runtime *runtime, bool at_once)
{
    unsigned need = 0, spares = 0;
    for (unsigned i = 0; i < runtime->count; i++)
        need += is_away(runtime->workers[i]);
    for (unsigned i = runtime->count; need > 0 && i < runtime->live; i++) {
        spares++;
        need -= !is_away(runtime->workers[i]);
    }
    while (need > 0 && (at_once || has_open_work(runtime))) {
        let_loose(runtime, spares + 1);
        if (wi_runtime_add_spare(runtime) < 0)
            break;
        spares++;
        need--;
    }
    if (spares != runtime->spares_on)
        let_loose(runtime, spares);
}

void wi_watchdog_region_begin(struct wi_worker *worker)
{
    wi_mutex_lock(&lock);
    if (worker->watch.regions++ == 0 && !worker->runtime->solo)
        compensate(worker->runtime, true);
    wi_mutex_unlock(&lock);
}

bool wi_watchdog_region_end(struct wi_worker *worker)
{
    wi_mutex_lock(&lock);
    bool begun = worker->watch.regions > 0;
    if (begun && --worker->watch.regions == 0 && !worker->runtime->solo)
        compensate(worker->runtime, false);
    wi_mutex_unlock(&lock);
    wi_watchdog_poke(); // it is to be looked at again
    return begun;
}

int wi_watchdog_resize(struct wi_runtime *runtime, unsigned count)
{
    wi_mutex_lock(&lock);
    int rc = wi_runtime_resize(runtime, count);
    wi_mutex_unlock(&lock);
    return rc;
}

// Looking ---------------------------------------------------------------------

static enum finding look(void)
{
    enum finding worst = ALL_ASLEEP;
    wi_mutex_lock(&lock);
    int64_t now = wi_os_now();
    for (struct wi_runtime *r = runtimes; r != NULL; r = r->next_watched) {
        for (unsigned i = 0; i < r->live; i++) {
            enum finding finding = look_at_worker(r->workers[i], now);
            worst = finding > worst ? finding : worst;
        }
        wi_fork_ask_timed(r);
        if (!r->solo) {
            compensate(r, false);
            // relaxed: the wheel is under its lock
            if (__atomic_load_n(&r->roamers.due, __ATOMIC_RELAXED) <= now)
                wi_roamers_fire(r, now);
        }
    }
    wi_mutex_unlock(&lock);
    return worst;
}

static void report_all(void)
{
    for (unsigned i = 0; i < found_count; i++)
        wi_culprit_report(&found[i].culprit, found[i].call, found[i].ns);
    found_count = 0;
    if (held.found)
        wi_culprit_report_held(&held.culprit, &held.trace, held.ns);
    held.found = false;
}

// Whether a worker is awake that was not seen blocked.
static bool somebody_moves(void)
{
    bool moves = false;
    wi_mutex_lock(&lock);
    for (struct wi_runtime *r = runtimes; r != NULL; r = r->next_watched) {
        for (unsigned i = 0; i < r->live && !moves; i++) {
            struct wi_worker *worker = r->workers[i];
            moves = !is_off(worker) && !worker->watch.blocked;
        }
    }
    wi_mutex_unlock(&lock);
    return moves;
}

// Sleeps until somebody pokes, or limit; whether somebody did.
static bool doze(int64_t limit)
{
    // seq_cst: before the look at the workers and at stop; pairs with the
    // poke and with end
    __atomic_exchange_n(&wi_watchdog_asleep, 1, __ATOMIC_SEQ_CST);
    if (!somebody_moves() && !__atomic_load_n(&stop, __ATOMIC_SEQ_CST))
        wi_os_futex_wait(&wi_watchdog_asleep, 1, limit, false);
    return __atomic_exchange_n(&wi_watchdog_asleep, 0, __ATOMIC_SEQ_CST) == 0;
}

// All have slept for QUIET looks: perhaps for ever.
static void look_for_standstill(void)
{
    wi_mutex_lock(&lock);
    bool stalled = wi_stands_still(runtimes);
    wi_mutex_unlock(&lock);
    if (stalled)
        wi_standstill_report();
}

static void watch(void *arg)
{
    (void)arg;
    unsigned quiet = 0;
    enum finding finding = BUSY;
    // acquire: pairs with the store in end
    while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
        if (quiet < QUIET)
            wi_os_futex_wait(&stop, 0, wi_os_now() + LOOK_NS, false);
        else if (doze(finding == STUCK ? wi_os_now() + DOZE_NS : WI_FOREVER))
            quiet = 0;
        enum finding before = finding;
        finding = look();
        report_all();
        quiet = finding != BUSY && finding == before ? quiet + 1 : 0;
        if (quiet == QUIET && finding == ALL_ASLEEP)
            look_for_standstill();
    }
}

void wi_watchdog_wake(void)
{
    // seq_cst: who takes the mark off wakes; pairs with doze
    if (__atomic_exchange_n(&wi_watchdog_asleep, 0, __ATOMIC_SEQ_CST) == 1)
        wi_os_futex_wake(&wi_watchdog_asleep, 1, false);
}

// Who is watched --------------------------------------------------------------

static bool is_wanted(void)
{
    const char *text = wi_os_environment("WEFT_WATCHDOG");
    return text == NULL || strcmp(text, "0") != 0;
}

// The limit that the environment sets.
static int64_t stall_wanted(void)
{
    double seconds = 0;
    wi_os_environment_seconds("WEFT_STALL", &seconds);
    int64_t limit = wi_watchdog_limit(seconds);
    return limit != 0 ? limit : WI_FOREVER;
}

int64_t wi_watchdog_limit(double seconds)
{
    if (!(seconds > 0)) // nor NaN, which the environment may hold
        return 0;
    return seconds > WI_LONGEST_SECONDS ? WI_FOREVER : (int64_t)(seconds * 1e9);
}

// Under `lives`. Without a signal for it nothing is held.
static void prepare_stalls(struct wi_runtime *runtime)
{
    if (runtime->stall == 0)
        runtime->stall = stall_wanted();
    if (runtime->stall != WI_FOREVER && wi_os_trace_init() < 0)
        runtime->stall = WI_FOREVER;
}

// Under `lives`. Without a thread nothing is watched, and all goes on.
static void start(void)
{
    static const uint64_t all_signals = UINT64_MAX;
    const struct wi_os_thread_options options = {
        .name = "weft-watchdog", .service = true, .blocked = &all_signals};
    __atomic_store_n(&stop, 0, __ATOMIC_RELAXED);
    running = wi_os_thread_start(&thread, watch, NULL, &options) == 0;
}

// Under `lives`.
static void end(void)
{
    // seq_cst: before the look at `asleep`; pairs with doze
    __atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
    wi_os_futex_wake(&stop, 1, false);
    wi_watchdog_poke();
    wi_os_thread_join(&thread);
    running = false;
}

void wi_watchdog_add(struct wi_runtime *runtime)
{
    if (!is_wanted())
        return;
    wi_mutex_lock(&lives);
    runtime->watched = true;
    prepare_stalls(runtime);
    wi_mutex_lock(&lock);
    runtime->next_watched = runtimes;
    runtimes = runtime;
    wi_mutex_unlock(&lock);
    if (running)
        wi_watchdog_poke();
    else
        start();
    wi_mutex_unlock(&lives);
}

// Under `lives`.
static void take_out(struct wi_runtime *runtime)
{
    struct wi_runtime **link = &runtimes;
    wi_mutex_lock(&lock);
    while (*link != runtime)
        link = &(*link)->next_watched;
    *link = runtime->next_watched;
    wi_mutex_unlock(&lock);
    runtime->watched = false;
}

void wi_watchdog_remove(struct wi_runtime *runtime)
{
    wi_mutex_lock(&lives);
    if (runtime->watched)
        take_out(runtime);
    if (runtimes == NULL && running)
        end();
    wi_mutex_unlock(&lives);
}

void wi_watchdog_enter(struct wi_worker *worker)
{
    pid_t id = wi_os_thread_id();
    wi_mutex_lock(&lock);
    worker->watch = (struct wi_watched){.here = &wi_here,
                                        .mutex = &wi_mutex_sleeps,
                                        .thread = id,
                                        .cpu = NOT_SEEN};
    if (worker->outer != NULL)
        worker->outer->watch.nested = worker;
    wi_mutex_unlock(&lock);
    wi_watchdog_poke();
}

void wi_watchdog_leave(struct wi_worker *worker)
{
    wi_require_in("weft_blocking_begin", worker->watch.regions == 0, worker,
                  "a blocking region has no end (weft_blocking_end)");
    wi_mutex_lock(&lock);
    worker->watch.here = NULL;
    if (worker->outer != NULL)
        worker->outer->watch.nested = NULL;
    wi_mutex_unlock(&lock);
}
