// SPDX-License-Identifier: MIT
// The part of ../weft_test.h that low-level unit tests use, without Check, for
// where Check is not: a musl or a cross build under an emulator. Put this
// folder in front on the include path.
#ifndef WEFT_TEST_H
#define WEFT_TEST_H

#include <inttypes.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct weft_test_case {
    const char *name;
    void (*run)(void);
    double timeout;
    int signal, exit_code;
    struct weft_test_case *next;
};

static struct weft_test_case *weft_test_cases;

#define WEFT_TEST(case_name, ...)                                              \
    static void weft_test_run_##case_name(void);                               \
    __attribute__((constructor)) static void weft_test_add_##case_name(void)   \
    {                                                                          \
        static struct weft_test_case test = {.name = #case_name,               \
                                             .run = weft_test_run_##case_name, \
                                             __VA_ARGS__};                     \
        test.next = weft_test_cases;                                           \
        weft_test_cases = &test;                                               \
    }                                                                          \
    static void weft_test_run_##case_name(void)

#define ck_assert_msg(cond, ...)                                               \
    do {                                                                       \
        if (!(cond)) {                                                         \
            fprintf(stderr, "%s:%d: ", __FILE__, __LINE__);                    \
            fprintf(stderr, __VA_ARGS__);                                      \
            fprintf(stderr, "\n");                                             \
            _exit(99);                                                         \
        }                                                                      \
    } while (0)
#define ck_assert(cond) ck_assert_msg(cond, "%s", #cond)
#define WEFT_TEST_CK_CMP(type, format, x, op, y)                               \
    do {                                                                       \
        type ck_x = (type)(x), ck_y = (type)(y);                               \
        ck_assert_msg(ck_x op ck_y, "%s: %" format " and %" format,            \
                      #x " " #op " " #y, ck_x, ck_y);                          \
    } while (0)
#define ck_assert_int_eq(x, y)   WEFT_TEST_CK_CMP(intmax_t, PRIdMAX, x, ==, y)
#define ck_assert_int_ne(x, y)   WEFT_TEST_CK_CMP(intmax_t, PRIdMAX, x, !=, y)
#define ck_assert_int_ge(x, y)   WEFT_TEST_CK_CMP(intmax_t, PRIdMAX, x, >=, y)
#define ck_assert_int_gt(x, y)   WEFT_TEST_CK_CMP(intmax_t, PRIdMAX, x, >, y)
#define ck_assert_int_le(x, y)   WEFT_TEST_CK_CMP(intmax_t, PRIdMAX, x, <=, y)
#define ck_assert_int_lt(x, y)   WEFT_TEST_CK_CMP(intmax_t, PRIdMAX, x, <, y)
#define ck_assert_uint_eq(x, y)  WEFT_TEST_CK_CMP(uintmax_t, PRIuMAX, x, ==, y)
#define ck_assert_uint_ne(x, y)  WEFT_TEST_CK_CMP(uintmax_t, PRIuMAX, x, !=, y)
#define ck_assert_uint_ge(x, y)  WEFT_TEST_CK_CMP(uintmax_t, PRIuMAX, x, >=, y)
#define ck_assert_uint_gt(x, y)  WEFT_TEST_CK_CMP(uintmax_t, PRIuMAX, x, >, y)
#define ck_assert_uint_le(x, y)  WEFT_TEST_CK_CMP(uintmax_t, PRIuMAX, x, <=, y)
#define ck_assert_uint_lt(x, y)  WEFT_TEST_CK_CMP(uintmax_t, PRIuMAX, x, <, y)
#define ck_assert_ptr_eq(x, y)   WEFT_TEST_CK_CMP(uintptr_t, PRIxPTR, x, ==, y)
#define ck_assert_ptr_ne(x, y)   WEFT_TEST_CK_CMP(uintptr_t, PRIxPTR, x, !=, y)
#define ck_assert_ptr_null(x)    ck_assert((x) == NULL)
#define ck_assert_ptr_nonnull(x) ck_assert((x) != NULL)

static inline void weft_test_skip(const char *reason)
{
    printf("SKIP: %s\n", reason);
    fflush(stdout);
    _exit(77);
}

static inline double weft_test_seconds(double seconds)
{
    const char *scale = getenv("WEFT_TEST_TIMEOUT_SCALE");
    return seconds * (scale ? atof(scale) : 1);
}

static inline int weft_test_count_mappings(void)
{
    FILE *file = fopen("/proc/self/maps", "r");
    int lines = 0, c;

    while (file && (c = getc(file)) != EOF)
        lines += c == '\n';
    if (file)
        fclose(file);
    return lines;
}

static inline int weft_test_passes(const struct weft_test_case *test)
{
    double limit = test->timeout > 0 ? test->timeout : 5;
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        alarm((unsigned)weft_test_seconds(limit) + 1);
        test->run();
        exit(0);
    }
    waitpid(pid, &status, 0);
    if (WIFSIGNALED(status))
        return WTERMSIG(status) == test->signal;
    return !test->signal && (WEXITSTATUS(status) == test->exit_code ||
                             WEXITSTATUS(status) == 77);
}

// With a name, that case without a fork, for a debugger.
static inline int weft_test_all(const char *suite, const char *only)
{
    int failed = 0;

    for (struct weft_test_case *t = weft_test_cases; only && t; t = t->next)
        if (!strcmp(t->name, only))
            t->run();
    if (only)
        return 0;
    for (struct weft_test_case *t = weft_test_cases; t; t = t->next) {
        int ok = weft_test_passes(t);
        printf("%s %s.%s\n", ok ? "ok  " : "FAIL", suite, t->name);
        fflush(stdout);
        failed += !ok;
    }
    return failed != 0;
}

#define WEFT_TEST_MAIN(suite)                                                  \
    int main(int argc, char **argv)                                            \
    {                                                                          \
        setvbuf(stdout, NULL, _IOLBF, 0);                                      \
        return weft_test_all(suite, argc > 1 ? argv[1] : NULL);                \
    }

#endif
