// SPDX-License-Identifier: MIT
//
// The memory of the records. A chunk is four megabytes at an address that is a
// multiple of its size: a page for its head, then 341 blocks of 64 records,
// three pages each. Chunks are never unmapped, since a late wake may look at a
// record long after its end. Blocks get their memory when their records are
// made, and give it back, by a trim, when all 64 are free; then they are bare,
// read as zero, and are made again before a new block is.
//
// Each thread keeps a small free list; full batches travel between threads
// through a common pool, so that a thread that only allocates and one that
// only frees cost one lock in 64 records. Its end gives the list back, whatever
// thread it is: that is seen to when it gets its first free record. So that
// this costs the others nothing, a thread without one counts as full.
//
// A trim takes the whole pool, counts in each block which of its records are
// there, and sorts the records by that: those of a full block go, the others
// return to the pool in new batches. Meanwhile other threads find the pool
// empty and make new records.
//
// Who may still look at the record of a bare block, and what about it?
//   - Who has a hint finds generation 0 and WI_FREE, and has to do with queued
//     or running records only. When the block is made again, its generations
//     go on after the highest that it had.
//   - A late wake marks the record in `inflight`, looks at its owner, finds
//     none, and takes the mark off (wi_mail). Only a wake that found an owner
//     puts the record into an inbox, which needs `mail` to stay as it is. So a
//     record with a mark keeps its block. The trim looks by a
//     read-modify-write: a wake that marks later sees all that the trim has
//     seen, the empty owner among it.
//   - A late permit for a thread's record lies in a free record, as ever: the
//     next park of whoever has it then returns at once, which parks may.
#include "sched/records.h"

#include <stddef.h>
#include <string.h>

#include "base/cold.h"
#include "base/fresh.h"
#include "os/futex.h"
#include "os/memory.h"
#include "os/thread.h"
#include "sched/here.h"
#include "sched/sanitizer.h"
#include "sched/task.h"

enum {
    CHUNK_BYTES = 4 << 20,
    BLOCK_BYTES = WI_RECORD_BATCH * sizeof(struct wi_task),
    ID_BLOCK = 1024, // ids a thread takes at once
    TRIM_FROM = 16,  // batches in the pool
    DISCARDS = 64,   // blocks that are given back by one call
    BARE_WORDS = sizeof((struct wi_task_chunk *)0)->bare / sizeof(uint64_t),
};
_Static_assert(WI_RECORDS_BEGIN + WI_RECORD_BLOCKS * BLOCK_BYTES == CHUNK_BYTES,
               "blocks fill their chunk");
_Static_assert(BLOCK_BYTES % WI_RECORDS_BEGIN == 0, "a block is whole pages");

struct wi_task_chunk *wi_task_chunks;

static struct {
    struct wi_mutex lock; // innermost: no other lock is taken inside it
    // Free records: linked by `next` in a batch, by `sibling` between them.
    struct wi_task *batches;
    uint32_t count;             // batches; read without the lock
    uint32_t left;              // of these, after the last trim
    bool trimming;              // somebody has them
    struct wi_task_chunk *bare; // chunks with bare blocks
} pool;
static uint64_t id_counter = 1;

// Nothing runs this record any more: whatever it holds has no owner.
static void bury(struct wi_task *t, void *arg)
{
    (void)arg;
    if ((t->state & WI_PHASE) == WI_FREE)
        return; // its block may be bare
    t->edge = 0;
    t->owner = 0;
    t->state = ((t->state & ~(WI_GEN - 1u)) + WI_GEN) | WI_FREE;
}

// In a fork's child: the records of the parent are gone, and never used again.
static void fresh(void)
{
    wi_task_each(bury, NULL);
    memset(&pool, 0, sizeof pool);
    for (struct wi_task_chunk *c = wi_task_chunks; c != NULL; c = c->next) {
        memset(c->bare, 0, sizeof c->bare);
        c->bare_count = 0;
    }
}

__attribute__((constructor)) static void register_fresh(void)
{
    wi_fresh_add(fresh);
}

