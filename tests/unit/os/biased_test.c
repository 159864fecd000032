// SPDX-License-Identifier: MIT
#include "os/biased.h"

#include <errno.h>
#include <sys/syscall.h>

#include "kit.h"
#include "refuse.h"

static void enter_as_a_stranger(void)
{
    struct wi_biased lock = {0};
    kit_refuse(SYS_membarrier, EPERM);
    wi_biased_unlock(&lock, wi_biased_lock(&lock, false));
}

// Two would be inside otherwise: what worked at the start is refused now.
WEFT_TEST(a_barrier_that_is_refused_ends_the_program)
{
    char text[1000];
    if (!wi_biased_fast) {
        puts("not tested: the mutex is used here");
        return;
    }
    int status = kit_child(enter_as_a_stranger, text, sizeof text);
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT,
                  "wait status 0x%x: %s", status, text);
    ck_assert_ptr_nonnull(strstr(text, "membarrier"));
}

WEFT_TEST_MAIN("biased")
