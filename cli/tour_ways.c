// SPDX-License-Identifier: MIT
#include "tour_ways.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "progress.h"

int tour_set_init(struct tour_set *set, size_t count, size_t result_size)
{
    set->count = count;
    set->result_size = result_size;
    set->results = calloc(count, result_size);
    set->first_results = calloc(count, result_size);
    set->codes = calloc(count, sizeof(*set->codes));
    set->first_codes = calloc(count, sizeof(*set->first_codes));
    set->items = calloc(count, sizeof(*set->items));
    if (!set->results || !set->first_results || !set->codes ||
        !set->first_codes || !set->items)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++)
        set->items[i] = (struct tour_item){set, i};
    return 0;
}

void tour_set_fini(struct tour_set *set)
{
    free(set->results);
    free(set->first_results);
    free(set->codes);
    free(set->first_codes);
    free(set->items);
}

void *tour_set_result(const struct tour_set *set, size_t i)
{
    return set->results + i * set->result_size;
}

// The ways --------------------------------------------------------------------

static int do_item(void *arg)
{
    struct tour_item *item = arg;

    item->set->one(item->set, item->i);
    progress_step();
    return 0;
}

int tour_run_sequence(struct tour_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        do_item(&set->items[i]);
    return 0;
}

// Waits for all; the first failure, if one could not start.
static int join_all(weft_future **started, size_t n)
{
    int rc = weft_gather_into(started, n, NULL, 0, NULL);

    free(started);
    return rc;
}

int tour_run_thread_each(struct tour_set *set)
{
    weft_future **threads = calloc(set->count, sizeof(weft_future *));

    if (!threads)
        return -ENOMEM;
    for (size_t i = 0; i < set->count; i++)
        threads[i] = weft_thread_start(do_item, &set->items[i], .name = "one");
    return join_all(threads, set->count);
}

static int take_items(void *arg)
{
    struct tour_set *set = arg;
    size_t i;

    // relaxed: only the number matters, joining orders the results
    while ((i = __atomic_fetch_add(&set->next, 1, __ATOMIC_RELAXED)) <
           set->count)
        do_item(&set->items[i]);
    return 0;
}

int tour_run_threads(struct tour_set *set)
{
    size_t n = weft_cpu_count();
    weft_future **threads = calloc(n, sizeof(weft_future *));

    if (!threads)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        threads[i] = weft_thread_start(take_items, set, .name = "share");
    return join_all(threads, n);
}

static int start_tasks(void *arg)
{
    struct tour_set *set = arg;
    int rc = 0;

    {
        WEFT_GROUP(g, &rc);
        for (size_t i = 0; i < set->count; i++)
            weft_future_unref(
                weft_task_start(do_item, &set->items[i], .group = g));
    }
    return rc;
}

int tour_run_tasks(struct tour_set *set)
{
    return weft_run(start_tasks, set, .name = "tour");
}

// The measures ----------------------------------------------------------------

static double seconds_of(const struct timeval *t)
{
    return (double)t->tv_sec + (double)t->tv_usec / 1e6;
}

// Of this process and of the children that have ended.
static double cpu_seconds(void)
{
    struct rusage self, children;

    getrusage(RUSAGE_SELF, &self);
    getrusage(RUSAGE_CHILDREN, &children);
    return seconds_of(&self.ru_utime) + seconds_of(&self.ru_stime) +
           seconds_of(&children.ru_utime) + seconds_of(&children.ru_stime);
}

static bool same(const struct tour_set *set, size_t i)
{
    size_t at = i * set->result_size;

    if (set->codes[i] < 0 || set->first_codes[i] < 0)
        return set->codes[i] == set->first_codes[i];
    return !memcmp(set->results + at, set->first_results + at,
                   set->result_size);
}

static size_t count_unlike(const struct tour_set *set)
{
    size_t unlike = 0;

    for (size_t i = 0; i < set->count; i++)
        unlike += !same(set, i) && !(set->excused && set->excused(set, i));
    return unlike;
}

static int first_failure(const struct tour_set *set)
{
    for (size_t i = 0; !set->may_fail && i < set->count; i++)
        if (set->codes[i] < 0)
            return set->codes[i];
    return 0;
}

// Results of the way before must not pass for those of this one.
static void spoil(struct tour_set *set)
{
    memset(set->results, 0xa5, set->count * set->result_size);
    for (size_t i = 0; i < set->count; i++)
        set->codes[i] = -EINPROGRESS;
    set->next = 0;
}

static void keep_as_first(struct tour_set *set)
{
    memcpy(set->first_results, set->results, set->count * set->result_size);
    memcpy(set->first_codes, set->codes, set->count * sizeof(*set->codes));
}

static void describe(struct tour_way *way, const struct tour_plan *plan,
                     size_t items)
{
    size_t n = plan->workers ? plan->workers : items;
    const char *plural = n == 1 ? "" : *plan->kind == 'p' ? "es" : "s";

    *way = (struct tour_way){.name = plan->name};
    snprintf(way->on, sizeof(way->on), "%zu %s%s", n, plan->kind, plural);
}

struct tour_way *tour_measure(struct tour_work *work, struct tour_set *set,
                              const struct tour_plan *plan)
{
    struct tour_way *way = &work->ways[work->count];

    describe(way, plan, set->count);
    spoil(set);
    progress_begin(plan->name, *plan->kind == 'p' ? 0 : set->count);
    double cpu = cpu_seconds(), start = weft_now();
    way->code = plan->run(set);
    way->seconds = weft_now() - start;
    way->cpu = cpu_seconds() - cpu;
    progress_end();
    if (work->count++ == 0)
        keep_as_first(set);
    if (way->code >= 0)
        way->code = first_failure(set);
    way->unlike = count_unlike(set);
    return way;
}

double tour_speedup(const struct tour_work *work, size_t way)
{
    return work->ways[0].seconds / work->ways[way].seconds;
}

bool tour_way_good(const struct tour_way *way)
{
    return way->code >= 0 && way->unlike == 0;
}
