// SPDX-License-Identifier: MIT
//
// The calls of arena.h. The memory itself is in src/shared; here it gets names
// by which other processes find it.
#include <weft/arena.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weft/error.h>

#include "base/fresh.h"
#include "base/options.h"
#include "os/event.h"
#include "os/report.h"
#include "process/offer.h"
#include "shared/attach.h"
#include "shared/heap.h"
#include "shared/keeper.h"
#include "shared/member.h"

enum { MOST_NAME = 79, GIVERS = 8 };

// What gives an arena to other processes; made when it is first needed.
struct offers {
    struct wi_offer *by_id, *by_name;
};

static struct wi_mutex lock; // for the offers of all arenas

// Each process that gives references offers the arena itself, for it may have
// it open longer than others: under the first of these names that is free.
static void name_by_id(char name[WI_LOCAL_NAME], const uint64_t id[2],
                       unsigned giver)
{
    snprintf(name, WI_LOCAL_NAME, "weft-arena-%016llx%016llx.%u",
             (unsigned long long)id[0], (unsigned long long)id[1], giver);
}

static int name_by_name(char name[WI_LOCAL_NAME], const char *given)
{
    size_t n = strnlen(given, MOST_NAME + 1);
    if (n == 0 || n > MOST_NAME || strchr(given, '/') != NULL)
        return -EINVAL;
    snprintf(name, WI_LOCAL_NAME, "weft/%u/%s", wi_os_user(), given);
    return 0;
}

static void drop_offers(weft_arena *a)
{
    struct offers *offers = a->offer;
    if (offers == NULL)
        return;
    wi_offer_free(offers->by_id);
    wi_offer_free(offers->by_name);
    free(offers);
}

// Under the lock; a->offer is there after 0.
static int need_offers(weft_arena *a)
{
    if (a->offer == NULL)
        a->offer = calloc(1, sizeof(struct offers));
    return a->offer != NULL ? 0 : -ENOMEM;
}

static int offer_by_name(weft_arena *a, const char *given)
{
    char name[WI_LOCAL_NAME];
    int rc = name_by_name(name, given);
    if (rc == 0)
        rc = need_offers(a);
    if (rc < 0)
        return rc;
    struct offers *offers = a->offer;
    return wi_offer_new(name, a->fd, &offers->by_name);
}

static int offer_by_id(weft_arena *a)
{
    char name[WI_LOCAL_NAME];
    wi_mutex_lock(&lock);
    int rc = need_offers(a);
    struct offers *offers = a->offer;
    if (rc == 0 && offers->by_id == NULL)
        rc = -EADDRINUSE;
    for (unsigned i = 0; rc == -EADDRINUSE && i < GIVERS; i++) {
        name_by_id(name, a->id, i);
        rc = wi_offer_new(name, a->fd, &offers->by_id);
    }
    wi_mutex_unlock(&lock);
    // So many others are enough, while one of them lives.
    return rc == -EADDRINUSE ? 0 : rc;
}

// Making, opening -------------------------------------------------------------

int weft_arena_new_with(size_t limit, weft_arena **arena,
                        const struct weft_arena_options *options)
{
    WI_OPTIONS(options);
    wi_require(arena != NULL, NULL, "a place for the arena is needed");
    if (wi_forked())
        return -WEFT_EFORKED;
    if (limit == 0 || limit >> 46 != 0 || options->read_only)
        return -EINVAL;
    uint64_t whole =
        ((uint64_t)limit + WI_HUGE_PAGE - 1) & ~(uint64_t)(WI_HUGE_PAGE - 1);
    weft_arena *a;
    int rc = wi_arena_make(whole,
                           options->huge ? WI_PAGES_HUGE : WI_PAGES_SMALL, &a);
    if (rc < 0)
        return rc;
    if (options->name != NULL)
        rc = offer_by_name(a, options->name);
    if (rc < 0) {
        weft_arena_close(a);
        return rc;
    }
    *arena = a;
    return 0;
}

static int take(const char *name, bool read_only, weft_arena **arena)
{
    int fd = wi_offer_take(name);
    if (fd < 0)
        return fd;
    int rc = wi_arena_attach(fd, read_only, arena);
    wi_os_close(fd);
    return rc;
}

