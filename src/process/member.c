// SPDX-License-Identifier: MIT
//
// The life of a worker, seen from its parent. Everything here but
// wi_member_kill runs on the supervisor's thread; the launcher hands a started
// worker over by an errand.
//
//     STARTING --says READY--> READY
//        |                       |
//        +------> LOST <---------+     then, once reaped, it is freed
//
// LOST comes from the first of these signs:
//   - its fault handler has written the crash page and rung the bell;
//   - its life word: the kernel has begun to take it apart;
//   - its pidfd: it has ended;
//   - it was killed: a deadline, a cancel, nonsense, the close of the pool.
// What it had said until then is taken in first. Then its requests are looked
// at once more: what is still READY goes back to the front of the queue, what
// had begun has failed; the failed ones are told as soon as it is known how it
// ended: from the crash page, from /proc or from the pidfd; or 20 ms later
// without that. A new worker is asked for at once. Page and word are the
// worker's own to write: one that lives a second later is killed, unless a
// debugger has it or its core is being written.
//
// Starts that come to nothing are repeated after 10 ms, 20 ms ... 5 s; after
// five in a row without any worker left (twelve, if they were killed), the pool
// is broken. It is broken at once if the initializer fails, if the program
// cannot be executed, or if it does not reach weft_main_hook.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weft/error.h>

#include "future/external.h"
#include "os/clock.h"
#include "os/event.h"
#include "os/process.h"
#include "process/crash.h"
#include "process/parcel.h"
#include "process/pool.h"

enum {
    MOST_FAILURES = 5,
    MOST_KILLED = 12, // for about 20 seconds
    MANY = 8,         // frames in one go: look again by time, not by bell
    DOUBTS = 10,      // audits without a sign of life from one that should run
};
static const int64_t poll_ns = 50000, verdict_ns = 20000000,
                     first_pause_ns = 10000000, last_pause_ns = 5000000000,
                     trim_ns = 1000000000, audit_ns = 100000000,
                     doubt_ns = 1000000000, hidden_ns = 10000000;

static struct wi_member *of_launch(struct wi_launch *launch)
{
    return (struct wi_member *)launch;
}

#define MEMBER_OF(pointer, field)                                              \
    ((struct wi_member *)((char *)(pointer)-offsetof(struct wi_member, field)))

// How many workers there should be: the number, the spare, and one for each
// that waits, as far as that is reasonable.
static unsigned wanted(const struct wi_pool *pool)
{
    unsigned cap = 2 * pool->size > 8 ? 2 * pool->size : 8;
    unsigned waiting = pool->blocked < cap ? pool->blocked : cap;
    if (pool->stopping || pool->broken)
        return 0;
    // The spare comes when the others are there.
    bool spare = pool->size > 0 && pool->alive - pool->starting >= pool->size;
    return pool->size + spare + waiting + pool->extra;
}

bool wi_pool_grows(const struct wi_pool *pool)
{
    return pool->alive < wanted(pool);
}

void wi_pool_tend(struct wi_pool *pool)
{
    wi_supervisor_post(&pool->tend);
}

void wi_pool_retry(struct wi_alarm *alarm)
{
    struct wi_pool *pool =
        (struct wi_pool *)((char *)alarm - offsetof(struct wi_pool, retry));
    wi_supervisor_post(&pool->tend);
}

void wi_pool_shrink(struct wi_alarm *alarm)
{
    struct wi_pool *pool =
        (struct wi_pool *)((char *)alarm - offsetof(struct wi_pool, shrink));
    wi_supervisor_post(&pool->tend);
}

// Breaking --------------------------------------------------------------------

// Under the lock. All that is queued fails; the supervisor goes on with that.
void wi_pool_break(struct wi_pool *pool, int code, const char *text)
{
    if (pool->broken)
        return;
    pool->broken = true;
    pool->broken_code = code;
    snprintf(pool->broken_text, sizeof pool->broken_text, "%.*s",
             (int)sizeof pool->broken_text - 1, text);
    wi_pool_tend(pool);
}

static void start_failed(struct wi_pool *pool, unsigned most, const char *text)
{
    int64_t pause = first_pause_ns << (pool->failures < 9 ? pool->failures : 9);
    pool->failures++;
    pool->not_before =
        wi_os_now() + (pause < last_pause_ns ? pause : last_pause_ns);
    if (pool->failures >= most && pool->alive == 0)
        wi_pool_break(pool, -WEFT_EBROKEN, text);
}

