// SPDX-License-Identifier: MIT
//
// The clients of a manager, and the one who has started it.
//
// A client has a link, which is one connection: made by the first call, and
// made anew by the first call after its end. A call stands in its link from
// before it is sent until its reply is there or the link has ended; the
// supervisor hears both. It never closes a connection, which could have to wait
// for others: that is left to the next call, or to the end of the client.
//
// The listening socket belongs to who has started the manager; the manager's
// process gets it by an offer. So a client that connects while the process is
// being started again waits in the socket's queue. When the process has ended
// for good, the socket refuses.
#include "process/manager.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weft/connection.h>
#include <weft/error.h>
#include <weft/thread.h>
#include <weft/process.h>
#include <weft/scope.h>
#include <weft/task.h>

#include "base/fresh.h"
#include "base/options.h"
#include "exec/job.h"
#include "future/external.h"
#include "os/event.h"
#include "os/clock.h"
#include "os/futex.h"
#include "os/report.h"
#include "os/segment.h"
#include "process/carry.h"
#include "process/connection.h"
#include "process/offer.h"
#include "process/supervisor.h"
#include "sched/park.h"

enum { ROOM = 32 << 10, TURN = 64, BUSY = 1, END_TEXT = 400 };
enum { VERDICT_NS = 20000000 };
#define STOP_SECONDS 5

struct call {
    struct call *next;
    uint64_t number;
    weft_future *future; // a handle
    const struct weft_job *job;
};

struct link {
    struct link *next; // of the dead ones
    weft_manager *m;
    struct wi_watch watch;
    struct wi_errand end;
    weft_connection *c;
    unsigned users;     // who sends, and the supervisor while it listens
    bool lost;          // nobody listens any more
    unsigned deaths;    // of the manager's process before it
    struct call *calls; // without an answer
};

struct weft_manager {
    struct wi_mutex lock; // for all that changes
    uint32_t born;        // wi_fresh_number
    struct weft_manager_ref ref;
    struct link *link; // NULL: none
    struct link *dead; // that nobody uses: to be closed
    uint64_t calls;    // made so far
    bool closing;
    int code; // why there is no process any more; 0: there is, or not known
    // Who has started it.
    bool own;
    int listener;
    struct wi_offer *offer;
    struct wi_manager_boot *boot;
    size_t boot_size;
    char name[32];
    unsigned restarts; // that are left
    weft_future *process;
    unsigned deaths;         // processes that have ended
    char last_end[END_TEXT]; // how the last of them did
    struct call *late;       // under way when it was lost: see lose
    struct wi_alarm verdict; // fail them although it is not reaped
    uint32_t ended;          // futex: the process has, for good
};

// Says what is known of the end of the manager's process; without the lock.
// Of one that was lost just now that is who it was: how it ended is known when
// it is reaped.
static const char *end_text(weft_manager *m, char text[END_TEXT])
{
    static const char has_ended[] = "the manager's process has ended";
    wi_mutex_lock(&m->lock);
    weft_future *f = m->process != NULL ? weft_future_ref(m->process) : NULL;
    wi_mutex_unlock(&m->lock);
    pid_t pid = f != NULL ? weft_future_native_id(f) : 0;
    if (f != NULL && weft_done(f) && weft_future_text(f)[0] != '\0')
        snprintf(text, END_TEXT, "%s: %.340s", has_ended, weft_future_text(f));
    else if (pid > 0)
        snprintf(text, END_TEXT, "%s: %s, process %d", has_ended,
                 m->name[0] != '\0' ? m->name : "manager", (int)pid);
    else
        snprintf(text, END_TEXT, "%s", has_ended);
    if (f != NULL)
        weft_future_unref(f);
    return text;
}

static void socket_name(char name[WI_LOCAL_NAME], const char *what,
                        const struct weft_manager_ref *ref)
{
    snprintf(name, WI_LOCAL_NAME, "weft-manager%s-%016llx%016llx", what,
             (unsigned long long)ref->id[0], (unsigned long long)ref->id[1]);
}

