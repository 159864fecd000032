// SPDX-License-Identifier: MIT
//
// Everything changes under the lock of the line; `writer` is read without it
// by walks over edges. The lock is handed to those in line by whoever makes
// that possible: while the first of the line can go in, it goes in. Nobody goes
// in past the line.
#include <weft/rwlock.h>

#include <errno.h>

#include <weft/error.h>

#include "base/options.h"
#include "os/report.h"
#include "sched/here.h"
#include "sync/far.h"
#include "sync/order.h"
#include "sync/owner.h"

enum { ORPHANED = 8 }; // flag of `writer`: one ended with the lock

static bool is_far(const struct weft_rwlock *lock)
{
    // relaxed: constant from the init on
    return __atomic_load_n(&lock->half[0], __ATOMIC_RELAXED) & WI_FAR;
}

void weft_rwlock_init_with(struct weft_rwlock *lock,
                           const struct weft_rwlock_options *options)
{
    wi_need(lock);
    WI_OPTIONS(options);
    *lock = (struct weft_rwlock){.line = 0};
    lock->writer = wi_far_flag(options->arena, lock, "weft_rwlock_init");
    if (wi_order_on())
        wi_order_name(lock, options->name);
}

static wi_hint writer_of(const void *lock)
{
    // seq_cst: among the loads of a walk; pairs with wi_edge_set
    return wi_owner_of(__atomic_load_n(
        &((const struct weft_rwlock *)lock)->writer, __ATOMIC_SEQ_CST));
}

static bool is_writer(const struct weft_rwlock *lock, struct wi_task *self)
{
    return self != NULL && writer_of(lock) == wi_hint_of(self);
}

static void set_writer(struct weft_rwlock *lock, wi_hint hint)
{
    // relaxed: under the lock of the line
    __atomic_store_n(&lock->writer, hint | (lock->writer & WI_OWNER_FLAGS),
                     __ATOMIC_RELAXED);
}

// One that is the first of all goes in, or not.
static bool go_in(struct weft_rwlock *lock, enum wi_rwlock_purpose purpose,
                  struct wi_task *t)
{
    if (wi_owner_of(lock->writer) != 0 ||
        (purpose == WI_RWLOCK_WRITE && lock->readers > 0))
        return false;
    if (purpose == WI_RWLOCK_WRITE)
        set_writer(lock, wi_hint_of(t));
    else
        lock->readers++;
    return true;
}

static void admit(struct weft_rwlock *lock, struct wi_place **first,
                  struct wi_chosen *chosen)
{
    while (*first != NULL && go_in(lock, (*first)->purpose, (*first)->task))
        wi_chosen_add(chosen, first, *first);
}

// A writer that has ended has the lock no more. Who takes it out lets those in
// line in: when they look for themselves, there is none that is gone.
static void bury(struct weft_rwlock *lock, struct wi_place **first,
                 struct wi_chosen *chosen)
{
    if (!wi_owner_gone(lock->writer))
        return;
    // relaxed: under the lock of the line
    __atomic_store_n(&lock->writer, ORPHANED, __ATOMIC_RELAXED);
    admit(lock, first, chosen);
}

static int took(struct weft_rwlock *lock, struct wi_task *self)
{
    self->held++;
    // relaxed: the lock is held; a flag
    return __atomic_load_n(&lock->writer, __ATOMIC_RELAXED) & ORPHANED
               ? -EOWNERDEAD
               : 0;
}

// Lets in whom it can. `leaving` (may be NULL) leaves the line first: false if
// it was chosen.
static bool sort_out(struct weft_rwlock *lock, struct wi_place *leaving)
{
    struct wi_chosen chosen = {.last = &chosen.first};
    struct wi_place *first = wi_line_lock(&lock->line);
    bool left = leaving != NULL && wi_place_state(leaving) == WI_PLACE_WAITING;
    if (left)
        wi_line_remove(&first, leaving);
    bury(lock, &first, &chosen);
    admit(lock, &first, &chosen);
    wi_line_unlock(&lock->line, first);
    wi_chosen_end(&chosen, WI_PLACE_GIVEN);
    return left;
}

