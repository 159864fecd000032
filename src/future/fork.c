// SPDX-License-Identifier: MIT
#include "future/fork.h"

#include <errno.h>

#include <weft/task.h>

#include "base/fresh.h"
#include "sched/here.h"
#include "sched/records.h"
#include "sched/stack.h"

void wi_fork_refresh(void)
{
    // It has no free records, which is told by a full count: records.c.
    wi_here = (struct wi_this_thread){.free_count = WI_RECORDS_MOST};
    wi_stack_pool_forget();
    wi_fresh_start();
}

int weft_fork_child(void)
{
    if (!wi_forked())
        return -EINVAL;
    wi_fork_refresh();
    return 0;
}
