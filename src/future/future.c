// SPDX-License-Identifier: MIT
//
// The life of a future: QUEUED -> RUNNING -> DONE, in the state word of its
// record. Whoever moves it to RUNNING (a worker, a join that runs it inline, a
// cancel) ends it. Waiters are nodes in their own frames, listed under the
// lock bit of the state word; the list passes to the completer with DONE.
#include "future/future.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <weft/error.h>

#include "arch/arch.h"
#include "base/cold.h"
#include "base/fresh.h"
#include "sched/deadlock.h"
#include "future/external.h"
#include "future/group.h"
#include "future/local.h"
#include "os/fork.h"
#include "os/report.h"
#include "os/thread.h"
#include "sched/scope.h"
#include "sched/worker.h"

enum { SPINS = 100, INLINE_ROOM = 32768 };

// In the child. Quick ways that need a record at hand are closed by that.
static void note_fork(void)
{
    if (wi_thread_has_others())
        wi_fresh_in_use();
    wi_fresh_note_fork();
    wi_here.end_id = wi_here.next_id;
}

// Before main, so that no record ends unheard and no fork unseen. Here, since
// every program that has futures links this file, also from the static library.
__attribute__((constructor)) static void set_up(void)
{
    wi_task_last_words = wi_future_last_words;
    wi_os_at_fork(note_fork);
}

static void spin(unsigned *turns)
{
    if (++*turns % SPINS == 0)
        wi_os_thread_yield(); // the holder may have lost its CPU
    wi_arch_relax();
}

// The list of waiters ---------------------------------------------------------

static void lock_list(struct wi_task *t)
{
    unsigned turns = 0;
    // acquire: pairs with the release in unlock_list
    while (__atomic_fetch_or(&t->state, WI_LOCKED, __ATOMIC_ACQUIRE) &
           WI_LOCKED)
        spin(&turns);
}

static void unlock_list(struct wi_task *t)
{
    uint32_t off = WI_LOCKED | (t->waiters == NULL ? WI_WAITED : 0);
    __atomic_fetch_and(&t->state, ~off, __ATOMIC_RELEASE);
}

bool wi_future_watch(struct wi_task *t, struct wi_node *node)
{
    node->granted = 0;
    lock_list(t);
    bool open = !wi_future_done(t);
    if (open) {
        struct wi_node **link = &t->waiters;
        node->next = NULL;
        node->prev = NULL;
        // A circular list: the head's prev is the last.
        if (*link == NULL) {
            node->prev = node;
            *link = node;
        } else {
            node->prev = (*link)->prev;
            (*link)->prev->next = node;
            (*link)->prev = node;
        }
        __atomic_fetch_or(&t->state, WI_WAITED, __ATOMIC_RELAXED);
    }
    unlock_list(t);
    return open;
}

static void unlink_node(struct wi_task *t, struct wi_node *node)
{
    struct wi_node *first = t->waiters;
    if (node == first)
        t->waiters = node->next;
    else
        node->prev->next = node->next;
    if (node->next != NULL)
        node->next->prev = node->prev;
    else if (node != first)
        first->prev = node->prev;
}

bool wi_future_unwatch(struct wi_task *t, struct wi_node *node)
{
    lock_list(t);
    bool open = !wi_future_done(t);
    if (open)
        unlink_node(t, node);
    unlock_list(t);
    return open;
}

void wi_node_await(struct wi_node *node)
{
    unsigned turns = 0;
    // acquire: pairs with the release in grant
    while (!__atomic_load_n(&node->granted, __ATOMIC_ACQUIRE))
        spin(&turns);
}

// Completion ------------------------------------------------------------------

static void grant(struct wi_node *node, struct wi_task *t)
{
    if (node->fire != NULL) {
        wi_here.ending++;
        node->fire(node, t);
        wi_here.ending--;
        return;
    }
    struct wi_task *waiter = node->waiter;
    // release: the last touch of the node; pairs with its owner's acquire
    __atomic_store_n(&node->granted, 1, __ATOMIC_RELEASE);
    wi_unpark(waiter);
}

