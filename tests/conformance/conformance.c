// SPDX-License-Identifier: MIT
// What must hold on every CPU, libc and backend, through public calls only and
// without a test framework. A check that fails says where and is counted; the
// last line is the sum.
#include "../support/backend.h"

#include <stdio.h>
#include <string.h>
#include <weft/version.h>

static int passed, failed;

static void check(int ok, const char *what, int line)
{
    if (ok) {
        passed++;
        return;
    }
    failed++;
    fprintf(stderr, "conformance.c:%d: %s\n", line, what);
}
#define CHECK(condition) check(!!(condition), #condition, __LINE__)

static void version(void)
{
    CHECK(!strcmp(weft_version(), "0.1.0"));
}

int main(void)
{
    int missing = weft_test_backend_missing();

    if (missing)
        return missing;
    version();
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
