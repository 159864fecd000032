// SPDX-License-Identifier: MIT
//
// Loops. A loop is one fork-join run whose pieces are not known before:
//
// for, tiles: a worker takes piece after piece from the front of its range.
// When another worker has asked for something to steal (the word that each
// fork looks at), it forks the upper half of what is left, so that the loop is
// cut in as few parts as keep all workers busy (lazy binary splitting,
// Tzannes, Caragea, Barua and Vishkin 2010). Pieces double until one takes
// PIECE_NS, the same for all: the looks between them cost nothing then. As
// long as single indices take LONG_NS, there is always a part that can be
// stolen while one is busy with its piece.
//
// reduce, scan: the indices are grouped into blocks whose number depends on
// nothing but theirs, and a tree over the blocks says what is combined with
// what; in a scan it is one after the other. So the result is the same for any
// number of workers. One worker outputs a scan's blocks from the front, with
// the sum of what comes before. Others run ahead of it: they fold blocks
// further on, and output them when it has come by and knows what comes before
// those. Then their data is still in their cache. Who folds a block reads it
// once more than a serial scan would, so as much is given away as is folded and
// output in the time that the first one needs for what lies between; and
// nothing when nobody asks, or if nobody has come for it.
#include <weft/parallel.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <weft/fork.h>
#include <weft/task.h>

#include "base/options.h"
#include "os/clock.h"
#include "os/cpu.h"
#include "os/futex.h"
#include "os/report.h"
#include "sched/fork_join.h"
#include "sched/scope.h"
#include "sched/worker.h"

enum {
    PIECE_NS = 5000, // a piece grows while it takes less, and shrinks
    LONG_NS = 20000, // when it takes more than this
    BLOCKS = 1024,   // of a reduction, at most
    SCAN_BLOCK = 4096,
    SCAN_SHARE = 8,  // blocks of a scan that are given away together
    SCAN_AHEAD = 64, // in all, at most
};

// Failures --------------------------------------------------------------------

// What has failed, of all workers: the failure with the lowest index counts.
struct failure {
    uint32_t stop; // atomic
    struct wi_mutex lock;
    size_t index;
    int code;
};

static void fail_at(struct failure *failure, size_t index, int code)
{
    wi_mutex_lock(&failure->lock);
    if (failure->code == 0 || index < failure->index) {
        failure->index = index;
        failure->code = code;
    }
    wi_mutex_unlock(&failure->lock);
    // relaxed: a hint; the code is read when all are joined
    __atomic_store_n(&failure->stop, 1, __ATOMIC_RELAXED);
}

static bool is_over(struct failure *failure, weft_worker *w)
{
    return __atomic_load_n(&failure->stop, __ATOMIC_RELAXED) ||
           weft_fork_canceled(w);
}

// What the loop returns: rc is of the run.
static int result_of(const struct failure *failure, int rc)
{
    return rc < 0 ? rc : failure->code;
}

// Loops -----------------------------------------------------------------------

struct loop {
    weft_range_function *fn;
    void *arg;
    size_t grain;
    size_t piece;     // atomic: how many indices make a piece
    uint32_t is_slow; // atomic: the smallest pieces take long
    struct failure failure;
};

static bool somebody_asks(weft_worker *w)
{
    // relaxed: as in a fork
    return __atomic_load_n(&weft_fork_head_of(w)->ask, __ATOMIC_RELAXED) ==
           NULL;
}

static void calibrate(struct loop *loop, size_t piece, int64_t ns)
{
    size_t next = piece;
    if (ns < PIECE_NS && piece <= SIZE_MAX / 4)
        next *= 2;
    else if (ns > LONG_NS && piece / 2 >= loop->grain)
        next /= 2;
    bool is_slow = ns > LONG_NS && next == piece;
    // relaxed, all: hints
    if (is_slow != __atomic_load_n(&loop->is_slow, __ATOMIC_RELAXED))
        __atomic_store_n(&loop->is_slow, is_slow, __ATOMIC_RELAXED);
    if (next != piece)
        __atomic_store_n(&loop->piece, next, __ATOMIC_RELAXED);
}

