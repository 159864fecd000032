// SPDX-License-Identifier: MIT
//
// Blocks lie one behind the other from WI_HEAP_BEGIN to `end`. A free block is
// never beside another one, and hangs in one of the bins: 16 for each power of
// two, found by two bit maps, so that an allocation takes the first block of
// the smallest bin whose blocks all suffice (the scheme of TLSF, "two-level
// segregated fit", by Masmano and others). All words of the heap are of 64
// bits.
//
//     head    bytes of the block with its head, a multiple of 16; in the low
//             bits FREE and BEFORE_FREE (the block before is free)
//     owner   of a used block: its mark; as long as it belongs to one process,
//             or is being handed out by one, also that one's tag
//     next, previous   of a free block, in its bin
//     size    once more in the last word of a free block
//
// Death. Every operation is one transaction under the lock: before a word is
// changed, its place and old value are written to the journal; the last step
// makes the journal empty. Who gets the lock from a dead owner writes the old
// values back, newest first, which may be done any number of times. Only
// memory of the file that was added stays, and is found by the next growth.
//
// Zeroing may take long and does not need the lock. So the allocation of a
// large block is two transactions: the block is taken, with the owner's tag in
// it, then zeroed; then the tag is removed, and the offset stored where the
// caller wants it. A block whose tag is that of a dead process is freed by
// wi_heap_recover.
//
// What has never been used is zero already: from `fresh` on everything is,
// but for the last word of the last block.
#include "shared/heap.h"

#include <errno.h>
#include <string.h>

#include "shared/lock.h"
#include "shared/member.h"

enum {
    FREE = 1,
    BEFORE_FREE = 2,
    FLAGS = 15,
    HEAD = 16,     // bytes before the user's
    SMALLEST = 48, // head, two links, size: and a multiple of 16
    STEP_BITS = 4,
    LINEAR = 256, // below, one bin for each size
    LINEAR_BITS = 8,
    QUICK = 1024, // bytes that are zeroed under the lock
    GROW_LEAST = 256 << 10,
    GROW_MOST = 64 << 20,
};
#define MARK 0x626c6f6300000000u // "bloc"; low: 0, or a tag moved up, and 1

struct block {
    uint64_t head;
    uint64_t owner;
    uint64_t next, previous; // of a free one
};

void (*wi_heap_at_word)(unsigned n);

// Transactions ----------------------------------------------------------------

static void roll_back(weft_arena *a)
{
    struct wi_segment *s = wi_segment_of(a);
    // acquire: the dead owner's entries; pairs with the release in set
    uint32_t n = __atomic_load_n(&s->entries, __ATOMIC_ACQUIRE);
    while (n > 0 && n <= WI_JOURNAL) {
        struct wi_journal_entry *e = &s->journal[--n];
        *(uint64_t *)wi_segment_at(a, e->at) = e->old;
    }
    // release: after the words
    __atomic_store_n(&s->entries, 0, __ATOMIC_RELEASE);
}

static void begin(weft_arena *a)
{
    if (wi_shared_lock(a, &wi_segment_of(a)->heap_lock))
        roll_back(a);
}

static void set(weft_arena *a, uint64_t *word, uint64_t value)
{
    struct wi_segment *s = wi_segment_of(a);
    uint32_t n = s->entries;
    if (wi_heap_at_word != NULL)
        wi_heap_at_word(n);
    s->journal[n] =
        (struct wi_journal_entry){wi_segment_offset(a, word), *word};
    // release: the entry before its number; pairs with roll_back
    __atomic_store_n(&s->entries, n + 1, __ATOMIC_RELEASE);
    // release: the number before the word. The same process, or one that comes
    // after its death, reads both
    __atomic_store_n(word, value, __ATOMIC_RELEASE);
}

// The transaction counts; the next one begins under the same lock.
static void settle(weft_arena *a)
{
    struct wi_segment *s = wi_segment_of(a);
    if (wi_heap_at_word != NULL)
        wi_heap_at_word(s->entries);
    // release: all words before
    __atomic_store_n(&s->entries, 0, __ATOMIC_RELEASE);
}

static void commit(weft_arena *a)
{
    settle(a);
    wi_shared_unlock(&wi_segment_of(a)->heap_lock);
}

