// SPDX-License-Identifier: MIT
//
// The participant table. A place goes through
//
//     FREE ----> JOINING   a process, by compare-and-swap: generation + 1, and
//                          its id; it is alone with the place then
//     JOINING -> LIVE      the same, when its keeper holds the life word
//     LIVE ----> FREE      the same, when it leaves; or whoever finds that its
//                          holder is dead and has told all keepers
//     JOINING -> FREE      whoever finds that there is no such process
//
// The threads of a process that is killed end one by one. Once its keeper has
// ended, what it held is free to take, and all keepers are told. But other
// threads of it may sleep still, and a wake that was meant for somebody else
// may go to them. So when the last one has ended the keepers are told again,
// and only then the place is free.
//
// Everything is in one word, so that two who bury the same process do not
// disturb a third that joins in its place. A tag (place and generation) is
// never given twice, as far as 2^20 generations go, so a word that a dead
// process has left its tag in says for ever that its owner is dead.
#include "shared/member.h"

#include <errno.h>
#include <string.h>

#include "os/event.h"
#include "os/process.h"

enum wi_place_state { FREE, JOINING, LIVE, STATE = 3 };

static enum wi_place_state state_of(uint64_t word)
{
    return word & STATE;
}

static pid_t pid_of(uint64_t word)
{
    return (pid_t)(word >> 32);
}

static uint32_t tag_of(uint64_t word, unsigned place)
{
    return ((uint32_t)word >> 2 & (WI_TAG_FLAG / WI_TAG_STEP - 1)) *
               WI_TAG_STEP +
           place;
}

static uint64_t next_generation(uint64_t word)
{
    return (word + 4) & (WI_TAG_FLAG / WI_TAG_STEP * 4 - 4);
}

static struct wi_participant *place_of(const weft_arena *a, uint32_t tag)
{
    return &wi_segment_of(a)->participants[tag & WI_TAG_PLACE];
}

static uint64_t load_state(const struct wi_participant *p)
{
    // acquire: pairs with the release in move; the life word is there
    return __atomic_load_n(&p->state, __ATOMIC_ACQUIRE);
}

