// SPDX-License-Identifier: MIT
//
// The executor's side of a process pool: what comes in, and how it ends
// otherwise than by being done.
//
// A job's future is completed once, by whoever takes the job out of the pool
// under the lock (wi_pjob_end): the drainer of its result, a cancel, its
// deadline, the death of its worker, the close of the pool. The future is told
// after the lock is left.
#include "base/options.h"
#include "process/pool.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weft/error.h>

#include "base/fresh.h"
#include "exec/job.h"
#include "exec/pool.h"
#include "future/external.h"
#include "os/cpu.h"
#include "os/report.h"
#include "process/carry.h"
#include "process/parcel.h"
#include "process/room.h"
#include "process/zygote.h"
#include "sched/here.h"

enum { BACKLOG = 16 };

struct wi_mutex wi_pools_lock;
struct wi_pool *wi_pools; // under it
uint32_t wi_process_jobs;

static struct wi_mutex records_lock; // for the two free lists
static struct wi_pjob *free_jobs;
static struct wi_pool *free_pools;
static uint32_t next_pool_id = 1;

// Records of jobs -------------------------------------------------------------

struct wi_pjob *wi_pjob_new(struct wi_pool *pool, const struct weft_job *job)
{
    wi_mutex_lock(&records_lock);
    struct wi_pjob *pj = free_jobs;
    if (pj != NULL)
        free_jobs = pj->next;
    wi_mutex_unlock(&records_lock);
    if (pj == NULL && (pj = calloc(1, sizeof *pj)) == NULL)
        return NULL;
    pj->pool = pool;
    pj->job = job;
    pj->deadline = WI_FOREVER;
    pj->timeout = pj->run_until = 0;
    pj->rank = 1;
    pj->gated = false;
    pj->retries = pj->crashes = 0;
    pj->doomed = 0;
    pj->rung = pj->orphan = pj->asked = false;
    pj->member = NULL;
    pj->parent = NULL;
    pj->wanted_id = 0;
    pj->heap = NULL;
    pj->parcel = NULL;
    pj->arg = (struct wi_far){0};
    return pj;
}

void wi_pjob_free(struct wi_pjob *job)
{
    wi_room_give(job->heap);
    job->heap = NULL;
    wi_parcel_drop(job->parcel);
    job->parcel = NULL;
    __atomic_store_n(&job->id, 0, __ATOMIC_RELAXED);
    job->future = NULL;
    job->state = WI_JOB_FREE;
    wi_mutex_lock(&records_lock);
    job->next = free_jobs;
    free_jobs = job;
    wi_mutex_unlock(&records_lock);
}

void wi_pjob_take_terms(struct wi_pjob *job, const struct wi_terms *terms)
{
    job->deadline = terms->deadline;
    job->timeout = terms->timeout;
    job->retries = terms->retries;
    job->rank = (uint8_t)wi_lane_of(terms->priority);
}

// A copy of two texts in a row; NULL: no memory.
static char *copy_text(const char *first, const char *second)
{
    size_t size = strlen(first) + strlen(second) + 1;
    char *copy = malloc(size);
    if (copy != NULL)
        snprintf(copy, size, "%s%s", first, second);
    return copy;
}

static char *job_text(const char *job, const char *text)
{
    char what[128];
    snprintf(what, sizeof what, "job %.100s: ", job);
    return copy_text(what, text);
}

struct wi_outcome *wi_pjob_end(struct wi_pjob *job, int code, const char *text,
                               struct wi_outcomes *out)
{
    struct wi_pool *pool = job->pool;
    struct wi_outcome *o = &out->items[out->n++];
    o->future = job->future;
    o->code = code;
    o->bytes = false;
    o->size = 0;
    o->heap = text != NULL ? job_text(job->job->name, text) : NULL;
    o->parcel = job->parcel;
    job->parcel = NULL;
    // An alarm that is just about to ring will free the record.
    if (job->deadline != WI_FOREVER)
        job->orphan = !wi_alarm_stop(&job->alarm) && !job->rung;
    // relaxed: a hint for help.c
    __atomic_fetch_sub(&wi_process_jobs, 1, __ATOMIC_RELAXED);
    pool->jobs--;
    wi_stats_end(pool, code);
    wi_gate_leave(job);
    if (job->orphan)
        job->state = WI_JOB_FREE;
    else
        wi_pjob_free(job);
    if (pool->jobs == 0)
        wi_pool_leave(pool);
    return o;
}

