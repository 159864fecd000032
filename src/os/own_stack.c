// SPDX-License-Identifier: MIT
//
// Below the stack of a thread lies a guard. That of the main thread grows as
// far as RLIMIT_STACK allows at that moment, from the top of the stack, where
// the kernel has put the name of the program: so nothing need be noted for it.
#include "os/own_stack.h"

#include <string.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/memory.h"
#include "os/module.h"
#include "os/thread.h"

// The most of a thread's stack that lies above its first frame, but for its
// thread-local variables: its record.
#define ROOM_OF_LIBC ((uintptr_t)64 << 10)

// Initial-exec: a handler reaches it without a call that might allocate.
static __thread struct {
    uintptr_t low; // 0: not known
    size_t size;
} own __attribute__((tls_model("initial-exec")));

bool wi_os_on_main_thread(void)
{
    return syscall(SYS_gettid) == getpid();
}

void wi_os_own_stack_note(void)
{
    void *low;
    size_t size;
    if (own.low != 0 || wi_os_on_main_thread() ||
        wi_os_stack_bounds(&low, &size) < 0)
        return;
    own.low = (uintptr_t)low;
    own.size = size;
}

// The libc has used some of it already, so that it ends somewhat higher.
void wi_os_own_stack_has(size_t size, size_t told)
{
    own.low = (uintptr_t)__builtin_frame_address(0) - size + ROOM_OF_LIBC +
              wi_os_module_locals();
    own.size = told;
}

// Whether the address is in the guard of a stack that ends at low, or in what
// a large frame reaches below it. musl counts the guard's page as the stack's.
static bool is_below(uintptr_t address, uintptr_t low)
{
    uintptr_t end = low + wi_os_page_size();
    return end - address - 1 < WI_LARGEST_FRAME;
}

static size_t main_used_up(uintptr_t address)
{
    struct rlimit limit;
    uintptr_t page = wi_os_page_size();
    uintptr_t name = (uintptr_t)getauxval(AT_EXECFN);
    if (name == 0 || getrlimit(RLIMIT_STACK, &limit) < 0 ||
        limit.rlim_cur == RLIM_INFINITY)
        return 0;
    uintptr_t top = (name + strlen((char *)name) + page) & -page;
    return top > limit.rlim_cur && is_below(address, top - limit.rlim_cur)
               ? limit.rlim_cur
               : 0;
}

size_t wi_os_own_stack_used_up(uintptr_t address, uintptr_t sp)
{
    // The code runs where it faults, not on a stack elsewhere.
    if (sp != 0 && sp - address + WI_LARGEST_FRAME > 2 * WI_LARGEST_FRAME)
        return 0;
    if (wi_os_on_main_thread())
        return main_used_up(address);
    return own.low != 0 && is_below(address, own.low) ? own.size : 0;
}
