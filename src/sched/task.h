// SPDX-License-Identifier: MIT
//
// task.h: the record. A task, a job, a thread and a promise are each one
// struct wi_task: what the user holds as weft_future or weft_waiter, what the
// scheduler queues and switches to, and what `weft ps` reads.
//
// Records are type-stable: they live in arenas that are never freed or moved,
// so a late wake or a reader in another process may look at a recycled record,
// never at something else. A generation in the state word tells incarnations
// apart; a (record, generation) pair packed in one word is a wi_hint.
//
// Who may write what:
//   owner        the worker or thread that runs the record, alone
//   self         the code that runs as this record
//   any          anybody, atomically
//
// The parking protocol. Parking state is private to the worker: `owner` says
// which worker or thread runs the record and whether it is parked, and only
// that one writes it. A wake from elsewhere is a message: exchange `inflight`,
// push the record to the owner's inbox, and make the owner look. So the window
// between "parked" and "switched out" does not exist. A message that finds
// another owner is passed on, one that finds a record which runs leaves
// `permit`, which the next park consumes.
#ifndef WI_SCHED_TASK_H
#define WI_SCHED_TASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weft/job.h>
#include <weft/scope.h>

#include "os/futex.h"
#include "sched/here.h"
#include "sched/park.h"
#include "sched/records.h"

struct wi_external_ops;
struct wi_locals;
struct wi_runtime;
struct wi_switch_point;
struct wi_worker;

enum wi_kind {
    WI_KIND_TASK = 1,
    WI_KIND_JOB,     // a job on a thread pool
    WI_KIND_THREAD,  // an OS thread started by Weft
    WI_KIND_FOREIGN, // an OS thread that called Weft
    WI_KIND_PROCESS,
    WI_KIND_PROCESS_JOB,
    WI_KIND_PROMISE,
    WI_KIND_FAILED // a start that failed
};

// The state word: phase in bits 0-1, flags, generation in bits 16-31.
enum {
    WI_FREE = 0,
    WI_QUEUED = 1, // may still be claimed by whoever wants to run or cancel it
    WI_RUNNING = 2,
    WI_DONE = 3,
    WI_PHASE = 3,
    WI_LOCKED = 1 << 2,    // somebody edits the list of waiters
    WI_WAITED = 1 << 3,    // the list of waiters is not empty
    WI_CANCELED = 1 << 4,  // weft_cancel was called
    WI_OBSERVED = 1 << 5,  // somebody has asked for the code
    WI_PUBLISHED = 1 << 6, // stands in the table of ids: weft_future_id
    WI_CLOSING = 1 << 7,   // an external one that somebody completes
    WI_GEN = 1 << 16,      // one generation
};

// Flags of a record, constant from its start except where said.
enum {
    WI_HEAP_RESULT = 1,  // data.heap is memory from malloc
    WI_BYTES_RESULT = 2, // the result is a struct weft_bytes
    WI_IMMORTAL = 4,     // never recycled: the ENOMEM future
    WI_HEAP_ARG = 8,     // a job's argument lies at arg, from malloc
    WI_KEPT = 16,        // runs inside the join of its only holder, who has the
                         // one reference: see run_inline
    WI_ROAMS = 32,       // may go on on another worker: roam.c
    WI_PINNED = 64,      // self: may not now: it runs inside a join, or has a
                         // fork-join run of its own
};

// A record together with its generation, in one word: user addresses have 48
// bits here (x86-64 and aarch64, 4-level tables).
typedef uint64_t wi_hint;

// What few records need. Its memory serves nothing else, ever: a reader that is
// late finds another one's.
struct wi_extra {
    char name[32];
    char *text;              // from malloc; set once before DONE
    void (*drop)(void *arg); // to call if the body never runs
    const struct wi_external_ops *ops;
    void *external;             // the producer's object
    pid_t native;               // the kernel's id of a thread
    uint32_t external_lock;     // see external.c
    void *left;                 // what the producer has left; from malloc
    void *kept;                 // what it keeps here, let go of with the record
    void (*let_go)(void *kept); // NULL: there is none
    struct wi_locals *own;      // values of the task: future/local.c
    struct wi_locals *inherited;
    struct wi_extra *next; // free list
};

