// SPDX-License-Identifier: MIT
//
// pool.h: a process pool as its own files see it.
//
//   pool.c      the executor: submit, cancel, deadlines, close
//   queue.c     jobs that wait for a worker
//   gate.c      how many may be under way: back-pressure
//   dispatch.c  which worker gets which job; credits; recall
//   drain.c     taking in what workers say
//   member.c    the life of a worker: start, ready, death, replacement
//   size.c      how many workers there are
//   wear.c      workers that have served
//   overrun.c   jobs that run too long
//   stats.c     what the pool tells about itself
//   terms.c     the options of a submit
//   room.c      memory for arguments that wait
//   parcel.c    the same for large ones, which jobs get in place
//   ask.c       what jobs ask for: futures of this process, submits, waits
//   help.c      threads that wait do the pools' work
//
// One lock for each pool guards everything here and the parent's side of the
// rings. It is held for short stretches only, and never while a future is
// completed, which runs callbacks: what is to be told is gathered in a struct
// wi_outcomes and told after. Above it lies the lock of the list of pools,
// below it those of the supervisor and of the launcher.
#ifndef WI_PROCESS_POOL_H
#define WI_PROCESS_POOL_H

#include <weft/process_pool.h>

#include "exec/open_pools.h"
#include "os/futex.h"
#include "os/process.h"
#include "process/carry.h"
#include "process/launcher.h"
#include "process/life.h"
#include "process/spec.h"
#include "process/supervisor.h"
#include "process/terms.h"
#include "sched/lane.h"
#include "sync/waiter.h"

struct wi_member;
struct wi_pool;

// A job as the pool sees it. Records are recycled, never freed.
//
//   PENDING  in the pool's queue
//   HELD     a large argument is being written for it, without the lock
//   PLACED   it has a ticket of a member: READY in a slot, or started
//   FREE     its future has been or is being completed
enum { WI_MOST_WORKERS = 1024 };

enum wi_job_state { WI_JOB_FREE, WI_JOB_PENDING, WI_JOB_HELD, WI_JOB_PLACED };

struct wi_pjob {
    struct wi_alarm alarm;       // first: the deadline
    struct wi_pjob *next, *prev; // the queue; the free list
    struct wi_pool *pool;
    weft_future *future;
    const struct weft_job *job;
    uint64_t id;
    int64_t deadline;
    int64_t timeout;   // ns that it may run; 0: any
    int64_t run_until; // PLACED: when it will have run so long
    enum wi_job_state state;
    uint8_t rank;     // of its priority: wi_lane_of
    bool gated;       // it has a place in the window
    unsigned retries; // left
    unsigned crashes; // workers that died of it
    int doomed;       // HELD, PLACED: the code it shall fail with
    bool rung;        // the alarm's function has seen this job
    bool orphan;      // FREE, but for an alarm that is about to ring
    bool asked;       // a worker has submitted it
    uint16_t number;  // of the job's name
    uint16_t ticket;
    struct wi_member *member; // PLACED
    struct wi_pjob *parent;   // the job that submitted it, while ...
    uint64_t parent_id;       // ... that record still has this id
    uint64_t wanted_id;       // what its future's id shall be; 0: whatever
    struct wi_far arg;        // the argument's size; count of a chunk
    void *heap;               // room.h: the argument if it does not fit in data
    struct wi_parcel *parcel; // the same if it is large; far.at is its place
    uint8_t data[WI_INLINE];
    void *out;  // where a chunk's results go
    int *codes; // where its codes go, or NULL
};

// A job with a ticket. `slot` is where it was put, in the stream of slots.
struct wi_flight {
    struct wi_pjob *job; // NULL: the ticket is free
    uint32_t slot;
    bool started;             // the slot was used again, so this one has begun
    struct wi_parcel *parcel; // held: the worker may look at it
};

// A future that a member has open: until it is done and the member has dropped
// it, or the member is gone.
struct wi_proxy {
    struct wi_pool *pool;
    struct wi_member *member; // NULL: gone, or it has dropped the proxy
    weft_future *future;      // a reference
    uint16_t number;
    bool done; // the callback has run
};

