// SPDX-License-Identifier: MIT
#include "os/settings.h"

#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/resource.h>

static int set_cpus(const struct wi_settings *settings)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    for (unsigned i = 0; i < WI_SETTINGS_CPUS && i < CPU_SETSIZE; i++)
        if (settings->cpus[i / 64] >> i % 64 & 1)
            CPU_SET(i, &set);
    return sched_setaffinity(0, sizeof set, &set) == 0 ? 0 : -errno;
}

static int set_nice(int add)
{
    errno = 0;
    int now = getpriority(PRIO_PROCESS, 0);
    if (errno == 0)
        setpriority(PRIO_PROCESS, 0, now + add);
    return -errno;
}

static rlim_t limit_of(uint64_t value)
{
    return value == UINT64_MAX ? RLIM_INFINITY : (rlim_t)value;
}

static int set_limit(int resource, uint64_t soft, uint64_t hard)
{
    struct rlimit limit = {limit_of(soft), limit_of(hard)};
    return setrlimit(resource, &limit) == 0 ? 0 : -errno;
}

int wi_os_settings_apply(const struct wi_settings *settings, const char **what)
{
    int rc = 0;
    *what = "CPU affinity";
    if (settings->has_cpus && (rc = set_cpus(settings)) < 0)
        return rc;
    *what = "nice value";
    if (settings->nice != 0 && (rc = set_nice(settings->nice)) < 0)
        return rc;
    *what = "resource limit";
    for (uint32_t i = 0; i < settings->limit_count && rc == 0; i++)
        rc = set_limit(settings->limits[i].resource, settings->limits[i].soft,
                       settings->limits[i].hard);
    if (rc < 0)
        return rc;
    *what = "memory limit";
    // Private writable mappings and the heap. RLIMIT_AS would count reserved
    // address space, of which stacks and sanitizers take much.
    if (settings->memory != 0)
        rc = set_limit(RLIMIT_DATA, settings->memory, settings->memory);
    return rc;
}