// Starting --------------------------------------------------------------------

static bool is_wanted(struct wi_launch *launch)
{
    struct wi_member *member = of_launch(launch);
    wi_mutex_lock(&member->pool->lock);
    bool wanted = member->state == WI_MEMBER_STARTING && !member->retiring;
    wi_mutex_unlock(&member->pool->lock);
    return wanted;
}

static void launched(struct wi_launch *launch, int rc, struct wi_os_child child)
{
    struct wi_member *member = of_launch(launch);
    struct wi_pool *pool = member->pool;
    wi_spec_close_ends(launch);
    wi_mutex_lock(&pool->lock);
    member->launching = false;
    member->launch_code = rc;
    member->child = child;
    if (rc == 0 && child.pidfd >= 0 &&
        member->state == WI_MEMBER_LOST) // killed meanwhile
        wi_os_child_signal_group(&child, wi_os_sigkill);
    wi_pool_tend(pool);
    wi_mutex_unlock(&pool->lock);
}

static int fill_launch(struct wi_member *member)
{
    struct wi_spec *spec = &member->pool->set.spec;
    int rc = wi_spec_launch(spec, &member->launch, &member->env);
    if (rc < 0)
        return rc;
    rc = wi_spec_boot(spec, member->boot, member->memfd);
    if (rc == 0)
        rc = wi_spec_capture(spec, &member->launch, member->captures);
    if (member->pool->set.parcels) {
        member->boot->parcels = 1;
        member->launch.fds[member->launch.os.fd_count++] = wi_parcel_fd();
    }
    member->launch.boot = member->boot;
    member->launch.fds[0] = member->memfd;
    member->launch.fds[2] = member->bell;
    member->launch.wanted = is_wanted;
    member->launch.done = launched;
    return rc;
}

static int open_member(struct wi_member *member)
{
    struct wi_pool *pool = member->pool;
    member->bell = wi_os_event_new();
    if (member->bell < 0)
        return member->bell;
    member->memfd =
        wi_boot_new(WI_RING_SIZE, pool->set.init_arg, pool->set.init_size,
                    pool->set.name, &member->boot);
    if (member->memfd < 0)
        return member->memfd;
    member->boot->kind = WI_BOOT_WORKER;
    member->boot->executor = pool->id;
    member->boot->width = pool->set.workers;
    member->boot->body = pool->set.initializer;
    member->boot->finalizer = pool->set.finalizer;
    member->ring = wi_ring_of(member->boot);
    member->ring->listening = 1;
    return fill_launch(member);
}

static void bell_heard(struct wi_watch *watch);
static void pidfd_heard(struct wi_watch *watch);
static void poll_rang(struct wi_alarm *alarm);
static void verdict_rang(struct wi_alarm *alarm);

static struct wi_member *new_member(struct wi_pool *pool)
{
    struct wi_member *member = calloc(1, sizeof *member);
    if (member == NULL)
        return NULL;
    member->pool = pool;
    member->memfd = -1;
    member->captures[0].fd = member->captures[1].fd = -1;
    member->child.pidfd = -1;
    member->top = WI_NONE;
    member->bell_watch.heard = bell_heard;
    member->pidfd_watch.heard = pidfd_heard;
    member->poll.ring = poll_rang;
    member->verdict.ring = verdict_rang;
    member->overrun.ring = wi_overrun_rang;
    member->lifeline.errand = &pool->tend;
    for (unsigned i = WI_TICKETS; i-- > 0;)
        member->free_tickets[member->free_count++] = (uint16_t)i;
    return member;
}

static void free_member(struct wi_member *member)
{
    // Of jobs that were ended while it had them: it is gone now.
    for (unsigned i = 0; i < WI_TICKETS; i++)
        wi_parcel_drop(member->flights[i].parcel);
    wi_boot_free(member->boot, WI_RING_SIZE, member->memfd);
    if (member->bell >= 0)
        wi_os_close(member->bell);
    wi_os_child_close(&member->child);
    wi_spec_close_ends(&member->launch);
    wi_capture_free(&member->captures[0]);
    wi_capture_free(&member->captures[1]);
    free(member->env);
    free(member);
}

