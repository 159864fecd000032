// SPDX-License-Identifier: MIT
//
// `word` is 0, or the hint of whoever is at it, or DONE for ever. It changes
// under the lock of the line, in which the others wait to look again.
//
// One between processes is a lock that whoever is at it holds, with DONE among
// its flags.
#include <weft/once.h>

#include <errno.h>

#include <weft/error.h>

#include "base/options.h"
#include "os/report.h"
#include "sync/far.h"
#include "sync/owner.h"

enum { DONE = 1 };

static wi_hint runner(const void *once)
{
    // seq_cst: among the loads of a walk; pairs with wi_edge_set
    return wi_owner_of(__atomic_load_n(
        &((const struct weft_once *)once)->state.word, __ATOMIC_SEQ_CST));
}

bool weft_once_done(const struct weft_once *once)
{
    wi_need(once);
    // acquire: pairs with the release in finish; what fn did is seen
    return __atomic_load_n(&once->state.word, __ATOMIC_ACQUIRE) & DONE;
}

void weft_once_init_with(struct weft_once *once,
                         const struct weft_once_options *options)
{
    wi_need(once);
    WI_OPTIONS(options);
    *once = (struct weft_once){.state = {0}};
    once->state.word = wi_far_flag(options->arena, once, "weft_once_init");
}

// With the lock of a shared one held, which is given back.
static int run_far(struct weft_once *once, weft_function *fn, void *arg)
{
    int rc = 0;
    wi_far_lock_repaired(&once->lock); // whoever died at it left it undone
    if (!weft_once_done(once)) {
        rc = fn(arg);
        if (rc >= 0)
            // release: pairs with weft_once_done
            __atomic_fetch_or(&once->lock.half[0], DONE, __ATOMIC_RELEASE);
    }
    wi_far_lock_release(&once->lock);
    return rc;
}

static int call_far(struct weft_once *once, weft_function *fn, void *arg)
{
    int rc = wi_far_lock_acquire(&once->lock, WI_FOREVER);
    return rc == 0 || rc == -EOWNERDEAD ? run_far(once, fn, arg) : rc;
}

static void finish(struct weft_once *once, uint64_t word)
{
    struct wi_chosen chosen = {.last = &chosen.first};
    struct wi_place *first = wi_line_lock(&once->state.line);
    // release: pairs with weft_once_done
    __atomic_store_n(&once->state.word, word, __ATOMIC_RELEASE);
    while (first != NULL)
        wi_chosen_add(&chosen, &first, first);
    wi_line_unlock(&once->state.line, first);
    wi_chosen_end(&chosen, WI_PLACE_WOKEN);
}

// One that ends inside fn (pthread_exit) counts as one that holds a lock.
static int run(struct weft_once *once, struct wi_task *self, weft_function *fn,
               void *arg)
{
    self->held++;
    int rc = fn(arg);
    self->held--;
    finish(once, rc < 0 ? 0 : DONE);
    return rc;
}

// Waits for whoever is at it. 0: look again.
static int wait_in_line(struct weft_once *once, struct wi_task *self,
                        struct wi_place *place)
{
    const struct wi_wait wait = {
        .object = once, .deadline = WI_FOREVER, .kind = WI_WAIT_ONCE};
    int rc = wi_owner_wait(self, place, &wait, runner, true);
    if (rc < 0 && !wi_line_leave(&once->state.line, place))
        rc = 0;
    return rc == -EOWNERDEAD ? 0 : rc;
}

// True: the caller is to run it. Else *rc is not 0, or the caller looks again.
static bool claim(struct weft_once *once, struct wi_task *self, int *rc)
{
    struct wi_place place = wi_place_of(self);
    struct wi_edge_set holder = {.holder = runner, .object = once};
    struct wi_place *first = wi_line_lock(&once->state.line);
    uint64_t word = __atomic_load_n(&once->state.word, __ATOMIC_RELAXED);
    bool mine = word == 0 || wi_owner_gone(word);
    bool in_line = false;
    *rc = 0;
    if (mine) {
        // relaxed: under the lock
        __atomic_store_n(&once->state.word, wi_hint_of(self), __ATOMIC_RELAXED);
    } else if (word == wi_hint_of(self)) {
        *rc = -WEFT_EDEADLOCK;
    } else if (word != DONE) {
        wi_owner_edge(self, &holder);
        wi_line_add(&first, &place);
        in_line = true;
    }
    wi_line_unlock(&once->state.line, first);
    if (in_line) {
        *rc = wait_in_line(once, self, &place);
        wi_edge_clear(self);
    }
    return mine;
}

int weft_once_call(struct weft_once *once, weft_function *fn, void *arg)
{
    wi_need(once);
    wi_need(fn);
    int rc = 0;
    while (rc == 0 && !weft_once_done(once)) {
        if (wi_lock_is_far(&once->lock))
            return call_far(once, fn, arg);
        struct wi_task *self = wi_sync_self(once);
        if (claim(once, self, &rc))
            return run(once, self, fn, arg);
    }
    return rc;
}