// A worker, as the parent sees it. STARTING -> READY when it says so; either
// -> LOST at the first sign of death, or when it is killed: nothing that it
// says counts from then on. LOST members are freed once they are reaped. All
// by the supervisor, but for kills.
enum wi_member_state { WI_MEMBER_STARTING, WI_MEMBER_READY, WI_MEMBER_LOST };

struct wi_member {
    struct wi_launch launch; // first
    struct wi_watch pidfd_watch, bell_watch;
    struct wi_alarm poll;    // look again although no bell rang
    struct wi_alarm verdict; // tell of a death although the pidfd is late; or
                             // the time to leave is over
    struct wi_alarm overrun; // a job will have run too long; or SIGKILL is due
    struct wi_lifeline lifeline;
    struct wi_pool *pool;
    struct wi_member *next;      // of the pool
    struct wi_member *idle_next; // of the idle list
    struct wi_boot *boot;
    struct wi_ring *ring;
    struct wi_capture captures[2]; // of its output, its error
    int memfd, bell;
    struct wi_os_child child;
    char **env;
    enum wi_member_state state;
    int launch_code;
    bool launching;  // the launcher has it
    bool adopted;    // what there was to do at its start is done
    bool watched;    // its pidfd is; needed only until it is reaped
    bool idle;       // on the idle list
    bool retiring;   // has been told to leave
    bool held;       // the lock was left for a large argument or result
    bool reaped;     // it has ended for certain: `end`
    bool told;       // LOST: its victims' futures have been completed
    bool blocked;    // its job waits
    bool shut;       // so that nothing can run on top of the wait
    bool late;       // the verdict is due
    bool condemned;  // a job that it runs is doomed: it gets no other
    bool unheard;    // it has said something while somebody held it
    unsigned dozers; // threads that sleep on ring->waiter
    unsigned pins;   // threads that use it without the lock
    const char *why; // it was killed, for the texts
    struct wi_os_end end;
    int64_t born;     // READY since
    uint64_t served;  // jobs ended
    uint32_t heard;   // frames taken
    uint32_t audited; // the same at the last audit
    unsigned doubts;  // audits in a row that found it asleep on requests
    uint32_t tail;    // slots filled
    uint32_t said;    // replies written
    uint32_t names;   // job names it was told
    unsigned flying;  // tickets taken
    unsigned depth;   // jobs that wait on its stack
    uint32_t mean;    // time of a job in ns, smoothed; 0: not known
    uint16_t top;     // ticket of the job that spoke last, or WI_NONE
    uint16_t free_tickets[WI_TICKETS];
    unsigned free_count;
    uint16_t slot_tickets[WI_SLOTS]; // who was put there last
    struct wi_flight flights[WI_TICKETS];
    struct wi_proxy *proxies[WI_PROXIES];
    struct wi_kept kept;        // windows of results; whoever holds the member
    unsigned proxy_count, open; // all, and those whose future is not done
    struct wi_pjob *writing;    // whose large argument is being written
};

struct wi_counts {
    uint64_t submitted, done, failed, crashed, canceled, overran, retried;
    uint64_t started, died; // workers
};

