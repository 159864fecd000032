// SPDX-License-Identifier: MIT
// floors: what this machine and this kernel ask for the parts that everything
// is made of. Nothing here is Weft's.
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "floor.h"
#include "support/bench.h"

static uint32_t word;
static uint64_t shared;
static int pipe_ends[2], event;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

// acq_rel: the strongest common case
static void do_rmw(void)
{
    __atomic_fetch_add(&shared, 1, __ATOMIC_ACQ_REL);
}

static void do_fence(void)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static void do_mutex(void)
{
    pthread_mutex_lock(&mutex);
    pthread_mutex_unlock(&mutex);
}

static void do_malloc(void)
{
    void *p = malloc(192);
    __asm__ volatile("" ::"r"(p) : "memory");
    free(p);
}

static void do_clock(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
}

static void do_syscall(void)
{
    syscall(SYS_getppid);
}

static void do_wake(void)
{
    syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1);
}

static void do_pipe(void)
{
    char c = 'x';
    if (write(pipe_ends[1], &c, 1) != 1 || read(pipe_ends[0], &c, 1) != 1)
        bench_fail("pipe failed");
}

static void do_eventfd(void)
{
    uint64_t n = 1;
    if (write(event, &n, sizeof n) != sizeof n ||
        read(event, &n, sizeof n) != sizeof n)
        bench_fail("eventfd failed");
}

static void repeat(void (*volatile what)(void), const struct bench_ask *ask,
                   struct bench_reply *reply)
{
    double begin = bench_cpu();
    for (uint64_t i = 0; i < ask->ops; i++)
        what();
    reply->value = (bench_cpu() - begin) / (double)ask->ops;
    reply->answer = ask->ops;
}

#define SIDE(what)                                                             \
    static void what##_side(const struct bench_ask *ask,                       \
                            struct bench_reply *reply)                         \
    {                                                                          \
        repeat(do_##what, ask, reply);                                         \
    }
SIDE(rmw)
SIDE(fence)
SIDE(mutex)
SIDE(malloc)
SIDE(clock)
SIDE(syscall)
SIDE(wake)
SIDE(pipe)
SIDE(eventfd)

static void ask(const char *name, const char *what, bench_fn *fn, long n)
{
    const struct bench_side sides[] = {{"floor", BENCH_FLOOR, .fn = fn}, {0}};
    bench_ask(&(struct bench_question){.name = name,
                                       .what = what,
                                       .unit = "ns",
                                       .ops = (uint64_t)n,
                                       .slow = true,
                                       .params = {{"contexts", 2}}},
              sides);
}

int main(int argc, char **argv)
{
    bench_start("floors", argc, argv);
    if (pipe(pipe_ends) != 0 || (event = eventfd(0, EFD_CLOEXEC)) < 0)
        bench_fail("no descriptors");
    long many = bench_pick(20000000, 4000000, 1000);
    long some = bench_pick(1000000, 200000, 100);
    ask("floors/call", "call a function through a pointer", floor_call, many);
#ifdef BENCH_HAVE_FCONTEXT
    ask("floors/switch", "jump_fcontext to another stack", floor_fcontext,
        many);
#endif
#ifdef BENCH_HAVE_UCONTEXT
    ask("floors/swapcontext", "swapcontext", floor_ucontext, some);
#endif
    ask("floors/rmw", "an uncontended atomic add", rmw_side, many);
    ask("floors/fence", "a full fence", fence_side, many);
    ask("floors/mutex", "lock and unlock a pthread mutex", mutex_side, many);
    ask("floors/malloc", "malloc and free 192 bytes", malloc_side, many);
    ask("floors/clock", "clock_gettime(CLOCK_MONOTONIC)", clock_side, many);
    ask("floors/syscall", "the least system call", syscall_side, some);
    ask("floors/futex", "FUTEX_WAKE with nobody there", wake_side, some);
    ask("floors/pipe", "write a byte and read it", pipe_side, some);
    ask("floors/eventfd", "write an eventfd and read it", eventfd_side, some);
    return bench_end();
}