// Runs one piece from begin on; returns where it ends.
static size_t run_piece(struct loop *loop, size_t begin, size_t end)
{
    size_t piece = __atomic_load_n(&loop->piece, __ATOMIC_RELAXED);
    bool whole = end - begin > piece;
    size_t to = whole ? begin + piece : end;
    int64_t start = whole ? wi_os_now() : 0;
    int code = loop->fn(begin, to, loop->arg);
    if (code < 0)
        fail_at(&loop->failure, begin, code);
    else if (whole)
        calibrate(loop, piece, wi_os_now() - start);
    return to;
}

static bool is_slow(const struct loop *loop)
{
    return __atomic_load_n(&loop->is_slow, __ATOMIC_RELAXED);
}

WEFT_FORKABLE(int, run_range, w, struct loop *, loop, size_t, begin, size_t,
              end)
{
    int forked = 0;
    while (begin < end) {
        size_t left = end - begin;
        bool share = is_slow(loop) && !wi_fork_shares(w);
        if (left / 2 >= loop->grain && (share || somebody_asks(w))) {
            end -= left / 2;
            weft_fork(w, run_range, loop, end, end + left / 2);
            if (share)
                weft_fork_share(w);
            forked++;
        } else if (is_over(&loop->failure, w)) {
            break;
        } else {
            begin = run_piece(loop, begin, end);
        }
    }
    while (forked-- > 0)
        weft_join_child(w, run_range);
    return 0;
}

__attribute__((noinline)) static int run_loop(size_t begin, size_t end,
                                              weft_range_function *fn,
                                              void *arg, size_t grain,
                                              weft_executor *ex)
{
    struct loop loop = {.fn = fn, .arg = arg, .grain = grain, .piece = grain};
    int rc = weft_fork_run(ex, NULL, run_range, &loop, begin, end);
    return result_of(&loop.failure, rc);
}

__attribute__((noinline)) static int
start_loop(size_t begin, size_t end, weft_range_function *fn, void *arg,
           const struct weft_parallel_options *options)
{
    WI_OPTIONS(options);
    wi_require_in("weft_parallel_for_with", fn != NULL, NULL,
                  "a loop's function must not be NULL");
    size_t grain = options->grain > 0 ? options->grain : 1;
    bool in_place = wi_fork_in_place(options->executor);
    bool shared = begin < end && end - begin > grain;
    int rc = in_place && shared ? 0 : wi_check_scopes(); // else the run does
    if (rc < 0 || begin >= end)
        return rc;
    if (shared || !in_place)
        return run_loop(begin, end, fn, arg, grain, options->executor);
    rc = fn(begin, end, arg); // nothing to share
    return rc < 0 ? rc : 0;
}

// Whether a loop on ex of one piece is a call, here and now, whatever the
// caller's scopes say; no means that it has to be looked at closer.
static inline bool is_call(const weft_executor *ex)
{
    const struct wi_this_thread *here = &wi_here;
    return here->self != NULL && here->worker != NULL &&
           wi_worker_forks_for(here->worker, ex) && wi_scope_plain(here->self);
}

// Not for nothing, and not for more than a grain, which is at least one.
static inline bool is_one_piece(size_t begin, size_t end, size_t grain)
{
    return begin < end && end - begin <= (grain > 0 ? grain : 1);
}

// The usual loop of one piece is done here; start_loop does any.
int weft_parallel_for_with(size_t begin, size_t end, weft_range_function *fn,
                           void *arg,
                           const struct weft_parallel_options *options)
{
    size_t size = options != NULL ? options->size : 0;
    if (fn == NULL || size < sizeof *options ||
        !is_one_piece(begin, end, options->grain) ||
        !is_call(options->executor))
        return start_loop(begin, end, fn, arg, options);
    int rc = fn(begin, end, arg);
    return rc < 0 ? rc : 0;
}

// Tiles -----------------------------------------------------------------------

struct tiles {
    weft_tile_function *fn;
    void *arg;
    size_t extent[3], tile[3], count[3]; // tiles in each dimension
};

static int run_tile(const struct tiles *tiles, size_t index)
{
    struct weft_tile tile;
    for (int d = 2; d >= 0; d--) {
        size_t at = index % tiles->count[d] * tiles->tile[d];
        size_t left = tiles->extent[d] - at;
        index /= tiles->count[d];
        tile.begin[d] = at;
        tile.end[d] = at + (left < tiles->tile[d] ? left : tiles->tile[d]);
    }
    return tiles->fn(&tile, tiles->arg);
}

