// SPDX-License-Identifier: MIT
//
// An item under way is a token, of which there are `tokens`. Carriers, children
// of one fork-join run, take an item from the source through all stages, and
// then the next one. A stage that is not parallel is a gate that items pass in
// the order of their tickets: a carrier that comes too early leaves its token
// there, for whoever lets the one before it out, and goes on with another item.
// That is the back-pressure: there are no queues between the stages, and never
// more items than tokens.
//
// A carrier that has nothing to do waits, and one that leaves something to do
// calls for one more: a waiting one, or, if there is none, it forks one. So
// there are only as many as workers, and as items that are held up in a stage.
// One that is called looks for work after it has said that it comes, so one
// call at a time is enough.
//
// A gate is only ever waited for by a later ticket than the one inside, and the
// lowest ticket is with a carrier, or in the list of those that can go on,
// which whoever put it there empties before it waits. So somebody can always go
// on. When a stage fails, the items under way still pass the gates, without
// running.
#include <weft/parallel.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <weft/fork.h>
#include <weft/task.h>

#include "base/options.h"
#include "os/futex.h"
#include "os/report.h"
#include "sched/park.h"
#include "sched/scope.h"
#include "sched/task.h"

enum { TOKENS = 16, MOST_CARRIERS = WEFT_FORK_CHILDREN / 2 };

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
    struct carrier *next;
    bool called; // atomic: it is not in the list any more
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
    uint64_t made;      // of who is there: how many items
    uint32_t ended;     // atomic: no more are made
    uint32_t callable;  // atomic: there may be work for somebody who would come

    struct wi_mutex lock;      // of what follows
    struct token *free_tokens; // atomic: those without an item
    struct token *ready;       // atomic: these can go on
    struct carrier *waiting;
    size_t carriers; // that there are, and may be
    size_t most;
    bool coming;     // somebody has been called, and has not come yet
    uint64_t failed; // the ticket whose failure counts
    int code;        // atomic, for a look
};

// Carriers --------------------------------------------------------------------

static bool can_call(const struct pipeline *p)
{
    return !p->coming && (p->waiting != NULL || p->carriers < p->most) &&
           (p->free_tokens != NULL || p->ready != NULL);
}

static void unlock(struct pipeline *p)
{
    // seq_cst: before the caller's next look at the work; pairs with has_call
    __atomic_store_n(&p->callable, can_call(p), __ATOMIC_SEQ_CST);
    wi_mutex_unlock(&p->lock);
}

// Whether to call somebody for the work that the caller has left.
static bool has_call(struct pipeline *p)
{
    // seq_cst: after that; pairs with unlock
    return __atomic_load_n(&p->callable, __ATOMIC_SEQ_CST) != 0;
}

static void wake(struct carrier *carrier)
{
    struct wi_task *task = carrier->task;
    // release: the end of our use of its frame; pairs with await_call
    __atomic_store_n(&carrier->called, true, __ATOMIC_RELEASE);
    wi_unpark(task);
}

// Calls somebody; true: the caller has to fork a carrier.
static bool call(struct pipeline *p)
{
    bool fork = false;
    wi_mutex_lock(&p->lock);
    struct carrier *carrier = NULL;
    if (can_call(p)) {
        carrier = p->waiting;
        fork = carrier == NULL;
        p->coming = true;
        p->carriers += fork;
    }
    if (carrier != NULL)
        p->waiting = carrier->next;
    unlock(p);
    if (carrier != NULL)
        wake(carrier);
    return fork;
}

static void come(struct pipeline *p)
{
    wi_mutex_lock(&p->lock);
    p->coming = false;
    unlock(p);
}

static bool has_ended(struct pipeline *p)
{
    // seq_cst: after the carrier has become a waiting one; pairs with end
    return __atomic_load_n(&p->ended, __ATOMIC_SEQ_CST) != 0;
}

