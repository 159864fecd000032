// SPDX-License-Identifier: MIT
//
// Which worker gets which job. A job goes to an idle worker if fewer than the
// pool's number are at work: the one that was idle last, whose caches are warm.
// Otherwise to a worker that has room: so many jobs may stand before it as it
// does in about 100 us, so that small jobs come in batches and a long one has
// only one behind it. The rest waits in the pool's queue.
//
// A worker that has nothing left while another has requests that it has not
// begun gets half of them: they are recalled. So a long job delays nobody. A
// job that has futures of the parent open will wait, probably: nothing is
// placed behind it.
//
// The pool keeps one worker more than its number; which one is the spare is
// nowhere written: it is whoever is idle when the number is at work. It takes
// over when a worker dies or when its job waits.
#include "process/pool.h"

#include <string.h>

#include <weft/error.h>

#include "process/carry.h"
#include "process/parcel.h"
#include "sched/here.h"
#include "sched/task.h"

enum { AHEAD_NS = 100000, MOST_AHEAD = 200, MOST_DEPTH = 64 };

// Idle workers ----------------------------------------------------------------

void wi_member_idle(struct wi_member *member)
{
    if (member->idle || member->retiring || member->state != WI_MEMBER_READY)
        return;
    member->idle = true;
    member->idle_next = member->pool->idle;
    member->pool->idle = member;
}

void wi_member_not_idle(struct wi_member *member)
{
    if (!member->idle)
        return;
    struct wi_member **link = &member->pool->idle;
    while (*link != member)
        link = &(*link)->idle_next;
    *link = member->idle_next;
    member->idle = false;
}

// Tickets ---------------------------------------------------------------------

static uint32_t slot_state(struct wi_member *member, uint32_t slot)
{
    // acquire: pairs with the worker's release when it frees the slot
    return __atomic_load_n(&member->ring->slots[slot % WI_SLOTS].state,
                           __ATOMIC_ACQUIRE);
}

// A job that stands READY in its slot has not begun.
bool wi_flight_started(struct wi_member *member, unsigned ticket)
{
    struct wi_flight *flight = &member->flights[ticket];
    return flight->started ||
           (slot_state(member, flight->slot) & WI_SLOT_STATE) != WI_SLOT_READY;
}

void wi_flight_end(struct wi_member *member, unsigned ticket)
{
    member->flights[ticket].job = NULL;
    wi_parcel_drop(member->flights[ticket].parcel);
    member->flights[ticket].parcel = NULL;
    member->free_tickets[member->free_count++] = (uint16_t)ticket;
    if (--member->flying == 0 && !member->blocked &&
        member->state == WI_MEMBER_READY) {
        member->pool->active--;
        wi_member_idle(member);
        if (member->retiring)
            wi_member_leaves(member);
    }
}

static unsigned take_ticket(struct wi_member *member)
{
    struct wi_pool *pool = member->pool;
    if (member->flying++ == 0 && !member->blocked &&
        ++pool->active > pool->peak)
        pool->peak = pool->active;
    wi_member_not_idle(member);
    return member->free_tickets[--member->free_count];
}

// Placing ---------------------------------------------------------------------

bool wi_has_room(const struct wi_member *member)
{
    return member->state == WI_MEMBER_READY && !member->retiring &&
           !member->held && !member->condemned && member->free_count > 0 &&
           wi_wear_left(member) > 0 &&
           (slot_state((struct wi_member *)(uintptr_t)member, member->tail) &
            WI_SLOT_STATE) == WI_SLOT_FREE;
}

static bool takes_more(const struct wi_member *member)
{
    unsigned ahead = 1;
    if (member->mean != 0 && member->mean < AHEAD_NS)
        ahead = AHEAD_NS / member->mean;
    if (ahead > MOST_AHEAD)
        ahead = MOST_AHEAD;
    return !member->blocked && member->open == 0 && member->flying <= ahead &&
           wi_has_room(member);
}

// The worker is told the names that it does not know yet.
static void teach(struct wi_member *member)
{
    struct wi_pool *pool = member->pool;
    for (; member->names < pool->name_count; member->names++)
        member->ring->jobs[member->names] = pool->names[member->names];
}

// The line is the caller's: which slot it goes to is settled last, for a recall
// moves the tail while a large argument is written.
static struct wi_place place_of(struct wi_member *member, struct wi_pjob *job,
                                unsigned ticket, uint8_t *line)
{
    unsigned at = member->tail % WI_SLOTS;
    return (struct wi_place){.line = line,
                             .payload = member->ring->slot_payload[at],
                             .fd = member->memfd,
                             .window = wi_window_arg(ticket),
                             .far = job->arg};
}

// For `weft ps`, which cannot ask native_id(): the worker that has the job, 0:
// none. The future is not done, so that it has its extra part.
static void show_worker(struct wi_pjob *job, pid_t pid)
{
    // relaxed: nothing is ordered by it
    __atomic_store_n(&wi_of_future(job->future)->extra->native, pid,
                     __ATOMIC_RELAXED);
}