// How many there are in a batch stands in its first one, where a record that is
// used has its deadline; to count them would go to the memory of each.
static int64_t *batch_size(struct wi_task *batch)
{
    return &batch->deadline;
}

static struct wi_task *records_of(struct wi_task_chunk *chunk)
{
    return (struct wi_task *)((char *)chunk + WI_RECORDS_BEGIN);
}

// Making ----------------------------------------------------------------------

static struct wi_task_chunk *chunk_new(void)
{
    struct wi_task_chunk *chunk = wi_os_map_aligned(CHUNK_BYTES);
    if (chunk == NULL)
        return NULL;
    wi_sanitizer_add_roots(chunk, CHUNK_BYTES);
    chunk->next = wi_task_chunks;
    // release: a reader in another process or thread that sees the chunk sees
    // what it leads to
    __atomic_store_n(&wi_task_chunks, chunk, __ATOMIC_RELEASE);
    return chunk;
}

// Takes a bare block of the chunk at the head of the list.
static unsigned take_bare(struct wi_task_chunk *chunk)
{
    unsigned word = 0;
    while (chunk->bare[word] == 0)
        word++;
    unsigned bit = (unsigned)__builtin_ctzll(chunk->bare[word]);
    chunk->bare[word] &= chunk->bare[word] - 1;
    if (--chunk->bare_count == 0)
        pool.bare = chunk->next_bare;
    return word * 64 + bit;
}

// A block for the caller, under the lock; false: no memory.
static bool take_block(struct wi_task_chunk **chunk, unsigned *index)
{
    *chunk = pool.bare;
    if (*chunk != NULL) {
        *index = take_bare(*chunk);
        return true;
    }
    *chunk = wi_task_chunks;
    if (*chunk == NULL || (*chunk)->count == WI_RECORD_BLOCKS * WI_RECORD_BATCH)
        *chunk = chunk_new();
    if (*chunk == NULL)
        return false;
    *index = (*chunk)->count / WI_RECORD_BATCH;
    // release: as above
    __atomic_store_n(&(*chunk)->count, (*chunk)->count + WI_RECORD_BATCH,
                     __ATOMIC_RELEASE);
    return true;
}

// Makes the records of a block, which the caller has taken, and links them.
static struct wi_task *make_block(struct wi_task_chunk *chunk, unsigned index)
{
    struct wi_task *records = records_of(chunk) + index * WI_RECORD_BATCH;
    uint32_t state = (uint32_t)chunk->blocks[index].first * WI_GEN | WI_FREE;
    for (unsigned i = 0; i < WI_RECORD_BATCH; i++) {
        // relaxed: who has an old hint finds that it is none, either way
        __atomic_store_n(&records[i].state, state, __ATOMIC_RELAXED);
        records[i].next = i + 1 < WI_RECORD_BATCH ? &records[i + 1] : NULL;
    }
    *batch_size(records) = WI_RECORD_BATCH;
    return records;
}

static struct wi_task *pool_pop(void)
{
    struct wi_task *batch = pool.batches;
    if (batch == NULL)
        return NULL;
    pool.batches = batch->sibling;
    batch->sibling = NULL;
    // relaxed: wi_records_want_trim may see it late
    __atomic_store_n(&pool.count, pool.count - 1, __ATOMIC_RELAXED);
    if (pool.left > pool.count)
        __atomic_store_n(&pool.left, pool.count, __ATOMIC_RELAXED);
    return batch;
}

static struct wi_task *next_batch(void)
{
    struct wi_task_chunk *chunk = NULL;
    unsigned index;
    wi_mutex_lock(&pool.lock);
    struct wi_task *batch = pool_pop();
    bool take = batch == NULL && take_block(&chunk, &index);
    wi_mutex_unlock(&pool.lock);
    return take ? make_block(chunk, index) : batch;
}

// From now on the thread has a free list.
static void keep(struct wi_this_thread *here)
{
    here->keeps = 1;
    wi_os_thread_watch_exit(here);
}

