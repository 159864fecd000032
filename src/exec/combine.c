// SPDX-License-Identifier: MIT
//
// all, any, race: a future of its own and a node on each future that goes in.
// The nodes fire inline in the completers; the one whose firing decides the
// outcome completes the future and takes the other nodes off, so that a future
// that lives long does not collect nodes of combinations that are over.
//
// The object has a reference for each node that may still fire, and one for
// the building. Taking nodes off has to wait for the building: whichever of
// "built" and "decided" comes second does it.
#include <weft/combine.h>

#include <errno.h>
#include <stdlib.h>

#include "base/options.h"
#include "future/external.h"
#include "future/future.h"
#include "os/report.h"

enum how { ALL, ANY, RACE };

enum { BUILT = 1, DECIDED = 2 };

struct combination;

struct input {
    struct wi_node node; // first: fire gets it
    struct combination *of;
    weft_future *future;
    bool watched;
};

struct combination {
    weft_future *f;
    enum how how;
    bool cancel_rest;
    uint32_t won;   // atomic: somebody decides. After that f may be gone
    uint32_t phase; // atomic: BUILT, DECIDED
    size_t refs;    // atomic
    size_t left;    // atomic: inputs that are not done, or decide
    size_t n;
    struct input input[];
};

static void hold(void *owner)
{
    struct combination *c = owner;
    // relaxed: the caller knows of another reference
    __atomic_fetch_add(&c->refs, 1, __ATOMIC_RELAXED);
}

static void give_back(void *owner)
{
    struct combination *c = owner;
    // acq_rel: the last one sees what the others did
    if (__atomic_sub_fetch(&c->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    for (size_t i = 0; i < c->n; i++)
        weft_future_unref(c->input[i].future);
    free(c);
}

static void cancel_inputs(struct combination *c)
{
    for (size_t i = 0; i < c->n; i++)
        wi_future_cancel(wi_of_future(c->input[i].future));
}

static void canceled(weft_future *f, void *owner)
{
    (void)f;
    cancel_inputs(owner);
}

static const struct wi_external_ops combination_ops = {
    .cancel = canceled, .hold = hold, .let_go = give_back};

static void take_off(struct combination *c)
{
    for (size_t i = 0; i < c->n; i++) {
        struct input *input = &c->input[i];
        if (input->watched &&
            wi_future_unwatch(wi_of_future(input->future), &input->node))
            // release: as in give_back; never the last, which is the caller's
            __atomic_fetch_sub(&c->refs, 1, __ATOMIC_RELEASE);
    }
}

// Enters a phase; the caller holds a reference.
static void enter(struct combination *c, uint32_t phase)
{
    // acq_rel: who takes off sees which nodes are on
    uint32_t was = __atomic_fetch_or(&c->phase, phase, __ATOMIC_ACQ_REL);
    if (was != 0 && was != phase)
        take_off(c);
}

static bool is_decided(struct combination *c)
{
    // relaxed: a hint
    return __atomic_load_n(&c->won, __ATOMIC_RELAXED);
}

static void decide(struct combination *c, int code, const char *text)
{
    // relaxed: only who is the first matters
    if (__atomic_exchange_n(&c->won, 1, __ATOMIC_RELAXED))
        return;
    wi_external_complete(c->f, code, NULL, 0, false, text);
    enter(c, DECIDED);
    if (c->cancel_rest)
        cancel_inputs(c);
}

// Whether an input with this code decides, whatever the others do.
static bool decides(enum how how, int code)
{
    return how == RACE || (how == ALL) == (code < 0);
}

// One input is done. Only those that do not decide are counted: so the count
// ends only where none decides, however long one that does takes to say so.
static void note(struct combination *c, size_t i)
{
    weft_future *f = c->input[i].future;
    int code = weft_future_code(f);
    // acq_rel: the last one ends it, and all the others are done then
    if (!decides(c->how, code) &&
        __atomic_sub_fetch(&c->left, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    if (code < 0)
        decide(c, code, weft_future_text(f));
    else
        decide(c, c->how == ALL ? 0 : (int)i, NULL);
}

static void fire(struct wi_node *node, struct wi_task *future)
{
    struct input *input = (struct input *)node;
    struct combination *c = input->of;
    (void)future;
    note(c, (size_t)(input - c->input));
    give_back(c);
}

// Puts a node on each input; those that are done already count at once.
static void watch_all(struct combination *c)
{
    for (size_t i = 0; i < c->n && !is_decided(c); i++) {
        struct input *input = &c->input[i];
        input->node.fire = fire;
        hold(c);
        input->watched =
            wi_future_watch(wi_of_future(input->future), &input->node);
        if (!input->watched) {
            note(c, i);
            give_back(c);
        }
    }
}

static weft_future *combine(enum how how, weft_future *const *set, size_t n,
                            const struct weft_combine_options *options,
                            const char *function)
{
    bool made;
    wi_require_in(function, set != NULL || n == 0, NULL,
                  "set must not be NULL");
    if (n == 0 && how != ALL)
        return wi_future_failed(-EINVAL,
                                "a choice among no futures: n must not be 0");
    if (n > INT32_MAX)
        return wi_future_failed(-EOVERFLOW, NULL);
    struct combination *c = calloc(1, sizeof *c + n * sizeof c->input[0]);
    if (c == NULL)
        return wi_future_failed(-ENOMEM, NULL);
    c->how = how;
    c->cancel_rest = options->cancel_rest;
    c->refs = 1;
    c->left = c->n = n;
    for (size_t i = 0; i < n; i++) {
        wi_require_in(function, set[i] != NULL, set,
                      "a future of the set must not be NULL");
        c->input[i].of = c;
        c->input[i].future = weft_future_ref(set[i]);
    }
    weft_future *f = wi_external_new(WI_KIND_PROMISE, &combination_ops, c,
                                     options->name, NULL, &made);
    c->f = f;
    if (made && n == 0)
        decide(c, 0, NULL);
    else if (made)
        watch_all(c);
    if (made)
        enter(c, BUILT);
    give_back(c);
    return f;
}

weft_future *weft_all_with(weft_future *const *set, size_t n,
                           const struct weft_combine_options *options)
{
    WI_OPTIONS(options);
    return combine(ALL, set, n, options, __func__);
}

weft_future *weft_any_with(weft_future *const *set, size_t n,
                           const struct weft_combine_options *options)
{
    WI_OPTIONS(options);
    return combine(ANY, set, n, options, __func__);
}

weft_future *weft_race_with(weft_future *const *set, size_t n,
                            const struct weft_combine_options *options)
{
    WI_OPTIONS(options);
    return combine(RACE, set, n, options, __func__);
}