static bool move(struct wi_participant *p, uint64_t from, uint64_t to)
{
    // acq_rel: release pairs with load_state; acquire with the one who left it
    return __atomic_compare_exchange_n(&p->state, &from, to, false,
                                       __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

static uint32_t *life_word(struct wi_participant *p)
{
    int32_t at = p->life_at;
    return at >= 0 && at <= WI_LIFE_SIZE - 4 && at % 4 == 0
               ? (uint32_t *)(p->life + at)
               : NULL;
}

// Whether the process of a LIVE place is gone.
static bool is_gone(struct wi_participant *p)
{
    uint32_t *word = life_word(p);
    // acquire: pairs with the kernel's mark
    return word != NULL &&
           wi_os_life_gone(__atomic_load_n(word, __ATOMIC_ACQUIRE));
}

static unsigned places(const weft_arena *a)
{
    // acquire: pairs with the one that raised it
    uint32_t n = __atomic_load_n(&wi_segment_of(a)->places, __ATOMIC_ACQUIRE);
    return n <= WI_PARTICIPANTS ? n : WI_PARTICIPANTS;
}

static void raise_places(struct wi_segment *segment, uint32_t n)
{
    uint32_t old = __atomic_load_n(&segment->places, __ATOMIC_RELAXED);
    // release: pairs with the acquire in places
    while (old < n &&
           !__atomic_compare_exchange_n(&segment->places, &old, n, true,
                                        __ATOMIC_RELEASE, __ATOMIC_RELAXED))
        ;
}

// To all keepers: look at the table again.
static void tell_keepers(struct wi_segment *segment)
{
    // release: what has changed is seen by those who see the number
    __atomic_fetch_add(&segment->joined, 1, __ATOMIC_RELEASE);
    wi_os_futex_wake(&segment->joined, INT32_MAX, true);
}

// Joining and leaving ---------------------------------------------------------

static int join_at(weft_arena *a, unsigned place, uint64_t was)
{
    struct wi_participant *p = &wi_segment_of(a)->participants[place];
    uint64_t pid = (uint64_t)wi_os_pid() << 32;
    uint64_t generation = next_generation(was);
    raise_places(wi_segment_of(a), place + 1);
    if (!move(p, was, pid | generation | JOINING))
        return -EAGAIN;
    p->start = wi_os_start_time(wi_os_pid());
    memset(p->life, 0, sizeof p->life);
    int at = wi_os_life_hold(p->life);
    if (at < 0) {
        move(p, pid | generation | JOINING, generation | FREE);
        return at;
    }
    p->life_at = at;
    // A process of another pid namespace finds no such process, and may have
    // taken the place for that of a stillborn one.
    if (!move(p, pid | generation | JOINING, pid | generation | LIVE)) {
        wi_os_life_release(p->life);
        return -EAGAIN;
    }
    a->tag = tag_of(generation, place);
    a->salt = wi_salt_of(a->tag);
    tell_keepers(wi_segment_of(a));
    return 0;
}

int wi_member_join(weft_arena *a)
{
    struct wi_segment *segment = wi_segment_of(a);
    // Place 0 stays empty, so that no tag is 0.
    for (unsigned i = 1; i < WI_PARTICIPANTS; i++) {
        uint64_t word = load_state(&segment->participants[i]);
        int rc = state_of(word) == FREE ? join_at(a, i, word) : -EAGAIN;
        if (rc != -EAGAIN)
            return rc;
    }
    return -EUSERS;
}

void wi_member_leave(weft_arena *a)
{
    struct wi_participant *p = place_of(a, a->tag);
    uint64_t word = load_state(p);
    wi_os_life_release(p->life);
    // Somebody may have found the word released, and freed the place.
    move(p, word, word & (uint32_t)~STATE);
}

// The dead --------------------------------------------------------------------

bool wi_member_lives(const weft_arena *a, uint32_t tag)
{
    tag &= ~WI_TAG_FLAG;
    if (tag == a->tag && tag != 0)
        return true;
    struct wi_participant *p = place_of(a, tag);
    uint64_t word = load_state(p);
    return state_of(word) == LIVE && tag_of(word, tag & WI_TAG_PLACE) == tag &&
           !is_gone(p);
}

pid_t wi_member_pid(const weft_arena *a, uint32_t tag)
{
    uint64_t word = load_state(place_of(a, tag));
    return wi_member_lives(a, tag) ? pid_of(word) : 0;
}

// A process that died while it joined has no life word yet. One that has got
// its number meanwhile keeps the place taken until it ends as well.
static bool is_stillborn(uint64_t word)
{
    if (state_of(word) != JOINING || pid_of(word) == wi_os_pid())
        return false;
    int fd = wi_os_pidfd(pid_of(word));
    if (fd >= 0)
        wi_os_close(fd);
    return fd == -ESRCH;
}

// Tells every keeper: those that sleep on the life word, of which the kernel
// has woken one, and those that sleep on `joined`. Before the place is free:
// if this process dies on the way, one of them goes on.
static void tell_death(struct wi_segment *segment, struct wi_participant *p)
{
    // release: pairs with the acquire of who looks through the heap
    __atomic_store_n(&segment->unclean, 1, __ATOMIC_RELEASE);
    wi_os_futex_wake(life_word(p), INT32_MAX, true);
    tell_keepers(segment);
}

// Whether threads of a process that is gone may be there still.
static bool is_dying(const struct wi_participant *p, uint64_t word)
{
    int fd = wi_os_pidfd(pid_of(word));
    if (fd < 0)
        return false;
    bool ended =
        wi_os_start_time(pid_of(word)) != p->start || wi_os_pidfd_ended(fd);
    wi_os_close(fd);
    return !ended;
}

// Tells of a death: as soon as it is seen, and when it is complete. Whether it
// is.
static bool is_buried(weft_arena *a, struct wi_participant *p, uint64_t word,
                      unsigned place)
{
    uint32_t tag = tag_of(word, place);
    bool dying = is_dying(p, word);
    // relaxed, both: at worst it is told once more
    if (!dying || __atomic_load_n(&p->told, __ATOMIC_RELAXED) != tag)
        tell_death(wi_segment_of(a), p);
    __atomic_store_n(&p->told, tag, __ATOMIC_RELAXED);
    return !dying;
}

static bool sweep_place(weft_arena *a, unsigned place, bool *dying)
{
    struct wi_participant *p = &wi_segment_of(a)->participants[place];
    uint64_t word = load_state(p);
    bool dead =
        state_of(word) == LIVE && tag_of(word, place) != a->tag && is_gone(p);
    if (dead && !is_buried(a, p, word, place)) {
        *dying = true;
        return false;
    }
    if (!dead && !is_stillborn(word))
        return false;
    return move(p, word, (uint32_t)word & (uint32_t)~STATE);
}

int wi_member_sweep(weft_arena *a, bool *dying)
{
    bool any = false;
    int n = 0;
    for (unsigned i = 1; i < places(a); i++)
        n += sweep_place(a, i, &any);
    if (dying != NULL)
        *dying = any;
    return n;
}

unsigned wi_member_count(const weft_arena *a)
{
    unsigned n = 0;
    for (unsigned i = 1; i < places(a); i++) {
        struct wi_participant *p = &wi_segment_of(a)->participants[i];
        n += state_of(load_state(p)) == LIVE && !is_gone(p);
    }
    return n;
}

unsigned wi_member_others(const weft_arena *a, struct wi_futex_wait *words,
                          unsigned n)
{
    unsigned found = 0;
    for (unsigned i = 1; i < places(a) && found < n; i++) {
        struct wi_participant *p = &wi_segment_of(a)->participants[i];
        uint64_t word = load_state(p);
        if (state_of(word) != LIVE || tag_of(word, i) == a->tag)
            continue;
        uint32_t *life = life_word(p);
        if (life == NULL)
            continue;
        // acquire: as in is_gone
        uint32_t value = __atomic_load_n(life, __ATOMIC_ACQUIRE);
        words[found++] = (struct wi_futex_wait){life, value, true};
    }
    return found;
}
