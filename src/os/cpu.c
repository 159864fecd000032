// SPDX-License-Identifier: MIT
//
// The CPU budget is what the kernel will really let this process use: the
// affinity mask, and the CPU quota of its cgroup and of every cgroup above it
// (cgroup v2 cpu.max; v1 cpu.cfs_quota_us). Containers set the quota, and
// nproc does not see it.
#include "os/cpu.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fresh.h"
#include "os/environment.h"
#include "os/futex.h"

static unsigned affinity_count(void)
{
    // Large machines need more than the 1,024 CPUs of a plain cpu_set_t.
    for (size_t cpus = CPU_SETSIZE; cpus <= 1u << 16; cpus *= 2) {
        size_t size = CPU_ALLOC_SIZE(cpus);
        cpu_set_t *set = CPU_ALLOC(cpus);
        if (set == NULL)
            break;
        int rc = sched_getaffinity(0, size, set);
        int count = rc == 0 ? CPU_COUNT_S(size, set) : 0;
        CPU_FREE(set);
        if (rc == 0 && count > 0)
            return (unsigned)count;
    }
    return 1;
}

// Not on the stack: whoever asks first may be a task on one of 16 KiB.
static struct scratch {
    char line[PATH_MAX + 64];
    char folder[PATH_MAX + 64];
    char path[PATH_MAX + 128];
} scratch; // under the lock
static struct wi_mutex lock;

static void fresh(void)
{
    lock = (struct wi_mutex){0};
}

__attribute__((constructor)) static void register_fresh(void)
{
    wi_fresh_add(fresh);
}

// The quota in CPUs that one cgroup folder sets, or 0 if it sets none.
static double folder_quota(const char *folder, bool v2)
{
    char *path = scratch.path;
    size_t size = sizeof scratch.path;
    double quota = 0, period = 0;
    snprintf(path, size, "%s/%s", folder, v2 ? "cpu.max" : "cpu.cfs_quota_us");
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    int got = fscanf(file, v2 ? "%lf %lf" : "%lf", &quota, &period);
    fclose(file);
    if (got < 1 || quota <= 0)
        return 0; // "max" or -1
    if (!v2) {
        snprintf(path, size, "%s/cpu.cfs_period_us", folder);
        file = fopen(path, "re");
        if (file == NULL)
            return 0;
        got = 1 + fscanf(file, "%lf", &period);
        fclose(file);
    }
    return got >= 2 && period > 0 ? quota / period : 0;
}

// The smallest quota from `path` below `root` up to root itself; 0 for none.
static double chain_quota(const char *root, const char *path, bool v2)
{
    char *folder = scratch.folder;
    double least = 0;
    snprintf(folder, sizeof scratch.folder, "%s%s", root, path);
    for (;;) {
        double quota = folder_quota(folder, v2);
        if (quota > 0 && (least == 0 || quota < least))
            least = quota;
        char *slash = strrchr(folder, '/');
        if (slash == NULL || strlen(folder) <= strlen(root))
            return least;
        *slash = '\0';
    }
}

// One line of /proc/self/cgroup is "id:controllers:path".
static double line_quota(char *line)
{
    line[strcspn(line, "\n")] = '\0';
    char *controllers = strchr(line, ':');
    char *path = controllers ? strchr(controllers + 1, ':') : NULL;
    if (path == NULL)
        return 0;
    *path++ = '\0';
    controllers++;
    if (strcmp(path, "/") == 0)
        path = "";
    if (*controllers == '\0')
        return chain_quota("/sys/fs/cgroup", path, true);
    if (strstr(controllers, "cpu") == NULL || strstr(controllers, "cpuset"))
        return 0;
    return chain_quota("/sys/fs/cgroup/cpu", path, false);
}

static double quota_of_all(FILE *file)
{
    double least = 0;
    while (fgets(scratch.line, sizeof scratch.line, file) != NULL) {
        double quota = line_quota(scratch.line);
        if (quota > 0 && (least == 0 || quota < least))
            least = quota;
    }
    return least;
}

// Called in the middle of waits, which keep errno.
static double cgroup_quota(void)
{
    int saved = errno;
    double least = 0;
    wi_mutex_lock(&lock);
    FILE *file = fopen("/proc/self/cgroup", "re");
    if (file != NULL) {
        least = quota_of_all(file);
        fclose(file);
    }
    wi_mutex_unlock(&lock);
    errno = saved;
    return least;
}

unsigned wi_os_cpu_budget(void)
{
    const char *forced = wi_os_environment("WEFT_NPROC");
    if (forced != NULL)
        return (unsigned)atoi(forced);
    unsigned cpus = affinity_count();
    double quota = cgroup_quota();
    if (quota > 0 && quota < cpus)
        cpus = (unsigned)quota + (quota > (unsigned)quota ? 1 : 0);
    return cpus > 0 ? cpus : 1;
}

bool wi_os_cpu_scarce(void)
{
    // 0 unknown, 1 scarce, 2 not. relaxed: races write the same value
    static int known;
    int value = __atomic_load_n(&known, __ATOMIC_RELAXED);
    if (value == 0) {
        value = affinity_count() < 2 || cgroup_quota() > 0 ? 1 : 2;
        __atomic_store_n(&known, value, __ATOMIC_RELAXED);
    }
    return value == 1;
}

int wi_os_cpu_here(void)
{
    return sched_getcpu();
}
