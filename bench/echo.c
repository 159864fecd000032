// SPDX-License-Identifier: MIT
// echo: what does a request of 64 bytes cost an echo server in CPU time?
//
// The same client, in its own process and on its own CPU, drives every server:
// a plain epoll loop in C, Weft on each backend with one task a connection, and
// peers/echo_*, which find the listening socket as descriptor 3. Each
// connection has one request on its way at a time. CPU time is the server
// process's own, user and system, read from outside by its clock; first some
// requests that do not count, until tables and caches are warm.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <weft.h>

#include "support/bench.h"

enum { REQUEST = 64, LISTENER = 3, PATH = 4096 };

static void pin(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu % (int)sysconf(_SC_NPROCESSORS_ONLN), &set);
    sched_setaffinity(0, sizeof set, &set); // where it may not: anywhere
}

// The plain server ------------------------------------------------------------

static void watch(int epoll_fd, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        bench_fail("epoll_ctl: %s", strerror(errno));
}

static void raw_echo(int fd)
{
    char buf[4096];
    ssize_t n = recv(fd, buf, sizeof buf, MSG_DONTWAIT);
    if (n > 0)
        n = send(fd, buf, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n <= 0)
        close(fd);
}

static void serve_raw(int listener)
{
    struct epoll_event events[256];
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    watch(epoll_fd, listener);
    for (;;) {
        int n = epoll_wait(epoll_fd, events, 256, -1);
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            if (fd == listener)
                watch(epoll_fd, accept4(listener, NULL, NULL, SOCK_NONBLOCK));
            else
                raw_echo(fd);
        }
    }
}

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
    uint16_t port;
    uint64_t asked, answered; // requests
    uint64_t sum;             // of the numbers that came back
};

static void ask_one(struct client *c, int fd)
{
    uint64_t request[REQUEST / 8] = {c->asked++};
    if (send(fd, request, REQUEST, MSG_NOSIGNAL) != REQUEST)
        bench_fail("send: %s", strerror(errno));
}

static int dial(uint16_t port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_port = port,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int yes = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&addr, sizeof addr) < 0)
        bench_fail("connect: %s", strerror(errno));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    return fd;
}

// With room for so many connections; none is there yet.
static void client_open(struct client *c, unsigned room, uint16_t port)
{
    *c = (struct client){.epoll_fd = epoll_create1(EPOLL_CLOEXEC),
                         .fds = calloc(room, sizeof(int)),
                         .port = port};
}

// So many more connections, with a request on each.
static void client_dial(struct client *c, unsigned more)
{
    for (; more > 0; more--) {
        int fd = c->fds[c->count++] = dial(c->port);
        watch(c->epoll_fd, fd);
        ask_one(c, fd);
    }
}

