// SPDX-License-Identifier: MIT
//
// Taking in what workers say. Anybody may do it who holds the pool's lock: a
// thread that submits, a thread that waits (help.c), the supervisor when a
// bell rang. A frame is copied out of the shared memory first and believed in
// nothing: a ticket that is not in use, a result of the wrong size or an
// unknown kind mark the worker as mad, and it is killed.
//
// The bell: `listening` is set while nobody promises to look. A worker that
// publishes a frame then rings, once. Under load the supervisor does not set it
// again at once but looks again after 50 us; so a busy worker makes no system
// call.
//
// A worker may speak as fast as it is heard. So nobody hears one for longer
// than its ring was full, and whoever has more to do than to listen passes the
// rest on to the supervisor. One that has a job to be ended (`condemned`) is
// heard by the supervisor alone, who would not get its turn otherwise.
#include "process/pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <weft/error.h>

#include "os/memfd.h"
#include "process/carry.h"

static void go_mad(struct wi_member *member)
{
    wi_member_kill(member, "spoke nonsense to its pool");
}

// Results ---------------------------------------------------------------------

static struct wi_place frame_place(struct wi_member *member,
                                   struct wi_frame *frame, uint32_t at)
{
    return (struct wi_place){.line = frame->data,
                             .payload =
                                 member->ring->frame_payload[at % WI_FRAMES],
                             .fd = member->memfd,
                             .window = wi_window_result(frame->ticket),
                             .form = frame->form,
                             .inline_size = frame->inline_size};
}

enum { LARGE = 1 << 20 };

// The bytes of a place, in memory from malloc. A result may have holes, which
// cost the worker nothing: they cost nothing here either. NULL: no memory.
static void *read_bytes(const struct wi_place *place, int *rc)
{
    size_t size = place->far.size;
    bool holes = place->form == WI_FORM_WINDOW && size >= LARGE &&
                 !wi_os_memfd_holds(place->fd, size);
    void *bytes = holes ? calloc(1, size + 1) : malloc(size + 1);
    *rc = bytes == NULL ? -ENOMEM
          : holes
              ? wi_os_memfd_read_sparse(place->fd, place->window, bytes, size)
              : wi_place_read(place, bytes);
    return bytes;
}

// Reads the bytes of a result, without the lock if they are many. Meanwhile
// nobody else drains this member. NULL with *rc set: no memory, or nonsense.
static void *fetch(struct wi_member *member, struct wi_place *place,
                   unsigned ticket, int *rc)
{
    bool many = place->form == WI_FORM_WINDOW;
    if (many) {
        member->held = true;
        wi_mutex_unlock(&member->pool->lock);
    }
    void *bytes = read_bytes(place, rc);
    wi_kept_note(&member->kept, place, ticket);
    if (many) {
        wi_mutex_lock(&member->pool->lock);
        member->held = false;
        wi_pool_tend(member->pool); // there may have been signs of death
    }
    if (bytes != NULL)
        ((char *)bytes)[place->far.size] = '\0';
    return bytes;
}

// A chunk's results go to the caller of map, behind the codes if those are
// wanted.
static int put_chunk(const struct wi_pjob *job, char *bytes, size_t size)
{
    size_t codes = job->codes != NULL ? (4 * job->arg.count + 7) & ~7ul : 0;
    if (size < codes)
        return -WEFT_EPROTO;
    if (job->codes != NULL)
        memcpy(job->codes, bytes, 4 * job->arg.count);
    return wi_carry_array_get(wi_result_type(job->job), bytes + codes,
                              size - codes, job->arg.count, job->out, true);
}

// The result as the future takes it.
static int put_result(const struct wi_pjob *job, void *bytes, size_t size,
                      struct wi_outcome *o)
{
    struct wi_type type = wi_result_type(job->job);
    if (job->arg.count > 0)
        return put_chunk(job, bytes, size);
    o->size = type.size;
    void *value = o->data;
    if (type.size > WI_INLINE && (value = o->heap = malloc(type.size)) == NULL)
        return -ENOMEM;
    int rc = wi_carry_get(type, bytes, size, value);
    o->bytes = type.kind == WEFT_BYTES;
    return rc;
}

// Puts what was fetched into the outcome; frees bytes or gives them away.
static void settle(struct wi_pjob *job, const struct wi_frame *frame,
                   void *bytes, size_t size, struct wi_outcome *o)
{
    if (frame->code < 0) { // the bytes are a text
        o->heap = bytes;
        return;
    }
    int rc = put_result(job, bytes, size, o);
    if (rc < 0) {
        o->code = rc;
        free(o->heap);
        o->heap = NULL;
        o->size = 0;
    }
    if (!o->bytes || size == 0 || rc < 0)
        free(bytes); // else the struct weft_bytes points to them
}