void wi_outcomes_tell(struct wi_outcomes *out)
{
    for (unsigned i = 0; i < out->n; i++) {
        struct wi_outcome *o = &out->items[i];
        bool failed = o->code < 0;
        wi_parcel_drop(o->parcel); // first: for whom this is the sign to go on
        wi_external_complete(o->future, o->code,
                             o->heap != NULL ? o->heap : o->data, o->size,
                             o->bytes, failed ? o->heap : NULL);
        free(o->heap);
    }
    out->n = 0;
}

// Names of jobs ---------------------------------------------------------------

static unsigned hash(const struct weft_job *job)
{
    uint64_t h = (uintptr_t)job * 0x9e3779b97f4a7c15u;
    return (unsigned)(h >> 40) % (2 * WI_JOB_NAMES);
}

// The number of a job that has one, or where it would be put. Under the lock.
static bool find_number(struct wi_pool *pool, const struct weft_job *job,
                        unsigned *at)
{
    unsigned i = hash(job);
    while (pool->jobs_by_hash[i] != NULL && pool->jobs_by_hash[i] != job)
        i = (i + 1) % (2 * WI_JOB_NAMES);
    *at = i;
    return pool->jobs_by_hash[i] != NULL;
}

static void describe(const struct weft_job *job, struct wi_job_name *name)
{
    memset(name, 0, sizeof *name);
    wi_name_job(job, &name->place); // without a place its name must do
    name->version = job->version;
    name->arg_size = job->arg_size;
    name->result_size = job->result_size;
    name->arg_kind = job->arg_kind;
    name->result_kind = job->result_kind;
    snprintf(name->name, sizeof name->name, "%s", job->name);
}

int wi_pjob_number(struct wi_pjob *job)
{
    struct wi_pool *pool = job->pool;
    struct wi_job_name name;
    unsigned at;
    int rc = 0;
    wi_mutex_lock(&pool->lock);
    bool known = find_number(pool, job->job, &at);
    if (!known) { // walking the modules takes a lock of the loader
        wi_mutex_unlock(&pool->lock);
        describe(job->job, &name);
        wi_mutex_lock(&pool->lock);
        known = find_number(pool, job->job, &at);
    }
    if (!known && pool->name_count == WI_JOB_NAMES) {
        rc = -ENOSPC;
    } else if (!known) {
        pool->names[pool->name_count] = name;
        pool->jobs_by_hash[at] = job->job;
        pool->numbers_by_hash[at] = (uint16_t)pool->name_count++;
    }
    job->number = pool->numbers_by_hash[at];
    wi_mutex_unlock(&pool->lock);
    return rc;
}

// Arguments -------------------------------------------------------------------

void *wi_pjob_room(struct wi_pjob *job, size_t size)
{
    job->arg.size = size;
    if (size <= WI_INLINE)
        return job->data;
    if (job->pool->set.parcels)
        job->parcel = wi_parcel_new(size);
    if (job->parcel == NULL)
        return job->heap = wi_room_take(size);
    job->arg.at = job->parcel->at;
    return job->parcel->bytes;
}

static int take_arg(struct wi_pjob *job, const void *arg)
{
    struct wi_type type = wi_arg_type(job->job);
    wi_job_need_bytes(job->job, arg);
    size_t size = wi_carry_size(type, arg);
    void *room = wi_pjob_room(job, size);
    if (room == NULL)
        return -ENOMEM;
    if (size > 0)
        wi_carry_put(type, arg, room);
    return 0;
}

static int take_chunk(struct wi_pjob *job, const void *in, size_t count,
                      void *out, int *codes)
{
    struct wi_type type = wi_arg_type(job->job);
    void *room = wi_pjob_room(job, wi_carry_array_size(type, in, count));
    if (room == NULL)
        return -ENOMEM;
    wi_carry_array_put(type, in, count, room);
    job->arg.count = count;
    job->arg.codes = codes != NULL;
    job->out = out;
    job->codes = codes;
    return 0;
}

