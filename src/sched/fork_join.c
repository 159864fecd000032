// SPDX-License-Identifier: MIT
//
// Fork-join. A run keeps its children in a range of slots, the oldest first:
//
//     taken by thieves | public       | private       | free
//     0 ........... tail ......... split .......... the worker `w` ....
//
// The owner forks and joins at the upper end, in the private part, with plain
// stores and two compares (weft/fork.h). Thieves take from the lower end,
// where the largest children are, by compare-and-swap on one word that has
// tail and split; only the owner moves split. It gives half of its private
// part away when it is asked to, and takes half of the public part back when
// a join meets it. This is the split deque of Lace (van Dijk and van de Pol,
// 2014), with the two indices in one word at every step, so that owner and
// thieves never have to be ordered by a fence.
//
// Asking. A range has a place `ask` in its head, at which the next fork calls
// weft_fork_asked, so that nothing of this costs a fork anything. It is
//
//     the end of the slots   nobody wants anything
//     NULL                   somebody does: children to steal, a look at the
//                            inbox, the end of a canceled run
//
// The watchdog asks, too, while there are runs with a deadline.
//
// Who wants something sets it to NULL, in all ranges of a worker; the owner
// sets it back when it takes the request. A worker that is about to sleep asks
// after it has announced its sleep; the owner takes the request, then publishes
// children, then looks for sleepers. If it sees some, it asks again for them,
// and a range that begins meanwhile is asked at once: so a request stands in
// each range as long as somebody sleeps (tests/model/ask.pml). The first forks
// of a run are answered as if somebody had asked.
//
// A worker may have very many ranges: one for each child that waits. So that
// none of this goes through all of them each time, the worker has a count of
// its public children, and a mark: all its ranges have been asked, and none has
// taken its request since.
//
// Stolen children. The state of a slot is 0 until a thief, which owns the slot
// by its compare-and-swap, writes
//     range of the thief | STOLEN     the owner may steal back from there
//     record of the owner | WAITED    the owner sleeps (written by the owner)
//     DONE                            the result is in the slot
// A join whose child was stolen finds that everything below is stolen too. It
// takes children of that very child from the thief (leapfrogging, Wagner and
// Calder 1993), which can neither delay it nor bury it, then spins for some
// microseconds, then parks: the worker goes on on another stack.
//
// A stack and a range belong together: of a root, or of a stolen child that
// runs from the loop. A child that is called by a join or leapfrogged is on its
// joiner's. When the stack gets short, a call goes on on a fresh one, and if
// the slots get few, in a fresh range.
//
// Ranges are type-stable like records, so that a thief may look at one that has
// just ended: it finds tail == split.
#include "sched/fork_join.h"

#include <errno.h>
#include <string.h>

#include "arch/arch.h"
#include "base/fresh.h"
#include "os/cpu.h"
#include "os/memory.h"
#include "os/report.h"
#include "sched/idle.h"
#include "sched/scope.h"
#include "sched/worker.h"

enum state { STOLEN = 1, WAITED = 2, DONE = 3, STATE = 3 };

enum {
    JOIN_SPINS = 80,      // relaxes before a join parks: 2 us
    IDLE_ROUNDS = 200,    // looks for work before a worker sleeps,
    IDLE_SPINS = 10,      // and the relaxes between them: 50 us
    RED_ZONE = 32768,     // bytes of stack that a body has at least
    SIGHT = 64,           // ranges among which a thief takes the oldest
    MAX_RANGES = 1 << 21, // more than there is room for. A thief's way goes on
                          // elsewhere if the range that it stands on is used
                          // again, so nothing else bounds it
};

struct wi_forks {
    struct weft_fork_head head;
    // tail | split << 20, indices of slots, and how often it has begun
    uint64_t shared __attribute__((aligned(64)));
    // The owner's, but for `below`, which thieves follow.
    struct wi_worker *worker __attribute__((aligned(64)));
    struct wi_fork_run *run;
    struct wi_forks *below; // the one that the worker had before
    struct wi_forks *above; // the one that it had next
    struct wi_forks *next_free;
    struct weft_fork_slot *job; // what a thief runs in it
    unsigned eager;             // forks that need no request to be shared
    weft_worker slots[] __attribute__((aligned(64)));
};

_Static_assert(sizeof(struct weft_fork_slot) == 64, "frozen");
_Static_assert(sizeof(struct weft_fork_head) == 64, "frozen");

