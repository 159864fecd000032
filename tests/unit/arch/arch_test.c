// SPDX-License-Identifier: MIT
#include "arch/arch.h"

#include "weft_test.h"

#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <unwind.h>

#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif
#endif
#ifndef VALGRIND_STACK_REGISTER
#define VALGRIND_STACK_REGISTER(low, high) 0
#define RUNNING_ON_VALGRIND                0
#endif

#define STACK 65536

static _Alignas(64) char memory[4][STACK];
static void *suspended[4], *base;
static int order[64], steps;

static void *top_of(int i)
{
    (void)VALGRIND_STACK_REGISTER(memory[i], memory[i] + STACK - 1);
    return memory[i] + STACK;
}

// Switching -------------------------------------------------------------------

static void ring_entry(void *arg)
{
    int me = *(int *)arg;

    for (;;) {
        order[steps++] = me;
        if (steps == 9)
            wi_arch_switch(&suspended[me], base);
        else
            wi_arch_switch(&suspended[me], suspended[(me + 1) % 3]);
    }
}

WEFT_TEST(three_stacks_take_turns)
{
    static int names[] = {0, 1, 2};

    for (int i = 0; i < 3; i++)
        suspended[i] = wi_arch_prepare(top_of(i), ring_entry, &names[i]);
    wi_arch_switch(&base, suspended[0]);
    ck_assert_int_eq(steps, 9);
    for (int i = 0; i < 9; i++)
        ck_assert_int_eq(order[i], i % 3);
}

static uintptr_t entry_sp;
static void *entry_arg;

static void look_around(void *arg)
{
    _Alignas(16) volatile char aligned[16];

    aligned[0] = 1;
    ck_assert_uint_eq((uintptr_t)aligned % 16, 0);
    entry_arg = arg;
    entry_sp = wi_arch_sp();
    wi_arch_switch(&suspended[0], base);
}

WEFT_TEST(entry_runs_on_the_prepared_stack)
{
    suspended[0] = wi_arch_prepare(top_of(0), look_around, &entry_sp);
    wi_arch_switch(&base, suspended[0]);
    ck_assert_ptr_eq(entry_arg, &entry_sp);
    ck_assert(entry_sp > (uintptr_t)memory[0]);
    ck_assert(entry_sp < (uintptr_t)top_of(0));
}

// More live values than there are callee-saved registers, of both kinds.
__attribute__((noinline)) static void hold(void **save, void *load,
                                           volatile long *v, volatile double *d)
{
    long a = v[0], b = v[1], c = v[2], e = v[3], f = v[4], g = v[5], h = v[6];
    long i = v[7], j = v[8], k = v[9];
    double p = d[0], q = d[1], r = d[2], s = d[3], t = d[4], u = d[5];
    double w = d[6], x = d[7];

    wi_arch_switch(save, load);
    v[0] = a + 1, v[1] = b + 1, v[2] = c + 1, v[3] = e + 1, v[4] = f + 1;
    v[5] = g + 1, v[6] = h + 1, v[7] = i + 1, v[8] = j + 1, v[9] = k + 1;
    d[0] = p + 1, d[1] = q + 1, d[2] = r + 1, d[3] = s + 1, d[4] = t + 1;
    d[5] = u + 1, d[6] = w + 1, d[7] = x + 1;
}

static volatile long longs[2][10];
static volatile double doubles[2][8];

static void hold_entry(void *arg)
{
    (void)arg;
    for (;;)
        hold(&suspended[0], base, longs[1], doubles[1]);
}

static void hold_check(int side, int rounds)
{
    for (int i = 0; i < 10; i++)
        ck_assert_int_eq(longs[side][i], side * 1000 + i + rounds);
    for (int i = 0; i < 8; i++)
        ck_assert(doubles[side][i] == side * 100 + i + rounds);
}

WEFT_TEST(callee_saved_registers_survive)
{
    for (int side = 0; side < 2; side++) {
        for (int i = 0; i < 10; i++)
            longs[side][i] = side * 1000 + i;
        for (int i = 0; i < 8; i++)
            doubles[side][i] = side * 100 + i;
    }
    suspended[0] = wi_arch_prepare(top_of(0), hold_entry, NULL);
    for (int i = 0; i < 100; i++)
        hold(&base, suspended[0], longs[0], doubles[0]);
    hold_check(0, 100);
    hold_check(1, 99);
}

// Unwinding -------------------------------------------------------------------
// musl-gcc borrows a libgcc whose unwinder needs glibc.
#if defined(__GLIBC__) && !defined(WEFT_UCONTEXT)

static _Unwind_Reason_Code count_frame(struct _Unwind_Context *context,
                                       void *arg)
{
    (void)context;
    return ++*(int *)arg > 50 ? _URC_NORMAL_STOP : _URC_NO_REASON;
}

