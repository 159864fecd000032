// SPDX-License-Identifier: MIT
//
// The parent's futures in a worker, and the parent's pools as executors.
//
// Each is an ordinary future of this process with a number, its proxy's. A
// thread of the worker, the uplink, reads the parent's replies and completes
// them; so whatever waits here, the job, a task or a thread of it, waits as it
// would for anything else. The uplink starts with the first question.
//
// When the main thread goes to sleep inside a job that has futures open, it
// tells the parent that it waits, and, when it waits for one alone, for which.
// The parent may then send a request to be run on top of the wait, which
// happens here, before the wait looks at its condition again. The main thread
// counts as waiting until one of its futures is done: a wake for another
// reason does not make it free.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <weft/error.h>
#include <weft/executor.h>

#include "base/fresh.h"
#include "exec/job.h"
#include "exec/pool.h"
#include "sched/deadlock.h"
#include "future/external.h"
#include "future/id.h"
#include "os/clock.h"
#include "os/launch.h"
#include "os/memfd.h"
#include "os/process.h"
#include "os/thread.h"
#include "process/handle.h"
#include "process/terms.h"
#include "process/worker.h"
#include "sched/here.h"

struct proxy {
    weft_future *future; // the producer's reference, until it is done
    uint32_t refused;    // atomic: to wait for it would close a cycle
    bool unknown;        // the parent never heard of it
    uint16_t next_free;
};

static struct {
    struct wi_mutex lock;
    struct proxy proxies[WI_PROXIES];
    uint16_t free;     // first free one, under lock
    unsigned count;    // atomic: those in use
    uint32_t finished; // atomic: those that are done, ever
    uint32_t run;      // atomic: a request may run on top of the wait
    uint32_t replies;  // the uplink's: taken
    bool uplink;       // it runs, under lock
    // Set once. In a child of fork the ring and the boot page are not there.
    uint32_t born; // wi_fresh_number
    uint64_t executor;
    size_t width;
    // The main thread's:
    bool waiting;  // the parent knows that the job waits,
    bool shut;     // where no request can run on top
    uint32_t seen; // `finished` when it was told
} remote;

// The uplink ------------------------------------------------------------------

static struct wi_ring *ring(void)
{
    return wi_worker_self.ring;
}

static bool has_reply(void *arg)
{
    (void)arg;
    struct wi_reply *reply = &ring()->replies[remote.replies % WI_REPLIES];
    // acquire: the reply is whole; pairs with the parent's release
    return __atomic_load_n(&reply->sequence, __ATOMIC_ACQUIRE) ==
           remote.replies + 1;
}

static void release(unsigned number)
{
    wi_mutex_lock(&remote.lock);
    struct proxy *proxy = &remote.proxies[number];
    proxy->next_free = remote.free;
    remote.free = (uint16_t)number;
    wi_mutex_unlock(&remote.lock);
}

// Completes a future with what the parent says, in bytes of memory from malloc.
static void complete(unsigned number, const struct wi_reply *reply, char *bytes,
                     size_t size)
{
    wi_mutex_lock(&remote.lock);
    weft_future *f = remote.proxies[number].future;
    wi_mutex_unlock(&remote.lock);
    __atomic_fetch_sub(&remote.count, 1, __ATOMIC_RELAXED); // see sleeping
    // release: before the wake; pairs with sleeping and idling
    __atomic_fetch_add(&remote.finished, 1, __ATOMIC_RELEASE);
    if (bytes == NULL) {
        wi_external_complete(f, -ENOMEM, NULL, 0, false, NULL);
        return;
    }
    bytes[size] = '\0';
    if (reply->code < 0) {
        wi_external_complete(f, reply->code, NULL, 0, false, bytes);
    } else if (reply->bytes) {
        struct weft_bytes value = {size > 0 ? bytes : NULL, size};
        wi_external_complete(f, reply->code, &value, sizeof value, true, NULL);
        if (size > 0)
            return; // the memory is the future's
    } else {
        wi_external_complete(f, reply->code, bytes, size, false, NULL);
    }
    free(bytes);
}

