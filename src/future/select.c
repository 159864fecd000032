// SPDX-License-Identifier: MIT
//
// Waiting for the first of several different things.
//
// Most things that can be waited for stay as they are when one looks at them: a
// future that is done, a time that has passed, a descriptor that is ready, an
// item in a queue. For these a wake is a hint only, and nothing can be lost:
// the select looks at all cases again and takes the first that it finds, which
// for a queue is an ordinary try. What it was woken for and did not use is
// passed on by wi_queue_unlist. A queue in shared memory is such a thing as
// well, whoever its peers are: the process's keeper watches it meanwhile.
//
// A rendezvous is different: the other side serves this one while it sleeps.
// So it first claims the select's `choice`, which is one word for all cases:
// of two others that come at once, one has it, and the second goes on to the
// next in its list. A select that is awake is in no list and cannot be claimed;
// listing itself everywhere is one step for all others, because it holds the
// locks of all its queues while it does that. Locks are taken in the order of
// their addresses, which is put before get in a queue as well.
//
// An event that is set and cleared at once has happened to those who stood in
// its line, so there the select stays until it ends; its place remembers.
//
// So each round is: look at each case, starting with a random one; list
// everywhere; park; leave every list. A claim ends it, else the next round
// looks again.
#include <weft/select.h>

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/options.h"
#include "future/future.h"
#include "loop/ready.h"
#include "os/report.h"
#include "sched/scope.h"
#include "sync/channel.h"
#include "sync/event.h"
#include "sync/signal.h"

enum { ON_STACK = 8 };

// What one case needs while it waits.
struct slot {
    union {
        struct wi_waiter waiter; // put, get
        struct wi_node node;     // future
        struct wi_ready ready;
        struct wi_shared_watch watch; // put, get in an arena
        union wi_event_watch event;
    };
    int64_t when;         // after
    struct wi_task *next; // to unpark: what was passed on
    bool armed;
};

struct select {
    struct weft_case *cases;
    struct slot *slots;
    struct pollfd *fds;      // one more than cases
    struct wi_mutex **locks; // two a case
    size_t n, lock_count;
    struct wi_task *self;
    struct wi_choice choice;
    int64_t deadline; // of the call
};

enum { NOTHING = -1 }; // no case has happened

static bool is_queue(const struct weft_case *c)
{
    return c->kind == WEFT_CASE_IS_PUT || c->kind == WEFT_CASE_IS_GET;
}

static bool is_shared(const struct weft_case *c)
{
    return is_queue(c) && ((const weft_queue *)c->object)->shared;
}

// A queue of this process, whose peers know of choices.
static bool is_own(const struct weft_case *c)
{
    return is_queue(c) && !is_shared(c);
}

static bool is_put(const struct weft_case *c)
{
    return c->kind == WEFT_CASE_IS_PUT;
}

// Whether it waits by means of a descriptor.
static bool has_fd(const struct weft_case *c)
{
    return c->kind == WEFT_CASE_IS_READY || c->kind == WEFT_CASE_IS_SIGNAL;
}

static struct wi_transfer transfer_of(struct select *s,
                                      const struct weft_case *c)
{
    return (struct wi_transfer){.items = c->item,
                                .n = 1,
                                .priority = c->priority,
                                .put = is_put(c),
                                .choice = &s->choice};
}

// Looking ---------------------------------------------------------------------

static int happened(struct weft_case *c, size_t i, ssize_t code)
{
    c->code = code > 0 && is_queue(c) ? 0 : (int)code;
    return (int)i;
}

static int look_at_queue(struct select *s, size_t i)
{
    struct weft_case *c = &s->cases[i];
    struct wi_transfer t = transfer_of(s, c);
    weft_queue *q = c->object;
    if (q->shared) {
        ssize_t rc = wi_queue_move_shared(q, &t, WI_NOWAIT);
        return rc != -EAGAIN ? happened(c, i, rc) : NOTHING;
    }
    struct wi_side *side = wi_queue_side(q, t.put);
    wi_mutex_lock(side->lock);
    ssize_t moved = wi_queue_try(q, &t);
    wi_mutex_unlock(side->lock);
    if (moved > 0)
        wi_queue_moved(q, &t, 1);
    return moved != 0 ? happened(c, i, moved) : NOTHING;
}