bool wi_task_refill(struct wi_this_thread *here)
{
    if (here->next_id == here->end_id) {
        // relaxed: only uniqueness matters
        here->next_id =
            __atomic_fetch_add(&id_counter, ID_BLOCK, __ATOMIC_RELAXED);
        here->end_id = here->next_id + ID_BLOCK;
    }
    if (here->free == NULL && (here->free = next_batch()) != NULL) {
        here->free_count = *batch_size(here->free);
        if (!here->keeps)
            keep(here);
    }
    return here->free != NULL;
}

void wi_task_number_from(uint64_t first)
{
    // relaxed: only uniqueness matters
    __atomic_store_n(&id_counter, first | 1, __ATOMIC_RELAXED);
    wi_here.next_id = wi_here.end_id = 0;
}

// Giving back -----------------------------------------------------------------

static void pool_push(struct wi_task *batch, int size)
{
    *batch_size(batch) = size;
    wi_mutex_lock(&pool.lock);
    batch->sibling = pool.batches;
    pool.batches = batch;
    // relaxed: as in pool_pop
    __atomic_store_n(&pool.count, pool.count + 1, __ATOMIC_RELAXED);
    wi_mutex_unlock(&pool.lock);
}

WI_COLD void wi_records_spill(struct wi_this_thread *here)
{
    if (!here->keeps) {
        here->free_count = 1;
        keep(here);
        return;
    }
    struct wi_task *batch = here->free, *last = batch;
    for (int i = 1; i < WI_RECORD_BATCH; i++)
        last = last->next;
    here->free = last->next;
    here->free_count -= WI_RECORD_BATCH;
    last->next = NULL;
    pool_push(batch, WI_RECORD_BATCH);
}

void wi_records_leave(struct wi_this_thread *here)
{
    if (!here->keeps)
        return;
    while (here->free_count >= WI_RECORD_BATCH)
        wi_records_spill(here);
    if (here->free != NULL)
        pool_push(here->free, here->free_count);
    here->free = NULL;
    here->free_count = 0;
}

void wi_records_end(struct wi_this_thread *here)
{
    wi_records_leave(here);
    here->keeps = 0;
    here->free_count = WI_RECORDS_MOST;
}

// Trimming --------------------------------------------------------------------

bool wi_records_want_trim(void)
{
    // relaxed: a hint. Where pages are larger, blocks are not whole pages.
    return __atomic_load_n(&pool.count, __ATOMIC_RELAXED) >
               __atomic_load_n(&pool.left, __ATOMIC_RELAXED) + TRIM_FROM &&
           wi_os_page_size() == WI_RECORDS_BEGIN;
}

static struct wi_record_block *block_of(struct wi_task *t)
{
    uintptr_t chunk = (uintptr_t)t & ~(uintptr_t)(CHUNK_BYTES - 1);
    return &((struct wi_task_chunk *)chunk)
                ->blocks[((uintptr_t)t - chunk - WI_RECORDS_BEGIN) /
                         BLOCK_BYTES];
}

// Counts the free records of each block that nobody may still link.
static void tally(struct wi_task *batches)
{
    for (; batches != NULL; batches = batches->sibling) {
        // acq_rel: see above; pairs with the exchange in wi_mail
        for (struct wi_task *t = batches; t != NULL; t = t->next)
            if (__atomic_fetch_or(&t->inflight, 0, __ATOMIC_ACQ_REL) == 0)
                block_of(t)->idle++;
    }
}

static bool goes(const struct wi_record_block *block)
{
    return block->idle == WI_RECORD_BATCH;
}

// Forgets the records of the blocks that go, the rest returns to the pool.
static void sort(struct wi_task *batches)
{
    struct wi_task *open = NULL;
    int count = 0;
    while (batches != NULL) {
        struct wi_task *t = batches, *next;
        batches = batches->sibling;
        for (; t != NULL; t = next) {
            next = t->next;
            struct wi_record_block *block = block_of(t);
            uint16_t after = (uint16_t)(t->state / WI_GEN + 1);
            if (goes(block)) {
                if ((int16_t)(after - block->first) > 0)
                    block->first = after;
                continue;
            }
            t->sibling = NULL;
            t->next = open;
            open = t;
            if (++count == WI_RECORD_BATCH) {
                pool_push(open, count);
                open = NULL;
                count = 0;
            }
        }
    }
    if (open != NULL)
        pool_push(open, count);
}