static void done(const struct wi_reply *reply)
{
    unsigned number = reply->proxy;
    struct wi_place place = {.line = (uint8_t *)reply->data,
                             .payload = ring()->proxy_payload[number],
                             .fd = WI_BOOT_FD,
                             .window = wi_window_down(number),
                             .form = reply->form,
                             .inline_size = reply->inline_size};
    wi_place_look(&place);
    char *bytes = malloc(place.far.size + 1);
    if (bytes != NULL && wi_place_read(&place, bytes) < 0) {
        free(bytes);
        bytes = NULL;
    }
    if (place.form == WI_FORM_WINDOW)
        wi_os_memfd_punch(place.fd, place.window, place.far.size);
    complete(number, reply, bytes, place.far.size);
}

static void hear(const struct wi_reply *reply)
{
    switch (reply->kind) {
    case WI_REPLY_DONE:
        done(reply);
        return;
    case WI_REPLY_DEADLOCK:
        // release: before the wake; pairs with sleeping
        __atomic_store_n(&remote.proxies[reply->proxy].refused, 1,
                         __ATOMIC_RELEASE);
        break;
    default:
        // release: before the wake; pairs with run_on_top
        __atomic_store_n(&remote.run, 1, __ATOMIC_RELEASE);
    }
    wi_unpark(wi_worker_self.record);
}

static void uplink(void *arg)
{
    (void)arg;
    wi_os_block_signals(false);
    for (;;) {
        while (has_reply(NULL)) {
            struct wi_reply reply =
                ring()->replies[remote.replies % WI_REPLIES];
            remote.replies++;
            // release: the place is free; pairs with send_reply's acquire
            __atomic_store_n(&ring()->answered, remote.replies,
                             __ATOMIC_RELEASE);
            hear(&reply);
        }
        wi_ring_sleep(&ring()->uplink, has_reply, NULL, WI_FOREVER);
    }
}

static int start_uplink(void)
{
    const struct wi_os_thread_options options = {.name = "weft-uplink",
                                                 .service = true};
    struct wi_os_thread thread;
    int rc = wi_os_thread_start(&thread, uplink, NULL, &options);
    if (rc < 0)
        return rc;
    wi_os_thread_detach(&thread);
    remote.uplink = true;
    return 0;
}

// Futures ---------------------------------------------------------------------

static unsigned number_of(const struct proxy *proxy)
{
    return (unsigned)(proxy - remote.proxies);
}

// A child of fork has the handles, and no parent to ask.
static bool is_cut_off(void)
{
    return wi_is_parents(remote.born);
}

static int ask(struct wi_frame *frame, const void *bytes, uint64_t size)
{
    return is_cut_off() ? -WEFT_EFORKED : wi_worker_tell(frame, bytes, size, 0);
}

static void cancel(weft_future *f, void *owner)
{
    struct proxy *proxy = owner;
    struct wi_frame frame = {.kind = WI_FRAME_CANCEL,
                             .ticket = WI_NONE,
                             .proxy = (uint16_t)number_of(proxy)};
    (void)f;
    ask(&frame, NULL, 0);
}

// Its last handle has gone: the parent need not keep its future either.
static void gone(void *owner)
{
    struct proxy *proxy = owner;
    struct wi_frame frame = {.kind = WI_FRAME_DROP,
                             .ticket = WI_NONE,
                             .proxy = (uint16_t)number_of(proxy)};
    if (is_cut_off()) // the lock may be a thread's that is not here
        return;
    if (!proxy->unknown)
        ask(&frame, NULL, 0);
    release(number_of(proxy));
}

static const struct wi_external_ops proxy_ops = {.cancel = cancel,
                                                 .gone = gone};

