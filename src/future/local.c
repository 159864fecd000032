// SPDX-License-Identifier: MIT
//
// A block of values is a small array, searched from its start: programs have a
// handful of keys. Each value is counted apart from the block it stands in,
// because blocks are copied on write: whoever changes a block that others share
// takes a copy first, with one more count on each value.
#include "future/local.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <weft/local.h>

#include "os/report.h"
#include "sched/park.h"

enum {
    FIRST_ROOM = 4,
    ROUNDS = 4, // of destructors that set values themselves
};

struct value {
    uint32_t refs; // any, atomically: blocks that have it
    void *pointer;
};

struct entry {
    const struct weft_local *key;
    struct value *value;
};

struct wi_locals {
    uint32_t refs; // any, atomically: tasks that have it
    uint32_t count, room;
    struct entry entries[];
};

static bool last(uint32_t *refs)
{
    // acq_rel: the last one sees what all the others did
    return __atomic_sub_fetch(refs, 1, __ATOMIC_ACQ_REL) == 0;
}

static void give_up(const struct entry *entry)
{
    if (!last(&entry->value->refs))
        return;
    void *pointer = entry->value->pointer;
    free(entry->value);
    if (entry->key->destroy != NULL)
        entry->key->destroy(pointer);
}

static void unref(struct wi_locals *block)
{
    if (block == NULL || !last(&block->refs))
        return;
    for (uint32_t i = 0; i < block->count; i++)
        give_up(&block->entries[i]);
    free(block);
}

static struct entry *find(struct wi_locals *block, const struct weft_local *key)
{
    for (uint32_t i = 0; block != NULL && i < block->count; i++)
        if (block->entries[i].key == key)
            return &block->entries[i];
    return NULL;
}

// A block of the caller's own with room for one more; NULL: no memory.
static struct wi_locals *own_block(struct wi_locals *block)
{
    uint32_t count = block != NULL ? block->count : 0;
    // acquire: nobody else has it any more, and what they did is seen
    if (block != NULL && count < block->room &&
        __atomic_load_n(&block->refs, __ATOMIC_ACQUIRE) == 1)
        return block;
    uint32_t room = count < FIRST_ROOM ? FIRST_ROOM : 2 * count;
    struct wi_locals *copy =
        malloc(sizeof *copy + room * sizeof copy->entries[0]);
    if (copy == NULL)
        return NULL;
    copy->refs = 1;
    copy->count = count;
    copy->room = room;
    for (uint32_t i = 0; i < count; i++) {
        copy->entries[i] = block->entries[i];
        // relaxed: the block has one already
        __atomic_fetch_add(&copy->entries[i].value->refs, 1, __ATOMIC_RELAXED);
    }
    unref(block);
    return copy;
}

// Where the caller's block for this kind of key is; NULL: no memory.
static struct wi_locals **place_of(const struct weft_local *key, bool make)
{
    if (key->kind == WEFT_LOCAL_THREAD) {
        if (make && wi_here.thread == NULL && wi_here.worker == NULL)
            return wi_self() != NULL ? &wi_here.locals : NULL;
        return &wi_here.locals;
    }
    struct wi_task *self = make ? wi_self() : wi_here.self;
    if (self == NULL || (self->extra == NULL && !make) ||
        !wi_task_need_extra(self))
        return NULL;
    return key->kind == WEFT_LOCAL_INHERITED ? &self->extra->inherited
                                             : &self->extra->own;
}

void *weft_local_get(const struct weft_local *key)
{
    wi_need(key);
    struct wi_locals **place = place_of(key, false);
    struct entry *entry = place != NULL ? find(*place, key) : NULL;
    return entry != NULL ? entry->value->pointer : NULL;
}

static void take_away(struct wi_locals *block, struct entry *entry)
{
    struct entry gone = *entry;
    *entry = block->entries[--block->count];
    give_up(&gone);
}

int weft_local_set(const struct weft_local *key, void *pointer)
{
    wi_need(key);
    struct wi_locals **place = place_of(key, pointer != NULL);
    struct entry *entry = place != NULL ? find(*place, key) : NULL;
    if (entry == NULL && pointer == NULL)
        return 0;
    if (place == NULL)
        return -ENOMEM;
    if (entry != NULL && entry->value->pointer == pointer)
        return 0;
    struct value *value = pointer != NULL ? malloc(sizeof *value) : NULL;
    struct wi_locals *block = own_block(*place);
    if (block == NULL || (pointer != NULL && value == NULL)) {
        if (block != NULL)
            *place = block;
        free(value);
        return -ENOMEM;
    }
    *place = block;
    entry = find(block, key);
    if (pointer == NULL) {
        take_away(block, entry);
        return 0;
    }
    *value = (struct value){1, pointer};
    struct entry gone = {NULL, NULL};
    if (entry == NULL)
        entry = &block->entries[block->count++];
    else
        gone = *entry;
    *entry = (struct entry){key, value};
    if (gone.value != NULL)
        give_up(&gone);
    return 0;
}

// Coming and going ------------------------------------------------------------

bool wi_local_inherit_slow(struct wi_task *child, struct wi_locals *from)
{
    if (!wi_task_need_extra(child))
        return false;
    // relaxed: the caller has one already
    __atomic_fetch_add(&from->refs, 1, __ATOMIC_RELAXED);
    child->extra->inherited = from;
    return true;
}

// Destructors may set values again: a few rounds, as threads do it.
static void leave(struct wi_locals **place)
{
    for (int i = 0; i < ROUNDS && *place != NULL; i++) {
        struct wi_locals *block = *place;
        *place = NULL;
        unref(block);
    }
}

void wi_local_leave_slow(struct wi_task *t)
{
    leave(&t->extra->own);
    leave(&t->extra->inherited);
    leave(&t->extra->own);
}

struct wi_locals *wi_local_hold(void)
{
    if (!wi_local_inherits())
        return NULL;
    struct wi_locals *block = wi_here.self->extra->inherited;
    // relaxed: the caller has one already
    __atomic_fetch_add(&block->refs, 1, __ATOMIC_RELAXED);
    return block;
}

void wi_local_drop(struct wi_locals *block)
{
    unref(block);
}

bool wi_local_enter(struct wi_local_guest *guest, struct wi_locals *inherited)
{
    struct wi_task *self = wi_self();
    *guest = (struct wi_local_guest){NULL, NULL};
    if (self == NULL || (inherited != NULL && !wi_task_need_extra(self)))
        return false;
    if (self->extra == NULL)
        return true;
    *guest = (struct wi_local_guest){self->extra->own, self->extra->inherited};
    self->extra->own = NULL;
    self->extra->inherited = inherited;
    return true;
}

void wi_local_exit(struct wi_local_guest *guest)
{
    struct wi_task *self = wi_here.self;
    wi_local_leave(self);
    if (self->extra == NULL) // then it had none either
        return;
    self->extra->own = guest->own;
    self->extra->inherited = guest->inherited;
}

static void thread_ends(void)
{
    leave(&wi_here.locals);
}

__attribute__((constructor)) static void set_up(void)
{
    wi_thread_values_left = thread_ends;
}