// Blocks whose memory goes back with the next call.
struct discards {
    struct wi_os_range ranges[DISCARDS];
    int n;
};

static void flush(struct discards *d)
{
    if (d->n > 0)
        wi_os_discard(d->ranges, d->n);
    d->n = 0;
}

static bool continues(const struct discards *d, const void *block)
{
    if (d->n == 0)
        return false;
    const struct wi_os_range *last = &d->ranges[d->n - 1];
    return (const char *)last->base + last->size == block;
}

static void discard(struct discards *d, void *block)
{
    if (continues(d, block)) {
        d->ranges[d->n - 1].size += BLOCK_BYTES;
        return;
    }
    if (d->n == DISCARDS)
        flush(d);
    d->ranges[d->n++] = (struct wi_os_range){block, BLOCK_BYTES};
}

// Blocks that have no memory any more may be made again.
static void become_bare(struct wi_task_chunk *chunk, const uint64_t *bare,
                        uint32_t count)
{
    wi_mutex_lock(&pool.lock);
    if (chunk->bare_count == 0) {
        chunk->next_bare = pool.bare;
        pool.bare = chunk;
    }
    for (unsigned i = 0; i < BARE_WORDS; i++)
        chunk->bare[i] |= bare[i];
    chunk->bare_count += count;
    wi_mutex_unlock(&pool.lock);
}

// The blocks of a chunk that go become bare once their memory is back.
static void strip(struct wi_task_chunk *chunk)
{
    struct discards discards = {.n = 0};
    uint64_t bare[BARE_WORDS] = {0};
    uint32_t count = 0;
    for (unsigned i = 0; i < WI_RECORD_BLOCKS; i++) {
        if (goes(&chunk->blocks[i])) {
            discard(&discards, records_of(chunk) + i * WI_RECORD_BATCH);
            bare[i / 64] |= UINT64_C(1) << i % 64;
            count++;
        }
        chunk->blocks[i].idle = 0;
    }
    flush(&discards);
    if (count > 0)
        become_bare(chunk, bare, count);
}

// The whole pool, for the one who trims; NULL if there is none, or another.
static struct wi_task *trim_begin(void)
{
    wi_mutex_lock(&pool.lock);
    struct wi_task *batches = pool.trimming ? NULL : pool.batches;
    if (batches != NULL) {
        pool.trimming = true;
        pool.batches = NULL;
        // relaxed: as in pool_pop
        __atomic_store_n(&pool.count, 0, __ATOMIC_RELAXED);
    }
    wi_mutex_unlock(&pool.lock);
    return batches;
}

static void trim_end(void)
{
    wi_mutex_lock(&pool.lock);
    pool.trimming = false;
    __atomic_store_n(&pool.left, pool.count, __ATOMIC_RELAXED);
    wi_mutex_unlock(&pool.lock);
}

void wi_records_trim(struct wi_this_thread *here)
{
    wi_records_leave(here);
    struct wi_task *batches = trim_begin();
    if (batches == NULL)
        return;
    tally(batches);
    sort(batches);
    // acquire: pairs with the release in chunk_new
    struct wi_task_chunk *chunk =
        __atomic_load_n(&wi_task_chunks, __ATOMIC_ACQUIRE);
    for (; chunk != NULL; chunk = chunk->next)
        strip(chunk);
    trim_end();
}

// Looking ---------------------------------------------------------------------

void wi_task_each(void (*fn)(struct wi_task *t, void *arg), void *arg)
{
    // acquire: pairs with the release in chunk_new
    struct wi_task_chunk *chunk =
        __atomic_load_n(&wi_task_chunks, __ATOMIC_ACQUIRE);
    for (; chunk != NULL; chunk = chunk->next) {
        // acquire: pairs with the release in take_block
        uint32_t count = __atomic_load_n(&chunk->count, __ATOMIC_ACQUIRE);
        for (uint32_t i = 0; i < count; i++)
            fn(&records_of(chunk)[i], arg);
    }
}
