// SPDX-License-Identifier: MIT
// echo: what does a request of 64 bytes cost an echo server in CPU time?
//
// The same client, in its own process and on its own CPU, drives every server:
// a plain epoll loop in C, Weft on each backend with one task a connection, and
// peers/echo_*, which find the listening socket as descriptor 3. Each
// connection has one request on its way at a time. CPU time is the server
// process's own, user and system, read from outside by its clock; first some
// requests that do not count, until tables and caches are warm. Beside it
// stands the 99th percentile of the time, by the client's clock, from a request
// to its answer.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <weft.h>

#include "support/bench.h"
#include "support/server.h"

enum { REQUEST = 64 };

// Weft's server ---------------------------------------------------------------

static int echo(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char buf[4096];
    ssize_t n;
    while ((n = weft_read(fd, buf, sizeof buf)) > 0)
        if ((n = weft_write_all(fd, buf, (size_t)n)) < 0)
            break;
    weft_close(fd);
    return 0;
}

static int accept_all(void *arg)
{
    int listener = (int)(intptr_t)arg;
    for (;;) {
        int fd = weft_accept(listener, NULL, NULL);
        if (fd < 0)
            return fd;
        weft_future_unref(weft_task_start(echo, (void *)(intptr_t)fd));
    }
}

static void serve_weft(int listener, const char *backend)
{
    setenv("WEFT_BACKEND", backend, 1);
    weft_run(accept_all, (void *)(intptr_t)listener);
}

static void serve_uring(int listener)
{
    serve_weft(listener, "uring");
}

static void serve_epoll(int listener)
{
    serve_weft(listener, "epoll");
}

// The client ------------------------------------------------------------------

struct client {
    int epoll_fd;
    int *fds;
    unsigned count;
    const struct bench_server *server;
    uint64_t asked, answered; // requests
    uint64_t sum;             // of the numbers that came back
    double *began;            // by descriptor: when its request went out
    double *took;             // ns of each request that counts; NULL: none does
    unsigned took_count;
};

enum { DESCRIPTORS = 65536 };

static void ask_one(struct client *c, int fd)
{
    uint64_t request[REQUEST / 8] = {c->asked++};
    c->began[fd] = bench_wall();
    if (send(fd, request, REQUEST, MSG_NOSIGNAL) != REQUEST)
        bench_fail("send: %s", strerror(errno));
}

// With room for so many connections; none is there yet.
static void client_open(struct client *c, unsigned room,
                        const struct bench_server *server)
{
    *c = (struct client){.epoll_fd = epoll_create1(EPOLL_CLOEXEC),
                         .fds = calloc(room, sizeof(int)),
                         .began = calloc(DESCRIPTORS, sizeof(double)),
                         .server = server};
}

// So many more connections, with a request on each.
static void client_dial(struct client *c, unsigned more)
{
    for (; more > 0; more--) {
        int fd = c->fds[c->count++] = bench_server_dial(c->server);
        bench_watch(c->epoll_fd, fd);
        ask_one(c, fd);
    }
}

static void take_one(struct client *c, int fd)
{
    uint64_t reply[REQUEST / 8];
    if (recv(fd, reply, sizeof reply, MSG_WAITALL) != sizeof reply)
        bench_fail("the server does not answer what was asked");
    if (c->took != NULL)
        c->took[c->took_count++] = bench_wall() - c->began[fd];
    c->answered++;
    c->sum += reply[0];
}

// Until `answered` have come; asks on until `asked` have gone out.
static void client_run(struct client *c, uint64_t answered, uint64_t asked)
{
    struct epoll_event events[256];
    while (c->answered < answered) {
        int n = epoll_wait(c->epoll_fd, events, 256, -1);
        for (int i = 0; i < n; i++) {
            take_one(c, events[i].data.fd);
            if (c->asked < asked)
                ask_one(c, events[i].data.fd);
        }
    }
}

// Microseconds than which 99 of 100 have not taken longer. From here on they do
// not count.
static double slow_ones(struct client *c)
{
    double value;

    bench_median(c->took, c->took_count); // sorts them
    value = c->took[(uint64_t)c->took_count * 99 / 100] / 1000;
    free(c->took);
    c->took = NULL;
    return value;
}

// A round ---------------------------------------------------------------------

// A server and its client, which has room for as many connections as asked.
struct pair {
    struct bench_server server;
    struct client client;
};

static void open_pair(struct pair *p, const struct bench_ask *ask,
                      bench_serve *serve)
{
    bench_server_start(&p->server, ask, serve, NULL);
    client_open(&p->client, (unsigned)ask->param[0], &p->server);
}

static void round_of(const struct bench_ask *ask, struct bench_reply *reply,
                     bench_serve *serve)
{
    unsigned count = (unsigned)ask->param[0];
    uint64_t warm = ask->ops / 4 + count, to = warm + ask->ops,
             all = to + count;
    struct pair p;
    open_pair(&p, ask, serve);
    client_dial(&p.client, count);
    client_run(&p.client, warm, all);
    p.client.took = calloc(ask->ops + count, sizeof(double));
    double cpu = bench_server_cpu(&p.server), wall = bench_wall();
    client_run(&p.client, to, all);
    cpu = bench_server_cpu(&p.server) - cpu;
    wall = bench_wall() - wall;
    reply->more[1] = slow_ones(&p.client);
    client_run(&p.client, all, all);
    bench_server_stop(&p.server);
    reply->value = cpu / (double)ask->ops / 1000;
    reply->answer = p.client.sum;
    reply->more[0] = (double)ask->ops / wall * 1e9;
}