static int frames, walked;
static _Unwind_Reason_Code end;

__attribute__((noinline)) static void unwind_here(void *arg)
{
    void **frame = __builtin_frame_address(0);

    (void)arg;
    end = _Unwind_Backtrace(count_frame, &frames);
    // Follows the frame pointers, which must end by themselves.
    for (walked = 0; frame && walked < 50; walked++)
        frame = frame[0];
    wi_arch_switch(&suspended[0], base);
}

WEFT_TEST(unwinding_ends_at_the_entry)
{
    suspended[0] = wi_arch_prepare(top_of(0), unwind_here, NULL);
    wi_arch_switch(&base, suspended[0]);
    ck_assert_int_eq(end, _URC_END_OF_STACK);
    ck_assert_int_ge(frames, 1);
    ck_assert_int_le(frames, 6);
    ck_assert_int_le(walked, 3);
}

#if defined(__x86_64__)
// Steps through two switches with the trap flag and unwinds from every single
// instruction, as a profiler would.

#define TRAP_FLAG 0x100

static void *here_side, *there_side;
static int stepped_in_switch, bad_unwinds, bad_offset, entered;

struct trace {
    int frames, side;
};

static _Unwind_Reason_Code look_at_frame(struct _Unwind_Context *context,
                                         void *arg)
{
    struct trace *trace = arg;
    void *in = _Unwind_FindEnclosingFunction((void *)_Unwind_GetIP(context));

    if (in == here_side || in == there_side)
        trace->side++;
    return ++trace->frames > 60 ? _URC_NORMAL_STOP : _URC_NO_REASON;
}

static void on_step(int sig, siginfo_t *info, void *arg)
{
    ucontext_t *context = arg;
    uintptr_t pc = (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
    uintptr_t offset = pc - (uintptr_t)wi_arch_switch;
    struct trace trace = {0, 0};

    (void)sig;
    (void)info;
    if (offset >= 128)
        return;
    stepped_in_switch++;
    if (_Unwind_Backtrace(look_at_frame, &trace) != _URC_END_OF_STACK ||
        trace.side > 1 || (trace.side == 0 && entered)) {
        bad_unwinds++;
        bad_offset = (int)offset;
    }
}

static void set_trap_flag(void)
{
    __asm__ volatile(
        "lea -128(%%rsp), %%rsp\n\tpushfq\n\t"
        "orq %0, (%%rsp)\n\tpopfq\n\tlea 128(%%rsp), %%rsp" ::"i"(TRAP_FLAG)
        : "memory", "cc");
}

static void clear_trap_flag(void)
{
    __asm__ volatile(
        "lea -128(%%rsp), %%rsp\n\tpushfq\n\t"
        "andq %0, (%%rsp)\n\tpopfq\n\tlea 128(%%rsp), %%rsp" ::"i"(~TRAP_FLAG)
        : "memory", "cc");
}

__attribute__((noinline)) static void step_there(void *arg)
{
    (void)arg;
    // Until here the stack had no frame but the entry.
    entered = 1;
    for (;;)
        wi_arch_switch(&suspended[0], base);
}

__attribute__((noinline)) static void step_here(void)
{
    suspended[0] = wi_arch_prepare(top_of(0), step_there, NULL);
    set_trap_flag();
    wi_arch_switch(&base, suspended[0]);
    wi_arch_switch(&base, suspended[0]);
    clear_trap_flag();
}

WEFT_TEST(unwinding_works_at_every_instruction, .timeout = 30)
{
    static _Alignas(16) char alternate[65536 * 4];
    stack_t stack = {.ss_sp = alternate, .ss_size = sizeof(alternate)};
    struct sigaction action = {.sa_sigaction = on_step,
                               .sa_flags = SA_SIGINFO | SA_ONSTACK};
    struct trace warm = {0, 0};

    if (RUNNING_ON_VALGRIND)
        weft_test_skip("no single stepping here");
    // Loads what the unwinder needs before the first step.
    _Unwind_Backtrace(look_at_frame, &warm);
    here_side = (void *)step_here;
    there_side = (void *)step_there;
    sigaltstack(&stack, NULL);
    sigaction(SIGTRAP, &action, NULL);
    step_here();
    // Four passes of 17 instructions.
    ck_assert_int_ge(stepped_in_switch, 4 * 17);
    ck_assert_msg(bad_unwinds == 0, "%d bad unwinds, one at offset %d",
                  bad_unwinds, bad_offset);
}
#endif
#endif

// Fences ----------------------------------------------------------------------

WEFT_TEST(fence_and_relax_are_callable)
{
    volatile int x = 1;

    wi_arch_fence();
    wi_arch_relax();
    ck_assert_int_eq(x, 1);
}

WEFT_TEST_MAIN("arch")