static int run_tiles(size_t begin, size_t end, void *arg)
{
    int code = 0;
    for (size_t i = begin; i < end && code >= 0; i++)
        code = run_tile(arg, i);
    return code;
}

// Fills in counts; the number of tiles in *total.
static int count_tiles(struct tiles *tiles, unsigned dimensions,
                       const size_t *extent, const size_t *tile, size_t *total)
{
    *total = 1;
    for (unsigned d = 0; d < 3; d++) {
        bool last = d + 1 >= dimensions;
        size_t n = d < dimensions ? extent[d] : 1;
        size_t t = d >= dimensions || (tile == NULL && !last) ? 1
                   : tile == NULL || tile[d] == 0             ? n
                                                              : tile[d];
        tiles->extent[d] = n;
        tiles->tile[d] = t;
        tiles->count[d] = n == 0 ? 0 : (n - 1) / t + 1;
        if (__builtin_mul_overflow(*total, tiles->count[d], total))
            return -EOVERFLOW;
    }
    return 0;
}

int weft_parallel_tiles_with(unsigned dimensions, const size_t *extent,
                             const size_t *tile, weft_tile_function *fn,
                             void *arg,
                             const struct weft_parallel_options *options)
{
    wi_need(extent);
    wi_require(fn != NULL, NULL, "a loop's function must not be NULL");
    struct tiles tiles = {.fn = fn, .arg = arg};
    size_t total;
    if (dimensions < 1 || dimensions > 3)
        return -EINVAL;
    int rc = count_tiles(&tiles, dimensions, extent, tile, &total);
    if (rc < 0)
        return rc;
    return weft_parallel_for_with(0, total, run_tiles, &tiles, options);
}

// Blocks ----------------------------------------------------------------------

// A reduction or a scan: the blocks of its indices, each with an accumulator.
struct blocks {
    const struct weft_reduction *what;
    const struct weft_scan *scan; // NULL in a reduction
    void *arg;
    size_t begin, end, block; // indices
    char *sums;
    size_t stride;
    struct failure failure;
};

static char *sum_at(const struct blocks *b, size_t place)
{
    return b->sums + place * b->stride;
}

static size_t block_count(const struct blocks *b)
{
    return (b->end - b->begin - 1) / b->block + 1;
}

// Folds one block into sum, or outputs it, from sum on.
static void run_block(struct blocks *b, size_t block, bool output, char *sum)
{
    size_t begin = b->begin + block * b->block;
    size_t end = b->end - begin < b->block ? b->end : begin + b->block;
    int code = output ? b->scan->output(begin, end, sum, b->arg)
                      : b->what->fold(begin, end, sum, b->arg);
    if (code < 0)
        fail_at(&b->failure, begin, code);
}

static void fold_block(struct blocks *b, size_t block, char *sum)
{
    memcpy(sum, b->what->identity, b->what->size);
    run_block(b, block, false, sum);
}

WEFT_FORKABLE(int, reduce_blocks, w, struct blocks *, b, size_t, first, size_t,
              count)
{
    if (is_over(&b->failure, w))
        return 0;
    if (count == 1) {
        fold_block(b, first, sum_at(b, first));
        return 0;
    }
    size_t left = count - count / 2;
    weft_fork(w, reduce_blocks, b, first + left, count / 2);
    reduce_blocks(w, b, first, left);
    weft_join_child(w, reduce_blocks);
    if (!is_over(&b->failure, w))
        b->what->combine(sum_at(b, first), sum_at(b, first + left), b->arg);
    return 0;
}

static int make_sums(struct blocks *b, size_t count)
{
    size_t bytes;
    // A line for each, so that workers do not meet in one.
    b->stride = (b->what->size + 63) & ~(size_t)63;
    if (__builtin_mul_overflow(b->stride, count, &bytes))
        return -EOVERFLOW;
    b->sums = aligned_alloc(64, bytes);
    return b->sums != NULL ? 0 : -ENOMEM;
}

static size_t at_least(size_t n, size_t least)
{
    return n < least ? least : n;
}

static bool start_blocks(struct blocks *b, const struct weft_reduction *what,
                         int *rc, const char *function)
{
    wi_require_in(function,
                  what->size > 0 && what->identity != NULL &&
                      what->fold != NULL && what->combine != NULL,
                  what,
                  "a reduction must have size, identity, fold and combine");
    b->what = what;
    *rc = weft_check();
    return *rc == 0;
}

