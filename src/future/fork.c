// SPDX-License-Identifier: MIT
#include <errno.h>

#include <weft/task.h>

#include "base/fresh.h"
#include "sched/here.h"
#include "sched/stack.h"

int weft_fork_child(void)
{
    if (!wi_forked())
        return -EINVAL;
    wi_here = (struct wi_this_thread){0};
    wi_stack_pool_forget();
    wi_fresh_start();
    return 0;
}
