// SPDX-License-Identifier: MIT
//
// What a job in a worker asks of its parent: to open a future, to submit a
// job, to cancel; and that it waits. Each future that a worker has open is a
// proxy: a number that the worker chose, under which it hears once that the
// future is done.
//
// Much of this takes other locks or runs callbacks, so the pool's lock is left
// meanwhile. The member is `held` then: nobody else takes in its frames, and
// it is not freed. A proxy's callback may run in any thread, also long after
// the member's death; it finds the member NULL then.
//
// A job that waits makes its worker `blocked`: what was queued there goes
// elsewhere, the pool may start one more worker, and the wait becomes an edge
// of its future, so that a cycle through several processes is seen here, where
// all of its edges are.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <weft/error.h>

#include "future/external.h"
#include "future/future.h"
#include "os/memfd.h"
#include "process/carry.h"
#include "process/pool.h"

enum { MOST_ANCESTORS = 256 };

static void leave_lock(struct wi_member *member)
{
    member->held = true;
    wi_mutex_unlock(&member->pool->lock);
}

static void take_lock(struct wi_member *member)
{
    wi_mutex_lock(&member->pool->lock);
    member->held = false;
    wi_pool_tend(member->pool); // there may have been signs of death
}

static void go_mad(struct wi_member *member)
{
    wi_member_kill(member, "asked its pool for nonsense");
}

// Replies ---------------------------------------------------------------------

// Under the lock.
static void send_reply(struct wi_member *member, struct wi_reply *reply)
{
    struct wi_ring *ring = member->ring;
    // acquire: pairs with the worker's release; the place is free
    uint32_t answered = __atomic_load_n(&ring->answered, __ATOMIC_ACQUIRE);
    if (member->state == WI_MEMBER_LOST)
        return;
    if (member->said - answered >= WI_REPLIES) {
        go_mad(member); // it does not read them
        return;
    }
    struct wi_reply *place = &ring->replies[member->said % WI_REPLIES];
    reply->sequence = place->sequence;
    *place = *reply;
    // release: the reply is whole; pairs with the worker's acquire
    __atomic_store_n(&place->sequence, ++member->said, __ATOMIC_RELEASE);
    wi_ring_wake(&ring->uplink);
}

static void reply_short(struct wi_member *member, enum wi_reply_kind kind,
                        unsigned proxy)
{
    struct wi_reply reply = {.kind = (uint8_t)kind, .proxy = (uint16_t)proxy};
    send_reply(member, &reply);
}

void wi_reply_run(struct wi_member *member)
{
    reply_short(member, WI_REPLY_RUN, WI_NONE);
}

// The future's result or text, written for the worker. Without the lock.
static void write_answer(struct wi_member *member, unsigned number,
                         weft_future *f, struct wi_reply *reply)
{
    struct wi_task *t = wi_of_future(f);
    struct wi_place place = {.line = reply->data,
                             .payload = member->ring->proxy_payload[number],
                             .fd = member->memfd,
                             .window = wi_window_down(number)};
    size_t size = t->result_size;
    void *room = malloc(size + 1);
    const void *bytes = room;
    reply->code = room == NULL ? -ENOMEM : wi_future_take(t, room, size);
    if (size == 0)
        reply->code = weft_future_code(f);
    place.far.size = size;
    struct weft_bytes *blob = NULL;
    if (reply->code < 0) {
        bytes = weft_future_text(f);
        place.far.size = strlen(bytes);
    } else if (t->flags & WI_BYTES_RESULT) {
        blob = room;
        bytes = blob->data;
        place.far.size = blob->len;
        reply->bytes = 1;
    }
    int rc = wi_place_write(&place, bytes);
    if (rc < 0) { // half of it is no text
        reply->code = rc;
        place.far.size = 0;
        wi_place_write(&place, NULL);
    }
    reply->form = (uint8_t)place.form;
    reply->inline_size = (uint16_t)place.inline_size;
    if (blob != NULL)
        free(blob->data);
    free(room);
}

// Proxies ---------------------------------------------------------------------

