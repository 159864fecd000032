// SPDX-License-Identifier: MIT
//
// segment.h: how the memory of an arena is laid out, and what a process knows
// of one that it has attached. Every address in the memory is an offset from
// its start: each process maps it where it likes.
//
//     struct wi_segment      head, participants, journal, bins
//     the heap               blocks, up to `end`; grows towards `limit`
//
// The processes that attach an arena trust one another: who may write to it
// may spoil it. What is checked is what accidents bring: another version,
// another file, an offset beyond the end.
#ifndef WI_SHARED_SEGMENT_H
#define WI_SHARED_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weft/arena.h>

#include "os/futex.h"
#include "os/life.h"
#include "os/segment.h"

#define WI_SEGMENT_MAGIC   0x616e657261746677u // "wftarena"
#define WI_SEGMENT_VERSION 2u

enum {
    WI_PARTICIPANTS = 1024, // processes that have it attached at once
    WI_JOURNAL = 64,        // words that one operation of the heap may change
    WI_BIN_ROWS = 44,       // one for each power of two from 256 on
    WI_BIN_COLUMNS = 16,
};

// A tag names one attachment of one process for ever: the number of its place
// in the table and the generation of that place. Bit 31 is left for whoever
// keeps a tag in a word with a flag. 0: nobody.
enum { WI_TAG_PLACE = WI_PARTICIPANTS - 1, WI_TAG_STEP = WI_PARTICIPANTS };
#define WI_TAG_FLAG 0x80000000u

// An owner's lock: a tag, and WI_TAG_FLAG if somebody sleeps. See lock.h.
struct wi_shared_lock {
    uint32_t word;
};

// One process. See member.c.
struct wi_participant {
    uint64_t state; // enum wi_place_state | generation << 2 | pid << 32
    uint64_t start; // when that process started
    int32_t life_at;
    uint32_t told; // the tag of which the keepers know that it is dying
    uint32_t slack[10];
    _Alignas(64) char life[WI_LIFE_SIZE];
};
_Static_assert(sizeof(struct wi_participant) == 128, "two cache lines");

struct wi_journal_entry {
    uint64_t at, old;
};

struct wi_segment {
    // Constant once the magic is there.
    uint64_t magic; // last, by release
    uint32_t version;
    uint32_t layout; // sizes of what follows: another build's may differ
    uint64_t id[2];
    uint64_t limit;
    uint32_t pages; // enum wi_pages
    // Any participant.
    uint32_t joined;  // futex: one more has joined, or one has died
    uint32_t places;  // of the table that have ever been taken, and one
    uint32_t unclean; // somebody has died; the heap was not looked through
    uint64_t root;    // atomic: an offset that the user gave
    // Who waits for a shared lock and has for a while: sync/far_cycle.c.
    struct wi_shared_lock waits_lock;
    uint32_t walks; // under it, as the next one
    uint64_t waits; // offset of the first
    // The heap's, under its lock.
    _Alignas(128) struct wi_shared_lock heap_lock;
    uint32_t entries; // of the journal: 0 between operations
    uint64_t end;     // of the heap
    uint64_t fresh;   // what lies behind is zero: see heap.c
    uint64_t used;    // bytes in blocks that are not free
    uint64_t blocks;  // that are not free
    uint64_t rows;    // bit n: row n of the bins is not empty
    uint64_t columns[WI_BIN_ROWS];
    uint64_t bins[WI_BIN_ROWS][WI_BIN_COLUMNS]; // offset of the first block
    struct wi_journal_entry journal[WI_JOURNAL];
    _Alignas(128) struct wi_participant participants[WI_PARTICIPANTS];
};

enum {
    WI_SEGMENT_LAYOUT =
        (sizeof(struct wi_segment) << 8) ^ (WI_PARTICIPANTS << 4) ^ WI_BIN_ROWS,
    WI_HEAP_BEGIN = (sizeof(struct wi_segment) + 4095) / 4096 * 4096
};

// An arena in this process; one for each, however often it is opened.
struct weft_arena {
    char *base;
    uint64_t limit;
    uint64_t id[2]; // as in the segment, which a seal takes out of sight
    int fd;
    uint32_t tag; // this process; 0: it may only read
    bool read_only;
    uint64_t salt; // makes ids of records this process's: see wi_salt_of
    uint32_t born; // wi_fresh_number
    uint32_t refs; // under the lock of attach.c
    struct weft_arena *next; // the same
    // The keeper's, under its lock.
    struct weft_arena *next_kept;
    bool watched; // lives of others are watched
    uint32_t joined_seen;
    void *offer; // what gives it to other processes: offer.c
};

static inline bool wi_arena_has_id(const weft_arena *a, const uint64_t id[2])
{
    return a->id[0] == id[0] && a->id[1] == id[1];
}

// What distinguishes the ids of one process's records from those of another's:
// each tag has its own, and for ids to differ by just what two of them differ
// by is a chance of one in 2^64.
static inline uint64_t wi_salt_of(uint32_t tag)
{
    uint64_t x = tag * UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static inline struct wi_segment *wi_segment_of(const weft_arena *a)
{
    return (struct wi_segment *)a->base;
}

static inline void *wi_segment_at(const weft_arena *a, uint64_t offset)
{
    return a->base + offset;
}

static inline uint64_t wi_segment_offset(const weft_arena *a, const void *p)
{
    return (uint64_t)((const char *)p - a->base);
}

// The arena of this process that p lies in, or NULL. Takes a lock: for once,
// not for each operation.
weft_arena *wi_arena_around(const void *p);

// Counts the arenas that have gone from this process: what a thread remembers
// from before may be gone too.
extern uint64_t wi_arenas_gone __attribute__((visibility("hidden")));

// The arena that this thread has looked for last.
struct wi_arena_seen {
    uintptr_t base;
    uint64_t limit, gone;
    weft_arena *arena;
};
extern __thread struct wi_arena_seen wi_arena_seen
    __attribute__((tls_model("initial-exec"), visibility("hidden")));

weft_arena *wi_arena_of_slow(const void *p);

// The same for each operation: remembers the last answer in this thread.
static inline weft_arena *wi_arena_of(const void *p)
{
    const struct wi_arena_seen *seen = &wi_arena_seen;
    // relaxed: whoever uses an arena sees to it that it does not go meanwhile
    if (__builtin_expect((uintptr_t)p - seen->base < seen->limit &&
                             seen->gone == __atomic_load_n(&wi_arenas_gone,
                                                           __ATOMIC_RELAXED),
                         true))
        return seen->arena;
    return wi_arena_of_slow(p);
}

#endif
