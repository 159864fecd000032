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

static void client_open(struct client *c, unsigned count, uint16_t port)
{
    *c = (struct client){.epoll_fd = epoll_create1(EPOLL_CLOEXEC),
                         .fds = calloc(count, sizeof(int)),
                         .count = count};
    for (unsigned i = 0; i < count; i++)
        watch(c->epoll_fd, c->fds[i] = dial(port));
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

static void round_of(const struct bench_ask *ask, struct bench_reply *reply,
                     void (*serve)(int listener))
{
    unsigned count = (unsigned)ask->param[0];
    uint64_t warm = ask->ops / 4 + count, to = warm + ask->ops,
             all = to + count;
    struct rlimit files = {16384, 16384};
    struct client c;
    clockid_t clock;
    uint16_t port;
    setrlimit(RLIMIT_NOFILE, &files);
    int listener = listen_somewhere(&port);
    pid_t pid = start_server(serve, ask->program, listener);
    close(listener);
    pin(1);
    clock_getcpuclockid(pid, &clock);
    client_open(&c, count, port);
    for (unsigned i = 0; i < count; i++)
        ask_one(&c, c.fds[i]);
    client_run(&c, warm, all);
    double cpu = cpu_of(clock), wall = bench_wall();
    client_run(&c, to, all);
    cpu = cpu_of(clock) - cpu;
    wall = bench_wall() - wall;
    client_run(&c, all, all);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    reply->value = cpu / (double)ask->ops / 1000;
    reply->answer = c.sum;
    reply->more[0] = (double)ask->ops / wall * 1e9;
}

#define SIDE(name)                                                             \
    static void name##_side(const struct bench_ask *ask,                       \
                            struct bench_reply *reply)                         \
    {                                                                          \
        round_of(ask, reply, serve_##name);                                    \
    }
SIDE(raw)
SIDE(uring)
SIDE(epoll)

static void program_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    round_of(ask, reply, NULL);
}

#define PEER(text, binary, needs)                                              \
    {                                                                          \
        text, BENCH_PEER, .fn = program_side, .program = binary,               \
                          .package = needs                                     \
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

// The bar of the ring falls with the number of connections; epoll has its own.
static void ask(const char *name, long connections, long ops, double bar)
{
    const struct bench_side all[] = {
        {"weft io_uring", BENCH_WEFT, .fn = uring_side},
        {"weft epoll", BENCH_WEFT, .fn = epoll_side, .bar = 1.1},
        {"epoll loop", BENCH_FLOOR, .fn = raw_side},
        PEER("libuv", "echo_libuv", "libuv1-dev"),
        PEER("libev", "echo_libev", "libev-dev"),
        PEER("GLib", "echo_glib", "libglib2.0-dev"),
        PEER("Boost.Asio", "echo_asio", "libboost-dev"),
        PEER("Go", "echo_go", "golang-go"),
        PEER("asyncio", "echo_asyncio", "python3"),
        PEER("uvloop", "echo_uvloop", "python3-uvloop"),
        {0}};
    const struct bench_side *sides = all;
    if (!have_uring()) {
        bench_skip(name, all[0].name, "no io_uring here");
        sides++;
    }
    bench_ask(&(struct bench_question){.name = name,
                                       .what = "the server's CPU time of one "
                                               "request of 64 bytes",
                                       .unit = "us",
                                       .ops = (uint64_t)ops,
                                       .warm = 1000,
                                       .params = {{"connections", connections}},
                                       .more = {"requests_per_second"},
                                       .bar = bar,
                                       .bar_against = "epoll loop"},
              sides);
}

int main(int argc, char **argv)
{
    bench_start("echo", argc, argv);
    long few = bench_pick(20000, 3000, 100);
    long many = bench_pick(60000, 8000, 300);
    ask("echo/1", 1, few, 1);
    ask("echo/64", 64, many, 1);
    ask("echo/1000", bench_pick(1000, 1000, 100), many, 0.9);
    if (bench_pick(1, 0, 0))
        ask("echo/8000", 8000, many, 0.9);
    return bench_end();
}