static int start_member(struct wi_pool *pool)
{
    struct wi_member *member = new_member(pool);
    if (member == NULL)
        return -ENOMEM;
    int rc = open_member(member);
    if (rc == 0)
        rc = wi_supervisor_watch(member->bell, &member->bell_watch);
    if (rc < 0) {
        free_member(member);
        return rc;
    }
    member->launching = true;
    member->next = pool->members;
    pool->members = member;
    pool->alive++;
    pool->starting++;
    wi_launcher_submit(&member->launch);
    return 0;
}

// After a failure one at a time: two might fail where one would not.
static void start_members(struct wi_pool *pool)
{
    while (pool->alive < wanted(pool) &&
           (pool->failures == 0 || pool->starting == 0)) {
        if (pool->not_before > wi_os_now()) {
            wi_alarm_set(&pool->retry, pool->not_before);
            return;
        }
        int rc = start_member(pool);
        if (rc < 0) {
            start_failed(pool, MOST_FAILURES, weft_strerror(rc));
            if (pool->broken)
                return;
        }
    }
}

// Leaving ---------------------------------------------------------------------

// Under the lock: it does not count any more.
static void discount(struct wi_member *member)
{
    struct wi_pool *pool = member->pool;
    if (!member->retiring)
        pool->alive--;
    if (member->state == WI_MEMBER_STARTING)
        pool->starting--;
    if (member->state == WI_MEMBER_READY && member->blocked)
        pool->blocked--;
    else if (member->state == WI_MEMBER_READY && member->flying > 0)
        pool->active--;
    wi_member_not_idle(member);
}

void wi_member_retire(struct wi_member *member)
{
    wi_member_not_idle(member);
    member->pool->alive--;
    member->retiring = true;
    // release: with all that was published before; the worker reads it last
    __atomic_store_n(&member->ring->stop, 1, __ATOMIC_RELEASE);
    wi_ring_wake(&member->ring->parked);
    if (member->flying == 0)
        wi_member_leaves(member);
}

void wi_member_leaves(struct wi_member *member)
{
    int64_t leave = member->pool->set.leave;
    if (member->state == WI_MEMBER_READY && leave < WI_FOREVER / 2)
        wi_alarm_set(&member->verdict, wi_os_now() + leave);
}

void wi_member_kill(struct wi_member *member, const char *why)
{
    if (member->state == WI_MEMBER_LOST)
        return;
    discount(member);
    member->state = WI_MEMBER_LOST;
    member->why = why;
    if (!member->launching && member->child.pid != 0)
        wi_os_child_signal_group(&member->child, wi_os_sigkill);
    wi_pool_tend(member->pool);
}

// Whether there is still one to be killed of which only signs of death were
// seen. What it looks like in a core is worth the wait.
static bool only_seems_dead(struct wi_member *member)
{
    return member->state == WI_MEMBER_LOST && member->why == NULL &&
           !member->launching && !member->reaped && member->child.pidfd >= 0 &&
           !wi_os_child_dumps(&member->child);
}

void wi_member_finish(struct wi_member *member, const char *why)
{
    if (only_seems_dead(member))
        wi_os_child_signal_group(&member->child, wi_os_sigkill);
    wi_member_kill(member, why);
}

void wi_member_stop(struct wi_member *member, const char *why)
{
    struct wi_pool *pool = member->pool;
    if (pool->set.grace == 0 || member->state != WI_MEMBER_READY) {
        wi_member_kill(member, why);
        return;
    }
    discount(member);
    member->state = WI_MEMBER_LOST;
    member->why = why;
    wi_os_child_signal(&member->child, wi_os_sigterm);
    wi_alarm_set(&member->overrun, wi_os_now() + pool->set.grace);
    wi_pool_tend(pool);
}

// Workers that are not needed any more go after a second, or at once if the
// pool stops.
static void send_home(struct wi_pool *pool)
{
    if (pool->alive <= wanted(pool)) {
        pool->trim_at = 0;
        return;
    }
    int64_t now = wi_os_now();
    if (!pool->stopping && !pool->broken &&
        (pool->trim_at == 0 || now < pool->trim_at)) {
        if (pool->trim_at == 0)
            pool->trim_at = now + trim_ns;
        wi_alarm_set(&pool->retry, pool->trim_at);
        return;
    }
    pool->trim_at = 0;
    while (pool->alive > wanted(pool) && pool->idle != NULL)
        wi_member_retire(pool->idle);
    if (!pool->stopping && !pool->broken && pool->alive > wanted(pool)) {
        pool->trim_at = now + trim_ns; // some are still at work
        wi_alarm_set(&pool->retry, pool->trim_at);
        return;
    }
    if (!pool->stopping && !pool->broken)
        return;
    // Also those that are not ready yet: they find the word when they are.
    for (struct wi_member *m = pool->members; m != NULL; m = m->next)
        if (!m->retiring && m->state == WI_MEMBER_STARTING)
            wi_member_retire(m);
}

