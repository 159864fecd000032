// SPDX-License-Identifier: MIT
#include "sync/far_line.h"

#include <errno.h>

#include "sched/scope.h"
#include "shared/keeper.h"
#include "shared/member.h"
#include "sync/line.h"

struct wi_far_line wi_far_line_of(const void *object, uint32_t *lock,
                                  uintptr_t *first)
{
    return (struct wi_far_line){.arena = wi_far_arena(object),
                                .lock = (struct wi_shared_lock *)lock,
                                .first = first};
}

void wi_far_take(struct wi_far_line *line)
{
    wi_shared_lock(line->arena, line->lock); // a dead one leaves no trace
}

void wi_far_give(struct wi_far_line *line)
{
    wi_shared_unlock(line->lock);
}

struct wi_far_place *wi_far_place_new(struct wi_far_line *line)
{
    struct wi_far_place *place = weft_arena_alloc(line->arena, sizeof *place);
    if (place != NULL)
        place->tag = line->arena->tag;
    return place;
}

void wi_far_add(struct wi_far_line *line, struct wi_far_place *place)
{
    uint64_t offset = wi_segment_offset(line->arena, place);
    struct wi_far_place *last = wi_far_place_at(line, *line->first);
    if (last == NULL) {
        *line->first = offset;
        return;
    }
    while (last->next != 0)
        last = wi_far_place_at(line, last->next);
    last->next = offset;
}

unsigned wi_far_bury(struct wi_far_line *line)
{
    unsigned n = 0;
    uint64_t *link = line->first;
    struct wi_far_place *place;
    while ((place = wi_far_place_at(line, *link)) != NULL) {
        if (wi_member_lives(line->arena, place->tag)) {
            link = &place->next;
            continue;
        }
        *link = place->next;
        weft_arena_free(line->arena, place);
        n++;
    }
    return n;
}

void wi_far_remove(struct wi_far_line *line, struct wi_far_place *place)
{
    uint64_t offset = wi_segment_offset(line->arena, place);
    uint64_t *link = line->first;
    while (*link != 0 && *link != offset)
        link = &wi_far_place_at(line, *link)->next;
    if (*link == offset)
        *link = place->next;
}

struct wi_far_place *wi_far_first(struct wi_far_line *line)
{
    struct wi_far_place *place;
    while ((place = wi_far_place_at(line, *line->first)) != NULL) {
        bool lives = wi_member_lives(line->arena, place->tag);
        if (lives && place->state == WI_FAR_WAITING)
            return place;
        *line->first = place->next;
        if (!lives)
            weft_arena_free(line->arena, place);
    }
    return NULL;
}

void wi_far_tell(struct wi_far_place *place)
{
    // release: pairs with wi_far_state; what was done before is seen
    __atomic_store_n(&place->state, WI_FAR_SERVED, __ATOMIC_RELEASE);
    wi_os_futex_wake(&place->state, 1, true);
}

bool wi_far_serve(struct wi_far_line *line)
{
    struct wi_far_place *place = wi_far_first(line);
    if (place == NULL)
        return false;
    wi_far_tell(place);
    *line->first = place->next;
    return true;
}

int wi_far_nap(struct wi_nap *nap, uint32_t *word, uint32_t value,
               const struct wi_wait *how)
{
    struct wi_wait wait = *how;
    int rc = wi_nap(nap, word, value, &wait);
    bool late = rc == -ETIMEDOUT && !wi_wait_is_over(how) &&
                !((how->flags & WI_DEADLINED) &&
                  wi_scope_test(wi_self()) == -ETIMEDOUT);
    return late ? 0 : rc; // an earlier timer's late word
}

bool wi_far_leave(struct wi_far_line *line, struct wi_far_place *place)
{
    wi_far_take(line);
    wi_far_remove(line, place);
    bool served = place->state == WI_FAR_SERVED;
    wi_far_give(line);
    weft_arena_free(line->arena, place);
    return served;
}

int wi_far_stand(struct wi_far_line *line, struct wi_far_place *place,
                 const struct wi_wait *how, bool (*done)(const void *object))
{
    struct wi_nap nap;
    int rc = 0;
    wi_nap_begin(&nap, line->arena);
    while (rc == 0 && wi_far_state(place) == WI_FAR_WAITING &&
           !(done != NULL && done(how->object)))
        rc = wi_far_nap(&nap, &place->state, WI_FAR_WAITING, how);
    wi_nap_end(&nap);
    return wi_far_leave(line, place) ? 0 : rc;
}
