// SPDX-License-Identifier: MIT
//
// An item under way is a token, of which there are `tokens`. A token without an
// item is at home (`free_tokens`). One with an item is
//
//     carried         by a carrier, through all stages
//     left at a gate  it came to a stage that is not parallel before its turn
//     ready           the carrier whose item had the turn before has put it
//                     into the list, on its way out of that stage
//
// Items pass a gate in the order of their tickets. So there are no queues
// between the stages, and never more items than tokens: that is the
// back-pressure.
//
// Carriers are children of one fork-join run. What one may be, and how it
// changes:
//
//     forked     made by who has left work and had nobody to wake; it begins on
//                whichever worker is free first        -> works, or ends where
//                                                         it is not needed
//     works      has a token, or looks for one: a ready one, else a new item
//                from the source                       -> waits, stands by,
//                                                         ends with the last
//     waits      has found nothing, and sleeps in `waiting`  -> called
//     called     has been taken out of `waiting`, and wakes up    -> works
//     stands by  sleeps in `waiting` for a time, since with short items one
//                more does harm (pace.h); looks again from time to time
//                                                      -> works, called
//
// Who leaves work that another could do calls somebody: one who waits on a
// worker that sleeps, else a new one is forked. If others wait on the worker
// where that begins, one of those works in its place. So there are about as
// many as workers, and as items that are held up in a stage.
//
// `coming` says that one has been called, or stands by. It looks for work after
// it has come, so nobody else need be called till then, but by carriers of the
// worker on which it is to wake up: it cannot while they run. One who stands by
// goes to work when an item takes long, or waits.
//
// A gate is only ever waited for by a later ticket than the one inside, and the
// lowest ticket is carried or ready, and carriers empty that list before they
// wait. So somebody can always go on. When a stage fails, the items under way
// still pass the gates, without running.
#include <weft/parallel.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <weft/fork.h>
#include <weft/task.h>

#include "arch/arch.h"
#include "base/options.h"
#include "exec/pace.h"
#include "os/clock.h"
#include "os/futex.h"
#include "os/report.h"
#include "sched/here.h"
#include "sched/park.h"
#include "sched/scope.h"
#include "sched/task.h"
#include "sched/worker.h"

enum { TOKENS = 16, MOST_CARRIERS = WEFT_FORK_CHILDREN / 2 };

// In nanoseconds: for how long a carrier looks for work before it waits, and
// for how long it stands by.
enum { LOOK = 4000, STAND_BY = 50000, MOST_STAND_BY = 1000000 };

enum { OFTEN = 64 }; // items after which a carrier looks whether it is of use

// An item; its carrier's, the gate's that it waits at, or in one of the lists.
struct token {
    void *item;
    uint64_t ticket;
    size_t stage; // that it comes to next
    bool lives;   // nothing has failed that it depends on
    struct token *next;
};

// Tickets that wait at once differ by less than the number of tokens.
struct gate {
    uint64_t turn;          // atomic: the ticket that may pass
    struct token **waiting; // atomic, each: by ticket
};

// One that waits for something to do, in its own frame.
struct carrier {
    struct wi_task *task;
    struct wi_worker *worker; // that it goes on on
    struct carrier *next;
    bool called; // atomic: it is not in the list any more
};

// A carrier, as it runs.
struct self {
    weft_worker *w;
    size_t forked; // children that it has to join
    bool gone;     // under the lock: the last of them was not needed
    size_t tries;  // to find work, since it looked whether it is of use
    struct wi_pace pace;
};

struct pipeline {
    const struct weft_stage *stages;
    size_t count;
    void *const *arg;
    const struct weft_pipeline_options *options;
    size_t tokens;
    struct token *all;
    struct gate *gates; // one for each stage
    uint32_t making;    // atomic: a carrier is at the source
    uint64_t made;      // atomic; of who is there: how many items
    uint32_t ended;     // atomic: no more are made
    uintptr_t callable; // atomic: who may call somebody

    struct wi_mutex lock;      // of what follows
    struct token *free_tokens; // atomic: those without an item
    size_t home;               // atomic: how many
    struct token *ready;       // atomic: these can go on
    struct carrier *waiting;
    size_t carriers; // that there are
    size_t at_work;  // atomic: those that neither wait nor have been called
    bool forked;     // one of those has not begun
    bool coming;     // one that waited has been called, and has not come yet,
    struct wi_worker *where; // on this worker
    uint64_t failed;         // the ticket whose failure counts
    int code;                // atomic, for a look
};