// Cancel and deadlines --------------------------------------------------------

const char *wi_doom_text(int code)
{
    return code == -WEFT_EJOBCANCELED  ? "canceled"
           : code == -WEFT_EJOBTIMEOUT ? "ran too long"
                                       : weft_strerror(code);
}

// A job that has begun, and as far as is known still runs. Its worker must not
// be killed before it is certain that it runs nothing else: what stands behind
// the job is called back, so that nothing begins any more; and what the worker
// has said must have been taken in, for it may be the end of this job, and the
// next one has begun. The supervisor can do that, who may leave the lock.
static bool is_certain(struct wi_member *member)
{
    wi_recall_all(member);
    return !member->held && !wi_has_said(member);
}

void wi_pjob_stop(struct wi_pjob *job, int code, const char *text,
                  struct wi_outcomes *out)
{
    struct wi_member *member = job->member;
    if (job->state == WI_JOB_HELD) {
        job->doomed = code;
        return;
    }
    if (job->state == WI_JOB_PENDING) {
        wi_queue_remove(job);
        wi_pjob_end(job, code, text, out);
        return;
    }
    if (wi_recall(job)) {
        wi_pjob_end(job, code, text, out);
        return;
    }
    if (!is_certain(member)) {
        job->doomed = code;
        member->condemned = true;
        wi_pool_tend(job->pool);
        return;
    }
    wi_pjob_kill(job, code, text, out);
}

// Only the end of its worker ends it.
void wi_pjob_kill(struct wi_pjob *job, int code, const char *text,
                  struct wi_outcomes *out)
{
    struct wi_member *member = job->member;
    member->flights[job->ticket].job = NULL;
    job->member = NULL;
    wi_pjob_end(job, code, text, out);
    wi_member_stop(member, "was ended because a job that it ran was canceled "
                           "or ran too long");
}

static void cancel(weft_future *f, void *owner)
{
    struct wi_pjob *job = owner;
    struct wi_pool *pool = job->pool;
    struct wi_outcomes out;
    out.n = 0;
    if (wi_is_parents(pool->born))
        return;
    wi_mutex_lock(&pool->lock);
    if (job->future == f && job->state != WI_JOB_FREE)
        wi_pjob_stop(job, -WEFT_EJOBCANCELED, "canceled", &out);
    wi_mutex_unlock(&pool->lock);
    wi_outcomes_tell(&out);
}

static pid_t native_id(weft_future *f, void *owner)
{
    struct wi_pjob *job = owner;
    struct wi_pool *pool = job->pool;
    pid_t pid = 0;
    if (wi_is_parents(pool->born))
        return 0;
    wi_mutex_lock(&pool->lock);
    if (job->future == f && job->state == WI_JOB_PLACED &&
        wi_flight_started(job->member, job->ticket))
        pid = job->member->child.pid;
    wi_mutex_unlock(&pool->lock);
    return pid;
}

static const struct wi_external_ops job_ops = {
    .cancel = cancel,
    .native_id = native_id,
};

static struct wi_member *member_of(struct wi_pjob *job)
{
    return job->state == WI_JOB_PLACED ? job->member : NULL;
}

// On the supervisor's thread.
static void deadline_passed(struct wi_alarm *alarm)
{
    struct wi_pjob *job = (struct wi_pjob *)alarm;
    struct wi_pool *pool = job->pool;
    struct wi_outcomes out;
    out.n = 0;
    wi_mutex_lock(&pool->lock);
    if (job->orphan) {
        wi_pjob_free(job);
        wi_mutex_unlock(&pool->lock);
        return;
    }
    job->rung = true;
    struct wi_member *member = member_of(job);
    uint64_t id = job->id;
    if (member != NULL)
        wi_member_take_in(member); // what it has said already counts
    if (job->id == id && job->state != WI_JOB_FREE &&
        job->deadline <= wi_os_now())
        wi_pjob_stop(job, -WEFT_EJOBTIMEOUT, "ran past its deadline", &out);
    wi_mutex_unlock(&pool->lock);
    wi_outcomes_tell(&out);
}

