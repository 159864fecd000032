// SPDX-License-Identifier: MIT
//
// The read-write lock between processes. Each process that has ever had it has
// a share: how many of its tasks and threads read, and which one writes. The
// shares of the dead count no more, so that a reader that dies is no reader,
// and a writer that dies marks the lock as orphaned.
//
// A place in line that is served counts as a holder until its process has put
// that down in its share: the one store that serves it is all that has to be
// done, and to move from the one to the other is the business of a process
// whose death ends both.
#include "sync/far.h"

#include <errno.h>

#include <weft/error.h>

#include "os/report.h"
#include "sched/here.h"
#include "shared/keeper.h"
#include "shared/member.h"
#include "sync/far_line.h"
#include "sync/owner.h"

enum { ORPHANED = 8 }; // flag beside WI_FAR

// One process's part, in the arena. It lasts as long as that has the arena.
struct share {
    uint64_t next; // offset
    uint32_t tag;
    uint32_t readers;
    uint64_t writer; // id of the task or thread; 0: none
};

// The lock, as this process sees it while it has the lock of the line.
struct view {
    struct weft_rwlock *lock;
    struct wi_far_line line;
    struct share *mine; // NULL: none yet
    uint64_t readers;
    bool writing;
};

static struct share *share_at(struct view *v, uint64_t offset)
{
    return offset != 0 ? wi_segment_at(v->line.arena, offset) : NULL;
}

static void count_shares(struct view *v)
{
    uint64_t *link = &v->lock->shares;
    struct share *share;
    while ((share = share_at(v, *link)) != NULL) {
        if (wi_member_lives(v->line.arena, share->tag)) {
            if (share->tag == v->line.arena->tag)
                v->mine = share;
            v->readers += share->readers;
            v->writing |= share->writer != 0;
            link = &share->next;
            continue;
        }
        // relaxed: under the lock
        if (share->writer != 0)
            __atomic_fetch_or(&v->lock->half[0], ORPHANED, __ATOMIC_RELAXED);
        *link = share->next;
        weft_arena_free(v->line.arena, share);
    }
}

static bool fits(const struct view *v, uint32_t purpose)
{
    return !v->writing && (purpose == WI_RWLOCK_READ || v->readers == 0);
}

static void count(struct view *v, uint32_t purpose)
{
    if (purpose == WI_RWLOCK_READ)
        v->readers++;
    else
        v->writing = true;
}

// Serves those in line who can go in, in their order. Whether somebody waits
// still.
static bool admit(struct view *v)
{
    struct wi_far_place *place = wi_far_place_at(&v->line, *v->line.first);
    while (place != NULL && place->state == WI_FAR_SERVED) {
        count(v, place->purpose);
        place = wi_far_place_at(&v->line, place->next);
    }
    while (place != NULL && fits(v, place->purpose)) {
        count(v, place->purpose);
        wi_far_tell(place);
        place = wi_far_place_at(&v->line, place->next);
    }
    return place != NULL;
}

// Takes the lock of the line and looks around: the dead are gone.
static struct view take(struct weft_rwlock *lock)
{
    struct view v = {.lock = lock,
                     .line = wi_far_line_of(lock, &lock->half[1], &lock->line)};
    wi_far_take(&v.line);
    wi_far_bury(&v.line);
    count_shares(&v);
    return v;
}

// Gives it back, after whoever can go in has been served.
static void give(struct view *v)
{
    v->readers = 0;
    v->writing = false;
    count_shares(v);
    admit(v);
    wi_far_give(&v->line);
}

static bool need_share(struct view *v)
{
    if (v->mine != NULL)
        return true;
    struct share *share = weft_arena_alloc(v->line.arena, sizeof *share);
    if (share == NULL)
        return false;
    share->tag = v->line.arena->tag;
    share->next = v->lock->shares;
    v->lock->shares = wi_segment_offset(v->line.arena, share);
    v->mine = share;
    return true;
}

static void put_down(struct view *v, uint32_t purpose, struct wi_task *self)
{
    if (purpose == WI_RWLOCK_READ)
        v->mine->readers++;
    else
        v->mine->writer = self->id;
}

static bool is_writer(const struct view *v, const struct wi_task *self)
{
    return self != NULL && v->mine != NULL && v->mine->writer == self->id;
}

// 0: it is ours. -EAGAIN: the place (if one is given) stands in line now.
static int enter(struct weft_rwlock *lock, uint32_t purpose,
                 struct wi_task *self, struct wi_far_place *place)
{
    struct view v = take(lock);
    int rc = 0;
    if (is_writer(&v, self))
        rc = -WEFT_EDEADLOCK;
    else if (!need_share(&v))
        rc = -ENOMEM;
    else if (admit(&v) || !fits(&v, purpose))
        rc = -EAGAIN;
    if (rc == 0)
        put_down(&v, purpose, self);
    else if (rc == -EAGAIN && place != NULL)
        wi_far_add(&v.line, place);
    give(&v);
    return rc;
}

