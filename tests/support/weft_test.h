// SPDX-License-Identifier: MIT
// Unit tests with Check. A test program is
//
//     #include "weft_test.h"
//
//     WEFT_TEST(adds) { ck_assert_int_eq(1 + 1, 2); }
//     WEFT_TEST(slow, .timeout = 30) { ... }
//     WEFT_TEST(aborts, .signal = SIGABRT) { ... }
//
//     WEFT_TEST_MAIN("sums")
//
// Each case runs in a forked process of its own, so that a failed assertion on
// any thread or task stack, a crash or a hang ends that case only.
//
// Environment: WEFT_BACKEND is the loop backend that the library must use;
// WEFT_TEST_TIMEOUT_SCALE multiplies every time limit; WEFT_TEST_SEED repeats
// the run of a seed. Arguments of the program: the names of the cases to run;
// --no-fork runs them in one process, for a debugger.
#ifndef WEFT_TEST_H
#define WEFT_TEST_H

#include <check.h>
#include <stdint.h>

struct weft_test_case {
    const char *name;
    void (*run)(void);
    const char *file;
    int line;
    double timeout; // seconds before scaling; 0 means 5
    int signal;     // the case must die of this signal
    int exit_code;  // the case must exit with this code
    int repeat;     // run it so many times; weft_test_round() tells which
    struct weft_test_case *next;
    TTest check; // what Check is told
};

#define WEFT_TEST(case_name, ...)                                              \
    static void weft_test_run_##case_name(void);                               \
    static struct weft_test_case weft_test_case_##case_name = {                \
        .name = #case_name,                                                    \
        .run = weft_test_run_##case_name,                                      \
        .file = __FILE__,                                                      \
        .line = __LINE__,                                                      \
        __VA_ARGS__};                                                          \
    __attribute__((constructor)) static void weft_test_add_##case_name(void)   \
    {                                                                          \
        weft_test_add(&weft_test_case_##case_name);                            \
    }                                                                          \
    static void weft_test_run_##case_name(void)

// A program whose worker processes start in its own main says so before it
// includes this header: #define WEFT_TEST_ENTRY() weft_main_hook()
#ifndef WEFT_TEST_ENTRY
#define WEFT_TEST_ENTRY() ((void)0)
#endif

#define WEFT_TEST_MAIN(suite)                                                  \
    int main(int argc, char **argv)                                            \
    {                                                                          \
        WEFT_TEST_ENTRY();                                                     \
        return weft_test_main(suite, argc, argv);                              \
    }

void weft_test_add(struct weft_test_case *test);
int weft_test_main(const char *suite, int argc, char **argv);

// What the run is about: the backend asked for ("epoll", "uring" or "any"),
// its seed, the round of a repeated case.
const char *weft_test_backend(void);
uint64_t weft_test_seed(void);
int weft_test_round(void);

// A sequence of random numbers that differs per case and round and repeats
// with the seed. Not for use by two threads at once.
uint64_t weft_test_random(void);

// How many processes a test of kills ends: WEFT_KILLS, or 2,000 in the stress
// tier, or `usual`.
int weft_test_kills(int usual);

// A time limit for one wait: seconds, scaled for slow machines.
double weft_test_seconds(double seconds);

// Ends the case here, as passed; the reason is printed.
void weft_test_skip(const char *reason) __attribute__((noreturn));

// What the process has open or running now, to compare before and after.
int weft_test_count_fds(void);
int weft_test_count_threads(void);
int weft_test_count_mappings(void);

// Fails the case if there are more threads than `most`, also after a while: one
// that has been joined may be on its way out of /proc.
void weft_test_await_threads(int most);

#endif
