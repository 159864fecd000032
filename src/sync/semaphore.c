// SPDX-License-Identifier: MIT
//
// The number of permits is guarded by the lock of the line. While somebody
// stands in line there is no permit: a release gives them to those first.
#include <weft/semaphore.h>

#include <errno.h>

#include "base/options.h"
#include "os/report.h"
#include "sched/scope.h"
#include "sync/far.h"
#include "sync/owner.h"

void weft_semaphore_init_with(struct weft_semaphore *semaphore,
                              uint32_t permits,
                              const struct weft_semaphore_options *options)
{
    wi_need(semaphore);
    WI_OPTIONS(options);
    wi_require(options->bound == 0 || permits <= options->bound, semaphore,
               "a semaphore begins with at most as many permits as its bound");
    *semaphore = (struct weft_semaphore){
        .flags = wi_far_flag(options->arena, semaphore, "weft_semaphore_init"),
        .permits = permits,
        .bound = options->bound};
}

// Takes a permit if there is one; under the lock.
static bool take(struct weft_semaphore *semaphore)
{
    if (semaphore->permits == 0)
        return false;
    semaphore->permits--;
    return true;
}

static int acquire(struct weft_semaphore *semaphore, int64_t deadline)
{
    struct wi_task *self = wi_sync_self(semaphore);
    int rc = wi_scope_test(self);
    if (rc < 0)
        return rc;
    if (semaphore->flags & WI_FAR)
        return wi_far_semaphore_acquire(semaphore, deadline);
    struct wi_place place = wi_place_of(self);
    struct wi_place *first = wi_line_lock(&semaphore->line);
    bool mine = take(semaphore);
    if (!mine)
        wi_line_add(&first, &place);
    wi_line_unlock(&semaphore->line, first);
    if (mine)
        return 0;
    const struct wi_wait wait = {.object = semaphore,
                                 .deadline = deadline,
                                 .kind = WI_WAIT_SEMAPHORE,
                                 .flags = WI_SCOPED};
    return wi_line_wait(&semaphore->line, &place, &wait);
}

int weft_semaphore_acquire(struct weft_semaphore *semaphore)
{
    wi_need(semaphore);
    return acquire(semaphore, WI_FOREVER);
}

int weft_semaphore_acquire_for(struct weft_semaphore *semaphore, double seconds)
{
    wi_need(semaphore);
    return acquire(semaphore, wi_deadline_in(seconds, __func__));
}

int weft_semaphore_try(struct weft_semaphore *semaphore)
{
    wi_need(semaphore);
    if (semaphore->flags & WI_FAR)
        return wi_far_semaphore_try(semaphore);
    struct wi_place *first = wi_line_lock(&semaphore->line);
    bool mine = take(semaphore);
    wi_line_unlock(&semaphore->line, first);
    return mine ? 0 : -EAGAIN;
}

int weft_semaphore_release(struct weft_semaphore *semaphore, uint32_t n)
{
    wi_need(semaphore);
    if (semaphore->flags & WI_FAR)
        return wi_far_semaphore_release(semaphore, n);
    struct wi_place *first = wi_line_lock(&semaphore->line);
    uint32_t bound = semaphore->bound != 0 ? semaphore->bound : UINT32_MAX;
    if (n > bound - semaphore->permits) {
        wi_line_unlock(&semaphore->line, first);
        return -EOVERFLOW;
    }
    struct wi_chosen chosen = {.last = &chosen.first};
    for (; n > 0 && first != NULL; n--)
        wi_chosen_add(&chosen, &first, first);
    semaphore->permits += n;
    wi_line_unlock(&semaphore->line, first);
    wi_chosen_end(&chosen, WI_PLACE_GIVEN);
    return 0;
}

uint32_t weft_semaphore_permits(struct weft_semaphore *semaphore)
{
    wi_need(semaphore);
    if (semaphore->flags & WI_FAR)
        return __atomic_load_n(&semaphore->permits, __ATOMIC_RELAXED);
    struct wi_place *first = wi_line_lock(&semaphore->line);
    uint32_t permits = semaphore->permits;
    wi_line_unlock(&semaphore->line, first);
    return permits;
}

static bool is_waited_for(struct weft_semaphore *semaphore)
{
    if (semaphore->flags & WI_FAR)
        return wi_far_is_waited_for(semaphore, &semaphore->lock,
                                    &semaphore->line);
    struct wi_place *first = wi_line_lock(&semaphore->line);
    wi_line_unlock(&semaphore->line, first);
    return first != NULL;
}

void weft_semaphore_fini(struct weft_semaphore *semaphore)
{
    wi_need(semaphore);
    wi_require(!is_waited_for(semaphore), semaphore,
               "nobody waits for a semaphore that ends");
}