// Replies ---------------------------------------------------------------------

static void finish(struct call *call, int code, void *result, bool bytes,
                   const char *text)
{
    size_t size = call->job->result_size;
    bool took = wi_external_complete(call->future, code, result,
                                     code < 0 ? 0 : size, bytes, text);
    if (!took && bytes) // it was canceled
        weft_bytes_free(result);
    weft_future_unref(call->future);
    free(call);
}

static void fail(struct call *call, int code, const char *text)
{
    finish(call, code, NULL, false, text);
}

// A method's codes of its own waits are no codes of the caller's wait.
static int own_code(int code)
{
    return code == -ECANCELED   ? -WEFT_EJOBCANCELED
           : code == -ETIMEDOUT ? -WEFT_EJOBTIMEOUT
                                : code;
}

static void finish_text(struct call *call, int code, const char *bytes,
                        size_t size)
{
    char text[320];
    size = size < 256 ? size : 256;
    snprintf(text, sizeof text, "%s%s%.*s", call->job->name,
             size > 0 ? ": " : "", (int)size, bytes);
    fail(call, own_code(code), text);
}

static void finish_value(struct call *call, void *bytes, size_t size)
{
    struct wi_type type = wi_result_type(call->job);
    if (type.kind == WEFT_BYTES) {
        struct weft_bytes own = weft_bytes_copy(bytes, size);
        if (own.len < size)
            fail(call, -ENOMEM, NULL);
        else
            finish(call, 0, &own, true, NULL);
        return;
    }
    void *value = malloc(type.size);
    int rc = value == NULL ? -ENOMEM : wi_carry_get(type, bytes, size, value);
    finish(call, rc, value, false, rc < 0 ? weft_strerror(rc) : NULL);
    free(value);
}

static struct call *take_call(struct link *l, uint64_t number)
{
    wi_mutex_lock(&l->m->lock);
    struct call **at = &l->calls;
    while (*at != NULL && (*at)->number != number)
        at = &(*at)->next;
    struct call *call = *at;
    if (call != NULL)
        *at = call->next;
    wi_mutex_unlock(&l->m->lock);
    return call;
}

static int take_reply(struct link *l, char *message, size_t size)
{
    struct wi_reply_head head;
    if (size < sizeof head)
        return -WEFT_EPROTO;
    memcpy(&head, message, sizeof head);
    struct call *call = head.magic == WI_REPLY_MAGIC && head.code <= 0
                            ? take_call(l, head.call)
                            : NULL;
    if (call == NULL)
        return -WEFT_EPROTO;
    if (head.code < 0)
        finish_text(call, head.code, message + sizeof head, size - sizeof head);
    else
        finish_value(call, message + sizeof head, size - sizeof head);
    return 0;
}

// Links -----------------------------------------------------------------------

// Under the lock.
static void leave_link(struct link *l)
{
    if (--l->users > 0)
        return;
    l->next = l->m->dead;
    l->m->dead = l;
}

static void fail_all(struct call *calls, int code, const char *text)
{
    while (calls != NULL) {
        struct call *next = calls->next;
        fail(calls, code, text);
        calls = next;
    }
}

static struct call *take_late(weft_manager *m)
{
    wi_mutex_lock(&m->lock);
    struct call *calls = m->late;
    m->late = NULL;
    wi_mutex_unlock(&m->lock);
    return calls;
}

static void verdict_rang(struct wi_alarm *alarm)
{
    weft_manager *m =
        (weft_manager *)((char *)alarm - offsetof(weft_manager, verdict));
    char text[END_TEXT];
    fail_all(take_late(m), -WEFT_ECRASHED, end_text(m, text));
}

// Under the lock. Until the process is reaped, which will be at once.
static struct call *put_off(weft_manager *m, struct call *calls)
{
    struct call **end = &m->late;
    while (*end != NULL)
        end = &(*end)->next;
    *end = calls;
    m->verdict.ring = verdict_rang;
    wi_alarm_set(&m->verdict, wi_os_now() + VERDICT_NS);
    return NULL;
}

