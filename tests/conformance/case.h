// SPDX-License-Identifier: MIT
//
// case.h: the table of cases. Each file holds the cases of one object and a
// list of them; conformance.c runs them all.
#ifndef WEFT_CONFORMANCE_CASE_H
#define WEFT_CONFORMANCE_CASE_H

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weft.h>

struct conformance_case {
    const char *name; // NULL ends a list
    void (*run)(void);
};

extern const struct conformance_case values_cases[], tasks_cases[],
    scopes_cases[], futures_cases[], groups_cases[], threads_cases[],
    pools_cases[], io_cases[];

void conformance_check(int ok, const char *what, const char *file, int line);
#define CHECK(condition)                                                       \
    conformance_check(!!(condition), #condition, __FILE__, __LINE__)

// A code by its name, so that a failure says which one came.
void conformance_code(long rc, long want, const char *what, const char *file,
                      int line);
#define CODE(call, want)                                                       \
    conformance_code((call), (want), #call, __FILE__, __LINE__)

// Bodies ----------------------------------------------------------------------

static inline void *number(long n)
{
    return (void *)(intptr_t)n;
}

static inline int give(void *arg)
{
    return (int)(intptr_t)arg;
}

static inline int count(void *arg)
{
    __atomic_fetch_add((int *)arg, 1, __ATOMIC_SEQ_CST);
    return 0;
}

static inline void count_drop(void *arg)
{
    __atomic_fetch_add((int *)arg, 1, __ATOMIC_SEQ_CST);
}

static inline int load(const int *counter)
{
    return __atomic_load_n(counter, __ATOMIC_SEQ_CST);
}

static inline int block(void *arg)
{
    (void)arg;
    return weft_sleep(INFINITY);
}

static inline int count_and_block(void *arg)
{
    count(arg);
    return weft_sleep(INFINITY);
}

static inline void await(const int *counter, int n)
{
    while (load(counter) < n)
        weft_yield();
}

#endif
