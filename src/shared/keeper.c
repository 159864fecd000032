// SPDX-License-Identifier: MIT
//
// The keeper sleeps on many words at once (futex_waitv): its own, `control`;
// of each watched arena `joined` and the life words of the others; of each
// task that naps, its word. Before Linux 5.16, for more words than fit, and
// while somebody is dying, it looks at them every few milliseconds.
//
// An arena is watched from the first nap on until it is closed: a process that
// never waits is never woken by the deaths of others.
#include "shared/keeper.h"

#include <errno.h>
#include <stddef.h>

#include "base/fresh.h"
#include "base/racy.h"
#include "os/launch.h"
#include "os/thread.h"
#include "sched/task.h"
#include "shared/member.h"

enum { MOST_WORDS = WI_LIFE_MAX + 1, SLICE_NS = 5000000 };

// Something to do on the keeper's own thread, whose end the life words mark.
struct errand {
    struct errand *next;
    weft_arena *arena;
    bool leave;
    int rc;
    uint32_t done; // futex
};

static struct wi_mutex lock;
static bool running; // under lock, as all up to control
static struct errand *errands;
static weft_arena *kept;
static struct wi_nap *naps;
static uint32_t control; // futex: there is something new

static void poke(void)
{
    // release: what is new is seen; pairs with the acquire in run
    __atomic_fetch_add(&control, 1, __ATOMIC_RELEASE);
    wi_os_futex_wake(&control, 1, false);
}

// The thread ------------------------------------------------------------------

static void add_to_kept(weft_arena *a)
{
    a->watched = false;
    a->next_kept = kept;
    kept = a;
}

static void take_from_kept(weft_arena *a)
{
    weft_arena **link = &kept;
    while (*link != a)
        link = &(*link)->next_kept;
    *link = a->next_kept;
}

static void do_errand(struct errand *e)
{
    if (e->leave)
        wi_member_leave(e->arena);
    else
        e->rc = wi_member_join(e->arena);
    // release: pairs with the acquire in have_done; e is gone after
    uint32_t *done = &e->done;
    __atomic_store_n(done, 1, __ATOMIC_RELEASE);
    wi_os_futex_wake(done, 1, false);
}

// Under the lock, so that nothing is unmapped meanwhile.
static void do_errands(void)
{
    while (errands != NULL) {
        struct errand *e = errands;
        errands = e->next;
        if (e->leave)
            take_from_kept(e->arena);
        do_errand(e);
    }
}

static void wake_naps(const weft_arena *a)
{
    for (struct wi_nap *nap = naps; nap != NULL; nap = nap->next)
        if (nap->arena == a && nap->who != NULL)
            wi_unpark(nap->who);
}

struct words {
    struct wi_futex_wait all[MOST_WORDS];
    unsigned n;
    unsigned naps;   // from this one on they are those of naps
    bool look_again; // soon: there are more than fit, or somebody is dying
};

static void add_word(struct words *w, uint32_t *word, uint32_t value)
{
    w->look_again |= w->n == MOST_WORDS;
    if (w->n < MOST_WORDS)
        w->all[w->n++] = (struct wi_futex_wait){word, value, true};
}

// Looks at one arena; wakes its naps if somebody has died or joined.
static void look_at_arena(weft_arena *a, struct words *w)
{
    struct wi_segment *segment = wi_segment_of(a);
    // acquire: before the table is read; pairs with tell_keepers
    uint32_t joined = __atomic_load_n(&segment->joined, __ATOMIC_ACQUIRE);
    if (joined != a->joined_seen)
        wake_naps(a);
    a->joined_seen = joined;
    add_word(w, &segment->joined, joined);
    unsigned room = MOST_WORDS - w->n;
    unsigned n = wi_member_others(a, &w->all[w->n], room);
    w->n += n;
    w->look_again |= n == room;
    // Last: one that dies before its word is read is found here, and the number
    // in `joined` changes, so that the sleep ends at once; one that dies later
    // changes its word.
    bool dying;
    wi_member_sweep(a, &dying);
    w->look_again |= dying;
}

static void look_at_naps(struct words *w)
{
    for (struct wi_nap *nap = naps; nap != NULL; nap = nap->next) {
        if (nap->word == NULL)
            continue;
        // acquire: pairs with the change of the other process
        if (__atomic_load_n(nap->word, __ATOMIC_ACQUIRE) == nap->value) {
            add_word(w, nap->word, nap->value);
            continue;
        }
        nap->word = NULL; // it is told once
        wi_unpark(nap->who);
    }
}

static bool somebody_naps_on(const uint32_t *word)
{
    struct wi_nap *nap = naps;
    while (nap != NULL && nap->word != word)
        nap = nap->next;
    return nap != NULL;
}

// A word that may be something else by now.
WI_RACY static uint32_t glance(const uint32_t *word)
{
    return WI_GLANCE(*word);
}