// Submit ----------------------------------------------------------------------

// A job that never entered.
static void give_back(struct wi_pjob *job)
{
    wi_mutex_lock(&job->pool->lock);
    wi_gate_leave(job);
    wi_mutex_unlock(&job->pool->lock);
    wi_pjob_free(job);
}

static weft_future *refuse(struct wi_pjob *job, int code, const char *text)
{
    if (job != NULL)
        give_back(job);
    return wi_future_failed(code, text != NULL ? text : weft_strerror(code));
}

// Under the lock: why the pool takes no more; 0: it does.
static int closed_to(const struct wi_pjob *job)
{
    const struct wi_pool *pool = job->pool;
    if (pool->broken)
        return pool->broken_code;
    if (!pool->closing)
        return 0;
    // A job that runs may still ask for what it needs to end.
    return job->parent == NULL ? -WEFT_ECLOSED
           : pool->ending      ? -WEFT_EJOBCANCELED
                               : 0;
}

static const char closed_text[] = "its pool was closed";

// The pool is broken once: its text stays.
static const char *text_of(const struct wi_pool *pool, int code)
{
    return code == -WEFT_EJOBCANCELED ? closed_text
           : code == -WEFT_ECLOSED    ? weft_strerror(code)
                                      : pool->broken_text;
}

static void enter(struct wi_pjob *job)
{
    struct wi_pool *pool = job->pool;
    pool->jobs++;
    pool->counts.submitted++;
    // relaxed: a hint for help.c
    __atomic_fetch_add(&wi_process_jobs, 1, __ATOMIC_RELAXED);
    if (job->deadline != WI_FOREVER) {
        job->alarm.ring = deadline_passed;
        wi_alarm_set(&job->alarm, job->deadline);
    }
    if (!pool->audits) {
        pool->audits = true;
        wi_alarm_set(&pool->audit, wi_os_now());
    }
    bool first = pool->first == NULL;
    wi_queue_push(job, false);
    if (first) // else everybody is full, or the supervisor is about to look
        wi_dispatch(pool);
}

// A submitter of many helps to keep the workers busy. Under the lock. Not for
// who is called while somebody takes in already, by a callback of what came or
// for a worker that submits: one would stand in the other without end.
static void take_in(struct wi_pool *pool, struct wi_outcomes *out)
{
    for (struct wi_member *m = pool->members; m != NULL; m = m->next)
        if (m->state == WI_MEMBER_READY && wi_has_said(m) && wi_drain(m, out))
            return; // the lock was left, perhaps: the list may be another
}

weft_future *wi_pool_submit(struct wi_pjob *job, const char *name)
{
    struct wi_pool *pool = job->pool;
    bool made;
    weft_future *f =
        wi_external_new(WI_KIND_PROCESS_JOB, &job_ops, job,
                        name != NULL ? name : job->job->name, NULL, &made);
    if (!made) {
        give_back(job);
        return f;
    }
    if (job->wanted_id != 0)
        wi_of_future(f)->id = job->wanted_id;
    uint64_t id = job->wanted_id != 0 ? weft_future_id(f) : wi_of_future(f)->id;
    struct wi_outcomes out;
    out.n = 0;
    wi_mutex_lock(&pool->lock);
    job->future = f;
    // relaxed: see wi_may_run_on
    __atomic_store_n(&job->id, id, __ATOMIC_RELAXED);
    int rc = closed_to(job);
    bool asked = job->asked; // below it may be gone
    if (rc == 0)
        enter(job);
    if (pool->pending > BACKLOG && ++pool->turns % BACKLOG == 0 && !asked &&
        wi_here.ending == 0)
        take_in(pool, &out);
    wi_mutex_unlock(&pool->lock);
    wi_outcomes_tell(&out);
    if (rc < 0) {
        give_back(job);
        wi_external_complete(f, rc, NULL, 0, false, text_of(pool, rc));
    }
    return f;
}