// One waiter of a future, in the waiter's storage. Before DONE the list
// belongs to whoever holds WI_LOCKED; after DONE the completer owns the nodes:
// it reads what it needs, stores `granted`, and never looks at them again.
struct wi_node {
    struct wi_node *next, *prev;
    // Called by the completer instead of an unpark; the node is dead when it
    // returns, unless it says otherwise itself.
    void (*fire)(struct wi_node *node, struct wi_task *future);
    struct wi_task *waiter;
    uint32_t granted; // release by the completer, acquire by the waiter
};

struct wi_task {
    // What a switch touches.
    struct wi_switch_point *point; // owner: where to go on, while parked
    struct wi_task *next;          // owner: the ready queue, or the free list
    uintptr_t owner;      // owner: worker or thread, WI_PARKED, WI_THREAD;
                          // any, of one that roams: roam.c
    uint32_t state;       // any: see above
    uint32_t refs;        // any: handles, plus one for whoever will finish it
    struct wi_task *mail; // the link in an inbox
    uint16_t inflight;    // any: in an inbox
    uint16_t held;        // self: how many locks it holds
    uint32_t permit;      // owner: an unpark came while it ran. Threads:
                          // any, the futex word (park.c)
    struct weft_scope *scope; // self: the innermost scope, NULL: the base
    int64_t deadline; // that it began with: its group, its job. Constant

    // Who it is and what it waits for; read by `weft ps`.
    uint64_t id;
    const void *wait_object; // self
    uint64_t edge;           // self: see deadlock.h
    void *frame;             // self: of the running job (exec/job.c)
    uint16_t wait_kind;      // self: enum wi_wait_kind
    uint8_t kind;            // enum wi_kind
    uint8_t flags;
    int code;                // completer, before DONE
    weft_group *group;       // constant while running
    struct wi_task *sibling; // under the group's lock
    struct wi_task **sibling_link;

    // What it does and what came of it.
    union {
        weft_function *fn;
        const struct weft_job *job; // WI_KIND_JOB; of a foreign thread: none,
                                    // or what a worker process runs
    };
    void *arg;               // a job's argument of up to 8 bytes lies here
    struct wi_node *waiters; // under WI_LOCKED
    struct wi_extra *extra;  // NULL for most
    struct wi_runtime *home; // where it was started
    uint32_t result_size;
    uint32_t visited; // under the lock of deadlock.c
    union {
        char bytes[16];
        void *heap;
        struct weft_bytes blob;
    } data;
};
_Static_assert(sizeof(struct wi_task) == 192, "three cache lines a record");

// Whether t is never recycled. The kind is looked at first: it is constant,
// while the flags of a job that runs may change.
static inline bool wi_task_immortal(const struct wi_task *t)
{
    return t->kind == WI_KIND_FAILED && (t->flags & WI_IMMORTAL);
}

// The low bits of `owner`.
#define WI_PARKED      ((uintptr_t)1)
#define WI_THREAD      ((uintptr_t)2)
#define WI_ROAMING     ((uintptr_t)4) // these two: roam.c
#define WI_WOKEN_AGAIN ((uintptr_t)8)
#define WI_OWNER_MASK  (~(uintptr_t)15)
_Static_assert(_Alignof(struct wi_this_thread) > ~WI_OWNER_MASK,
               "the marks have room in a thread's address");

static inline weft_future *wi_as_future(struct wi_task *t)
{
    return (weft_future *)t;
}

static inline struct wi_task *wi_of_future(weft_future *f)
{
    return (struct wi_task *)f;
}

static inline wi_hint wi_hint_of(struct wi_task *t)
{
    uint64_t gen = __atomic_load_n(&t->state, __ATOMIC_RELAXED) >> 16;
    return (uint64_t)(uintptr_t)t | gen << 48;
}

static inline struct wi_task *wi_hint_task(wi_hint hint)
{
    return (struct wi_task *)(uintptr_t)(hint & 0xffffffffffffu);
}

static inline uint32_t wi_hint_gen(wi_hint hint)
{
    return (uint32_t)(hint >> 48);
}

// Whether the record that a hint stands for waits no more to be claimed, in its
// life or in a later one.
static inline bool wi_hint_is_dead(wi_hint hint)
{
    // relaxed: nothing is read but the state; a record never comes back to it
    uint32_t state =
        __atomic_load_n(&wi_hint_task(hint)->state, __ATOMIC_RELAXED);
    return state >> 16 != wi_hint_gen(hint) || (state & WI_PHASE) != WI_QUEUED;
}

