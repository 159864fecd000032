// SPDX-License-Identifier: MIT
//
// parallel.h: loops over indices on the workers of a thread pool.
//
//     static int scale(size_t begin, size_t end, void *arg)
//     {
//         for (size_t i = begin; i < end; i++)
//             ((double *)arg)[i] *= 2;
//         return 0;
//     }
//     int rc = weft_parallel_for(0, n, scale, data);
//
// Each call returns when its loop is over. The loop is split when another
// worker has nothing to do, and not before, so that a loop inside a loop costs
// next to nothing. Called in a job of a pool, or in a task of a run with
// several workers, a loop uses these workers; elsewhere a pool of as many
// workers as CPUs that the process shares, or .executor. A body may block; it
// is no task of its own (see fork.h).
//
// A body returns 0, or a negative code, which ends the loop: what has not
// started does not run, and of the failures the one with the lowest index is
// returned. Cancels and deadlines of the caller's scopes end a loop too.
//
// Reductions and scans give the same result, bit for bit, for any number of
// workers: how the indices are grouped depends on their number and on .grain
// only.
#ifndef WEFT_PARALLEL_H
#define WEFT_PARALLEL_H

#include <weft/base.h>
#include <weft/executor.h>

struct weft_parallel_options {
    size_t size;
    weft_executor *executor; // a thread pool; NULL: see above
    size_t grain;            // indices that belong together at least; 0: 1
};

// The body of a loop, for the indices begin .. end - 1.
typedef int weft_range_function(size_t begin, size_t end, void *arg);

// One tile of a loop in up to three dimensions: in dimension d the indices
// begin[d] .. end[d] - 1.
struct weft_tile {
    size_t begin[3], end[3];
};
typedef int weft_tile_function(const struct weft_tile *tile, void *arg);

// What a reduction does. An accumulator has `size` bytes and begins as a copy
// of *identity.
struct weft_reduction {
    size_t size;
    const void *identity;
    // Adds the indices begin .. end - 1 to the accumulator.
    int (*fold)(size_t begin, size_t end, void *accumulator, void *arg);
    // Adds right, which is of later indices, to left. Associative; it need not
    // be commutative.
    void (*combine)(void *left, const void *right, void *arg);
};

// What a scan does: it folds and combines as a reduction, and goes over the
// same indices once more for the output.
struct weft_scan {
    struct weft_reduction sum;
    // Writes the output of the indices begin .. end - 1. The accumulator is the
    // sum of all indices before begin; the function may change it.
    int (*output)(size_t begin, size_t end, void *accumulator, void *arg);
    // Promises that output adds to the accumulator what fold would add, and
    // that the sum is the same in whatever groups it is made, as with integers:
    // then a worker that is alone needs no fold, and goes over the indices
    // once.
    bool exact;
};

// A stage of a pipeline. It gets what the stage before it returned in *item
// and leaves there what the next one gets.
struct weft_stage {
    // Returns 0, or a negative code, which ends the pipeline. The first stage
    // makes the items and returns 1 when there are no more.
    int (*run)(void **item, void *arg);
    bool parallel; // several items at once; else one at a time, in order
};

struct weft_pipeline_options {
    size_t size;
    weft_executor *executor; // a thread pool; NULL: as for loops
    size_t tokens; // items under way at most; 0: 16. One that waits for its
                   // turn costs its place only; one that waits inside a stage
                   // holds no worker, but has a stack
    void (*drop)(void *item, void *arg); // for each item that was made and has
    void *drop_arg;                      // not gone through all stages
};

WEFT_BEGIN

// Calls fn for all indices begin .. end - 1, in ranges whose size follows the
// time that they take. Blocks: the caller only. Cancels: yes; what runs is
// waited for. Threads: any. Returns 0, the first failure, -ECANCELED or
// -ETIMEDOUT from the caller's scopes, -ENOMEM. Since 0.1.
WEFT_API int
weft_parallel_for_with(size_t begin, size_t end, weft_range_function *fn,
                       void *arg, const struct weft_parallel_options *options);

// Calls fn for tiles that together cover the box 0 .. extent[d] - 1 in
// `dimensions` (1 to 3) dimensions. tile[d] is the extent of a tile, 0 stands
// for all of extent[d]; a NULL tile means rows: 1 in all dimensions but the
// last, and all of that. Everything else as weft_parallel_for. -EINVAL for
// other dimensions, -EOVERFLOW for too many tiles. Since 0.1.
WEFT_API int
weft_parallel_tiles_with(unsigned dimensions, const size_t *extent,
                         const size_t *tile, weft_tile_function *fn, void *arg,
                         const struct weft_parallel_options *options);

// Folds the indices begin .. end - 1 into *result, which has what->size bytes.
// The grouping depends on the number of indices and on .grain only, so the
// result is the same for any number of workers. *result is written on success
// only. Everything else as weft_parallel_for. Since 0.1.
WEFT_API int weft_parallel_reduce_with(
    size_t begin, size_t end, const struct weft_reduction *what, void *result,
    void *arg, const struct weft_parallel_options *options);

// Calls what->output for all indices begin .. end - 1, each time with the sum
// of what comes before. total (may be NULL) gets the sum of all. output may
// overwrite what fold reads: a range is folded before it is output. Everything
// else as weft_parallel_reduce. Since 0.1.
WEFT_API int
weft_parallel_scan_with(size_t begin, size_t end, const struct weft_scan *what,
                        void *total, void *arg,
                        const struct weft_parallel_options *options);

