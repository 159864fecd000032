// SPDX-License-Identifier: MIT
// Rule 1: C11 with GNU extensions; the prefix weft_, macros WEFT_, no _t;
// object first, verb last; caller storage is a struct without a typedef. What
// concerns names is checked by the script `names` beside this file.
#include "kit.h"

_Static_assert(__STDC_VERSION__ >= 201112L, "C11");

// A function of the name of a structure and the structure live side by side.
WEFT_TEST(caller_storage_is_a_struct_without_a_typedef)
{
    struct weft_scope scope;
    struct weft_text text = weft_text("a function and a struct");
    int weft_scope = 1; // not a type name

    ck_assert_str_eq(text.s, "a function and a struct");
    weft_timeout_enter(&scope, 60);
    ck_assert_int_eq(weft_scope, 1);
    weft_scope_leave(&scope);
}

// The macros are functions to whoever uses them: one evaluation of each
// argument, usable as an expression, in an if without braces.
static int evaluated;

static void *once(void)
{
    evaluated++;
    return kit_number(3);
}

WEFT_TEST(macros_behave_like_functions)
{
    weft_future *f = weft_task_start(kit_return, once());

    ck_assert_int_eq(evaluated, 1);
    if (weft_run(kit_return, once()) < 0)
        ck_abort_msg("no");
    else
        ck_assert_int_eq(evaluated, 2);
    kit_assert_code(weft_join(f), 3);
    kit_assert_code(weft_join(weft_thread_start(kit_return, once())), 3);
    ck_assert_int_eq(evaluated, 3);
}

WEFT_TEST(declarations_may_stand_in_one_block)
{
    int rc;
    WEFT_TIMEOUT(60);
    WEFT_SHIELD(60);
    WEFT_TIMEOUT(50);
    WEFT_GROUP(g, &rc);
    WEFT_GROUP(h, &rc);
    ck_assert_ptr_ne(g, h);
    kit_assert_code(weft_check(), 0);
}

WEFT_TEST_MAIN("rule 1")