static int look_at_future(struct select *s, size_t i)
{
    struct wi_task *t = wi_of_future(s->cases[i].object);
    if (!wi_future_done(t))
        return NOTHING;
    return happened(&s->cases[i], i, weft_future_code(wi_as_future(t)));
}

static int look_at_event(struct select *s, size_t i)
{
    struct weft_case *c = &s->cases[i];
    struct slot *slot = &s->slots[i];
    bool set = (slot->armed && wi_event_is_told(c->object, &slot->event)) ||
               wi_event_has_come(c->object);
    return set ? happened(c, i, 0) : NOTHING;
}

static int look_at_signals(struct select *s, size_t i)
{
    weft_signals *signals = s->cases[i].object;
    int rc = signals->code;
    while (rc == 0 && (rc = wi_os_signal_take(&signals->watch)) == 0) {
        rc = wi_ready_begin(&s->slots[i].ready, signals->watch.fd,
                            WEFT_READABLE);
        if (rc == 0) {
            s->slots[i].armed = true;
            return NOTHING;
        }
        wi_os_signal_seen(&signals->watch);
        rc = rc > 0 ? 0 : rc;
    }
    return happened(&s->cases[i], i, rc);
}

static int look_at_ready(struct select *s, size_t i)
{
    struct weft_case *c = &s->cases[i];
    int rc = wi_ready_begin(&s->slots[i].ready, c->fd, c->events);
    if (rc != 0)
        return happened(c, i, rc);
    s->slots[i].armed = true;
    return NOTHING;
}

static int look_at(struct select *s, size_t i)
{
    switch (s->cases[i].kind) {
    case WEFT_CASE_IS_PUT:
    case WEFT_CASE_IS_GET:
        return look_at_queue(s, i);
    case WEFT_CASE_IS_FUTURE:
        return look_at_future(s, i);
    case WEFT_CASE_IS_READY:
        return look_at_ready(s, i);
    case WEFT_CASE_IS_SIGNAL:
        return look_at_signals(s, i);
    case WEFT_CASE_IS_EVENT:
        return look_at_event(s, i);
    case WEFT_CASE_IS_AFTER:
        return s->slots[i].when <= wi_os_now() ? happened(&s->cases[i], i, 0)
                                               : NOTHING;
    default:
        return NOTHING;
    }
}

// A generator of the thread's own is enough: it need only not keep step with
// what the others do.
static size_t random_start(size_t n)
{
    wi_here.random = wi_here.random * 1664525u + 1013904223u;
    return n <= 1 ? 0 : (size_t)(((uint64_t)wi_here.random * n) >> 32);
}

static int look_at_all(struct select *s)
{
    size_t i = random_start(s->n);
    for (size_t k = 0; k < s->n; k++, i = i + 1 < s->n ? i + 1 : 0) {
        int found = look_at(s, i);
        if (found != NOTHING)
            return found;
    }
    return NOTHING;
}

// The locks of all queues -----------------------------------------------------

static int by_address(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t) * (struct wi_mutex *const *)a;
    uintptr_t y = (uintptr_t) * (struct wi_mutex *const *)b;
    return x < y ? -1 : x > y;
}

static void add_lock(struct select *s, struct wi_mutex *lock)
{
    for (size_t i = 0; i < s->lock_count; i++)
        if (s->locks[i] == lock)
            return;
    s->locks[s->lock_count++] = lock;
}

// A put may need the other lock as well, to make room in the store.
static void find_locks(struct select *s)
{
    for (size_t i = 0; i < s->n; i++) {
        const weft_queue *q = s->cases[i].object;
        if (!is_own(&s->cases[i]))
            continue;
        add_lock(s, q->get.lock);
        if (is_put(&s->cases[i]))
            add_lock(s, q->put.lock);
    }
    if (s->lock_count > 1)
        qsort(s->locks, s->lock_count, sizeof(struct wi_mutex *), by_address);
}

