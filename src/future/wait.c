// SPDX-License-Identifier: MIT
//
// Waiting for several futures: one node on each, all in one allocation, and a
// counter that the completers bring down. A completer's last touch of the set
// is the `granted` of its node, so the set may go away once every node is
// either taken off its future or granted.
#include <errno.h>
#include <stdlib.h>

#include <weft/future.h>

#include "future/future.h"
#include "os/report.h"
#include "sched/deadlock.h"
#include "sched/scope.h"

struct set {
    struct wi_task *waiter;
    enum weft_wait_mode mode;
    uint32_t left;   // atomic: futures that are not done
    uint32_t enough; // atomic: the mode is satisfied
};

struct set_node {
    struct wi_node node; // first: fire gets this
    struct set *set;
    bool watching;
};

enum { ON_STACK = 8 };

static void one_done(struct set *set, int code)
{
    // acq_rel: the last one sees the others; pairs with the waiter's acquire
    uint32_t left = __atomic_sub_fetch(&set->left, 1, __ATOMIC_ACQ_REL);
    if (left == 0 || set->mode == WEFT_FIRST_COMPLETED ||
        (set->mode == WEFT_FIRST_FAILED && code < 0))
        __atomic_store_n(&set->enough, 1, __ATOMIC_RELEASE);
}

static void set_fire(struct wi_node *node, struct wi_task *t)
{
    struct set *set = ((struct set_node *)node)->set;
    struct wi_task *waiter = set->waiter;
    one_done(set, t->code);
    bool enough = __atomic_load_n(&set->enough, __ATOMIC_RELAXED);
    // release: the last touch; pairs with wi_node_await
    __atomic_store_n(&node->granted, 1, __ATOMIC_RELEASE);
    if (enough)
        wi_unpark(waiter);
}

static void watch_all(struct set *set, struct set_node *nodes,
                      weft_future *const *futures, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct wi_task *t = wi_of_future(futures[i]);
        nodes[i] = (struct set_node){.node = {.fire = set_fire}, .set = set};
        nodes[i].watching = wi_future_watch(t, &nodes[i].node);
        if (!nodes[i].watching)
            one_done(set, t->code);
    }
}

static void unwatch_all(struct set_node *nodes, weft_future *const *futures,
                        size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (nodes[i].watching &&
            !wi_future_unwatch(wi_of_future(futures[i]), &nodes[i].node))
            wi_node_await(&nodes[i].node);
    }
}

static int park_for_set(struct set *set, int64_t deadline)
{
    const struct wi_wait wait = {.object = set,
                                 .deadline = deadline,
                                 .kind = WI_WAIT_SET,
                                 .flags = WI_SCOPED};
    int rc = wi_edge_check(set->waiter);
    // acquire: pairs with one_done
    while (rc == 0 && !__atomic_load_n(&set->enough, __ATOMIC_ACQUIRE)) {
        rc = wi_park(&wait);
        if (rc == 0 && !__atomic_load_n(&set->enough, __ATOMIC_ACQUIRE))
            rc = wi_edge_check(set->waiter); // wi_edge_stir
        if (rc == -ETIMEDOUT && wi_scope_test(set->waiter) == 0)
            return deadline <= wi_os_now() ? 0 : park_for_set(set, deadline);
    }
    return rc;
}

static int wait_set(struct set *set, struct set_node *nodes,
                    weft_future *const *futures, size_t n, int64_t deadline)
{
    struct wi_edge_set edges = {.items = (struct wi_task *const *)futures,
                                .n = n};
    struct wi_task *self = set->waiter;
    if (set->mode == WEFT_ALL_COMPLETED && deadline == WI_FOREVER &&
        wi_scope_deadline(self) == WI_FOREVER)
        wi_edge_set(self, (uintptr_t)&edges | WI_EDGE_ALL);
    watch_all(set, nodes, futures, n);
    int rc = park_for_set(set, deadline);
    wi_edge_clear(self);
    unwatch_all(nodes, futures, n);
    return rc;
}

static int count_done(weft_future *const *futures, size_t n)
{
    int done = 0;
    for (size_t i = 0; i < n; i++)
        done += weft_done(futures[i]);
    return done;
}

static void need_each(const char *function, weft_future *const *set, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        wi_require_in(function, set[i] != NULL, set,
                      "a future of the set must not be NULL");
        wi_future_given(function, set[i]);
    }
}

// function: the public one, for what it says of a wrong set.
static int wait_for(const char *function, weft_future *const *set, size_t n,
                    enum weft_wait_mode mode, int64_t deadline)
{
    struct wi_task *self = wi_self();
    int rc = self == NULL ? -ENOMEM : wi_scope_test(self);
    if (rc < 0)
        return rc;
    if (n > INT32_MAX || (unsigned)mode > WEFT_FIRST_FAILED)
        return -EINVAL;
    if (n == 0)
        return 0;
    need_each(function, set, n);
    struct set_node few[ON_STACK], *nodes = few;
    if (n > ON_STACK && (nodes = malloc(n * sizeof *nodes)) == NULL)
        return -ENOMEM;
    struct set wait = {.waiter = self, .mode = mode, .left = (uint32_t)n};
    rc = wait_set(&wait, nodes, set, n, deadline);
    if (nodes != few)
        free(nodes);
    return rc < 0 ? rc : count_done(set, n);
}