static struct wi_proxy *new_proxy(struct wi_member *member, unsigned number,
                                  weft_future *f)
{
    struct wi_proxy *proxy = malloc(sizeof *proxy);
    if (proxy == NULL)
        return NULL;
    *proxy = (struct wi_proxy){.pool = member->pool,
                               .member = member,
                               .future = f,
                               .number = (uint16_t)number};
    member->proxies[number] = proxy;
    member->proxy_count++;
    member->open++;
    return proxy;
}

static void forget_proxy(struct wi_proxy *proxy)
{
    if (proxy->member == NULL)
        return;
    proxy->member->proxies[proxy->number] = NULL;
    proxy->member->proxy_count--;
    if (!proxy->done)
        proxy->member->open--;
    proxy->member = NULL;
}

static void answer(struct wi_proxy *proxy, struct wi_member *member)
{
    struct wi_reply reply = {.kind = WI_REPLY_DONE, .proxy = proxy->number};
    struct wi_pool *pool = proxy->pool;
    member->pins++;
    wi_mutex_unlock(&pool->lock);
    write_answer(member, reply.proxy, proxy->future, &reply);
    wi_mutex_lock(&pool->lock);
    member->pins--;
    send_reply(member, &reply);
    wi_pool_tend(pool);
}

// The future of a proxy is done: inline in whoever completed it.
static void proxy_done(weft_future *f, void *arg)
{
    struct wi_proxy *proxy = arg;
    struct wi_pool *pool = proxy->pool;
    wi_mutex_lock(&pool->lock);
    if (proxy->member != NULL && proxy->member->state != WI_MEMBER_LOST)
        answer(proxy, proxy->member);
    proxy->done = true;
    bool last = proxy->member == NULL;
    if (!last)
        proxy->member->open--;
    wi_mutex_unlock(&pool->lock);
    if (!last)
        return;
    free(proxy);
    weft_future_unref(f);
}

// The member has no more use for a proxy. Returns the reference to give back,
// or NULL if the callback will.
static weft_future *drop_proxy(struct wi_proxy *proxy)
{
    forget_proxy(proxy);
    if (!proxy->done)
        return NULL;
    weft_future *f = proxy->future;
    free(proxy);
    return f;
}

// A dead member's proxies. The references go back without the lock: that may
// run a report. false: there are more.
bool wi_ask_forget(struct wi_member *member)
{
    weft_future *drop[64];
    unsigned n = 0;
    for (unsigned i = 0; i < WI_PROXIES && member->proxy_count > 0 && n < 64;
         i++) {
        if (member->proxies[i] == NULL)
            continue;
        weft_future *f = drop_proxy(member->proxies[i]);
        if (f != NULL)
            drop[n++] = f;
    }
    if (n == 0)
        return true;
    leave_lock(member);
    for (unsigned i = 0; i < n; i++)
        weft_future_unref(drop[i]);
    take_lock(member);
    return member->proxy_count == 0;
}

// Gives a member its proxy of f, whose reference this takes. With the lock
// left.
static void open_proxy(struct wi_member *member, unsigned number,
                       weft_future *f)
{
    wi_mutex_lock(&member->pool->lock);
    struct wi_proxy *proxy = new_proxy(member, number, f);
    wi_mutex_unlock(&member->pool->lock);
    if (proxy != NULL && weft_future_on_done(f, proxy_done, proxy) == 0)
        return;
    struct wi_reply reply = {
        .kind = WI_REPLY_DONE, .proxy = (uint16_t)number, .code = -ENOMEM};
    wi_mutex_lock(&member->pool->lock);
    if (proxy != NULL)
        forget_proxy(proxy);
    send_reply(member, &reply);
    wi_mutex_unlock(&member->pool->lock);
    free(proxy);
    weft_future_unref(f);
}

// Submits ---------------------------------------------------------------------

// The job that speaks, if it says so truly.
static struct wi_pjob *speaker(struct wi_member *member,
                               const struct wi_frame *frame)
{
    return frame->ticket < WI_TICKETS ? member->flights[frame->ticket].job
                                      : NULL;
}