// Carriers --------------------------------------------------------------------

// No more items are made.
static void end(struct pipeline *p)
{
    // seq_cst: before the look whether all are through; pairs with is_done
    __atomic_store_n(&p->ended, 1, __ATOMIC_SEQ_CST);
}

static bool has_ended(const struct pipeline *p)
{
    return __atomic_load_n(&p->ended, __ATOMIC_SEQ_CST) != 0;
}

enum { NOBODY, ANYBODY };

// Who may call somebody: NOBODY, ANYBODY, or the carriers of one worker, for
// whoever comes there does so only when that is free.
static uintptr_t who_calls(const struct pipeline *p)
{
    bool some = p->waiting != NULL || p->carriers < MOST_CARRIERS;
    bool work = p->ready != NULL || (p->free_tokens != NULL && !has_ended(p));
    if (!some || !work || p->forked)
        return NOBODY;
    return !p->coming ? ANYBODY : (uintptr_t)p->where;
}

static void unlock(struct pipeline *p)
{
    // seq_cst: before the caller's next look at the work; pairs with has_call
    __atomic_store_n(&p->callable, who_calls(p), __ATOMIC_SEQ_CST);
    wi_mutex_unlock(&p->lock);
}

static bool may_call(uintptr_t who)
{
    return who == ANYBODY ||
           (who != NOBODY && who == (uintptr_t)wi_here.worker);
}

// Whether to call somebody for the work that the caller has left.
static bool has_call(struct pipeline *p)
{
    // seq_cst: after that; pairs with unlock
    return may_call(__atomic_load_n(&p->callable, __ATOMIC_SEQ_CST));
}

static void wake(struct carrier *carrier)
{
    struct wi_task *task = carrier->task;
    // release: the end of our use of its frame; pairs with await_call
    __atomic_store_n(&carrier->called, true, __ATOMIC_RELEASE);
    wi_unpark(task);
}

// Takes out of the list what is there: NULL, at its end. Under the lock.
static struct carrier *take_out(struct carrier **link)
{
    struct carrier *carrier = *link;
    if (carrier != NULL)
        *link = carrier->next;
    return carrier;
}

// Somebody has been called, or stands by, there. Under the lock.
static void expect(struct pipeline *p, struct wi_worker *where)
{
    p->coming = true;
    p->where = where;
}

// Takes one out of the list whose worker has nothing to do; else *fork, for
// whichever worker is free next. If there are too many: any, once. Under the
// lock.
static struct carrier *take_waiting(struct pipeline *p, bool *fork)
{
    struct carrier **link = &p->waiting;
    while (*link != NULL && !wi_worker_sleeps((*link)->worker))
        link = &(*link)->next;
    *fork = *link == NULL && p->carriers < MOST_CARRIERS;
    if (*link == NULL && !*fork && !p->coming)
        link = &p->waiting;
    return take_out(link);
}

// Calls somebody, if the caller may; true: it has to fork a carrier.
static bool call(struct pipeline *p)
{
    bool fork = false;
    struct carrier *carrier = NULL;
    wi_mutex_lock(&p->lock);
    if (may_call(who_calls(p))) {
        carrier = take_waiting(p, &fork);
        p->forked = fork;
        p->carriers += fork;
    }
    if (carrier != NULL)
        expect(p, carrier->worker);
    unlock(p);
    if (carrier != NULL)
        wake(carrier);
    return fork;
}

// Whether all items are through, too.
static bool is_done(struct pipeline *p)
{
    // seq_cst: after the token has been put there, or the carrier has become a
    // waiting one; pairs with end and put_home
    return has_ended(p) &&
           __atomic_load_n(&p->home, __ATOMIC_SEQ_CST) == p->tokens;
}

static void wake_all(struct pipeline *p)
{
    wi_mutex_lock(&p->lock);
    struct carrier *carrier = p->waiting;
    p->waiting = NULL;
    unlock(p);
    while (carrier != NULL) {
        struct carrier *next = carrier->next;
        wake(carrier);
        carrier = next;
    }
}