static void lock_all(struct select *s)
{
    for (size_t i = 0; i < s->lock_count; i++)
        wi_mutex_lock(s->locks[i]);
}

static void unlock_all(struct select *s)
{
    for (size_t i = s->lock_count; i-- > 0;)
        wi_mutex_unlock(s->locks[i]);
}

// Listing ---------------------------------------------------------------------

// With all locks held: a case that can be served after all.
static int try_queues(struct select *s, struct wi_transfer *t)
{
    for (size_t i = 0; i < s->n; i++) {
        struct weft_case *c = &s->cases[i];
        if (!is_own(c))
            continue;
        *t = transfer_of(s, c);
        t->both = true;
        ssize_t moved = wi_queue_try(c->object, t);
        if (moved != 0)
            return happened(c, i, moved);
    }
    return NOTHING;
}

static void unlist_queues(struct select *s)
{
    for (size_t i = 0; i < s->n; i++) {
        struct slot *slot = &s->slots[i];
        slot->next = NULL;
        if (is_own(&s->cases[i]) && slot->armed)
            slot->next = wi_queue_unlist(s->cases[i].object,
                                         is_put(&s->cases[i]), &slot->waiter);
        if (is_own(&s->cases[i]))
            slot->armed = false;
    }
}

static void unpark_passed_on(struct select *s)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->slots[i].next != NULL)
            wi_unpark(s->slots[i].next);
}

// false: something has come meanwhile, try again.
static bool list_queues(struct select *s)
{
    for (size_t i = 0; i < s->n; i++) {
        struct weft_case *c = &s->cases[i];
        struct slot *slot = &s->slots[i];
        if (!is_own(c))
            continue;
        slot->waiter = (struct wi_waiter){.task = s->self,
                                          .item = c->item,
                                          .choice = &s->choice,
                                          .index = (uint32_t)i};
        slot->armed = wi_queue_list(c->object, is_put(c), &slot->waiter, false);
        if (!slot->armed)
            return false;
    }
    return true;
}

// Lists all queue cases at once; or a case that happened instead.
static int list_or_serve(struct select *s)
{
    struct wi_transfer t;
    int found;
    lock_all(s);
    while ((found = try_queues(s, &t)) == NOTHING && !list_queues(s))
        unlist_queues(s); // nobody could see it listed: nothing to pass on
    unlock_all(s);
    if (found != NOTHING && s->cases[found].code == 0)
        wi_queue_moved(s->cases[found].object, &t, 1);
    return found;
}

static int watch_futures(struct select *s)
{
    for (size_t i = 0; i < s->n; i++) {
        struct weft_case *c = &s->cases[i];
        struct slot *slot = &s->slots[i];
        if (c->kind != WEFT_CASE_IS_FUTURE)
            continue;
        slot->node = (struct wi_node){.waiter = s->self};
        slot->armed = wi_future_watch(wi_of_future(c->object), &slot->node);
        if (!slot->armed)
            return look_at_future(s, i);
    }
    return NOTHING;
}

// Once for all rounds: between two of them an event may be set and cleared.
static int watch_events(struct select *s)
{
    for (size_t i = 0; i < s->n; i++) {
        struct weft_case *c = &s->cases[i];
        struct slot *slot = &s->slots[i];
        if (c->kind != WEFT_CASE_IS_EVENT || slot->armed)
            continue;
        int rc = wi_event_watch(c->object, &slot->event, s->self);
        if (rc != 0)
            return happened(c, i, rc < 0 ? rc : 0);
        slot->armed = true;
    }
    return NOTHING;
}

static struct wi_shared_handle *handle_of(const struct weft_case *c)
{
    return &((weft_queue *)c->object)->handle;
}

