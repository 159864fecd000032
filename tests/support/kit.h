// SPDX-License-Identifier: MIT
//
// kit.h: what the suites on tasks, threads, jobs and futures share: bodies
// that do one small thing, a gate, cases that run in a task and in a plain
// thread alike, and a child process whose last words are read.
//
// Nothing here sleeps to let something settle: cancellation and deadlines are
// level-triggered, so that "about to block" and "blocked" need not be told
// apart, and a gate says when something has been reached.
#ifndef WEFT_KIT_H
#define WEFT_KIT_H

#include <errno.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <weft.h>

#include "weft_test.h"

// Which sanitizer the program was built with.
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define KIT_SANITIZED 1
#elif __has_feature(thread_sanitizer)
#define KIT_SANITIZED 2
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define KIT_SANITIZED 1
#elif defined(__SANITIZE_THREAD__)
#define KIT_SANITIZED 2
#elif !defined(KIT_SANITIZED)
#define KIT_SANITIZED 0
#endif
#define KIT_TSAN (KIT_SANITIZED == 2)

// The same body as two cases: as the main task of a run, and in a plain thread.
#define KIT_BOTH(name, ...)                                                    \
    static void kit_body_##name(void);                                         \
    static int kit_task_##name(void *arg)                                      \
    {                                                                          \
        (void)arg;                                                             \
        kit_body_##name();                                                     \
        return 0;                                                              \
    }                                                                          \
    WEFT_TEST(name##_in_a_task, __VA_ARGS__)                                   \
    {                                                                          \
        ck_assert_int_eq(weft_run(kit_task_##name, NULL), 0);                  \
    }                                                                          \
    WEFT_TEST(name##_in_a_thread, __VA_ARGS__)                                 \
    {                                                                          \
        kit_body_##name();                                                     \
    }                                                                          \
    static void kit_body_##name(void)

// A case whose body is the main task of a run with one worker.
#define KIT_TASK(name, ...)                                                    \
    static void kit_body_##name(void);                                         \
    static int kit_task_##name(void *arg)                                      \
    {                                                                          \
        (void)arg;                                                             \
        kit_body_##name();                                                     \
        return 0;                                                              \
    }                                                                          \
    WEFT_TEST(name, __VA_ARGS__)                                               \
    {                                                                          \
        ck_assert_int_eq(weft_run(kit_task_##name, NULL), 0);                  \
    }                                                                          \
    static void kit_body_##name(void)

// The code by its name, so that a failure says which one came.
#define kit_assert_code(rc, want)                                              \
    do {                                                                       \
        long kit_rc = (long)(rc), kit_want = (long)(want);                     \
        ck_assert_msg(kit_rc == kit_want, "%s is %ld (%s), not %ld (%s)", #rc, \
                      kit_rc, weft_error_name((int)kit_rc), kit_want,          \
                      weft_error_name((int)kit_want));                         \
    } while (0)

static inline void *kit_number(long n)
{
    return (void *)(intptr_t)n;
}

// Bodies ----------------------------------------------------------------------

static inline int kit_return(void *arg)
{
    return (int)(intptr_t)arg;
}

static inline int kit_count(void *arg)
{
    __atomic_fetch_add((int *)arg, 1, __ATOMIC_SEQ_CST);
    return 0;
}

static inline void kit_count_drop(void *arg)
{
    __atomic_fetch_add((int *)arg, 1, __ATOMIC_SEQ_CST);
}

static inline int kit_load(const int *counter)
{
    return __atomic_load_n(counter, __ATOMIC_SEQ_CST);
}

// Blocks until its scopes end it.
static inline int kit_block(void *arg)
{
    (void)arg;
    return weft_sleep(INFINITY);
}

// Says that it runs, then blocks until its scopes end it.
static inline int kit_count_and_block(void *arg)
{
    kit_count(arg);
    return weft_sleep(INFINITY);
}

static inline int kit_never(void *arg)
{
    ck_abort_msg("a body ran that must not run (argument %p)", arg);
    return 0;
}

// Goes on only when the counter has reached n.
static inline void kit_await(const int *counter, int n)
{
    while (kit_load(counter) < n)
        if (weft_yield() < 0)
            sched_yield();
}

// A gate: closed until somebody opens it --------------------------------------

struct kit_gate {
    weft_promise *promise;
    weft_future *future;
};

static inline struct kit_gate kit_gate_new(void)
{
    weft_promise *promise = weft_promise_new(.name = "gate");
    return (struct kit_gate){promise, weft_promise_future(promise)};
}

static inline int kit_gate_wait(struct kit_gate *gate)
{
    return weft_get_into(gate->future, NULL, 0);
}

static inline void kit_gate_open(struct kit_gate *gate)
{
    weft_promise_keep(gate->promise, 0, NULL, 0, NULL);
    gate->promise = NULL;
}

// A gate that was never opened is opened now: a promise that is dropped would
// be reported as a failure.
static inline void kit_gate_free(struct kit_gate *gate)
{
    if (gate->promise)
        kit_gate_open(gate);
    weft_future_unref(gate->future);
}

static inline int kit_wait_at_gate(void *arg)
{
    return kit_gate_wait(arg);
}

// A child process whose last words are read -----------------------------------

// How many mappings of this process have the mark in their line.
static inline int kit_mappings(const char *mark)
{
    char line[512];
    int n = 0;
    FILE *maps = fopen("/proc/self/maps", "re");
    while (fgets(line, sizeof line, maps) != NULL)
        n += strstr(line, mark) != NULL;
    fclose(maps);
    return n;
}

// Into a file of the folder that is there already.
static inline bool kit_put(const char *folder, const char *file,
                           const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    FILE *f = fopen(path, "r+");
    bool done = f != NULL && fputs(text, f) >= 0;
    return f != NULL && fclose(f) == 0 && done;
}

// Runs fn in a forked child; what it writes to standard error comes in text.
// Returns its wait status. To be called before the case uses Weft.
static inline int kit_child(void (*fn)(void), char *text, size_t size)
{
    int fds[2], status;
    size_t have = 0;
    ssize_t n;

    ck_assert_int_eq(pipe(fds), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(fds[1], STDERR_FILENO);
        close(fds[0]);
        close(fds[1]);
        fn();
        _exit(0);
    }
    close(fds[1]);
    while ((n = read(fds[0], text + have, size - 1 - have)) > 0)
        have += (size_t)n;
    text[have] = '\0';
    close(fds[0]);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return status;
}

// fn must abort, with a message that holds the word.
static inline void kit_assert_aborts(void (*fn)(void), const char *word)
{
    char text[8192];
    int status = kit_child(fn, text, sizeof text);

    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT,
                  "no abort: wait status 0x%x, said: %s", status, text);
    ck_assert_msg(strstr(text, word), "no \"%s\" in: %s", word, text);
}

#endif