int weft_wait(weft_future *const *set, size_t n, enum weft_wait_mode mode,
              double timeout)
{
    wi_need_some(set, n);
    return wait_for(__func__, set, n, mode, wi_deadline_in(timeout, __func__));
}

// Gather ----------------------------------------------------------------------

void wi_futures_end(weft_future *const *set, size_t n)
{
    for (size_t i = 0; i < n; i++)
        wi_future_cancel(wi_of_future(set[i]));
    // One by one: a wait for many needs memory.
    for (size_t i = 0; i < n; i++)
        wi_future_await(wi_of_future(set[i]));
}

static void give_up_all(weft_future **set, size_t n, int rc)
{
    for (size_t i = 0; i < n && wi_future_gave_up(rc); i++)
        wi_future_cancel(wi_of_future(set[i]));
    for (size_t i = 0; i < n; i++)
        weft_future_unref(set[i]);
}

int weft_gather_into(weft_future **set, size_t n, void *results, size_t size,
                     int *codes)
{
    wi_need_some(set, n);
    int rc = wait_for(__func__, set, n, WEFT_ALL_COMPLETED, WI_FOREVER);
    if (rc < 0) {
        give_up_all(set, n, rc);
        return rc;
    }
    int first = 0;
    for (size_t i = 0; i < n; i++) {
        void *out = results == NULL ? NULL : (char *)results + i * size;
        rc = wi_future_take(wi_of_future(set[i]), out, out ? size : 0);
        if (codes != NULL)
            codes[i] = rc;
        if (rc < 0 && first == 0)
            first = rc;
        weft_future_unref(set[i]);
    }
    return first;
}

// As completed ----------------------------------------------------------------

struct done_node {
    struct wi_node node; // first
    struct weft_as_completed *it;
    struct done_node *next;
    struct wi_task *future;
    size_t index;
    bool watching;
    bool fired; // under the lock: its completer has put it in the queue
    // Of one that was added, which has its own memory:
    struct done_node *sibling, **sibling_link;
};

// A callback of a future may close an iterator over it, whose node is a later
// one in that future's list: so close waits for no completer that has still to
// come by. The last of those frees it.
struct weft_as_completed {
    struct wi_mutex lock; // for the queue, the waiter and the next two
    bool closed;
    size_t left; // once closed: who still has to come by, with close itself
    struct done_node *first, **last;
    struct wi_task *waiter;
    size_t n, opened, given; // futures: all, those of the open, returned
    struct done_node *added; // that were not yet returned
    struct done_node nodes[];
};

// What stands in for an iterator that found no memory.
static struct weft_as_completed no_memory;

static void iterator_free(struct weft_as_completed *it)
{
    for (struct done_node *node = it->added, *next; node != NULL; node = next) {
        next = node->sibling;
        free(node);
    }
    free(it);
}

// With the lock held.
static void append(struct weft_as_completed *it, struct done_node *node)
{
    node->next = NULL;
    node->fired = true;
    *it->last = node;
    it->last = &node->next;
}

// Somebody has done with an iterator that is closed; the lock is given up.
static void leave_closed(struct weft_as_completed *it)
{
    bool last = --it->left == 0;
    wi_mutex_unlock(&it->lock);
    if (last)
        iterator_free(it);
}

static void done_fire(struct wi_node *node, struct wi_task *t)
{
    (void)t;
    struct done_node *done = (struct done_node *)node;
    struct weft_as_completed *it = done->it;
    wi_mutex_lock(&it->lock);
    if (it->closed) {
        leave_closed(it);
        return;
    }
    append(it, done);
    struct wi_task *waiter = it->waiter;
    wi_mutex_unlock(&it->lock);
    // release: the last touch; pairs with wi_node_await
    __atomic_store_n(&node->granted, 1, __ATOMIC_RELEASE);
    if (waiter != NULL)
        wi_unpark(waiter);
}

static void watch(struct weft_as_completed *it, struct done_node *node,
                  size_t index, weft_future *f)
{
    *node = (struct done_node){
        .node = {.fire = done_fire}, .it = it, .index = index};
    node->future = wi_of_future(f);
    node->watching = wi_future_watch(node->future, &node->node);
    if (!node->watching) {
        wi_mutex_lock(&it->lock);
        append(it, node);
        wi_mutex_unlock(&it->lock);
    }
}