// Listening -------------------------------------------------------------------

static void add_ready(struct wi_member *member)
{
    struct wi_words *words = wi_boot_words(member->boot);
    int32_t at = words->life_at;
    member->state = WI_MEMBER_READY;
    member->born = wi_os_now();
    member->pool->starting--;
    member->pool->counts.started++;
    if (at >= 0 && at <= WI_LIFE_SIZE - 4 && at % 4 == 0) {
        member->lifeline.word = (uint32_t *)(words->life + at);
        wi_life_watch(&member->lifeline);
    }
    if (member->retiring)
        return;
    wi_member_idle(member);
    wi_dispatch(member->pool);
    wi_pool_tend(member->pool); // it may be time for the spare
}

static void break_by_words(struct wi_member *member)
{
    struct wi_words *words = wi_boot_words(member->boot);
    char text[sizeof words->text + 1];
    memcpy(text, words->text, sizeof words->text);
    text[sizeof words->text] = '\0';
    wi_pool_break(member->pool, -WEFT_EBROKEN, text);
}

// The child has told how far it has come.
static void look_at_stage(struct wi_member *member)
{
    uint32_t stage = wi_boot_stage(member->boot);
    if (stage == WI_STAGE_READY) {
        add_ready(member);
    } else if (stage == WI_STAGE_DONE) {
        break_by_words(member);
        wi_member_kill(member, "could not start");
    }
}

static bool has_faulted(struct wi_member *member)
{
    // acquire: pairs with the release of the fault handler
    return __atomic_load_n(&wi_boot_words(member->boot)->fault.written,
                           __ATOMIC_ACQUIRE);
}

uint32_t wi_member_take_in(struct wi_member *member)
{
    struct wi_outcomes out;
    uint32_t before = member->heard;
    out.n = 0;
    while (member->heard - before < WI_FRAMES && wi_drain(member, &out)) {
        wi_mutex_unlock(&member->pool->lock);
        wi_outcomes_tell(&out);
        wi_mutex_lock(&member->pool->lock);
    }
    return member->heard - before;
}

// Takes in, and asks for the next bell, or sees to it that we look again.
static void attend(struct wi_member *member)
{
    uint32_t n;
    member->unheard = false;
    do {
        n = wi_member_take_in(member);
        if (n >= MANY && member->state == WI_MEMBER_READY) {
            wi_alarm_set(&member->poll, wi_os_now() + poll_ns);
            return;
        }
    } while (member->state == WI_MEMBER_READY && !wi_listen(member));
}

static void look_at_member(struct wi_member *member);

static void bell_heard(struct wi_watch *watch)
{
    struct wi_member *member = MEMBER_OF(watch, bell_watch);
    struct wi_pool *pool = member->pool;
    wi_os_event_take(member->bell);
    wi_mutex_lock(&pool->lock);
    if (member->state == WI_MEMBER_STARTING && member->adopted)
        look_at_stage(member); // else its process id may not be known yet
    if (has_faulted(member))
        look_at_member(member);
    else
        attend(member);
    wi_mutex_unlock(&pool->lock);
}

static void poll_rang(struct wi_alarm *alarm)
{
    struct wi_member *member = MEMBER_OF(alarm, poll);
    wi_mutex_lock(&member->pool->lock);
    attend(member);
    wi_mutex_unlock(&member->pool->lock);
}

// Death -----------------------------------------------------------------------

static void pidfd_heard(struct wi_watch *watch)
{
    struct wi_member *member = MEMBER_OF(watch, pidfd_watch);
    struct wi_pool *pool = member->pool;
    if (member->reaped)
        return;
    wi_mutex_lock(&pool->lock); // any thread may send a worker home
    bool retiring = member->retiring;
    wi_mutex_unlock(&pool->lock);
    // What its jobs have started dies with it.
    if (!retiring)
        wi_os_child_signal_group(&member->child, wi_os_sigkill);
    if (!wi_os_child_reap(&member->child, &member->end, false))
        return;
    wi_supervisor_forget(member->child.pidfd);
    wi_mutex_lock(&pool->lock);
    member->reaped = true;
    wi_pool_tend(pool);
    wi_mutex_unlock(&pool->lock);
}