// Sorts n elements of `size` bytes by compare, which returns less than, equal
// to or more than 0 as for qsort; arg is handed to it. Equal elements keep
// their order. Needs memory for a copy. weft/sort.h is faster for elements
// whose type is known. Blocks, cancels (all elements are there then, in some
// order), threads: as weft_parallel_for. Errors: -ENOMEM, -EOVERFLOW too.
// Since 0.1.
WEFT_API int
weft_parallel_sort_with(void *base, size_t n, size_t size,
                        int (*compare)(const void *a, const void *b, void *arg),
                        void *arg, const struct weft_parallel_options *options);

// Runs items through n stages. The first stage makes them, one at a time; a
// stage that is not parallel takes them in the order in which the first stage
// made them. At most .tokens items are under way: the first stage waits for
// the last one. arg[i] is handed to stage i; arg may be NULL. Blocks: the
// caller only. Cancels: yes; items that are under way go through no further
// stage. Threads: any. Returns 0, the failure of a stage, -ECANCELED,
// -ETIMEDOUT, -ENOMEM, -EINVAL for no stages. Since 0.1.
WEFT_API int weft_pipeline_with(const struct weft_stage *stages, size_t n,
                                void *const *arg,
                                const struct weft_pipeline_options *options);

WEFT_END

#ifndef __cplusplus
#define weft_parallel_for(begin, end, fn, ...)                                 \
    WEFT_PARALLEL_FOR_((begin), (end), (fn), __VA_ARGS__, )
#define WEFT_PARALLEL_FOR_(begin, end, fn, arg, ...)                           \
    weft_parallel_for_with(begin, end, fn, (arg),                              \
                           WEFT_OPTIONS(weft_parallel_options, __VA_ARGS__))
#define weft_parallel_tiles(dimensions, extent, tile, fn, ...)                 \
    WEFT_PARALLEL_TILES_((dimensions), (extent), (tile), (fn), __VA_ARGS__, )
#define WEFT_PARALLEL_TILES_(dimensions, extent, tile, fn, arg, ...)           \
    weft_parallel_tiles_with(dimensions, extent, tile, fn, (arg),              \
                             WEFT_OPTIONS(weft_parallel_options, __VA_ARGS__))
#define weft_parallel_reduce(begin, end, what, result, ...)                    \
    WEFT_PARALLEL_REDUCE_((begin), (end), (what), (result), __VA_ARGS__, )
#define WEFT_PARALLEL_REDUCE_(begin, end, what, result, arg, ...)              \
    weft_parallel_reduce_with(                                                 \
        begin, end, what, result, (arg),                                       \
        WEFT_OPTIONS(weft_parallel_options, __VA_ARGS__))
#define weft_parallel_scan(begin, end, what, total, ...)                       \
    WEFT_PARALLEL_SCAN_((begin), (end), (what), (total), __VA_ARGS__, )
#define WEFT_PARALLEL_SCAN_(begin, end, what, total, arg, ...)                 \
    weft_parallel_scan_with(begin, end, what, total, (arg),                    \
                            WEFT_OPTIONS(weft_parallel_options, __VA_ARGS__))
#define weft_parallel_sort(base, n, size, compare, ...)                        \
    WEFT_PARALLEL_SORT_((base), (n), (size), (compare), __VA_ARGS__, )
#define WEFT_PARALLEL_SORT_(base, n, size, compare, arg, ...)                  \
    weft_parallel_sort_with(base, n, size, compare, (arg),                     \
                            WEFT_OPTIONS(weft_parallel_options, __VA_ARGS__))
#define weft_pipeline(stages, n, ...)                                          \
    WEFT_PIPELINE_((stages), (n), __VA_ARGS__, )
#define WEFT_PIPELINE_(stages, n, arg, ...)                                    \
    weft_pipeline_with(stages, n, (arg),                                       \
                       WEFT_OPTIONS(weft_pipeline_options, __VA_ARGS__))
#else
inline int weft_parallel_for(size_t begin, size_t end, weft_range_function *fn,
                             void *arg, weft_parallel_options o = {})
{
    o.size = sizeof o;
    return weft_parallel_for_with(begin, end, fn, arg, &o);
}
inline int weft_parallel_tiles(unsigned dimensions, const size_t *extent,
                               const size_t *tile, weft_tile_function *fn,
                               void *arg, weft_parallel_options o = {})
{
    o.size = sizeof o;
    return weft_parallel_tiles_with(dimensions, extent, tile, fn, arg, &o);
}
inline int weft_parallel_reduce(size_t begin, size_t end,
                                const weft_reduction *what, void *result,
                                void *arg, weft_parallel_options o = {})
{
    o.size = sizeof o;
    return weft_parallel_reduce_with(begin, end, what, result, arg, &o);
}
inline int weft_parallel_scan(size_t begin, size_t end,
                              const struct weft_scan *what, void *total,
                              void *arg, weft_parallel_options o = {})
{
    o.size = sizeof o;
    return weft_parallel_scan_with(begin, end, what, total, arg, &o);
}
inline int weft_parallel_sort(void *base, size_t n, size_t size,
                              int (*compare)(const void *a, const void *b,
                                             void *arg),
                              void *arg, weft_parallel_options o = {})
{
    o.size = sizeof o;
    return weft_parallel_sort_with(base, n, size, compare, arg, &o);
}
inline int weft_pipeline(const weft_stage *stages, size_t n, void *const *arg,
                         weft_pipeline_options o = {})
{
    o.size = sizeof o;
    return weft_pipeline_with(stages, n, arg, &o);
}
#endif

#endif