static struct wi_pjob *new_job(weft_executor *ex, const struct weft_job *job,
                               int *rc)
{
    struct wi_pjob *pj = NULL;
    *rc = wi_is_parents(((struct wi_pool *)ex)->born) ? -WEFT_EFORKED
                                                      : wi_job_check(job);
    if (*rc == 0 && (pj = wi_pjob_new((struct wi_pool *)ex, job)) == NULL)
        *rc = -ENOMEM;
    if (*rc == 0)
        *rc = wi_pjob_number(pj);
    return pj;
}

static void take_options(struct wi_pjob *job,
                         const struct weft_submit_options *options)
{
    struct wi_terms terms;
    if (options == NULL)
        return;
    wi_terms_set(&terms, options);
    wi_pjob_take_terms(job, &terms);
}

static weft_future *submit(weft_executor *ex, const struct weft_job *job,
                           const void *arg,
                           const struct weft_submit_options *options)
{
    struct wi_pool *pool = (struct wi_pool *)ex;
    const char *name = options != NULL ? options->name : NULL;
    int rc;
    struct wi_pjob *pj = new_job(ex, job, &rc);
    if (rc == 0)
        rc = wi_gate_enter(pj,
                           wi_lane_of(options != NULL ? options->priority : 0));
    if (rc == -EAGAIN && pool->set.when_full == WEFT_FULL_RUN) {
        wi_pjob_free(pj);
        return wi_submit_inline(job, arg, options);
    }
    if (rc == -EAGAIN)
        return refuse(pj, rc, "the window of the pool is full");
    if (rc == 0)
        rc = take_arg(pj, arg);
    if (rc < 0)
        return refuse(pj, rc, NULL);
    take_options(pj, options);
    return wi_pool_submit(pj, name);
}

static weft_future *submit_chunk(weft_executor *ex, const struct weft_job *job,
                                 const void *in, size_t count, void *out,
                                 int *codes,
                                 const struct weft_submit_options *options)
{
    int rc;
    struct wi_pjob *pj = new_job(ex, job, &rc);
    if (rc == 0)
        rc = take_chunk(pj, in, count, out, codes);
    if (rc < 0)
        return refuse(pj, rc, NULL);
    take_options(pj, options);
    return wi_pool_submit(pj, options != NULL ? options->name : NULL);
}

static size_t width(weft_executor *ex)
{
    // relaxed: a hint; weft_process_pool_resize may change it
    return __atomic_load_n(&((struct wi_pool *)ex)->set.workers,
                           __ATOMIC_RELAXED);
}

// Close -----------------------------------------------------------------------

void wi_pool_leave(struct wi_pool *pool)
{
    if (pool->closing && pool->closer != NULL)
        wi_unpark(pool->closer);
}

// The next job to end: from the queue, or, if `all`, one that runs and is not
// doomed already.
static struct wi_pjob *next_to_end(struct wi_pool *pool, bool all)
{
    if (pool->first != NULL || !all)
        return pool->first;
    for (struct wi_member *m = pool->members; m != NULL; m = m->next) {
        if (m->state == WI_MEMBER_LOST)
            continue;
        for (unsigned i = 0; i < WI_TICKETS && m->flying > 0; i++)
            if (m->flights[i].job != NULL && m->flights[i].job->doomed == 0)
                return m->flights[i].job;
    }
    return NULL;
}

// What is pending in another place than the queue. Under the lock.
static void end_in_members(struct wi_pool *pool)
{
    for (struct wi_member *m = pool->members; m != NULL; m = m->next) {
        wi_recall_all(m);
        if (m->writing != NULL && m->writing->doomed == 0)
            m->writing->doomed = -WEFT_EJOBCANCELED;
    }
}

// Ends the jobs that are pending, and, if `all`, those that run; in as many
// turns as the outcomes need.
static void end_jobs(struct wi_pool *pool, bool all)
{
    struct wi_outcomes out;
    struct wi_pjob *job;
    do {
        out.n = 0;
        wi_mutex_lock(&pool->lock);
        pool->canceling = true;
        pool->ending |= all;
        end_in_members(pool);
        while (!wi_outcomes_full(&out) &&
               (job = next_to_end(pool, all)) != NULL)
            wi_pjob_stop(job, -WEFT_EJOBCANCELED, closed_text, &out);
        job = next_to_end(pool, all);
        wi_mutex_unlock(&pool->lock);
        wi_outcomes_tell(&out);
    } while (job != NULL);
}