static void verdict_rang(struct wi_alarm *alarm)
{
    struct wi_member *member = MEMBER_OF(alarm, verdict);
    wi_mutex_lock(&member->pool->lock);
    if (member->state == WI_MEMBER_READY) // it was to leave
        wi_member_kill(member, "did not leave");
    if (!member->late)
        wi_pool_tend(member->pool);
    else if (only_seems_dead(member) && !wi_os_child_stopped(&member->child))
        wi_os_child_signal_group(&member->child, wi_os_sigkill);
    member->late = true;
    wi_alarm_set(&member->verdict, wi_os_now() + doubt_ns);
    wi_mutex_unlock(&member->pool->lock);
}

// Errors that the next try may not meet.
static bool is_passing(int code)
{
    return code == -EAGAIN || code == -ENOMEM || code == -EMFILE ||
           code == -ENFILE;
}

static bool is_killed(const struct wi_os_end *end)
{
    return end->how == WI_END_SIGNAL && end->status == wi_os_sigkill;
}

static void break_by_launch(struct wi_pool *pool, const char *said)
{
    char text[WI_CRASH_TEXT];
    snprintf(text, sizeof text, "%s cannot be executed: %s",
             pool->set.spec.program != NULL ? pool->set.spec.program
                                            : "the program",
             said);
    wi_pool_break(pool, -WEFT_EBROKEN, text);
}

// Its end before it was ready: what that means for the pool.
static void judge_start(struct wi_member *member)
{
    struct wi_pool *pool = member->pool;
    char text[WI_CRASH_TEXT];
    if (member->why != NULL || member->retiring)
        return;
    if (member->launch_code < 0) {
        const char *said = wi_launch_why(&member->launch, member->launch_code);
        if (is_passing(member->launch_code))
            start_failed(pool, MOST_FAILURES, said);
        else if (member->launch.why[0] != '\0')
            wi_pool_break(pool, -WEFT_EBROKEN, said);
        else if (member->launch_code != -ECANCELED)
            break_by_launch(pool, said);
        return;
    }
    wi_crash_text(text, "starting a worker", member->child.pid, &member->end,
                  wi_boot_words(member->boot));
    if (wi_boot_stage(member->boot) == WI_STAGE_NONE &&
        member->end.how == WI_END_EXIT)
        wi_pool_break(pool, wi_crash_entry(text, &member->end), text);
    else // SIGKILL comes from outside: from who may do it to the next one, too,
        // or from the kernel, for want of memory
        start_failed(
            pool, is_killed(&member->end) ? MOST_KILLED : MOST_FAILURES, text);
}

// Whether it has left in order. The finalizer may have found something wrong.
static bool has_left(struct wi_member *member)
{
    if (!member->reaped || member->end.how != WI_END_EXIT)
        return false;
    if (wi_boot_stage(member->boot) == WI_STAGE_DONE) {
        break_by_words(member);
        return true;
    }
    return member->end.status == 0 && member->flying == 0;
}

// A worker that was to leave did not do so in order.
static void judge_leave(struct wi_member *member)
{
    char text[WI_CRASH_TEXT];
    struct wi_pool *pool = member->pool;
    if (pool->set.finalizer.build.size == 0 || member->why != NULL ||
        member->flying > 0)
        return;
    wi_crash_text(text, "the finalizer", member->child.pid,
                  member->reaped ? &member->end : NULL,
                  wi_boot_words(member->boot));
    wi_pool_break(pool, -WEFT_EBROKEN, text);
}

// The first sign of death: nothing that it says counts any more.
static void lose(struct wi_member *member)
{
    struct wi_pool *pool = member->pool;
    bool was_ready = member->state == WI_MEMBER_READY;
    wi_member_take_in(member);
    if (member->state == WI_MEMBER_LOST)
        return;
    if (member->retiring && has_left(member)) {
        discount(member);
        member->state = WI_MEMBER_LOST;
        return;
    }
    pool->counts.died += was_ready;
    if (member->retiring && was_ready)
        judge_leave(member);
    uint32_t phase = __atomic_load_n(&member->ring->phase, __ATOMIC_RELAXED);
    pool->deaths[phase % WI_PHASES]++;
    discount(member);
    member->state = WI_MEMBER_LOST;
    wi_pool_tend(pool);
    if (!was_ready)
        judge_start(member);
    if (member->reaped)
        return;
    // The life word: it is dying, and cannot be reaped yet.
    member->late =
        has_faulted(member) || wi_os_child_peek(&member->child, &member->end);
    wi_alarm_set(&member->verdict,
                 wi_os_now() + (member->late ? doubt_ns : verdict_ns));
}