enum {
    SLOTS = (WEFT_FORK_RANGE - sizeof(struct wi_forks)) / sizeof(weft_worker)
};
_Static_assert(SLOTS - 2 >= WEFT_FORK_CHILDREN, "promised");

#define PLACE_BITS 20
#define PLACE      (((uint64_t)1 << PLACE_BITS) - 1)
#define LIFE       ((uint64_t)1 << 2 * PLACE_BITS) // one life of a range
_Static_assert(SLOTS <= PLACE, "an index fits");

// Ranges ----------------------------------------------------------------------

static struct wi_mutex free_lock;
static struct wi_forks *free_ranges;

static void fresh(void)
{
    free_lock = (struct wi_mutex){0};
}

__attribute__((constructor)) static void register_fresh(void)
{
    wi_fresh_add(fresh);
}

static struct wi_forks *forks_of(weft_worker *w)
{
    return (struct wi_forks *)weft_fork_head_of(w);
}

static uint32_t index_of(const struct wi_forks *forks, const weft_worker *w)
{
    return (uint32_t)(w - forks->slots);
}

static uint32_t tail_of(uint64_t shared)
{
    return (uint32_t)(shared & PLACE);
}

static uint32_t split_of(uint64_t shared)
{
    return (uint32_t)(shared >> PLACE_BITS & PLACE);
}

// The same life with other indices.
static uint64_t share(uint64_t shared, uint32_t tail, uint32_t split)
{
    return (shared & ~(LIFE - 1)) | (uint64_t)split << PLACE_BITS | tail;
}

static uint64_t shared_of(struct wi_forks *forks)
{
    // acquire: what is looked at next is looked at later
    return __atomic_load_n(&forks->shared, __ATOMIC_ACQUIRE);
}

static struct wi_forks *range_new(struct wi_worker *worker)
{
    struct wi_forks *forks = worker->forks_free;
    if (forks != NULL) {
        worker->forks_free = forks->next_free;
        return forks;
    }
    wi_mutex_lock(&free_lock);
    forks = free_ranges;
    if (forks != NULL)
        free_ranges = forks->next_free;
    wi_mutex_unlock(&free_lock);
    if (forks == NULL)
        forks = wi_os_map_aligned(WEFT_FORK_RANGE);
    if (forks != NULL)
        forks->worker = worker;
    return forks;
}

static void range_put(struct wi_worker *worker, struct wi_forks *forks)
{
    forks->next_free = worker->forks_free;
    worker->forks_free = forks;
}

void wi_forks_free(struct wi_worker *worker)
{
    wi_mutex_lock(&free_lock);
    while (worker->forks_free != NULL) {
        struct wi_forks *forks = worker->forks_free;
        worker->forks_free = forks->next_free;
        forks->next_free = free_ranges;
        free_ranges = forks;
    }
    wi_mutex_unlock(&free_lock);
}

static void set_ask(struct wi_forks *forks, weft_worker *at)
{
    // relaxed: the owner's own. See take_request for the request of others
    __atomic_store_n(&forks->head.ask, at, __ATOMIC_RELAXED);
}

// The lowest address that a call may begin at, on the running stack.
static uintptr_t stack_low(struct wi_worker *worker)
{
    uintptr_t low =
        worker->point != &worker->os_point
            ? (uintptr_t)wi_stack_limit((struct wi_stack *)worker->point)
            : wi_worker_os_low(worker);
    size_t size = worker->point != &worker->os_point
                      ? wi_stack_size((struct wi_stack *)worker->point)
                      : 4 * (size_t)RED_ZONE;
    if (low == UINTPTR_MAX)
        return 0; // unknown: its guard is all there is
    return low + (size / 4 < RED_ZONE ? size / 4 : RED_ZONE);
}

static void ask(struct wi_forks *forks)
{
    // seq_cst, both: after the caller's announcement of what it wants; pairs
    // with the exchange in take_request. The look, so that the owner's line is
    // not taken for nothing.
    if (__atomic_load_n(&forks->head.ask, __ATOMIC_SEQ_CST) != NULL)
        __atomic_store_n(&forks->head.ask, NULL, __ATOMIC_SEQ_CST);
}

// seq_cst, each of its accesses: see range_begin and take_request
static bool are_all_asked(struct wi_worker *worker)
{
    return __atomic_load_n(&worker->forks_asked, __ATOMIC_SEQ_CST);
}