static bool has_ready(struct pipeline *p)
{
    // seq_cst: after the carrier has become a waiting one
    return __atomic_load_n(&p->ready, __ATOMIC_SEQ_CST) != NULL;
}

// seq_cst: the same; pairs with put_home and make_item
static bool has_work(struct pipeline *p)
{
    return has_ready(p) || is_done(p) ||
           (__atomic_load_n(&p->making, __ATOMIC_SEQ_CST) == 0 &&
            __atomic_load_n(&p->free_tokens, __ATOMIC_SEQ_CST) != NULL &&
            !has_ended(p));
}

// Takes the carrier out of the list; false: it has been called.
static bool stop_waiting(struct pipeline *p, struct carrier *carrier)
{
    struct carrier **link = &p->waiting;
    wi_mutex_lock(&p->lock);
    while (*link != NULL && *link != carrier)
        link = &(*link)->next;
    bool found = take_out(link) != NULL;
    unlock(p);
    return found;
}

// Under the lock.
static void start_waiting(struct pipeline *p, struct carrier *carrier)
{
    carrier->next = p->waiting;
    p->waiting = carrier;
}

// relaxed, both: for a look; written under the lock
static size_t at_work(const struct pipeline *p)
{
    return __atomic_load_n(&p->at_work, __ATOMIC_RELAXED);
}

static void set_at_work(struct pipeline *p, size_t count)
{
    __atomic_store_n(&p->at_work, count, __ATOMIC_RELAXED);
}

static void go_to_work(struct pipeline *p, bool called)
{
    wi_mutex_lock(&p->lock);
    p->coming &= !called;
    set_at_work(p, p->at_work + 1);
    unlock(p);
}

// Takes one out of the list that waits on the caller's worker. Under the lock.
static struct carrier *take_own(struct pipeline *p)
{
    struct carrier **link = &p->waiting;
    while (*link != NULL && (*link)->worker != wi_here.worker)
        link = &(*link)->next;
    return take_out(link);
}

// Of one that has been forked, or is the first. false: it is not needed, for
// another one comes on its worker, now if not before.
static bool begin(struct pipeline *p, struct self *parent)
{
    struct carrier *carrier = NULL;
    wi_mutex_lock(&p->lock);
    p->forked = false;
    bool needed = !p->coming || p->where != wi_here.worker;
    if (needed && (carrier = take_own(p)) != NULL) {
        needed = false;
        expect(p, carrier->worker);
    }
    if (!needed)
        parent->gone = true;
    p->carriers -= !needed;
    set_at_work(p, p->at_work + needed);
    unlock(p);
    if (carrier != NULL)
        wake(carrier);
    return needed;
}

// Until it is called, the time has come, or the run is canceled: but then the
// items that there are still have to get through.
static void wait_for_call(struct pipeline *p, weft_worker *w,
                          struct carrier *carrier, int64_t until)
{
    bool ended = has_ended(p);
    int64_t end = ended ? WI_FOREVER : wi_scope_deadline(carrier->task);
    const struct wi_wait wait = {.object = p,
                                 .deadline = until < end ? until : end,
                                 .kind = WI_WAIT_QUEUE};
    // acquire: pairs with wake
    while (!__atomic_load_n(&carrier->called, __ATOMIC_ACQUIRE)) {
        wi_park(&wait);
        bool enough = (!ended && weft_fork_canceled(w)) ||
                      (until != WI_FOREVER && wi_os_now() >= until);
        if (enough && stop_waiting(p, carrier))
            return;
    }
}

// Waits until there may be something to do, or until the run is canceled.
static void await_call(struct pipeline *p, weft_worker *w)
{
    struct carrier carrier = {.task = wi_self(), .worker = wi_here.worker};
    wi_mutex_lock(&p->lock);
    set_at_work(p, p->at_work - 1);
    start_waiting(p, &carrier);
    p->coming = false; // here is one who can
    unlock(p);
    bool called = !has_work(p) || !stop_waiting(p, &carrier);
    if (called)
        wait_for_call(p, w, &carrier, WI_FOREVER);
    go_to_work(p, called);
}

