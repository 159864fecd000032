// SPDX-License-Identifier: MIT
//
// A wait that closes a cycle would never end. The rule that finds each cycle
// exactly once: a waiter stores its edge, publishes its wait by a
// read-modify-write, and then looks whether what it waits for waits too. Of
// the waits of a cycle, at least the last to store its edge sees the others.
// Only then a lock is taken and the edges are walked, several times, because
// they change while they are read (see cycle). The one who finds the cycle
// takes its edge back inside the lock, so that nobody else finds the same one.
//
// A single edge is cleared by a plain store: the record it names is
// type-stable, and a hint to a finished one is recognised. An edge to a set or
// a group names memory that goes away, so it is cleared under the lock.
#include "sched/deadlock.h"

#include <weft/error.h>

#include "arch/arch.h"
#include "base/fresh.h"
#include "base/racy.h"
#include "os/report.h"
#include "sched/scope.h"
#include "sched/standstill.h"
#include "sched/worker.h"

void (*wi_edge_group_each)(weft_group *group,
                           bool (*fn)(struct wi_task *child, void *arg),
                           void *arg);

static struct wi_mutex lock;
static uint32_t walk_number; // under the lock: marks what a walk has seen

static void fresh(void)
{
    lock = (struct wi_mutex){0};
}

__attribute__((constructor)) static void register_fresh(void)
{
    wi_fresh_add(fresh);
}

// Whether t, the caller's, is canceled and so about to leave its wait.
static bool ends_now(const struct wi_task *t, uint64_t edge)
{
    return wi_edge_tag(edge) <= WI_EDGE_ALL && !(edge & WI_EDGE_FIRM) &&
           wi_scope_canceled(t);
}

void wi_edge_set(struct wi_task *self, uint64_t edge)
{
    unsigned shields = wi_scope_shields(self->scope);
    if (wi_edge_tag(edge) <= WI_EDGE_ALL)
        edge |= shields <= WI_EDGE_MOST_SHIELDS ? shields * WI_EDGE_SHIELD
                                                : WI_EDGE_FIRM;
    // seq_cst: before the publication and the loads of wi_edge_check
    (void)__atomic_exchange_n(&self->edge, edge, __ATOMIC_SEQ_CST);
    // Either who cancels a scope sees the edge (wi_edge_cancel) or we the mark.
    wi_arch_fence_after_rmw();
    if (ends_now(self, edge))
        wi_edge_clear(self);
}

void wi_edge_clear(struct wi_task *self)
{
    uint64_t edge = __atomic_load_n(&self->edge, __ATOMIC_RELAXED);
    if (edge == 0)
        return;
    if (wi_edge_hint(edge) != 0) {
        // release: the walk that still reads it finds a finished record
        __atomic_store_n(&self->edge, 0, __ATOMIC_RELEASE);
        return;
    }
    wi_mutex_lock(&lock);
    __atomic_store_n(&self->edge, 0, __ATOMIC_RELAXED);
    wi_mutex_unlock(&lock);
}

void wi_edge_cancel(struct wi_task *t, unsigned shields)
{
    // seq_cst: after the mark; pairs with wi_edge_set
    uint64_t edge = __atomic_load_n(&t->edge, __ATOMIC_SEQ_CST);
    if (edge == 0 || !wi_edge_is_soft(edge, shields))
        return;
    wi_mutex_lock(&lock);
    // relaxed: walks are kept out by the lock; t may have gone on meanwhile
    __atomic_compare_exchange_n(&t->edge, &edge, 0, false, __ATOMIC_RELAXED,
                                __ATOMIC_RELAXED);
    wi_mutex_unlock(&lock);
}

static uint64_t edge_of(struct wi_task *t)
{
    // seq_cst: pairs with wi_edge_set
    return __atomic_load_n(&t->edge, __ATOMIC_SEQ_CST);
}

// Whether t holds up whoever waits for it: it has not ended.
static bool blocks(struct wi_task *t)
{
    uint32_t state = __atomic_load_n(&t->state, __ATOMIC_ACQUIRE);
    return (state & WI_PHASE) != WI_DONE && (state & WI_PHASE) != WI_FREE;
}

bool wi_hint_blocks(wi_hint hint)
{
    struct wi_task *t = wi_hint_task(hint);
    uint32_t state = __atomic_load_n(&t->state, __ATOMIC_ACQUIRE);
    return state >> 16 == wi_hint_gen(hint) && blocks(t);
}