static bool is_over(struct wi_pool *pool, bool members)
{
    wi_mutex_lock(&pool->lock);
    bool over = members ? pool->members == NULL : pool->jobs == 0;
    wi_mutex_unlock(&pool->lock);
    return over;
}

static bool is_broken(struct wi_pool *pool)
{
    wi_mutex_lock(&pool->lock);
    bool broken = pool->broken;
    wi_mutex_unlock(&pool->lock);
    return broken;
}

static bool has_no_jobs(void *pool)
{
    return is_over(pool, false);
}

static void end_all_jobs(void *pool)
{
    end_jobs(pool, true);
}

// Kills the workers that are left. Whether the start of one is under way in a
// zygote: then nothing of it is there to be killed but the zygote, and the next
// one may be no better.
static bool kill_all(struct wi_pool *pool)
{
    struct wi_zygote *zygote = NULL;
    wi_mutex_lock(&pool->lock);
    for (struct wi_member *m = pool->members; m != NULL; m = m->next) {
        wi_member_finish(m, "did not leave");
        if (m->launching && m->launch.method == WEFT_START_ZYGOTE)
            zygote = m->launch.zygote;
    }
    if (zygote != NULL)
        wi_zygote_give_up(zygote);
    wi_mutex_unlock(&pool->lock);
    return zygote != NULL;
}

// Sends the workers home, and kills who has not gone in a second.
static void dismiss(struct wi_pool *pool)
{
    struct wi_wait wait = {.object = pool,
                           .deadline = wi_os_now() + pool->set.leave,
                           .kind = WI_WAIT_POOL};
    wi_mutex_lock(&pool->lock);
    pool->stopping = true;
    wi_pool_tend(pool);
    wi_mutex_unlock(&pool->lock);
    while (!is_over(pool, true)) {
        if (wi_park(&wait) != -ETIMEDOUT || wait.deadline == WI_FOREVER)
            continue;
        wait.deadline =
            kill_all(pool) ? wi_os_now() + pool->set.leave : WI_FOREVER;
    }
}

// Afterwards the supervisor has no business with the pool.
static void part(struct wi_pool *pool)
{
    wi_supervisor_settle();
    wi_alarm_stop(&pool->retry);
    wi_alarm_stop(&pool->shrink);
    wi_alarm_stop(&pool->audit);
    wi_supervisor_settle(); // one that was just ringing
}

// The open pool with this id, which cannot be freed until it is unpinned.
struct wi_pool *wi_pool_pin(uint64_t id)
{
    wi_mutex_lock(&wi_pools_lock);
    struct wi_pool *pool = wi_pools;
    while (pool != NULL && pool->id != id)
        pool = pool->next;
    if (pool != NULL)
        // relaxed: the lock orders it
        __atomic_fetch_add(&pool->pins, 1, __ATOMIC_RELAXED);
    wi_mutex_unlock(&wi_pools_lock);
    return pool;
}

void wi_pool_unpin(struct wi_pool *pool)
{
    // release: pairs with the acquire in await_unpinned
    if (__atomic_sub_fetch(&pool->pins, 1, __ATOMIC_RELEASE) == 0)
        wi_os_futex_wake(&pool->pins, 1, false);
}

static void await_unpinned(struct wi_pool *pool)
{
    uint32_t pins;
    // acquire: pairs with the release in wi_pool_unpin
    while ((pins = __atomic_load_n(&pool->pins, __ATOMIC_ACQUIRE)) != 0)
        wi_os_futex_wait(&pool->pins, pins, WI_FOREVER, false);
}

// One that nobody knows any more, or yet.
static void give_back_pool(struct wi_pool *pool)
{
    wi_spec_free(&pool->set.spec);
    free(pool->set.init_arg);
    wi_mutex_lock(&records_lock);
    pool->next = free_pools;
    free_pools = pool;
    wi_mutex_unlock(&records_lock);
}