static int take_by_id(const uint64_t id[2], bool read_only, weft_arena **arena)
{
    char name[WI_LOCAL_NAME];
    int rc = -ENOENT;
    for (unsigned i = 0; i < GIVERS && rc == -ENOENT; i++) {
        name_by_id(name, id, i);
        rc = take(name, read_only, arena);
    }
    return rc;
}

static int open_id(const uint64_t id[2], bool read_only, weft_arena **arena)
{
    if (wi_forked())
        return -WEFT_EFORKED;
    if (id[0] == 0 && id[1] == 0)
        return -ENOENT;
    *arena = wi_arena_known(id, read_only);
    if (*arena == NULL && !read_only)
        *arena = wi_arena_known(id, true); // a sealed one
    if (*arena != NULL && (read_only || !(*arena)->read_only ||
                           wi_os_segment_sealed((*arena)->fd)))
        return 0;
    if (*arena != NULL)
        weft_arena_close(*arena);
    return take_by_id(id, read_only, arena);
}

void *weft_arena_open_with(struct weft_arena_ref ref, weft_arena **arena,
                           int *error, const struct weft_arena_options *options)
{
    WI_OPTIONS(options);
    wi_require(arena != NULL, NULL, "a place for the arena is needed");
    weft_arena *a;
    int rc = open_id(ref.id, options->read_only, &a);
    if (rc == 0 && ref.at >= a->limit) {
        weft_arena_close(a);
        rc = -WEFT_EPROTO;
    }
    if (error != NULL)
        *error = rc;
    if (rc < 0)
        return NULL;
    *arena = a;
    return wi_segment_at(a, ref.at);
}

int weft_arena_find_with(const char *name, weft_arena **arena,
                         const struct weft_arena_options *options)
{
    WI_OPTIONS(options);
    wi_require(arena != NULL, NULL, "a place for the arena is needed");
    wi_require(name != NULL, NULL, "a name is needed");
    char whole[WI_LOCAL_NAME];
    if (wi_forked())
        return -WEFT_EFORKED;
    int rc = name_by_name(whole, name);
    return rc < 0 ? rc : take(whole, options->read_only, arena);
}

int weft_arena_attach_with(int fd, weft_arena **arena,
                           const struct weft_arena_options *options)
{
    WI_OPTIONS(options);
    wi_require(arena != NULL, NULL, "a place for the arena is needed");
    if (wi_forked())
        return -WEFT_EFORKED;
    return wi_arena_attach(fd, options->read_only, arena);
}

int weft_arena_fd(weft_arena *a)
{
    wi_require(a != NULL, a, "an arena is needed");
    return a->fd;
}

void weft_arena_close(weft_arena *a)
{
    if (a != NULL)
        wi_arena_unref(a, drop_offers);
}

struct weft_arena_ref weft_arena_ref(weft_arena *a, const void *p)
{
    wi_require(a != NULL, a, "an arena is needed");
    if (offer_by_id(a) < 0)
        return (struct weft_arena_ref){{0, 0}, 0};
    return (struct weft_arena_ref){{a->id[0], a->id[1]},
                                   weft_arena_offset(a, p)};
}

// Memory ----------------------------------------------------------------------

// `function` is what the user called.
static void need_writable(const char *function, const weft_arena *a)
{
    wi_require_in(function, a != NULL, a, "an arena is needed");
    wi_require_in(function, !a->read_only, a,
                  "the arena may only be read here");
}

// After a failure: the memory of the dead may help.
static uint64_t alloc(const char *function, weft_arena *a, size_t size,
                      size_t align, uint64_t *where)
{
    need_writable(function, a);
    uint64_t at = wi_heap_alloc(a, size, align, where);
    if (at == 0 && weft_arena_recover(a) > 0)
        at = wi_heap_alloc(a, size, align, where);
    return at;
}

void *weft_arena_alloc(weft_arena *a, size_t size)
{
    return weft_arena_at(a, alloc(__func__, a, size, 16, NULL));
}

void *weft_arena_alloc_aligned(weft_arena *a, size_t size, size_t align)
{
    wi_require(align != 0 && (align & (align - 1)) == 0 && align <= 4096, a,
               "the alignment is no power of two up to 4096");
    return weft_arena_at(
        a, alloc(__func__, a, size, align < 16 ? 16 : align, NULL));
}