// What had not begun goes back to the queue, oldest first, and the futures that
// it had open are let go.
static void take_back(struct wi_member *member)
{
    wi_recall_all(member);
    while (!wi_ask_forget(member))
        ;
}

// What is known of the death, for one of its jobs; from malloc.
static char *death_text(struct wi_member *member, const struct wi_pjob *job,
                        const struct wi_os_end *end,
                        const struct weft_crash *crash)
{
    char what[96], *text = malloc(WI_CRASH_TEXT);
    if (text == NULL)
        return NULL;
    int n = snprintf(what, sizeof what, "job %.40s (%llu)", job->job->name,
                     (unsigned long long)job->id);
    if (job->crashes > 1) // a poison: see tell_victims
        snprintf(what + n, sizeof what - (size_t)n, ", at try %u",
                 job->crashes);
    if (member->why != NULL)
        snprintf(text, WI_CRASH_TEXT, "%s: its process %d %s", what,
                 (int)member->child.pid, member->why);
    else
        wi_crash_text(text, what, member->child.pid, end,
                      wi_boot_words(member->boot));
    wi_crash_hint(text, crash);
    wi_capture_take(&member->captures[0]);
    wi_capture_take(&member->captures[1]);
    wi_crash_quote(text, member->captures);
    return text;
}

// For weft_process_crash; lack of memory only leaves that without an answer.
static void leave_crash(struct wi_pjob *job, const struct weft_crash *crash)
{
    struct weft_crash *left = malloc(sizeof *left);
    if (left != NULL)
        *left = *crash;
    wi_of_future(job->future)->extra->left = left;
}

// A job that may run again does, unless the pool ends.
static bool try_again(struct wi_pjob *job)
{
    struct wi_pool *pool = job->pool;
    job->crashes++;
    if (job->retries == 0 || pool->canceling || pool->broken)
        return false;
    job->retries--;
    job->member = NULL;
    pool->counts.retried++;
    wi_queue_push(job, true);
    return true;
}

// Fails what had begun. false: some are left, for out is full.
static bool tell_victims(struct wi_member *member, struct wi_outcomes *out)
{
    bool known = member->reaped || member->end.how != WI_END_UNKNOWN;
    const struct wi_os_end *end = known ? &member->end : NULL;
    struct weft_crash crash;
    if (member->flying > 0)
        wi_crash_report(&crash, member->child.pid, end,
                        wi_boot_words(member->boot), member->why != NULL);
    for (unsigned i = 0; i < WI_TICKETS && member->flying > 0; i++) {
        struct wi_pjob *job = member->flights[i].job;
        if (job == NULL)
            continue;
        if (wi_outcomes_full(out))
            return false;
        member->flights[i].job = NULL;
        if (job->doomed != 0) {
            wi_pjob_end(job, job->doomed, wi_doom_text(job->doomed), out);
            continue;
        }
        if (try_again(job))
            continue;
        char *text = death_text(member, job, end, &crash);
        leave_crash(job, &crash);
        wi_pjob_end(job, -WEFT_ECRASHED, NULL, out)->heap = text;
    }
    return true;
}

// Ends what is doomed among the jobs that have begun: see is_certain in pool.c.
// What was called back cannot begin, and what had ended before that was said
// before that, so it is certain that the others run, whatever else the worker
// says meanwhile. false: out is full, or somebody holds the worker.
static bool end_doomed(struct wi_member *member, struct wi_outcomes *out)
{
    wi_recall_all(member);
    wi_member_take_in(member);
    if (member->held)
        return false;
    member->condemned = false;
    for (unsigned i = 0; i < WI_TICKETS; i++) {
        struct wi_pjob *job = member->flights[i].job;
        if (job == NULL || job->doomed == 0)
            continue;
        if (wi_outcomes_full(out))
            member->condemned = true;
        else if (member->state == WI_MEMBER_READY)
            wi_pjob_kill(job, job->doomed, wi_doom_text(job->doomed), out);
    }
    return !member->condemned;
}

