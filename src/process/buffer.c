// SPDX-License-Identifier: MIT
//
// Buffers lie in arenas. Each process has one for those that it makes, and
// keeps those of others attached once it has seen a buffer of them: mapping
// memory and touching it for the first time is what costs. One that nobody
// else has any more, and in which nothing is left, is given up when the next
// one comes.
#include <weft/buffer.h>

#include <errno.h>
#include <stdlib.h>

#include <weft/scope.h>

#include "base/fresh.h"
#include "base/sanitizer_detect.h"
#include "os/report.h"
#include "shared/heap.h"
#include "shared/member.h"

enum { PAGE = 4096, LATE_S = 5 };
// Of address space. TSan leaves a program five terabytes of it, and each arena
// of another process takes as much again.
#define LIMIT ((size_t)1 << (WI_TSAN ? 34 : 40))

struct kept {
    weft_arena *arena;
    struct kept *next;
};

static struct wi_mutex lock;
static weft_arena *own;   // atomic: set once, under lock
static struct kept *kept; // under lock

// Making ----------------------------------------------------------------------

static weft_arena *make_own(void)
{
    wi_mutex_lock(&lock);
    weft_arena *a = own;
    // Less address space may be all there is.
    for (size_t limit = LIMIT; a == NULL && limit >= WI_HUGE_PAGE; limit /= 16)
        if (weft_arena_new(limit, &a) != 0)
            a = NULL;
    // release: pairs with the acquire in own_arena
    __atomic_store_n(&own, a, __ATOMIC_RELEASE);
    wi_mutex_unlock(&lock);
    return a;
}

static weft_arena *own_arena(void)
{
    if (wi_forked())
        return NULL; // it is the parent's
    // acquire: pairs with make_own
    weft_arena *a = __atomic_load_n(&own, __ATOMIC_ACQUIRE);
    return a != NULL ? a : make_own();
}

struct weft_buffer weft_buffer_new(size_t len)
{
    weft_arena *a = own_arena();
    uint64_t at = a != NULL ? wi_heap_alloc_own(a, len, PAGE) : 0;
    if (at == 0)
        return (struct weft_buffer){.len = 0};
    return (struct weft_buffer){weft_arena_ref(a, wi_segment_at(a, at)), len};
}

// Finding ---------------------------------------------------------------------

// Whether nothing will ever be found in it. Under the lock, so that it must not
// wait: who is just freeing the last buffer has not left the arena yet.
static bool is_over(weft_arena *a)
{
    wi_member_sweep(a, NULL);
    return wi_member_count(a) == 1 && wi_heap_is_empty(a);
}

// Gives up what is over: nobody has a buffer there. Under the lock.
static void give_up(void)
{
    for (struct kept **link = &kept; *link != NULL;) {
        struct kept *k = *link;
        if (!is_over(k->arena)) {
            link = &k->next;
            continue;
        }
        *link = k->next;
        weft_arena_close(k->arena);
        free(k);
    }
}

static weft_arena *find_kept(const struct weft_buffer *b)
{
    struct kept *k = kept;
    while (k != NULL && !wi_arena_has_id(k->arena, b->where.id))
        k = k->next;
    return k != NULL ? k->arena : NULL;
}

// Asks the other process for its memory. A caller whose scopes are over may
// need that to clean up: else what it frees would stay.
static weft_arena *ask_for(const struct weft_buffer *b)
{
    weft_arena *a;
    int rc;
    if (weft_arena_open_with(b->where, &a, &rc, NULL) != NULL)
        return a;
    if (rc != -ECANCELED && rc != -ETIMEDOUT)
        return NULL;
    WEFT_SHIELD(LATE_S);
    return weft_arena_open(b->where, &a) != NULL ? a : NULL;
}

// Attaches the arena of another process, and keeps it.
static weft_arena *open_new(const struct weft_buffer *b)
{
    struct kept *k = malloc(sizeof *k);
    weft_arena *a = k != NULL ? ask_for(b) : NULL;
    if (a == NULL) {
        free(k);
        return NULL;
    }
    wi_mutex_lock(&lock);
    weft_arena *other = find_kept(b);
    if (other == NULL) {
        give_up();
        *k = (struct kept){a, kept};
        kept = k;
    }
    wi_mutex_unlock(&lock);
    if (other == NULL)
        return a;
    weft_arena_close(a); // another thread was faster
    free(k);
    return other;
}

// A process that only takes buffers of others needs none of its own.
static weft_arena *arena_of(const struct weft_buffer *b)
{
    // acquire: pairs with make_own
    weft_arena *a = __atomic_load_n(&own, __ATOMIC_ACQUIRE);
    if (b->where.at == 0 || wi_forked())
        return NULL;
    if (a != NULL && wi_arena_has_id(a, b->where.id))
        return a;
    wi_mutex_lock(&lock);
    a = find_kept(b);
    wi_mutex_unlock(&lock);
    return a != NULL ? a : open_new(b);
}

void *weft_buffer_data(struct weft_buffer b)
{
    weft_arena *a = arena_of(&b);
    bool fits =
        a != NULL && b.where.at < a->limit && b.len <= a->limit - b.where.at;
    return fits ? wi_segment_at(a, b.where.at) : NULL;
}

struct weft_buffer weft_buffer_give(struct weft_buffer b)
{
    weft_arena *a = arena_of(&b);
    wi_require(a != NULL && wi_heap_give(a, b.where.at) == 0, NULL,
               "this is no buffer, or freed already");
    return b;
}

void weft_buffer_free(struct weft_buffer b)
{
    if (b.where.at == 0)
        return;
    weft_arena *a = arena_of(&b);
    if (a == NULL)
        return; // it went with its last process
    wi_require(wi_heap_free(a, b.where.at, NULL) == 0, NULL,
               "this is no buffer, or freed already");
}

// The mappings are not in a child of fork.
static void fresh(void)
{
    lock = (struct wi_mutex){0};
    own = NULL;
    kept = NULL;
}

__attribute__((constructor)) static void register_fresh(void)
{
    wi_fresh_add(fresh);
}
