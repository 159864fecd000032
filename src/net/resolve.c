// SPDX-License-Identifier: MIT
//
// resolve.c: names are looked up by jobs on a small pool of threads, which is
// started by the first one. A request belongs to the job and to who waits for
// it; who gives up leaves it to the job, since the C library's resolver cannot
// be interrupted. So a dead name server costs at most these threads, and never
// those of other work.
#include <weft/dns.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <weft/error.h>
#include <weft/executor.h>

#include "base/options.h"
#include "exec/common_pool.h"
#include "os/report.h"
#include "os/resolve.h"
#include "os/socket.h"
#include "sched/park.h"

enum {
    THREADS = 8,
    LONGEST_NAME = 253, // of a name, and of a part of it: RFC 1035
    LONGEST_PART = 63,
    LONGEST_ANSWER = 1025, // NI_MAXHOST
};

struct request {
    uint32_t refs; // the job and the waiter, atomically
    int family;
    bool passive, reverse;
    struct weft_address address; // reverse: what is asked for
    char host[LONGEST_ANSWER];   // asked for, or the answer of a reverse
    struct weft_address *list;   // the answer
};

struct order {
    struct request *request;
};

static weft_executor *the_pool(void)
{
    static struct wi_common_pool pool;

    return wi_common_pool_get(
        &pool, WEFT_OPTIONS(weft_thread_pool_options, .name = "resolver",
                            .blocking = true, .workers = THREADS));
}

static void release(struct request *r)
{
    // acq_rel: the last one sees what the other has written
    if (__atomic_sub_fetch(&r->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    free(r->list);
    free(r);
}

static struct request *new_request(void)
{
    struct request *r = calloc(1, sizeof(*r));

    if (r != NULL)
        r->refs = 2;
    return r;
}

WEFT_JOB(int, wi_resolve, struct order, order)
{
    struct request *r = order.request;
    int rc = r->reverse
                 ? wi_os_resolve_name(&r->address, r->host, sizeof(r->host))
                 : wi_os_resolve(r->host[0] ? r->host : NULL, r->family,
                                 r->passive, &r->list);

    release(r);
    return rc;
}

// Has the request answered. When this returns, the waiter still has its
// reference. A future that has failed is that of a job that never ran, since
// the job itself does not fail; then its reference is nobody's.
static int perform(struct request *r)
{
    weft_future *f = weft_submit(the_pool(), wi_resolve, .request = r);
    int answer = 0, rc = weft_get(f, &answer);

    if (rc < 0) {
        weft_cancel(f);
        if (weft_done(f) && weft_future_code(f) < 0)
            release(r);
    }
    weft_future_unref(f);
    return rc < 0 ? rc : answer;
}

static int check_name(const char *host)
{
    size_t size = strlen(host), part = 0;

    if (size == 0)
        return -EINVAL;
    if (host[size - 1] == '.') // the root, which does not count
        size--;
    if (size > LONGEST_NAME)
        return -ENAMETOOLONG;
    for (size_t i = 0; i < size; i++) {
        part = host[i] == '.' ? 0 : part + 1;
        if (part > LONGEST_PART)
            return -ENAMETOOLONG;
    }
    return 0;
}

static ssize_t copy_out(const struct request *r, ssize_t n, uint16_t port,
                        struct weft_address *list, size_t room)
{
    for (ssize_t i = 0; i < n && (size_t)i < room; i++) {
        list[i] = r->list[i];
        wi_os_set_port(&list[i].storage, port);
    }
    return n;
}

static ssize_t ask(const char *host, uint16_t port, struct weft_address *list,
                   size_t room, const struct weft_resolve_options *options)
{
    struct request *r = new_request();
    ssize_t n;

    if (r == NULL)
        return -ENOMEM;
    r->family = options->family;
    r->passive = options->passive;
    if (host != NULL)
        memcpy(r->host, host, strlen(host) + 1);
    n = perform(r);
    if (n >= 0)
        n = copy_out(r, n, port, list, room);
    release(r);
    return n;
}

ssize_t weft_resolve_with(const char *host, uint16_t port,
                          struct weft_address *list, size_t room,
                          const struct weft_resolve_options *options)
{
    wi_need_some(list, room);
    WI_OPTIONS(options);
    wi_require(host != NULL || options->passive, list,
               "the host must not be NULL, unless .passive is true");
    struct weft_address number;
    int rc = wi_check_scopes();

    if (rc == 0 && host != NULL)
        rc = check_name(host);
    if (rc < 0)
        return rc;
    if (host == NULL || weft_address_parse(&number, host, port) < 0)
        return ask(host, port, list, room, options);
    if (options->family != 0 && options->family != number.storage.ss_family)
        return -WEFT_ENOHOST;
    if (room > 0)
        list[0] = number;
    return 1;
}

int weft_resolve_name(const struct weft_address *address, char *host,
                      size_t size)
{
    wi_need(address);
    wi_need(host);
    int rc = wi_check_scopes();
    struct request *r = rc == 0 ? new_request() : NULL;
    size_t length;

    if (r == NULL)
        return rc < 0 ? rc : -ENOMEM;
    r->reverse = true;
    r->address = *address;
    rc = perform(r);
    length = rc == 0 ? strlen(r->host) : 0;
    if (length >= size)
        rc = -ENAMETOOLONG;
    if (rc == 0)
        memcpy(host, r->host, length + 1);
    release(r);
    return rc;
}
