// SPDX-License-Identifier: MIT
// Jobs and helpers for the tests of the process pool.
#ifndef WEFT_TEST_JOBS_H
#define WEFT_TEST_JOBS_H

#include "weft_test.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weft.h>

#include "base/sanitizer_detect.h"

// Waits for f, checks its code, gives it back, and returns a copy of its text.
static inline const char *expect(weft_future *f, int code)
{
    static char text[512];
    int got = weft_get_into(f, NULL, 0);
    snprintf(text, sizeof text, "%s", weft_future_text(f));
    ck_assert_msg(got == code, "code %d (%s), not %d; text: %s", got,
                  weft_error_name(got), code, text);
    weft_future_unref(f);
    return text;
}

#define expect_text(f, code, part)                                             \
    do {                                                                       \
        const char *text_ = expect((f), (code));                               \
        ck_assert_msg(strstr(text_, (part)) != NULL, "\"%s\" lacks \"%s\"",    \
                      text_, (part));                                          \
    } while (0)

#define expect_long(f, value)                                                  \
    do {                                                                       \
        long got_ = -1;                                                        \
        weft_future *f_ = (f);                                                 \
        int rc_ = weft_get(f_, &got_);                                         \
        ck_assert_msg(rc_ == 0, "code %d: %s", rc_, weft_future_text(f_));     \
        ck_assert_int_eq(got_, (value));                                       \
        weft_future_unref(f_);                                                 \
    } while (0)

WEFT_JOB(long, square, long, x)
{
    return (long)((unsigned long)x * (unsigned long)x); // x may be garbage
}

WEFT_JOB(long, hang, int, x)
{
    (void)x;
    for (;;)
        pause();
    return 0;
}

// Waits for a future of the parent by its id, and adds one to its result.
WEFT_JOB(long, one_more, uint64_t, id)
{
    long value = 0;
    int rc = weft_result(weft_future_open(id), &value);
    if (rc < 0)
        weft_fail(rc, "the future that was waited for: %s",
                  weft_error_name(rc));
    return value + 1;
}

// Until the pool's job f is running in a worker.
static inline void until_running(weft_future *f)
{
    while (weft_future_native_id(f) == 0 && !weft_done(f))
        weft_yield();
}

#endif
