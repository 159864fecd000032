// SPDX-License-Identifier: MIT
#include "sched/overflow.h"

#include "weft_test.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <weft/lock.h>

#include "sched/stack.h"

static __thread struct wi_switch_point home;
static __thread struct wi_stack *here;
static struct wi_stack_cache cache;

static void describe(struct wi_stack *stack, char *text, size_t n)
{
    snprintf(text, n, "task \"%s\" (id 7)", (char *)stack->owner);
}

static struct wi_stack *running(void)
{
    return here;
}

__attribute__((noinline)) static int recurse(int depth)
{
    char here[256];

    __asm__ volatile("" : : "r"(here) : "memory"); // makes the array real
    if (depth > 0)
        return recurse(depth - 1) + here[depth % 256];
    return 0;
}

static void deep(void *arg)
{
    struct wi_stack *self = arg;

    wi_stack_arrived(&self->point);
    recurse(1 << 20);
    wi_stack_switch(&self->point, &home);
}

static void run_on_stack(void (*entry)(void *))
{
    struct wi_stack *stack;

    wi_switch_point_thread(&home);
    wi_stack_cache_init(&cache, 65536);
    stack = wi_stack_new(&cache);
    stack->owner = "deep";
    here = stack;
    wi_stack_prepare(stack, wi_stack_top(stack), entry, stack);
    wi_stack_switch(&home, &stack->point);
}

// Runs fn in a child. Returns its status, and what it wrote in `said`.
static char said[65536];

static int run(void (*fn)(void))
{
    int ends[2], status;
    size_t used = 0;
    ssize_t n;
    pid_t pid;

    ck_assert_int_eq(pipe(ends), 0);
    pid = fork();
    if (pid == 0) {
        dup2(ends[1], 2);
        close(ends[0]);
        close(ends[1]);
        fn();
        _exit(0);
    }
    close(ends[1]);
    while ((n = read(ends[0], said + used, sizeof said - 1 - used)) > 0)
        used += (size_t)n;
    said[used] = 0;
    close(ends[0]);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return status;
}

