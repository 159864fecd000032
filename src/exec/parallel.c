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
// number of workers. A scan goes group after group, whose data is still in the
// cache for the second pass; a group is one block when nobody else is there.
#include <weft/parallel.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <weft/fork.h>
#include <weft/scope.h>
#include <weft/task.h>

#include "base/options.h"
#include "os/clock.h"
#include "os/cpu.h"
#include "os/futex.h"
#include "os/report.h"
#include "sched/fork_join.h"

enum {
    PIECE_NS = 5000, // a piece grows while it takes less, and shrinks
    LONG_NS = 20000, // when it takes more than this
    BLOCKS = 1024,   // of a reduction, at most
    GROUP = 64,      // blocks of a scan that are folded, then output; at most
    SCAN_BLOCK = 4096,
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
    int64_t start = wi_os_now();
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
    while (begin < end && !is_over(&loop->failure, w)) {
        size_t left = end - begin;
        bool share = is_slow(loop) && !wi_fork_shares(w);
        if (left / 2 >= loop->grain && (share || somebody_asks(w))) {
            end -= left / 2;
            weft_fork(w, run_range, loop, end, end + left / 2);
            if (share)
                weft_fork_share(w);
            forked++;
        } else {
            begin = run_piece(loop, begin, end);
        }
    }
    while (forked-- > 0)
        weft_join_child(w, run_range);
    return 0;
}

int weft_parallel_for_with(size_t begin, size_t end, weft_range_function *fn,
                           void *arg,
                           const struct weft_parallel_options *options)
{
    WI_OPTIONS(options);
    wi_require(fn != NULL, NULL, "a loop's function must not be NULL");
    struct loop loop = {.fn = fn, .arg = arg, .grain = options->grain};
    int rc = weft_check();
    if (rc < 0 || begin >= end)
        return rc;
    if (loop.grain == 0)
        loop.grain = 1;
    loop.piece = loop.grain;
    rc = weft_fork_run(options->executor, NULL, run_range, &loop, begin, end);
    return result_of(&loop.failure, rc);
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
    size_t first; // block of the group that is in `sums`
    struct failure failure;
};

static char *sum_of(const struct blocks *b, size_t block)
{
    return b->sums + (block - b->first) * b->stride;
}

static size_t block_count(const struct blocks *b)
{
    return (b->end - b->begin - 1) / b->block + 1;
}

// Folds one block into sum, or outputs it.
static void run_block_with(struct blocks *b, size_t block, bool output,
                           char *sum)
{
    size_t begin = b->begin + block * b->block;
    size_t end = b->end - begin < b->block ? b->end : begin + b->block;
    int code = output ? b->scan->output(begin, end, sum, b->arg)
                      : b->what->fold(begin, end, sum, b->arg);
    if (code < 0)
        fail_at(&b->failure, begin, code);
}

static void run_block(struct blocks *b, size_t block, bool output)
{
    char *sum = sum_of(b, block);
    if (!output)
        memcpy(sum, b->what->identity, b->what->size);
    run_block_with(b, block, output, sum);
}

WEFT_FORKABLE(int, reduce_blocks, w, struct blocks *, b, size_t, first, size_t,
              count)
{
    if (is_over(&b->failure, w))
        return 0;
    if (count == 1) {
        run_block(b, first, false);
        return 0;
    }
    size_t left = count - count / 2;
    weft_fork(w, reduce_blocks, b, first + left, count / 2);
    reduce_blocks(w, b, first, left);
    weft_join_child(w, reduce_blocks);
    if (!is_over(&b->failure, w))
        b->what->combine(sum_of(b, first), sum_of(b, first + left), b->arg);
    return 0;
}

WEFT_FORKABLE(int, each_block, w, struct blocks *, b, size_t, first, size_t,
              count, bool, output)
{
    if (is_over(&b->failure, w))
        return 0;
    if (count == 1) {
        run_block(b, first, output);
        return 0;
    }
    size_t left = count - count / 2;
    weft_fork(w, each_block, b, first + left, count / 2, output);
    each_block(w, b, first, left, output);
    return weft_join_child(w, each_block);
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
                         int *rc)
{
    wi_require(what->size > 0 && what->fold != NULL && what->combine != NULL,
               what, "a reduction has a size, fold and combine");
    b->what = what;
    *rc = weft_check();
    return *rc == 0;
}

int weft_parallel_reduce_with(size_t begin, size_t end,
                              const struct weft_reduction *what, void *result,
                              void *arg,
                              const struct weft_parallel_options *options)
{
    WI_OPTIONS(options);
    int rc;
    struct blocks b = {.arg = arg, .begin = begin, .end = end};
    if (!start_blocks(&b, what, &rc))
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

// The sums of a group's blocks become the sums before them. `carry` is the sum
// before the group, then the one before the next; `spare` has room for one.
static void sum_up(struct blocks *b, size_t count, char *carry, char *spare)
{
    size_t size = b->what->size;
    for (size_t i = 0; i < count; i++) {
        char *sum = sum_of(b, b->first + i);
        memcpy(spare, sum, size);
        memcpy(sum, carry, size);
        b->what->combine(carry, spare, b->arg);
    }
}

WEFT_FORKABLE(int, scan_groups, w, struct blocks *, b, size_t, group)
{
    char *carry = b->sums + GROUP * b->stride, *spare = carry + b->stride;
    size_t count = block_count(b);
    memcpy(carry, b->what->identity, b->what->size);
    while (b->first < count && !is_over(&b->failure, w)) {
        if (b->scan->exact && !somebody_asks(w)) {
            run_block_with(b, b->first, true, carry);
            b->first++;
            continue;
        }
        // Alone, block after block is the fastest.
        size_t n = somebody_asks(w) ? group : 1;
        if (n > count - b->first)
            n = count - b->first;
        each_block(w, b, b->first, n, false);
        if (is_over(&b->failure, w))
            break;
        sum_up(b, n, carry, spare);
        each_block(w, b, b->first, n, true);
        b->first += n;
    }
    return 0;
}

int weft_parallel_scan_with(size_t begin, size_t end,
                            const struct weft_scan *what, void *total,
                            void *arg,
                            const struct weft_parallel_options *options)
{
    WI_OPTIONS(options);
    int rc;
    struct blocks b = {.scan = what, .arg = arg, .begin = begin, .end = end};
    if (!start_blocks(&b, &what->sum, &rc))
        return rc;
    wi_require(what->output != NULL, what, "a scan has an output");
    if (begin >= end) {
        if (total != NULL)
            memcpy(total, what->sum.identity, what->sum.size);
        return 0;
    }
    size_t n = end - begin;
    b.block =
        n >= (size_t)GROUP * SCAN_BLOCK ? SCAN_BLOCK : (n - 1) / GROUP + 1;
    b.block = at_least(b.block, options->grain);
    // How many go together does not matter for the result.
    size_t group =
        8 * (options->executor != NULL ? weft_executor_width(options->executor)
                                       : wi_os_cpu_budget());
    if (group > GROUP)
        group = GROUP;
    rc = make_sums(&b, GROUP + 2);
    if (rc < 0)
        return rc;
    rc = weft_fork_run(options->executor, NULL, scan_groups, &b, group);
    rc = result_of(&b.failure, rc);
    if (rc == 0 && total != NULL)
        memcpy(total, b.sums + GROUP * b.stride, what->sum.size);
    free(b.sums);
    return rc;
}
