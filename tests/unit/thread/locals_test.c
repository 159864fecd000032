// SPDX-License-Identifier: MIT
// A program with many thread-local variables. glibc takes them out of the stack
// of each thread, also of those that Weft has for itself.
#include "kit.h"

enum { MANY = 200 << 10, SMALL = 64 << 10 };

static __thread volatile char locals[MANY];

WEFT_TEST(an_arena_can_be_made)
{
    weft_arena *a = NULL;

    locals[MANY - 1] = 1;
    kit_assert_code(weft_arena_new(1 << 20, &a), 0);
    ck_assert_ptr_nonnull(weft_arena_alloc(a, 100));
    weft_arena_close(a);
}

static int use_most(void *arg)
{
    volatile char stack[SMALL / 2];

    (void)arg;
    memset((char *)stack, 1, sizeof stack);
    locals[0] = 1;
    return stack[sizeof stack / 2] + locals[MANY - 1];
}

WEFT_TEST(a_thread_has_the_stack_that_was_asked_for)
{
    kit_assert_code(
        weft_join(weft_thread_start(use_most, NULL, .stack_size = SMALL)), 1);
}

__attribute__((noinline)) static int recurse(int depth)
{
    volatile char frame[256];

    frame[0] = (char)depth;
    return depth > 0 ? recurse(depth - 1) + frame[0] : 0;
}

static int overflow(void *arg)
{
    (void)arg;
    return recurse(1 << 24);
}

static void overflow_in_thread(void)
{
    weft_join(weft_thread_start(overflow, NULL, .stack_size = SMALL));
}

WEFT_TEST(the_overflow_of_its_stack_is_told, .timeout = 20)
{
    char said[4096];

    if (KIT_SANITIZED)
        weft_test_skip("a sanitizer's frames are larger, and it tells itself");
    kit_child(overflow_in_thread, said, sizeof said);
    ck_assert_msg(strstr(said, "the stack of 64 KiB of its thread is used up"),
                  "it said: %s", said);
}

WEFT_TEST_MAIN("locals")