static void unlink_member(struct wi_member *member)
{
    struct wi_pool *pool = member->pool;
    struct wi_member **link = &pool->members;
    while (*link != member)
        link = &(*link)->next;
    *link = member->next;
    if (pool->turn == member)
        pool->turn = NULL;
    if (pool->members == NULL)
        wi_pool_leave(pool);
}

static bool may_free(struct wi_member *member)
{
    if (member->state != WI_MEMBER_LOST || !member->told || member->held ||
        member->pins > 0 || member->launching || !member->reaped)
        return false;
    if (member->dozers == 0)
        return true;
    // acq_rel: as in wi_ring_wake; they leave and look at the pool again
    __atomic_exchange_n(&member->ring->waiter, 0, __ATOMIC_ACQ_REL);
    wi_os_futex_wake(&member->ring->waiter, INT32_MAX, true);
    wi_alarm_set(&member->pool->retry, wi_os_now() + verdict_ns);
    return false;
}

static void bury(struct wi_member *member)
{
    wi_life_forget(&member->lifeline);
    wi_supervisor_forget(member->bell);
    wi_alarm_stop(&member->poll);
    wi_alarm_stop(&member->verdict);
    wi_alarm_stop(&member->overrun);
    unlink_member(member);
    free_member(member);
}

// Without memory for one more watch it goes on unwatched until there is: that
// it dies is seen by its life word, that it can be freed only then.
static void watch_end(struct wi_member *member)
{
    member->watched =
        wi_supervisor_watch(member->child.pidfd, &member->pidfd_watch) == 0;
    if (!member->watched)
        wi_alarm_set(&member->pool->retry, wi_os_now() + verdict_ns);
}

// What there is to do for one member; all that can be done now.
static void look_at_member(struct wi_member *member)
{
    if (!member->launching && !member->adopted) {
        member->adopted = true;
        if (member->launch_code < 0 || member->child.pidfd < 0)
            member->reaped = true; // it never was, or is no more
        if (wi_spec_hear(&member->pool->set.spec, member->captures,
                         member->pool->set.name, member->child.pid) < 0 &&
            member->state != WI_MEMBER_LOST) {
            wi_member_kill(member, "could not be heard: no memory");
            start_failed(member->pool, MOST_FAILURES,
                         "no memory to hear what a worker writes");
        }
        if (member->state == WI_MEMBER_STARTING)
            look_at_stage(member); // its bell may have rung before
    }
    if (member->adopted && !member->watched && !member->reaped)
        watch_end(member);
    if (member->unheard && !member->held)
        attend(member);
    // acquire: pairs with the release of the life thread
    bool gone = __atomic_load_n(&member->lifeline.gone, __ATOMIC_ACQUIRE);
    if (gone && member->retiring && !member->held) {
        wi_member_take_in(member);
        gone = member->flying > 0; // else it may have left in order: see below
    }
    if (member->state != WI_MEMBER_LOST && !member->held &&
        (gone || member->reaped || has_faulted(member)))
        lose(member);
}

// A job may wait in ways that are not told: in tasks, or in threads of its own.
// If nothing moves for a while, although jobs are queued and a worker has
// futures open, one more worker starts.
static void look_for_hidden_waits(struct wi_pool *pool)
{
    bool open = false;
    for (struct wi_member *m = pool->members; m != NULL; m = m->next)
        open |= m->state == WI_MEMBER_READY && !m->blocked && m->open > 0;
    if (pool->first == NULL || !open || pool->starting > 0) {
        pool->stuck_at = 0;
        if (pool->first == NULL && pool->blocked == 0)
            pool->extra = 0;
        return;
    }
    int64_t now = wi_os_now();
    if (pool->stuck_at == 0 || pool->stuck_first != pool->first->id) {
        pool->stuck_at = now + hidden_ns;
        pool->stuck_first = pool->first->id;
    } else if (now >= pool->stuck_at) {
        pool->stuck_at = 0;
        pool->extra++;
        wi_pool_tend(pool);
        return;
    }
    wi_alarm_set(&pool->retry, pool->stuck_at);
}

static void wake_for_certain(uint32_t *word)
{
    // relaxed: the futex orders what matters
    __atomic_store_n(word, 0, __ATOMIC_RELAXED);
    wi_os_futex_wake(word, 1, true);
}

// Whether it has said nothing since the last audit although it has requests;
// or has none, but does not leave room for one.
static bool is_silent(struct wi_member *member)
{
    bool owes = member->flying > 0 ? member->heard == member->audited
                                   : member->idle && !wi_has_room(member);
    return owes && member->state == WI_MEMBER_READY && !member->held;
}