static bool is_canceled(const struct wi_forks *forks)
{
    // seq_cst: pairs with cancel_run and range_begin
    return __atomic_load_n(&forks->run->canceled, __ATOMIC_SEQ_CST);
}

// Whether somebody wants something who may have found no range to ask, or one
// that has taken its request since.
static bool is_wanted(struct wi_worker *worker)
{
    // relaxed, both: after the caller's barrier; pairs with announce and
    // inbox_push in idle.c, which come before their look at the ranges
    return worker->ready != NULL || wi_runtime_has_idle(worker->runtime) ||
           __atomic_load_n(&worker->inbox, __ATOMIC_RELAXED) != NULL;
}

// The range becomes the worker's newest, where thieves find it.
static void range_begin(struct wi_forks *forks, struct wi_fork_run *run)
{
    struct wi_worker *worker = forks->worker;
    forks->run = run;
    forks->eager = 0;
    forks->head.split = forks->slots;
    forks->head.stack_low = stack_low(worker);
    // relaxed: nothing to steal yet
    __atomic_store_n(&forks->shared, share(shared_of(forks) + LIFE, 0, 0),
                     __ATOMIC_RELAXED);
    set_ask(forks, &forks->slots[SLOTS - 1]);
    forks->above = NULL;
    if (worker->forks != NULL)
        worker->forks->above = forks;
    // relaxed: a thief that comes over an older range finds this one's below
    // a little later
    __atomic_store_n(&forks->below, worker->forks, __ATOMIC_RELAXED);
    // seq_cst: release for a thief, who finds it whole, pairs with newest; and
    // before the looks below: who asks all ranges, or cancels, finds us, or we
    // see it
    (void)__atomic_exchange_n(&worker->forks, forks, __ATOMIC_SEQ_CST);
    wi_arch_fence_after_rmw();
    if (are_all_asked(worker) || is_wanted(worker))
        ask(forks);
    if (is_canceled(forks))
        forks->head.stack_low = UINTPTR_MAX;
}

// All its children are joined. Not always the newest: others may have begun
// while this one was parked.
static void range_end(struct wi_forks *forks)
{
    struct wi_worker *worker = forks->worker;
    struct wi_forks *above = forks->above, *below = forks->below;
    if (below != NULL)
        below->above = above;
    // release: pairs with newest; `below` of ours stays for who stands on it
    __atomic_store_n(above != NULL ? &above->below : &worker->forks, below,
                     __ATOMIC_RELEASE);
    if (worker->forks == NULL && are_all_asked(worker))
        // relaxed: nobody relies on a mark that is not set
        __atomic_store_n(&worker->forks_asked, false, __ATOMIC_RELAXED);
    range_put(worker, forks);
}

static struct wi_forks *newest(struct wi_worker *worker)
{
    // seq_cst: acquire, and after the announcement of who cancels; pairs with
    // range_begin
    return __atomic_load_n(&worker->forks, __ATOMIC_SEQ_CST);
}

static struct wi_forks *next_older(struct wi_forks *forks)
{
    // acquire: as in newest
    return __atomic_load_n(&forks->below, __ATOMIC_ACQUIRE);
}

// Asking ----------------------------------------------------------------------

void wi_fork_ask_worker(struct wi_worker *worker)
{
    if (are_all_asked(worker) || newest(worker) == NULL)
        return;
    __atomic_store_n(&worker->forks_asked, true, __ATOMIC_SEQ_CST);
    unsigned n = 0;
    for (struct wi_forks *forks = newest(worker);
         forks != NULL && n < MAX_RANGES; forks = next_older(forks), n++)
        ask(forks);
}

void wi_fork_ask(struct wi_runtime *runtime)
{
    for (unsigned i = 0; i < wi_runtime_live(runtime); i++)
        wi_fork_ask_worker(runtime->workers[i]);
}

void wi_fork_ask_timed(struct wi_runtime *runtime)
{
    // relaxed: a hint; there is a next time
    if (__atomic_load_n(&runtime->forks_timed, __ATOMIC_RELAXED) != 0)
        wi_fork_ask(runtime);
}

// Whoever has asked has been heard. The mark goes after the request: who sets
// it meanwhile, and finds the request there, has announced what it wants before
// that; who finds the mark, too; and who sets it later asks again.
static void take_request(struct wi_forks *forks)
{
    // seq_cst: what the asker announced before is seen after; pairs with ask
    (void)__atomic_exchange_n(&forks->head.ask, &forks->slots[SLOTS - 1],
                              __ATOMIC_SEQ_CST);
    if (are_all_asked(forks->worker)) {
        __atomic_store_n(&forks->worker->forks_asked, false, __ATOMIC_SEQ_CST);
        wi_arch_fence(); // before the looks at what was announced, of any order
    }
}