// Blocks ----------------------------------------------------------------------

static struct block *block_at(const weft_arena *a, uint64_t offset)
{
    return wi_segment_at(a, offset);
}

static uint64_t size_of(const struct block *b)
{
    return b->head & ~(uint64_t)FLAGS;
}

static uint64_t *last_word(const weft_arena *a, uint64_t at, uint64_t size)
{
    return wi_segment_at(a, at + size - 8);
}

struct bin {
    unsigned row, column;
};

// The bin in which a block of this size hangs.
static struct bin bin_of(uint64_t size)
{
    if (size < LINEAR)
        return (struct bin){0, (unsigned)(size / (LINEAR >> STEP_BITS))};
    unsigned high = 63 - (unsigned)__builtin_clzll(size);
    return (struct bin){high - LINEAR_BITS + 1,
                        size >> (high - STEP_BITS) & ((1 << STEP_BITS) - 1)};
}

// The first bin all of whose blocks are at least that large.
static struct bin bin_for(uint64_t size)
{
    if (size >= LINEAR) {
        unsigned high = 63 - (unsigned)__builtin_clzll(size);
        size += ((uint64_t)1 << (high - STEP_BITS)) - 1;
    }
    return bin_of(size);
}

static void hang_in(weft_arena *a, uint64_t at, uint64_t size)
{
    struct wi_segment *s = wi_segment_of(a);
    struct bin bin = bin_of(size);
    uint64_t *first = &s->bins[bin.row][bin.column];
    struct block *b = block_at(a, at);
    set(a, &b->next, *first);
    set(a, &b->previous, 0);
    if (*first != 0)
        set(a, &block_at(a, *first)->previous, at);
    set(a, first, at);
    set(a, &s->columns[bin.row], s->columns[bin.row] | 1u << bin.column);
    set(a, &s->rows, s->rows | (uint64_t)1 << bin.row);
}

static void take_out(weft_arena *a, uint64_t at)
{
    struct wi_segment *s = wi_segment_of(a);
    struct block *b = block_at(a, at);
    struct bin bin = bin_of(size_of(b));
    uint64_t *first = &s->bins[bin.row][bin.column];
    if (b->next != 0)
        set(a, &block_at(a, b->next)->previous, b->previous);
    if (b->previous != 0)
        set(a, &block_at(a, b->previous)->next, b->next);
    else
        set(a, first, b->next);
    if (*first != 0)
        return;
    set(a, &s->columns[bin.row],
        s->columns[bin.row] & ~((uint64_t)1 << bin.column));
    if (s->columns[bin.row] == 0)
        set(a, &s->rows, s->rows & ~((uint64_t)1 << bin.row));
}

// A block that is at least size large; 0: none.
static uint64_t find(weft_arena *a, uint64_t size)
{
    struct wi_segment *s = wi_segment_of(a);
    struct bin bin = bin_for(size);
    if (bin.row >= WI_BIN_ROWS)
        return 0;
    uint64_t columns = s->columns[bin.row] >> bin.column << bin.column;
    if (columns == 0) {
        uint64_t rows = s->rows >> bin.row >> 1 << 1 << bin.row;
        if (rows == 0)
            return 0;
        bin.row = (unsigned)__builtin_ctzll(rows);
        columns = s->columns[bin.row];
    }
    return s->bins[bin.row][__builtin_ctzll(columns)];
}

// Makes the bytes a free block, which has no free neighbour.
static void make_free(weft_arena *a, uint64_t at, uint64_t size)
{
    struct block *b = block_at(a, at), *after = block_at(a, at + size);
    set(a, &b->head, size | FREE);
    set(a, last_word(a, at, size), size);
    set(a, &after->head, after->head | BEFORE_FREE);
    hang_in(a, at, size);
}

// Takes [from, to) out of the free block at `at`; what is left of it before
// and behind stays free.
static void carve(weft_arena *a, uint64_t at, uint64_t from, uint64_t to)
{
    uint64_t end = at + size_of(block_at(a, at));
    struct block *after = block_at(a, end);
    take_out(a, at);
    if (from > at)
        make_free(a, at, from - at);
    if (to < end) {
        make_free(a, to, end - to);
    } else {
        set(a, &after->head, after->head & ~(uint64_t)BEFORE_FREE);
    }
    struct block *b = block_at(a, from);
    set(a, &b->head, (to - from) | (from > at ? BEFORE_FREE : 0));
}

