// SPDX-License-Identifier: MIT
//
// The records are read while others write them, without a lock: they never go
// away, so that what is read may be out of date but is there. The id tells
// whether it all belongs together: it is written first in each life of a
// record. Only then is a job's name read, which lies in the program or in a
// library that stays while it has jobs under way. Who asks looks afterwards
// whether the worker still stands where it stood, before it believes the rest.
//
// A stack can be walked by its own thread only, in a signal handler; that one
// reads the record without doubt, and says when it is too late.
#include "sched/culprit.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/racy.h"
#include "os/blocked.h"
#include "os/report.h"
#include "sched/worker.h"

enum {
    MAX_SITES = 512,
    PATIENCE_NS = 500000000, // with a thread that does not take its signal
};

const struct weft_job *wi_chunk_job;

static uintptr_t sites[MAX_SITES]; // of the reports so far
static unsigned site_count;

// As wi_text_copy, which is instrumented.
WI_RACY static void copy(char *to, size_t size, const char *from)
{
    size_t i = 0;
    for (; i + 1 < size && WI_GLANCE(from[i]) != '\0'; i++)
        to[i] = WI_GLANCE(from[i]);
    to[i] = '\0';
}

// What a record says of its body.
struct body {
    uint64_t id;
    uint8_t kind;
    uintptr_t function;           // or the job
    const struct weft_job *inner; // of a chunk
    struct wi_extra *extra;
};

WI_RACY static bool is_in(struct wi_worker *worker, struct wi_task *t)
{
    // acquire: pairs with the release by which the worker began to run t
    return t != NULL && WI_GLANCE(worker->watch.here->self) == t &&
           (__atomic_load_n(&t->owner, __ATOMIC_ACQUIRE) &
            ~(WI_ROAMING | WI_WOKEN_AGAIN)) == (uintptr_t)worker;
}

WI_RACY static bool read_body(struct wi_worker *worker, struct body *body)
{
    struct wi_task *t = WI_GLANCE(worker->watch.here->self);
    if (!is_in(worker, t))
        return false;
    body->id = WI_GLANCE(t->id);
    body->kind = WI_GLANCE(t->kind);
    body->function = (uintptr_t)WI_GLANCE(t->fn);
    body->inner = WI_GLANCE(t->data.heap);
    body->extra = WI_GLANCE(t->extra);
    return WI_GLANCE(t->id) == body->id && is_in(worker, t);
}

static void name_job(struct wi_culprit *culprit, const struct body *body)
{
    const struct weft_job *job = (const struct weft_job *)body->function;
    if (job == wi_chunk_job)
        job = body->inner;
    culprit->job = true;
    culprit->site = (uintptr_t)job;
    copy(culprit->name, sizeof culprit->name, job->name);
}

static void name_task(struct wi_culprit *culprit, const struct body *body)
{
    culprit->job = false;
    culprit->site = body->function;
    culprit->name[0] = '\0';
    if (body->extra != NULL)
        copy(culprit->name, sizeof culprit->name, body->extra->name);
}

static void name_worker(struct wi_culprit *culprit, struct wi_worker *worker)
{
    if (worker->base != NULL)
        snprintf(culprit->worker, sizeof culprit->worker, "%s",
                 wi_task_name(worker->base));
    else
        snprintf(culprit->worker, sizeof culprit->worker, "worker %u",
                 worker->index);
}

bool wi_culprit_find(struct wi_worker *worker, struct wi_culprit *culprit)
{
    struct body body;
    if (worker->watch.nested != NULL || !read_body(worker, &body))
        return false;
    if (body.kind == WI_KIND_JOB)
        name_job(culprit, &body);
    else if (body.kind == WI_KIND_TASK)
        name_task(culprit, &body);
    else
        return false;
    culprit->id = body.id;
    name_worker(culprit, worker);
    return true;
}

// By the worker's own thread --------------------------------------------------

