// SPDX-License-Identifier: MIT
//
// deadlock.h: exact detection of cycles of waits. A record's `edge` says what
// alone can end its wait:
//     0                          nothing in particular
//     a hint                     that one record
//     hint | WI_EDGE_INLINE      that one record, which runs inside the join
//     pointer | WI_EDGE_ALL      all records of a struct wi_edge_set, or the
//                                one that holds what it names
//     pointer | WI_EDGE_GROUP    all children of a group
// A cancel ends the first and the third kind if no shield is between its scope
// and the wait, which has the number of shields around it in its edge; but
// with WI_EDGE_FIRM none does. Nor does one end the wait for a group or for
// what runs inside. There is no edge while a deadline is in force, nor for
// first-of waits: those waits can end otherwise.
#ifndef WI_SCHED_DEADLOCK_H
#define WI_SCHED_DEADLOCK_H

#include <stddef.h>

#include "sched/task.h"

enum {
    WI_EDGE_ALL = 1,
    WI_EDGE_GROUP = 2,
    WI_EDGE_INLINE = 3,
    WI_EDGE_FIRM = 4,
    WI_EDGE_SHIELD = 8, // one; more than MOST are as FIRM
    WI_EDGE_MOST_SHIELDS = 7,
    WI_EDGE_BITS = 63,
};

// An object that belongs to one record at a time begins with an owned word: the
// hint of its owner, 0 for nobody, with the object's flags in the bits that are
// 0 in a hint because records begin at a cache line. With one of the flags it
// is shared between processes, and the rest is none.
enum { WI_OWNED_FLAGS = 63, WI_OWNED_FAR = 32 };

static inline unsigned wi_edge_tag(uint64_t edge)
{
    return edge & 3;
}

// Whether the wait ends when a scope is canceled that has so many shields
// around it.
static inline bool wi_edge_is_soft(uint64_t edge, unsigned shields)
{
    return wi_edge_tag(edge) <= WI_EDGE_ALL &&
           (edge & (WI_EDGE_BITS & ~3)) == shields * WI_EDGE_SHIELD;
}

// The hint of an edge to one record, 0 for other edges.
static inline wi_hint wi_edge_hint(uint64_t edge)
{
    unsigned tag = wi_edge_tag(edge);
    return tag == 0 || tag == WI_EDGE_INLINE ? edge & ~(uint64_t)WI_EDGE_BITS
                                             : 0;
}

// Either n records, or whoever holds `object` at the moment: holder says who,
// 0 if nobody does. The holder may change while the wait lasts. Whoever becomes
// it does not wait, so that a cycle is closed by the start of a wait only.
struct wi_edge_set {
    struct wi_task *const *items;
    size_t n;
    wi_hint (*holder)(const void *object); // NULL: items
    const void *object;
} __attribute__((aligned(64))); // WI_EDGE_BITS have room in its address

// Announces the edge. The caller then publishes its wait with a
// read-modify-write (it adds its node to the target), and then calls
// wi_edge_check.
void wi_edge_set(struct wi_task *self, uint64_t edge);

// 0, or -WEFT_EDEADLOCK if the edge closes a cycle; then it is taken back, so
// that exactly one of the cycle is told.
int wi_edge_check(struct wi_task *self);

// The wait is over.
void wi_edge_clear(struct wi_task *self);

// A scope that t waits in was canceled: its wait is about to end, unless a
// shield inside the scope, which has so many around it, keeps that away.
void wi_edge_cancel(struct wi_task *t, unsigned shields);

// For a wait that cannot be ended: if it closes a cycle, wakes the others of
// it, who call wi_edge_check whenever they are woken for nothing.
void wi_edge_stir(struct wi_task *self);

// Calls visit for the record with this id, if there is one, and for all that
// its wait cannot end without.
void wi_edge_each(uint64_t id, void (*visit)(struct wi_task *t, void *arg),
                  void *arg);

// What WEFT_DEADLOCK asks for before self is told of a cycle: reports it, with
// others of it by `more`, and with "abort" does not return.
void wi_edge_report(struct wi_task *self, void (*more)(void *arg), void *arg);

// Whether the record that a hint stands for has not ended.
bool wi_hint_blocks(wi_hint hint);

// Calls fn for each child of a group, under its lock; set by group.c.
extern void (*wi_edge_group_each)(weft_group *group,
                                  bool (*fn)(struct wi_task *child, void *arg),
                                  void *arg);

#endif