// Frees a used block, together with free neighbours. Where the free block
// begins.
static uint64_t release(weft_arena *a, uint64_t at)
{
    struct wi_segment *s = wi_segment_of(a);
    struct block *b = block_at(a, at);
    uint64_t size = size_of(b), end = at + size;
    set(a, &s->used, s->used - size);
    set(a, &s->blocks, s->blocks - 1);
    set(a, &b->owner, 0);
    struct block *after = block_at(a, end);
    if (after->head & FREE) {
        take_out(a, end);
        end += size_of(after);
    }
    if (b->head & BEFORE_FREE) {
        at -= *last_word(a, 0, at);
        take_out(a, at);
    }
    make_free(a, at, end - at);
    return at;
}

// Growing ---------------------------------------------------------------------

static uint64_t page_of(const weft_arena *a)
{
    return wi_segment_of(a)->pages == WI_PAGES_SMALL ? 65536 : WI_HUGE_PAGE;
}

static uint64_t round_up(uint64_t n, uint64_t unit)
{
    return (n + unit - 1) / unit * unit;
}

// How much the file grows for `need` bytes: by half, in between limits.
static uint64_t more_for(const weft_arena *a, uint64_t need)
{
    uint64_t half = wi_segment_of(a)->end / 2;
    uint64_t more = half < GROW_LEAST  ? GROW_LEAST
                    : half > GROW_MOST ? GROW_MOST
                                       : half;
    return round_up(need > more ? need : more, page_of(a));
}

// The file beyond `end`, which a dead process may have made longer already.
static bool lengthen(weft_arena *a, uint64_t end, uint64_t more)
{
    return end + more <= a->limit && end + more > end &&
           wi_os_segment_grow(a->fd, end, end + more) == 0;
}

// The old end's head, and the size behind a free last block, become part of a
// block whose bytes are to be zero.
static void join_new(weft_arena *a, uint64_t end, uint64_t more)
{
    struct block *old = block_at(a, end - HEAD);
    struct block *last = block_at(a, end + more - HEAD);
    uint64_t at = end - HEAD;
    bool joined = old->head & BEFORE_FREE;
    set(a, &last->head, 0);
    set(a, &old->head, 0);
    if (joined) {
        uint64_t *behind = last_word(a, 0, at);
        at -= *behind;
        take_out(a, at);
        set(a, behind, 0);
    }
    set(a, &wi_segment_of(a)->end, end + more);
    make_free(a, at, end + more - HEAD - at);
}

// The bytes of the free block at the end; 0: the last one is used.
static uint64_t free_end(const weft_arena *a)
{
    uint64_t at = wi_segment_of(a)->end - HEAD;
    return block_at(a, at)->head & BEFORE_FREE ? *last_word(a, 0, at) : 0;
}

// So that a block of `room` bytes is found, if that can be.
static bool grow(weft_arena *a, uint64_t room)
{
    uint64_t end = wi_segment_of(a)->end, need = room + (room >> STEP_BITS);
    uint64_t more = more_for(a, need), least = round_up(need, page_of(a));
    // With the free block at the end less may do: then all there is.
    if (least > a->limit - end)
        more = least = a->limit - end;
    if (more + free_end(a) < room)
        return false;
    if (!lengthen(a, end, more)) {
        more = least;
        if (!lengthen(a, end, more))
            return false;
    }
    join_new(a, end, more);
    return true;
}

void wi_heap_init(weft_arena *a, uint64_t end)
{
    struct wi_segment *s = wi_segment_of(a);
    s->end = end;
    s->fresh = WI_HEAP_BEGIN + 32;
    block_at(a, end - HEAD)->head = 0;
    make_free(a, WI_HEAP_BEGIN, end - HEAD - WI_HEAP_BEGIN);
    s->entries = 0;
}

// The calls -------------------------------------------------------------------

// What is not zero in a block that has been taken, but for its head and links.
struct dirt {
    uint64_t from, to;
};

