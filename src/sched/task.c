// SPDX-License-Identifier: MIT
//
// Records come from chunks that are never freed. Each thread keeps a small
// free list; full batches travel between threads through a common pool, so
// that a thread that only allocates and one that only frees cost one lock in
// 64 records.
#include "sched/task.h"

#include <stdlib.h>
#include <string.h>

#include "base/cold.h"
#include "base/fresh.h"
#include "base/text.h"
#include "sched/here.h"

enum {
    BATCH = 64,          // records that move between threads at once
    CHUNK_BYTES = 65536, // one arena chunk
    ID_BLOCK = 1024,     // ids a thread takes at once
};

// Used: an instruction of arch.h names it.
__thread struct wi_this_thread wi_here_storage
    __attribute__((used, tls_model("initial-exec"), visibility("hidden")));

struct wi_task_chunk *wi_task_chunks;

// Keeps the root that leads a reader to the chunks (inspect/root.c) in programs
// that are linked with the static library.
extern char wi_root[];
__attribute__((used)) static void *const keep_root = wi_root;

void (*wi_task_last_words)(struct wi_task *t);
const struct wi_held_ops *wi_held_ops;

static struct wi_mutex pool_lock;
// Batches of free records: linked by `next` inside, by `sibling` outside.
static struct wi_task *pool;
static struct wi_extra *extra_pool;
static uint64_t id_counter = 1;

// Nothing runs this record any more: whatever it holds has no owner.
static void bury(struct wi_task *t, void *arg)
{
    (void)arg;
    t->edge = 0;
    t->owner = 0;
    t->state = ((t->state & ~(WI_GEN - 1u)) + WI_GEN) | WI_FREE;
}

// In a fork's child: the records of the parent are gone, and never used again.
static void fresh(void)
{
    wi_task_each(bury, NULL);
    pool_lock = (struct wi_mutex){0};
    pool = NULL;
    extra_pool = NULL;
}

__attribute__((constructor)) static void register_fresh(void)
{
    wi_fresh_add(fresh);
}

// Records begin at a cache line of their own.
static struct wi_task *chunk_records(struct wi_task_chunk *chunk)
{
    return (struct wi_task *)((char *)chunk + 64);
}

// Makes a chunk and returns its records as one free list.
static struct wi_task *chunk_new(void)
{
    struct wi_task_chunk *chunk = aligned_alloc(4096, CHUNK_BYTES);
    if (chunk == NULL)
        return NULL;
    memset(chunk, 0, CHUNK_BYTES);
    chunk->count = (CHUNK_BYTES - 64) / sizeof(struct wi_task);
    struct wi_task *records = chunk_records(chunk);
    for (uint32_t i = 0; i + 1 < chunk->count; i++)
        records[i].next = &records[i + 1];
    wi_mutex_lock(&pool_lock);
    chunk->next = wi_task_chunks;
    // release: a reader in another process or thread that sees the chunk sees
    // its count
    __atomic_store_n(&wi_task_chunks, chunk, __ATOMIC_RELEASE);
    wi_mutex_unlock(&pool_lock);
    return records;
}

static bool refill(struct wi_this_thread *here)
{
    wi_mutex_lock(&pool_lock);
    struct wi_task *batch = pool;
    if (batch != NULL)
        pool = batch->sibling;
    wi_mutex_unlock(&pool_lock);
    if (batch == NULL)
        batch = chunk_new();
    else
        batch->sibling = NULL;
    here->free = batch;
    here->free_count = 0;
    for (struct wi_task *t = batch; t != NULL; t = t->next)
        here->free_count++;
    return batch != NULL;
}

// Gives the first BATCH records of a full free list to the common pool.
WI_COLD static void spill(struct wi_this_thread *here)
{
    struct wi_task *batch = here->free, *last = batch;
    for (int i = 1; i < BATCH; i++)
        last = last->next;
    here->free = last->next;
    here->free_count -= BATCH;
    last->next = NULL;
    wi_mutex_lock(&pool_lock);
    batch->sibling = pool;
    pool = batch;
    wi_mutex_unlock(&pool_lock);
}

void wi_task_thread_exit(void)
{
    struct wi_this_thread *here = &wi_here;
    while (here->free_count >= BATCH)
        spill(here);
    if (here->free != NULL) {
        wi_mutex_lock(&pool_lock);
        here->free->sibling = pool;
        pool = here->free;
        wi_mutex_unlock(&pool_lock);
    }
    here->free = NULL;
    here->free_count = 0;
}

bool wi_task_refill(struct wi_this_thread *here)
{
    if (here->next_id == here->end_id) {
        // relaxed: only uniqueness matters
        here->next_id =
            __atomic_fetch_add(&id_counter, ID_BLOCK, __ATOMIC_RELAXED);
        here->end_id = here->next_id + ID_BLOCK;
    }
    return here->free != NULL || refill(here);
}

void wi_task_number_from(uint64_t first)
{
    // relaxed: only uniqueness matters
    __atomic_store_n(&id_counter, first | 1, __ATOMIC_RELAXED);
    wi_here.next_id = wi_here.end_id = 0;
}

bool wi_task_need_extra(struct wi_task *t)
{
    if (t->extra != NULL)
        return true;
    wi_mutex_lock(&pool_lock);
    struct wi_extra *extra = extra_pool;
    if (extra != NULL)
        extra_pool = extra->next;
    wi_mutex_unlock(&pool_lock);
    if (extra == NULL)
        extra = malloc(sizeof *extra);
    if (extra == NULL)
        return false;
    memset(extra, 0, sizeof *extra);
    t->extra = extra;
    return true;
}

