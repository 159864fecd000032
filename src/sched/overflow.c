// SPDX-License-Identifier: MIT
//
// A fault is an overflow if it is an access to the guard of the stack that
// the code runs on, or, where a frame is larger than the guard, to what lies
// below it: then the stack pointer may stand in a neighbour, or in no stack at
// all, and only the scheduler knows whose it is. The stack pointer tells the
// overflow of a stack from a stray access to the guard of another. Tasks run on
// stacks of the pool, or on that of their thread as long as they have not
// waited. In either case the handler only writes a line; the fault then takes
// its course.
#include "sched/overflow.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <weft/lock.h>

#include "os/environment.h"
#include "os/own_stack.h"
#include "os/report.h"
#include "os/signal.h"
#include "sched/stack.h"

static void (*describe_stack)(struct wi_stack *stack, char *text, size_t n);
static struct wi_stack *(*running_stack)(void);
static int initialised;

static void describe(struct wi_stack *stack, char *text, size_t n)
{
    // Acquire: pairs with the release in wi_overflow_init.
    void (*of_scheduler)(struct wi_stack *, char *, size_t) =
        __atomic_load_n(&describe_stack, __ATOMIC_ACQUIRE);
    if (of_scheduler)
        of_scheduler(stack, text, n);
}

static void report(struct wi_stack *stack, size_t size)
{
    char who[128] = "";

    if (stack)
        describe(stack, who, sizeof who);
    wi_report("stack overflow in %s: its stack of %zu KiB is used up; give "
              "its run or pool a larger .stack_size",
              *who ? who : "a task", size >> 10);
}

static void report_thread(size_t size)
{
    char who[128] = "a thread";

    describe(NULL, who, sizeof who);
    wi_report("stack overflow in %s: the stack of %zu KiB of its thread is "
              "used up; %s",
              who, size >> 10,
              wi_os_on_main_thread()
                  ? "raise the limit of the main thread's stack: ulimit -s"
                  : "start it, or its pool, with a larger .stack_size");
}

// The calls in which even a compare of their argument would be measured. They
// read the object first thing, so a fault there is known by where it is.
static void tell_null(const struct wi_os_fault *fault)
{
    enum { FIRST_BYTES = 64, FIRST_PAGE = 4096 };
    static const struct {
        uintptr_t start;
        const char *name;
    } calls[] = {
        {(uintptr_t)weft_lock_acquire, "weft_lock_acquire"},
        {(uintptr_t)weft_lock_release, "weft_lock_release"},
    };

    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        if (fault->address < FIRST_PAGE &&
            fault->pc - calls[i].start < FIRST_BYTES)
            wi_panic(calls[i].name, NULL, "lock must not be NULL");
}

static bool is_near(const struct wi_stack_place *place, uintptr_t sp)
{
    uintptr_t low = (uintptr_t)place->low;
    return sp == 0 ||
           sp - (low - WI_LARGEST_FRAME) < WI_LARGEST_FRAME + place->size;
}

// The stack whose guard was touched by the code that runs on it.
static bool find_by_address(const struct wi_os_fault *fault,
                            struct wi_stack_place *place)
{
    return wi_stack_find(fault->address, place) &&
           fault->address < (uintptr_t)place->limit &&
           is_near(place, fault->sp);
}

// The stack that the code runs on, if the address is below its limit.
static bool find_by_sp(const struct wi_os_fault *fault,
                       struct wi_stack_place *place)
{
    return wi_stack_find(fault->sp, place) &&
           (uintptr_t)place->limit - fault->address - 1 < WI_LARGEST_FRAME;
}

// The stack that this thread runs on, if the code has left it at its end.
static struct wi_stack *find_running(const struct wi_os_fault *fault)
{
    // Acquire: pairs with the release in wi_overflow_init.
    struct wi_stack *(*running)(void) =
        __atomic_load_n(&running_stack, __ATOMIC_ACQUIRE);
    struct wi_stack *stack = running ? running() : NULL;

    if (!stack)
        return NULL;
    uintptr_t limit = (uintptr_t)wi_stack_limit(stack);
    return limit - fault->sp - 1 < WI_LARGEST_FRAME &&
                   limit - fault->address - 1 < WI_LARGEST_FRAME
               ? stack
               : NULL;
}

static void look(const struct wi_os_fault *fault)
{
    struct wi_stack *stack = find_running(fault);
    struct wi_stack_place place;
    size_t size;

    if (stack)
        report(stack, wi_stack_size(stack));
    else if (find_by_address(fault, &place) || find_by_sp(fault, &place))
        report(place.stack, place.size);
    else if ((size = wi_os_own_stack_used_up(fault->address, fault->sp)) > 0)
        report_thread(size);
    else
        tell_null(fault);
}

void wi_overflow_init(void (*describe)(struct wi_stack *stack, char *text,
                                       size_t n),
                      struct wi_stack *(*running)(void))
{
    // Relaxed: a look, so that one call of many reads the environment.
    if (__atomic_load_n(&initialised, __ATOMIC_RELAXED))
        return;
    const char *text = wi_os_environment("WEFT_SEGV");
    // Release: what they use is ready. Partners: acquire in describe and in
    // find_running.
    __atomic_store_n(&describe_stack, describe, __ATOMIC_RELEASE);
    __atomic_store_n(&running_stack, running, __ATOMIC_RELEASE);
    if (text && strcmp(text, "0") == 0)
        return;
    // Relaxed RMW: only one caller installs, and none needs it to be done.
    if (__atomic_exchange_n(&initialised, 1, __ATOMIC_RELAXED))
        return;
    if (wi_os_fault_watch(look) < 0)
        wi_report("no handler for stack overflows: sigaction failed");
}

void wi_overflow_thread_init(void)
{
    wi_os_own_stack_note();
    (void)wi_os_signal_stack_init();
}

void wi_overflow_thread_fini(void)
{
    wi_os_signal_stack_fini();
}

_Noreturn void wi_overflow_panic(struct wi_stack *stack)
{
    report(stack, wi_stack_size(stack));
    abort();
}
