// SPDX-License-Identifier: MIT
//
// A manager's process: one worker thread, on which run
//
//     the main task      takes requests in their order and calls the methods
//     the acceptor       takes in clients
//     for each client    a reader, which makes requests of messages, and a
//                        writer, which sends the replies
//
// So a client that does not read its replies holds up nobody but itself: its
// reader stops when WINDOW of its calls are not answered. All this is plain
// data, since the tasks of one worker do not run at once.
//
// Each call that is taken gets an answer, at the least that there was no memory
// for it. A client that there is no memory for is closed, and knows by that.
#include "process/manager.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weft/connection.h>
#include <weft/error.h>
#include <weft/io.h>
#include <weft/queue.h>
#include <weft/scope.h>
#include <weft/semaphore.h>
#include <weft/task.h>

#include "exec/job.h"
#include "os/event.h"
#include "os/process.h"
#include "process/carry.h"
#include "process/connection.h"
#include "process/offer.h"

enum { WINDOW = 256, REQUESTS = 1024, ROOM = 4096, STOP_S = 2 };

struct client {
    struct client *next, **link;
    weft_connection *connection;
    struct reply *first, **last;   // to be sent
    struct weft_semaphore replies; // one for each of them, and for the end
    struct weft_semaphore window;  // calls that may come before an answer
    unsigned open;                 // requests that are not executed
    bool over;                     // the reader has ended
    unsigned tasks;                // of it that run
    weft_future *writer;
};

struct request {
    struct client *client;
    size_t size; // of the message
    _Alignas(16) char message[];
};

struct reply {
    struct reply *next;
    size_t size;
    struct wi_reply_head head; // the bytes follow
};
_Static_assert(sizeof(struct reply) <=
                   sizeof(struct request) + sizeof(struct wi_call_head),
               "a request has room for the shortest reply: see refuse");

static void *state;
static weft_queue *requests; // of struct request *; NULL: stop
static struct client *clients;
static int listener;

void *weft_manager_state(void)
{
    return state;
}

// Replies ---------------------------------------------------------------------

static struct reply *reply_new(uint64_t call, int code, size_t size)
{
    struct reply *r = malloc(sizeof *r + size);
    if (r == NULL)
        return NULL;
    r->size = sizeof r->head + size;
    r->head = (struct wi_reply_head){WI_REPLY_MAGIC, code, call};
    return r;
}

static struct reply *reply_text(uint64_t call, int code, const char *text)
{
    size_t size = strlen(text);
    struct reply *r = reply_new(call, code, size);
    if (r != NULL)
        memcpy(r + 1, text, size);
    return r;
}

// Where there is no memory for a reply, the request's becomes one.
static struct reply *refuse(struct request *request)
{
    const struct wi_call_head *h = (const void *)request->message;
    struct wi_reply_head head = {WI_REPLY_MAGIC, -ENOMEM, h->call};
    struct reply *r = (struct reply *)request;
    r->size = sizeof head;
    r->head = head;
    return r;
}

static void put_reply(struct client *c, struct reply *r)
{
    r->next = NULL;
    *c->last = r;
    c->last = &r->next;
    weft_semaphore_release(&c->replies, 1);
}

// Waits for one. NULL: none will come.
static struct reply *next_reply(struct client *c)
{
    weft_semaphore_acquire(&c->replies);
    struct reply *r = c->first;
    if (r == NULL)
        return NULL;
    c->first = r->next;
    if (c->first == NULL)
        c->last = &c->first;
    return r;
}

// The writer ends when it has sent what is there.
static void end_replies(struct client *c)
{
    weft_semaphore_release(&c->replies, 1);
}

// The last use of a client whose reader has ended ends its replies.
static void done_with(struct client *c)
{
    if (c->over && c->open == 0)
        end_replies(c);
}

// The last task of a client takes it away.
static void leave(struct client *c)
{
    if (--c->tasks > 0)
        return;
    *c->link = c->next;
    if (c->next != NULL)
        c->next->link = c->link;
    weft_connection_close(c->connection);
    weft_future_unref(c->writer);
    free(c);
}

