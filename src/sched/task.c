// SPDX-License-Identifier: MIT
//
// What a record has besides its memory, and its end: references, its name and
// what else few records need, recycling. The memory is in records.c.
#include "sched/task.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cold.h"
#include "base/fresh.h"
#include "base/text.h"
#include "os/blocked.h"
#include "os/report.h"
#include "sched/here.h"

// Used: an instruction of arch.h names it.
__thread struct wi_this_thread wi_here_storage
    __attribute__((used, tls_model("initial-exec"), visibility("hidden"))) = {
        .free_count = WI_RECORDS_MOST};

// Keeps the root that leads a reader to the chunks (inspect/root.c) in programs
// that are linked with the static library.
extern char wi_root[];
__attribute__((used)) static void *const keep_root = wi_root;

void (*wi_task_last_words)(struct wi_task *t);
const struct wi_held_ops *wi_held_ops;

uint64_t wi_task_cancels;

static struct wi_mutex extra_lock;
static struct wi_extra *extra_pool;

// In a fork's child: these were the parent's.
static void fresh(void)
{
    extra_lock = (struct wi_mutex){0};
    extra_pool = NULL;
}

__attribute__((constructor)) static void register_fresh(void)
{
    wi_fresh_add(fresh);
}

bool wi_task_need_extra(struct wi_task *t)
{
    if (t->extra != NULL)
        return true;
    wi_mutex_lock(&extra_lock);
    struct wi_extra *extra = extra_pool;
    if (extra != NULL)
        extra_pool = extra->next;
    wi_mutex_unlock(&extra_lock);
    if (extra == NULL)
        extra = malloc(sizeof *extra);
    if (extra == NULL)
        return false;
    memset(extra, 0, sizeof *extra);
    t->extra = extra;
    return true;
}

bool wi_task_set_name(struct wi_task *t, const char *name)
{
    if (name == NULL || (*name == '\0' && t->extra == NULL))
        return true;
    if (!wi_task_need_extra(t))
        return false;
    wi_text_copy(t->extra->name, sizeof t->extra->name, name);
    return true;
}

const char *wi_task_name(const struct wi_task *t)
{
    if (t->extra != NULL && t->extra->name[0] != '\0')
        return t->extra->name;
    // The main thread of a worker process has the job that it runs.
    bool is_job = t->kind == WI_KIND_JOB ||
                  (t->kind == WI_KIND_FOREIGN && t->job != NULL);
    return is_job ? t->job->name : "";
}

void wi_task_describe(const struct wi_task *t, char *text, size_t size)
{
    const char *name = wi_task_name(t), *quote = *name != '\0' ? "\"" : "";
    snprintf(text, size, "%s%s%s%s%s (id %llu)", wi_kind_name(t->kind),
             *name != '\0' ? " " : "", quote, name, quote,
             (unsigned long long)t->id);
}

_Noreturn void wi_task_panic(const struct wi_task *t, const void *object,
                             const char *rule)
{
    char who[256];
    wi_task_describe(t, who, sizeof who);
    size_t n = strlen(who);
    if (t->kind != WI_KIND_JOB && n + 16 < sizeof who) {
        n += (size_t)snprintf(who + n, sizeof who - n, ", function ");
        wi_os_code_place((uintptr_t)t->fn, who + n, sizeof who - n);
    }
    wi_panic(who, object, rule);
}

void wi_task_ref(struct wi_task *t)
{
    // relaxed: the caller has a reference already
    if (!wi_task_immortal(t))
        __atomic_fetch_add(&t->refs, 1, __ATOMIC_RELAXED);
}

static void free_extra(struct wi_task *t)
{
    struct wi_extra *extra = t->extra;
    t->extra = NULL;
    free(extra->text);
    extra->text = NULL;
    free(extra->left);
    extra->left = NULL;
    if (extra->let_go != NULL)
        extra->let_go(extra->kept);
    wi_mutex_lock(&extra_lock);
    extra->next = extra_pool;
    extra_pool = extra;
    wi_mutex_unlock(&extra_lock);
}