// What each connection after the first hundred adds, once it has had an answer
// and waits for more.
static void memory_round(const struct bench_ask *ask, struct bench_reply *reply,
                         bench_serve *serve)
{
    enum { FEW = 100 };
    unsigned count = (unsigned)ask->param[0];
    struct pair p;
    open_pair(&p, ask, serve);
    client_dial(&p.client, FEW);
    client_run(&p.client, FEW, FEW);
    double before = bench_server_memory(&p.server);
    client_dial(&p.client, count - FEW);
    client_run(&p.client, count, count);
    reply->value = (bench_server_memory(&p.server) - before) / (count - FEW);
    reply->answer = p.client.sum;
    bench_server_stop(&p.server);
}

#define SIDE(name, serve)                                                      \
    static void name##_side(const struct bench_ask *ask,                       \
                            struct bench_reply *reply)                         \
    {                                                                          \
        round_of(ask, reply, serve);                                           \
    }                                                                          \
    static void name##_memory(const struct bench_ask *ask,                     \
                              struct bench_reply *reply)                       \
    {                                                                          \
        memory_round(ask, reply, serve);                                       \
    }
SIDE(raw, bench_plain_echo)
SIDE(uring, serve_uring)
SIDE(epoll, serve_epoll)

static void program_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    round_of(ask, reply, NULL);
}

static void program_memory(const struct bench_ask *ask,
                           struct bench_reply *reply)
{
    memory_round(ask, reply, NULL);
}

#define OTHER(text, role, function, binary, needs)                             \
    {                                                                          \
        text, role, .fn = function, .program = binary, .package = needs        \
    }
#define PEER(text, function, binary, needs)                                    \
    OTHER(text, BENCH_PEER, function, binary, needs)

#define SIDES(raw, uring, epoll, program, epoll_bar)                           \
    {                                                                          \
        {"weft io_uring", BENCH_WEFT, .fn = uring},                            \
            OTHER("io_uring loop", BENCH_FLOOR, program, "echo_ring",          \
                  "liburing-dev"),                                             \
            {"weft epoll", BENCH_WEFT, .fn = epoll, .bar = epoll_bar},         \
            {"epoll loop", BENCH_FLOOR, .fn = raw},                            \
            PEER("libuv", program, "echo_libuv", "libuv1-dev"),                \
            PEER("libev", program, "echo_libev", "libev-dev"),                 \
            PEER("GLib", program, "echo_glib", "libglib2.0-dev"),              \
            PEER("Boost.Asio", program, "echo_asio", "libboost-dev"),          \
            PEER("Go", program, "echo_go", "golang-go"),                       \
            PEER("tokio", program, "echo_tokio", "librust-tokio-dev"),         \
            PEER("asyncio", program, "echo_asyncio", "python3"),               \
            PEER("uvloop", program, "echo_uvloop", "python3-uvloop"),          \
        {                                                                      \
            0                                                                  \
        }                                                                      \
    }

static const struct bench_side cpu_sides[] =
    SIDES(raw_side, uring_side, epoll_side, program_side, 1.1);
static const struct bench_side memory_sides[] =
    SIDES(raw_memory, uring_memory, epoll_memory, program_memory, 0);

// The bar of the ring falls with the number of connections; epoll has its own.
// GLib polls all its descriptors each time.
static void ask_cpu(const char *name, long connections, long ops, double bar)
{
    bench_ask_backends(
        &(struct bench_question){
            .name = name,
            .what = "the server's CPU time of one request of 64 bytes",
            .unit = "us",
            .ops = (uint64_t)ops,
            .warm = 1000,
            .params = {{"connections", connections}},
            .more = {"requests_per_second", "p99"},
            .bar = bar,
            .bar_against = "epoll loop",
            .without = {connections == 10000 ? "GLib" : NULL},
            .why = "a sample takes a quarter of a minute"},
        cpu_sides);
}

static void ask_memory(long connections)
{
    bench_ask_backends(
        &(struct bench_question){.name = "connection",
                                 .what = "the server's memory for a connection "
                                         "that waits",
                                 .unit = "bytes",
                                 .ops = 1,
                                 .slow = true,
                                 .params = {{"connections", connections}},
                                 .reps = (unsigned)bench_pick(7, 3, 1)},
        memory_sides);
}

int main(int argc, char **argv)
{
    bench_start("echo", argc, argv);
    long few = bench_pick(5000, 1000, 100);
    long many = bench_pick(30000, 6000, 300);
    ask_cpu("echo/1", 1, few, 1);
    ask_cpu("echo/64", 64, many, 1);
    ask_cpu("echo/1000", bench_pick(1000, 1000, 100), many, 0.9);
    if (bench_pick(1, 0, 0))
        ask_cpu("echo/10000", 10000, many, 0.9);
    ask_memory(bench_pick(5000, 2000, 200));
    return bench_end();
}
