// SPDX-License-Identifier: MIT
//
// A pipeline is carried by `tokens` carriers, children of one fork-join run.
// A carrier takes a ticket, makes an item by the first stage, and takes it
// through all stages; then it takes the next ticket. A stage that is not
// parallel is a gate that tickets pass in order; a carrier that comes too early
// parks, so that its worker takes up another carrier. That is the
// back-pressure: there are no queues between the stages, and never more items
// than carriers.
//
// A gate is only ever waited for by a later ticket than the one inside, and
// tickets are taken by carriers that run: so somebody can always go on. When a
// stage fails, the items under way still pass the gates, without running.
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
#include "sched/task.h"

enum { TOKENS = 16 };

// Who waits for which ticket: tickets that wait at once differ by less than
// the number of tokens.
struct gate {
    uint64_t turn; // atomic: the ticket that may pass
    struct wi_task **waiting;
};

struct pipeline {
    const struct weft_stage *stages;
    size_t count;
    void *const *arg;
    const struct weft_pipeline_options *options;
    size_t tokens;
    struct gate *gates; // one for each stage
    uint64_t next;      // atomic: the next ticket
    uint64_t last;      // atomic: tickets from here on have no item
    struct wi_mutex lock;
    uint64_t failed; // the ticket whose failure counts
    int code;        // atomic, for a look
};

static uint64_t turn_of(struct gate *gate)
{
    // seq_cst: after the announcement of who waits; pairs with leave_gate
    return __atomic_load_n(&gate->turn, __ATOMIC_SEQ_CST);
}

static void enter_gate(struct pipeline *p, struct gate *gate, uint64_t ticket)
{
    if (turn_of(gate) == ticket)
        return;
    const struct wi_wait wait = {
        .object = gate, .deadline = WI_FOREVER, .kind = WI_WAIT_QUEUE};
    // seq_cst: before the second look at the turn; pairs with leave_gate
    __atomic_store_n(&gate->waiting[ticket % p->tokens], wi_self(),
                     __ATOMIC_SEQ_CST);
    while (turn_of(gate) != ticket)
        wi_park(&wait);
}

static void leave_gate(struct pipeline *p, struct gate *gate, uint64_t ticket)
{
    // seq_cst: before the look for who waits; pairs with enter_gate
    __atomic_store_n(&gate->turn, ticket + 1, __ATOMIC_SEQ_CST);
    struct wi_task *next = __atomic_exchange_n(
        &gate->waiting[(ticket + 1) % p->tokens], NULL, __ATOMIC_SEQ_CST);
    if (next != NULL)
        wi_unpark(next);
}

static void fail(struct pipeline *p, uint64_t ticket, int code)
{
    wi_mutex_lock(&p->lock);
    if (p->code == 0 || ticket < p->failed) {
        __atomic_store_n(&p->code, code, __ATOMIC_RELAXED);
        p->failed = ticket;
    }
    wi_mutex_unlock(&p->lock);
}

// No item is made from this ticket on.
static void end_at(struct pipeline *p, uint64_t ticket)
{
    uint64_t last = __atomic_load_n(&p->last, __ATOMIC_RELAXED);
    // relaxed: carriers that see it late make one item more
    while (ticket < last &&
           !__atomic_compare_exchange_n(&p->last, &last, ticket, true,
                                        __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
}

static bool has_ended(struct pipeline *p)
{
    return __atomic_load_n(&p->last, __ATOMIC_RELAXED) != UINT64_MAX;
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

// The first stage; false: there is no item.
static bool make_item(struct pipeline *p, weft_worker *w, uint64_t ticket,
                      void **item)
{
    int code = 1;
    enter_gate(p, &p->gates[0], ticket);
    if (!has_ended(p) && !weft_fork_canceled(w)) {
        code = run_stage(p, 0, item);
        if (code < 0)
            fail(p, ticket, code);
    }
    if (code != 0)
        end_at(p, ticket);
    leave_gate(p, &p->gates[0], ticket);
    return code == 0;
}

// The other stages. An item that fails, or that comes after a failure, goes
// through the gates only; whether it came through.
static bool carry(struct pipeline *p, weft_worker *w, uint64_t ticket,
                  void **item)
{
    bool lives = true;
    for (size_t i = 1; i < p->count; i++) {
        struct gate *gate = p->stages[i].parallel ? NULL : &p->gates[i];
        if (gate != NULL)
            enter_gate(p, gate, ticket);
        lives = lives && !has_failed(p) && !weft_fork_canceled(w);
        int code = lives ? run_stage(p, i, item) : 0;
        if (code < 0) {
            fail(p, ticket, code);
            end_at(p, ticket);
            lives = false;
        }
        if (gate != NULL)
            leave_gate(p, gate, ticket);
    }
    return lives;
}

// Carries items until there are no more.
static void run_carrier(struct pipeline *p, weft_worker *w)
{
    bool made = true;
    while (made && !has_ended(p) && !weft_fork_canceled(w)) {
        void *item = NULL;
        // relaxed: only the number matters
        uint64_t ticket = __atomic_fetch_add(&p->next, 1, __ATOMIC_RELAXED);
        made = make_item(p, w, ticket, &item);
        if (made && !carry(p, w, ticket, &item) && p->options->drop != NULL)
            p->options->drop(item, p->options->drop_arg);
    }
}

WEFT_FORKABLE(int, run_carriers, w, struct pipeline *, p, size_t, count)
{
    if (count == 1) {
        run_carrier(p, w);
        return 0;
    }
    // The first runs here; the others when a worker has nothing else to do.
    weft_fork(w, run_carriers, p, count - 1);
    weft_fork_share(w); // a stage may block
    run_carriers(w, p, 1);
    return weft_join_child(w, run_carriers);
}

static int make_gates(struct pipeline *p)
{
    size_t slots;
    if (__builtin_mul_overflow(p->count, p->tokens, &slots))
        return -EOVERFLOW;
    p->gates = calloc(p->count, sizeof *p->gates);
    struct wi_task **waiting = calloc(slots, sizeof(struct wi_task *));
    if (p->gates == NULL || waiting == NULL) {
        free(p->gates);
        free(waiting);
        return -ENOMEM;
    }
    for (size_t i = 0; i < p->count; i++)
        p->gates[i].waiting = waiting + i * p->tokens;
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
    p.last = UINT64_MAX;
    if (n == 0)
        return -EINVAL;
    for (size_t i = 0; i < n; i++)
        wi_require(stages[i].run != NULL, stages,
                   "a stage's function must not be NULL");
    int rc = weft_check();
    if (rc == 0)
        rc = make_gates(&p);
    if (rc < 0)
        return rc;
    rc = weft_fork_run(options->executor, NULL, run_carriers, &p, p.tokens);
    free(p.gates[0].waiting);
    free(p.gates);
    return rc < 0 ? rc : p.code;
}
