// SPDX-License-Identifier: MIT
//
// Threads that wait work for the pools. A plain thread that is about to sleep
// in Weft, while jobs are under way in worker processes, takes in what workers
// say itself: first it spins for a while, if the jobs are short and there are
// CPUs to spare; then it sleeps on its own word and on those of the workers at
// once. So the answer to the thread's own job needs one wake, not two by way
// of the supervisor.
//
// Where there are no CPUs to spare it offers its own before it sleeps: the
// worker that is to do the job may wait for just that one. Then the answer is
// there when the thread has the CPU again, and nobody needs to be woken.
//
// While a thread spins, the workers' bells are off. Every way out of here ends
// with all of them on again, or with nothing left that was said: see wi_listen.
// What a thread that was called cannot take in itself, because others have the
// locks or because a worker says more and more, it passes on to the supervisor.
#include <errno.h>

#include "arch/arch.h"
#include "os/cpu.h"
#include "os/event.h"
#include "os/life.h"
#include "process/pool.h"
#include "os/spin.h"
#include "sched/here.h"
#include "sched/park.h"
#include "sched/task.h"

enum { QUICK_NS = 50000, MOST_WORDS = 8, MOST_TURNS = 16 };

static unsigned cpus;
static bool no_waitv; // the kernel has no futex_waitv
static struct wi_spin spinning;

// Whether what the thread waits for may come from a worker process.
static bool is_concerned(const struct wi_task *self)
{
    // relaxed: a hint; whoever waits for a job has submitted it before
    if (__atomic_load_n(&wi_process_jobs, __ATOMIC_RELAXED) == 0)
        return false;
    switch (self->wait_kind) {
    case WI_WAIT_FUTURE:
        return ((const struct wi_task *)self->wait_object)->kind ==
               WI_KIND_PROCESS_JOB;
    case WI_WAIT_SET:
    case WI_WAIT_GROUP:
    case WI_WAIT_POOL:
        return true;
    default:
        return false;
    }
}

// Calls fn for each member of each pool, under its lock, until fn says stop.
static void each_member(bool (*fn)(struct wi_member *member, void *arg),
                        void *arg)
{
    bool go = true;
    wi_mutex_lock(&wi_pools_lock);
    for (struct wi_pool *p = wi_pools; p != NULL && go; p = p->next) {
        wi_mutex_lock(&p->lock);
        for (struct wi_member *m = p->members; m != NULL && go; m = m->next)
            go = fn(m, arg);
        wi_mutex_unlock(&p->lock);
    }
    wi_mutex_unlock(&wi_pools_lock);
}

// Taking in -------------------------------------------------------------------

// A member that has said something, pinned so that it stays when the locks are
// left; NULL: none, or (busy) somebody else is at it.
static struct wi_member *find_in(struct wi_pool *pool, bool *busy)
{
    if (!wi_mutex_try(&pool->lock)) {
        *busy = true;
        return NULL;
    }
    struct wi_member *m = pool->members;
    for (; m != NULL; m = m->next) {
        if (m->state != WI_MEMBER_READY || !wi_has_said(m))
            continue;
        if (wi_may_hear(m))
            break;
        *busy = true;
    }
    if (m != NULL)
        m->pins++;
    wi_mutex_unlock(&pool->lock);
    return m;
}

static struct wi_member *find(bool *busy)
{
    struct wi_member *member = NULL;
    if (!wi_mutex_try(&wi_pools_lock)) {
        *busy = true;
        return NULL;
    }
    for (struct wi_pool *p = wi_pools; p != NULL && member == NULL; p = p->next)
        member = find_in(p, busy);
    wi_mutex_unlock(&wi_pools_lock);
    return member;
}

// Takes in some of what was said, if nobody else is about to. Whether there
// was something.
static bool take_in(bool *busy)
{
    struct wi_member *member = find(busy);
    struct wi_outcomes out;
    out.n = 0;
    if (member == NULL)
        return false;
    struct wi_pool *pool = member->pool;
    wi_mutex_lock(&pool->lock);
    wi_drain(member, &out);
    member->pins--;
    if (member->state == WI_MEMBER_LOST)
        wi_pool_tend(pool);
    wi_mutex_unlock(&pool->lock);
    wi_outcomes_tell(&out);
    return true;
}

// The same for all of it. false: some may be left.
static bool take_in_all(void)
{
    bool busy = false;
    for (int turn = 0; turn < MOST_TURNS; turn++)
        if (!take_in(&busy))
            return !busy;
    return false;
}

// Spinning --------------------------------------------------------------------

struct outlook {
    unsigned busy; // members at work
    bool slow;     // one of them with long jobs
};

static bool survey(struct wi_member *member, void *arg)
{
    struct outlook *outlook = arg;
    if (member->state != WI_MEMBER_READY || member->flying == 0)
        return true;
    outlook->busy++;
    outlook->slow |= member->mean > QUICK_NS;
    // relaxed: whoever gets the 1 has the duty to look; we do until we ring on
    __atomic_exchange_n(&member->ring->listening, 0, __ATOMIC_RELAXED);
    return true;
}

