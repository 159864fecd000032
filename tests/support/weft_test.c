// SPDX-License-Identifier: MIT
#include "weft_test.h"
#include "backend.h"

#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#if __has_feature(thread_sanitizer)
#define __SANITIZE_THREAD__ 1
#endif
#endif

#if defined(__SANITIZE_THREAD__)
#define SCALE_DEFAULT 10.0
#elif defined(__SANITIZE_ADDRESS__)
#define SCALE_DEFAULT 5.0
#else
#define SCALE_DEFAULT 1.0
#endif

static int tool_threads; // a sanitizer's own
static struct weft_test_case *cases;
static const struct weft_test_case *current;
static double scale = SCALE_DEFAULT;
static uint64_t seed, random_state;
static int current_round;

// Sorted by line: constructors run in an order of the compiler's choice.
void weft_test_add(struct weft_test_case *test)
{
    struct weft_test_case **at = &cases;

    while (*at && (*at)->line < test->line)
        at = &(*at)->next;
    test->next = *at;
    *at = test;
}

const char *weft_test_backend(void)
{
    const char *name = getenv("WEFT_BACKEND");
    return name && *name ? name : "any";
}

uint64_t weft_test_seed(void)
{
    return seed;
}

int weft_test_round(void)
{
    return current_round;
}

// splitmix64: every seed, also zero, gives a good sequence.
uint64_t weft_test_random(void)
{
    uint64_t z = (random_state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

double weft_test_seconds(double seconds)
{
    return seconds * scale;
}

void weft_test_skip(const char *reason)
{
    printf("SKIP: %s: %s\n", current->name, reason);
    fflush(stdout);
    _exit(current->exit_code);
}

static int count_entries(const char *path)
{
    DIR *dir = opendir(path);
    int n = 0;

    if (!dir)
        return -1;
    while (readdir(dir))
        n++;
    closedir(dir);
    return n - 2; // . and ..
}

int weft_test_count_fds(void)
{
    return count_entries("/proc/self/fd") - 1; // the open directory itself
}

int weft_test_count_threads(void)
{
    return count_entries("/proc/self/task") - tool_threads;
}

static double seconds_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

void weft_test_await_threads(int most)
{
    double limit = seconds_now() + weft_test_seconds(5);

    while (weft_test_count_threads() > most && seconds_now() < limit)
        sched_yield();
    ck_assert_int_le(weft_test_count_threads(), most);
}

int weft_test_count_mappings(void)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    int n = 0;

    if (!maps)
        return -1;
    for (int c; (c = getc(maps)) != EOF;)
        n += c == '\n';
    fclose(maps);
    return n;
}

#if defined(__SANITIZE_THREAD__)
static void *tell_path(void *path)
{
    snprintf(path, 64, "/proc/self/task/%ld", (long)gettid());
    return NULL;
}

// TSan starts threads of its own at a fork and at the first thread's start.
// One that was joined may be on its way out.
static void count_tool_threads(void)
{
    char path[64] = "";
    pthread_t thread;

    if (pthread_create(&thread, NULL, tell_path, path) == 0)
        pthread_join(thread, NULL);
    while (access(path, F_OK) == 0)
        sched_yield();
    tool_threads = 0;
    tool_threads = weft_test_count_threads() - 1;
}
#else
static void count_tool_threads(void)
{
}
#endif

// Check calls this in the forked process.
static void run_case(int round)
{
    uint64_t mark = 0;

    for (const char *c = current->name; *c; c++)
        mark = mark * 131 + (unsigned char)*c;
    current_round = round;
    random_state = seed ^ mark ^ ((uint64_t)round << 32);
    count_tool_threads();
    current->run();
}

// Check has no argument for its functions, so that each case is found again by
// its place among the rounds of all: the loop counter carries both.
static void run_numbered(int number)
{
    current = cases;
    for (int rounds; current; number -= rounds, current = current->next) {
        rounds = current->repeat > 0 ? current->repeat : 1;
        if (number < rounds)
            break;
    }
    run_case(number);
}

static Suite *make_suite(const char *name, char **wanted)
{
    Suite *suite = suite_create(name);
    int first = 0;

    for (struct weft_test_case *c = cases; c; c = c->next) {
        int rounds = c->repeat > 0 ? c->repeat : 1;
        int run = !*wanted;

        for (char **w = wanted; *w; w++)
            run |= !strcmp(*w, c->name);
        c->check = (TTest){c->name, run_numbered, c->file, c->line};
        if (run) {
            TCase *tcase = tcase_create(c->name);
            tcase_set_timeout(tcase, (c->timeout > 0 ? c->timeout : 5) * scale);
            _tcase_add_test(tcase, &c->check, c->signal, c->exit_code, first,
                            first + rounds);
            suite_add_tcase(suite, tcase);
        }
        first += rounds;
    }
    return suite;
}

int weft_test_kills(int usual)
{
    const char *asked = getenv("WEFT_KILLS");

    if (asked && *asked)
        return atoi(asked);
    return getenv("WEFT_STRESS") ? 2000 : usual;
}

static uint64_t choose_seed(void)
{
    const char *text = getenv("WEFT_TEST_SEED");
    uint64_t value = 0;

    if (text && *text)
        return strtoull(text, NULL, 0);
    if (getrandom(&value, sizeof(value), 0) != sizeof(value))
        value = (uint64_t)getpid();
    return value;
}

int weft_test_main(const char *suite, int argc, char **argv)
{
    const char *text = getenv("WEFT_TEST_TIMEOUT_SCALE");
    enum fork_status how = CK_FORK_GETENV;
    int missing = weft_test_backend_missing();

    if (missing)
        return missing;
    if (argc > 1 && !strcmp(argv[1], "--no-fork")) {
        how = CK_NOFORK;
        argv++;
    }
    if (text && atof(text) > 0)
        scale = atof(text);
    seed = choose_seed();
    printf("%s: backend %s, WEFT_TEST_SEED=0x%llx\n", suite,
           weft_test_backend(), (unsigned long long)seed);
    fflush(stdout);

    SRunner *runner = srunner_create(make_suite(suite, argv + 1));
    srunner_set_fork_status(runner, how);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    int run = srunner_ntests_run(runner);
    srunner_free(runner);
    printf("%d passed, %d failed\n", run - failed, failed);
    return failed || !run ? 1 : 0;
}
