// SPDX-License-Identifier: MIT
//
// Workers that have served: after so many jobs, so much time or so much memory
// a worker is told to leave. It ends the job that it has; what it has not begun
// is recalled; and since it does not count from then on, another one starts
// before it has gone. Under the pool's lock.
#include "process/pool.h"

#include "os/clock.h"

static bool may_leave(const struct wi_member *member)
{
    return member->state == WI_MEMBER_READY && !member->retiring &&
           !member->held;
}

static void send_away(struct wi_member *member)
{
    wi_recall_all(member);
    wi_member_retire(member);
    wi_pool_tend(member->pool);
}

static bool is_old(const struct wi_member *member)
{
    int64_t most = member->pool->set.max_age;
    return most != 0 && wi_os_now() - member->born >= most;
}

static bool is_big(const struct wi_member *member)
{
    size_t most = member->pool->set.max_rss;
    return most != 0 && wi_os_child_rss(&member->child) > most;
}

unsigned wi_wear_left(const struct wi_member *member)
{
    unsigned most = member->pool->set.max_jobs;
    uint64_t taken = member->served + member->flying;
    return most == 0 ? UINT32_MAX : taken < most ? most - (unsigned)taken : 0;
}

void wi_wear_count(struct wi_member *member)
{
    unsigned most = member->pool->set.max_jobs;
    member->served++;
    if (most != 0 && member->served >= most && may_leave(member))
        send_away(member);
}

bool wi_wear_old(struct wi_member *member)
{
    if (!is_old(member))
        return false;
    send_away(member);
    return true;
}

void wi_wear_look(struct wi_member *member)
{
    if (may_leave(member) && (is_old(member) || is_big(member)))
        send_away(member);
}