// On the supervisor's thread. The kernel closes a dying process's sockets just
// before it tells of its death. So who has started it keeps the calls that were
// under way until then: they shall say how it ended. process_ended comes on
// this thread, and m stays until it has.
static void lose(struct link *l)
{
    weft_manager *m = l->m;
    char text[END_TEXT];
    end_text(m, text); // m may go when the link does
    wi_supervisor_forget(weft_connection_fd(l->c));
    wi_mutex_lock(&m->lock);
    struct call *calls = l->calls;
    l->calls = NULL;
    l->lost = true;
    if (m->link == l)
        m->link = NULL;
    int code = m->closing     ? -WEFT_EJOBCANCELED
               : m->code != 0 ? m->code
                              : -WEFT_ECRASHED;
    bool crashed = code == -WEFT_ECRASHED && m->own;
    if (crashed && m->deaths != l->deaths) // there is another one, perhaps
        memcpy(text, m->last_end, sizeof text);
    else if (crashed && m->code == 0 && calls != NULL)
        calls = put_off(m, calls);
    leave_link(l);
    wi_mutex_unlock(&m->lock);
    fail_all(calls, code, code == -WEFT_ECRASHED ? text : NULL);
}

// One message; -EAGAIN: there is none.
static int hear_one(struct link *l)
{
    static _Alignas(16) char room[ROOM + sizeof(struct wi_reply_head)];
    ssize_t n =
        weft_connection_receive(l->c, room, sizeof room, .nowait = true);
    if (n >= 0)
        return take_reply(l, room, (size_t)n);
    if (n != -WEFT_ETOOBIG)
        return (int)n;
    n = weft_connection_next(l->c); // it is held: no wait
    char *large = n > 0 ? malloc((size_t)n) : NULL;
    if (large == NULL)
        return n < 0 ? (int)n : -ENOMEM;
    n = weft_connection_receive(l->c, large, (size_t)n, .nowait = true);
    int rc = n < 0 ? (int)n : take_reply(l, large, (size_t)n);
    free(large);
    return rc;
}

static void heard(struct wi_watch *watch)
{
    struct link *l =
        (struct link *)((char *)watch - offsetof(struct link, watch));
    int rc = 0;
    for (int i = 0; i < TURN && rc == 0; i++)
        rc = hear_one(l);
    if (rc < 0 && rc != -EAGAIN)
        lose(l);
}

static void end_link(struct wi_errand *errand)
{
    struct link *l =
        (struct link *)((char *)errand - offsetof(struct link, end));
    if (l->m->link == l) // else it has been lost meanwhile
        lose(l);
}

static void close_dead(weft_manager *m)
{
    wi_mutex_lock(&m->lock);
    struct link *l = m->dead;
    m->dead = NULL;
    wi_mutex_unlock(&m->lock);
    while (l != NULL) {
        struct link *next = l->next;
        weft_connection_close(l->c);
        free(l);
        l = next;
    }
}

// Under the lock: a connection that the supervisor listens to. BUSY: the
// manager has too many others in its queue.
static int connect_link(weft_manager *m)
{
    char name[WI_LOCAL_NAME];
    socket_name(name, "", &m->ref);
    int fd = wi_os_local_connect(name);
    if (fd < 0)
        return fd == -EAGAIN ? BUSY : fd == -ECONNREFUSED ? -WEFT_ECRASHED : fd;
    struct link *l = wi_os_local_same_user(fd) ? malloc(sizeof *l) : NULL;
    weft_connection *c = NULL;
    int rc = l == NULL ? -ENOMEM : wi_supervisor_start();
    if (rc == 0)
        rc = wi_connection_new(fd, &c);
    else
        wi_os_close(fd);
    if (rc == 0) {
        *l = (struct link){
            .m = m, .watch = {heard}, .c = c, .users = 1, .deaths = m->deaths};
        l->end.run = end_link;
        rc = wi_supervisor_watch(fd, &l->watch);
    }
    if (rc == 0) {
        m->link = l;
        return 0;
    }
    weft_connection_close(c);
    free(l);
    return rc;
}