// Turns one bell on again; false: it has said something meanwhile.
static bool bell_on(struct wi_member *member, void *arg)
{
    bool *quiet = arg;
    if (member->state == WI_MEMBER_READY &&
        __atomic_load_n(&member->ring->listening, __ATOMIC_RELAXED) == 0)
        *quiet = wi_listen(member);
    return *quiet;
}

// The same, where the supervisor is to hear what there is.
static bool pass_on(struct wi_member *member, void *arg)
{
    (void)arg;
    if (member->state == WI_MEMBER_READY &&
        __atomic_load_n(&member->ring->listening, __ATOMIC_RELAXED) == 0 &&
        !wi_listen(member))
        wi_os_event_set(member->bell);
    return true;
}

static void bells_on(void)
{
    bool quiet = false, busy;
    for (int turn = 0; turn < MOST_TURNS && !quiet; turn++) {
        quiet = true;
        each_member(bell_on, &quiet);
        if (!quiet)
            take_in(&busy);
    }
    if (!quiet)
        each_member(pass_on, NULL);
}

static bool woken(struct wi_task *self)
{
    // acquire: pairs with the unpark
    return __atomic_load_n(&self->permit, __ATOMIC_ACQUIRE) != 0;
}

static bool look(void *self)
{
    bool busy;
    take_in(&busy);
    return woken(self);
}

static void spin(struct wi_task *self)
{
    struct outlook outlook = {0, false};
    each_member(survey, &outlook);
    if (outlook.busy > 0 && outlook.busy < cpus && !outlook.slow)
        wi_spin(&spinning, look, self);
    bells_on();
}

static void offer(struct wi_task *self)
{
    if (look(self) || wi_spin_rests(&spinning))
        return;
    wi_spin_yield(&spinning);
    look(self);
}

static void help(struct wi_task *self)
{
    if (!is_concerned(self) || woken(self))
        return;
    if (wi_os_cpu_scarce())
        offer(self);
    else
        spin(self);
}

// Sleeping --------------------------------------------------------------------

struct doze {
    struct wi_member *members[MOST_WORDS];
    uint32_t *words[MOST_WORDS];
    unsigned n;
    bool said;
    bool called[MOST_WORDS];
};

static bool lie_down(struct wi_member *member, void *arg)
{
    struct doze *doze = arg;
    if (member->state != WI_MEMBER_READY || member->flying == 0)
        return true;
    uint32_t *word = &member->ring->waiter;
    __atomic_store_n(word, 1, __ATOMIC_RELAXED);
    wi_arch_fence(); // pairs with the worker's fence after a frame
    member->dozers++;
    doze->members[doze->n] = member;
    doze->words[doze->n++] = word;
    doze->said |= wi_has_said(member);
    return doze->n < MOST_WORDS;
}

// A dozer: its member stays.
static void get_up(struct doze *doze)
{
    for (unsigned i = 0; i < doze->n; i++)
        // acq_rel: as in wi_ring_wake; if it was 0, we were called
        doze->called[i] =
            __atomic_exchange_n(doze->words[i], 0, __ATOMIC_ACQ_REL) == 0;
    bool all = take_in_all(); // what we were called for, and what came with it
    for (unsigned i = 0; i < doze->n; i++) {
        struct wi_member *member = doze->members[i];
        struct wi_pool *pool = member->pool;
        wi_mutex_lock(&pool->lock);
        if (doze->called[i] && !all && wi_has_said(member))
            wi_os_event_set(member->bell);
        member->dozers--;
        wi_mutex_unlock(&pool->lock);
    }
}

// While the thread takes in, its word says that it is awake, so that whoever
// unparks it (mostly itself) makes no system call.
static int sleep_on(uint32_t *word, uint32_t value, int64_t deadline)
{
    if (no_waitv || !is_concerned(wi_here.self))
        return wi_os_futex_wait(word, value, deadline, false);
    struct doze doze = {.n = 0};
    uint32_t asleep = value, awake = 0;
    each_member(lie_down, &doze);
    int rc = 0;
    if (!doze.said)
        rc = wi_os_futex_wait_any(word, value, doze.words, doze.n, deadline);
    // acq_rel: as in park.c; an unpark has changed the word for good
    __atomic_compare_exchange_n(word, &asleep, 0, false, __ATOMIC_ACQ_REL,
                                __ATOMIC_ACQUIRE);
    get_up(&doze);
    __atomic_compare_exchange_n(word, &awake, value, false, __ATOMIC_ACQ_REL,
                                __ATOMIC_ACQUIRE);
    if (rc != -ENOSYS)
        return rc;
    no_waitv = true;
    return 0;
}

static const struct wi_sleep_ops ops = {.help = help, .sleep = sleep_on};

void wi_help_start(void)
{
    if (cpus == 0)
        cpus = wi_os_cpu_budget();
    // release: with what is set above; pairs with park.c
    __atomic_store_n(&wi_sleep_ops, &ops, __ATOMIC_RELEASE);
}
