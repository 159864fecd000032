// SPDX-License-Identifier: MIT
//
// A graph keeps its edges with the step they leave from. Each step counts what
// it still waits for; who takes the count to 0 runs it. In a run each frame
// goes on with one of the steps that its own step has made ready, and forks the
// others: the forks are joined when the chain ends, so a run is an ordinary
// fork-join run whose tree is found on the way. A long chain joins its newest
// fork before it makes another one too many: a run has room for a million, and
// a graph may have more.
//
// An edge that is drawn twice is counted twice, and counted down twice: so
// nobody need look whether it is there, among as many as a step may have.
#include <weft/graph.h>

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <weft/fork.h>
#include <weft/task.h>

#include "base/options.h"
#include "os/report.h"

struct step {
    int (*fn)(void *arg);
    void *arg;
    int *after; // the steps that wait for this one
    unsigned count, room;
    unsigned before;  // how many steps this one waits for
    unsigned waiting; // atomic: how many of them have not ended in this run
};

struct weft_graph {
    struct step *steps;
    int count, room;
    bool checked;  // no cycle since the last change
    uint32_t runs; // atomic
    int code;      // atomic: the failure of this run
};

// Building --------------------------------------------------------------------

weft_graph *weft_graph_new(void)
{
    return calloc(1, sizeof(weft_graph));
}

void weft_graph_free(weft_graph *g)
{
    if (g == NULL)
        return;
    wi_require(!__atomic_load_n(&g->runs, __ATOMIC_ACQUIRE), g,
               "a graph that runs must not be freed");
    for (int i = 0; i < g->count; i++)
        free(g->steps[i].after);
    free(g->steps);
    free(g);
}

static void must_rest(const char *function, weft_graph *g)
{
    wi_require_in(function, !__atomic_load_n(&g->runs, __ATOMIC_ACQUIRE), g,
                  "a graph that runs must not be changed");
    g->checked = false;
}

int weft_graph_add(weft_graph *g, int (*fn)(void *arg), void *arg)
{
    wi_need(g);
    must_rest(__func__, g);
    if (g->count == INT_MAX / 2)
        return -EOVERFLOW;
    if (g->count == g->room) {
        int room = g->room == 0 ? 16 : 2 * g->room;
        struct step *steps = realloc(g->steps, (size_t)room * sizeof *g->steps);
        if (steps == NULL)
            return -ENOMEM;
        g->steps = steps;
        g->room = room;
    }
    g->steps[g->count] = (struct step){.fn = fn, .arg = arg};
    return g->count++;
}

int weft_graph_edge(weft_graph *g, int before, int after)
{
    wi_need(g);
    must_rest(__func__, g);
    if (before < 0 || after < 0 || before >= g->count || after >= g->count)
        return -EINVAL;
    struct step *step = &g->steps[before];
    if (step->count == INT_MAX / 2 || g->steps[after].before == INT_MAX)
        return -EOVERFLOW;
    if (step->count == step->room) {
        unsigned room = step->room == 0 ? 4 : 2 * step->room;
        int *list = realloc(step->after, (size_t)room * sizeof *list);
        if (list == NULL)
            return -ENOMEM;
        step->after = list;
        step->room = room;
    }
    step->after[step->count++] = after;
    g->steps[after].before++;
    return 0;
}

size_t weft_graph_size(const weft_graph *g)
{
    wi_need(g);
    return (size_t)g->count;
}

// Order -----------------------------------------------------------------------

static void reset(weft_graph *g)
{
    // relaxed: nobody else has the steps yet
    for (int i = 0; i < g->count; i++)
        __atomic_store_n(&g->steps[i].waiting, g->steps[i].before,
                         __ATOMIC_RELAXED);
}

// Puts steps into order as they become ready; returns how many did: all, unless
// there is a cycle.
static int sort_steps(weft_graph *g, int *order)
{
    int ready = 0;
    reset(g);
    for (int i = 0; i < g->count; i++) {
        if (g->steps[i].before == 0)
            order[ready++] = i;
    }
    for (int done = 0; done < ready; done++) {
        struct step *step = &g->steps[order[done]];
        for (unsigned k = 0; k < step->count; k++) {
            if (--g->steps[step->after[k]].waiting == 0)
                order[ready++] = step->after[k];
        }
    }
    return ready;
}

static int check_order(weft_graph *g, int *order)
{
    int *steps = malloc(((size_t)g->count + 1) * sizeof *steps);
    if (steps == NULL)
        return -ENOMEM;
    g->checked = sort_steps(g, steps) == g->count;
    if (g->checked && order != NULL && g->count > 0)
        memcpy(order, steps, (size_t)g->count * sizeof *order);
    free(steps);
    return g->checked ? 0 : -ELOOP;
}

int weft_graph_order(weft_graph *g, int *order)
{
    wi_need(g);
    wi_require(!__atomic_load_n(&g->runs, __ATOMIC_ACQUIRE), g,
               "a graph that runs must not be asked for its order");
    return check_order(g, order);
}

