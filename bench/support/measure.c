// SPDX-License-Identifier: MIT
// Clocks, memory, CPUs.
#include "bench.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double read_clock(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

double bench_cpu(void)
{
    return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

double bench_thread_cpu(void)
{
    return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

double bench_wall(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

static double read_kib(const char *file, const char *name)
{
    FILE *in = fopen(file, "re");
    char line[256];
    double kib = -1;
    size_t len = strlen(name);
    if (in == NULL)
        bench_fail("%s cannot be read", file);
    while (fgets(line, sizeof line, in) != NULL)
        if (strncmp(line, name, len) == 0 && line[len] == ':')
            kib = strtod(line + len + 1, NULL);
    fclose(in);
    if (kib < 0)
        bench_fail("%s has no %s", file, name);
    return kib * 1024;
}

double bench_rss(void)
{
    return read_kib("/proc/self/status", "VmRSS");
}

double bench_page_tables(void)
{
    return read_kib("/proc/self/status", "VmPTE");
}

double bench_free_memory(void)
{
    return read_kib("/proc/meminfo", "MemAvailable");
}

void bench_tell_memory(struct bench_reply *reply, double rss, double tables,
                       double n)
{
    reply->value = (rss + tables) / n;
    reply->more[0] = rss / n;
    reply->more[1] = tables / n;
}

void bench_sleep_us(long us)
{
    const struct timespec gap = {us / 1000000, us % 1000000 * 1000};
    if (us > 0)
        nanosleep(&gap, NULL);
}

void bench_pin(void)
{
    cpu_set_t all, one;
    int cpu = 0;
    if (sched_getaffinity(0, sizeof all, &all) != 0)
        bench_fail("sched_getaffinity");
    while (!CPU_ISSET(cpu, &all))
        cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    if (sched_setaffinity(0, sizeof one, &one) != 0)
        bench_fail("sched_setaffinity");
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_median(double *values, unsigned n)
{
    qsort(values, n, sizeof *values, compare);
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}