struct catch
{
    struct wi_os_trace trace; // first: what the handler is given
    struct wi_worker *worker;
    struct wi_culprit *culprit;
    bool caught;
};

static void look(struct wi_os_trace *trace)
{
    struct catch *catch = (struct catch *)trace;
    struct wi_worker *worker = catch->worker;
    struct wi_task *t = wi_here.self;
    if (wi_here.worker != worker || t == NULL || t->kind != WI_KIND_TASK ||
        wi_worker_progress(worker) != worker->watch.turns)
        return;
    const struct body body = {.id = t->id,
                              .kind = t->kind,
                              .function = (uintptr_t)t->fn,
                              .extra = t->extra};
    catch->culprit->id = t->id;
    name_task(catch->culprit, &body);
    catch->caught = true;
}

// The kind of what the worker runs, as far as it can be known from here.
static bool is_in_task(struct wi_worker *worker)
{
    struct body body;
    return worker->watch.nested == NULL && read_body(worker, &body) &&
           body.kind == WI_KIND_TASK;
}

bool wi_culprit_catch(struct wi_worker *worker, struct wi_culprit *culprit,
                      struct wi_os_trace *trace)
{
    struct catch catch = {
        .trace = {.look = look}, .worker = worker, .culprit = culprit};
    trace->count = 0;
    if (!is_in_task(worker))
        return false;
    int rc = wi_os_trace_take(worker->watch.thread, &catch.trace, PATIENCE_NS);
    if (rc < 0)
        return wi_culprit_find(worker, culprit);
    name_worker(culprit, worker);
    *trace = catch.trace;
    return catch.caught;
}

// Reporting -------------------------------------------------------------------

// Whether the site is new, and is now known.
static bool is_new(uintptr_t site)
{
    for (unsigned i = 0; i < site_count; i++) {
        if (sites[i] == site)
            return false;
    }
    if (site_count == MAX_SITES)
        return false;
    sites[site_count++] = site;
    return true;
}

void wi_culprit_forget(void)
{
    site_count = 0;
}

static void describe(const struct wi_culprit *culprit, char *text, size_t size)
{
    char place[96] = "";
    if (culprit->job) {
        snprintf(text, size, "job \"%s\" (id %llu)", culprit->name,
                 (unsigned long long)culprit->id);
        return;
    }
    wi_os_code_place(culprit->site, place, sizeof place);
    snprintf(text, size, "task%s%s%s (id %llu, function %s)",
             culprit->name[0] != '\0' ? " \"" : "", culprit->name,
             culprit->name[0] != '\0' ? "\"" : "",
             (unsigned long long)culprit->id, place);
}

void wi_culprit_report(const struct wi_culprit *culprit, long call, int64_t ns)
{
    char who[224], where[48] = "the kernel";
    if (!is_new(culprit->site))
        return;
    describe(culprit, who, sizeof who);
    const char *name = wi_os_call_name(call);
    if (name != NULL)
        snprintf(where, sizeof where, "the system call %s", name);
    else if (call >= 0)
        snprintf(where, sizeof where, "system call %ld", call);
    wi_report("%s is blocked: %s has been in %s for %lld ms, and what else "
              "this thread has to run waits; use Weft's calls there, or a "
              "pool with .blocking = true (said once for each function)",
              culprit->worker, who, where, (long long)(ns / 1000000));
}

void wi_culprit_report_held(const struct wi_culprit *culprit,
                            const struct wi_os_trace *trace, int64_t ns)
{
    char who[224], place[96];
    if (!is_new(~culprit->site)) // apart from those that block
        return;
    describe(culprit, who, sizeof who);
    wi_report("%s is held: %s has let nothing else run for %lld ms (said once "
              "for each function); its stack%s",
              culprit->worker, who, (long long)(ns / 1000000),
              trace->count > 0 ? ":" : " cannot be seen");
    for (unsigned i = 0; i < trace->count; i++) {
        wi_os_code_place(trace->frames[i], place, sizeof place);
        wi_report("    %s", place);
    }
}
