// SPDX-License-Identifier: MIT
#include "os/launch.h"

#include <signal.h>
#include <string.h>

#include "weft_test.h"

// Whatever the size of a page, which is 64 KiB on some machines.
WEFT_TEST(the_whole_stack_of_a_child_can_be_used)
{
    char *stack = wi_os_launch_stack();
    ck_assert_ptr_nonnull(stack);
    memset(stack, 1, WI_LAUNCH_STACK);
}

WEFT_TEST(below_it_is_a_guard, .signal = SIGSEGV)
{
    volatile char *stack = wi_os_launch_stack();
    signal(SIGSEGV, SIG_DFL); // sanitizers have a handler
    stack[-1] = 1;
}

WEFT_TEST_MAIN("launch")