// A wake may have come for a task that has left just before: somebody else
// gets it. What was slept on is still mapped, for an arena goes by an errand.
static void pass_on(const struct words *w)
{
    for (unsigned i = w->naps; i < w->n; i++) {
        uint32_t *word = w->all[i].word;
        if (glance(word) != w->all[i].value && !somebody_naps_on(word))
            wi_os_futex_wake(word, 1, true);
    }
}

static void look(struct words *w)
{
    wi_mutex_lock(&lock);
    pass_on(w);
    w->n = 1;
    w->look_again = false;
    do_errands();
    for (weft_arena *a = kept; a != NULL; a = a->next_kept)
        if (a->watched)
            look_at_arena(a, w);
    w->naps = w->n;
    look_at_naps(w);
    wi_mutex_unlock(&lock);
}

static void sleep_on(struct words *w)
{
    static bool no_waitv; // the keeper's alone
    int64_t deadline = WI_FOREVER;
    if (w->look_again || (no_waitv && w->n > 1))
        deadline = wi_os_now() + SLICE_NS;
    if (!no_waitv)
        no_waitv = wi_os_futex_wait_many(w->all, w->n, deadline) == -ENOSYS;
    else
        wi_os_futex_wait(w->all[0].word, w->all[0].value, deadline, false);
}

static void run(void *arg)
{
    (void)arg;
    wi_os_block_signals(false);
    struct words w = {.n = 0};
    for (;;) {
        // acquire: before the lists are read; pairs with poke
        uint32_t now = __atomic_load_n(&control, __ATOMIC_ACQUIRE);
        look(&w);
        w.all[0] = (struct wi_futex_wait){&control, now, false};
        sleep_on(&w);
    }
}

static int start(void)
{
    const struct wi_os_thread_options options = {
        .name = "weft-keeper", .service = true, .stack_size = 64 << 10};
    struct wi_os_thread thread;
    int rc = wi_os_thread_start(&thread, run, NULL, &options);
    if (rc < 0)
        return rc;
    wi_os_thread_detach(&thread);
    wi_fresh_in_use();
    running = true;
    return 0;
}

// What the others do ----------------------------------------------------------

static int have_done(struct errand *e)
{
    wi_mutex_lock(&lock);
    int rc = running ? 0 : start();
    if (rc == 0) {
        e->next = errands;
        errands = e;
    }
    wi_mutex_unlock(&lock);
    if (rc < 0)
        return rc;
    poke();
    // acquire: pairs with the release in do_errand
    while (__atomic_load_n(&e->done, __ATOMIC_ACQUIRE) == 0)
        wi_os_futex_wait(&e->done, 0, WI_FOREVER, false);
    return e->rc;
}

int wi_keeper_add(weft_arena *a)
{
    struct errand e = {.arena = a};
    int rc = have_done(&e);
    if (rc < 0)
        return rc;
    wi_mutex_lock(&lock);
    add_to_kept(a);
    wi_mutex_unlock(&lock);
    return 0;
}

void wi_keeper_remove(weft_arena *a)
{
    struct errand e = {.arena = a, .leave = true};
    have_done(&e);
}

void wi_nap_begin(struct wi_nap *nap, weft_arena *a)
{
    *nap = (struct wi_nap){.arena = a, .who = wi_self()};
    wi_mutex_lock(&lock);
    nap->next = naps;
    nap->link = &naps;
    if (naps != NULL)
        naps->link = &nap->next;
    naps = nap;
    bool first = !a->watched;
    a->watched = true;
    wi_mutex_unlock(&lock);
    if (first)
        poke();
}

void wi_nap_end(struct wi_nap *nap)
{
    wi_mutex_lock(&lock);
    *nap->link = nap->next;
    if (nap->next != NULL)
        nap->next->link = nap->link;
    wi_mutex_unlock(&lock);
}

void wi_nap_arm(struct wi_nap *nap, uint32_t *word, uint32_t value)
{
    wi_mutex_lock(&lock);
    nap->word = word;
    nap->value = value;
    wi_mutex_unlock(&lock);
    poke();
}

// A task's word goes to the keeper, which wakes it; once it is awake the word
// is taken back, for it may lie in memory that is freed.
static int nap_in_task(struct wi_nap *nap, uint32_t *word, uint32_t value,
                       struct wi_wait *wait)
{
    wi_nap_arm(nap, word, value);
    int rc = wi_park(wait);
    wi_mutex_lock(&lock);
    nap->word = NULL;
    wi_mutex_unlock(&lock);
    return rc;
}

int wi_nap(struct wi_nap *nap, uint32_t *word, uint32_t value,
           struct wi_wait *wait)
{
    if (wi_here.worker != NULL)
        return nap_in_task(nap, word, value, wait);
    wait->shared = word;
    wait->shared_value = value;
    return wi_park(wait);
}

static void fresh(void)
{
    lock = (struct wi_mutex){0};
    running = false;
    errands = NULL;
    kept = NULL;
    naps = NULL;
}

__attribute__((constructor)) static void register_fresh(void)
{
    wi_fresh_add(fresh);
}
