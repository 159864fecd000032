// SPDX-License-Identifier: MIT
#include "weft_test.h"

#include <stdio.h>
#include <weft/version.h>

WEFT_TEST(library_and_headers_agree)
{
    char text[32];

    snprintf(text, sizeof(text), "%d.%d.%d", WEFT_VERSION_MAJOR,
             WEFT_VERSION_MINOR, WEFT_VERSION_PATCH);
    ck_assert_str_eq(weft_version(), text);
}

WEFT_TEST_MAIN("version")
