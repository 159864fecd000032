// SPDX-License-Identifier: MIT
// support.h: what the C and C++ peers need: clocks, their arguments, and the
// one line that they print: the figure, the answer, other figures.
#ifndef PEER_SUPPORT_H
#define PEER_SUPPORT_H

#include <inttypes.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

static inline double peer_clock(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static inline double peer_cpu(void)
{
    return peer_clock(CLOCK_PROCESS_CPUTIME_ID);
}

static inline double peer_thread_cpu(void)
{
    return peer_clock(CLOCK_THREAD_CPUTIME_ID);
}

static inline double peer_wall(void)
{
    return peer_clock(CLOCK_MONOTONIC);
}

// The i-th argument: 0 is the number of operations, then the parameters.
static inline long peer_argument(int argc, char **argv, int i)
{
    return i + 1 < argc ? atol(argv[i + 1]) : 0;
}

static inline double peer_status(const char *name)
{
    FILE *in = fopen("/proc/self/status", "re");
    char line[256];
    double kib = 0;
    size_t len = strlen(name);
    while (in != NULL && fgets(line, sizeof line, in) != NULL)
        if (strncmp(line, name, len) == 0 && line[len] == ':')
            kib = strtod(line + len + 1, NULL);
    if (in != NULL)
        fclose(in);
    return kib * 1024;
}

static inline void peer_pin(void)
{
    cpu_set_t all, one;
    int cpu = 0;
    sched_getaffinity(0, sizeof all, &all);
    while (!CPU_ISSET(cpu, &all))
        cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    sched_setaffinity(0, sizeof one, &one);
}

static inline void peer_sleep(long us)
{
    struct timespec gap = {us / 1000000, us % 1000000 * 1000};
    nanosleep(&gap, NULL);
}

// The generator of bench/support/bench.h.
static inline uint64_t peer_random(uint64_t *state)
{
    uint64_t x = *state += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static inline int peer_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static inline void peer_reply(double value, uint64_t answer, double more0,
                              double more1, double more2, double more3)
{
    printf("%.17g %" PRIu64 " %.17g %.17g %.17g %.17g\n", value, answer, more0,
           more1, more2, more3);
}

// How often a thread gave up its CPU to wait.
static inline double peer_waits(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_nvcsw;
}

// Once n jobs are done: the CPU time in ms of waiting, as in bench/idle.c.
static inline void peer_idle(long ms, long *done, long n)
{
    // acquire; partner: what the jobs add
    while (__atomic_load_n(done, __ATOMIC_ACQUIRE) < n)
        sched_yield();
    peer_sleep(ms * 500);
    double waits = peer_waits(), begin = peer_cpu();
    peer_sleep(ms * 1000);
    double used = peer_cpu() - begin;
    peer_reply(used / (double)ms, (uint64_t)n,
               (peer_waits() - waits - 1) * 1000 / (double)ms, 0, 0, 0);
}

// The rounds of submit_result, as in bench/submit_result.c.
enum { PEER_MAX_ROUNDS = 20000, PEER_WARM = 20 };

static inline void peer_rounds(long n, long gap_us, long (*call)(long x))
{
    static double walls[PEER_MAX_ROUNDS];
    uint64_t answer = 0;
    double cpu = 0;
    for (long i = 0; i < n + PEER_WARM; i++) {
        double cpu_begin = peer_cpu();
        double begin = peer_wall();
        long got = call(i);
        double wall = peer_wall() - begin;
        if (i >= PEER_WARM) {
            walls[i - PEER_WARM] = wall;
            cpu += peer_cpu() - cpu_begin;
            answer += (uint64_t)got;
        }
        peer_sleep(gap_us);
    }
    qsort(walls, (size_t)n, sizeof *walls, peer_compare);
    peer_reply(walls[n / 2] / 1000, answer, walls[0] / 1000,
               walls[n * 9 / 10] / 1000, walls[n * 99 / 100] / 1000,
               cpu / (double)n / 1000);
}

#endif
