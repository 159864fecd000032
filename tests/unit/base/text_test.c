// SPDX-License-Identifier: MIT
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

#include "weft_test.h"

WEFT_TEST(a_copy_is_cut_and_always_ends)
{
    char to[5];
    memset(to, 'x', sizeof to);
    wi_text_copy(to, sizeof to, "ab");
    ck_assert_str_eq(to, "ab");
    memset(to, 'x', sizeof to);
    wi_text_copy(to, sizeof to, "abcd");
    ck_assert_str_eq(to, "abcd");
    memset(to, 'x', sizeof to);
    wi_text_copy(to, sizeof to - 1, "abcdefgh");
    ck_assert_str_eq(to, "abc");
    ck_assert_int_eq(to[4], 'x');
    memset(to, 'x', sizeof to);
    wi_text_copy(to, 1, "abc");
    ck_assert_str_eq(to, "");
}

static void expect(char *text, const char *want)
{
    ck_assert_str_eq(text, want);
    free(text);
}

WEFT_TEST(two_texts_are_joined)
{
    expect(wi_text_join("a", "b"), "a: b");
    expect(wi_text_join("a", ""), "a");
    expect(wi_text_join("", "b"), ": b");
    expect(wi_text_dup("a text"), "a text");
    expect(wi_text_dup(""), "");
}

WEFT_TEST_MAIN("text")