static void free_pool(struct wi_pool *pool)
{
    wi_mutex_lock(&wi_pools_lock);
    struct wi_pool **link = &wi_pools;
    while (*link != NULL && *link != pool)
        link = &(*link)->next;
    if (*link == pool)
        *link = pool->next;
    bool last = wi_pools == NULL;
    wi_mutex_unlock(&wi_pools_lock);
    await_unpinned(pool);
    part(pool);
    if (last)
        wi_parcel_trim();
    give_back_pool(pool);
}

static int close_pool(weft_executor *ex,
                      const struct weft_close_options *options)
{
    struct wi_pool *pool = (struct wi_pool *)ex;
    if (wi_is_parents(pool->born))
        return -WEFT_EFORKED;
    // Nothing to tell: it kills what does not end.
    static const struct wi_drain how = {.over = has_no_jobs,
                                        .hurry = end_all_jobs};
    struct wi_task *self = wi_self();
    if (self == NULL)
        return -ENOMEM;
    wi_open_pools_remove(ex);
    wi_mutex_lock(&pool->lock);
    pool->closing = true;
    pool->closer = self;
    wi_gate_close(pool);
    wi_mutex_unlock(&pool->lock);
    if (options->mode != WEFT_CLOSE_DRAIN)
        end_jobs(pool, options->mode == WEFT_CLOSE_CANCEL_ALL);
    int rc = wi_pool_drain(pool, options, &how);
    bool was_broken = is_broken(pool);
    dismiss(pool);
    if (is_broken(pool) && !was_broken) { // by a finalizer
        wi_report("%s", pool->broken_text);
        rc = pool->broken_code;
    }
    free_pool(pool);
    return rc;
}

// Open ------------------------------------------------------------------------

static const struct weft_executor_ops pool_ops = {
    .size = sizeof pool_ops,
    .kind = "process pool",
    .submit = submit,
    .submit_chunk = submit_chunk,
    .width = width,
    .close = close_pool,
};

static struct wi_pool *take_pool(void)
{
    wi_mutex_lock(&records_lock);
    struct wi_pool *pool = free_pools;
    if (pool != NULL)
        free_pools = pool->next;
    uint32_t id = next_pool_id++;
    wi_mutex_unlock(&records_lock);
    if (pool == NULL)
        pool = calloc(1, sizeof *pool);
    if (pool == NULL)
        return NULL;
    // Not the lock: a late callback of a proxy may take it (ask.c).
    memset((char *)pool + offsetof(struct wi_pool, next), 0,
           sizeof *pool - offsetof(struct wi_pool, next));
    for (int i = 0; i < 3; i++)
        pool->set.spec.stdio[i] = WI_LAUNCH_SAME; // nothing to close
    pool->base.ops = &pool_ops;
    pool->born = wi_fresh_number;
    pool->id = id;
    pool->tend.run = wi_pool_tend_errand;
    pool->retry.ring = wi_pool_retry;
    pool->shrink.ring = wi_pool_shrink;
    pool->audit.ring = wi_pool_audit;
    return pool;
}

// A span for which 0 means something else than no end; INFINITY: longer than
// anything runs.
static int64_t span_or_ever(double seconds)
{
    int64_t span = wi_span(seconds);
    return span == 0 && seconds > 0 ? WI_FOREVER / 4 : span;
}

static void set_limits(struct wi_pool *pool,
                       const struct weft_process_pool_options *o)
{
    double leave = o->finalizer != NULL ? 10 : 1;
    pool->set.leave = wi_span(o->leave != 0 ? o->leave : leave);
    if (pool->set.leave == 0)
        pool->set.leave = WI_FOREVER / 2;
    pool->set.idle_timeout = span_or_ever(o->idle_timeout);
    pool->set.max_age = wi_span(o->max_age);
    pool->set.grace = span_or_ever(o->grace);
    pool->set.min_workers = o->min_workers;
    pool->set.max_jobs = o->max_jobs;
    pool->set.max_rss = o->max_rss;
    pool->set.window = o->window;
    pool->set.when_full = o->when_full;
    wi_size_begin(pool);
}