// In line until the lock is ours, 0, or the wait is ended.
static int wait_in_line(struct weft_rwlock *lock, struct wi_task *self,
                        struct wi_place *place, int64_t deadline)
{
    const struct wi_wait wait = {
        .object = lock, .deadline = deadline, .kind = WI_WAIT_LOCK};
    bool edge = deadline == WI_FOREVER;
    int rc;
    while ((rc = wi_owner_wait(self, place, &wait, writer_of, edge)) ==
           -EOWNERDEAD)
        sort_out(lock, NULL);
    if (rc == 0 || sort_out(lock, place))
        return rc;
    wi_place_await(place);
    return 0;
}

// True: it is ours. Else, if a place is given, that stands in line now.
static bool enter(struct weft_rwlock *lock, struct wi_task *self,
                  enum wi_rwlock_purpose purpose, struct wi_place *place,
                  const struct wi_edge_set *holder)
{
    struct wi_chosen chosen = {.last = &chosen.first};
    struct wi_place *first = wi_line_lock(&lock->line);
    bury(lock, &first, &chosen);
    bool mine = first == NULL && go_in(lock, purpose, self);
    if (!mine && place != NULL) {
        if (holder != NULL)
            wi_owner_edge(self, holder);
        wi_line_add(&first, place);
    }
    wi_line_unlock(&lock->line, first);
    if (chosen.first != NULL)
        wi_chosen_end(&chosen, WI_PLACE_GIVEN);
    return mine;
}

static int acquire_near(struct weft_rwlock *lock,
                        enum wi_rwlock_purpose purpose, int64_t deadline)
{
    struct wi_task *self = wi_sync_self(lock);
    if (is_writer(lock, self))
        return -WEFT_EDEADLOCK;
    struct wi_place place = wi_place_of(self);
    place.purpose = purpose;
    struct wi_edge_set holder = {.holder = writer_of, .object = lock};
    bool edge = deadline == WI_FOREVER;
    if (enter(lock, self, purpose, &place, edge ? &holder : NULL))
        return took(lock, self);
    int rc = wait_in_line(lock, self, &place, deadline);
    wi_edge_clear(self);
    return rc < 0 ? rc : took(lock, self);
}

static int try_near(struct weft_rwlock *lock, enum wi_rwlock_purpose purpose)
{
    struct wi_task *self = wi_sync_self(lock);
    return enter(lock, self, purpose, NULL, NULL) ? took(lock, self) : -EAGAIN;
}

// What an acquire came to, for the checking of order.
static int noted(struct weft_rwlock *lock, int rc, const void *site)
{
    if (wi_order_on() && (rc == 0 || rc == -EOWNERDEAD))
        wi_order_hold(wi_here.self, lock, site);
    return rc;
}

static int acquire(struct weft_rwlock *lock, enum wi_rwlock_purpose purpose,
                   int64_t deadline, const void *site)
{
    if (wi_order_on())
        wi_order_want(wi_sync_self(lock), lock, site);
    int rc = is_far(lock) ? wi_far_rwlock_acquire(lock, purpose, deadline)
                          : acquire_near(lock, purpose, deadline);
    return noted(lock, rc, site);
}

static int try(struct weft_rwlock *lock, enum wi_rwlock_purpose purpose,
               const void *site)
{
    int rc = is_far(lock) ? wi_far_rwlock_try(lock, purpose)
                          : try_near(lock, purpose);
    return noted(lock, rc, site);
}

int weft_rwlock_read_acquire(struct weft_rwlock *lock)
{
    wi_need(lock);
    return acquire(lock, WI_RWLOCK_READ, WI_FOREVER,
                   __builtin_return_address(0));
}

int weft_rwlock_read_try(struct weft_rwlock *lock)
{
    wi_need(lock);
    return try(lock, WI_RWLOCK_READ, __builtin_return_address(0));
}

int weft_rwlock_read_acquire_for(struct weft_rwlock *lock, double seconds)
{
    wi_need(lock);
    return acquire(lock, WI_RWLOCK_READ, wi_deadline_in(seconds, __func__),
                   __builtin_return_address(0));
}

int weft_rwlock_write_acquire(struct weft_rwlock *lock)
{
    wi_need(lock);
    return acquire(lock, WI_RWLOCK_WRITE, WI_FOREVER,
                   __builtin_return_address(0));
}