// A free proxy; NULL: there is none, or no uplink (*rc).
static struct proxy *take_proxy(int *rc)
{
    wi_mutex_lock(&remote.lock);
    *rc = remote.uplink ? 0 : start_uplink();
    struct proxy *proxy = NULL;
    if (*rc == 0 && remote.free != WI_NONE) {
        proxy = &remote.proxies[remote.free];
        remote.free = proxy->next_free;
        // relaxed: the parent has not heard of it yet
        __atomic_store_n(&proxy->refused, 0, __ATOMIC_RELAXED);
        proxy->unknown = false;
    }
    wi_mutex_unlock(&remote.lock);
    return proxy;
}

// A future with a proxy of its own; NULL with *failed set.
static struct proxy *new_proxy(weft_future **failed)
{
    bool made;
    int rc;
    struct proxy *proxy = take_proxy(&rc);
    if (proxy == NULL) {
        *failed = wi_future_failed(rc < 0 ? rc : -EAGAIN,
                                   "too many futures of the parent are open");
        return NULL;
    }
    weft_future *f = wi_external_new(WI_KIND_PROCESS_JOB, &proxy_ops, proxy,
                                     NULL, NULL, &made);
    if (!made) {
        *failed = f;
        release(number_of(proxy));
        return NULL;
    }
    wi_mutex_lock(&remote.lock); // the uplink will read it
    proxy->future = f;
    wi_mutex_unlock(&remote.lock);
    __atomic_fetch_add(&remote.count, 1, __ATOMIC_RELAXED); // see sleeping
    return proxy;
}

static weft_future *open_remote(uint64_t id)
{
    weft_future *f;
    if (is_cut_off())
        return wi_future_failed(-WEFT_EFORKED, weft_strerror(-WEFT_EFORKED));
    if (id == 0 || id >> WI_ID_BITS == (uint64_t)wi_os_pid())
        return NULL;
    struct proxy *proxy = new_proxy(&f);
    if (proxy == NULL)
        return f;
    f = proxy->future;
    wi_of_future(f)->id = id;
    weft_future_id(f); // the next one who opens it finds it here
    struct wi_frame frame = {.kind = WI_FRAME_OPEN,
                             .ticket = wi_worker_self.ticket,
                             .proxy = (uint16_t)number_of(proxy)};
    memcpy(frame.data, &id, sizeof id);
    ask(&frame, NULL, 0);
    return f;
}

// Executors -------------------------------------------------------------------

struct remote_executor {
    weft_executor base;
    uint32_t id; // 0: the pool that this process belongs to
    struct remote_executor *next;
};

// The argument of a submit, behind `taken` bytes of terms.
static int send_arg(struct wi_frame *frame, char *payload, size_t taken,
                    const struct weft_job *job, const void *arg, size_t size)
{
    struct wi_type type = wi_arg_type(job);
    if (size <= WI_PAYLOAD - taken) {
        wi_carry_put(type, arg, payload + taken);
        return ask(frame, payload, taken + size);
    }
    char *bytes = malloc(size);
    if (bytes == NULL)
        return -ENOMEM;
    wi_carry_put(type, arg, bytes);
    int rc =
        wi_os_memfd_write(WI_BOOT_FD, wi_window_up(frame->proxy), bytes, size);
    free(bytes);
    return rc < 0 ? rc : ask(frame, payload, taken);
}

static int send_submit(struct proxy *proxy, uint32_t executor,
                       const struct weft_job *job, const void *arg,
                       const struct weft_submit_options *options)
{
    struct wi_submit submit = {.size = wi_carry_size(wi_arg_type(job), arg)};
    char payload[WI_PAYLOAD];
    struct wi_terms terms;
    struct wi_frame frame = {.kind = WI_FRAME_SUBMIT,
                             .ticket = wi_worker_self.ticket,
                             .proxy = (uint16_t)number_of(proxy),
                             .code = (int32_t)executor};
    if (!wi_name_job(job, &submit.job))
        return -WEFT_ENOJOB;
    submit.id = weft_future_id(proxy->future);
    memcpy(frame.data, &submit, sizeof submit);
    if (options != NULL) {
        wi_terms_set(&terms, options);
        memcpy(payload, &terms, sizeof terms);
        frame.form = sizeof terms;
    }
    return send_arg(&frame, payload, frame.form, job, arg, submit.size);
}

