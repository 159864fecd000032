// SPDX-License-Identifier: MIT
#include "inspect/root.h"

#include <stddef.h>

#include "sched/deadlock.h"
#include "sched/park.h"
#include "sched/task.h"
#include "sched/worker.h"

#define FIELD(structure, type, member, text)                                   \
    {                                                                          \
        .name = text, .in = (structure),                                       \
        .width = sizeof(((struct type *)0)->member),                           \
        .offset = offsetof(struct type, member)                                \
    }
#define CHUNK(member)  FIELD(WI_ROOT_CHUNK, wi_task_chunk, member, #member)
#define RECORD(member) FIELD(WI_ROOT_RECORD, wi_task, member, #member)
#define EXTRA(member)  FIELD(WI_ROOT_EXTRA, wi_extra, member, #member)
#define JOB(member)    FIELD(WI_ROOT_JOB, weft_job, member, #member)
#define WORKER(member) FIELD(WI_ROOT_WORKER, wi_worker, member, #member)

extern struct wi_root wi_root;

// Not const: it holds an address, which the loader fills in.
__attribute__((section(".weft.root"), used)) struct wi_root wi_root = {
    .magic = {'W', 'E', 'F', 'T', 'R', 'O', 'O', 'T'},
    .version = WI_ROOT_VERSION,
    .size = sizeof(struct wi_root),
    .chunks = (uintptr_t)&wi_task_chunks,
    .chunk_begin = WI_RECORDS_BEGIN,
    .record_size = sizeof(struct wi_task),
    .phase_mask = WI_PHASE,
    .generation = 16,
    .hint_bits = 48,
    .tag_bits = 3,
    .one_tags = 1 << 0 | 1 << WI_EDGE_INLINE | 1 << WI_EDGE_FIRM,
    .owner_parked = WI_PARKED,
    .owner_thread = WI_THREAD,
    .kind_job = WI_KIND_JOB,
    .fields = {CHUNK(next), CHUNK(count), RECORD(id), RECORD(state),
               RECORD(kind), RECORD(flags), RECORD(code), RECORD(wait_kind),
               RECORD(wait_object), RECORD(edge), RECORD(owner), RECORD(group),
               RECORD(home), RECORD(extra), RECORD(job), EXTRA(name),
               EXTRA(native), JOB(name), WORKER(base)},
    .phases = {4,
               {[WI_FREE] = "free",
                [WI_QUEUED] = "queued",
                [WI_RUNNING] = "running",
                [WI_DONE] = "done"}},
    .kinds = {WI_KIND_FAILED + 1,
              {[WI_KIND_TASK] = "task",
               [WI_KIND_JOB] = "job",
               [WI_KIND_THREAD] = "thread",
               [WI_KIND_FOREIGN] = "foreign",
               [WI_KIND_PROCESS] = "process",
               [WI_KIND_PROCESS_JOB] = "process job",
               [WI_KIND_PROMISE] = "promise",
               [WI_KIND_FAILED] = "failed"}},
    .waits = {WI_WAIT_KINDS,
              {[WI_WAIT_NONE] = "",
               [WI_WAIT_SLEEP] = "sleep",
               [WI_WAIT_PARK] = "park",
               [WI_WAIT_YIELD] = "yield",
               [WI_WAIT_FUTURE] = "future",
               [WI_WAIT_SET] = "set",
               [WI_WAIT_GROUP] = "group",
               [WI_WAIT_READ] = "read",
               [WI_WAIT_WRITE] = "write",
               [WI_WAIT_ACCEPT] = "accept",
               [WI_WAIT_CONNECT] = "connect",
               [WI_WAIT_FD] = "fd",
               [WI_WAIT_LOCK] = "lock",
               [WI_WAIT_QUEUE] = "queue",
               [WI_WAIT_POOL] = "pool",
               [WI_WAIT_CONDITION] = "condition",
               [WI_WAIT_SEMAPHORE] = "semaphore",
               [WI_WAIT_EVENT] = "event",
               [WI_WAIT_BARRIER] = "barrier",
               [WI_WAIT_ONCE] = "once",
               [WI_WAIT_CHILD] = "child"}},
    .owned_waits = 1u << WI_WAIT_LOCK | 1u << WI_WAIT_ONCE,
    .owned_flags = WI_OWNED_FLAGS,
    .owned_far = WI_OWNED_FAR,
};
_Static_assert(WI_WAIT_KINDS == WI_WAIT_CHILD + 1, "a wait has no name here");
_Static_assert(WI_GEN == 1 << 16, "the generation's place");

// The note. Its contents are the distance to the root, which is the same
// wherever the program is loaded.
__asm__(".pushsection .note.weft, \"a\", %note\n"
        ".balign 4\n"
        ".long 5\n" // the owner's name, with its NUL
        ".long 8\n" // the contents
        ".long 1\n" // WI_ROOT_NOTE_TYPE
        ".asciz \"Weft\"\n"
        ".balign 4\n"
        ".quad wi_root - .\n"
        ".popsection\n");