// The first free place of size bytes in the block such that what the user gets
// is aligned, and what stays before it is a block.
static uint64_t fit(uint64_t at, uint64_t align)
{
    uint64_t from = round_up(at + HEAD, align) - HEAD;
    while (from != at && from - at < SMALLEST)
        from += align;
    return from;
}

// The size that any block must have in which an aligned one can be fitted.
static uint64_t room_for(uint64_t size, uint64_t align)
{
    return align <= HEAD ? size : size + align + SMALLEST;
}

static uint64_t take(weft_arena *a, uint64_t size, uint64_t align,
                     struct dirt *dirt)
{
    struct wi_segment *s = wi_segment_of(a);
    uint64_t room = room_for(size, align), at = find(a, room);
    if (at == 0 && grow(a, room))
        at = find(a, room);
    if (at == 0)
        return 0;
    uint64_t from = fit(at, align), end = at + size_of(block_at(a, at));
    uint64_t to = end - from - size < SMALLEST ? end : from + size;
    carve(a, at, from, to);
    *dirt =
        (struct dirt){from + SMALLEST - HEAD, to < s->fresh ? to : s->fresh};
    // Behind it the head and the links of what is left.
    if (to + 32 > s->fresh)
        set(a, &s->fresh, to + 32);
    set(a, &s->used, s->used + (to - from));
    set(a, &s->blocks, s->blocks + 1);
    // Words that count if all this is undone.
    struct block *b = block_at(a, from);
    set(a, &b->next, 0);
    set(a, &b->previous, 0);
    if (to == end)
        set(a, last_word(a, 0, end), 0);
    return from;
}

static void clean(weft_arena *a, const struct dirt *dirt)
{
    if (dirt->to > dirt->from)
        memset(wi_segment_at(a, dirt->from), 0, dirt->to - dirt->from);
}

// The block is the caller's.
static void hand_out(weft_arena *a, uint64_t at, uint64_t *where)
{
    set(a, &block_at(a, at)->owner, MARK);
    if (where != NULL)
        set(a, where, at + HEAD);
}

static void set_owner(weft_arena *a, uint64_t at)
{
    set(a, &block_at(a, at)->owner, MARK + ((uint64_t)a->tag << 1) + 1);
}

uint64_t wi_heap_alloc_own(weft_arena *a, uint64_t size, uint64_t align)
{
    struct dirt dirt;
    if (size > a->limit)
        return 0;
    size = round_up(size + HEAD, 16);
    begin(a);
    uint64_t at = take(a, size < SMALLEST ? SMALLEST : size, align, &dirt);
    if (at != 0)
        set_owner(a, at);
    commit(a);
    return at != 0 ? at + HEAD : 0;
}

uint64_t wi_heap_alloc(weft_arena *a, uint64_t size, uint64_t align,
                       uint64_t *where)
{
    struct dirt dirt = {0, 0};
    if (size > a->limit)
        return 0;
    size = round_up(size + HEAD, 16);
    begin(a);
    uint64_t at = take(a, size < SMALLEST ? SMALLEST : size, align, &dirt);
    if (at == 0) {
        commit(a);
        return 0;
    }
    if (dirt.to > dirt.from + QUICK) {
        set_owner(a, at);
        commit(a);
        clean(a, &dirt);
        begin(a);
    } else {
        clean(a, &dirt);
    }
    hand_out(a, at, where);
    commit(a);
    return at + HEAD;
}

// Whether a used block begins at the offset; under the lock.
static bool is_block(weft_arena *a, uint64_t at)
{
    uint64_t end = wi_segment_of(a)->end;
    if (at < WI_HEAP_BEGIN || at % 16 != 0 || at > end - HEAD - SMALLEST)
        return false;
    const struct block *b = block_at(a, at);
    return b->owner >> 32 == MARK >> 32 && !(b->head & FREE) &&
           size_of(b) >= SMALLEST && size_of(b) <= end - HEAD - at;
}

int wi_heap_free(weft_arena *a, uint64_t offset, uint64_t *where)
{
    begin(a);
    bool good = offset > HEAD && is_block(a, offset - HEAD);
    if (good) {
        if (where != NULL)
            set(a, where, 0);
        release(a, offset - HEAD);
    }
    commit(a);
    return good ? 0 : -EINVAL;
}