// Waits for `time` while others go on, or until it is called. works: the caller
// is still at work, and is not when it comes back; false: it is the only one.
static bool stand_by(struct pipeline *p, weft_worker *w, int64_t time,
                     bool works)
{
    struct carrier carrier = {.task = wi_self(), .worker = wi_here.worker};
    wi_mutex_lock(&p->lock);
    bool alone = p->at_work <= works;
    // Else somebody else is coming, who will call when there is a need.
    bool comes = !works || !p->coming;
    if (!alone) {
        if (comes)
            expect(p, carrier.worker);
        set_at_work(p, p->at_work - works);
        start_waiting(p, &carrier);
    }
    unlock(p);
    if (!alone)
        wait_for_call(p, w, &carrier, comes ? wi_os_now() + time : WI_FOREVER);
    return !alone;
}

// Tokens ----------------------------------------------------------------------

// The stores are seq_cst: they pair with has_work and is_done.

static void put_ready(struct pipeline *p, struct token *token)
{
    wi_mutex_lock(&p->lock);
    token->next = p->ready;
    __atomic_store_n(&p->ready, token, __ATOMIC_SEQ_CST);
    unlock(p);
}

static struct token *take_ready(struct pipeline *p)
{
    wi_mutex_lock(&p->lock);
    struct token *token = p->ready;
    if (token != NULL)
        __atomic_store_n(&p->ready, token->next, __ATOMIC_SEQ_CST);
    unlock(p);
    return token;
}

static void put_home(struct pipeline *p, struct token *token)
{
    wi_mutex_lock(&p->lock);
    token->next = p->free_tokens;
    __atomic_store_n(&p->free_tokens, token, __ATOMIC_SEQ_CST);
    __atomic_store_n(&p->home, p->home + 1, __ATOMIC_SEQ_CST);
    unlock(p);
}

static struct token *take_home(struct pipeline *p)
{
    wi_mutex_lock(&p->lock);
    struct token *token = p->free_tokens;
    if (token != NULL) {
        __atomic_store_n(&p->free_tokens, token->next, __ATOMIC_SEQ_CST);
        __atomic_store_n(&p->home, p->home - 1, __ATOMIC_SEQ_CST);
    }
    unlock(p);
    return token;
}

// Gates -----------------------------------------------------------------------

static uint64_t turn_of(struct gate *gate)
{
    // seq_cst: after the token has been left; pairs with leave_gate
    return __atomic_load_n(&gate->turn, __ATOMIC_SEQ_CST);
}

// False: the token stays there and is the caller's no more.
static bool enter_gate(struct pipeline *p, struct gate *gate,
                       struct token *token)
{
    uint64_t ticket = token->ticket;
    if (turn_of(gate) == ticket)
        return true;
    struct token **place = &gate->waiting[ticket % p->tokens];
    // seq_cst: before the second look at the turn; pairs with leave_gate
    __atomic_store_n(place, token, __ATOMIC_SEQ_CST);
    // Its turn has come meanwhile: either we take it, or who let it come.
    return turn_of(gate) == ticket &&
           __atomic_exchange_n(place, NULL, __ATOMIC_SEQ_CST) != NULL;
}

// Whether that lets somebody go on.
static bool leave_gate(struct pipeline *p, struct gate *gate, uint64_t ticket)
{
    // seq_cst: before the look for who waits; pairs with enter_gate
    __atomic_store_n(&gate->turn, ticket + 1, __ATOMIC_SEQ_CST);
    struct token *next = __atomic_exchange_n(
        &gate->waiting[(ticket + 1) % p->tokens], NULL, __ATOMIC_SEQ_CST);
    if (next != NULL)
        put_ready(p, next);
    return next != NULL;
}

// Stages ----------------------------------------------------------------------

static void fail(struct pipeline *p, uint64_t ticket, int code)
{
    wi_mutex_lock(&p->lock);
    if (p->code == 0 || ticket < p->failed) {
        __atomic_store_n(&p->code, code, __ATOMIC_RELAXED);
        p->failed = ticket;
    }
    wi_mutex_unlock(&p->lock);
    end(p);
}

static bool has_failed(struct pipeline *p)
{
    // relaxed: a hint
    return __atomic_load_n(&p->code, __ATOMIC_RELAXED) != 0;
}

static int run_stage(struct pipeline *p, size_t i, void **item)
{
    return p->stages[i].run(item, p->arg != NULL ? p->arg[i] : NULL);
}