bool wi_task_set_name(struct wi_task *t, const char *name)
{
    if (name == NULL)
        return true;
    if (!wi_task_need_extra(t))
        return false;
    wi_text_copy(t->extra->name, sizeof t->extra->name, name);
    return true;
}

const char *wi_task_name(const struct wi_task *t)
{
    if (t->extra != NULL && t->extra->name[0] != '\0')
        return t->extra->name;
    return t->kind == WI_KIND_JOB ? t->job->name : "";
}

void wi_task_ref(struct wi_task *t)
{
    // relaxed: the caller has a reference already
    if (!wi_task_immortal(t))
        __atomic_fetch_add(&t->refs, 1, __ATOMIC_RELAXED);
}

static void free_extra(struct wi_task *t)
{
    struct wi_extra *extra = t->extra;
    t->extra = NULL;
    free(extra->text);
    extra->text = NULL;
    free(extra->left);
    extra->left = NULL;
    wi_mutex_lock(&pool_lock);
    extra->next = extra_pool;
    extra_pool = extra;
    wi_mutex_unlock(&pool_lock);
}

static void free_payload(struct wi_task *t)
{
    if (t->flags & WI_BYTES_RESULT)
        free(t->data.blob.data);
    else if (t->flags & WI_HEAP_RESULT)
        free(t->data.heap);
    if (t->flags & WI_HEAP_ARG)
        free(t->arg);
}

// The record goes back to the free list, as a new generation.
static inline void reuse(struct wi_task *t, uint32_t state)
{
    t->flags = 0;
    t->code = 0;
    t->result_size = 0;
    t->waiters = NULL;
    t->scope = NULL;
    t->group = NULL;
    t->home = NULL; // a thread has none, and the runtime may go now
    __atomic_store_n(&t->owner, 0, __ATOMIC_RELEASE);
    __atomic_store_n(&t->permit, 0, __ATOMIC_RELAXED);
    // release: pairs with the acquire of a hint's reader, who then sees
    // another generation
    uint32_t gen = (state & ~(WI_GEN - 1u)) + WI_GEN;
    __atomic_store_n(&t->state, gen | WI_FREE, __ATOMIC_RELEASE);
    struct wi_this_thread *here = &wi_here;
    t->next = here->free;
    here->free = t;
    if (WI_RARELY(++here->free_count >= 4 * BATCH))
        spill(here);
}

// What only some records have goes first.
WI_COLD static void strip_and_reuse(struct wi_task *t, uint32_t state)
{
    bool holds = t->held != 0; // a thread's own record, or a run's main task
    if (holds)
        wi_held_ops->report(t);
    t->held = 0;
    if ((state & WI_PUBLISHED) || (t->code < 0 && !(state & WI_OBSERVED)))
        wi_task_last_words(t);
    free_payload(t);
    if (t->extra != NULL)
        free_extra(t);
    reuse(t, state);
    if (holds)
        wi_held_ops->orphaned();
}

static inline void recycle(struct wi_task *t)
{
    uint32_t state = __atomic_load_n(&t->state, __ATOMIC_RELAXED);
    if (WI_RARELY((state & WI_PUBLISHED) != 0 || t->code < 0 ||
                  (t->flags & ~(WI_KEPT | WI_ROAMS | WI_PINNED)) != 0 ||
                  t->extra != NULL || t->held != 0))
        strip_and_reuse(t, state);
    else
        reuse(t, state);
}

void wi_task_unref(struct wi_task *t)
{
    if (wi_task_immortal(t))
        return;
    // A sole owner needs no read-modify-write, unless the table of ids could
    // hand out one more reference just now. acquire/acq_rel: the last holder
    // sees what all the others did to the record.
    if ((__atomic_load_n(&t->refs, __ATOMIC_ACQUIRE) == 1 &&
         !(__atomic_load_n(&t->state, __ATOMIC_RELAXED) & WI_PUBLISHED)) ||
        __atomic_fetch_sub(&t->refs, 1, __ATOMIC_ACQ_REL) == 1)
        recycle(t);
}

static const char *const kind_names[] = {
    [0] = "free",
    [WI_KIND_TASK] = "task",
    [WI_KIND_JOB] = "job",
    [WI_KIND_THREAD] = "thread",
    [WI_KIND_FOREIGN] = "thread",
    [WI_KIND_PROCESS] = "process",
    [WI_KIND_PROCESS_JOB] = "process job",
    [WI_KIND_PROMISE] = "promise",
    [WI_KIND_FAILED] = "failed start",
};

const char *wi_kind_name(unsigned kind)
{
    return kind < sizeof kind_names / sizeof *kind_names ? kind_names[kind]
                                                         : "?";
}

void wi_task_each(void (*fn)(struct wi_task *t, void *arg), void *arg)
{
    // acquire: pairs with the release in chunk_new
    struct wi_task_chunk *chunk =
        __atomic_load_n(&wi_task_chunks, __ATOMIC_ACQUIRE);
    for (; chunk != NULL; chunk = chunk->next) {
        for (uint32_t i = 0; i < chunk->count; i++)
            fn(&chunk_records(chunk)[i], arg);
    }
}