// Sanitizers have a handler, which is then the one before ours.
static bool died_of(int status, int sig)
{
    if (WI_ASAN || WI_TSAN)
        return !(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == sig;
}

// Going on after a handler needs exact registers, which Valgrind has only with
// --vex-iropt-register-updates=allregs-at-mem-access.
static void need_exact_registers(void)
{
    if (WI_ON_VALGRIND)
        weft_test_skip("Valgrind resumes a fault with old registers");
}

static bool said_overflow(void)
{
    return strstr(said, "weft: stack overflow in task \"deep\" (id 7): its "
                        "stack of 64 KiB is used up; give its run or pool a "
                        "larger .stack_size\n");
}

// Reporting -------------------------------------------------------------------

static void overflow(void)
{
    wi_overflow_init(describe, running);
    wi_overflow_thread_init();
    run_on_stack(deep);
}

WEFT_TEST(names_the_task_and_dies, .timeout = 20)
{
    int status = run(overflow);

    ck_assert_msg(said_overflow(), "it said: %s", said);
    ck_assert(died_of(status, SIGSEGV));
}

enum { TAKEN = 77 };

// Frames that step over the guard: what lies below it is nobody's for the
// lowest stack of a slab, and a neighbour's for the others.
__attribute__((noinline)) static int recurse_wide(int depth)
{
    char here_too[30000];

    __asm__ volatile("" : : "r"(here_too) : "memory");
    here_too[0] = (char)depth;
    if (depth > 0)
        return recurse_wide(depth - 1) + here_too[depth % 256];
    return 0;
}

// That nothing else lies where the frames reach to.
static void keep_free_below(struct wi_stack *self)
{
    enum { ROOM = 1 << 20, GUARD = 65536 / 16 };
    char *low = (char *)wi_stack_limit(self) - GUARD;

    if (mmap(low - ROOM, ROOM, PROT_NONE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1,
             0) != low - ROOM)
        _exit(TAKEN);
}

static void wide(void *arg)
{
    struct wi_stack *self = arg;

    wi_stack_arrived(&self->point);
    keep_free_below(self);
    recurse_wide(1 << 20);
    wi_stack_switch(&self->point, &home);
}

static void overflow_wide(void)
{
    wi_overflow_init(describe, running);
    wi_overflow_thread_init();
    run_on_stack(wide);
}

WEFT_TEST(names_the_task_whose_frame_is_larger_than_the_guard, .timeout = 20)
{
    int status = run(overflow_wide);

    if (WIFEXITED(status) && WEXITSTATUS(status) == TAKEN)
        weft_test_skip("something lies below the stacks");
    ck_assert_msg(said_overflow(), "it said: %s", said);
    ck_assert(died_of(status, SIGSEGV));
}

static void *overflow_thread(void *arg)
{
    (void)arg;
    wi_overflow_thread_init();
    run_on_stack(deep);
    return NULL;
}

static void overflow_in_thread(void)
{
    pthread_t thread;

    wi_overflow_init(describe, running);
    pthread_create(&thread, NULL, overflow_thread, NULL);
    pthread_join(thread, NULL);
}

WEFT_TEST(works_on_other_threads, .timeout = 20)
{
    int status = run(overflow_in_thread);

    ck_assert_msg(said_overflow(), "it said: %s", said);
    ck_assert(died_of(status, SIGSEGV));
}

static void overflow_disabled(void)
{
    setenv("WEFT_SEGV", "0", 1);
    overflow();
}

WEFT_TEST(can_be_turned_off, .timeout = 20)
{
    int status = run(overflow_disabled);

    ck_assert(!strstr(said, "weft:"));
    ck_assert(died_of(status, SIGSEGV));
}

static void unguarded(void *arg)
{
    struct wi_stack *self = arg;

    wi_stack_arrived(&self->point);
    ((volatile char *)wi_stack_limit(self))[-1] = 1;
    if (!wi_stack_check(self))
        wi_overflow_panic(self);
    wi_stack_switch(&self->point, &home);
}

static void overflow_canary(void)
{
    wi_stack_pool_use_guard(WI_STACK_GUARD_PAGES, 0, 0);
    wi_overflow_init(describe, running);
    run_on_stack(unguarded);
}

WEFT_TEST(a_dead_canary_aborts, .timeout = 20)
{
    int status = run(overflow_canary);

    ck_assert_msg(said_overflow(), "it said: %s", said);
    ck_assert(died_of(status, SIGABRT));
}

// Other faults ----------------------------------------------------------------

static void null_write(void)
{
    volatile char *volatile nowhere = NULL;

    wi_overflow_init(describe, running);
    wi_overflow_thread_init();
    nowhere[8] = 1;
}

WEFT_TEST(other_faults_pass, .timeout = 20)
{
    int status = run(null_write);

    ck_assert(!strstr(said, "weft:"));
    ck_assert(died_of(status, SIGSEGV));
}

static void stray_entry(void *arg)
{
    struct wi_stack *self = arg;
    struct wi_stack *far = NULL;

    wi_stack_arrived(&self->point);
    // Another stack, more than the largest frame away.
    for (int i = 0; i < 40; i++)
        far = wi_stack_new(&cache);
    ((volatile char *)wi_stack_limit(far))[-1] = 1;
    wi_stack_switch(&self->point, &home);
}

static void stray_write(void)
{
    wi_overflow_init(describe, running);
    wi_overflow_thread_init();
    run_on_stack(stray_entry);
}

WEFT_TEST(a_stray_access_to_a_guard_is_no_overflow, .timeout = 20)
{
    need_exact_registers();
    int status = run(stray_write);

    ck_assert(!strstr(said, "weft:"));
    ck_assert(died_of(status, SIGSEGV));
}

// The first thing that the call does is to read it.
static void lock_nowhere(void)
{
    struct weft_lock *lock =
        mmap(NULL, (size_t)sysconf(_SC_PAGESIZE), PROT_NONE,
             MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    wi_overflow_init(describe, running);
    wi_overflow_thread_init();
    _exit(weft_lock_acquire(lock) == 0 ? 0 : 1);
}

WEFT_TEST(only_a_null_lock_is_told_as_one, .timeout = 20)
{
    int status = run(lock_nowhere);

    ck_assert_msg(!strstr(said, "weft:"), "it said: %s", said);
    ck_assert(died_of(status, SIGSEGV));
}

static void sent(void)
{
    wi_overflow_init(describe, running);
    raise(SIGSEGV);
}

WEFT_TEST(a_signal_that_was_sent_still_kills, .timeout = 20)
{
    ck_assert(died_of(run(sent), SIGSEGV));
    ck_assert(!strstr(said, "weft:"));
}

static void sent_and_ignored(void)
{
    signal(SIGSEGV, SIG_IGN);
    sent();
}

WEFT_TEST(a_signal_that_was_ignored_is_ignored, .timeout = 20)
{
    ck_assert_int_eq(run(sent_and_ignored), 0);
}

// Handlers of the host --------------------------------------------------------

static void host_exits(int sig, siginfo_t *info, void *context)
{
    struct wi_stack_place place;

    if (sig != SIGSEGV || context == NULL)
        _exit(44);
    if (wi_stack_find((uintptr_t)info->si_addr, &place))
        _exit(42);
    _exit(43);
}

static void overflow_with_host(void)
{
    struct sigaction action = {.sa_sigaction = host_exits,
                               .sa_flags = SA_SIGINFO};

    sigaction(SIGSEGV, &action, NULL);
    overflow();
}

WEFT_TEST(the_hosts_handler_is_called_after, .timeout = 20)
{
    int status = run(overflow_with_host);

    ck_assert(said_overflow());
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 42);
}

// That of a host that comes later, which a second run does not replace.
WEFT_TEST(a_later_handler_stays)
{
    struct sigaction action = {.sa_sigaction = host_exits,
                               .sa_flags = SA_SIGINFO};
    struct sigaction now;

    wi_overflow_init(describe, running);
    sigaction(SIGSEGV, &action, NULL);
    wi_overflow_init(describe, running);
    sigaction(SIGSEGV, NULL, &now);
    ck_assert(now.sa_sigaction == host_exits);
}

static char *page;
static volatile int repairs;

static void host_repairs(int sig)
{
    (void)sig;
    repairs++;
    mprotect(page, (size_t)sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE);
}

static void repair(void)
{
    page = mmap(NULL, (size_t)sysconf(_SC_PAGESIZE), PROT_NONE,
                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    signal(SIGSEGV, host_repairs);
    wi_overflow_init(describe, running);
    wi_overflow_thread_init();
    *(volatile char *)page = 1;
    _exit(repairs == 1 && *page == 1 ? 0 : 1);
}

WEFT_TEST(the_host_can_repair_and_go_on, .timeout = 20)
{
    need_exact_registers();
    ck_assert_int_eq(run(repair), 0);
    ck_assert(!strstr(said, "weft:"));
}

static void repair_once(void)
{
    struct sigaction action = {.sa_handler = host_repairs,
                               .sa_flags = (int)SA_RESETHAND};

    page = mmap(NULL, (size_t)sysconf(_SC_PAGESIZE), PROT_NONE,
                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    sigaction(SIGSEGV, &action, NULL);
    wi_overflow_init(describe, running);
    *(volatile char *)page = 1;
    mprotect(page, (size_t)sysconf(_SC_PAGESIZE), PROT_NONE);
    *(volatile char *)page = 1;
    _exit(0);
}

WEFT_TEST(a_handler_for_once_is_called_once, .timeout = 20)
{
    int status = run(repair_once);

    ck_assert(WIFSIGNALED(status));
    ck_assert_int_eq(WTERMSIG(status), SIGSEGV);
}

// Alternate stacks ------------------------------------------------------------

WEFT_TEST(alternate_stacks_come_and_go)
{
    static char memory[1 << 16];
    stack_t own = {.ss_sp = memory, .ss_size = sizeof memory};
    stack_t before, during, after;

    sigaltstack(NULL, &before);
    wi_overflow_thread_init();
    sigaltstack(NULL, &during);
    ck_assert(!(during.ss_flags & SS_DISABLE));
    wi_overflow_thread_fini();
    sigaltstack(NULL, &after);
    ck_assert_int_eq(before.ss_flags, after.ss_flags);
    // One that the host has set up is left alone.
    sigaltstack(&own, NULL);
    wi_overflow_thread_init();
    wi_overflow_thread_fini();
    sigaltstack(NULL, &after);
    ck_assert_ptr_eq(after.ss_sp, memory);
    sigaltstack(&before, NULL);
}

WEFT_TEST_MAIN("overflow")