// The queues in shared memory; or a case that can be served after all.
static int watch_shared(struct select *s)
{
    int found = NOTHING;
    for (size_t i = 0; i < s->n && found == NOTHING; i++) {
        struct weft_case *c = &s->cases[i];
        if (!is_shared(c))
            continue;
        wi_shared_queue_watch(handle_of(c), is_put(c), &s->slots[i].watch);
        s->slots[i].armed = true;
        found = look_at_queue(s, i);
    }
    return found;
}

// At the end of all rounds. An event that was set meanwhile, or NOTHING.
static int leave_events(struct select *s)
{
    int set = NOTHING;
    for (size_t i = 0; i < s->n; i++) {
        struct slot *slot = &s->slots[i];
        if (s->cases[i].kind == WEFT_CASE_IS_EVENT && slot->armed &&
            wi_event_unwatch(s->cases[i].object, &slot->event))
            set = (int)i;
    }
    return set;
}

// Leaves every list but those of events. A case whose descriptor was closed, or
// NOTHING.
static int disarm(struct select *s)
{
    int closed = NOTHING;
    if (s->lock_count > 0) {
        lock_all(s);
        unlist_queues(s);
        unlock_all(s);
        unpark_passed_on(s);
    }
    for (size_t i = 0; i < s->n; i++) {
        struct slot *slot = &s->slots[i];
        if (!slot->armed || s->cases[i].kind == WEFT_CASE_IS_EVENT)
            continue;
        slot->armed = false;
        if (is_shared(&s->cases[i]))
            wi_shared_queue_unwatch(handle_of(&s->cases[i]),
                                    is_put(&s->cases[i]), &slot->watch);
        else if (has_fd(&s->cases[i]))
            closed = wi_ready_end(&slot->ready) < 0 ? (int)i : closed;
        else if (!wi_future_unwatch(wi_of_future(s->cases[i].object),
                                    &slot->node))
            wi_node_await(&slot->node);
    }
    return closed;
}

// Sleeping --------------------------------------------------------------------

static int64_t earliest(const struct select *s)
{
    int64_t deadline = s->deadline;
    for (size_t i = 0; i < s->n; i++)
        if (s->cases[i].kind == WEFT_CASE_IS_AFTER &&
            s->slots[i].when < deadline)
            deadline = s->slots[i].when;
    return deadline;
}

// Once, since any wake may be a hint: the next round looks.
static int sleep_once(struct select *s)
{
    struct wi_wait wait = {.object = s->cases,
                           .deadline = earliest(s),
                           .kind = WI_WAIT_SET,
                           .flags = WI_SCOPED};
    bool plain = wi_here.worker == NULL;
    unsigned count = 0;
    // acquire: pairs with wi_choice_claim
    if (__atomic_load_n(&s->choice.claimed, __ATOMIC_ACQUIRE) != 0)
        return 0;
    for (size_t i = 0; i < s->n; i++) {
        if (!has_fd(&s->cases[i]))
            continue;
        wait.flags |= WI_STAYS;
        if (plain)
            wi_ready_pollfd(&s->slots[i].ready, &s->fds[count++]);
    }
    return count > 0 ? wi_park_poll(&wait, s->fds, count) : wi_park(&wait);
}

static int claimed(struct select *s)
{
    // acquire: pairs with wi_choice_claim; the item was moved under a lock that
    // was taken since
    uint32_t by = __atomic_load_n(&s->choice.claimed, __ATOMIC_ACQUIRE);
    return by == 0 ? NOTHING : happened(&s->cases[by - 1], by - 1, 0);
}

// A time that has passed may be that of a case, which the next round finds.
static int why_it_ended(struct select *s, int rc)
{
    if (rc != -ETIMEDOUT)
        return rc;
    rc = wi_scope_test(s->self);
    if (rc == 0 && s->deadline <= wi_os_now())
        rc = earliest(s) < s->deadline ? 0 : -ETIMEDOUT;
    return rc;
}