static void *edge_object(uint64_t edge)
{
    // A group's address has room for its tag only.
    unsigned bits = wi_edge_tag(edge) == WI_EDGE_GROUP ? 3 : WI_EDGE_BITS;
    return (void *)(uintptr_t)(edge & ~(uint64_t)bits);
}

// Whether t's edge names at most one record: *hint, 0 for none.
static bool edge_to_one(struct wi_task *t, uint64_t edge, wi_hint *hint)
{
    *hint = wi_edge_hint(edge);
    if (*hint != 0)
        return true;
    const struct wi_edge_set *set = edge_object(edge);
    if (wi_edge_tag(edge) != WI_EDGE_ALL || set->holder == NULL)
        return false;
    *hint = set->holder(set->object);
    if (wi_hint_task(*hint) == t)
        *hint = 0; // it has been handed over: the wait is about to end
    return true;
}

struct walk {
    struct wi_task *goal;
    unsigned depth;
    bool found;
    uintptr_t way;   // that led to the goal: which records,
    unsigned length; // and how many
    void (*visit)(struct wi_task *t, void *arg); // NULL: nobody asks
    void *arg;
};

static bool walk_from(struct walk *walk, struct wi_task *t);

static bool walk_child(struct wi_task *child, void *arg)
{
    struct walk *walk = arg;
    walk->found = blocks(child) && walk_from(walk, child);
    return walk->found;
}

// Of sets within sets; chains are walked in a loop. And the bytes of stack that
// one more set takes, about, with what is called at the end of the way.
enum { MAX_DEPTH = 64, ROOM = 2048 };

// Whether the walk may go deeper on the stack that the caller has.
static bool may_go_deeper(const struct walk *walk)
{
    struct wi_worker *worker = wi_here.worker;
    return walk->depth < MAX_DEPTH &&
           (worker == NULL || worker->point == &worker->os_point ||
            wi_worker_has_room(worker, ROOM));
}

// Whether the goal can be reached over what the set or group waits for.
static bool walk_set(struct walk *walk, uint64_t edge)
{
    void *object = edge_object(edge);
    bool found = false;
    if (!may_go_deeper(walk))
        return false;
    walk->depth++;
    if (wi_edge_tag(edge) == WI_EDGE_GROUP) {
        walk->found = false;
        wi_edge_group_each(object, walk_child, walk);
        found = walk->found;
    } else {
        const struct wi_edge_set *set = object;
        for (size_t i = 0; i < set->n && !found; i++)
            found = blocks(set->items[i]) && walk_from(walk, set->items[i]);
    }
    walk->depth--;
    return found;
}

// Whether t is about to leave its wait because it was canceled itself.
static bool ends_by_cancel(struct wi_task *t, uint64_t edge)
{
    // relaxed: a cancel that comes now may come after the walk as well
    return wi_edge_is_soft(edge, 0) &&
           (__atomic_load_n(&t->state, __ATOMIC_RELAXED) & WI_CANCELED);
}

// These led to the goal.
static bool add_to_way(struct walk *walk, uintptr_t way, unsigned length)
{
    walk->way ^= way;
    walk->length += length;
    return true;
}

static bool walk_from(struct walk *walk, struct wi_task *t)
{
    uintptr_t way = 0;
    for (unsigned length = 0;; length++) {
        if (t == walk->goal)
            return add_to_way(walk, way, length);
        if (t->visited == walk_number)
            return false;
        t->visited = walk_number;
        if (walk->visit != NULL)
            walk->visit(t, walk->arg);
        uint64_t edge = edge_of(t);
        if (edge == 0 || ends_by_cancel(t, edge))
            return false;
        wi_hint hint;
        way ^= (uintptr_t)t;
        if (!edge_to_one(t, edge, &hint))
            return walk_set(walk, edge) && add_to_way(walk, way, length + 1);
        if (hint == 0 || !wi_hint_blocks(hint))
            return false;
        t = wi_hint_task(hint);
    }
}

// One walk from self's own edge back to self.
static bool walk_back(struct walk *walk, struct wi_task *self)
{
    uint64_t edge = __atomic_load_n(&self->edge, __ATOMIC_RELAXED);
    walk_number++;
    wi_hint hint;
    if (edge == 0) // wi_edge_cancel came first
        return false;
    if (!edge_to_one(self, edge, &hint))
        return walk_set(walk, edge);
    return hint != 0 && wi_hint_blocks(hint) &&
           walk_from(walk, wi_hint_task(hint));
}

