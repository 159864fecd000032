// SPDX-License-Identifier: MIT
#include "os/biased.h"

#include <errno.h>
#include <sys/syscall.h>

#include "arch/arch.h"
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

static struct wi_biased shared;
static int inside, done;

// Whoever is inside is there alone.
static void be_inside(bool owner)
{
    bool fast = wi_biased_lock(&shared, owner);
    if (__atomic_exchange_n(&inside, 1, __ATOMIC_RELAXED) != 0)
        ck_abort_msg("two are inside");
    for (int i = 0; i < 20; i++)
        wi_arch_relax();
    __atomic_store_n(&inside, 0, __ATOMIC_RELAXED);
    wi_biased_unlock(&shared, fast);
}

static int be_inside_often(void *arg)
{
    (void)arg;
    for (int i = 0; i < 500; i++) {
        be_inside(false);
        weft_sleep(0); // the owner shall not wait all the time
    }
    __atomic_fetch_add(&done, 1, __ATOMIC_RELEASE);
    return 0;
}

WEFT_TEST(the_owner_and_strangers_are_never_inside_together, .timeout = 30)
{
    enum { STRANGERS = 2 };
    weft_future *f[STRANGERS];
    for (int i = 0; i < STRANGERS; i++)
        f[i] = weft_thread_start(be_inside_often, NULL);
    while (__atomic_load_n(&done, __ATOMIC_ACQUIRE) < STRANGERS)
        be_inside(wi_biased_fast);
    for (int i = 0; i < STRANGERS; i++)
        kit_assert_code(weft_join(f[i]), 0);
    wi_biased_fini(&shared);
}

WEFT_TEST_MAIN("biased")