weft_as_completed *weft_as_completed_open(weft_future *const *set, size_t n)
{
    wi_need_some(set, n);
    need_each(__func__, set, n);
    weft_as_completed *it = malloc(sizeof *it + n * sizeof it->nodes[0]);
    if (it == NULL)
        return &no_memory;
    *it = (struct weft_as_completed){.n = n, .opened = n};
    it->last = &it->first;
    for (size_t i = 0; i < n; i++)
        watch(it, &it->nodes[i], i, set[i]);
    return it;
}

ssize_t weft_as_completed_add(weft_as_completed *it, weft_future *f)
{
    wi_need(it);
    wi_future_given(__func__, f);
    struct done_node *node = it != &no_memory ? malloc(sizeof *node) : NULL;
    if (node == NULL)
        return -ENOMEM;
    watch(it, node, it->n, f);
    // After watch, which makes the node anew; its completer has no part in
    // this.
    node->sibling = it->added;
    node->sibling_link = &it->added;
    if (node->sibling != NULL)
        node->sibling->sibling_link = &node->sibling;
    it->added = node;
    return (ssize_t)it->n++;
}

// The index of what is returned. Its future is not looked at any more; a node
// that was added is needed no more.
static size_t give(struct weft_as_completed *it, struct done_node *node)
{
    size_t index = node->index;
    it->given++;
    if (node->watching)
        wi_node_await(&node->node);
    node->watching = false;
    if (index < it->opened)
        return index;
    *node->sibling_link = node->sibling;
    if (node->sibling != NULL)
        node->sibling->sibling_link = node->sibling_link;
    free(node);
    return index;
}

static struct done_node *next_done(struct weft_as_completed *it,
                                   struct wi_task *waiter)
{
    wi_mutex_lock(&it->lock);
    struct done_node *node = it->first;
    if (node != NULL) {
        it->first = node->next;
        if (it->first == NULL)
            it->last = &it->first;
    }
    it->waiter = node == NULL ? waiter : NULL;
    wi_mutex_unlock(&it->lock);
    return node;
}

ssize_t weft_as_completed_next(weft_as_completed *it)
{
    wi_need(it);
    struct wi_task *self = wi_self();
    if (it == &no_memory || self == NULL)
        return -ENOMEM;
    int rc = wi_scope_test(self);
    if (rc < 0)
        return rc;
    if (it->given == it->n)
        return -ENOENT;
    const struct wi_wait wait = {.object = it,
                                 .deadline = WI_FOREVER,
                                 .kind = WI_WAIT_SET,
                                 .flags = WI_SCOPED};
    struct done_node *node;
    while ((node = next_done(it, self)) == NULL) {
        rc = wi_park(&wait);
        bool over = rc < 0 && (rc != -ETIMEDOUT || wi_scope_test(self) < 0);
        if (over && (node = next_done(it, NULL)) == NULL)
            return rc;
        if (node != NULL)
            break;
    }
    return (ssize_t)give(it, node);
}

// Calls fn for each node that was not returned and freed.
static void each_node(struct weft_as_completed *it,
                      void (*fn)(struct done_node *node))
{
    for (size_t i = 0; i < it->opened; i++)
        fn(&it->nodes[i]);
    for (struct done_node *node = it->added; node != NULL; node = node->sibling)
        fn(node);
}

// Afterwards the completer has what is still watching.
static void unwatch(struct done_node *node)
{
    if (node->watching)
        node->watching = !wi_future_unwatch(node->future, &node->node);
}

static void count_left(struct done_node *node)
{
    node->it->left += node->watching && !node->fired;
}

// For the few instructions of one that has fired.
static void await_fired(struct done_node *node)
{
    if (node->watching && node->fired)
        wi_node_await(&node->node);
}

void weft_as_completed_close(weft_as_completed *it)
{
    if (it == NULL || it == &no_memory)
        return;
    each_node(it, unwatch);
    wi_mutex_lock(&it->lock);
    it->closed = true;
    it->left = 1;
    each_node(it, count_left);
    wi_mutex_unlock(&it->lock);
    each_node(it, await_fired);
    wi_mutex_lock(&it->lock);
    leave_closed(it);
}

// Callbacks -------------------------------------------------------------------

struct callback {
    struct wi_node node; // first
    void (*fn)(weft_future *f, void *arg);
    void *arg;
};

static void callback_fire(struct wi_node *node, struct wi_task *t)
{
    struct callback callback = *(struct callback *)node;
    free(node);
    callback.fn(wi_as_future(t), callback.arg);
}

int weft_future_on_done(weft_future *f, void (*fn)(weft_future *f, void *arg),
                        void *arg)
{
    struct wi_task *t = wi_future_given(__func__, f);
    wi_need(fn);
    struct callback *callback = malloc(sizeof *callback);
    if (callback == NULL)
        return -ENOMEM;
    *callback = (struct callback){{.fire = callback_fire}, fn, arg};
    if (!wi_future_watch(t, &callback->node)) {
        free(callback);
        fn(f, arg);
    }
    return 0;
}
