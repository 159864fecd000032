// SPDX-License-Identifier: MIT
#include <errno.h>

#include <weft/task.h>

#include "base/fresh.h"
#include "os/fork.h"
#include "sched/here.h"
#include "sched/stack.h"

__attribute__((constructor)) static void watch_forks(void)
{
    wi_os_at_fork(wi_fresh_note_fork);
}

int weft_fork_child(void)
{
    if (!wi_forked())
        return -EINVAL;
    wi_here = (struct wi_here){0};
    wi_stack_pool_forget();
    wi_fresh_start();
    return 0;
}