// The end of a record that only its joiner holds: nobody can watch it, unless
// its body has given it an id, under which anybody may take a reference.
static inline bool close_kept(struct wi_task *t)
{
    // acquire: who gave a reference back has done with the state before; pairs
    // with the decrement in wi_task_unref
    if (!(t->flags & WI_KEPT) ||
        __atomic_load_n(&t->refs, __ATOMIC_ACQUIRE) != 1)
        return false;
    uint32_t state = __atomic_load_n(&t->state, __ATOMIC_RELAXED);
    if (state & (WI_LOCKED | WI_WAITED | WI_PUBLISHED))
        return false;
    // relaxed: a cancel mark that comes at this moment comes too late
    __atomic_store_n(&t->state, state | WI_DONE, __ATOMIC_RELAXED);
    return true;
}

// The end of a record that nobody waits for.
static inline bool close_alone(struct wi_task *t)
{
    uint32_t state = __atomic_load_n(&t->state, __ATOMIC_RELAXED);
    while (!(state & (WI_LOCKED | WI_WAITED))) {
        // acq_rel: the result before DONE; pairs with wi_future_done
        if (__atomic_compare_exchange_n(&t->state, &state, state | WI_DONE,
                                        true, __ATOMIC_ACQ_REL,
                                        __ATOMIC_RELAXED))
            return true;
    }
    return false;
}

// Moves the state to DONE and returns the waiters, who are the caller's now.
static struct wi_node *close_list(struct wi_task *t)
{
    lock_list(t);
    struct wi_node *list = t->waiters;
    t->waiters = NULL;
    __atomic_fetch_or(&t->state, WI_DONE, __ATOMIC_RELEASE);
    unlock_list(t);
    return list;
}

static void tell_waiters(struct wi_task *t)
{
    struct wi_node *node = close_list(t);
    while (node != NULL) {
        struct wi_node *next = node->next;
        grant(node, t);
        node = next;
    }
}

// For all but the quiet end of a task.
static __attribute__((noinline)) void finish_aloud(struct wi_task *t, int code)
{
    bool holds = t->held != 0;
    if (WI_RARELY(holds))
        wi_held_ops->report(t);
    t->held = 0;
    weft_group *group = t->group;
    // A group hears of a failure before the waiters do, so that whoever has
    // seen it sees the group canceled.
    if (group != NULL && code < 0)
        wi_group_failed(group, t, code);
    if (!close_kept(t) && !close_alone(t))
        tell_waiters(t);
    if (group != NULL)
        wi_group_leave(group, t);
    struct wi_runtime *home = t->home;
    bool tell = t->kind == WI_KIND_JOB && home != NULL && home->job_ended;
    if (!(t->flags & WI_KEPT))
        wi_task_unref(t);
    if (tell)
        home->job_ended(home);
    if (WI_RARELY(holds))
        wi_held_ops->orphaned();
}

void wi_future_finish(struct wi_task *t, int code)
{
    t->code = code;
    weft_group *group = t->group;
    bool quiet =
        code >= 0 && t->kind == WI_KIND_TASK && group != NULL && t->held == 0;
    bool kept = (t->flags & WI_KEPT) != 0;
    if (!quiet || !(kept ? close_kept(t) : close_alone(t))) {
        finish_aloud(t, code);
        return;
    }
    if (WI_RARELY(!wi_group_leave_fast(group, t)))
        wi_group_leave(group, t);
    if (!kept)
        wi_task_unref(t);
}

void wi_future_drop(struct wi_task *t, int code)
{
    wi_here.ending++;
    if (t->extra != NULL && t->extra->drop != NULL)
        t->extra->drop(t->arg);
    wi_local_leave(t);
    wi_here.ending--;
    wi_future_finish(t, code);
}

// Results ---------------------------------------------------------------------

bool wi_future_put(struct wi_task *t, const void *result, size_t size)
{
    if (size > UINT32_MAX)
        return false;
    if (size <= sizeof t->data.bytes) {
        if (size > 0)
            memcpy(t->data.bytes, result, size);
    } else {
        void *copy = malloc(size);
        if (copy == NULL)
            return false;
        memcpy(copy, result, size);
        t->data.heap = copy;
        t->flags |= WI_HEAP_RESULT;
    }
    t->result_size = (uint32_t)size;
    return true;
}

static void observe(struct wi_task *t)
{
    // relaxed: read by the last holder, after the count's acq_rel
    if (!wi_task_immortal(t))
        __atomic_fetch_or(&t->state, WI_OBSERVED, __ATOMIC_RELAXED);
}

// Memory of a struct weft_bytes goes to its first reader.
static void take_bytes(struct wi_task *t, struct weft_bytes *out)
{
    out->len = t->data.blob.len;
    out->data = __atomic_exchange_n(&t->data.blob.data, NULL, __ATOMIC_ACQ_REL);
    if (out->data == NULL)
        out->len = 0;
}