int weft_parallel_reduce_with(size_t begin, size_t end,
                              const struct weft_reduction *what, void *result,
                              void *arg,
                              const struct weft_parallel_options *options)
{
    wi_need(what);
    wi_need(result);
    WI_OPTIONS(options);
    int rc;
    struct blocks b = {.arg = arg, .begin = begin, .end = end};
    if (!start_blocks(&b, what, &rc, __func__))
        return rc;
    if (begin >= end) {
        memcpy(result, what->identity, what->size);
        return 0;
    }
    b.block = at_least((end - begin - 1) / BLOCKS + 1, options->grain);
    size_t count = block_count(&b);
    rc = make_sums(&b, count);
    if (rc < 0)
        return rc;
    rc = weft_fork_run(options->executor, NULL, reduce_blocks, &b, 0, count);
    rc = result_of(&b.failure, rc);
    if (rc == 0)
        memcpy(result, b.sums, what->size);
    free(b.sums);
    return rc;
}

// Scans -----------------------------------------------------------------------

// A round over the blocks, of the first worker (0) and two helpers, each with a
// share (1, 2):
//
//     done | 1 1 1 2 2 2 | 0 0 0 | 1 1 1 2 2 2 | nobody's yet
//            to output     both    to fold
//
// What is to be output was folded in the round before, and the sum of what
// comes before each block stands in `sums`. When the first one is through with
// its own, `carry` has the sum up to there; the blocks that were folded are
// passed by one combination each (take_folded), and output in the next round.

// What is given away: blocks to output, whose sums are now what comes before
// them, and blocks to fold.
struct share {
    size_t first, count;
    size_t ahead, ahead_count;
    char *sums, *ahead_sums; // change places when the second become the first
    bool folded;             // those ahead are
};

struct scanner {
    struct blocks b;
    size_t next, count;  // blocks: the first one that nobody has, and all
    char *carry, *spare; // the sum before `next`; room for another
    size_t size;         // of a share, in blocks
    size_t share_count;
    struct share shares[SCAN_AHEAD];
    bool is_pending; // there are shares to output
    uint32_t joins;  // atomic: who begins a share now is the first worker
};

WEFT_FORKABLE(int, run_share, w, struct scanner *, s, struct share *, share)
{
    struct blocks *b = &s->b;
    for (size_t i = 0; i < share->count && !is_over(&b->failure, w); i++)
        run_block(b, share->first + i, true, share->sums + i * b->stride);
    // relaxed: a hint
    if (__atomic_load_n(&s->joins, __ATOMIC_RELAXED))
        return 0;
    for (size_t i = 0; i < share->ahead_count && !is_over(&b->failure, w); i++)
        fold_block(b, share->ahead + i, share->ahead_sums + i * b->stride);
    share->folded = true;
    return 0;
}

// What comes before a block goes from carry to `before`, and its sum, which is
// there, into carry.
static void carry_over(struct scanner *s, char *before)
{
    size_t size = s->b.what->size;
    memcpy(s->spare, before, size);
    memcpy(before, s->carry, size);
    s->b.what->combine(s->carry, s->spare, s->b.arg);
}

// The next block by the first worker: fold, then output, unless the output's
// own sum is the same.
static void scan_next(struct scanner *s)
{
    struct blocks *b = &s->b;
    char *sum = sum_at(b, 0);
    if (b->scan->exact) {
        run_block(b, s->next++, true, s->carry);
        return;
    }
    fold_block(b, s->next, sum);
    carry_over(s, sum);
    run_block(b, s->next++, true, sum);
}

// Gives away what lies ahead of block `from`, and what is to be output.
static unsigned fork_shares(weft_worker **at, struct scanner *s, size_t from)
{
    weft_worker *w = *at;
    unsigned forked = 0;
    for (size_t i = 0; i < s->share_count; i++) {
        struct share *share = &s->shares[i];
        size_t left = s->count - from;
        share->ahead = from;
        share->ahead_count = left < s->size ? left : s->size;
        share->folded = false;
        from += share->ahead_count;
        if (share->count + share->ahead_count == 0)
            break;
        weft_fork(w, run_share, s, share);
        forked++;
    }
    weft_fork_share(w);
    *at = w;
    return forked;
}

