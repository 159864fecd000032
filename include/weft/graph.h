// SPDX-License-Identifier: MIT
//
// graph.h: steps that depend on each other. A graph is built once and run as
// often as one likes: a run allocates nothing.
//
//     weft_graph *g = weft_graph_new();
//     int cut = weft_graph_add(g, cut_function, wood);
//     int glue = weft_graph_add(g, glue_function, wood);
//     weft_graph_edge(g, cut, glue);                  // cut before glue
//     int rc = weft_graph_run(g);
//     weft_graph_free(g);
//
// This is Python's graphlib.TopologicalSorter together with the pool that runs
// what is ready. A graph has no lock: build it in one thread, run it once at a
// time.
#ifndef WEFT_GRAPH_H
#define WEFT_GRAPH_H

#include <weft/base.h>
#include <weft/executor.h>

typedef struct weft_graph weft_graph;

struct weft_graph_options {
    size_t size;
    weft_executor *executor; // a thread pool; NULL: as for weft_parallel_for
};

WEFT_BEGIN

// An empty graph; NULL: no memory. Since 0.1.
WEFT_API weft_graph *weft_graph_new(void);

// Frees a graph that does not run. NULL is allowed. Since 0.1.
WEFT_API void weft_graph_free(weft_graph *g);

// Adds a step: fn(arg), which returns 0 or more, or a negative code that ends
// the run. fn may be NULL: a step that does nothing, for others to meet in.
// Returns the step's number, counted from 0, -ENOMEM, or -EOVERFLOW after a
// thousand million steps. Since 0.1.
WEFT_API int weft_graph_add(weft_graph *g, int (*fn)(void *arg), void *arg);

// Step `after` begins when step `before` has ended. Returns 0, -ENOMEM, -EINVAL
// if one of them does not exist, or -EOVERFLOW after a thousand million edges
// of one step. The same edge twice is as one. Since 0.1.
WEFT_API int weft_graph_edge(weft_graph *g, int before, int after);

// The number of steps. Since 0.1.
WEFT_API size_t weft_graph_size(const weft_graph *g);

// Writes the steps to order (room for all of them; may be NULL) so that each
// stands behind those it depends on; among steps that could stand in one place,
// those added first come first. Not while it runs. Returns 0, -ENOMEM, or
// -ELOOP if there is a cycle. Since 0.1.
WEFT_API int weft_graph_order(weft_graph *g, int *order);

// Finds a cycle: writes its steps to cycle, in order, at most n of them, each
// before the next and the last before the first. Not while it runs. Returns how
// many steps the cycle has, 0 if there is none, or -ENOMEM. Since 0.1.
WEFT_API ssize_t weft_graph_cycle(weft_graph *g, int *cycle, size_t n);

// Runs each step once, in an order that the edges allow, steps that are ready
// on several workers at once. When a step fails, no further one begins.
// Blocks: the caller only. Cancels: yes; what runs is waited for. Threads: any.
// Returns 0, the first failure that was seen, -ELOOP if there is a cycle (see
// weft_graph_cycle; no step has run), -EBUSY if the graph runs already,
// -ECANCELED or -ETIMEDOUT from the caller's scopes, -ENOMEM. Since 0.1.
WEFT_API int weft_graph_run_with(weft_graph *g,
                                 const struct weft_graph_options *options);

WEFT_END

#ifndef __cplusplus
#define weft_graph_run(...) WEFT_GRAPH_RUN_(__VA_ARGS__, )
#define WEFT_GRAPH_RUN_(g, ...)                                                \
    weft_graph_run_with((g), WEFT_OPTIONS(weft_graph_options, __VA_ARGS__))
#else
inline int weft_graph_run(weft_graph *g, weft_graph_options o = {})
{
    o.size = sizeof o;
    return weft_graph_run_with(g, &o);
}
#endif

#endif