static void free_payload(struct wi_task *t)
{
    if (t->flags & WI_BYTES_RESULT)
        free(t->data.blob.data);
    else if (t->flags & WI_HEAP_RESULT)
        free(t->data.heap);
    if (t->flags & WI_HEAP_ARG)
        free(t->arg);
}

// The record goes back to the free list, as a new generation.
static inline void reuse(struct wi_task *t, uint32_t state)
{
    t->flags = 0;
    t->code = 0;
    t->result_size = 0;
    t->waiters = NULL;
    t->scope = NULL;
    t->group = NULL;
    t->home = NULL; // a thread has none, and the runtime may go now
    __atomic_store_n(&t->refs, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&t->owner, 0, __ATOMIC_RELEASE);
    __atomic_store_n(&t->permit, 0, __ATOMIC_RELAXED);
    // release: pairs with the acquire of a hint's reader, who then sees
    // another generation
    uint32_t gen = (state & ~(WI_GEN - 1u)) + WI_GEN;
    __atomic_store_n(&t->state, gen | WI_FREE, __ATOMIC_RELEASE);
    struct wi_this_thread *here = &wi_here;
    t->next = here->free;
    here->free = t;
    if (WI_RARELY(++here->free_count >= WI_RECORDS_MOST))
        wi_records_spill(here);
}

// What only some records have goes first.
WI_COLD static void strip_and_reuse(struct wi_task *t, uint32_t state)
{
    bool holds = t->held != 0; // a thread's own record, or a run's main task
    if (holds)
        wi_held_ops->report(t);
    t->held = 0;
    if ((state & WI_PUBLISHED) || (t->code < 0 && !(state & WI_OBSERVED)))
        wi_task_last_words(t);
    free_payload(t);
    if (t->extra != NULL)
        free_extra(t);
    reuse(t, state);
    if (holds)
        wi_held_ops->orphaned();
}

static inline void recycle(struct wi_task *t)
{
    uint32_t state = __atomic_load_n(&t->state, __ATOMIC_RELAXED);
    if (WI_RARELY((state & WI_PUBLISHED) != 0 || t->code < 0 ||
                  (t->flags & ~(WI_KEPT | WI_ROAMS | WI_PINNED)) != 0 ||
                  t->extra != NULL || t->held != 0))
        strip_and_reuse(t, state);
    else
        reuse(t, state);
}

// Gives one of several back, or one that somebody may add to.
static __attribute__((noinline)) void unref_shared(struct wi_task *t)
{
    uint32_t refs = __atomic_fetch_sub(&t->refs, 1, __ATOMIC_ACQ_REL);
    if (refs == 1)
        recycle(t);
    if (refs == 0)
        wi_panic("weft_future_unref", t, WI_TASK_GONE);
}

void wi_task_unref(struct wi_task *t)
{
    if (wi_task_immortal(t))
        return;
    // A sole owner needs no read-modify-write, unless the table of ids could
    // hand out one more reference just now. acquire/acq_rel: the last holder
    // sees what all the others did to the record.
    if (__atomic_load_n(&t->refs, __ATOMIC_ACQUIRE) == 1 &&
        !(__atomic_load_n(&t->state, __ATOMIC_RELAXED) & WI_PUBLISHED))
        recycle(t);
    else
        unref_shared(t);
}

static const char *const kind_names[] = {
    [0] = "free",
    [WI_KIND_TASK] = "task",
    [WI_KIND_JOB] = "job",
    [WI_KIND_THREAD] = "thread",
    [WI_KIND_FOREIGN] = "thread",
    [WI_KIND_PROCESS] = "process",
    [WI_KIND_PROCESS_JOB] = "process job",
    [WI_KIND_PROMISE] = "promise",
    [WI_KIND_FAILED] = "failed start",
};

const char *wi_kind_name(unsigned kind)
{
    return kind < sizeof kind_names / sizeof *kind_names ? kind_names[kind]
                                                         : "?";
}