static weft_future *submit(weft_executor *ex, const struct weft_job *job,
                           const void *arg,
                           const struct weft_submit_options *options)
{
    weft_future *f;
    int rc = is_cut_off() ? -WEFT_EFORKED : wi_job_check(job);
    if (rc < 0)
        return wi_future_failed(rc, weft_strerror(rc));
    struct proxy *proxy = new_proxy(&f);
    if (proxy == NULL)
        return f;
    f = proxy->future;
    rc = send_submit(proxy, ((struct remote_executor *)ex)->id, job, arg,
                     options);
    if (rc < 0) {
        weft_future_id(f); // so that `gone` is called
        proxy->unknown = true;
        __atomic_fetch_sub(&remote.count, 1, __ATOMIC_RELAXED); // see sleeping
        wi_external_complete(f, rc, NULL, 0, false, weft_strerror(rc));
    }
    return f;
}

static size_t width(weft_executor *ex)
{
    (void)ex;
    return remote.width;
}

static int close_remote(weft_executor *ex,
                        const struct weft_close_options *options)
{
    (void)ex;
    (void)options;
    return 0; // it is the parent's
}

static const struct weft_executor_ops remote_ops = {
    .size = sizeof remote_ops,
    .kind = "process pool of the parent",
    .submit = submit,
    .width = width,
    .close = close_remote,
};

// One handle an id, kept for ever.
static weft_executor *open_executor(uint64_t id)
{
    static struct remote_executor own = {{&remote_ops}, 0, NULL};
    static struct remote_executor *others; // under the lock
    if (id == 0 || id == remote.executor)
        return &own.base;
    if (is_cut_off())
        return wi_broken_executor(-WEFT_EFORKED);
    wi_mutex_lock(&remote.lock);
    struct remote_executor *ex = others;
    while (ex != NULL && ex->id != id)
        ex = ex->next;
    if (ex == NULL && (ex = malloc(sizeof *ex)) != NULL) {
        *ex = (struct remote_executor){{&remote_ops}, (uint32_t)id, others};
        others = ex;
    }
    wi_mutex_unlock(&remote.lock);
    return ex != NULL ? &ex->base : wi_broken_executor(-ENOMEM);
}

static uint64_t id_of(weft_executor *ex)
{
    if (ex->ops != &remote_ops)
        return 0;
    uint32_t id = ((struct remote_executor *)ex)->id;
    return id != 0 ? id : remote.executor;
}

// Waits -----------------------------------------------------------------------

// The proxy that the main thread waits for alone, if it does.
static struct proxy *awaited(void)
{
    wi_hint hint = wi_edge_hint(
        __atomic_load_n(&wi_worker_self.record->edge, __ATOMIC_RELAXED));
    struct wi_task *t = hint != 0 ? wi_hint_task(hint) : NULL;
    if (t == NULL || t->extra == NULL || t->extra->ops != &proxy_ops)
        return NULL;
    return t->extra->external;
}

static void tell_wait(enum wi_frame_kind kind, const struct proxy *proxy,
                      bool shut)
{
    struct wi_frame frame = {.kind = (uint8_t)kind,
                             .ticket = wi_worker_self.ticket,
                             .proxy = proxy != NULL ? (uint16_t)number_of(proxy)
                                                    : WI_NONE,
                             .code = shut};
    ask(&frame, NULL, 0);
    remote.waiting = kind == WI_FRAME_WAIT;
    remote.shut = shut;
    wi_ring_phase(ring(), remote.waiting ? WI_PHASE_WAITING : WI_PHASE_RUNNING);
}

// The job's wait is over: the parent may count on this worker again.
void wi_remote_go_on(void)
{
    if (remote.waiting)
        tell_wait(WI_FRAME_WAITED, NULL, false);
}