// One round: the case, NOTHING, or a code in *rc.
static int round_of(struct select *s, int *rc)
{
    int found = look_at_all(s);
    if (found == NOTHING && s->deadline == WI_NOWAIT)
        *rc = -EAGAIN;
    if (found == NOTHING && *rc == 0)
        found = watch_futures(s);
    if (found == NOTHING && *rc == 0)
        found = watch_events(s);
    if (found == NOTHING && *rc == 0)
        found = watch_shared(s);
    if (found == NOTHING && *rc == 0)
        found = list_or_serve(s);
    if (found == NOTHING && *rc == 0)
        *rc = sleep_once(s);
    int closed = disarm(s);
    if (found == NOTHING)
        found = claimed(s);
    if (found == NOTHING && closed != NOTHING)
        found = happened(&s->cases[closed], (size_t)closed, -ECANCELED);
    return found;
}

static int rounds(struct select *s)
{
    for (;;) {
        int rc = 0, found = round_of(s, &rc);
        if (found != NOTHING)
            return found;
        if (rc < 0 && (rc = why_it_ended(s, rc)) < 0)
            return rc;
    }
}

static int run(struct select *s)
{
    int found = rounds(s), set = leave_events(s);
    return found >= 0 || set == NOTHING
               ? found
               : happened(&s->cases[set], (size_t)set, 0);
}

// The call --------------------------------------------------------------------

static int64_t limit(const struct weft_select_options *options)
{
    if (options->nowait)
        return WI_NOWAIT;
    return options->timeout == 0
               ? WI_FOREVER
               : wi_deadline_in(options->timeout, "weft_select_with");
}

static int prepare(struct select *s)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct weft_case *c = &s->cases[i];
        if ((unsigned)c->kind > WEFT_CASE_IS_EVENT)
            return -EINVAL;
        wi_require_in("weft_select_with",
                      c->object != NULL ||
                          !(is_queue(c) || c->kind == WEFT_CASE_IS_FUTURE ||
                            c->kind >= WEFT_CASE_IS_SIGNAL),
                      c, "the object of a case must not be NULL");
        if (c->kind == WEFT_CASE_IS_FUTURE)
            wi_future_given("weft_select_with", c->object);
        s->slots[i].armed = false;
        s->slots[i].next = NULL;
        if (c->kind == WEFT_CASE_IS_AFTER)
            s->slots[i].when = wi_deadline_in(c->seconds, "weft_select_with");
    }
    find_locks(s);
    return 0;
}

static int select_on_heap(struct select *s)
{
    size_t n = s->n;
    char *memory = malloc(n * sizeof *s->slots + (n + 1) * sizeof *s->fds +
                          2 * n * sizeof *s->locks);
    if (memory == NULL)
        return -ENOMEM;
    s->slots = (struct slot *)memory;
    s->locks = (struct wi_mutex **)(s->slots + n);
    s->fds = (struct pollfd *)(s->locks + 2 * n);
    int rc = prepare(s);
    if (rc == 0)
        rc = run(s);
    free(memory);
    return rc;
}

static int select_on_stack(struct select *s)
{
    struct slot slots[ON_STACK];
    struct wi_mutex *locks[2 * ON_STACK];
    struct pollfd fds[ON_STACK + 1];
    s->slots = slots;
    s->locks = locks;
    s->fds = fds;
    int rc = prepare(s);
    return rc < 0 ? rc : run(s);
}

int weft_select_with(struct weft_case *cases, size_t n,
                     const struct weft_select_options *options)
{
    wi_need_some(cases, n);
    WI_OPTIONS(options);
    struct select s = {
        .cases = cases, .n = n, .self = wi_self(), .deadline = limit(options)};
    if (s.self == NULL)
        return -ENOMEM;
    int rc = s.deadline == WI_NOWAIT ? 0 : wi_scope_test(s.self);
    if (rc < 0)
        return rc;
    if (n > INT32_MAX / 2)
        return -EINVAL;
    return n > ON_STACK ? select_on_heap(&s) : select_on_stack(&s);
}