static int join_link(weft_manager *m, struct link **link)
{
    wi_mutex_lock(&m->lock);
    int rc = m->closing ? -WEFT_ECLOSED : m->code;
    if (rc == 0 && m->link == NULL)
        rc = connect_link(m);
    if (rc == 0) {
        *link = m->link;
        (*link)->users++;
    }
    wi_mutex_unlock(&m->lock);
    return rc;
}

// Waits while the manager is busy.
static int get_link(weft_manager *m, struct link **link)
{
    close_dead(m);
    int rc = wi_check_scopes();
    while (rc == 0 && (rc = join_link(m, link)) == BUSY)
        rc = weft_sleep(0.001);
    return rc;
}

static void put_link(struct link *l)
{
    weft_manager *m = l->m;
    wi_mutex_lock(&m->lock);
    leave_link(l);
    wi_mutex_unlock(&m->lock);
}

// Calls -----------------------------------------------------------------------

// The call goes on in the manager; nobody waits for it here.
static void cancel(weft_future *f, void *owner)
{
    (void)owner;
    wi_external_complete(f, -WEFT_EJOBCANCELED, NULL, 0, false,
                         "canceled while the manager had it");
}

static const struct wi_external_ops ops = {.cancel = cancel};

static struct wi_call_head *message_of(const struct weft_job *job,
                                       const void *arg, size_t *size)
{
    struct wi_type type = wi_arg_type(job);
    *size = sizeof(struct wi_call_head) + wi_carry_size(type, arg);
    struct wi_call_head *h = calloc(1, *size);
    if (h == NULL)
        return NULL;
    h->magic = WI_CALL_MAGIC;
    h->kind = WI_CALL_JOB;
    h->version = job->version;
    h->arg_size = job->arg_size;
    h->result_size = job->result_size;
    h->arg_kind = job->arg_kind;
    h->result_kind = job->result_kind;
    snprintf(h->name, sizeof h->name, "%s", job->name);
    wi_carry_put(type, arg, h + 1);
    return h;
}

static bool list_call(struct link *l, struct call *call, struct wi_call_head *h)
{
    wi_mutex_lock(&l->m->lock);
    bool listed = !l->lost;
    if (listed) {
        h->call = call->number = ++l->m->calls;
        call->next = l->calls;
        l->calls = call;
    }
    wi_mutex_unlock(&l->m->lock);
    return listed;
}

// Lists the call and sends it. A link that ends in between fails it.
static void send_call(struct link *l, struct call *call, struct wi_call_head *h,
                      size_t size)
{
    char text[END_TEXT];
    if (!list_call(l, call, h)) {
        fail(call, -WEFT_ECRASHED, end_text(l->m, text));
        return;
    }
    int rc = weft_connection_send(l->c, h, size);
    struct call *mine = rc < 0 && rc != -EPIPE ? take_call(l, h->call) : NULL;
    if (mine != NULL)
        fail(mine, rc, NULL);
}

static weft_future *call_on(struct link *l, const struct weft_job *job,
                            struct wi_call_head *h, size_t size)
{
    bool made;
    struct call *call = malloc(sizeof *call);
    weft_future *f =
        wi_external_new(WI_KIND_PROMISE, &ops, l->m, job->name, NULL, &made);
    if (call == NULL && made)
        wi_external_complete(f, -ENOMEM, NULL, 0, false, NULL);
    if (call == NULL || !made) {
        free(call);
        return f;
    }
    *call = (struct call){.future = weft_future_ref(f), .job = job};
    send_call(l, call, h, size);
    return f;
}