static bool has_public(const struct wi_forks *forks)
{
    // acquire: what is looked at next is looked at later
    uint64_t shared = __atomic_load_n(&forks->shared, __ATOMIC_ACQUIRE);
    return tail_of(shared) < split_of(shared);
}

// Owner. release: what comes back is private by now; else the read-modify-write
// that follows orders it.
static void count_shared(struct wi_forks *forks, uint32_t more)
{
    uint32_t *shared = &forks->worker->forks_shared;
    __atomic_store_n(shared, *shared + more, __ATOMIC_RELEASE);
}

bool wi_fork_is_on(struct wi_runtime *runtime)
{
    bool found = false;
    for (unsigned i = 0; !found && i < wi_runtime_live(runtime); i++)
        // relaxed: a hint
        found = __atomic_load_n(&runtime->workers[i]->fork_runs,
                                __ATOMIC_RELAXED) != 0;
    return found;
}

static void count_run(struct wi_worker *worker, uint32_t more)
{
    // relaxed: a hint
    __atomic_store_n(&worker->fork_runs, worker->fork_runs + more,
                     __ATOMIC_RELAXED);
}

// Counts a run with a deadline.
static void count_timed(const struct wi_fork_run *run, uint32_t more)
{
    // relaxed: a hint
    if (run->deadline != WI_FOREVER)
        __atomic_fetch_add(&run->runtime->forks_timed, more, __ATOMIC_RELAXED);
}

static bool is_any_public(struct wi_runtime *runtime)
{
    bool found = false;
    for (unsigned i = 0; !found && i < wi_runtime_live(runtime); i++)
        found = wi_worker_shares(runtime->workers[i]);
    return found;
}

// The owner's side ------------------------------------------------------------

// Makes children of the private part, which ends at `head`, public.
static void publish(struct wi_forks *forks, uint32_t head, bool all)
{
    uint32_t split = index_of(forks, forks->head.split);
    uint32_t more = all ? head - split : (head - split + 1) / 2;
    if (more == 0 || forks->worker->runtime->solo)
        return;
    forks->head.split += more;
    count_shared(forks, more);
    // seq_cst: release for the slots, pairs with the acquire in steal; and
    // both before the look for sleepers; pairs with wi_worker_shares
    __atomic_fetch_add(&forks->shared, (uint64_t)more << PLACE_BITS,
                       __ATOMIC_SEQ_CST);
    wi_arch_fence_after_rmw(); // pairs with announce in idle.c
    wi_runtime_wake_one(forks->worker->runtime);
}

static void cancel_run(struct wi_fork_run *run)
{
    // seq_cst: before the requests; whoever takes one sees it
    __atomic_store_n(&run->canceled, 1, __ATOMIC_SEQ_CST);
    wi_fork_ask(run->runtime);
}

// Whether the scopes of who began the run want it to end. Others, who cannot
// look at the scopes, have their deadline: that task may wait just now.
static bool is_to_end(const struct wi_fork_run *run)
{
    if (run->task == wi_here.self)
        return wi_scope_test(wi_here.self) < 0;
    return run->deadline != WI_FOREVER && run->deadline <= wi_os_now();
}

// The run follows the scopes of who began it.
static void follow_scopes(struct wi_forks *forks)
{
    if (!is_canceled(forks) && is_to_end(forks->run))
        cancel_run(forks->run);
    if (is_canceled(forks))
        forks->head.stack_low = UINTPTR_MAX;
}

// Tasks of this worker that can go on have their turn.
static void let_others(struct wi_forks *forks, uint32_t head)
{
    struct wi_worker *worker = forks->worker;
    wi_inbox_drain(worker);
    if (worker->ready == NULL)
        return;
    publish(forks, head, true);
    wi_worker_yield(worker, wi_here.self);
}

void weft_fork_asked(weft_worker *w)
{
    struct wi_forks *forks = forks_of(w);
    wi_require(w < &forks->slots[SLOTS - 1], w,
               "a run has too many children that are not joined");
    bool eager = forks->eager > 0; // the request stays
    if (!eager)
        take_request(forks);
    follow_scopes(forks);
    uint32_t head = index_of(forks, w) + 1;
    publish(forks, head, eager);
    if (!eager && !forks->worker->runtime->solo &&
        wi_runtime_has_idle(forks->worker->runtime))
        set_ask(forks, NULL); // for the next who sleeps
    forks->eager -= eager;
    let_others(forks, head);
}