struct wi_pool {
    weft_executor base;
    struct wi_mutex lock;
    struct wi_pool *next; // of all pools; the free list
    uint32_t born;        // wi_fresh_number
    uint32_t id;
    uint32_t pins; // futex word: who uses it without being its caller
    struct {
        unsigned workers;
        char name[16];
        struct wi_spec spec;
        bool parcels; // its workers can read them
        struct wi_name initializer, finalizer;
        int64_t idle_timeout, max_age, grace, leave; // ns
        unsigned min_workers, max_jobs;
        size_t max_rss, window;
        enum weft_when_full when_full;
        void *init_arg;
        size_t init_size;
    } set;
    struct wi_open_pool open;
    struct wi_errand tend;  // start workers, send idle ones away
    struct wi_alarm retry;  // the same, later
    struct wi_alarm shrink; // the same, when it may have too many
    struct wi_alarm audit;  // look for workers that have lost their wits
    bool audits;            // it is set
    struct wi_member *members;
    unsigned size; // workers that should be there; without the spare
    unsigned peak; // most that were active since the last look
    int64_t shrink_at;
    unsigned alive;   // STARTING and READY, not retiring
    unsigned active;  // READY with jobs, not blocked
    unsigned blocked; // READY, the job waits
    unsigned starting;
    unsigned extra; // workers beyond all reason: without them all would wait
    struct wi_member *idle, *turn;
    struct wi_pjob *first,
        *last_of[WI_LANES]; // the queue; the last of each rank
    struct {
        size_t used;
        struct wi_waiters waiting;
    } gate;
    struct wi_counts counts;
    size_t pending, jobs; // in the queue; all not ended
    unsigned turns;       // submits while there was a queue
    unsigned failures;    // starts in a row that came to nothing
    int64_t not_before;   // no start until then
    int64_t stuck_at;     // when a queue that does not move counts as stuck
    uint64_t stuck_first; // its first job
    int64_t trim_at; // when workers that are too many go; 0: there are none
    bool tending;    // the supervisor is at it
    bool closing, stopping, broken;
    bool canceling; // what was pending has been canceled: nothing begins anew
    bool ending;    // all jobs are, and what they still submit
    int broken_code;
    char broken_text[WEFT_TEXT_SIZE];
    struct wi_task *closer;
    uint32_t name_count;
    const struct weft_job *jobs_by_hash[2 * WI_JOB_NAMES];
    uint16_t numbers_by_hash[2 * WI_JOB_NAMES];
    struct wi_job_name names[WI_JOB_NAMES];
    uint64_t deaths[WI_PHASES]; // by phase, for tests
};

// What futures will be told.
struct wi_outcome {
    weft_future *future;
    int code;
    bool bytes;
    size_t size;
    void *heap; // the result if it does not fit in data; a text if code < 0
    struct wi_parcel *parcel; // of the argument, to be dropped
    uint8_t data[WI_INLINE];
};
enum { WI_OUTCOMES = 32 };
struct wi_outcomes {
    unsigned n;
    struct wi_outcome items[WI_OUTCOMES];
};

static inline bool wi_outcomes_full(const struct wi_outcomes *out)
{
    return out->n == WI_OUTCOMES;
}

// pool.c
struct wi_pjob *wi_pjob_new(struct wi_pool *pool, const struct weft_job *job);
void wi_pjob_free(struct wi_pjob *job);
int wi_pjob_number(struct wi_pjob *job); // name it in the pool
void wi_pjob_take_terms(struct wi_pjob *job, const struct wi_terms *terms);
// Room for size bytes of argument, which is noted in the job. NULL: no memory.
void *wi_pjob_room(struct wi_pjob *job, size_t size);
weft_future *wi_pool_submit(struct wi_pjob *job, const char *name);
// Under the lock: the job is over. out is not full.
struct wi_outcome *wi_pjob_end(struct wi_pjob *job, int code, const char *text,
                               struct wi_outcomes *out);
struct wi_pool *wi_pool_pin(uint64_t id);
void wi_pool_unpin(struct wi_pool *pool);
void wi_outcomes_tell(struct wi_outcomes *out); // without the lock
extern struct wi_mutex wi_pools_lock;
extern struct wi_pool *wi_pools;
uint64_t wi_pool_id(weft_executor *ex); // 0: it is no process pool
extern uint32_t wi_process_jobs;        // atomic: jobs not ended, of all pools

struct wi_pool *wi_pool_of(weft_executor *ex); // NULL: it is no process pool
// Takes a job that must not go on out of the pool. Under the lock; out->n grows
// unless the job is doomed only: then it will fail soon, or be done.
void wi_pjob_stop(struct wi_pjob *job, int code, const char *text,
                  struct wi_outcomes *out);
// Ends a job that runs, and its worker.
void wi_pjob_kill(struct wi_pjob *job, int code, const char *text,
                  struct wi_outcomes *out);
const char *wi_doom_text(int code); // of a job that is doomed

// queue.c, under the lock
void wi_queue_push(struct wi_pjob *job, bool front); // of its rank
void wi_queue_remove(struct wi_pjob *job);           // it is HELD now
struct wi_pjob *wi_queue_first(struct wi_pool *pool, unsigned rank); // or NULL

