// SPDX-License-Identifier: MIT
//
// What is said of a variable with a wrong value. The environment is read as a
// program begins, so each test begins this program anew and reads what it says.
#include "kit.h"

#include <weft.h>

#include <ftw.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os/environment.h"

static const char *const wrong[][3] = {
    {"WEFT_DEADLOCK", "foo", "report, abort or 0"},
    {"WEFT_LOCKORDER", "yes", "1, abort or 0"},
    {"WEFT_MIGRATE", "1", "check or 0"},
    {"WEFT_NPROC", "4 cpus", "1 or more"},
    {"WEFT_NPROC", "-1", "1 or more"},
    {"WEFT_SEGV", "off", "0 or 1"},
    {"WEFT_STALL", "x", "seconds"},
    {"WEFT_STALL", "nan", "seconds"},
    {"WEFT_WATCHDOG", "no", "0 or 1"},
};

static const char *const right[][2] = {
    {"WEFT_DEADLOCK", "report"}, {"WEFT_DEADLOCK", ""},
    {"WEFT_LOCKORDER", "abort"}, {"WEFT_MIGRATE", "check"},
    {"WEFT_NPROC", "2"},         {"WEFT_SEGV", "0"},
    {"WEFT_STALL", "0.5"},       {"WEFT_STALL", "inf"},
    {"WEFT_WATCHDOG", "1"},      {"WEFT_NPROC", ""},
};

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

// A task, a thread, a pool and a process: whatever reads the environment.
static int use_all(void *arg)
{
    weft_executor *pool = weft_thread_pool();
    (void)arg;
    int rc = weft_join(weft_task_start(nothing, NULL));
    if (rc == 0)
        rc = weft_join(weft_thread_start(nothing, NULL));
    if (rc == 0)
        rc = weft_join(weft_process_start(nothing, NULL, 0));
    weft_executor_close(pool);
    return rc;
}

static void play(void)
{
    if (getenv("ENVIRONMENT_TEST_SCENE") != NULL)
        _exit(weft_run(use_all, NULL) == 0 ? 0 : 1);
}

static const char *name, *value;

static void begin_anew(void)
{
    setenv(name, value, 1);
    setenv("ENVIRONMENT_TEST_SCENE", "1", 1);
    execl("/proc/self/exe", "environment_test", (char *)NULL);
    _exit(127);
}

static char said[4096];

static void run_with(const char *n, const char *v)
{
    name = n;
    value = v;
    ck_assert_int_eq(kit_child(begin_anew, said, sizeof said), 0);
}

WEFT_TEST(a_wrong_value_is_reported_once_and_ignored)
{
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        run_with(wrong[i][0], wrong[i][1]);
        const char *line = strstr(said, wrong[i][0]);
        ck_assert_msg(line != NULL, "%s=%s: %s", wrong[i][0], wrong[i][1],
                      said);
        ck_assert_ptr_nonnull(strstr(line, wrong[i][1]));
        ck_assert_ptr_nonnull(strstr(line, wrong[i][2]));
        ck_assert_ptr_null(strstr(line + 1, wrong[i][0]));
    }
}

WEFT_TEST(of_a_right_value_nothing_is_said)
{
    for (size_t i = 0; i < sizeof right / sizeof *right; i++) {
        run_with(right[i][0], right[i][1]);
        ck_assert_msg(strstr(said, right[i][0]) == NULL, "%s=%s: %s",
                      right[i][0], right[i][1], said);
    }
}

static int remove_one(const char *path, const struct stat *st, int kind,
                      struct FTW *place)
{
    (void)st;
    (void)kind;
    (void)place;
    return remove(path);
}

// A language that writes 0,5: made here, for few systems have one.
WEFT_TEST(a_point_is_a_point_in_every_language, .timeout = 30)
{
    char folder[] = "/tmp/weft-locale-XXXXXX", make[200];
    double seconds = -1;
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(make, sizeof make,
             "localedef -i de_DE -f UTF-8 %s/de_DE.utf8 >%s/said 2>&1", folder,
             folder);
    setenv("LOCPATH", folder, 1);
    bool made = system(make) == 0 && setlocale(LC_ALL, "de_DE.utf8") != NULL;
    nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    if (!made) {
        puts("not tested: no such language can be made");
        return;
    }
    ck_assert_str_eq(localeconv()->decimal_point, ",");
    setenv("WEFT_STALL", "0.5", 1);
    ck_assert_str_eq(wi_os_environment("WEFT_STALL"), "0.5");
    ck_assert(wi_os_environment_seconds("WEFT_STALL", &seconds));
    ck_assert_double_eq(seconds, 0.5);
    unsetenv("WEFT_STALL");
    ck_assert(!wi_os_environment_seconds("WEFT_STALL", &seconds));
}

int main(int argc, char **argv)
{
    weft_main_hook();
    play();
    return weft_test_main("environment", argc, argv);
}
