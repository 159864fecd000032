// SPDX-License-Identifier: MIT
// The switch of stacks, with what ASan, TSan and Valgrind must be told of it.
//
// Without a sanitizer a switch point is one word and wi_stack_switch is
// wi_arch_switch. The rules that the hooks follow:
//
// - TSan: one fiber a stack; the fiber changes just before the stack does, so
//   that each function is entered and left on one fiber. A fiber whose frames
//   were abandoned is replaced, since its shadow stack would only grow; and it
//   is made current once before it is destroyed, because the runtimes before
//   LLVM 22 go wrong on a fiber that never ran.
// - ASan: "start" is the last thing on the old stack, "finish" the first on
//   the new one. A fake stack is never given up, because no stack dies.
// - Valgrind must know the bounds of each stack, or it takes a switch for a
//   huge allocation.
#ifndef WI_SCHED_SANITIZER_H
#define WI_SCHED_SANITIZER_H

#include <stddef.h>
#include <stdint.h>

#include "arch/arch.h"
#include "base/sanitizer_detect.h"
#include "os/thread.h"

#if WI_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#endif
#if WI_TSAN
#include <sanitizer/tsan_interface.h>
#endif

// Where a stack is suspended. A stack is suspended in one place at a time, so
// it has one of these; so has every OS thread that switches.
struct wi_switch_point {
    void *sp;
#if WI_ASAN
    void *low;
    size_t size;
    void *fake;
#endif
#if WI_TSAN
    void *fiber;
#endif
};

// Fill in the point of a stack that nothing has run on, of the bounds given.
static inline void wi_switch_point_init(struct wi_switch_point *point,
                                        void *low, size_t size)
{
    (void)low;
    (void)size;
    point->sp = NULL;
#if WI_ASAN
    point->low = low;
    point->size = size;
    point->fake = NULL;
#endif
#if WI_TSAN
    point->fiber = __tsan_create_fiber(0);
#endif
}

#if WI_ASAN
// The bounds of the calling OS thread's stack as ASan knows them: it tells the
// old ones at the end of a switch, and this one leads back here. The C library
// would have to open a file for them, for which there may be no descriptor.
static inline void wi_asan_stack_bounds(void **low, size_t *size)
{
    const void *bottom;
    void *fake = NULL;

    __sanitizer_start_switch_fiber(&fake, &fake, sizeof fake);
    __sanitizer_finish_switch_fiber(fake, &bottom, size);
    *low = (void *)(uintptr_t)bottom;
    __sanitizer_start_switch_fiber(&fake, *low, *size);
    __sanitizer_finish_switch_fiber(fake, NULL, NULL);
}
#endif

// Fill in the point of the calling OS thread.
static inline void wi_switch_point_thread(struct wi_switch_point *point)
{
    point->sp = NULL;
#if WI_ASAN
    point->fake = NULL;
    wi_asan_stack_bounds(&point->low, &point->size);
#endif
#if WI_TSAN
    point->fiber = __tsan_get_current_fiber();
#endif
}

// End a point made by wi_switch_point_init; not while running on its stack.
static inline void wi_switch_point_fini(struct wi_switch_point *point)
{
    (void)point;
#if WI_TSAN
    void *self = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(point->fiber, 0);
    __tsan_switch_to_fiber(self, 0);
    __tsan_destroy_fiber(point->fiber);
    point->fiber = NULL;
#endif
}

// The frames on a stack are abandoned: it can be prepared again.
static inline void wi_switch_point_renew(struct wi_switch_point *point)
{
    (void)point;
#if WI_ASAN
    __asan_unpoison_memory_region(point->low, point->size);
#endif
#if WI_TSAN
    wi_switch_point_fini(point);
    point->fiber = __tsan_create_fiber(0);
#endif
}

// The caller has come to the stack of `point` by itself, leaving others behind.
static inline void wi_stack_fell_back(struct wi_switch_point *point)
{
    (void)point;
#if WI_ASAN
    __asan_unpoison_memory_region(point->low, point->size);
#endif
}

// The first thing that an entry function does on a fresh stack. It should
// have no locals, as ASan touches them before it.
static inline void wi_stack_arrived(struct wi_switch_point *self)
{
    (void)self;
#if WI_ASAN
    __sanitizer_finish_switch_fiber(self->fake, NULL, NULL);
#endif
}

// Suspend the running stack at `from`, continue the one suspended at `to`.
// Returns when something switches to `from`. errno is the caller's.
static inline __attribute__((always_inline)) void
wi_stack_switch(struct wi_switch_point *from, struct wi_switch_point *to)
{
#if WI_ASAN
    __sanitizer_start_switch_fiber(&from->fake, to->low, to->size);
#endif
#if WI_TSAN
    __tsan_switch_to_fiber(to->fiber, 0);
#endif
    wi_arch_switch(&from->sp, to->sp);
    wi_stack_arrived(from);
}

#if !WI_ASAN
// There if the program was built with LSan, though Weft was not.
extern void __lsan_register_root_region(const void *base, size_t size)
    __attribute__((weak));
extern void __lsan_unregister_root_region(const void *base, size_t size)
    __attribute__((weak));
#endif

// Whether LSan reads what it is given as roots.
static inline bool wi_sanitizer_reads_roots(void)
{
#if WI_ASAN
    return true;
#else
    return __lsan_register_root_region != NULL &&
           __lsan_unregister_root_region != NULL;
#endif
}

// A range that holds stacks or records, whose contents LSan must read as roots.
static inline void wi_sanitizer_add_roots(void *base, size_t size)
{
    if (wi_sanitizer_reads_roots())
        __lsan_register_root_region(base, size);
}

static inline void wi_sanitizer_remove_roots(void *base, size_t size)
{
    if (wi_sanitizer_reads_roots())
        __lsan_unregister_root_region(base, size);
}

static inline unsigned wi_valgrind_add_stack(void *low, void *high)
{
    (void)low;
    (void)high;
#ifdef VALGRIND_STACK_REGISTER
    return (unsigned)VALGRIND_STACK_REGISTER(low, (char *)high - 1);
#else
    return 0;
#endif
}

static inline void wi_valgrind_remove_stack(unsigned id)
{
    (void)id;
#ifdef VALGRIND_STACK_DEREGISTER
    VALGRIND_STACK_DEREGISTER(id);
#endif
}

#endif
