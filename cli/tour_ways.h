// SPDX-License-Identifier: MIT
//
// tour_ways.h: the ways of working, and their measures. A set is the work: n
// items, each done by one C function, which is the same in every way. Only
// who calls it differs.
#ifndef WEFT_CLI_TOUR_WAYS_H
#define WEFT_CLI_TOUR_WAYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <weft.h>

enum { TOUR_WAYS_MAX = 5 };

struct tour_set;

struct tour_item {
    struct tour_set *set;
    size_t i;
};

struct tour_set {
    size_t count;
    void *context; // of `one`
    // Does item i: writes results[i] and codes[i] (0 or negative). Any thread.
    void (*one)(struct tour_set *set, size_t i);
    // Whether a result that differs is no wonder; NULL: it always is one.
    bool (*excused)(const struct tour_set *set, size_t i);
    bool may_fail; // an item that fails is a result like another
    size_t result_size;
    uint8_t *results, *first_results; // first: those of the first way
    int *codes, *first_codes;
    struct tour_item *items;
    size_t next; // atomic: the first item nobody has taken
};

struct tour_way {
    const char *name;
    char on[24]; // "1 thread", "2 processes"
    double seconds;
    double cpu;    // seconds of all CPUs together
    int code;      // 0, or why the way failed
    size_t unlike; // results that differ from those of the first way
};

// One kind of work in all its ways; the first way is "one after another".
struct tour_work {
    size_t items;
    uint64_t bytes;
    struct tour_way ways[TOUR_WAYS_MAX];
    size_t count;
};

// A line of a table of ways. workers: how many threads or processes, 0 for
// one an item.
struct tour_plan {
    const char *name;
    const char *kind; // "thread", "process"
    unsigned workers;
    int (*run)(struct tour_set *set);
};

// Gives the set its arrays, for `count` results of result_size bytes.
int tour_set_init(struct tour_set *set, size_t count, size_t result_size);
void tour_set_fini(struct tour_set *set);

void *tour_set_result(const struct tour_set *set, size_t i);

// Runs the set as planned, measures it, and compares its results with those
// of the first way that work has; appends the way to work and returns it.
struct tour_way *tour_measure(struct tour_work *work, struct tour_set *set,
                              const struct tour_plan *plan);

// The ways that need nothing but `one`. Each returns 0 or a negative code.
int tour_run_sequence(struct tour_set *set);
int tour_run_thread_each(struct tour_set *set);
int tour_run_threads(struct tour_set *set); // weft_cpu_count() of them
int tour_run_tasks(struct tour_set *set);   // one loop

// How often the way is as fast as one after another.
double tour_speedup(const struct tour_work *work, size_t way);
bool tour_way_good(const struct tour_way *way);

#endif