static void need_inside(const char *function, const weft_arena *a,
                        const uint64_t *where)
{
    need_writable(function, a);
    uint64_t at = wi_segment_offset(a, where);
    wi_require_in(function, at >= WI_HEAP_BEGIN && at < a->limit && at % 8 == 0,
                  where, "the place for the offset does not lie in the arena");
}

int weft_arena_alloc_into(weft_arena *a, uint64_t *where, size_t size)
{
    need_inside(__func__, a, where);
    return alloc(__func__, a, size, 16, where) != 0 ? 0 : -ENOMEM;
}

void weft_arena_free(weft_arena *a, void *p)
{
    if (p == NULL)
        return;
    need_writable(__func__, a);
    wi_require(wi_heap_free(a, wi_segment_offset(a, p), NULL) == 0, p,
               "this is no block of the arena, or free already");
}

void weft_arena_free_from(weft_arena *a, uint64_t *where)
{
    need_inside(__func__, a, where);
    if (*where == 0)
        return;
    wi_require(wi_heap_free(a, *where, where) == 0, where,
               "there is no offset of a block of the arena");
}

uint64_t weft_arena_offset(const weft_arena *a, const void *p)
{
    wi_need(a);
    if (p == NULL)
        return 0;
    wi_require(wi_segment_offset(a, p) < a->limit, p,
               "the pointer does not lie in the arena");
    return wi_segment_offset(a, p);
}

void *weft_arena_at(const weft_arena *a, uint64_t offset)
{
    wi_need(a);
    return offset != 0 && offset < a->limit ? wi_segment_at(a, offset) : NULL;
}

void weft_arena_set_root(weft_arena *a, const void *p)
{
    need_writable(__func__, a);
    // release: pairs with weft_arena_root
    __atomic_store_n(&wi_segment_of(a)->root, weft_arena_offset(a, p),
                     __ATOMIC_RELEASE);
}

void *weft_arena_root(const weft_arena *a)
{
    wi_require(a != NULL, a, "an arena is needed");
    // acquire: pairs with weft_arena_set_root
    return weft_arena_at(
        a, __atomic_load_n(&wi_segment_of(a)->root, __ATOMIC_ACQUIRE));
}

// The whole -------------------------------------------------------------------

int weft_arena_seal(weft_arena *a)
{
    need_writable(__func__, a);
    wi_heap_recover(a);
    // Seen before this process gives up its place: it would come back as
    // another one, for which its locks are not held.
    if (wi_member_count(a) > 1)
        return -EBUSY;
    wi_keeper_remove(a);
    int rc = wi_os_segment_seal(a->fd, a->base, a->limit);
    if (rc == 0) {
        a->tag = 0;
        a->read_only = true;
        return 0;
    }
    int back = wi_keeper_add(a);
    wi_require(back == 0, a,
               "the arena cannot be had back after a failed seal");
    return rc;
}

int weft_arena_recover(weft_arena *a)
{
    need_writable(__func__, a);
    int n = wi_member_sweep(a, NULL);
    wi_heap_recover(a);
    return n;
}

int weft_arena_stat(weft_arena *a, struct weft_arena_stat *stat)
{
    wi_require(a != NULL && stat != NULL, a, "an arena and a place are needed");
    const struct wi_segment *s = wi_segment_of(a);
    struct weft_arena_stat whole = {
        .size = stat->size,
        .limit = a->limit,
        .memory = __atomic_load_n(&s->end, __ATOMIC_RELAXED),
        .used = __atomic_load_n(&s->used, __ATOMIC_RELAXED),
        .blocks = __atomic_load_n(&s->blocks, __ATOMIC_RELAXED),
        .participants = wi_member_count(a),
        .sealed = wi_os_segment_sealed(a->fd),
        .huge = s->pages == WI_PAGES_HUGE,
    };
    memcpy(stat, &whole, stat->size < sizeof whole ? stat->size : sizeof whole);
    return 0;
}

int weft_arena_check(weft_arena *a)
{
    need_writable(__func__, a);
    const char *wrong = wi_heap_check(a);
    if (wrong == NULL)
        return 0;
    wi_report("arena %p: %s", (void *)a, wrong);
    return -WEFT_EPROTO;
}