// gate.c. Entering, with the rank that the job will have: 0, -EAGAIN if the
// window is full, or what ended the wait for a place. Leaving and closing are
// under the lock.
int wi_gate_enter(struct wi_pjob *job, unsigned rank);
void wi_gate_leave(struct wi_pjob *job);
void wi_gate_close(struct wi_pool *pool); // nobody waits any more

// size.c, under the lock
void wi_size_begin(struct wi_pool *pool);
void wi_size_grow(struct wi_pool *pool); // a job found no worker
void wi_size_look(struct wi_pool *pool); // the supervisor looks

// wear.c, under the lock
void wi_wear_count(struct wi_member *member); // it has ended a job
bool wi_wear_old(struct wi_member *member);   // it was, and has been sent away
void wi_wear_look(struct wi_member *member);  // the supervisor looks
unsigned wi_wear_left(const struct wi_member *member); // jobs it may still take

// overrun.c
void wi_overrun_begin(struct wi_member *member, struct wi_pjob *job);
void wi_overrun_rang(struct wi_alarm *alarm);

// stats.c, under the lock
void wi_stats_end(struct wi_pool *pool, int code); // a job has ended so

// dispatch.c, all under the lock
void wi_dispatch(struct wi_pool *pool); // may leave the lock for a while
bool wi_recall(struct wi_pjob *job);    // it had not started; it is HELD now
void wi_recall_all(struct wi_member *member); // back into the queue
void wi_rebalance(struct wi_pool *pool);
void wi_flight_end(struct wi_member *member, unsigned ticket);
bool wi_flight_started(struct wi_member *member, unsigned ticket);
void wi_member_idle(struct wi_member *member);
void wi_member_not_idle(struct wi_member *member);
bool wi_has_room(const struct wi_member *member); // for one more request

// drain.c
// Takes in what a member has said, as far as out has room, and not more than
// its ring holds; under the lock, which it may leave for a while. Whether there
// was something.
bool wi_drain(struct wi_member *member, struct wi_outcomes *out);
bool wi_may_hear(const struct wi_member *member); // whether wi_drain will
static inline bool wi_has_said(struct wi_member *member)
{
    uint32_t at = member->heard;
    // acquire: pairs with the worker's release of the frame
    return __atomic_load_n(&member->ring->frames[at % WI_FRAMES].sequence,
                           __ATOMIC_ACQUIRE) == at + 1;
}
// Asks the worker for a bell at its next frame; under the lock. false: there
// is one already.
bool wi_listen(struct wi_member *member);

// member.c
void wi_pool_tend(struct wi_pool *pool);        // the supervisor looks after it
bool wi_pool_grows(const struct wi_pool *pool); // under the lock
void wi_pool_tend_errand(struct wi_errand *errand);
void wi_pool_retry(struct wi_alarm *alarm);
void wi_pool_shrink(struct wi_alarm *alarm);
void wi_pool_audit(struct wi_alarm *alarm);
// Under the lock: at once; as gently as the pool's grace says; when it has
// nothing left to do.
void wi_member_kill(struct wi_member *member, const char *why);
void wi_member_finish(struct wi_member *member, const char *why); // seems dead
void wi_member_stop(struct wi_member *member, const char *why);
void wi_member_retire(struct wi_member *member);
void wi_member_leaves(struct wi_member *member); // has nothing left to do
// Takes in all that it has said by now. On the supervisor, under the lock,
// which it leaves in between; the member stays. Returns the number of frames.
uint32_t wi_member_take_in(struct wi_member *member);
void wi_pool_leave(struct wi_pool *pool); // wakes the closer
void wi_pool_break(struct wi_pool *pool, int code, const char *text);

// ask.c, under the lock
void wi_ask(struct wi_member *member, struct wi_frame *frame, uint32_t at);
void wi_reply_run(struct wi_member *member);
bool wi_ask_forget(struct wi_member *member); // it is dead
bool wi_may_run_on(const struct wi_pjob *job, const struct wi_member *member);

// help.c
void wi_help_start(void);

#endif