static bool has_size(struct wi_type type, uint64_t size)
{
    switch (type.kind) {
    case WEFT_NONE:
        return size == 0;
    case WEFT_TEXT:
        return size >= 1 && size <= WEFT_TEXT_SIZE;
    case WEFT_BYTES:
        return size >> WI_WINDOW_BITS == 0;
    default:
        return size == type.size;
    }
}

// Copies the argument of a submit out of the ring, and the terms before it. 0
// or a negative code.
static int read_submit(struct wi_member *member, const struct wi_frame *frame,
                       uint32_t at, const struct wi_submit *ask,
                       struct wi_pjob *job, struct wi_terms *terms)
{
    uint8_t *payload = member->ring->frame_payload[at % WI_FRAMES];
    size_t taken = frame->form != 0 ? sizeof *terms : 0;
    struct wi_place place = {.payload = payload + taken,
                             .fd = member->memfd,
                             .window = wi_window_up(frame->proxy),
                             .form = ask->size <= WI_PAYLOAD - taken
                                         ? WI_FORM_PAYLOAD
                                         : WI_FORM_WINDOW,
                             .far = {.size = ask->size}};
    if (taken != 0) {
        memcpy(terms, payload, sizeof *terms);
        if (!wi_terms_sound(terms))
            return -EINVAL;
        wi_pjob_take_terms(job, terms);
    }
    if (place.form == WI_FORM_WINDOW && !wi_os_memfd_holds(place.fd, ask->size))
        return -WEFT_EPROTO;
    void *room = wi_pjob_room(job, ask->size);
    if (room == NULL)
        return -ENOMEM;
    int rc = wi_place_read(&place, room);
    if (place.form == WI_FORM_WINDOW)
        wi_os_memfd_punch(place.fd, place.window, ask->size);
    return rc;
}

static weft_future *submit_to(struct wi_pool *pool, struct wi_member *member,
                              const struct wi_frame *frame, uint32_t at,
                              struct wi_pjob *parent, uint64_t parent_id)
{
    struct wi_submit ask;
    memcpy(&ask, frame->data, sizeof ask);
    const struct weft_job *record = wi_name_find_job(&ask.job);
    if (record == NULL || !has_size(wi_arg_type(record), ask.size))
        return wi_future_failed(-WEFT_ENOJOB, weft_strerror(-WEFT_ENOJOB));
    struct wi_pjob *job = wi_pjob_new(pool, record);
    struct wi_terms terms = {.name = ""};
    int rc = job == NULL ? -ENOMEM : wi_pjob_number(job);
    if (rc == 0)
        rc = read_submit(member, frame, at, &ask, job, &terms);
    if (rc < 0) {
        if (job != NULL)
            wi_pjob_free(job);
        return wi_future_failed(rc, weft_strerror(rc));
    }
    job->asked = true;
    job->parent = parent;
    job->parent_id = parent_id;
    // Only numbers of its own range, so that no other future has this one.
    if (ask.id >> WI_ID_BITS == (uint64_t)member->child.pid)
        job->wanted_id = ask.id;
    return wi_pool_submit(job, terms.name[0] != '\0' ? terms.name : NULL);
}

// To the pool that is meant: mostly the member's own, which stays.
static weft_future *submit(struct wi_member *member,
                           const struct wi_frame *frame, uint32_t at,
                           struct wi_pjob *parent, uint64_t parent_id)
{
    struct wi_pool *own = member->pool;
    uint32_t meant = (uint32_t)frame->code;
    if (meant == 0 || meant == own->id)
        return submit_to(own, member, frame, at, parent, parent_id);
    struct wi_pool *pool = wi_pool_pin(meant);
    if (pool == NULL)
        return wi_future_failed(-ESRCH, "no process pool has this id");
    weft_future *f = submit_to(pool, member, frame, at, NULL, 0);
    wi_pool_unpin(pool);
    return f;
}

// Waits -----------------------------------------------------------------------

static void block(struct wi_member *member, bool shut)
{
    struct wi_pool *pool = member->pool;
    member->depth++;
    member->shut = shut;
    if (!member->blocked) {
        member->blocked = true;
        pool->blocked++;
        if (member->flying > 0)
            pool->active--;
    }
    wi_recall_all(member);
    wi_pool_tend(pool);
}

