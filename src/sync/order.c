// SPDX-License-Identifier: MIT
//
// A graph of locks, under one mutex: an edge from A to B says that somebody
// acquired B while it held A, who that was, and where. A new edge from A to B
// is an inversion if there is a path from B to A. What is held by whom is a
// list beside it, by the ids of tasks and threads, which are never reused.
//
// An inversion does no harm if all edges of the cycle were made under one more
// lock, the gate: then only one of them can be on its way. So each edge keeps
// the locks that were held at each of its sightings, and one that loses a gate
// is looked at again.
//
// Acquires that do not wait are no edges, but what they have acquired is held.
// Without memory for more the checker knows less, and says nothing.
#include "sync/order.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fresh.h"
#include "os/blocked.h"
#include "os/environment.h"
#include "os/futex.h"
#include "os/report.h"
#include "sched/task.h"

enum { BUCKETS = 1024, GATES = 8, PLACE = 96, DESCRIPTION = 200 };

// Who acquired `to` while it held the lock whose edge this is.
struct edge {
    struct edge *next;
    struct node *from, *to;
    uint64_t id;
    uint8_t kind;
    char name[32];
    const void *held_at, *wanted_at;
    const void *gates[GATES]; // held at each sighting as well
    unsigned gate_count;
};

struct node {
    struct node *next;
    const void *lock;
    char name[32];
    struct edge *edges;
    // Of a search.
    struct node *todo;
    struct edge *way; // by which it was reached
    uint32_t seen;
};

struct hold {
    struct hold *next;
    uint64_t id;
    const void *lock, *site;
};

uintptr_t wi_order_floor;

static bool fatal;
static struct wi_mutex lock; // of all below
static struct node *nodes[BUCKETS];
static struct hold *holds[BUCKETS];
static uint32_t search;

static struct node **node_bucket(const void *object)
{
    return &nodes[((uintptr_t)object >> 3) * 0x9e3779b1u % BUCKETS];
}

static struct hold **hold_bucket(uint64_t id)
{
    return &holds[id % BUCKETS];
}

static struct node *node_of(const void *object, bool make)
{
    struct node **bucket = node_bucket(object);
    struct node *node = *bucket;
    while (node != NULL && node->lock != object)
        node = node->next;
    if (node != NULL || !make)
        return node;
    node = calloc(1, sizeof *node);
    if (node == NULL)
        return NULL;
    node->lock = object;
    node->next = *bucket;
    *bucket = node;
    return node;
}

// Reports ---------------------------------------------------------------------

static void describe_lock(const struct node *node, char *text)
{
    char place[PLACE];
    wi_os_code_place((uintptr_t)node->lock, place, sizeof place);
    bool named = node->name[0] != '\0';
    snprintf(text, DESCRIPTION, "%p%s%s%s%s%s", node->lock, named ? " \"" : "",
             node->name, named ? "\"" : "", place[0] != '0' ? " " : "",
             place[0] != '0' ? place : "");
}

static void describe_site(const void *site, char *text)
{
    if (site == NULL)
        snprintf(text, PLACE, "the end of a wait for a condition");
    else
        wi_os_code_place((uintptr_t)site, text, PLACE);
}

static void report_edge(const char *when, const struct edge *edge)
{
    char held[DESCRIPTION], wanted[DESCRIPTION], since[PLACE], at[PLACE];
    describe_lock(edge->from, held);
    describe_lock(edge->to, wanted);
    describe_site(edge->held_at, since);
    describe_site(edge->wanted_at, at);
    wi_report("lock order: %s %s %llu%s%s acquires lock %s at %s, holding lock "
              "%s since %s",
              when, wi_kind_name(edge->kind), (unsigned long long)edge->id,
              edge->name[0] != '\0' ? " " : "", edge->name, wanted, at, held,
              since);
}

// The search has reached the start of the new edge: the way back from there.
static void report(const struct edge *edge)
{
    report_edge("now", edge);
    for (struct edge *e = edge->from->way; e != NULL; e = e->from->way)
        report_edge("before that,", e);
    wi_report("lock order: if they do so at the same time, none of them goes "
              "on");
    if (fatal)
        wi_panic("WEFT_LOCKORDER", edge->to->lock,
                 "locks are acquired in one order");
}

// Searching -------------------------------------------------------------------

// Whether `to` can be reached from `from`; then each node on the way, but the
// first, says by which edge.
static bool reaches(struct node *from, const struct node *to)
{
    struct node *todo = from;
    search++;
    from->seen = search;
    from->todo = NULL;
    from->way = NULL;
    while (todo != NULL) {
        struct node *node = todo;
        todo = node->todo;
        for (struct edge *e = node->edges; e != NULL; e = e->next) {
            if (e->to->seen == search)
                continue;
            e->to->seen = search;
            e->to->way = e;
            if (e->to == to)
                return true;
            e->to->todo = todo;
            todo = e->to;
        }
    }
    return false;
}

static bool has_gate(const struct edge *edge, const void *gate)
{
    for (unsigned i = 0; i < edge->gate_count; i++) {
        if (edge->gates[i] == gate)
            return true;
    }
    return false;
}

// Whether one lock was held at all edges of the cycle that a search has found.
static bool is_gated(const struct edge *edge)
{
    for (unsigned i = 0; i < edge->gate_count; i++) {
        const struct edge *e = edge->from->way;
        while (e != NULL && has_gate(e, edge->gates[i]))
            e = e->from->way;
        if (e == NULL)
            return true;
    }
    return false;
}

