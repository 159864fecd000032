// SPDX-License-Identifier: MIT
#include "shared/attach.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <weft/error.h>

#include "base/fresh.h"
#include "os/event.h"
#include "os/memfd.h"
#include "shared/heap.h"
#include "shared/keeper.h"
#include "shared/member.h"

static struct wi_mutex lock;
static weft_arena *arenas; // under lock

static weft_arena *find(const uint64_t id[2], bool read_only)
{
    weft_arena *a = arenas;
    while (a != NULL && !(wi_arena_has_id(a, id) && a->read_only == read_only))
        a = a->next;
    return a;
}

weft_arena *wi_arena_known(const uint64_t id[2], bool read_only)
{
    wi_mutex_lock(&lock);
    weft_arena *a = find(id, read_only);
    if (a != NULL)
        a->refs++;
    wi_mutex_unlock(&lock);
    return a;
}

weft_arena *wi_arena_around(const void *p)
{
    wi_mutex_lock(&lock);
    weft_arena *a = arenas;
    while (a != NULL && (uintptr_t)p - (uintptr_t)a->base >= a->limit)
        a = a->next;
    wi_mutex_unlock(&lock);
    return a;
}

uint64_t wi_arenas_gone;
__thread struct wi_arena_seen wi_arena_seen
    __attribute__((tls_model("initial-exec"), visibility("hidden")));

weft_arena *wi_arena_of_slow(const void *p)
{
    // relaxed: whoever uses an arena sees to it that it does not go meanwhile
    uint64_t gone = __atomic_load_n(&wi_arenas_gone, __ATOMIC_RELAXED);
    weft_arena *a = wi_arena_around(p);
    wi_arena_seen =
        (struct wi_arena_seen){.base = a != NULL ? (uintptr_t)a->base : 0,
                               .limit = a != NULL ? a->limit : 0,
                               .gone = gone,
                               .arena = a};
    return a;
}

// Maps it; from here on `discard` takes it back.
static int map(weft_arena *a, enum wi_pages pages)
{
    void *at;
    a->born = wi_fresh_number;
    int rc = wi_os_segment_map(a->fd, a->limit, pages, a->read_only, &at);
    if (rc == 0)
        a->base = at;
    return rc;
}

static void discard(weft_arena *a)
{
    if (a->base != NULL)
        wi_os_segment_unmap(a->base, a->limit);
    if (a->fd >= 0)
        wi_os_close(a->fd);
    free(a);
}

// Lists it; if another thread was quicker, that one's is the arena.
static weft_arena *enlist(weft_arena *a)
{
    wi_mutex_lock(&lock);
    weft_arena *other = find(a->id, a->read_only);
    if (other != NULL) {
        other->refs++;
    } else {
        a->refs = 1;
        a->next = arenas;
        arenas = a;
    }
    wi_mutex_unlock(&lock);
    return other;
}

// Making ----------------------------------------------------------------------

// How long the file is at first: the segment's own part and some heap.
static uint64_t begin_size(enum wi_pages pages)
{
    _Static_assert(WI_HEAP_BEGIN < WI_HUGE_PAGE / 2, "there is a heap");
    return pages == WI_PAGES_SMALL ? (WI_HEAP_BEGIN / 65536 + 2) * 65536
                                   : WI_HUGE_PAGE;
}

static int fill(weft_arena *a, enum wi_pages pages)
{
    uint64_t end = begin_size(pages);
    struct wi_segment *s = wi_segment_of(a);
    s->version = WI_SEGMENT_VERSION;
    s->layout = WI_SEGMENT_LAYOUT;
    s->limit = a->limit;
    s->pages = pages;
    int rc = wi_os_random(s->id, sizeof s->id);
    memcpy(a->id, s->id, sizeof a->id);
    if (rc == 0)
        rc = wi_os_segment_grow(a->fd, WI_HEAP_BEGIN, end);
    if (rc == 0)
        rc = wi_keeper_add(a);
    if (rc < 0)
        return rc;
    wi_heap_init(a, end);
    // release: all of it before the magic; pairs with the look in read_head
    __atomic_store_n(&s->magic, WI_SEGMENT_MAGIC, __ATOMIC_RELEASE);
    return 0;
}

