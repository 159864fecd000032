// SPDX-License-Identifier: MIT
//
// Ids and last words. A future can be opened by its id only after somebody
// has asked for the id, so only those stand in the table here; the table holds
// no reference, and a record leaves it with its last one.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weft/error.h>
#include <weft/future.h>

#include "base/fresh.h"
#include "future/external.h"
#include "future/future.h"
#include "future/id.h"
#include "os/report.h"

enum { BUCKETS = 1024 };

struct published {
    struct published *next;
    struct wi_task *task;
};

static struct wi_mutex lock;
static struct published *buckets[BUCKETS];

static void (*unobserved)(int code, const char *text);

weft_future *(*wi_future_open_remote)(uint64_t id);

static struct published **bucket_of(uint64_t id)
{
    return &buckets[id % BUCKETS];
}

static void publish(struct wi_task *t)
{
    struct published *entry = malloc(sizeof *entry);
    if (entry == NULL)
        return; // the id will be unknown: -ESRCH
    wi_mutex_lock(&lock);
    // relaxed: the lock orders it
    if (__atomic_fetch_or(&t->state, WI_PUBLISHED, __ATOMIC_RELAXED) &
        WI_PUBLISHED) {
        wi_mutex_unlock(&lock);
        free(entry);
        return;
    }
    struct published **bucket = bucket_of(t->id);
    *entry = (struct published){*bucket, t};
    *bucket = entry;
    wi_mutex_unlock(&lock);
}

static void unpublish(struct wi_task *t)
{
    wi_mutex_lock(&lock);
    struct published **link = bucket_of(t->id);
    while ((*link)->task != t)
        link = &(*link)->next;
    struct published *entry = *link;
    *link = entry->next;
    wi_mutex_unlock(&lock);
    free(entry);
}

uint64_t weft_future_id(weft_future *f)
{
    struct wi_task *t = wi_future_given(__func__, f);
    if (t == wi_future_nomem()) // not its flags: they change at completion
        return 0;
    if (!(__atomic_load_n(&t->state, __ATOMIC_RELAXED) & WI_PUBLISHED))
        publish(t);
    return t->id;
}

// One more reference, unless the last one is just going.
static bool try_ref(struct wi_task *t)
{
    uint32_t refs = __atomic_load_n(&t->refs, __ATOMIC_RELAXED);
    while (refs != 0) {
        if (__atomic_compare_exchange_n(&t->refs, &refs, refs + 1, true,
                                        __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
            return true;
    }
    return false;
}

weft_future *wi_future_find(uint64_t id)
{
    struct wi_task *found = NULL;
    wi_mutex_lock(&lock);
    for (struct published *p = *bucket_of(id); p != NULL; p = p->next) {
        if (p->task->id == id && try_ref(p->task))
            found = p->task;
    }
    wi_mutex_unlock(&lock);
    return found != NULL ? wi_as_future(found) : NULL;
}

weft_future *weft_future_open(uint64_t id)
{
    weft_future *f = wi_future_find(id);
    if (f == NULL && wi_future_open_remote != NULL)
        f = wi_future_open_remote(id);
    if (f == NULL)
        f = wi_future_failed(-ESRCH, "no future has this id here");
    return f;
}

// Last words ------------------------------------------------------------------

void wi_future_unobserved(int code, const char *what, const char *text)
{
    void (*hook)(int, const char *) =
        __atomic_load_n(&unobserved, __ATOMIC_ACQUIRE);
    if (hook != NULL)
        hook(code, text);
    else
        wi_report("a failure nobody asked for: %s: %s (%s)%s%s", what,
                  weft_strerror(code), weft_error_name(code), *text ? ": " : "",
                  text);
}

static void report(struct wi_task *t)
{
    const char *name = wi_task_name(t);
    char what[128];
    snprintf(what, sizeof what, "%s %llu%s%s", wi_kind_name(t->kind),
             (unsigned long long)t->id, *name ? " " : "", name);
    wi_future_unobserved(
        t->code, what,
        t->extra != NULL && t->extra->text != NULL ? t->extra->text : "");
}

void wi_future_last_words(struct wi_task *t)
{
    uint32_t state = __atomic_load_n(&t->state, __ATOMIC_RELAXED);
    if (state & WI_PUBLISHED)
        unpublish(t);
    if ((state & WI_PUBLISHED) && t->extra != NULL && t->extra->ops != NULL &&
        t->extra->ops->gone != NULL)
        t->extra->ops->gone(t->extra->external);
    // What was canceled, and what never began because of it, has not failed;
    // nor has a start that its caller's own scope has ended.
    if ((state & WI_PHASE) == WI_DONE && t->code < 0 &&
        !(state & WI_OBSERVED) && t->code != -WEFT_EJOBCANCELED &&
        !wi_future_gave_up(t->code))
        report(t);
}

// In a fork's child: the futures that stand here are the parent's.
static void fresh(void)
{
    lock = (struct wi_mutex){0};
    memset(buckets, 0, sizeof buckets);
}

__attribute__((constructor)) static void register_fresh(void)
{
    wi_fresh_add(fresh);
}

void weft_on_unobserved(void (*fn)(int code, const char *text))
{
    __atomic_store_n(&unobserved, fn, __ATOMIC_RELEASE);
}