static void check(const struct edge *edge)
{
    if (reaches(edge->to, edge->from) && !is_gated(edge))
        report(edge);
}

// Edges -----------------------------------------------------------------------

static bool is_held(uint64_t id, const void *object)
{
    struct hold *hold = *hold_bucket(id);
    while (hold != NULL && !(hold->id == id && hold->lock == object))
        hold = hold->next;
    return hold != NULL;
}

static void note_gates(struct edge *edge)
{
    for (struct hold *h = *hold_bucket(edge->id); h != NULL; h = h->next) {
        if (h->id == edge->id && h->lock != edge->from->lock &&
            edge->gate_count < GATES)
            edge->gates[edge->gate_count++] = h->lock;
    }
}

// The edge is seen once more, by id; whether it has lost a gate.
static bool lose_gates(struct edge *edge, uint64_t id)
{
    unsigned kept = 0, had = edge->gate_count;
    for (unsigned i = 0; i < had; i++) {
        if (is_held(id, edge->gates[i]))
            edge->gates[kept++] = edge->gates[i];
    }
    edge->gate_count = kept;
    return kept < had;
}

static struct edge *edge_to(struct node *from, const struct node *to)
{
    struct edge *e = from->edges;
    while (e != NULL && e->to != to)
        e = e->next;
    return e;
}

static struct edge *edge_new(struct node *from, struct node *to,
                             struct wi_task *self)
{
    struct edge *e = calloc(1, sizeof *e);
    if (e == NULL)
        return NULL;
    e->from = from;
    e->to = to;
    e->id = self->id;
    e->kind = self->kind;
    snprintf(e->name, sizeof e->name, "%s", wi_task_name(self));
    e->next = from->edges;
    from->edges = e;
    note_gates(e);
    return e;
}

static void note_edge(struct wi_task *self, const struct hold *hold,
                      const void *object, const void *site)
{
    struct node *from = node_of(hold->lock, true), *to = node_of(object, true);
    if (from == NULL || to == NULL)
        return;
    struct edge *e = edge_to(from, to);
    if (e != NULL) {
        if (lose_gates(e, self->id))
            check(e);
        return;
    }
    e = edge_new(from, to, self);
    if (e == NULL)
        return;
    e->held_at = hold->site;
    e->wanted_at = site;
    check(e);
}

void wi_order_want(struct wi_task *self, const void *object, const void *site)
{
    wi_mutex_lock(&lock);
    if (!is_held(self->id, object)) {
        for (struct hold *h = *hold_bucket(self->id); h != NULL; h = h->next) {
            if (h->id == self->id)
                note_edge(self, h, object, site);
        }
    }
    wi_mutex_unlock(&lock);
}

void wi_order_hold(struct wi_task *self, const void *object, const void *site)
{
    struct hold *hold = malloc(sizeof *hold);
    if (hold == NULL)
        return;
    wi_mutex_lock(&lock);
    struct hold **bucket = hold_bucket(self->id);
    *hold = (struct hold){*bucket, self->id, object, site};
    *bucket = hold;
    wi_mutex_unlock(&lock);
}

void wi_order_leave(struct wi_task *self, const void *object)
{
    wi_mutex_lock(&lock);
    struct hold **link = hold_bucket(self->id), *hold;
    while ((hold = *link) != NULL &&
           !(hold->id == self->id && hold->lock == object))
        link = &hold->next;
    if (hold != NULL)
        *link = hold->next;
    wi_mutex_unlock(&lock);
    free(hold);
}

// Locks -----------------------------------------------------------------------

void wi_order_name(const void *object, const char *name)
{
    wi_mutex_lock(&lock);
    struct node *node = node_of(object, name != NULL);
    if (node != NULL)
        snprintf(node->name, sizeof node->name, "%s", name != NULL ? name : "");
    wi_mutex_unlock(&lock);
}

// Takes off the edges to a node, or with NULL all.
static void drop_edges(struct node *from, const struct node *to)
{
    struct edge **link = &from->edges, *e;
    while ((e = *link) != NULL) {
        if (to != NULL && e->to != to) {
            link = &e->next;
            continue;
        }
        *link = e->next;
        free(e);
    }
}

void wi_order_forget(const void *object)
{
    wi_mutex_lock(&lock);
    struct node *gone = node_of(object, false);
    for (unsigned i = 0; i < BUCKETS && gone != NULL; i++) {
        for (struct node *node = nodes[i]; node != NULL; node = node->next)
            drop_edges(node, gone);
    }
    if (gone != NULL) {
        struct node **link = node_bucket(object);
        while (*link != gone)
            link = &(*link)->next;
        *link = gone->next;
        drop_edges(gone, NULL);
    }
    wi_mutex_unlock(&lock);
    free(gone);
}

// Turning it on ---------------------------------------------------------------

// A child of fork begins anew: another thread may have been at it.
static void fresh(void)
{
    lock = (struct wi_mutex){0};
    memset(nodes, 0, sizeof nodes);
    memset(holds, 0, sizeof holds);
}

__attribute__((constructor)) static void turn_on(void)
{
    const char *text = wi_os_environment("WEFT_LOCKORDER");
    if (text == NULL || strcmp(text, "0") == 0)
        return;
    fatal = strcmp(text, "abort") == 0;
    wi_order_floor = UINTPTR_MAX;
    wi_fresh_add(fresh);
}