// The code has no place for the sizes, and the handle may go with the call.
static int wrong_size(const struct wi_task *t, size_t size)
{
    char who[128];
    wi_task_describe(t, who, sizeof who);
    wi_report("the result of %s has %u bytes, and %zu were asked for", who,
              (unsigned)t->result_size, size);
    return -WEFT_ETYPE;
}

int wi_future_take(struct wi_task *t, void *out, size_t size)
{
    if (t->code < 0) {
        observe(t);
        return t->code;
    }
    if (out == NULL && size == 0)
        return t->code;
    if (size != t->result_size)
        return wrong_size(t, size);
    if (t->flags & WI_BYTES_RESULT)
        take_bytes(t, out);
    else
        memcpy(out, t->flags & WI_HEAP_RESULT ? t->data.heap : t->data.bytes,
               size);
    return t->code;
}

// Waiting ---------------------------------------------------------------------

// Sets WI_CANCELED on the record a hint stands for, if it still lives.
static struct wi_task *mark_hint(wi_hint hint)
{
    struct wi_task *t = wi_hint_task(hint);
    uint32_t state = __atomic_load_n(&t->state, __ATOMIC_ACQUIRE);
    do {
        if (state >> 16 != wi_hint_gen(hint) ||
            (state & WI_PHASE) != WI_RUNNING)
            return NULL;
    } while (!__atomic_compare_exchange_n(&t->state, &state,
                                          state | WI_CANCELED, true,
                                          __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
    return t;
}

// Runs the claimed child t inside self's join. A cancel of self is passed on
// to what runs inside: either the canceller sees the edge, which stood before
// the claim's read-modify-write, or we see its mark.
static WI_MERGED void call_inside(struct wi_worker *worker,
                                  struct wi_task *self, struct wi_task *t,
                                  wi_hint hint)
{
    if (wi_scope_canceled(self))
        mark_hint(hint);
    int saved = *worker->errno_at; // as in a wait that parks
    self->wait_object = t;
    // relaxed, here and below: as in wi_park
    __atomic_store_n(&self->wait_kind, WI_WAIT_FUTURE, __ATOMIC_RELAXED);
    // The body's reference and ours become one: nobody else has any.
    t->flags |= WI_KEPT | WI_PINNED;
    __atomic_store_n(&t->refs, 1, __ATOMIC_RELAXED);
    wi_worker_call(worker, t);
    __atomic_store_n(&self->wait_kind, WI_WAIT_NONE, __ATOMIC_RELAXED);
    *worker->errno_at = saved;
}

// Whether nobody could tell the difference if t ran inside the join: it has
// not started, no deadline would have to interrupt the wait, a cancel of the
// joiner is one of t too, and nobody else holds the future.
static inline bool may_run_inline(struct wi_worker *worker,
                                  struct wi_task *self, bool plain,
                                  struct wi_task *t)
{
    // acquire, and before the state: another holder who has given t an id and
    // gone since is seen to have done so; pairs with wi_task_unref
    uint32_t refs = __atomic_load_n(&t->refs, __ATOMIC_ACQUIRE);
    uint32_t state = __atomic_load_n(&t->state, __ATOMIC_RELAXED);
    return worker != NULL && (state & (WI_PHASE | WI_PUBLISHED)) == WI_QUEUED &&
           t->home == worker->runtime && refs == 2 &&
           (plain || (wi_scope_deadline(self) == WI_FOREVER &&
                      !wi_scope_shielded(self))) &&
           wi_worker_has_room(worker, INLINE_ROOM);
}

// Whether t has run, and so has ended.
static WI_MERGED bool run_inline(struct wi_task *self, bool plain,
                                 struct wi_task *t)
{
    struct wi_worker *worker = wi_here.worker;
    if (!may_run_inline(worker, self, plain, t))
        return false;
    wi_hint hint = wi_hint_of(t);
    wi_deque_bury(&worker->jobs, hint);
    // relaxed: the fence orders it
    __atomic_store_n(&self->edge, hint | WI_EDGE_INLINE, __ATOMIC_RELAXED);
    bool mine = wi_task_claim(t, wi_hint_gen(hint), 0);
    if (mine) {
        // The edge before the look at the marks of a cancel; pairs with
        // wi_future_nudge. The claim was a compare-and-swap.
        wi_arch_fence_after_rmw();
        call_inside(worker, self, t, hint);
    }
    // release: as in wi_edge_clear
    __atomic_store_n(&self->edge, 0, __ATOMIC_RELEASE);
    return mine;
}

static int park_for(struct wi_task *self, struct wi_task *t,
                    struct wi_node *node)
{
    const struct wi_wait wait = {.object = t,
                                 .owner = t,
                                 .deadline = WI_FOREVER,
                                 .kind = WI_WAIT_FUTURE,
                                 .flags = WI_SCOPED};
    int rc = wi_edge_check(self);
    // acquire: pairs with grant
    while (rc == 0 && !__atomic_load_n(&node->granted, __ATOMIC_ACQUIRE)) {
        rc = wi_park(&wait);
        if (rc == -ETIMEDOUT && wi_scope_deadline(self) > wi_os_now())
            rc = 0; // an earlier timer's late word
        if (rc == 0 && !__atomic_load_n(&node->granted, __ATOMIC_ACQUIRE))
            rc = wi_edge_check(self); // wi_edge_stir
    }
    return rc;
}

static __attribute__((noinline)) int wait_parked(struct wi_task *self,
                                                 struct wi_task *t)
{
    struct wi_node node = {.waiter = self};
    if (WI_RARELY(wi_task_gone(t)))
        wi_panic("weft_join", t, WI_TASK_GONE);
    if (wi_scope_deadline(self) == WI_FOREVER)
        wi_edge_set(self, wi_hint_of(t));
    int rc = 0;
    if (wi_future_watch(t, &node)) {
        rc = park_for(self, t, &node);
        if (rc < 0 && !wi_future_unwatch(t, &node)) {
            wi_node_await(&node); // it ended after all: so did the wait
            rc = 0;
        }
    }
    wi_edge_clear(self);
    return rc;
}

// `inside`: t may run inside the wait.
static WI_MERGED int wait_for(struct wi_task *t, bool inside)
{
    struct wi_task *self = wi_self();
    if (self == NULL)
        return -ENOMEM;
    bool plain = wi_scope_plain(self);
    int rc = plain ? 0 : wi_scope_test_slow(self);
    if (rc < 0 || wi_future_done(t))
        return rc;
    if (t == self)
        return -WEFT_EDEADLOCK;
    if (inside && run_inline(self, plain, t))
        return 0;
    return wait_parked(self, t);
}

int wi_future_wait(struct wi_task *t)
{
    return wait_for(t, false);
}

static int park_firmly(struct wi_task *self, struct wi_task *t,
                       struct wi_node *node)
{
    const struct wi_wait wait = {.object = t,
                                 .owner = t,
                                 .deadline = WI_FOREVER,
                                 .kind = WI_WAIT_FUTURE};
    int rc = 0;
    wi_edge_stir(self);
    // acquire: pairs with grant
    while (rc != -WEFT_EFORKED &&
           !__atomic_load_n(&node->granted, __ATOMIC_ACQUIRE))
        rc = wi_park(&wait);
    return rc == -WEFT_EFORKED ? rc : 0;
}

int wi_future_await(struct wi_task *t)
{
    struct wi_task *self = wi_self();
    struct wi_node node = {.waiter = self};
    int rc = 0;
    if (self == NULL)
        return -ENOMEM;
    if (wi_future_done(t))
        return 0;
    wi_edge_set(self, wi_hint_of(t) | WI_EDGE_FIRM);
    if (wi_future_watch(t, &node)) {
        rc = park_firmly(self, t, &node);
        if (rc < 0 && !wi_future_unwatch(t, &node))
            rc = 0; // it ended before the fork
    }
    wi_edge_clear(self);
    return rc;
}

// The end of a wait that hands over: rc is the wait's, the reference is ours.
static int hand_over(struct wi_task *t, int rc, void *out, size_t size)
{
    if (rc == 0)
        rc = wi_future_take(t, out, size);
    else if (wi_future_gave_up(rc))
        wi_future_cancel(t);
    wi_task_unref(t);
    return rc;
}

static __attribute__((noinline)) int wait_inside(struct wi_task *t)
{
    return wait_for(t, true);
}

int weft_result_into(weft_future *f, void *out, size_t size)
{
    wi_need_some(out, size);
    struct wi_task *t = wi_of_future(f);
    wi_require(f != NULL, f, "a future handle must not be NULL");
    return hand_over(t, wait_inside(t), out, size);
}

int weft_join(weft_future *f)
{
    struct wi_task *t = wi_of_future(f);
    wi_require(f != NULL, f, "a future handle must not be NULL");
    int rc = wait_for(t, true);
    if (WI_RARELY(rc < 0 || t->code < 0))
        return hand_over(t, rc, NULL, 0);
    int code = t->code;
    wi_task_unref(t);
    return code;
}

int weft_get_into(weft_future *f, void *out, size_t size)
{
    wi_require(f != NULL, f, "a future handle must not be NULL");
    wi_need_some(out, size);
    int rc = wi_future_wait(wi_of_future(f));
    return rc < 0 ? rc : wi_future_take(wi_of_future(f), out, size);
}

// Looking ---------------------------------------------------------------------

bool weft_done(weft_future *f)
{
    return wi_future_done(wi_future_given(__func__, f));
}

int weft_future_code(weft_future *f)
{
    struct wi_task *t = wi_future_given(__func__, f);
    if (!wi_future_done(t))
        return -EAGAIN;
    if (t->code < 0)
        observe(t);
    return t->code;
}

const char *weft_future_text(weft_future *f)
{
    struct wi_task *t = wi_future_given(__func__, f);
    if (!wi_future_done(t) || t->extra == NULL || t->extra->text == NULL)
        return "";
    return t->extra->text;
}

weft_future *weft_future_ref(weft_future *f)
{
    wi_task_ref(wi_future_given(__func__, f));
    return f;
}

void weft_future_unref(weft_future *f)
{
    if (f != NULL)
        wi_task_unref(wi_of_future(f));
}

// Canceling -------------------------------------------------------------------

// Not ended, nor buried: a parent's, in a child of fork.
static bool is_running(const struct wi_task *t)
{
    // acquire: as wi_future_done
    uint32_t state = __atomic_load_n(&t->state, __ATOMIC_ACQUIRE);
    return (state & WI_PHASE) == WI_RUNNING;
}

void wi_future_nudge(struct wi_task *t)
{
    unsigned turns = 0;
    // Between the claim and the start there are some ns without an owner.
    // acquire: pairs with the release in wi_worker_call
    while (t->kind <= WI_KIND_JOB && is_running(t) &&
           __atomic_load_n(&t->owner, __ATOMIC_ACQUIRE) == 0)
        spin(&turns);
    uint32_t gen = __atomic_load_n(&t->state, __ATOMIC_RELAXED) >> 16;
    wi_unpark(t);
    // What runs inside its join hears of it too.
    for (;;) {
        // seq_cst: after the mark; pairs with the fence in run_inline
        uint64_t edge = __atomic_load_n(&t->edge, __ATOMIC_SEQ_CST);
        // acquire: the edge before the generation. What runs inside has no
        // reference from us: it may have ended, and this be another's edge.
        uint32_t now = __atomic_load_n(&t->state, __ATOMIC_ACQUIRE) >> 16;
        if (wi_edge_tag(edge) != WI_EDGE_INLINE || now != gen)
            return;
        wi_hint hint = wi_edge_hint(edge);
        gen = wi_hint_gen(hint);
        t = mark_hint(hint);
        if (t == NULL)
            return;
        wi_unpark(t);
    }
}

static int cancel_running(struct wi_task *t)
{
    // seq_cst: before the looks at owner and edge; pairs with the claim and
    // with wi_edge_set in call_inside
    uint32_t state =
        __atomic_fetch_or(&t->state, WI_CANCELED, __ATOMIC_SEQ_CST);
    if ((state & WI_PHASE) == WI_DONE)
        return -EALREADY;
    if (state & WI_CANCELED)
        return 0;
    if (wi_future_is_external(t))
        wi_external_cancel(t);
    else
        wi_future_nudge(t);
    return 0;
}

int wi_future_cancel(struct wi_task *t)
{
    if (wi_future_done(t))
        return -EALREADY;
    uint32_t gen = __atomic_load_n(&t->state, __ATOMIC_RELAXED) >> 16;
    if (!wi_task_claim(t, gen, WI_CANCELED))
        return cancel_running(t);
    wi_future_drop(t, -WEFT_EJOBCANCELED);
    return 0;
}

int weft_cancel(weft_future *f)
{
    return wi_future_cancel(wi_future_given(__func__, f));
}