static void take_one(struct client *c, int fd)
{
    uint64_t reply[REQUEST / 8];
    if (recv(fd, reply, sizeof reply, MSG_WAITALL) != sizeof reply)
        bench_fail("the server does not answer what was asked");
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

// A round ---------------------------------------------------------------------

static int listen_somewhere(uint16_t *port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof addr;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (bind(fd, (struct sockaddr *)&addr, len) < 0 || listen(fd, 4096) < 0 ||
        getsockname(fd, (struct sockaddr *)&addr, &len) < 0)
        bench_fail("listen: %s", strerror(errno));
    *port = addr.sin_port;
    return fd;
}

static void become_server(const char *program, int listener)
{
    const char *path = bench_peer_path(program);
    // dup2 onto itself would leave the descriptor to be closed.
    if (listener == LISTENER)
        fcntl(LISTENER, F_SETFD, 0);
    else
        dup2(listener, LISTENER);
    if (path != NULL)
        execl(path, program, (char *)NULL);
    bench_fail("%s: %s", program, strerror(errno));
}

// serve: in a child of ours; NULL: the program.
static pid_t start_server(void (*serve)(int listener), const char *program,
                          int listener)
{
    pid_t pid = fork();
    if (pid < 0)
        bench_fail("fork: %s", strerror(errno));
    if (pid > 0)
        return pid;
    pin(0);
    if (serve == NULL)
        become_server(program, listener);
    serve(listener);
    _exit(1);
}

static double cpu_of(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

// A server and its client, which has `count` connections.
struct pair {
    pid_t server;
    struct client client;
};

static void open_pair(struct pair *p, const struct bench_ask *ask,
                      void (*serve)(int listener))
{
    struct rlimit files = {16384, 16384};
    uint16_t port;
    setrlimit(RLIMIT_NOFILE, &files);
    int listener = listen_somewhere(&port);
    p->server = start_server(serve, ask->program, listener);
    close(listener);
    pin(1);
    client_open(&p->client, (unsigned)ask->param[0], port);
}

static void close_pair(struct pair *p)
{
    kill(p->server, SIGKILL);
    waitpid(p->server, NULL, 0);
}

static void round_of(const struct bench_ask *ask, struct bench_reply *reply,
                     void (*serve)(int listener))
{
    unsigned count = (unsigned)ask->param[0];
    uint64_t warm = ask->ops / 4 + count, to = warm + ask->ops,
             all = to + count;
    struct pair p;
    clockid_t clock;
    open_pair(&p, ask, serve);
    clock_getcpuclockid(p.server, &clock);
    client_dial(&p.client, count);
    client_run(&p.client, warm, all);
    double cpu = cpu_of(clock), wall = bench_wall();
    client_run(&p.client, to, all);
    cpu = cpu_of(clock) - cpu;
    wall = bench_wall() - wall;
    client_run(&p.client, all, all);
    close_pair(&p);
    reply->value = cpu / (double)ask->ops / 1000;
    reply->answer = p.client.sum;
    reply->more[0] = (double)ask->ops / wall * 1e9;
}

// Resident memory and page tables of another process.
static double memory_of(pid_t pid)
{
    char path[64], line[128];
    double kib = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *in = fopen(path, "re");
    while (in != NULL && fgets(line, sizeof line, in) != NULL)
        if (strncmp(line, "VmRSS:", 6) == 0 || strncmp(line, "VmPTE:", 6) == 0)
            kib += strtod(line + 6, NULL);
    if (in != NULL)
        fclose(in);
    return kib * 1024;
}

// What each connection after the first hundred adds, once it has had an answer
// and waits for more.
static void memory_round(const struct bench_ask *ask, struct bench_reply *reply,
                         void (*serve)(int listener))
{
    enum { FEW = 100 };
    unsigned count = (unsigned)ask->param[0];
    struct pair p;
    open_pair(&p, ask, serve);
    client_dial(&p.client, FEW);
    client_run(&p.client, FEW, FEW);
    double before = memory_of(p.server);
    client_dial(&p.client, count - FEW);
    client_run(&p.client, count, count);
    reply->value = (memory_of(p.server) - before) / (count - FEW);
    reply->answer = p.client.sum;
    close_pair(&p);
}

#define SIDE(name)                                                             \
    static void name##_side(const struct bench_ask *ask,                       \
                            struct bench_reply *reply)                         \
    {                                                                          \
        round_of(ask, reply, serve_##name);                                    \
    }                                                                          \
    static void name##_memory(const struct bench_ask *ask,                     \
                              struct bench_reply *reply)                       \
    {                                                                          \
        memory_round(ask, reply, serve_##name);                                \
    }
SIDE(raw)
SIDE(uring)
SIDE(epoll)

static void program_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    round_of(ask, reply, NULL);
}

static void program_memory(const struct bench_ask *ask,
                           struct bench_reply *reply)
{
    memory_round(ask, reply, NULL);
}

#define PEER(text, function, binary, needs)                                    \
    {                                                                          \
        text, BENCH_PEER, .fn = function, .program = binary, .package = needs  \
    }

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

// Whether the kernel, or who runs the machine, allows io_uring.
static bool have_uring(void)
{
    int status = 1;
    pid_t pid = fork();
    if (pid == 0) {
        setenv("WEFT_BACKEND", "uring", 1);
        _exit(weft_run(nothing, NULL) != 0);
    }
    waitpid(pid, &status, 0);
    return status == 0;
}

#define SIDES(raw, uring, epoll, program, epoll_bar)                           \
    {                                                                          \
        {"weft io_uring", BENCH_WEFT, .fn = uring},                            \
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

static void ask(const struct bench_question *q, const struct bench_side *sides)
{
    static int uring = -1;
    if (uring < 0)
        uring = have_uring();
    if (!uring)
        bench_skip(q->name, sides[0].name, "no io_uring here");
    bench_ask(q, uring ? sides : sides + 1);
}

// The bar of the ring falls with the number of connections; epoll has its own.
static void ask_cpu(const char *name, long connections, long ops, double bar)
{
    ask(&(struct bench_question){.name = name,
                                 .what = "the server's CPU time of one request "
                                         "of 64 bytes",
                                 .unit = "us",
                                 .ops = (uint64_t)ops,
                                 .warm = 1000,
                                 .params = {{"connections", connections}},
                                 .more = {"requests_per_second"},
                                 .bar = bar,
                                 .bar_against = "epoll loop"},
        cpu_sides);
}

static void ask_memory(long connections)
{
    ask(&(struct bench_question){.name = "connection",
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
    long few = bench_pick(10000, 1000, 100);
    long many = bench_pick(50000, 6000, 300);
    ask_cpu("echo/1", 1, few, 1);
    ask_cpu("echo/64", 64, many, 1);
    ask_cpu("echo/1000", bench_pick(1000, 1000, 100), many, 0.9);
    if (bench_pick(1, 0, 0))
        ask_cpu("echo/8000", 8000, many, 0.9);
    ask_memory(bench_pick(5000, 2000, 200));
    return bench_end();
}