// The environment is that of this moment, whenever a worker starts.
static int copy_spec(struct wi_pool *pool,
                     const struct weft_process_pool_options *o)
{
    const struct weft_process_options *given = o->process;
    WI_OPTIONS(given);
    struct weft_process_options all = *given;
    all.argv = NULL;
    if (all.in == WEFT_DEV_PIPE || all.out == WEFT_DEV_PIPE ||
        all.err == WEFT_DEV_PIPE) // whose?
        return -EINVAL;
    if (all.in == 0)
        all.in = WEFT_DEV_NULL;
    if (o->program != NULL)
        all.program = o->program;
    if (all.env == NULL)
        all.env = wi_os_environ();
    int rc = wi_spec_copy(&pool->set.spec, &all);
    // Confined workers shall not read what is for others.
    const struct wi_sandbox *sandbox = &pool->set.spec.sandbox;
    if (rc == 0 && !sandbox->compute && !sandbox->paths) {
        wi_parcel_open();
        pool->set.parcels = wi_parcel_fd() >= 0;
    }
    return rc;
}

static int set_up(struct wi_pool *pool,
                  const struct weft_process_pool_options *o)
{
    pool->set.workers = o->workers != 0 ? o->workers : wi_os_cpu_budget();
    if (pool->set.workers > WI_MOST_WORKERS)
        pool->set.workers = WI_MOST_WORKERS;
    snprintf(pool->set.name, sizeof pool->set.name, "%s",
             o->name != NULL ? o->name : "worker");
    if (o->initializer != NULL &&
        !wi_name_function(o->initializer, &pool->set.initializer))
        return -EINVAL;
    if (o->finalizer != NULL &&
        !wi_name_function(o->finalizer, &pool->set.finalizer))
        return -EINVAL;
    set_limits(pool, o);
    pool->set.init_size = o->init_arg != NULL ? o->init_size : 0;
    if (pool->set.init_size > 0) {
        pool->set.init_arg = malloc(pool->set.init_size);
        if (pool->set.init_arg == NULL)
            return -ENOMEM;
        memcpy(pool->set.init_arg, o->init_arg, pool->set.init_size);
    }
    return copy_spec(pool, o);
}

static int may_start(const struct weft_process_pool_options *o)
{
    if (wi_forked())
        return -WEFT_EFORKED;
    const struct weft_process_options *process = o->process;
    WI_OPTIONS(process);
    if (!wi_entry_ready() && o->program == NULL && process->program == NULL)
        return -WEFT_ENOENTRY;
    int rc = wi_launcher_start();
    return rc < 0 ? rc : wi_supervisor_start();
}

static size_t jobs_under_way(weft_executor *ex)
{
    struct wi_pool *pool = (struct wi_pool *)ex;
    return wi_open_pools_read(&pool->lock, &pool->jobs);
}

weft_executor *
weft_process_pool_with(const struct weft_process_pool_options *options)
{
    WI_OPTIONS(options);
    int rc = may_start(options);
    struct wi_pool *pool = rc == 0 ? take_pool() : NULL;
    if (pool == NULL)
        return wi_broken_executor(rc < 0 ? rc : -ENOMEM);
    rc = set_up(pool, options);
    if (rc < 0) {
        give_back_pool(pool);
        return wi_broken_executor(rc);
    }
    wi_help_start();
    wi_mutex_lock(&wi_pools_lock);
    pool->next = wi_pools;
    wi_pools = pool;
    wi_mutex_unlock(&wi_pools_lock);
    wi_mutex_lock(&pool->lock);
    wi_pool_tend(pool);
    wi_mutex_unlock(&pool->lock);
    wi_open_pools_add(&pool->open, &pool->base, pool->set.name, jobs_under_way);
    return &pool->base;
}

struct wi_pool *wi_pool_of(weft_executor *ex)
{
    ex = wi_executor_unbound(ex, NULL);
    return ex->ops == &pool_ops ? (struct wi_pool *)ex : NULL;
}

uint64_t wi_pool_id(weft_executor *ex)
{
    struct wi_pool *pool = wi_pool_of(ex);
    return pool != NULL ? pool->id : 0;
}

static void fresh(void)
{
    wi_pools_lock = records_lock = (struct wi_mutex){0};
    wi_pools = NULL;
    wi_process_jobs = 0;
}

__attribute__((constructor)) static void register_fresh(void)
{
    wi_fresh_add(fresh);
}
