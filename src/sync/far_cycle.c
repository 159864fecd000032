// SPDX-License-Identifier: MIT
//
// A wait without limit for a shared lock that has lasted some milliseconds is
// put down in the arena: who waits, for which lock. Who puts one down then
// walks: from the lock to who holds it, from that one to what it waits for, and
// so on. If that leads back to itself, the wait would never end, and it is told
// so. All of this is done under one lock of the arena, `waits_lock`:
//
// - What is put down stays so during a walk, and stands there only while its
//   task is inside the call that acquires the lock. Meanwhile that task takes
//   and gives back no other lock. So if it is seen as a holder once, it is one
//   during the whole walk, and all edges of a cycle that was found stood at the
//   same time: there is no false alarm, and no need to look twice.
// - Of a cycle the last one to put its wait down finds it, and takes its wait
//   back before it lets the others walk: exactly one is told.
//
// The holder of a lock stands in one word (far.c), which also says of which
// process it is. It stands there after the lock was taken and no longer when it
// is given back; of one who died it is still there, but nobody waits by that
// name any more.
//
// A holder of this process that waits for no shared lock may wait for another
// one of this process: a local lock, a join. The walk goes on there
// (sched/deadlock.h), and by those who wait for shared locks it comes back.
// Such edges may change while they are read, so the walk is repeated, once for
// each: what leads to a wait that stands still stands still the next time, so
// that each walk makes one edge more certain. Since a local wait may begin
// last, who waits for a shared lock walks again from time to time. Local waits
// of other processes are not seen: a cycle with local edges in two processes is
// not found.
//
// Whoever dies is taken off by the next one who walks.
#include "sync/far_cycle.h"

#include <weft/error.h>

#include "os/report.h"
#include "sched/deadlock.h"
#include "shared/member.h"

enum {
    FIRST_PAUSE_NS = 10000000,     // a wait that is shorter is seen by nobody
    LONGEST_PAUSE_NS = 1280000000, // between two walks
};

// One wait, in the arena.
struct wi_far_wait {
    uint64_t next; // offset
    uint64_t who;
    uint64_t lock; // offset
    uint64_t todo; // offset: the walk's list
    uint32_t tag;
    uint32_t seen; // the number of the walk that has been here
};

struct walk {
    weft_arena *arena;
    struct wi_far_wait *from;
    uint64_t todo;  // offset of the next one to go on from
    unsigned local; // edges of this process
    bool closed;    // it leads back to `from`
};

static struct wi_far_wait *wait_at(const weft_arena *a, uint64_t offset)
{
    return offset != 0 ? wi_segment_at(a, offset) : NULL;
}

// The list --------------------------------------------------------------------

static void bury(weft_arena *a)
{
    uint64_t *link = &wi_segment_of(a)->waits;
    struct wi_far_wait *wait;
    while ((wait = wait_at(a, *link)) != NULL) {
        if (wi_member_lives(a, wait->tag)) {
            link = &wait->next;
            continue;
        }
        *link = wait->next;
        weft_arena_free(a, wait);
    }
}

static void put_down(weft_arena *a, struct wi_far_wait *wait)
{
    wait->next = wi_segment_of(a)->waits;
    // Last, by one store: who dies before has left nothing.
    wi_segment_of(a)->waits = wi_segment_offset(a, wait);
}

static void take_back(weft_arena *a, struct wi_far_wait *wait)
{
    uint64_t *link = &wi_segment_of(a)->waits;
    while (wait_at(a, *link) != wait)
        link = &wait_at(a, *link)->next;
    *link = wait->next;
}

static struct wi_far_wait *wait_of(const weft_arena *a, uint64_t who)
{
    struct wi_far_wait *wait = wait_at(a, wi_segment_of(a)->waits);
    while (wait != NULL && wait->who != who)
        wait = wait_at(a, wait->next);
    return wait;
}

// The walk --------------------------------------------------------------------

// Goes on from what `who` waits for, later. Whether it waits for a shared lock.
static bool add(struct walk *walk, uint64_t who)
{
    struct wi_far_wait *wait = wait_of(walk->arena, who);
    if (wait == NULL)
        return false;
    walk->closed |= wait == walk->from;
    if (wait->seen != wi_segment_of(walk->arena)->walks) {
        wait->seen = wi_segment_of(walk->arena)->walks;
        wait->todo = walk->todo;
        walk->todo = wi_segment_offset(walk->arena, wait);
    }
    return true;
}