// The first stage; false: there is no item, or somebody else makes one.
static bool make_item(struct pipeline *p, struct token *token)
{
    uint32_t none = 0;
    // relaxed: a look. acquire: what the last one there did
    if (__atomic_load_n(&p->making, __ATOMIC_RELAXED) != 0 ||
        !__atomic_compare_exchange_n(&p->making, &none, 1, false,
                                     __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        return false;
    int code = 1;
    *token = (struct token){.ticket = p->made, .stage = 1, .lives = true};
    if (!has_ended(p))
        code = run_stage(p, 0, &token->item);
    // relaxed: who looks wants to know about how many
    __atomic_store_n(&p->made, p->made + (code == 0), __ATOMIC_RELAXED);
    if (code < 0)
        fail(p, token->ticket, code);
    else if (code > 0)
        end(p);
    // seq_cst: before the look for somebody to call; pairs with has_work
    __atomic_store_n(&p->making, 0, __ATOMIC_SEQ_CST);
    return code == 0;
}

// An item that comes after a failure goes through the gates only.
static void run_next_stage(struct pipeline *p, weft_worker *w,
                           struct token *token)
{
    token->lives = token->lives && !has_failed(p) && !weft_fork_canceled(w);
    int code = token->lives ? run_stage(p, token->stage, &token->item) : 0;
    if (code < 0) {
        fail(p, token->ticket, code);
        token->lives = false;
    }
}

WEFT_FORKABLE_DECLARE(int, run_carrier, w, struct pipeline *, p, struct self *,
                      parent);

// The caller has left some work that another carrier can do.
static void call_another(struct pipeline *p, struct self *self)
{
    if (!has_call(p) || !call(p))
        return;
    if (self->gone) { // it ends, or has ended
        weft_join_child(self->w, run_carrier);
        self->forked--;
        self->gone = false;
    }
    weft_fork(self->w, run_carrier, p, self);
    weft_fork_share(self->w); // a stage may block
    self->forked++;
}

// Takes the token through its stages; false: it was left at a gate.
static bool carry(struct pipeline *p, struct self *self, struct token *token)
{
    for (; token->stage < p->count; token->stage++) {
        bool parallel = p->stages[token->stage].parallel;
        struct gate *gate = parallel ? NULL : &p->gates[token->stage];
        if (gate != NULL && !enter_gate(p, gate, token))
            return false;
        run_next_stage(p, self->w, token);
        if (gate != NULL && leave_gate(p, gate, token->ticket))
            call_another(p, self);
    }
    if (!token->lives && p->options->drop != NULL)
        p->options->drop(token->item, p->options->drop_arg);
    return true;
}

// One that can go on, if there is one; the carrier's own, which has no item,
// goes home.
static struct token *go_on(struct pipeline *p, struct self *self,
                           struct token *own)
{
    struct token *ready = has_ready(p) ? take_ready(p) : NULL;
    if (ready == NULL || own == NULL)
        return ready;
    put_home(p, own);
    call_another(p, self);
    return ready;
}

static uint64_t made_by_all(const struct pipeline *p)
{
    return __atomic_load_n(&p->made, __ATOMIC_RELAXED); // a count
}

static size_t busy(const struct pipeline *p)
{
    size_t count = at_work(p);
    size_t workers = wi_runtime_count(wi_here.worker->runtime);
    return count < workers ? count : workers;
}

static struct wi_pace_sight sight_of(const struct pipeline *p)
{
    return (struct wi_pace_sight){wi_os_now(), made_by_all(p), busy(p)};
}

static bool is_over(struct pipeline *p, const struct self *self)
{
    return has_ended(p) || weft_fork_canceled(self->w);
}

// Leaves the work to others while the carrier is of no use; its own token, or
// NULL, goes back then. false: it is of use.
static bool give_way(struct pipeline *p, struct self *self, struct token **own)
{
    struct wi_pace *pace = &self->pace;
    bool stood = false;
    bool go = is_over(p, self) || wi_pace_stay(pace, sight_of(p));
    if (!go && *own != NULL) {
        put_home(p, *own);
        *own = NULL;
    }
    for (int64_t time = STAND_BY; !go;) {
        wi_pace_look(pace, sight_of(p));
        if (!stand_by(p, self->w, time, !stood))
            break;
        stood = true;
        go = is_over(p, self) || wi_pace_try(pace, sight_of(p));
        time = time < MOST_STAND_BY ? 2 * time : time;
    }
    if (stood)
        go_to_work(p, true);
    wi_pace_look(pace, sight_of(p));
    self->tries = 0;
    return stood;
}

// For a short time; true: there is some.
static bool look_for_work(struct pipeline *p, const struct self *self)
{
    do {
        if (wi_os_now() - self->pace.looked > LOOK)
            return false;
        wi_arch_relax();
    } while (!has_work(p));
    return true;
}

// Takes an item from the source, with its own token or one that is at home.
static struct token *make_one(struct pipeline *p, struct self *self,
                              struct token *own)
{
    if (own == NULL && !has_ended(p))
        own = take_home(p);
    if (own == NULL)
        return NULL;
    if (make_item(p, own)) {
        self->pace.own++;
        call_another(p, self);
        return own;
    }
    put_home(p, own);
    return NULL;
}

// What the carrier does next; NULL: nothing any more. `own` is the token that
// it has already, or NULL.
static struct token *next_token(struct pipeline *p, struct self *self,
                                struct token *own)
{
    for (;; own = NULL) {
        struct token *next = go_on(p, self, own);
        if (next != NULL)
            return next;
        if (weft_fork_canceled(self->w))
            end(p);
        if (self->tries++ > OFTEN)
            give_way(p, self, &own);
        next = make_one(p, self, own);
        if (next != NULL)
            return next;
        if (is_done(p)) {
            wake_all(p);
            return NULL;
        }
        if (has_ended(p) ||
            (!look_for_work(p, self) && !give_way(p, self, &next)))
            await_call(p, self->w);
    }
}

WEFT_FORKABLE_BODY(int, run_carrier, w, struct pipeline *, p, struct self *,
                   parent)
{
    struct self self = {.w = w};
    struct token *token = NULL;
    if (!begin(p, parent))
        return 0;
    wi_pace_look(&self.pace, sight_of(p));
    while ((token = next_token(p, &self, token)) != NULL)
        token = carry(p, &self, token) ? token : NULL;
    for (; self.forked > 0; self.forked--)
        weft_join_child(self.w, run_carrier);
    return 0;
}

// The pipeline ----------------------------------------------------------------

static void free_parts(struct pipeline *p)
{
    if (p->gates != NULL)
        free(p->gates[0].waiting);
    free(p->gates);
    free(p->all);
}

static int make_parts(struct pipeline *p)
{
    size_t places;
    if (__builtin_mul_overflow(p->count, p->tokens, &places))
        return -EOVERFLOW;
    p->all = calloc(p->tokens, sizeof *p->all);
    p->gates = calloc(p->count, sizeof *p->gates);
    struct token **waiting = calloc(places, sizeof(struct token *));
    if (p->gates != NULL)
        p->gates[0].waiting = waiting;
    if (p->all == NULL || p->gates == NULL || waiting == NULL) {
        if (p->gates == NULL)
            free(waiting);
        free_parts(p);
        return -ENOMEM;
    }
    for (size_t i = 0; i < p->count; i++)
        p->gates[i].waiting = waiting + i * p->tokens;
    for (size_t i = 0; i + 1 < p->tokens; i++)
        p->all[i].next = &p->all[i + 1];
    p->free_tokens = p->all;
    p->home = p->tokens;
    return 0;
}

int weft_pipeline_with(const struct weft_stage *stages, size_t n,
                       void *const *arg,
                       const struct weft_pipeline_options *options)
{
    wi_need_some(stages, n);
    WI_OPTIONS(options);
    struct pipeline p = {.stages = stages, .count = n, .arg = arg};
    p.options = options;
    p.tokens = options->tokens != 0 ? options->tokens : TOKENS;
    p.carriers = 1;
    if (n == 0)
        return -EINVAL;
    for (size_t i = 0; i < n; i++)
        wi_require(stages[i].run != NULL, stages,
                   "a stage's function must not be NULL");
    int rc = weft_check();
    if (rc == 0)
        rc = make_parts(&p);
    if (rc < 0)
        return rc;
    rc = weft_fork_run(options->executor, NULL, run_carrier, &p, NULL);
    free_parts(&p);
    return rc < 0 ? rc : p.code;
}
