// SPDX-License-Identifier: MIT
//
// Work that waits. tour_fetch() is written as plain C that blocks; in a task
// the same calls park the task instead of the thread.
#include "tour_work.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <weft.h>

#include "tour_server.h"

struct fetch_order {
    struct tour_request request;
    uint16_t port;
};

struct fetched {
    uint64_t bytes;
    uint8_t digest[DIGEST_SIZE];
};

static int connect_to(uint16_t port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int rc = weft_connect(fd, (struct sockaddr *)&addr, sizeof(addr));
    if (rc < 0)
        weft_close(fd);
    return rc < 0 ? rc : fd;
}

static int receive(int fd, struct tour_answer *answer)
{
    size_t filled = 0;
    ssize_t n;

    do {
        n = weft_read(fd, (char *)answer + filled, sizeof(*answer) - filled);
        filled += n > 0 ? (size_t)n : 0;
    } while (n > 0 && filled < sizeof(*answer));
    if (n < 0)
        return (int)n;
    if (filled < sizeof(answer->length) ||
        filled != offsetof(struct tour_answer, data) + answer->length)
        return -EPROTO;
    return 0;
}

static int digest_answer(const struct tour_answer *answer,
                         struct fetched *fetched)
{
    struct digest *digest = digest_begin();

    if (!digest)
        return -ENOMEM;
    fetched->bytes = answer->length;
    int rc = digest_add(digest, answer->data, answer->length);
    int ended = digest_end(digest, fetched->digest);
    return rc < 0 ? rc : ended;
}

// The function that every way of working calls.
static int tour_fetch(const struct fetch_order *order, struct fetched *fetched)
{
    struct tour_answer answer;
    ssize_t rc;

    WEFT_TIMEOUT(30);
    int fd = connect_to(order->port);
    if (fd < 0)
        return fd;
    rc = weft_write_all(fd, &order->request, sizeof(order->request));
    if (rc >= 0)
        rc = receive(fd, &answer);
    weft_close(fd);
    return rc < 0 ? (int)rc : digest_answer(&answer, fetched);
}

// Who calls it ----------------------------------------------------------------

static void fetch_one(struct tour_set *set, size_t i)
{
    const struct fetch_order *orders = set->context;

    set->codes[i] = tour_fetch(&orders[i], tour_set_result(set, i));
}

WEFT_JOB(struct fetched, fetch_job, struct fetch_order, order)
{
    struct fetched fetched = {0};
    int rc = tour_fetch(&order, &fetched);

    if (rc < 0)
        weft_fail(rc, "fetch: %s", weft_strerror(rc));
    return fetched;
}

// One job a resource, one future a job.
static int run_pool(struct tour_set *set, weft_executor *ex)
{
    const struct fetch_order *orders = set->context;
    weft_future **jobs = calloc(set->count, sizeof(weft_future *));
    int rc = jobs ? 0 : -ENOMEM;

    for (size_t i = 0; jobs && i < set->count; i++)
        jobs[i] = weft_submit_job(ex, &weft_job_fetch_job, &orders[i]);
    if (jobs)
        rc = weft_gather_into(jobs, set->count, set->results, set->result_size,
                              set->codes);
    free(jobs);
    weft_executor_close(ex);
    return rc;
}

static int run_blocking_pool(struct tour_set *set)
{
    return run_pool(set, weft_thread_pool(.blocking = true, .workers = 64));
}

static int run_thread_pool(struct tour_set *set)
{
    return run_pool(set, weft_thread_pool());
}

static struct fetch_order *make_orders(const struct tour_server *server,
                                       size_t count)
{
    struct fetch_order *orders = calloc(count, sizeof(*orders));

    for (size_t i = 0; orders && i < count; i++) {
        memcpy(orders[i].request.token, server->token, TOUR_TOKEN_SIZE);
        orders[i].request.index = (uint32_t)(i % server->resources);
        orders[i].port = server->port;
    }
    return orders;
}

static void add_bytes(struct tour_work *work, const struct tour_set *set)
{
    const struct fetched *fetched = (const void *)set->first_results;

    for (size_t i = 0; i < set->count; i++)
        work->bytes += set->first_codes[i] < 0 ? 0 : fetched[i].bytes;
}

static void run_ways(struct tour_work *work, struct tour_set *set,
                     tour_told *told, void *context)
{
    const struct tour_plan plans[] = {
        {"one after another", "thread", 1, tour_run_sequence},
        {"a thread for each fetch", "thread", 0, tour_run_thread_each},
        {"thread pool (jobs block)", "thread", 64, run_blocking_pool},
        {"thread pool (jobs park)", "thread", weft_cpu_count(),
         run_thread_pool},
        {"tasks on one loop", "thread", 1, tour_run_tasks},
    };

    for (size_t i = 0; i < sizeof(plans) / sizeof(plans[0]); i++)
        told(context, tour_measure(work, set, &plans[i]));
    add_bytes(work, set);
}

int tour_fetch_all(struct tour_work *work, const struct tour_files *files,
                   size_t count, tour_told *told, void *context)
{
    struct tour_server server;
    size_t resources = files->count < count ? files->count : count;
    struct tour_set set = {.one = fetch_one};

    work->items = count;
    int rc = tour_server_start(&server, files, (uint32_t)resources);
    if (rc < 0)
        return rc;
    set.context = make_orders(&server, count);
    rc = set.context ? tour_set_init(&set, count, sizeof(struct fetched))
                     : -ENOMEM;
    if (rc == 0)
        run_ways(work, &set, told, context);
    free(set.context);
    tour_set_fini(&set);
    tour_server_stop(&server);
    return rc;
}