static void visit(struct wi_task *t, void *arg)
{
    struct walk *walk = arg;
    walk->local++;
    add(walk, wi_far_who(walk->arena, t));
}

// Who holds what is waited for; 0: nobody, or the waiter itself by now.
static uint64_t holder_of(struct walk *walk, const struct wi_far_wait *wait)
{
    const struct weft_lock *lock = wi_segment_at(walk->arena, wait->lock);
    // relaxed: of who waits it was written before the wait was put down
    uint64_t who = __atomic_load_n(&lock->line, __ATOMIC_RELAXED);
    return who != wait->who ? who : 0;
}

static void walk_once(struct walk *walk)
{
    weft_arena *a = walk->arena;
    wi_segment_of(a)->walks++;
    walk->closed = false;
    walk->todo = 0;
    struct wi_far_wait *wait = walk->from;
    wait->seen = wi_segment_of(a)->walks;
    while (wait != NULL && !walk->closed) {
        uint64_t who = holder_of(walk, wait);
        if (who != 0 && !add(walk, who))
            wi_edge_each(who ^ a->salt, visit, walk); // if it is one of ours
        wait = wait_at(a, walk->todo);
        if (wait != NULL)
            walk->todo = wait->todo;
    }
}

static bool leads_back(struct walk *walk)
{
    walk_once(walk);
    for (unsigned n = walk->local; n > 0 && walk->closed; n--)
        walk_once(walk);
    return walk->closed;
}

static void report_seen(void *arg)
{
    const struct walk *walk = arg;
    const weft_arena *a = walk->arena;
    struct wi_far_wait *wait = wait_at(a, wi_segment_of(a)->waits);
    for (; wait != NULL; wait = wait_at(a, wait->next))
        if (wait != walk->from && wait->seen == wi_segment_of(a)->walks)
            wi_report("  seen on the way: a wait for a shared lock in process "
                      "%d",
                      (int)wi_member_pid(a, wait->tag));
}

// One wait --------------------------------------------------------------------

static struct wi_far_wait *wait_new(struct wi_far_watch *watch)
{
    weft_arena *a = watch->arena;
    struct wi_far_wait *wait = weft_arena_alloc(a, sizeof *wait);
    if (wait == NULL)
        return NULL;
    *wait = (struct wi_far_wait){.who = wi_far_who(a, watch->self),
                                 .lock = wi_segment_offset(a, watch->lock),
                                 .tag = a->tag};
    return wait;
}

static void end_wait(struct wi_far_watch *watch)
{
    weft_arena_free(watch->arena, watch->wait);
    watch->wait = NULL;
}

// Under the lock: whether the wait closes a cycle; then it is taken back.
static bool closes(struct wi_far_watch *watch)
{
    struct walk walk = {.arena = watch->arena, .from = watch->wait};
    if (!watch->tell || !leads_back(&walk))
        return false;
    wi_edge_report(watch->self, report_seen, &walk);
    take_back(watch->arena, watch->wait);
    return true;
}

static int look(struct wi_lock_watch *base)
{
    struct wi_far_watch *watch = (struct wi_far_watch *)base;
    weft_arena *a = watch->arena;
    struct wi_segment *segment = wi_segment_of(a);
    if (base->pause < LONGEST_PAUSE_NS)
        base->pause *= 2;
    bool fresh = watch->wait == NULL;
    if (fresh && (watch->wait = wait_new(watch)) == NULL)
        return 0;                            // no memory; perhaps the next time
    wi_shared_lock(a, &segment->waits_lock); // a dead one leaves no trace
    bury(a);
    if (fresh)
        put_down(a, watch->wait);
    bool closed = closes(watch);
    wi_shared_unlock(&segment->waits_lock);
    if (closed)
        end_wait(watch);
    return closed ? -WEFT_EDEADLOCK : 0;
}

void wi_far_watch_begin(struct wi_far_watch *watch, weft_arena *a,
                        struct weft_lock *lock, struct wi_task *self, bool tell)
{
    *watch =
        (struct wi_far_watch){.base = {.pause = FIRST_PAUSE_NS, .look = look},
                              .arena = a,
                              .lock = lock,
                              .self = self,
                              .tell = tell};
}

void wi_far_watch_end(struct wi_far_watch *watch)
{
    if (watch->wait == NULL)
        return;
    struct wi_segment *segment = wi_segment_of(watch->arena);
    wi_shared_lock(watch->arena, &segment->waits_lock);
    take_back(watch->arena, watch->wait);
    wi_shared_unlock(&segment->waits_lock);
    end_wait(watch);
}