// In line until it is served or the wait is ended: a code, which counts only
// if it was not served.
static int stand(struct weft_rwlock *lock, struct wi_far_place *place,
                 weft_arena *a, int64_t deadline)
{
    const struct wi_wait wait = {
        .object = lock, .deadline = deadline, .kind = WI_WAIT_LOCK};
    struct wi_nap nap;
    int rc = 0;
    wi_nap_begin(&nap, a);
    while (rc == 0 && wi_far_state(place) == WI_FAR_WAITING) {
        struct view v = take(lock); // a holder may have died
        give(&v);
        rc = wi_far_nap(&nap, &place->state, WI_FAR_WAITING, &wait);
    }
    wi_nap_end(&nap);
    return rc;
}

// Out of the line: with the lock, 0, or with the code that ended the wait.
static int settle(struct weft_rwlock *lock, struct wi_far_place *place,
                  struct wi_task *self, int rc)
{
    struct view v = take(lock);
    if (place->state == WI_FAR_SERVED) {
        put_down(&v, place->purpose, self);
        rc = 0;
    }
    wi_far_remove(&v.line, place);
    give(&v);
    return rc;
}

static int wait_for(struct weft_rwlock *lock, uint32_t purpose,
                    struct wi_task *self, int64_t deadline)
{
    struct wi_far_line line = wi_far_line_of(lock, &lock->half[1], &lock->line);
    struct wi_far_place *place = wi_far_place_new(&line);
    if (place == NULL)
        return -ENOMEM;
    place->purpose = purpose;
    int rc = enter(lock, purpose, self, place);
    if (rc == -EAGAIN)
        rc =
            settle(lock, place, self, stand(lock, place, line.arena, deadline));
    weft_arena_free(line.arena, place);
    return rc;
}

static int took(const struct weft_rwlock *lock, struct wi_task *self)
{
    self->held++;
    // relaxed: the lock is held; a flag
    return __atomic_load_n(&lock->half[0], __ATOMIC_RELAXED) & ORPHANED
               ? -EOWNERDEAD
               : 0;
}

int wi_far_rwlock_acquire(struct weft_rwlock *lock,
                          enum wi_rwlock_purpose purpose, int64_t deadline)
{
    struct wi_task *self = wi_sync_self(lock);
    int rc = enter(lock, purpose, self, NULL);
    if (rc == -EAGAIN)
        rc = wait_for(lock, purpose, self, deadline);
    return rc < 0 ? rc : took(lock, self);
}

int wi_far_rwlock_try(struct weft_rwlock *lock, enum wi_rwlock_purpose purpose)
{
    struct wi_task *self = wi_sync_self(lock);
    int rc = enter(lock, purpose, self, NULL);
    if (rc == -WEFT_EDEADLOCK)
        rc = -EAGAIN;
    return rc < 0 ? rc : took(lock, self);
}

void wi_far_rwlock_read_release(struct weft_rwlock *lock)
{
    struct wi_task *self = wi_here.self;
    struct view v = take(lock);
    wi_require_in("weft_rwlock_read_release",
                  v.mine != NULL && v.mine->readers > 0, lock,
                  "nobody in this process has this lock for reading");
    v.mine->readers--;
    give(&v);
    if (self != NULL && self->held > 0)
        self->held--;
}

bool wi_far_rwlock_end_writing(struct weft_rwlock *lock, uint32_t readers)
{
    struct wi_task *self = wi_here.self;
    struct view v = take(lock);
    bool mine = is_writer(&v, self);
    if (mine) {
        v.mine->readers += readers;
        v.mine->writer = 0;
        self->held -= readers == 0;
    }
    give(&v);
    return mine;
}

bool wi_far_rwlock_write_held(const struct weft_rwlock *lock)
{
    struct view v = take((struct weft_rwlock *)lock);
    bool mine = is_writer(&v, wi_here.self);
    give(&v);
    return mine;
}

void wi_far_rwlock_repaired(struct weft_rwlock *lock)
{
    // relaxed: the writer's alone
    __atomic_store_n(&lock->half[0], WI_FAR, __ATOMIC_RELAXED);
}

void wi_far_rwlock_fini(struct weft_rwlock *lock)
{
    struct view v = take(lock);
    bool waited = admit(&v);
    bool held = v.writing || v.readers > 0;
    struct share *share;
    while (!held && !waited && (share = share_at(&v, lock->shares)) != NULL) {
        lock->shares = share->next;
        weft_arena_free(v.line.arena, share);
    }
    wi_far_give(&v.line);
    wi_require_in("weft_rwlock_fini", !held, lock,
                  "a lock that ends is not held");
    wi_require_in("weft_rwlock_fini", !waited, lock,
                  "nobody waits for a lock that ends");
}