void weft_fork_share(weft_worker *w)
{
    struct wi_forks *forks = forks_of(w);
    publish(forks, index_of(forks, w), true);
}

bool weft_fork_canceled(weft_worker *w)
{
    struct wi_forks *forks = forks_of(w);
    follow_scopes(forks);
    return is_canceled(forks);
}

// Takes children back from the public part so that child i is private again;
// false: it is stolen.
static bool take_back(struct wi_forks *forks, uint32_t i)
{
    uint64_t shared = __atomic_load_n(&forks->shared, __ATOMIC_RELAXED);
    for (;;) {
        uint32_t tail = tail_of(shared);
        if (tail > i)
            return false;
        uint32_t split = tail + (split_of(shared) - tail) / 2;
        if (split > i)
            split = i;
        // relaxed: what thieves took is no more in the public part, what
        // comes back was ours before
        if (__atomic_compare_exchange_n(&forks->shared, &shared,
                                        share(shared, tail, split), true,
                                        __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
            if (split < split_of(shared))
                count_shared(forks, split - split_of(shared));
            forks->head.split = &forks->slots[split];
            return true;
        }
    }
}

// Stealing --------------------------------------------------------------------

// Takes the oldest public child of `from`, to be run in the range `to`, if
// `shared` is how it stands. NULL: there is none, or it stands otherwise.
static weft_worker *steal(struct wi_forks *from, uint64_t shared,
                          struct wi_forks *to)
{
    // acquire: the slot; pairs with publish
    if (tail_of(shared) >= split_of(shared) ||
        !__atomic_compare_exchange_n(&from->shared, &shared, shared + 1, false,
                                     __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
        return NULL;
    // release: after the compare-and-swap. The range stays this worker's until
    // the child has ended.
    __atomic_fetch_add(&from->worker->forks_stolen, 1, __ATOMIC_RELEASE);
    weft_worker *slot = &from->slots[tail_of(shared)];
    uintptr_t none = 0;
    // release: the owner may look into our range. It has come first if it
    // parks already.
    __atomic_compare_exchange_n(&slot->state, &none, (uintptr_t)to | STOLEN,
                                false, __ATOMIC_RELEASE, __ATOMIC_RELAXED);
    return slot;
}

// The result is in the slot; the slot is its owner's again.
static void finish(weft_worker *slot)
{
    // acq_rel: the result goes with it; pairs with the loads in await. The
    // owner's record is never freed, the slot may be another child's by now.
    uintptr_t was = __atomic_exchange_n(&slot->state, DONE, __ATOMIC_ACQ_REL);
    if ((was & STATE) == WAITED)
        wi_unpark((struct wi_task *)(was & ~(uintptr_t)STATE));
}

bool wi_fork_shares(weft_worker *w)
{
    return has_public(forks_of(w));
}

// The body of a thief's record.
static int run_stolen(void *arg)
{
    struct wi_forks *forks = arg;
    weft_worker *slot = forks->job;
    range_begin(forks, forks_of(slot)->run);
    slot->run(forks->slots, slot->data);
    range_end(forks);
    finish(slot);
    return 0;
}

// The oldest range of the worker that has something to steal, if that is one of
// the newest, else the first that has.
static struct wi_forks *victim(struct wi_worker *worker)
{
    struct wi_forks *found = NULL;
    unsigned n = 0;
    if (!wi_worker_shares(worker))
        return NULL;
    for (struct wi_forks *forks = newest(worker);
         forks != NULL && n < (found != NULL ? SIGHT : MAX_RANGES);
         forks = next_older(forks), n++) {
        if (has_public(forks))
            found = forks;
    }
    return found;
}

static weft_worker *steal_from(struct wi_worker *worker, struct wi_forks *to)
{
    struct wi_forks *from;
    while ((from = victim(worker)) != NULL) {
        weft_worker *slot = steal(from, shared_of(from), to);
        if (slot != NULL)
            return slot;
    }
    return NULL;
}

static weft_worker *find(struct wi_worker *worker, struct wi_forks *to)
{
    struct wi_runtime *runtime = worker->runtime;
    unsigned count = wi_runtime_live(runtime);
    for (unsigned i = 0; i < count; i++) {
        weft_worker *slot =
            steal_from(runtime->workers[(worker->random + i) % count], to);
        if (slot != NULL)
            return slot;
    }
    return NULL;
}

struct wi_task *wi_fork_take(struct wi_worker *worker)
{
    if (!is_any_public(worker->runtime))
        return NULL;
    struct wi_task *t = wi_task_new(WI_KIND_TASK, WI_RUNNING, 1);
    struct wi_forks *forks = t != NULL ? range_new(worker) : NULL;
    weft_worker *slot = forks != NULL ? find(worker, forks) : NULL;
    if (slot != NULL) {
        forks->job = slot;
        t->fn = run_stolen;
        t->arg = forks;
        t->home = worker->runtime;
        return t;
    }
    if (forks != NULL)
        range_put(worker, forks);
    if (t != NULL)
        wi_task_unref(t);
    return NULL;
}

bool wi_fork_spin(struct wi_worker *worker)
{
    if (wi_os_cpu_scarce())
        return false;
    for (int i = 0; i < IDLE_ROUNDS; i++) {
        struct wi_runtime *runtime = worker->runtime;
        // relaxed: looks; the caller looks again
        if (__atomic_load_n(&worker->inbox, __ATOMIC_RELAXED) != NULL ||
            wi_runtime_has_work(worker))
            return true;
        if (!wi_fork_is_on(runtime))
            return false;
        wi_fork_ask(runtime);
        for (int k = 0; k < IDLE_SPINS; k++)
            wi_arch_relax();
    }
    return false;
}

// Joining a stolen child ------------------------------------------------------

// Runs one child of the child at `slot` that its thief has to offer. If the
// child has not ended after the first look, then what was seen is its own: a
// thief's range has one life for each child, and leapfrogged ones are of the
// same family.
static bool leapfrog(weft_worker *slot, struct wi_forks *thief)
{
    uint64_t shared = shared_of(thief);
    if (__atomic_load_n(&slot->state, __ATOMIC_ACQUIRE) == DONE)
        return true;
    weft_worker *stolen = steal(thief, shared, forks_of(slot));
    if (stolen == NULL) {
        ask(thief);
        return false;
    }
    stolen->run(slot + 1, stolen->data);
    finish(stolen);
    return true;
}

static void park_until_done(weft_worker *slot)
{
    struct wi_forks *forks = forks_of(slot);
    const struct wi_wait wait = {
        .object = slot, .deadline = WI_FOREVER, .kind = WI_WAIT_CHILD};
    // acquire: the result; pairs with finish
    while (__atomic_load_n(&slot->state, __ATOMIC_ACQUIRE) != DONE) {
        wi_park(&wait);
        follow_scopes(forks);
    }
}

// Returns when the thief is done with the child at `slot`.
static void await(weft_worker *slot)
{
    struct wi_worker *worker = forks_of(slot)->worker;
    int spins = wi_os_cpu_scarce() ? 0 : JOIN_SPINS;
    // acquire, here and below: the result; pairs with finish
    uintptr_t state = __atomic_load_n(&slot->state, __ATOMIC_ACQUIRE);
    while (state != DONE) {
        struct wi_forks *thief = (struct wi_forks *)(state & ~(uintptr_t)STATE);
        if (thief != NULL && leapfrog(slot, thief)) {
            spins = wi_os_cpu_scarce() ? 0 : JOIN_SPINS;
        } else if (spins-- > 0 && worker->ready == NULL) {
            wi_arch_relax();
        } else if (__atomic_compare_exchange_n(
                       &slot->state, &state, (uintptr_t)wi_here.self | WAITED,
                       false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
            park_until_done(slot);
            return;
        }
        state = __atomic_load_n(&slot->state, __ATOMIC_ACQUIRE);
    }
}

bool weft_fork_reclaim(weft_worker *w)
{
    struct wi_forks *forks = forks_of(w);
    uint32_t i = index_of(forks, w);
    if (take_back(forks, i))
        return true;
    await(w);
    w->state = 0;
    forks->head.split = w;
    // relaxed: tail == split before and after, so that no thief writes; its
    // next part is published by publish
    __atomic_store_n(&forks->shared, share(shared_of(forks), i, i),
                     __ATOMIC_RELAXED);
    return false;
}

// Depth -----------------------------------------------------------------------

struct deep {
    struct wi_forks *forks;
    weft_worker *w;
    weft_fork_function *run;
    void *data;
};

static void run_deep(void *arg)
{
    struct deep *deep = arg;
    struct weft_fork_head *head = &deep->forks->head;
    uintptr_t low = head->stack_low;
    // The floor of a canceled run stays where it is: above everything.
    if (low != UINTPTR_MAX)
        head->stack_low = stack_low(deep->forks->worker);
    deep->run(deep->w, deep->data);
    if (head->stack_low != UINTPTR_MAX)
        head->stack_low = low;
}

// Without memory for another stack, the guard at its end is all there is.
static void run_here(struct deep *deep)
{
    struct weft_fork_head *head = &deep->forks->head;
    uintptr_t low = head->stack_low;
    head->stack_low = 0;
    deep->run(deep->w, deep->data);
    if (head->stack_low != UINTPTR_MAX)
        head->stack_low = low;
}

static void call_deep(struct deep *deep)
{
    if (!wi_worker_call_on_new_stack(deep->forks->worker, run_deep, deep))
        run_here(deep);
}

void weft_fork_deep(weft_worker *w, weft_fork_function *run, void *data)
{
    struct wi_forks *forks = forks_of(w), *more = NULL;
    if (is_canceled(forks)) {
        memset(data, 0, WEFT_FORK_DATA);
        return;
    }
    struct deep deep = {forks, w, run, data};
    if (index_of(forks, w) > SLOTS / 2)
        more = range_new(forks->worker);
    if (more == NULL) {
        call_deep(&deep);
        return;
    }
    publish(forks, index_of(forks, w), true);
    range_begin(more, forks->run);
    deep.forks = more;
    deep.w = more->slots;
    call_deep(&deep);
    range_end(more);
    if (is_canceled(forks))
        forks->head.stack_low = UINTPTR_MAX;
}

// Roots -----------------------------------------------------------------------

bool wi_fork_in_place(const void *executor)
{
    struct wi_worker *worker = wi_here.worker;
    return worker != NULL && wi_worker_forks_for(worker, executor);
}

int wi_fork_root(struct wi_fork_run *of, weft_fork_function *run, void *data)
{
    struct wi_worker *worker = wi_here.worker;
    struct wi_runtime *runtime = worker->runtime;
    struct wi_forks *forks = range_new(worker);
    if (forks == NULL)
        return -ENOMEM;
    uint8_t flags = wi_here.self->flags;
    wi_here.self->flags |= WI_PINNED; // the ranges belong to the worker
    of->task = wi_here.self;
    of->runtime = runtime;
    of->deadline = wi_scope_deadline(of->task);
    bool is_outermost = worker->forks == NULL;
    count_run(worker, 1);
    count_timed(of, 1);
    range_begin(forks, of);
    // The children of the first forks are the largest ones, and a child may
    // take for ever without a further fork: they are shared unasked, if this is
    // no run inside another one. All of this worker's stacks count for that.
    if (!runtime->solo) {
        forks->eager = is_outermost ? 2 * wi_runtime_count(runtime) : 0;
        if (is_outermost)
            set_ask(forks, NULL);
    }
    run(forks->slots, data);
    range_end(forks);
    count_timed(of, -1u);
    count_run(worker, -1u);
    if (!(flags & WI_PINNED))
        of->task->flags &= (uint8_t)~WI_PINNED;
    return 0;
}

// For other languages ---------------------------------------------------------

weft_worker *weft_fork_bytes(weft_worker *w, weft_fork_function *run,
                             const void *args, size_t size)
{
    wi_require(size <= WEFT_FORK_DATA, w,
               "the arguments of a child have 48 bytes at most");
    if (size > 0)
        memcpy(w->data, args, size);
    w->run = run;
    return weft_fork_push(w);
}

weft_worker *weft_join_bytes(weft_worker *w, void *result, size_t size)
{
    wi_require(size <= WEFT_FORK_DATA, w,
               "the result of a child has 48 bytes at most");
    char data[WEFT_FORK_DATA] __attribute__((aligned(16)));
    w--;
    bool mine = weft_fork_mine(w);
    memcpy(data, w->data, sizeof data);
    if (mine && weft_fork_sp() < weft_fork_head_of(w)->stack_low)
        weft_fork_deep(w, w->run, data);
    else if (mine)
        w->run(w, data);
    if (size > 0)
        memcpy(result, data, size);
    return w;
}