// Whether self's wait closes a cycle. One walk does not tell: its edges were
// read one after the other, and need not have stood at one time. But self waits
// all the while; so who is seen to wait for self goes on waiting, and holds
// what it holds; who is seen in the next walk to wait for that one does, too;
// and so on. Each walk that gets back to self finds one record more to stand
// still, or goes over such only, and then the cycle is there.
static bool cycle(struct wi_task *self)
{
    uintptr_t way = 0;
    unsigned walks = 0, needed = 0;
    do {
        struct walk walk = {.goal = self};
        if (!walk_back(&walk, self))
            return false;
        if (walk.way != way)
            needed += walk.length;
        way = walk.way;
    } while (walks++ < needed);
    return true;
}

static bool has_edge(struct wi_task *t, void *arg)
{
    *(bool *)arg = edge_of(t) != 0;
    return *(bool *)arg;
}

// Whether anything that self waits for waits itself. `edge` is its edge, as
// read once: a cancel may take it back at any time.
static bool suspicious(struct wi_task *self, uint64_t edge)
{
    void *object = edge_object(edge);
    bool found = false;
    wi_hint hint;
    if (edge_to_one(self, edge, &hint))
        return hint != 0 &&
               (wi_hint_task(hint) == self || edge_of(wi_hint_task(hint)) != 0);
    if (wi_edge_tag(edge) == WI_EDGE_GROUP) {
        wi_edge_group_each(object, has_edge, &found);
        return found;
    }
    const struct wi_edge_set *set = object;
    for (size_t i = 0; i < set->n && !found; i++)
        found = set->items[i] == self || edge_of(set->items[i]) != 0;
    return found;
}

static void report_visited(struct wi_task *t, void *arg)
{
    if (t == arg || t->visited != walk_number || edge_of(t) == 0)
        return;
    wi_report("  seen on the way: %s %llu %s", wi_kind_name(t->kind),
              (unsigned long long)t->id, wi_task_name(t));
}

static void report_all_visited(void *self)
{
    wi_task_each(report_visited, self);
}

void wi_edge_report(struct wi_task *self, void (*more)(void *arg), void *arg)
{
    enum wi_deadlock_policy policy = wi_deadlock_policy();
    if (policy != WI_DEADLOCK_REPORT && policy != WI_DEADLOCK_ABORT)
        return;
    wi_report("%s %llu %s would close a cycle of waits",
              wi_kind_name(self->kind), (unsigned long long)self->id,
              wi_task_name(self));
    more(arg);
    if (policy == WI_DEADLOCK_ABORT)
        wi_panic("WEFT_DEADLOCK", self, "a wait would close a cycle of waits");
}

int wi_edge_check(struct wi_task *self)
{
    uint64_t edge = __atomic_load_n(&self->edge, __ATOMIC_RELAXED);
    if (edge == 0 || !suspicious(self, edge) || ends_now(self, edge))
        return 0;
    wi_mutex_lock(&lock);
    bool found = cycle(self);
    if (found) {
        wi_edge_report(self, report_all_visited, self);
        __atomic_store_n(&self->edge, 0, __ATOMIC_RELAXED);
    }
    wi_mutex_unlock(&lock);
    return found ? -WEFT_EDEADLOCK : 0;
}

static void wake_visited(struct wi_task *t, void *arg)
{
    (void)arg;
    if (t->visited == walk_number)
        wi_unpark(t);
}

void wi_edge_stir(struct wi_task *self)
{
    uint64_t edge = __atomic_load_n(&self->edge, __ATOMIC_RELAXED);
    if (!suspicious(self, edge))
        return;
    wi_mutex_lock(&lock);
    if (cycle(self))
        wi_task_each(wake_visited, NULL);
    wi_mutex_unlock(&lock);
}

struct search {
    uint64_t id;
    struct wi_task *found;
};

// Reads ids that others may write: no two records ever have the same.
WI_RACY static void compare_id(struct wi_task *t, void *arg)
{
    struct search *search = arg;
    if (t->id == search->id && blocks(t))
        search->found = t;
}

void wi_edge_each(uint64_t id, void (*visit)(struct wi_task *t, void *arg),
                  void *arg)
{
    struct search search = {.id = id};
    struct walk walk = {.visit = visit, .arg = arg};
    wi_mutex_lock(&lock);
    walk_number++;
    wi_task_each(compare_id, &search);
    if (search.found != NULL)
        walk_from(&walk, search.found);
    wi_mutex_unlock(&lock);
}