static void unblock(struct wi_member *member)
{
    struct wi_pool *pool = member->pool;
    member->shut = false;
    if (member->depth == 0 || --member->depth > 0)
        return;
    member->blocked = false;
    pool->blocked--;
    if (member->flying > 0)
        pool->active++;
    else
        wi_member_idle(member);
}

// The wait as an edge of the job's future. Leaves the lock.
static void draw_edge(struct wi_member *member, struct wi_pjob *job,
                      unsigned number)
{
    struct wi_proxy *proxy =
        number < WI_PROXIES ? member->proxies[number] : NULL;
    weft_future *target = proxy != NULL ? weft_future_ref(proxy->future) : NULL;
    weft_future *f = weft_future_ref(job->future);
    leave_lock(member);
    int rc = wi_external_waits_for(f, target);
    weft_future_unref(target);
    weft_future_unref(f);
    take_lock(member);
    if (rc == -WEFT_EDEADLOCK)
        reply_short(member, WI_REPLY_DEADLOCK, number);
}

// Frames ----------------------------------------------------------------------

static void ask_open(struct wi_member *member, struct wi_frame *frame,
                     uint32_t at)
{
    struct wi_pjob *parent = speaker(member, frame);
    uint64_t parent_id = parent != NULL ? parent->id : 0, id;
    memcpy(&id, frame->data, sizeof id);
    leave_lock(member);
    weft_future *f = frame->kind == WI_FRAME_OPEN
                         ? weft_future_open(id)
                         : submit(member, frame, at, parent, parent_id);
    open_proxy(member, frame->proxy, f);
    take_lock(member);
    wi_recall_all(member); // the job will wait, probably
}

static void ask_drop(struct wi_member *member, struct wi_proxy *proxy)
{
    if (proxy == NULL || !proxy->done) {
        go_mad(member);
        return;
    }
    weft_future *f = drop_proxy(proxy);
    leave_lock(member);
    weft_future_unref(f);
    take_lock(member);
}

static void ask_cancel(struct wi_member *member, struct wi_proxy *proxy)
{
    if (proxy == NULL)
        return; // it was done just now
    weft_future *f = weft_future_ref(proxy->future);
    leave_lock(member);
    weft_cancel(f);
    weft_future_unref(f);
    take_lock(member);
}

void wi_ask(struct wi_member *member, struct wi_frame *frame, uint32_t at)
{
    struct wi_pjob *job = speaker(member, frame);
    bool known = frame->proxy < WI_PROXIES;
    switch (frame->kind) {
    case WI_FRAME_OPEN:
    case WI_FRAME_SUBMIT:
        if (!known || member->proxies[frame->proxy] != NULL)
            go_mad(member);
        else
            ask_open(member, frame, at);
        return;
    case WI_FRAME_CANCEL:
        if (known)
            ask_cancel(member, member->proxies[frame->proxy]);
        return;
    case WI_FRAME_DROP:
        ask_drop(member, known ? member->proxies[frame->proxy] : NULL);
        return;
    case WI_FRAME_WAIT:
        if (job == NULL)
            return;
        block(member, frame->code != 0);
        draw_edge(member, job, frame->proxy);
        return;
    case WI_FRAME_WAITED:
        unblock(member);
        if (job != NULL)
            draw_edge(member, job, WI_NONE);
        return;
    default:
        go_mad(member);
    }
}

// Whether a job belongs to the family of one that is on the member's stack, and
// will not be ended by the end of its worker, which would be the end of that
// one, too.
bool wi_may_run_on(const struct wi_pjob *job, const struct wi_member *member)
{
    const struct wi_pjob *child = job;
    if (job->timeout != 0 || job->deadline != WI_FOREVER || job->retries > 0)
        return false;
    for (int i = 0; i < MOST_ANCESTORS && child->parent != NULL; i++) {
        const struct wi_pjob *parent = child->parent;
        // relaxed: the record may be another pool's by now; then it differs
        if (__atomic_load_n(&parent->id, __ATOMIC_RELAXED) != child->parent_id)
            return false;
        if (parent->state == WI_JOB_PLACED && parent->member == member)
            return true;
        child = parent;
    }
    return false;
}