// Now and then, while there are jobs. What nobody has heard is taken in, for
// the bell of who has said it may be broken. What a silent worker sleeps on is
// written anew, and it is woken. If it rests and that does not help, it has
// lost its requests: it is mad. One that somebody has stopped is not.
static void audit_member(struct wi_member *member)
{
    struct wi_ring *ring = member->ring;
    // relaxed: a hint
    uint32_t phase = __atomic_load_n(&ring->phase, __ATOMIC_RELAXED);
    bool rests = phase == WI_PHASE_IDLE || phase == WI_PHASE_PARKED ||
                 phase >= WI_PHASES;
    bool silent = is_silent(member);
    member->audited = member->heard;
    if (!silent || !rests)
        member->doubts = 0;
    if (!silent)
        return;
    if (wi_has_said(member)) {
        attend(member);
        return;
    }
    if (rests && ++member->doubts > DOUBTS) {
        member->doubts = 0;
        if (!wi_os_child_stopped(&member->child))
            wi_member_kill(member, "lost its requests");
        return;
    }
    // release: as in wi_drain
    __atomic_store_n(&ring->heard, member->heard, __ATOMIC_RELEASE);
    wake_for_certain(&ring->full);
    if (rests)
        wake_for_certain(&ring->parked);
}

static void audit_and_look(struct wi_member *member)
{
    audit_member(member);
    wi_wear_look(member);
}

void wi_pool_audit(struct wi_alarm *alarm)
{
    struct wi_pool *pool =
        (struct wi_pool *)((char *)alarm - offsetof(struct wi_pool, audit));
    wi_mutex_lock(&pool->lock);
    for (struct wi_member *m = pool->members; m != NULL; m = m->next)
        audit_and_look(m);
    pool->audits = pool->jobs > 0;
    if (pool->audits)
        wi_alarm_set(&pool->audit, wi_os_now() + audit_ns);
    wi_mutex_unlock(&pool->lock);
}

static bool look_after(struct wi_pool *pool, struct wi_outcomes *out)
{
    for (struct wi_member *m = pool->members, *next; m != NULL; m = next) {
        look_at_member(m);
        next = m->next;
        if (m->condemned && !m->held && m->state == WI_MEMBER_READY &&
            !end_doomed(m, out) && wi_outcomes_full(out))
            return false;
        if (m->state != WI_MEMBER_LOST || m->held)
            continue;
        if (!m->told) {
            take_back(m);
            if (m->why == NULL && !m->reaped && !m->late && !has_faulted(m))
                continue;
            if (!tell_victims(m, out))
                return false;
            m->told = true;
        }
        if (may_free(m))
            bury(m);
    }
    return true;
}

// Jobs that were doomed while a large argument was written for them, and all
// in the queue of a broken pool.
static bool end_queued(struct wi_pool *pool, struct wi_outcomes *out)
{
    while (pool->first != NULL && (pool->broken || pool->first->doomed != 0)) {
        struct wi_pjob *job = pool->first;
        if (wi_outcomes_full(out))
            return false;
        int code = job->doomed != 0 ? job->doomed : pool->broken_code;
        wi_queue_remove(job);
        wi_pjob_end(job, code,
                    pool->broken ? pool->broken_text : wi_doom_text(code), out);
    }
    return true;
}

// What has come to an end is told before anything is done for the pool's
// future: a new worker is some system calls, and somebody waits for the news.
static bool tell_first(struct wi_pool *pool, struct wi_outcomes *out)
{
    return look_after(pool, out) && end_queued(pool, out) && out->n == 0;
}

static void go_on(struct wi_pool *pool)
{
    wi_dispatch(pool);
    wi_rebalance(pool);
    look_for_hidden_waits(pool);
    wi_size_look(pool);
    start_members(pool);
    send_home(pool);
}

void wi_pool_tend_errand(struct wi_errand *errand)
{
    struct wi_pool *pool =
        (struct wi_pool *)((char *)errand - offsetof(struct wi_pool, tend));
    struct wi_outcomes out;
    bool all;
    do {
        out.n = 0;
        wi_mutex_lock(&pool->lock);
        pool->tending = true;
        all = tell_first(pool, &out);
        if (all)
            go_on(pool);
        pool->tending = false;
        wi_mutex_unlock(&pool->lock);
        wi_outcomes_tell(&out);
    } while (!all);
}
