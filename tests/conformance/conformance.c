// SPDX-License-Identifier: MIT
//
// What must hold on every CPU, libc and backend, through public calls only and
// without a test framework: a broad table of small cases, each run in a plain
// thread and in a task. A check that fails says where and is counted; the last
// line is the sum.
//
//     conformance [NAME...]     only the cases whose names begin so
#include "../support/backend.h"
#include "case.h"

#include <signal.h>

static int passed, failed;
static const char *current, *place;

void conformance_check(int ok, const char *what, const char *file, int line)
{
    __atomic_fetch_add(ok ? &passed : &failed, 1, __ATOMIC_RELAXED);
    if (!ok)
        fprintf(stderr, "%s:%d: %s %s: %s\n", file, line, current, place, what);
}

void conformance_code(long rc, long want, const char *what, const char *file,
                      int line)
{
    char text[200];

    snprintf(text, sizeof text, "%s is %ld (%s), not %ld", what, rc,
             weft_error_name((int)rc), want);
    conformance_check(rc == want, text, file, line);
}

// A case that hangs ends the program, by name.
static void on_alarm(int signal)
{
    char text[200];
    int n = snprintf(text, sizeof text, "conformance: %s %s hangs\n", current,
                     place);

    (void)signal;
    _exit(write(STDERR_FILENO, text, (size_t)n) < 0 ? 2 : 1);
}

static unsigned limit(void)
{
    const char *text = getenv("WEFT_TEST_TIMEOUT_SCALE");
    double scale = text ? atof(text) : 1;
    return (unsigned)(20 * (scale > 0 ? scale : 1));
}

static int run_in_task(void *arg)
{
    ((const struct conformance_case *)arg)->run();
    return 3;
}

static void run_case(const struct conformance_case *c)
{
    current = c->name;
    alarm(limit());
    place = "in a thread";
    c->run();
    alarm(limit());
    place = "in a task";
    CODE(weft_run(run_in_task, (void *)c), 3);
}

static int wanted(const char *name, char **names)
{
    for (char **n = names; *n; n++)
        if (!strncmp(name, *n, strlen(*n)))
            return 1;
    return !*names;
}

static void run_list(const struct conformance_case *list, char **names)
{
    for (; list->name; list++)
        if (wanted(list->name, names))
            run_case(list);
}

int main(int argc, char **argv)
{
    static const struct conformance_case *const lists[] = {
        values_cases, tasks_cases,   scopes_cases, futures_cases,
        groups_cases, threads_cases, pools_cases,  io_cases};
    int missing = weft_test_backend_missing();

    if (missing)
        return missing;
    signal(SIGALRM, on_alarm);
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        run_list(lists[i], argv + (argc > 0));
    alarm(0);
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0 || passed == 0;
}