static void publish(struct wi_member *member, struct wi_pjob *job,
                    unsigned ticket, const struct wi_place *place)
{
    unsigned at = member->tail % WI_SLOTS;
    struct wi_slot *slot = &member->ring->slots[at];
    struct wi_flight *before = &member->flights[member->slot_tickets[at]];
    if (before->job != NULL && before->slot + WI_SLOTS == member->tail)
        before->started = true;
    member->slot_tickets[at] = (uint16_t)ticket;
    member->flights[ticket] =
        (struct wi_flight){job, member->tail, false, NULL};
    if (job->parcel != NULL)
        member->flights[ticket].parcel = wi_parcel_hold(job->parcel);
    job->state = WI_JOB_PLACED;
    job->member = member;
    job->ticket = (uint16_t)ticket;
    show_worker(job, member->child.pid);
    // relaxed: a hint; in a task nobody would look
    __atomic_store_n(&member->ring->soon, wi_here.worker == NULL,
                     __ATOMIC_RELAXED);
    teach(member);
    slot->job = job->number;
    slot->ticket = (uint16_t)ticket;
    slot->id = job->id;
    memcpy(slot->data, place->line, WI_INLINE);
    uint32_t word =
        wi_slot_word(WI_SLOT_READY, place->form, place->inline_size);
    if (member->blocked)
        word |= WI_SLOT_ON_TOP;
    // release: the slot is filled; pairs with the worker's acquire
    __atomic_store_n(&slot->state, word, __ATOMIC_RELEASE);
    member->tail++;
    if (member->flying == 2) // the first that has to wait
        wi_size_grow(member->pool);
    if (job->timeout != 0)
        wi_overrun_begin(member, job);
    if (member->blocked)
        wi_reply_run(member);
    else
        wi_ring_wake(&member->ring->parked);
}

// Writes a large argument without the lock. Meanwhile nothing else is put into
// this worker's slots, and whoever wants to end the job leaves word in it.
static int write_unlocked(struct wi_member *member, struct wi_pjob *job,
                          struct wi_place *place)
{
    struct wi_pool *pool = member->pool;
    member->held = true;
    member->writing = job;
    wi_mutex_unlock(&pool->lock);
    int rc = wi_place_write(place, job->heap);
    wi_mutex_lock(&pool->lock);
    member->writing = NULL;
    member->held = false;
    wi_pool_tend(pool); // there may have been signs of death
    return rc;
}

// What came of the job while the lock was left: true if it may be published.
static bool still_wanted(struct wi_member *member, struct wi_pjob *job,
                         unsigned ticket, int rc)
{
    if (member->state == WI_MEMBER_READY && rc == 0 && job->doomed == 0)
        return true;
    if (rc < 0 && job->doomed == 0)
        job->doomed = rc;
    wi_flight_end(member, ticket);
    if (job->doomed != 0)
        job->rank = 0; // so that it is seen
    wi_queue_push(job, true);
    wi_supervisor_post(&member->pool->tend); // ends it if it is doomed
    return false;
}

static void place(struct wi_member *member, struct wi_pjob *job)
{
    unsigned ticket = take_ticket(member);
    uint8_t line[WI_INLINE] = {0};
    struct wi_place place = place_of(member, job, ticket, line);
    int rc = 0;
    if (job->parcel != NULL)
        wi_place_parcel(&place);
    else if (job->arg.size > WI_PAYLOAD)
        rc = write_unlocked(member, job, &place);
    else
        wi_place_write(&place, job->heap != NULL ? job->heap : job->data);
    if (still_wanted(member, job, ticket, rc))
        publish(member, job, ticket, &place);
}

// Choosing --------------------------------------------------------------------

static struct wi_member *next_of(struct wi_pool *pool, struct wi_member *member)
{
    return member != NULL && member->next != NULL ? member->next
                                                  : pool->members;
}

// An idle one that takes requests: a mad one may not.
static struct wi_member *find_idle(struct wi_pool *pool)
{
    struct wi_member *m = pool->idle;
    while (m != NULL && !wi_has_room(m))
        m = m->idle_next;
    return m;
}

static struct wi_member *choose_idle(struct wi_pool *pool)
{
    struct wi_member *m;
    do
        m = find_idle(pool);
    while (m != NULL && wi_wear_old(m));
    return m;
}

// A job with a timeout gets a worker that begins it at once: its time runs from
// then on.
static struct wi_member *choose(struct wi_pool *pool)
{
    struct wi_member *idle = NULL;
    if (pool->active < pool->size + pool->extra)
        idle = choose_idle(pool);
    if (idle != NULL || pool->first->timeout != 0)
        return idle;
    struct wi_member *start = next_of(pool, pool->turn), *m = start;
    if (m == NULL)
        return NULL;
    do {
        if (m->flying > 0 && takes_more(m)) {
            pool->turn = m;
            return m;
        }
        m = next_of(pool, m);
    } while (m != start);
    return NULL;
}