weft_future *weft_manager_call_job(weft_manager *m, const struct weft_job *job,
                                   const void *arg)
{
    wi_require(m != NULL, m, "a manager is needed");
    struct link *l;
    size_t size;
    int rc = wi_is_parents(m->born) ? -WEFT_EFORKED : wi_job_check(job);
    wi_require(rc < 0 || arg != NULL || job->arg_kind == WEFT_NONE, m,
               "arg must not be NULL: the method takes an argument");
    if (rc == 0)
        rc = get_link(m, &l);
    char text[END_TEXT];
    if (rc < 0)
        return wi_future_failed(rc, rc == -WEFT_ECRASHED ? end_text(m, text)
                                                         : weft_strerror(rc));
    struct wi_call_head *h = message_of(job, arg, &size);
    weft_future *f =
        h != NULL ? call_on(l, job, h, size) : wi_future_failed(-ENOMEM, NULL);
    free(h);
    put_link(l);
    return f;
}

// The process -----------------------------------------------------------------

static void process_ended(weft_future *f, void *arg);

// It will not run again.
static void end_for_good(weft_manager *m)
{
    wi_os_local_refuse(m->listener);
    // release: the last touch of m; pairs with has_process
    uint32_t *ended = &m->ended;
    __atomic_store_n(ended, 1, __ATOMIC_RELEASE);
    wi_os_futex_wake(ended, 1, false);
}

static void set_process(weft_manager *m, weft_future *f)
{
    wi_mutex_lock(&m->lock);
    weft_future *old = m->process;
    m->process = f;
    wi_mutex_unlock(&m->lock);
    weft_future_unref(old);
}

// There is no memory to hear of its end.
static void give_up(weft_manager *m, int rc)
{
    weft_process_kill(m->process);
    set_process(m, wi_future_failed(rc, weft_strerror(rc)));
    wi_mutex_lock(&m->lock);
    m->code = rc;
    wi_mutex_unlock(&m->lock);
    end_for_good(m);
}

static void launch(weft_manager *m)
{
    weft_future *f =
        weft_process_start(wi_manager_serve, m->boot, m->boot_size,
                           .name = m->name[0] != '\0' ? m->name : "manager");
    set_process(m, f);
    int rc = weft_future_on_done(f, process_ended, m);
    if (rc < 0)
        give_up(m, rc);
}

// On the supervisor, or in launch if the process could not be started.
static void process_ended(weft_future *f, void *arg)
{
    weft_manager *m = arg;
    int code = weft_future_code(f);
    char text[END_TEXT];
    end_text(m, text);
    wi_alarm_stop(&m->verdict);
    fail_all(take_late(m), -WEFT_ECRASHED, text);
    wi_mutex_lock(&m->lock);
    m->deaths++;
    memcpy(m->last_end, text, sizeof text);
    bool again = !m->closing && code == -WEFT_ECRASHED && m->restarts > 0;
    if (again)
        m->restarts--;
    else
        m->code = code < 0 ? code : -WEFT_ECLOSED;
    wi_mutex_unlock(&m->lock);
    if (again) {
        launch(m);
        return;
    }
    end_for_good(m);
}

static weft_manager *manager_new(void)
{
    weft_manager *m = calloc(1, sizeof *m);
    if (m == NULL)
        return NULL;
    m->listener = -1;
    m->born = wi_fresh_number;
    return m;
}

// What stands in for one that found no memory.
static weft_manager no_memory = {.code = -ENOMEM, .listener = -1};

static int prepare(weft_manager *m, weft_manager_init *init, const void *arg,
                   size_t size, const struct weft_manager_options *o)
{
    m->boot_size = sizeof *m->boot + size;
    m->boot = calloc(1, m->boot_size);
    if (m->boot == NULL)
        return -ENOMEM;
    if (!wi_name_function((weft_function *)(uintptr_t)init, &m->boot->init) ||
        (o->fini != NULL &&
         !wi_name_function((weft_function *)(uintptr_t)o->fini,
                           &m->boot->fini)))
        return -EINVAL;
    m->boot->size = size;
    if (size > 0)
        memcpy(m->boot + 1, arg, size);
    m->restarts = o->restart;
    if (o->name != NULL)
        snprintf(m->name, sizeof m->name, "%s", o->name);
    return wi_os_random(m->ref.id, sizeof m->ref.id);
}

