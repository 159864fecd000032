// SPDX-License-Identifier: MIT
#include "sync/owner.h"

#include <errno.h>

#include "arch/arch.h"
#include "os/cpu.h"
#include "os/report.h"
#include "sched/here.h"

struct wi_task *wi_sync_self(const void *object)
{
    struct wi_task *self = wi_self();
    wi_require(self != NULL, object, "no memory for this thread's record");
    return self;
}

bool wi_owner_runs(wi_hint owner)
{
    struct wi_task *t = wi_hint_task(owner);
    if (t == NULL || wi_os_cpu_scarce())
        return false;
    // relaxed, both: guesses
    uintptr_t at = __atomic_load_n(&t->owner, __ATOMIC_RELAXED);
    if (at & WI_THREAD)
        return __atomic_load_n(&t->permit, __ATOMIC_RELAXED) <= 1;
    uintptr_t worker = at & WI_OWNER_MASK;
    return !(at & WI_PARKED) && worker != 0 &&
           worker != (uintptr_t)wi_here.worker;
}

// Before each sleep: after the edge was set, for who sets it, and after a wake,
// which may be that of wi_edge_stir.
static int look(struct wi_task *self, const struct wi_wait *wait,
                wi_owner_function *owner, bool edge)
{
    if (wi_owner_gone(owner(wait->object)))
        return -EOWNERDEAD;
    return edge ? wi_edge_check(self) : 0;
}

int wi_owner_wait(struct wi_task *self, struct wi_place *place,
                  const struct wi_wait *wait, wi_owner_function *owner,
                  bool edge)
{
    int rc = 0;
    while (rc == 0 && wi_place_waits(place)) {
        rc = look(self, wait, owner, edge);
        if (rc == 0)
            rc = wi_place_park(wait);
    }
    return rc;
}

// Owners that end -------------------------------------------------------------

static void report(struct wi_task *t)
{
    const char *name = wi_task_name(t);

    wi_report("%s %llu%s%s ended while it held %u lock%s",
              wi_kind_name(t->kind), (unsigned long long)t->id,
              name[0] ? " " : "", name, t->held, t->held == 1 ? "" : "s");
}

// Whoever waits without limit stored its edge before it looked at the owner:
// here it is the other way round. A wait with a limit looks when that is over.
static void wake_if_waiting(struct wi_task *t, void *arg)
{
    (void)arg;
    // relaxed, both: after the fence below; the first is a guess
    uint16_t kind = __atomic_load_n(&t->wait_kind, __ATOMIC_RELAXED);
    uint64_t edge = __atomic_load_n(&t->edge, __ATOMIC_RELAXED);
    if (kind == WI_WAIT_LOCK || kind == WI_WAIT_ONCE ||
        (edge != 0 && wi_edge_tag(edge) == WI_EDGE_ALL))
        wi_unpark(t);
}

static void orphaned(void)
{
    wi_arch_fence(); // pairs with wi_edge_set
    wi_task_each(wake_if_waiting, NULL);
}

static const struct wi_held_ops held_ops = {report, orphaned};

__attribute__((constructor)) static void register_held(void)
{
    wi_held_ops = &held_ops;
}