// When all workers wait, one of them may run what its own job asked for, on
// top of the wait.
static bool place_on_waiting(struct wi_pool *pool)
{
    int looked = 0;
    for (struct wi_pjob *job = pool->first; job != NULL && looked < 64;
         job = job->next, looked++) {
        for (struct wi_member *m = pool->members; m != NULL; m = m->next) {
            if (m->blocked && !m->shut && m->flying == m->depth &&
                m->depth < MOST_DEPTH && wi_has_room(m) &&
                wi_may_run_on(job, m)) {
                wi_queue_remove(job);
                place(m, job);
                return true;
            }
        }
    }
    return false;
}

// Jobs are queued and workers wait: for what is queued, perhaps.
static void see_to_progress(struct wi_pool *pool)
{
    if (pool->blocked >= pool->alive && !wi_pool_grows(pool))
        pool->extra++;
    if (wi_pool_grows(pool) && !pool->tending)
        wi_pool_tend(pool);
}

// A doomed job at the front waits for the supervisor to end it.
void wi_dispatch(struct wi_pool *pool)
{
    while (pool->first != NULL && pool->first->doomed == 0) {
        struct wi_member *member = choose(pool);
        if (member != NULL) {
            struct wi_pjob *job = pool->first;
            wi_queue_remove(job);
            place(member, job);
            continue;
        }
        if (pool->blocked == 0 || pool->starting > 0 || wi_pool_grows(pool) ||
            !place_on_waiting(pool))
            break;
    }
    if (pool->first != NULL)
        wi_size_grow(pool);
    if (pool->first != NULL && pool->blocked > 0)
        see_to_progress(pool);
}

// Recall ----------------------------------------------------------------------

static bool swap_state(uint32_t *word, enum wi_slot_state from,
                       enum wi_slot_state to)
{
    uint32_t state = __atomic_load_n(word, __ATOMIC_RELAXED);
    uint32_t other = (state & ~(uint32_t)WI_SLOT_STATE) | to;
    // acq_rel: against the worker's own swap; one of the two gets it
    return (state & WI_SLOT_STATE) == from &&
           __atomic_compare_exchange_n(word, &state, other, false,
                                       __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

// Recalled slots at the end of the stream are taken back altogether; a mad
// worker might write so for ever.
static void retreat(struct wi_member *member)
{
    struct wi_slot *slots = member->ring->slots;
    for (unsigned n = 0; n < WI_SLOTS; n++) {
        if (!swap_state(&slots[(member->tail - 1) % WI_SLOTS].state,
                        WI_SLOT_RECALLED, WI_SLOT_FREE))
            return;
        member->tail--;
    }
}

bool wi_recall(struct wi_pjob *job)
{
    struct wi_member *member = job->member;
    struct wi_flight *flight = &member->flights[job->ticket];
    struct wi_slot *slot = &member->ring->slots[flight->slot % WI_SLOTS];
    if (flight->started ||
        !swap_state(&slot->state, WI_SLOT_READY, WI_SLOT_RECALLED))
        return false;
    retreat(member);
    wi_flight_end(member, job->ticket);
    show_worker(job, 0);
    job->member = NULL;
    job->state = WI_JOB_HELD;
    return true;
}

// Recalls up to `most`, newest first, which leaves the queue in order.
static unsigned recall_some(struct wi_member *member, unsigned most)
{
    unsigned n = 0;
    uint32_t tail = member->tail;
    for (uint32_t i = 1; i <= WI_SLOTS && n < most; i++) {
        uint32_t slot = tail - i;
        unsigned ticket = member->slot_tickets[slot % WI_SLOTS];
        struct wi_flight *flight = &member->flights[ticket];
        struct wi_pjob *job = flight->job;
        if (job == NULL || flight->slot != slot || !wi_recall(job))
            continue;
        if (job->doomed != 0)
            job->rank = 0; // so that it is seen
        wi_queue_push(job, true);
        n++;
    }
    return n;
}

void wi_recall_all(struct wi_member *member)
{
    recall_some(member, WI_SLOTS);
}

// An idle worker, an empty queue, and another that has more than it can begin
// now: half of that comes back.
void wi_rebalance(struct wi_pool *pool)
{
    if (pool->first != NULL || pool->idle == NULL ||
        pool->active >= pool->size + pool->extra)
        return;
    struct wi_member *most = NULL;
    for (struct wi_member *m = pool->members; m != NULL; m = m->next) {
        if (m->state == WI_MEMBER_READY && m->flying > 1 &&
            (most == NULL || m->flying > most->flying))
            most = m;
    }
    if (most != NULL && recall_some(most, most->flying / 2) > 0)
        wi_dispatch(pool);
}