// How many records were canceled before they began, in the whole process.
extern uint64_t wi_task_cancels; // atomic

// Claims an unstarted record for running it (bits 0), or for ending it
// (bits WI_CANCELED).
static inline bool wi_task_claim(struct wi_task *t, uint32_t gen, uint32_t bits)
{
    uint32_t state = __atomic_load_n(&t->state, __ATOMIC_RELAXED);
    while ((state & WI_PHASE) == WI_QUEUED && state >> 16 == gen) {
        uint32_t next = (state & ~(uint32_t)WI_PHASE) | WI_RUNNING | bits;
        // acquire: pairs with the release by which the record was queued
        if (!__atomic_compare_exchange_n(&t->state, &state, next, true,
                                         __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
            continue;
        if (bits & WI_CANCELED) // relaxed: a number; see wi_lane_make_room
            __atomic_fetch_add(&wi_task_cancels, 1, __ATOMIC_RELAXED);
        return true;
    }
    return false;
}

// Whether this thread has a record and an id for the next one.
static inline bool wi_task_at_hand(const struct wi_this_thread *here)
{
    return here->free != NULL && here->next_id != here->end_id;
}

// A fresh record of those at hand: phase `phase`, refs references, a new id.
static inline struct wi_task *wi_task_at_hand_new(struct wi_this_thread *here,
                                                  enum wi_kind kind,
                                                  uint32_t phase, uint32_t refs)
{
    struct wi_task *t = here->free;
    here->free = t->next;
    here->free_count--;
    t->id = here->next_id++;
    t->kind = (uint8_t)kind;
    t->refs = refs;
    t->deadline = WI_FOREVER;
    // relaxed: whoever gets the record gets it through a queue or a lock;
    // stale hints read only the state, where the generation tells them
    uint32_t gen =
        __atomic_load_n(&t->state, __ATOMIC_RELAXED) & ~(WI_GEN - 1u);
    __atomic_store_n(&t->state, gen | phase, __ATOMIC_RELAXED);
    return t;
}

// A fresh record; NULL: no memory.
static inline struct wi_task *wi_task_new(enum wi_kind kind, uint32_t phase,
                                          uint32_t refs)
{
    struct wi_this_thread *here = &wi_here;
    if (__builtin_expect(!wi_task_at_hand(here), false) &&
        !wi_task_refill(here))
        return NULL;
    return wi_task_at_hand_new(here, kind, phase, refs);
}

// Gives the record its extra part; false: no memory.
bool wi_task_need_extra(struct wi_task *t);
bool wi_task_set_name(struct wi_task *t, const char *name);
const char *wi_kind_name(unsigned kind);
// `task "parse" (id 12)`, without the quotes if it has no name.
void wi_task_describe(const struct wi_task *t, char *text, size_t size);

#define WI_SCOPES_OPEN                                                         \
    "its function must leave its scopes and groups before it ends"

// wi_panic where no call is to blame, but what the program has in this task.
_Noreturn void wi_task_panic(const struct wi_task *t, const void *object,
                             const char *rule);

const char *wi_task_name(const struct wi_task *t);

// Reference counting; the last one recycles the record.
void wi_task_ref(struct wi_task *t);
void wi_task_unref(struct wi_task *t);

// Misuse of a handle, as far as it can be seen: until its record is used again.
#define WI_TASK_GONE                                                           \
    "the handle's last reference was given back before "                       \
    "(a join gives one back, too)"

static inline bool wi_task_gone(struct wi_task *t)
{
    return (__atomic_load_n(&t->state, __ATOMIC_RELAXED) & WI_PHASE) == WI_FREE;
}

// Called for the last reference of a record that is published or has failed
// unobserved; set by the futures above.
extern void (*wi_task_last_words)(struct wi_task *t);

// Locks that a record still holds when it ends; set by sync/lock.c.
struct wi_held_ops {
    void (*report)(struct wi_task *t); // it is about to end
    void (*orphaned)(void);            // it has: whoever waits must look again
};
extern const struct wi_held_ops *wi_held_ops;

#endif