int wi_arena_make(uint64_t limit, enum wi_pages pages, weft_arena **arena)
{
    weft_arena *a = calloc(1, sizeof *a);
    if (a == NULL)
        return -ENOMEM;
    a->limit = limit;
    a->fd = wi_os_segment_new("weft-arena", begin_size(pages), &pages);
    int rc = a->fd < 0 ? a->fd : map(a, pages);
    if (rc == 0)
        rc = fill(a, pages);
    if (rc < 0) {
        discard(a);
        return rc;
    }
    enlist(a);
    *arena = a;
    return 0;
}

// Attaching -------------------------------------------------------------------

// The constant part of a segment that another process has made.
struct head {
    uint64_t magic;
    uint32_t version, layout;
    uint64_t id[2], limit;
    uint32_t pages;
};

static int read_head(int fd, struct head *head)
{
    int64_t size = wi_os_segment_size(fd);
    if (size < WI_HEAP_BEGIN)
        return size < 0 ? (int)size : -WEFT_EPROTO;
    struct wi_segment s;
    int rc = wi_os_memfd_read(fd, 0, &s, offsetof(struct wi_segment, joined));
    if (rc < 0)
        return rc;
    *head = (struct head){s.magic, s.version, s.layout, {s.id[0], s.id[1]},
                          s.limit, s.pages};
    bool good = s.magic == WI_SEGMENT_MAGIC &&
                s.version == WI_SEGMENT_VERSION &&
                s.layout == WI_SEGMENT_LAYOUT && s.limit >= WI_HUGE_PAGE &&
                s.limit >> 46 == 0 && s.limit % WI_HUGE_PAGE == 0 &&
                s.pages <= WI_PAGES_HUGE;
    return good ? 0 : -WEFT_EPROTO;
}

// Places of the dead may be all that is missing.
static int take_part(weft_arena *a)
{
    int rc = wi_keeper_add(a);
    if (rc == -EUSERS && wi_member_sweep(a, NULL) > 0)
        rc = wi_keeper_add(a);
    if (rc < 0)
        return rc;
    wi_member_sweep(a, NULL);
    wi_heap_recover(a);
    return 0;
}

static int attach_new(int fd, const struct head *head, bool read_only,
                      weft_arena **arena)
{
    weft_arena *a = calloc(1, sizeof *a);
    if (a == NULL)
        return -ENOMEM;
    a->limit = head->limit;
    a->read_only = read_only;
    memcpy(a->id, head->id, sizeof a->id);
    a->fd = wi_os_dup(fd);
    int rc = a->fd < 0 ? a->fd : map(a, head->pages);
    if (rc == 0 && !read_only)
        rc = take_part(a);
    if (rc < 0) {
        discard(a);
        return rc;
    }
    *arena = enlist(a);
    if (*arena == NULL) {
        *arena = a;
        return 0;
    }
    if (!read_only)
        wi_keeper_remove(a);
    discard(a);
    return 0;
}

int wi_arena_attach(int fd, bool read_only, weft_arena **arena)
{
    struct head head;
    int rc = read_head(fd, &head);
    if (rc < 0)
        return rc;
    if (wi_os_segment_sealed(fd))
        read_only = true;
    *arena = wi_arena_known(head.id, read_only);
    return *arena != NULL ? 0 : attach_new(fd, &head, read_only, arena);
}

void wi_arena_unref(weft_arena *a, void (*gone)(weft_arena *a))
{
    if (wi_is_parents(a->born))
        return; // a child of fork does not have it
    wi_mutex_lock(&lock);
    bool last = --a->refs == 0;
    for (weft_arena **link = &arenas; last; link = &(*link)->next)
        if (*link == a) {
            *link = a->next;
            break;
        }
    wi_mutex_unlock(&lock);
    if (!last)
        return;
    __atomic_fetch_add(&wi_arenas_gone, 1, __ATOMIC_RELAXED);
    gone(a);
    if (a->tag != 0)
        wi_keeper_remove(a);
    discard(a);
}

// In a child of fork the mappings are not there.
static void fresh(void)
{
    lock = (struct wi_mutex){0};
    arenas = NULL;
    wi_arenas_gone++;
}

__attribute__((constructor)) static void register_fresh(void)
{
    wi_fresh_add(fresh);
}