// No more items are made, and nobody has to wait for any.
static void end(struct pipeline *p)
{
    if (has_ended(p))
        return;
    // seq_cst: before the look at who waits; pairs with await_call
    __atomic_store_n(&p->ended, 1, __ATOMIC_SEQ_CST);
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

static bool has_work(struct pipeline *p)
{
    // seq_cst: the same; pairs with make_item
    return has_ready(p) || has_ended(p) ||
           (__atomic_load_n(&p->making, __ATOMIC_SEQ_CST) == 0 &&
            __atomic_load_n(&p->free_tokens, __ATOMIC_SEQ_CST) != NULL);
}

// Takes the carrier out of the list; false: it has been called.
static bool stop_waiting(struct pipeline *p, struct carrier *carrier)
{
    struct carrier **link = &p->waiting;
    wi_mutex_lock(&p->lock);
    while (*link != NULL && *link != carrier)
        link = &(*link)->next;
    bool found = *link != NULL;
    if (found)
        *link = carrier->next;
    unlock(p);
    return found;
}

// Waits until there may be something to do, or until the run is canceled.
static void await_call(struct pipeline *p, weft_worker *w)
{
    struct carrier carrier = {.task = wi_self()};
    const struct wi_wait wait = {.object = p,
                                 .deadline = wi_scope_deadline(carrier.task),
                                 .kind = WI_WAIT_QUEUE};
    wi_mutex_lock(&p->lock);
    carrier.next = p->waiting;
    p->waiting = &carrier;
    unlock(p);
    if (has_work(p) && stop_waiting(p, &carrier))
        return;
    // acquire: pairs with wake
    while (!__atomic_load_n(&carrier.called, __ATOMIC_ACQUIRE)) {
        wi_park(&wait);
        if (weft_fork_canceled(w) && stop_waiting(p, &carrier))
            return;
    }
    come(p);
}

// Tokens ----------------------------------------------------------------------

// seq_cst, both: pairs with has_work
static void put_token(struct pipeline *p, struct token **list,
                      struct token *token)
{
    wi_mutex_lock(&p->lock);
    token->next = *list;
    __atomic_store_n(list, token, __ATOMIC_SEQ_CST);
    unlock(p);
}

static struct token *take_token(struct pipeline *p, struct token **list)
{
    wi_mutex_lock(&p->lock);
    struct token *token = *list;
    if (token != NULL)
        __atomic_store_n(list, token->next, __ATOMIC_SEQ_CST);
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
        put_token(p, &p->ready, next);
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
    p->made += code == 0;
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

// A carrier, as it runs.
struct self {
    weft_worker *w;
    size_t forked; // children that it has to join
};

WEFT_FORKABLE_DECLARE(int, run_carrier, w, struct pipeline *, p);

// The caller has left some work that another carrier can do.
static void call_another(struct pipeline *p, struct self *self)
{
    if (!has_call(p) || !call(p))
        return;
    weft_fork(self->w, run_carrier, p);
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
// goes back.
static struct token *take_ready(struct pipeline *p, struct self *self,
                                struct token *own)
{
    struct token *ready = has_ready(p) ? take_token(p, &p->ready) : NULL;
    if (ready == NULL || own == NULL)
        return ready;
    put_token(p, &p->free_tokens, own);
    call_another(p, self);
    return ready;
}

// What the carrier does next; NULL: nothing any more. `own` is the token that
// it has already, or NULL.
static struct token *next_token(struct pipeline *p, struct self *self,
                                struct token *own)
{
    for (;;) {
        struct token *ready = take_ready(p, self, own);
        if (ready != NULL)
            return ready;
        if (weft_fork_canceled(self->w))
            end(p);
        if (has_ended(p))
            return NULL;
        if (own == NULL)
            own = take_token(p, &p->free_tokens);
        if (own != NULL && make_item(p, own)) {
            call_another(p, self);
            return own;
        }
        if (own != NULL)
            put_token(p, &p->free_tokens, own);
        own = NULL;
        await_call(p, self->w);
    }
}

WEFT_FORKABLE_BODY(int, run_carrier, w, struct pipeline *, p)
{
    struct self self = {w, 0};
    struct token *token = NULL;
    come(p);
    while ((token = next_token(p, &self, token)) != NULL) {
        if (!carry(p, &self, token))
            token = NULL;
    }
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
    p.most = p.tokens < MOST_CARRIERS ? p.tokens : MOST_CARRIERS;
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
    rc = weft_fork_run(options->executor, NULL, run_carrier, &p);
    free_parts(&p);
    return rc < 0 ? rc : p.code;
}
