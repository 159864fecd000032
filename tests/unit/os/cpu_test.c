// SPDX-License-Identifier: MIT
//
// The CPU budget under quotas that stand in files of the test's own: it mounts
// them where the kernel's are, in a name space that ends with it.
#include "os/cpu.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "weft_test.h"

static unsigned affinity(void)
{
    cpu_set_t set;
    ck_assert_int_eq(sched_getaffinity(0, sizeof set, &set), 0);
    return (unsigned)CPU_COUNT(&set);
}

static void write_file(const char *path, const char *text)
{
    char part[256];
    snprintf(part, sizeof part, "%s", path);
    for (char *at = part + 1; (at = strchr(at, '/')) != NULL; *at++ = '/') {
        *at = '\0';
        mkdir(part, 0755);
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    ck_assert_msg(fd >= 0, "%s cannot be written", path);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

// An empty tree of groups, and this process where `groups` says.
static void begin(const char *groups)
{
    static const char file[] = "/sys/fs/cgroup/mine";
    if (unshare(CLONE_NEWNS) != 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", "/sys/fs/cgroup", "tmpfs", 0, NULL) != 0)
        weft_test_skip("no file system can be mounted here");
    write_file(file, groups);
    if (mount(file, "/proc/self/cgroup", NULL, MS_BIND, NULL) != 0)
        weft_test_skip("nothing can be mounted in /proc");
    unsetenv("WEFT_NPROC");
}

WEFT_TEST(without_a_quota_it_is_the_affinity)
{
    begin("0::/a/b\n");
    write_file("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
    ck_assert_uint_eq(wi_os_cpu_budget(), affinity());
    ck_assert_int_eq(wi_os_cpu_scarce(), affinity() < 2);
}

WEFT_TEST(the_number_can_be_said)
{
    begin("0::/\n");
    setenv("WEFT_NPROC", "37", 1);
    ck_assert_uint_eq(wi_os_cpu_budget(), 37);
}

WEFT_TEST(one_cpu_of_many)
{
    cpu_set_t one;
    begin("0::/\n");
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    ck_assert_int_eq(sched_setaffinity(0, sizeof one, &one), 0);
    ck_assert_uint_eq(wi_os_cpu_budget(), 1);
    ck_assert(wi_os_cpu_scarce());
}

// The least of all groups up to the root, rounded up.
WEFT_TEST(the_least_quota_above)
{
    begin("0::/a/b\n");
    write_file("/sys/fs/cgroup/a/b/cpu.max", "900000 100000\n");
    ck_assert_uint_eq(wi_os_cpu_budget(), affinity() < 9 ? affinity() : 9);
    write_file("/sys/fs/cgroup/a/cpu.max", "20000 100000\n");
    ck_assert_uint_eq(wi_os_cpu_budget(), 1);
    write_file("/sys/fs/cgroup/a/cpu.max", "110000 100000\n");
    ck_assert_uint_eq(wi_os_cpu_budget(), affinity() < 2 ? 1 : 2);
    write_file("/sys/fs/cgroup/cpu.max", "100000 100000\n");
    ck_assert_uint_eq(wi_os_cpu_budget(), 1);
    ck_assert(wi_os_cpu_scarce());
}

WEFT_TEST(quotas_of_the_first_version)
{
    begin("5:memory:/elsewhere\n4:cpuset:/b\n3:cpu,cpuacct:/a\n1:name=x:/c\n");
    write_file("/sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "-1\n");
    write_file("/sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000\n");
    write_file("/sys/fs/cgroup/cpu/b/cpu.cfs_quota_us", "1000\n");
    write_file("/sys/fs/cgroup/cpu/b/cpu.cfs_period_us", "100000\n");
    ck_assert_uint_eq(wi_os_cpu_budget(), affinity());
    write_file("/sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "50000\n");
    ck_assert_uint_eq(wi_os_cpu_budget(), 1);
}

// What no kernel writes, and what a group may be called.
WEFT_TEST(files_that_say_nothing)
{
    static const char *const texts[] = {
        "", "\n", "max\n", "5\n", "0 0\n", "-3 100\n", "x y\n", "100000 0\n",
    };
    begin("no line\n0:\n:\n::\n0::/a b/../c%n\n");
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        write_file("/sys/fs/cgroup/cpu.max", texts[i]);
        ck_assert_uint_eq(wi_os_cpu_budget(), affinity());
    }
}

WEFT_TEST(the_files_are_closed_again)
{
    struct rlimit few = {32, 32};
    begin("0::/a\n1:cpu:/a\n");
    write_file("/sys/fs/cgroup/a/cpu.max", "max 100000\n");
    write_file("/sys/fs/cgroup/cpu.max", "100000 100000\n");
    write_file("/sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "200000\n");
    write_file("/sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000\n");
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
    for (int i = 0; i < 50; i++)
        ck_assert_uint_eq(wi_os_cpu_budget(), 1);
}

WEFT_TEST_MAIN("cpu")
