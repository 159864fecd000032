// SPDX-License-Identifier: MIT
//
// Jobs with a timeout. Such a job is given to a worker that has nothing before
// it, so its time begins when it is placed. Each worker has one alarm, for the
// one of its jobs that is due first: there are several when jobs wait beneath
// others. On the supervisor, which alone frees workers.
#include "process/pool.h"

#include <weft/error.h>

#include "os/clock.h"

static void set_alarm(struct wi_member *member)
{
    int64_t first = WI_FOREVER;
    for (unsigned i = 0; i < WI_TICKETS; i++) {
        const struct wi_pjob *job = member->flights[i].job;
        if (job != NULL && job->timeout != 0 && job->run_until < first)
            first = job->run_until;
    }
    if (first != WI_FOREVER)
        wi_alarm_set(&member->overrun, first);
}

void wi_overrun_begin(struct wi_member *member, struct wi_pjob *job)
{
    job->run_until = wi_os_now() + job->timeout;
    set_alarm(member);
}

static struct wi_pjob *find_overrun(struct wi_member *member)
{
    int64_t now = wi_os_now();
    for (unsigned i = 0; i < WI_TICKETS; i++) {
        struct wi_pjob *job = member->flights[i].job;
        if (job != NULL && job->timeout != 0 && job->run_until <= now)
            return job;
    }
    return NULL;
}

void wi_overrun_rang(struct wi_alarm *alarm)
{
    struct wi_member *member =
        (struct wi_member *)((char *)alarm -
                             offsetof(struct wi_member, overrun));
    struct wi_pool *pool = member->pool;
    struct wi_outcomes out;
    out.n = 0;
    wi_mutex_lock(&pool->lock);
    wi_member_take_in(member); // what it has said already counts
    struct wi_pjob *job = find_overrun(member);
    if (member->state == WI_MEMBER_LOST) { // the grace is over
        if (!member->reaped && member->child.pid != 0)
            wi_os_child_signal_group(&member->child, wi_os_sigkill);
    } else if (member->state == WI_MEMBER_READY && job != NULL) {
        wi_pjob_stop(job, -WEFT_EJOBTIMEOUT, "ran longer than its timeout",
                     &out);
    } else if (member->state == WI_MEMBER_READY) {
        set_alarm(member);
    }
    wi_mutex_unlock(&pool->lock);
    wi_outcomes_tell(&out);
}