// All shares are output; those that were folded, up to the first that was not,
// are to be output next.
static void take_folded(struct scanner *s)
{
    bool whole = true;
    s->is_pending = false;
    for (size_t i = 0; i < s->share_count; i++) {
        struct share *share = &s->shares[i];
        char *sums = share->sums;
        whole = whole && share->folded;
        share->first = share->ahead;
        share->count = whole ? share->ahead_count : 0;
        share->sums = share->ahead_sums;
        share->ahead_sums = sums;
        for (size_t k = 0; k < share->count; k++)
            carry_over(s, share->sums + k * s->b.stride);
        s->next += share->count;
        s->is_pending |= share->count > 0;
    }
}

// An output takes twice as long as a fold, about.
static weft_worker *scan_round(weft_worker *w, struct scanner *s)
{
    size_t own = s->b.scan->exact ? s->size + s->size / 2 : s->size;
    size_t end = s->count - s->next < own ? s->count : s->next + own;
    // relaxed, both: ordered by fork and join where it matters
    __atomic_store_n(&s->joins, 0, __ATOMIC_RELAXED);
    unsigned forked = fork_shares(&w, s, end);
    while (s->next < end && !is_over(&s->b.failure, w))
        scan_next(s);
    __atomic_store_n(&s->joins, 1, __ATOMIC_RELAXED);
    while (forked-- > 0)
        weft_join_child(w, run_share);
    if (!is_over(&s->b.failure, w))
        take_folded(s);
    return w;
}

WEFT_FORKABLE(int, scan_all, w, struct scanner *, s)
{
    memcpy(s->carry, s->b.what->identity, s->b.what->size);
    while ((s->next < s->count || s->is_pending) &&
           !is_over(&s->b.failure, w)) {
        if (s->is_pending || (s->share_count > 0 && somebody_asks(w)))
            w = scan_round(w, s);
        else
            scan_next(s);
    }
    return 0;
}

// The places of `sums`: one for each block of two rounds, behind one for the
// first worker's block, carry and spare.
static int make_shares(struct scanner *s, size_t helpers)
{
    if (helpers > SCAN_AHEAD)
        helpers = SCAN_AHEAD;
    s->share_count = helpers;
    s->size = helpers == 0 ? 0 : SCAN_AHEAD / helpers;
    if (s->size > SCAN_SHARE)
        s->size = SCAN_SHARE;
    int rc = make_sums(&s->b, 3 + 2 * helpers * s->size);
    if (rc < 0)
        return rc;
    s->carry = sum_at(&s->b, 1);
    s->spare = sum_at(&s->b, 2);
    for (size_t i = 0; i < helpers; i++) {
        s->shares[i].count = 0;
        s->shares[i].sums = sum_at(&s->b, 3 + 2 * i * s->size);
        s->shares[i].ahead_sums = sum_at(&s->b, 3 + (2 * i + 1) * s->size);
    }
    return 0;
}

static size_t scan_block(size_t n, size_t grain)
{
    size_t block = n >= (size_t)SCAN_AHEAD * SCAN_BLOCK
                       ? SCAN_BLOCK
                       : (n - 1) / SCAN_AHEAD + 1;
    return at_least(block, grain);
}

int weft_parallel_scan_with(size_t begin, size_t end,
                            const struct weft_scan *what, void *total,
                            void *arg,
                            const struct weft_parallel_options *options)
{
    wi_need(what);
    WI_OPTIONS(options);
    int rc;
    struct scanner s;
    s.b = (struct blocks){.scan = what, .arg = arg, .begin = begin, .end = end};
    if (!start_blocks(&s.b, &what->sum, &rc, __func__))
        return rc;
    wi_require(what->output != NULL, what,
               "a scan must have an output function");
    if (begin >= end) {
        if (total != NULL)
            memcpy(total, what->sum.identity, what->sum.size);
        return 0;
    }
    s.b.block = scan_block(end - begin, options->grain);
    s.next = 0;
    s.count = block_count(&s.b);
    s.is_pending = false;
    // How many help does not matter for the result.
    size_t width = options->executor != NULL
                       ? weft_executor_width(options->executor)
                       : wi_os_cpu_budget();
    rc = make_shares(&s, width - 1);
    if (rc < 0)
        return rc;
    rc = weft_fork_run(options->executor, NULL, scan_all, &s);
    rc = result_of(&s.b.failure, rc);
    if (rc == 0 && total != NULL)
        memcpy(total, s.carry, what->sum.size);
    free(s.b.sums);
    return rc;
}