int wi_heap_give(weft_arena *a, uint64_t offset)
{
    begin(a);
    bool good = offset > HEAD && is_block(a, offset - HEAD);
    if (good)
        set(a, &block_at(a, offset - HEAD)->owner, MARK);
    commit(a);
    return good ? 0 : -EINVAL;
}

// The dead --------------------------------------------------------------------

// A block, from the one at `at` on, that belonged to a process that is dead or
// was being handed out by one; 0: none, or somebody has written over a head.
static uint64_t find_orphan(weft_arena *a, uint64_t at)
{
    uint64_t end = wi_segment_of(a)->end - HEAD;
    while (at < end && size_of(block_at(a, at)) >= SMALLEST) {
        const struct block *b = block_at(a, at);
        uint64_t tag = (b->owner - MARK) >> 1;
        if (!(b->head & FREE) && b->owner != MARK &&
            !wi_member_lives(a, (uint32_t)tag))
            return at;
        at += size_of(b);
    }
    return 0;
}

// Whether somebody has died since it was looked through.
static bool is_unclean(weft_arena *a)
{
    // acq_rel: pairs with the release of who has found somebody dead
    return __atomic_exchange_n(&wi_segment_of(a)->unclean, 0,
                               __ATOMIC_ACQ_REL) != 0;
}

// Under the lock.
static void free_orphans(weft_arena *a)
{
    uint64_t at = WI_HEAP_BEGIN;
    while ((at = find_orphan(a, at)) != 0) {
        at = release(a, at);
        settle(a);
    }
}

void wi_heap_recover(weft_arena *a)
{
    if (!is_unclean(a))
        return;
    begin(a);
    free_orphans(a);
    commit(a);
}

bool wi_heap_is_empty(weft_arena *a)
{
    struct wi_segment *s = wi_segment_of(a);
    int rc = wi_shared_lock_until(a, &s->heap_lock, 0, s, NULL);
    if (rc < 0)
        return false;
    wi_shared_seen();
    if (rc > 0)
        roll_back(a);
    if (is_unclean(a))
        free_orphans(a);
    bool empty = s->blocks == 0;
    commit(a);
    return empty;
}

// Checking --------------------------------------------------------------------

static const char *check_block(weft_arena *a, uint64_t at, bool before_free)
{
    const struct block *b = block_at(a, at);
    uint64_t size = size_of(b);
    if (size < SMALLEST || size > wi_segment_of(a)->end - HEAD - at)
        return "a block has an impossible size";
    if (!!(b->head & BEFORE_FREE) != before_free)
        return "a block is wrong about the one before it";
    if (!(b->head & FREE))
        return b->owner >> 32 == MARK >> 32 ? NULL
                                            : "a block has lost its mark";
    if (before_free)
        return "two free blocks side by side";
    if (*last_word(a, at, size) != size)
        return "a free block has two sizes";
    struct bin bin = bin_of(size);
    uint64_t first = wi_segment_of(a)->bins[bin.row][bin.column];
    if (b->previous == 0 ? first != at : block_at(a, b->previous)->next != at)
        return "a free block does not hang in its bin";
    return NULL;
}

static const char *check_all(weft_arena *a)
{
    struct wi_segment *s = wi_segment_of(a);
    uint64_t used = 0, blocks = 0, at = WI_HEAP_BEGIN;
    bool before_free = false;
    while (at < s->end - HEAD) {
        const char *wrong = check_block(a, at, before_free);
        if (wrong != NULL)
            return wrong;
        const struct block *b = block_at(a, at);
        before_free = b->head & FREE;
        used += before_free ? 0 : size_of(b);
        blocks += !before_free;
        at += size_of(b);
    }
    if (at != s->end - HEAD || size_of(block_at(a, at)) != 0)
        return "the blocks do not end where the heap does";
    return used == s->used && blocks == s->blocks ? NULL : "the sums are wrong";
}

const char *wi_heap_check(weft_arena *a)
{
    begin(a);
    const char *wrong = check_all(a);
    commit(a);
    return wrong;
}
