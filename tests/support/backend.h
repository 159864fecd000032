// SPDX-License-Identifier: MIT
// Shared by the unit tests and by the conformance program.
#ifndef WEFT_TEST_BACKEND_H
#define WEFT_TEST_BACKEND_H

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

// Is the backend that WEFT_BACKEND names refused by this kernel or container?
// Then say so and return the exit code for it: 77, which CTest takes as
// skipped, or 1 if WEFT_REQUIRE_URING is set. Otherwise 0.
static inline int weft_test_backend_missing(void)
{
    const char *name = getenv("WEFT_BACKEND");

    if (!name || strcmp(name, "uring") != 0)
        return 0;
#ifdef SYS_io_uring_setup
    // No kernel takes these arguments: only the kind of refusal tells.
    if (syscall(SYS_io_uring_setup, 0, NULL) < 0 && errno != ENOSYS &&
        errno != EPERM)
        return 0;
#endif
    puts("SKIP: io_uring is not allowed here");
    return getenv("WEFT_REQUIRE_URING") ? 1 : 77;
}

#endif