static int write_replies(void *arg)
{
    struct client *c = arg;
    struct reply *r;
    int rc = 0;
    while ((r = next_reply(c)) != NULL) {
        if (rc == 0)
            rc = weft_connection_send(c->connection, &r->head, r->size);
        free(r);
        weft_semaphore_release(&c->window, 1);
    }
    leave(c);
    return 0;
}

// Methods ---------------------------------------------------------------------

static bool same_job(const struct weft_job *job, const struct wi_call_head *h)
{
    return job->version == h->version && job->arg_size == h->arg_size &&
           job->result_size == h->result_size && job->arg_kind == h->arg_kind &&
           job->result_kind == h->result_kind;
}

static struct reply *reply_value(const struct wi_call_head *h,
                                 const struct weft_job *job, void *result)
{
    struct wi_type type = wi_result_type(job);
    struct reply *r = reply_new(h->call, 0, wi_carry_size(type, result));
    if (r != NULL)
        wi_carry_put(type, result, r + 1);
    if (type.kind == WEFT_BYTES)
        weft_bytes_free(result);
    return r;
}

static struct reply *call(const struct wi_call_head *h,
                          const struct weft_job *job, void *bytes, size_t size)
{
    struct wi_job_frame frame;
    char *room = aligned_alloc(64, (job->arg_size + 63) / 64 * 64 +
                                       (job->result_size + 63) / 64 * 64 + 64);
    if (room == NULL)
        return reply_text(h->call, -ENOMEM, "");
    char *result = room + (job->arg_size + 63) / 64 * 64;
    frame.text[0] = '\0';
    int code = wi_carry_get(wi_arg_type(job), bytes, size, room);
    if (code == 0)
        code = wi_job_call(job, room, result, &frame);
    struct reply *r = code < 0 ? reply_text(h->call, code, frame.text)
                               : reply_value(h, job, result);
    free(room);
    return r;
}

static void execute(struct request *request)
{
    struct client *c = request->client;
    struct wi_call_head *h = (struct wi_call_head *)request->message;
    const struct weft_job *job = weft_job_find(h->name);
    struct reply *r = job == NULL || !same_job(job, h)
                          ? reply_text(h->call, -WEFT_ENOJOB, h->name)
                          : call(h, job, request->message + sizeof *h,
                                 request->size - sizeof *h);
    if (r == NULL)
        r = refuse(request);
    else
        free(request);
    put_reply(c, r);
    c->open--;
    done_with(c);
}

// Clients ---------------------------------------------------------------------

// 0: it is a call; 1: an order to stop.
static int check(struct client *c, const struct request *request)
{
    const struct wi_call_head *h = (const void *)request->message;
    if (request->size < sizeof *h || h->magic != WI_CALL_MAGIC ||
        memchr(h->name, '\0', sizeof h->name) == NULL)
        return -WEFT_EPROTO;
    if (h->kind == WI_CALL_JOB)
        return 0;
    struct weft_peer peer = {.size = sizeof peer};
    bool parent = weft_connection_peer(c->connection, &peer) == 0 &&
                  peer.pid == wi_os_parent();
    return h->kind == WI_CALL_STOP && parent ? 1 : -WEFT_EPROTO;
}

// For a message of so many bytes. While there is no memory the client waits,
// for a second at most.
static struct request *request_new(size_t size)
{
    struct request *r = malloc(sizeof *r + size);
    for (int i = 0; i < 100 && r == NULL && weft_sleep(0.01) == 0; i++)
        r = malloc(sizeof *r + size);
    return r;
}

static ssize_t receive(struct client *c, struct request **request)
{
    ssize_t n = weft_connection_next(c->connection);
    if (n < 0)
        return n;
    *request = request_new((size_t)n);
    if (*request == NULL)
        return -ENOMEM;
    (*request)->client = c;
    (*request)->size = (size_t)n;
    n = weft_connection_receive(c->connection, (*request)->message, (size_t)n);
    if (n < 0)
        free(*request);
    return n;
}

static void reader_ended(void *arg)
{
    struct client *c = arg;
    c->over = true;
    done_with(c);
    leave(c);
}