// Runs the request that was sent for this wait, then lets the wait look again:
// what it sleeps for may have come meanwhile.
static void run_on_top(void)
{
    // acquire: pairs with hear
    if (!__atomic_exchange_n(&remote.run, 0, __ATOMIC_ACQUIRE))
        return;
    struct wi_task *record = wi_worker_self.record;
    bool waiting = remote.waiting, shut = remote.shut;
    uint32_t seen = remote.seen;
    uint64_t edge = record->edge;
    const void *object = record->wait_object;
    uint16_t kind = record->wait_kind;
    remote.waiting = false;
    wi_worker_run_one(true); // the word may be of a wait that is over
    remote.waiting = waiting;
    remote.shut = shut;
    remote.seen = seen;
    record->wait_object = object;
    record->wait_kind = kind;
    __atomic_store_n(&record->edge, edge, __ATOMIC_RELAXED);
    wi_ring_phase(ring(), WI_PHASE_WAITING);
    wi_unpark(record);
}

// Around each sleep of the main thread.
static void sleeping(bool begins)
{
    // relaxed: what was opened was opened by this job, or does not matter
    bool open = __atomic_load_n(&remote.count, __ATOMIC_RELAXED) > 0;
    if (wi_worker_self.ticket == WI_NONE)
        return;
    if (begins && !remote.waiting && open) {
        // acquire: pairs with complete
        remote.seen = __atomic_load_n(&remote.finished, __ATOMIC_ACQUIRE);
        tell_wait(WI_FRAME_WAIT, awaited(), false);
    }
    if (remote.waiting)
        run_on_top();
    if (begins)
        return;
    struct proxy *proxy = awaited();
    // acquire: pairs with hear
    if (proxy != NULL &&
        __atomic_exchange_n(&proxy->refused, 0, __ATOMIC_ACQUIRE))
        wi_here.refused = -WEFT_EDEADLOCK;
    // acquire: pairs with complete
    if (wi_here.refused != 0 ||
        __atomic_load_n(&remote.finished, __ATOMIC_ACQUIRE) != remote.seen)
        wi_remote_go_on();
}

// The same when the job has a run of its own and all its tasks wait. No edge is
// told, and no request is taken on top: the scheduler's frame is no place. That
// is told anew if the job was known to wait elsewhere before: what the parent
// has sent for that wait it then takes back.
static void idling(bool begins, bool polls)
{
    (void)polls;
    // relaxed, acquire: as in sleeping
    bool open = __atomic_load_n(&remote.count, __ATOMIC_RELAXED) > 0;
    if (wi_worker_self.ticket == WI_NONE)
        return;
    if (begins && open && !(remote.waiting && remote.shut)) {
        wi_remote_go_on();
        remote.seen = __atomic_load_n(&remote.finished, __ATOMIC_ACQUIRE);
        tell_wait(WI_FRAME_WAIT, NULL, true);
    } else if (!begins && __atomic_load_n(&remote.finished, __ATOMIC_ACQUIRE) !=
                              remote.seen) {
        wi_remote_go_on();
    }
}

static void fresh(void)
{
    wi_future_open_remote = NULL;
    wi_executor_open_remote = NULL;
    wi_executor_id_remote = NULL;
}

void wi_remote_start(void)
{
    wi_fresh_add(fresh);
    wi_fresh_in_use();
    remote.born = wi_fresh_number;
    remote.executor = wi_worker_self.boot->executor;
    remote.width = wi_worker_self.boot->width;
    for (unsigned i = 0; i < WI_PROXIES; i++)
        remote.proxies[i].next_free =
            i + 1 < WI_PROXIES ? (uint16_t)(i + 1) : WI_NONE;
    wi_future_open_remote = open_remote;
    wi_executor_open_remote = open_executor;
    wi_executor_id_remote = id_of;
    wi_here.sleeping = sleeping;
    wi_here.idling = idling;
}