static int listen_and_offer(weft_manager *m)
{
    char name[WI_LOCAL_NAME];
    socket_name(name, "", &m->ref);
    m->listener = wi_os_local_listen(name);
    if (m->listener < 0)
        return m->listener;
    socket_name(m->boot->socket, "-socket", &m->ref);
    return wi_offer_new(m->boot->socket, m->listener, &m->offer);
}

weft_manager *weft_manager_start_with(weft_manager_init *init, const void *arg,
                                      size_t size,
                                      const struct weft_manager_options *o)
{
    WI_OPTIONS(o);
    wi_require(init != NULL, NULL, "a function that makes the state is needed");
    wi_need_some(arg, size);
    weft_manager *m = manager_new();
    if (m == NULL)
        return &no_memory;
    int rc = wi_forked() ? -WEFT_EFORKED : prepare(m, init, arg, size, o);
    if (rc == 0)
        rc = listen_and_offer(m);
    if (rc < 0) {
        m->code = rc;
        return m;
    }
    m->own = true;
    launch(m);
    return m;
}

weft_manager *weft_manager_open(struct weft_manager_ref ref)
{
    weft_manager *m = manager_new();
    if (m == NULL)
        return &no_memory;
    m->ref = ref;
    return m;
}

struct weft_manager_ref weft_manager_ref(weft_manager *m)
{
    wi_require(m != NULL, m, "a manager is needed");
    return m->ref;
}

// The end ---------------------------------------------------------------------

static void ask_to_stop(weft_manager *m)
{
    struct link *l;
    const struct wi_call_head stop = {.magic = WI_CALL_MAGIC,
                                      .kind = WI_CALL_STOP};
    if (join_link(m, &l) != 0)
        return;
    weft_connection_send(l->c, &stop, sizeof stop);
    put_link(l);
}

static bool has_process(weft_manager *m)
{
    // acquire: pairs with process_ended
    return __atomic_load_n(&m->ended, __ATOMIC_ACQUIRE) == 0;
}

// Whatever the caller's scopes say; shorter if there is no memory to wait with.
static void await_killed(weft_future *f)
{
    if (wi_self() == NULL)
        return;
    WEFT_SHIELD(STOP_SECONDS);
    weft_wait(&f, 1, WEFT_ALL_COMPLETED, STOP_SECONDS);
}

// Whether it does, once it was asked. One that hangs takes no order either.
static bool ends_by_itself(weft_manager *m, weft_future *f)
{
    if (wi_self() == NULL)
        return false; // no memory to wait with
    WEFT_TIMEOUT(STOP_SECONDS);
    ask_to_stop(m);
    return weft_wait(&f, 1, WEFT_ALL_COMPLETED, (double)INFINITY) > 0;
}

// One that is just being started again is asked as well.
static void end_process(weft_manager *m)
{
    while (has_process(m)) {
        wi_mutex_lock(&m->lock);
        m->restarts = 0;
        weft_future *f = weft_future_ref(m->process);
        wi_mutex_unlock(&m->lock);
        if (!ends_by_itself(m, f)) {
            weft_cancel(f);
            await_killed(f);
        }
        weft_future_unref(f);
        if (has_process(m))
            wi_os_futex_wait(&m->ended, 0, wi_os_now() + 1000000, false);
    }
}

static void end_client(weft_manager *m)
{
    wi_mutex_lock(&m->lock);
    m->closing = true;
    struct link *l = m->link;
    wi_mutex_unlock(&m->lock);
    if (l != NULL)
        wi_supervisor_post(&l->end);
    if (l != NULL || m->dead != NULL)
        wi_supervisor_settle();
    close_dead(m);
}

int weft_manager_close(weft_manager *m)
{
    int code = 0;
    if (m == NULL || m == &no_memory)
        return 0;
    if (wi_is_parents(m->born))
        return -WEFT_EFORKED;
    if (m->own) {
        end_process(m);
        code = weft_future_code(m->process);
    }
    end_client(m);
    weft_future_unref(m->process);
    wi_offer_free(m->offer);
    if (m->listener >= 0)
        wi_os_close(m->listener);
    free(m->boot);
    free(m);
    return code;
}