// NULL is an order to stop.
static bool put_request(struct client *c, struct request *request)
{
    c->open += request != NULL;
    if (weft_queue_put(requests, &request) == 0)
        return true;
    c->open -= request != NULL;
    free(request);
    return false;
}

// Who sends what is no call is not listened to any more.
static int read_requests(void *arg)
{
    struct client *c = arg;
    struct request *request;
    while (weft_semaphore_acquire(&c->window) == 0 &&
           receive(c, &request) >= 0) {
        int rc = check(c, request);
        if (rc != 0)
            free(request);
        if (rc < 0 || !put_request(c, rc > 0 ? NULL : request))
            break;
    }
    reader_ended(c);
    return 0;
}

static void never_written(void *arg)
{
    leave(arg);
}

static void client_new(weft_connection *connection)
{
    struct client *c = malloc(sizeof *c);
    if (c == NULL) {
        weft_connection_close(connection);
        return;
    }
    *c = (struct client){.connection = connection, .tasks = 2};
    c->last = &c->first;
    weft_semaphore_init(&c->replies, 0);
    weft_semaphore_init(&c->window, WINDOW);
    c->link = &clients;
    c->next = clients;
    if (clients != NULL)
        clients->link = &c->next;
    clients = c;
    c->writer = weft_task_start(write_replies, c, .drop = never_written);
    if (weft_done(c->writer)) // without it nobody would be answered
        reader_ended(c);
    else
        weft_future_unref(
            weft_task_start(read_requests, c, .drop = reader_ended));
}

static int accept_clients(void *arg)
{
    (void)arg;
    for (;;) {
        weft_connection *c;
        int fd = wi_os_local_accept(listener);
        if (fd == -EAGAIN)
            fd = weft_fd_wait(listener, WEFT_READABLE) < 0 ? -ECANCELED
                                                           : -EAGAIN;
        else if (fd >= 0 && !wi_os_local_same_user(fd))
            wi_os_close(fd);
        else if (fd >= 0 && wi_connection_new(fd, &c) == 0)
            client_new(c);
        else if (fd < 0 && weft_sleep(0.01) < 0) // no descriptor is free
            return 0;
        if (fd == -ECANCELED)
            return 0;
    }
}

// The process -----------------------------------------------------------------

// A client whose writer still has something to send; NULL: there is none.
static struct client *unsent(void)
{
    struct client *c = clients;
    while (c != NULL && weft_done(c->writer))
        c = c->next;
    return c;
}

static void send_the_rest(void)
{
    WEFT_TIMEOUT(STOP_S);
    struct client *c;
    int rc = 0;
    while (rc >= 0 && (c = unsent()) != NULL) {
        weft_future *writer = weft_future_ref(c->writer);
        end_replies(c);
        rc = weft_wait(&writer, 1, WEFT_ALL_COMPLETED, INFINITY);
        weft_future_unref(writer);
    }
}

static int serve(void *arg)
{
    struct request *request;
    (void)arg;
    requests = weft_queue_new(.maxsize = REQUESTS);
    weft_future_unref(weft_task_start(accept_clients, NULL));
    while (weft_queue_get(requests, &request) == 0 && request != NULL)
        execute(request);
    send_the_rest();
    return 0;
}

static void *find(const struct wi_name *name)
{
    weft_function *fn = wi_name_find_function(name);
    return (void *)(uintptr_t)fn;
}

int wi_manager_serve(void *arg)
{
    struct wi_manager_boot *boot = arg;
    weft_manager_init *init = (weft_manager_init *)(uintptr_t)find(&boot->init);
    void (*fini)(void *) = (void (*)(void *))(uintptr_t)find(&boot->fini);
    if (init == NULL)
        return -WEFT_ENOJOB;
    listener = wi_offer_take(boot->socket);
    if (listener < 0)
        return listener;
    state = init(boot->size > 0 ? boot + 1 : NULL, boot->size);
    if (state == NULL)
        return -WEFT_EBROKEN;
    int rc = weft_run(serve, NULL);
    if (rc == 0 && fini != NULL)
        fini(state);
    return rc;
}