static void settle_inline(struct wi_type type, const struct wi_frame *frame,
                          struct wi_outcome *o)
{
    uint8_t *data = (uint8_t *)frame->data;
    o->size = type.size;
    if (wi_carry_get(type, data, frame->inline_size, o->data) < 0) {
        o->code = -WEFT_EPROTO;
        o->size = 0;
    }
}

// How long jobs take: the mean of about the last eight.
static void measure(struct wi_member *member, const struct wi_frame *frame)
{
    uint32_t ns = 16u * frame->proxy + 16;
    member->mean =
        member->mean == 0 ? ns : member->mean - member->mean / 8 + ns / 8;
}

static bool is_quick(const struct wi_pjob *job, const struct wi_frame *frame)
{
    return frame->code >= 0 && frame->form == WI_FORM_INLINE &&
           job->arg.count == 0 && job->job->result_size <= WI_INLINE &&
           job->job->result_kind != WEFT_BYTES;
}

static void job_done(struct wi_member *member, struct wi_frame *frame,
                     uint32_t at, struct wi_outcomes *out)
{
    unsigned ticket = frame->ticket;
    struct wi_pjob *job =
        ticket < WI_TICKETS ? member->flights[ticket].job : NULL;
    struct wi_place place = frame_place(member, frame, at);
    if (job == NULL || !wi_flight_started(member, ticket) ||
        wi_place_look(&place) < 0) {
        go_mad(member);
        return;
    }
    measure(member, frame);
    member->pool->failures = 0;
    if (frame->code == -WEFT_ENOJOB)
        member->names = 0; // perhaps it has spoiled what it was told
    if (is_quick(job, frame)) {
        struct wi_type type = wi_result_type(job->job);
        wi_flight_end(member, ticket);
        settle_inline(type, frame, wi_pjob_end(job, frame->code, NULL, out));
        wi_wear_count(member);
        return;
    }
    int rc;
    uint64_t id = job->id;
    void *bytes = fetch(member, &place, ticket, &rc);
    // The lock was left: a deadline may have ended the job.
    if (job->id != id || member->flights[ticket].job != job ||
        member->state != WI_MEMBER_READY) {
        free(bytes);
        return;
    }
    struct wi_pjob copy = *job;
    wi_flight_end(member, ticket);
    struct wi_outcome *o =
        wi_pjob_end(job, rc < 0 ? rc : frame->code, NULL, out);
    if (rc < 0)
        free(bytes);
    else
        settle(&copy, frame, bytes, place.far.size, o);
    wi_wear_count(member);
}

// Frames ----------------------------------------------------------------------

static void hear(struct wi_member *member, struct wi_frame *frame, uint32_t at,
                 struct wi_outcomes *out)
{
    if (frame->kind == WI_FRAME_DONE)
        job_done(member, frame, at, out);
    else
        wi_ask(member, frame, at);
}

bool wi_may_hear(const struct wi_member *member)
{
    return !member->held && member->state == WI_MEMBER_READY &&
           (!member->condemned || wi_supervisor_is_self());
}

bool wi_drain(struct wi_member *member, struct wi_outcomes *out)
{
    struct wi_pool *pool = member->pool;
    struct wi_ring *ring = member->ring;
    unsigned n = 0;
    while (n < WI_FRAMES && wi_may_hear(member) && !wi_outcomes_full(out) &&
           wi_has_said(member)) {
        uint32_t at = member->heard;
        struct wi_frame frame = ring->frames[at % WI_FRAMES];
        hear(member, &frame, at, out);
        member->heard = at + 1;
        // release: the place is free; pairs with the worker's acquire
        __atomic_store_n(&ring->heard, at + 1, __ATOMIC_RELEASE);
        n++;
    }
    if (n == 0)
        return false;
    wi_ring_wake(&ring->full);
    wi_dispatch(pool);
    wi_rebalance(pool);
    return true;
}

bool wi_listen(struct wi_member *member)
{
    uint32_t *word = &member->ring->listening;
    // relaxed: the fence orders it before the look
    __atomic_store_n(word, 1, __ATOMIC_RELAXED);
    wi_arch_fence(); // pairs with the worker's fence after a frame
    if (!wi_has_said(member))
        return true;
    if (member->held) { // when it is let go, the pool is tended
        member->unheard = true;
        return true;
    }
    // relaxed: only who gets the 1 rings
    __atomic_exchange_n(word, 0, __ATOMIC_RELAXED);
    return false;
}