// After a sort that did not come to all: from any step left, the way back over
// steps that are left too runs into a cycle. previous[i] is such a step before
// i, or -1.
static void find_previous(weft_graph *g, int *previous)
{
    for (int i = 0; i < g->count; i++)
        previous[i] = -1;
    for (int i = 0; i < g->count; i++) {
        struct step *step = &g->steps[i];
        for (unsigned k = 0; step->waiting > 0 && k < step->count; k++) {
            if (g->steps[step->after[k]].waiting > 0)
                previous[step->after[k]] = i;
        }
    }
}

// Walks back until a step comes again; returns one of the cycle.
static int find_on_cycle(weft_graph *g, const int *previous)
{
    int at = 0;
    while (g->steps[at].waiting == 0)
        at++;
    for (int i = 0; i < g->count; i++)
        at = previous[at];
    return at;
}

static ssize_t tell_cycle(int start, const int *previous, int *cycle, size_t n)
{
    size_t length = 0;
    int at = start;
    do {
        length++;
        at = previous[at];
    } while (at != start);
    // The way is backwards: the last step of the cycle comes first.
    for (size_t i = length; i-- > 0; at = previous[at]) {
        if (i < n)
            cycle[i] = at;
    }
    return (ssize_t)length;
}

ssize_t weft_graph_cycle(weft_graph *g, int *cycle, size_t n)
{
    wi_need(g);
    wi_need_some(cycle, n);
    // acquire: pairs with the release at the end of a run, whose counts these
    // are
    wi_require(!__atomic_load_n(&g->runs, __ATOMIC_ACQUIRE), g,
               "a graph that runs must not be asked for a cycle");
    int *previous = malloc(((size_t)g->count + 1) * sizeof *previous);
    ssize_t length = 0;
    if (previous == NULL)
        return -ENOMEM;
    if (sort_steps(g, previous) < g->count) {
        find_previous(g, previous);
        length = tell_cycle(find_on_cycle(g, previous), previous, cycle, n);
    }
    free(previous);
    return length;
}

// Running ---------------------------------------------------------------------

static bool has_failed(weft_graph *g)
{
    // relaxed: a hint while it runs
    return __atomic_load_n(&g->code, __ATOMIC_RELAXED) != 0;
}

static void run_step(weft_graph *g, struct step *step)
{
    int code = step->fn != NULL ? step->fn(step->arg) : 0, none = 0;
    if (code < 0)
        // relaxed: read by all again when they are joined
        __atomic_compare_exchange_n(&g->code, &none, code, false,
                                    __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

// Whether step i has nothing left to wait for, now that one more has ended.
static bool count_down(weft_graph *g, int i)
{
    // acq_rel: what the steps before it did is seen by who runs it
    return __atomic_sub_fetch(&g->steps[i].waiting, 1, __ATOMIC_ACQ_REL) == 0;
}

// Forks of one chain that are not joined. Those of the chains that are called
// from each other's joins fit into a run's range, as far as their frames fit
// into a stack.
enum { MOST_FORKS = 128 };

WEFT_FORKABLE(int, run_from, w, weft_graph *, g, int, at)
{
    size_t forked = 0;
    while (at >= 0 && !has_failed(g) && !weft_fork_canceled(w)) {
        struct step *step = &g->steps[at];
        run_step(g, step);
        at = -1;
        for (unsigned k = 0; k < step->count && !has_failed(g); k++) {
            int next = step->after[k];
            if (!count_down(g, next))
                continue;
            if (at >= 0 && forked == MOST_FORKS)
                weft_join_child(w, run_from);
            else
                forked += at >= 0;
            if (at >= 0)
                weft_fork(w, run_from, g, at);
            at = next;
        }
    }
    while (forked-- > 0)
        weft_join_child(w, run_from);
    return 0;
}

// From all steps that wait for nothing: those in first .. end - 1.
WEFT_FORKABLE(int, run_all, w, weft_graph *, g, int, first, int, end)
{
    if (end - first > 1) {
        int middle = first + (end - first) / 2;
        weft_fork(w, run_all, g, middle, end);
        run_all(w, g, first, middle);
        return weft_join_child(w, run_all);
    }
    return g->steps[first].before == 0 ? run_from(w, g, first) : 0;
}

static int run(weft_graph *g, weft_executor *ex)
{
    reset(g);
    g->code = 0;
    int rc = weft_fork_run(ex, NULL, run_all, g, 0, g->count);
    return rc < 0 ? rc : g->code;
}

static int check_and_run(weft_graph *g, weft_executor *ex)
{
    int rc = weft_check();
    if (rc == 0 && !g->checked)
        rc = check_order(g, NULL);
    return rc < 0 || g->count == 0 ? rc : run(g, ex);
}

int weft_graph_run_with(weft_graph *g, const struct weft_graph_options *options)
{
    WI_OPTIONS(options);
    wi_require(g != NULL, g, "a graph must not be NULL");
    // acq_rel: pairs with the release below
    if (__atomic_exchange_n(&g->runs, 1, __ATOMIC_ACQ_REL))
        return -EBUSY;
    int rc = check_and_run(g, options->executor);
    __atomic_store_n(&g->runs, 0, __ATOMIC_RELEASE);
    return rc;
}
