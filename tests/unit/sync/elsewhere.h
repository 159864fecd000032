// SPDX-License-Identifier: MIT
//
// elsewhere.h: cases on objects in an arena, between processes. A suite names
// its table of objects, and the works that other processes may be given:
//
//     #define TABLE struct table
//     #include "elsewhere.h"
//     static work_function *const works[] = {...};   // all that it uses
//
// A work runs in a process that has opened the arena at another address.
#ifndef WEFT_ELSEWHERE_H
#define WEFT_ELSEWHERE_H

#include "kit.h"

#include <stdio.h>

#include "sync/far_line.h"

static weft_arena *arena;

typedef int work_function(TABLE *t, long n);

// Works by their number: a function lies elsewhere in another process.
static work_function *work_of_number(size_t number);

// Its number may come a little after the process itself; kill(0) would be for
// all of us.
static inline void kill_it(weft_future *f)
{
    pid_t pid;

    while ((pid = weft_future_native_id(f)) == 0 && !weft_done(f))
        weft_yield();
    if (pid <= 0)
        ck_abort_msg("it has ended already: %d", weft_future_code(f));
    kill(pid, SIGKILL);
}

// In another process, with the table where that has it.
struct order {
    struct weft_arena_ref table;
    size_t work;
    long n;
};

static int obey(void *arg)
{
    struct order *order = arg;
    TABLE *t = weft_arena_open(order->table, &arena);
    if (t == NULL)
        return -ENOENT;
    int rc = work_of_number(order->work)(t, order->n);
    weft_arena_close(arena);
    return rc;
}

static inline weft_future *elsewhere(work_function *work, TABLE *t, long n)
{
    struct order order = {weft_arena_ref(arena, t), 0, n};
    while (work_of_number(order.work) != work)
        ck_assert_ptr_nonnull(work_of_number(++order.work));
    return weft_process_start(obey, &order, sizeof order);
}

#define ELSEWHERE_WORKS(...)                                                   \
    static work_function *work_of_number(size_t number)                        \
    {                                                                          \
        static work_function *const works[] = {__VA_ARGS__};                   \
        return number < sizeof works / sizeof *works ? works[number] : NULL;   \
    }

// Until so many stand in the line of an object.
static inline void until_in_line(const void *object, uint32_t *lock,
                                 uintptr_t *first, unsigned n)
{
    struct wi_far_line line = wi_far_line_of(object, lock, first);
    for (unsigned found = 0; found < n; weft_yield()) {
        found = 0;
        wi_far_take(&line);
        struct wi_far_place *place = wi_far_place_at(&line, *line.first);
        for (; place != NULL; place = wi_far_place_at(&line, place->next))
            found++;
        wi_far_give(&line);
    }
}

// Some time, of a random length, in which another process goes on.
static inline void dawdle(void)
{
    for (uint64_t k = weft_test_random() % 4000; k > 0; k--)
        __asm__ volatile("" ::: "memory");
}

// What became of the kills: how long the next owner waited after each.
struct recovery {
    int kills, told;
    double sum, longest;
};

static inline void recovery_add(struct recovery *r, double killed, bool told)
{
    double took = weft_now() - killed;

    r->kills++;
    r->told += told;
    r->sum += took;
    if (took > r->longest)
        r->longest = took;
}

static inline void recovery_print(const struct recovery *r, const char *what)
{
    printf("%s: %d kills, %d told, recovery %.3f ms on average, at most %.3f\n",
           what, r->kills, r->told, r->sum / r->kills * 1e3, r->longest * 1e3);
}

#endif
