// SPDX-License-Identifier: MIT
//
// The closing sentences. They are made from the figures of this run alone: a
// machine on which something else is true is told something else.
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tour_report.h"

// Ways that differ by less are called equal.
#define MARGIN 1.10

// A single thread that computes gets more of a CPU when nothing disturbs it.
#define BUSY_SHARE 0.85

#define TASKS "tasks on one loop"

// Work that is done in less, one after another, tells nothing.
#define ENOUGH 0.1 // seconds

enum { NOBODY = TOUR_WAYS_MAX };

bool tour_report_good(const struct tour_report *report)
{
    bool good = report->waiting_code >= 0 && report->computing_code >= 0;

    for (size_t i = 0; i < TOUR_PROGRAMS; i++)
        good = good && report->programs[i].status == 0;
    for (size_t i = 0; i < report->waiting.count; i++)
        good = good && tour_way_good(&report->waiting.ways[i]);
    for (size_t i = 0; i < report->computing.count; i++)
        good = good && tour_way_good(&report->computing.ways[i]);
    return good;
}

static size_t fastest(const struct tour_work *work)
{
    size_t best = NOBODY;

    for (size_t i = 0; i < work->count; i++)
        if (tour_way_good(&work->ways[i]) &&
            (best == NOBODY ||
             work->ways[i].seconds < work->ways[best].seconds))
            best = i;
    return best;
}

static bool is_enough(const struct tour_work *work)
{
    return work->count > 0 && work->ways[0].seconds >= ENOUGH;
}

// Whether a way with one thread got clearly less than one CPU.
static bool is_disturbed(const struct tour_work *work)
{
    return work->count > 0 &&
           work->ways[0].cpu < BUSY_SHARE * work->ways[0].seconds;
}

static size_t find(const struct tour_work *work, const char *name)
{
    for (size_t i = 0; i < work->count; i++)
        if (!strcmp(work->ways[i].name, name) && tour_way_good(&work->ways[i]))
            return i;
    return NOBODY;
}

// The named way if it is as fast as any within the margin, else the fastest:
// of equals the one with the least machinery.
static size_t choice(const struct tour_work *work, const char *name)
{
    size_t best = fastest(work), named = find(work, name);

    if (named != NOBODY &&
        work->ways[named].seconds <= work->ways[best].seconds * MARGIN)
        return named;
    return best;
}

struct text {
    char *at;
    size_t room;
};

static void add(struct text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void add(struct text *text, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    int n = vsnprintf(text->at, text->room, format, args);
    va_end(args);
    size_t used = n < 0 ? 0 : (size_t)n;
    if (used >= text->room)
        used = text->room ? text->room - 1 : 0;
    text->at += used;
    text->room -= used;
}

static void add_way(struct text *text, const struct tour_work *work, size_t i)
{
    const struct tour_way *way = &work->ways[i];

    add(text, "%s, %.1fx (%.3f s on %s)", way->name, tour_speedup(work, i),
        way->seconds, way->on);
}

static bool is_as_good(const struct tour_work *work, size_t i, size_t best)
{
    return tour_way_good(&work->ways[i]) &&
           work->ways[i].seconds <= work->ways[best].seconds * MARGIN;
}

// The fastest way, then those that are as fast within the margin.
static void add_best(struct text *text, const struct tour_work *work,
                     size_t best)
{
    const char *before = "; as fast within 10 %: ";

    add_way(text, work, best);
    for (size_t i = 0; i < work->count; i++) {
        if (i == best || !is_as_good(work, i, best))
            continue;
        add(text, "%s", before);
        add_way(text, work, i);
        before = ", ";
    }
    add(text, ".");
}

static void conclude_waiting(const struct tour_work *work, struct text text)
{
    size_t best = fastest(work), tasks = find(work, TASKS);

    if (best == NOBODY || !is_enough(work))
        return;
    add(&text, "Waiting: best is ");
    add_best(&text, work, best);
    if (tasks != NOBODY && !is_as_good(work, tasks, best))
        add(&text, " Tasks on one loop came to %.1fx with one thread.",
            tour_speedup(work, tasks));
}

static void conclude_computing(const struct tour_work *work, unsigned cpus,
                               struct text text)
{
    size_t best = fastest(work), tasks = find(work, TASKS);

    if (best == NOBODY)
        return;
    if (!is_enough(work)) {
        add(&text,
            "Computing: this took %.3f s one after another, too little to "
            "tell the ways apart; take a larger folder.",
            work->ways[0].seconds);
        return;
    }
    add(&text, "Computing on %u CPU%s: best is ", cpus, cpus == 1 ? "" : "s");
    add_best(&text, work, best);
    if (is_disturbed(work))
        add(&text,
            " But something else had the CPUs or the disk meanwhile (one "
            "after another computed for %.0f %% of its time), so these times "
            "say little.",
            work->ways[0].cpu / work->ways[0].seconds * 100);
    else if (tasks != NOBODY && !is_as_good(work, tasks, best))
        add(&text,
            " Tasks on one loop came to %.1fx: they overlap their waits, and "
            "here is nothing to wait for.",
            tour_speedup(work, tasks));
}

// What a process costs beside a thread, and when it is worth it.
static void add_processes(struct text *text, const struct tour_work *work)
{
    size_t pool = find(work, "thread pool");
    size_t processes = find(work, "process pool");

    if (pool == NOBODY || processes == NOBODY)
        return;
    double ratio = work->ways[processes].seconds / work->ways[pool].seconds;
    if (ratio > MARGIN)
        add(text,
            "; the process pool took %.0f %% longer than the thread "
            "pool: the price when a crash must stay alone",
            (ratio - 1) * 100);
    else
        add(text,
            "; the process pool was as fast as the thread pool%s, and "
            "a crash in it stays alone",
            ratio < 1 / MARGIN ? " or faster" : "");
}

static void conclude_both(const struct tour_report *report, struct text text)
{
    const struct tour_work *waiting = &report->waiting;
    const struct tour_work *computing = &report->computing;
    size_t wait = choice(waiting, TASKS);
    size_t compute = choice(computing, "thread pool");

    if (wait == NOBODY || !is_enough(waiting))
        return;
    add(&text, "So here: for work that waits, %s", waiting->ways[wait].name);
    if (compute != NOBODY && is_enough(computing) && !is_disturbed(computing)) {
        add(&text, "; for work that computes, %s",
            computing->ways[compute].name);
        if (report->cpus == 1)
            add(&text, " (one CPU: nothing can compute faster than one after "
                       "another)");
        add_processes(&text, computing);
    }
    add(&text, ".");
}

void tour_conclude(struct tour_report *report)
{
    struct text text[TOUR_SENTENCES];

    for (size_t i = 0; i < TOUR_SENTENCES; i++)
        text[i] = (struct text){report->sentences[i], TOUR_SENTENCE_MAX};
    conclude_waiting(&report->waiting, text[0]);
    conclude_computing(&report->computing, report->cpus, text[1]);
    conclude_both(report, text[2]);
}