int weft_rwlock_write_try(struct weft_rwlock *lock)
{
    wi_need(lock);
    return try(lock, WI_RWLOCK_WRITE, __builtin_return_address(0));
}

int weft_rwlock_write_acquire_for(struct weft_rwlock *lock, double seconds)
{
    wi_need(lock);
    return acquire(lock, WI_RWLOCK_WRITE, wi_deadline_in(seconds, __func__),
                   __builtin_return_address(0));
}

// Releasing -------------------------------------------------------------------

void weft_rwlock_read_release(struct weft_rwlock *lock)
{
    wi_need(lock);
    if (wi_order_on() && wi_here.self != NULL)
        wi_order_leave(wi_here.self, lock);
    if (is_far(lock)) {
        wi_far_rwlock_read_release(lock);
        return;
    }
    struct wi_task *self = wi_here.self;
    struct wi_chosen chosen = {.last = &chosen.first};
    struct wi_place *first = wi_line_lock(&lock->line);
    wi_require(lock->readers > 0, lock, "nobody has this lock for reading");
    lock->readers--;
    admit(lock, &first, &chosen);
    wi_line_unlock(&lock->line, first);
    wi_chosen_end(&chosen, WI_PLACE_GIVEN);
    if (self != NULL && self->held > 0)
        self->held--;
}

// The writer gives it up, and goes on with so many readers' shares. false: the
// caller is not the writer.
static bool end_writing(struct weft_rwlock *lock, uint32_t readers)
{
    struct wi_task *self = wi_here.self;
    if (is_far(lock))
        return wi_far_rwlock_end_writing(lock, readers);
    if (!is_writer(lock, self))
        return false;
    struct wi_chosen chosen = {.last = &chosen.first};
    struct wi_place *first = wi_line_lock(&lock->line);
    set_writer(lock, 0);
    lock->readers = readers;
    admit(lock, &first, &chosen);
    wi_line_unlock(&lock->line, first);
    wi_chosen_end(&chosen, WI_PLACE_GIVEN);
    self->held -= readers == 0;
    return true;
}

void weft_rwlock_write_release(struct weft_rwlock *lock)
{
    wi_need(lock);
    wi_require(end_writing(lock, 0), lock,
               "a lock is released by the task or thread that holds it");
    if (wi_order_on())
        wi_order_leave(wi_here.self, lock);
}

void weft_rwlock_downgrade(struct weft_rwlock *lock)
{
    wi_need(lock);
    wi_require(end_writing(lock, 1), lock,
               "a lock is downgraded by the task or thread that holds it");
}

// Looking ---------------------------------------------------------------------

bool weft_rwlock_write_held(const struct weft_rwlock *lock)
{
    wi_need(lock);
    return is_far(lock) ? wi_far_rwlock_write_held(lock)
                        : is_writer(lock, wi_here.self);
}

void weft_rwlock_repaired(struct weft_rwlock *lock)
{
    wi_need(lock);
    wi_require(weft_rwlock_write_held(lock), lock,
               "a lock is marked repaired by the task or thread that holds it");
    if (is_far(lock)) {
        wi_far_rwlock_repaired(lock);
        return;
    }
    // relaxed: the writer's alone
    __atomic_store_n(&lock->writer, wi_owner_of(lock->writer),
                     __ATOMIC_RELAXED);
}

static void expect_unused(struct weft_rwlock *lock)
{
    struct wi_place *first = wi_line_lock(&lock->line);
    wi_line_unlock(&lock->line, first);
    wi_require_in("weft_rwlock_fini",
                  wi_owner_of(lock->writer) == 0 && lock->readers == 0, lock,
                  "a lock that ends is not held");
    wi_require_in("weft_rwlock_fini", first == NULL, lock,
                  "nobody waits for a lock that ends");
}

void weft_rwlock_fini(struct weft_rwlock *lock)
{
    wi_need(lock);
    if (is_far(lock))
        wi_far_rwlock_fini(lock);
    else
        expect_unused(lock);
    if (wi_order_on())
        wi_order_forget(lock);
    *lock = (struct weft_rwlock){.readers = 0};
}
