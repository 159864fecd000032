// SPDX-License-Identifier: MIT
// streams: what do weft_serve and weft_stream cost above plain system calls?
//
// A client of plain system calls, in its own process and on its own CPU, drives
// each server; the server's CPU time is read from outside by its clock.
//   connect   a connection, 64 bytes there and back, and its end
//   receive   the server reads messages of 4 or 64 KiB, as fast as they come
//   send      the server writes them
//   memory    of a connection that waits for a line
// The plain server waits by epoll where it has several connections (connect,
// memory), and sleeps in recv and send where it has one.
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

enum { REQUEST = 64, LISTENER = 3, MOST = 64 << 10 };

static void pin(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu % (int)sysconf(_SC_NPROCESSORS_ONLN), &set);
    sched_setaffinity(0, sizeof set, &set); // where it may not: anywhere
}

static char block[MOST]; // what is sent
static size_t size;      // of a message

// Plain servers ---------------------------------------------------------------

static void watch(int epoll_fd, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        bench_fail("epoll_ctl: %s", strerror(errno));
}

static void echo_plainly(int fd)
{
    char buf[4096];
    ssize_t n = recv(fd, buf, sizeof buf, MSG_DONTWAIT);
    if (n > 0)
        n = send(fd, buf, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n <= 0)
        close(fd);
}

static void plain_echo(int listener)
{
    struct epoll_event events[256];
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC), yes = 1;
    watch(epoll_fd, listener);
    setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    for (;;) {
        int n = epoll_wait(epoll_fd, events, 256, -1);
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            if (fd == listener)
                watch(epoll_fd, accept4(listener, NULL, NULL, SOCK_NONBLOCK));
            else
                echo_plainly(fd);
        }
    }
}

static int accept_plainly(int listener)
{
    fcntl(listener, F_SETFL, 0);
    return accept(listener, NULL, NULL);
}

static void plain_receive(int listener)
{
    int fd = accept_plainly(listener);
    uint64_t sum = 0;
    ssize_t n;
    while ((n = recv(fd, block, size, 0)) > 0)
        sum += (uint64_t)n;
    send(fd, &sum, sizeof sum, MSG_NOSIGNAL);
    pause();
}

static void plain_send(int listener)
{
    int fd = accept_plainly(listener);
    uint64_t messages;
    recv(fd, &messages, sizeof messages, MSG_WAITALL);
    for (; messages > 0; messages--)
        for (size_t done = 0; done < size;)
            done += (size_t)send(fd, block + done, size - done, MSG_NOSIGNAL);
    pause();
}

// Weft's ----------------------------------------------------------------------

static int echo(weft_stream *s, void *arg)
{
    char buf[4096];
    ssize_t n;
    (void)arg;
    while ((n = weft_stream_read(s, buf, sizeof buf)) > 0)
        if (weft_stream_write(s, buf, (size_t)n) < 0)
            break;
    return 0;
}

// As echo, by lines: through the buffer.
static int echo_lines(weft_stream *s, void *arg)
{
    char line[256];
    ssize_t n;
    (void)arg;
    while ((n = weft_stream_read_line(s, line, sizeof line)) > 0)
        if (weft_stream_write(s, line, (size_t)n) < 0)
            break;
    return 0;
}

static int receive_all(weft_stream *s, void *arg)
{
    uint64_t sum = 0;
    ssize_t n;
    (void)arg;
    while ((n = weft_stream_read(s, block, size)) > 0)
        sum += (uint64_t)n;
    return (int)weft_stream_write(s, &sum, sizeof sum);
}

static int send_all(weft_stream *s, void *arg)
{
    uint64_t messages;
    (void)arg;
    if (weft_stream_read_exactly(s, &messages, sizeof messages) <= 0)
        return 0;
    for (; messages > 0; messages--)
        if (weft_stream_write(s, block, size) < 0)
            break;
    return 0;
}

struct service {
    int listener;
    weft_handler *handler;
};

static int serve(void *arg)
{
    const struct service *service = arg;
    weft_listener *listener;
    int rc = weft_listener_open(service->listener, &listener);
    return rc < 0 ? rc : weft_serve(listener, service->handler, NULL);
}

#define WEFT_SERVER(backend, name, function)                                   \
    static void backend##_##name(int listener)                                 \
    {                                                                          \
        struct service service = {listener, function};                         \
        setenv("WEFT_BACKEND", #backend, 1);                                   \
        weft_run(serve, &service);                                             \
    }
WEFT_SERVER(uring, echo, echo)
WEFT_SERVER(epoll, echo, echo)
WEFT_SERVER(uring, lines, echo_lines)
WEFT_SERVER(epoll, lines, echo_lines)
WEFT_SERVER(uring, receive, receive_all)
WEFT_SERVER(epoll, receive, receive_all)
WEFT_SERVER(uring, send, send_all)
WEFT_SERVER(epoll, send, send_all)

// The client's side -----------------------------------------------------------

struct server {
    pid_t pid;
    uint16_t port;
    clockid_t clock;
};

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

static void become(const char *program, int listener)
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

// serve: in a child of ours; NULL: the program that is asked.
static void start(struct server *s, const struct bench_ask *ask,
                  void (*run)(int listener))
{
    struct rlimit files = {16384, 16384};
    setrlimit(RLIMIT_NOFILE, &files);
    int listener = listen_somewhere(&s->port);
    s->pid = fork();
    if (s->pid < 0)
        bench_fail("fork: %s", strerror(errno));
    if (s->pid == 0) {
        pin(0);
        if (run == NULL)
            become(ask->program, listener);
        run(listener);
        _exit(1);
    }
    close(listener);
    clock_getcpuclockid(s->pid, &s->clock);
    pin(1);
}

static void stop(const struct server *s)
{
    kill(s->pid, SIGKILL);
    waitpid(s->pid, NULL, 0);
}

static double cpu_of(const struct server *s)
{
    struct timespec t;
    clock_gettime(s->clock, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int dial(const struct server *s)
{
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_port = s->port,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int yes = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&addr, sizeof addr) < 0)
        bench_fail("connect: %s", strerror(errno));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    return fd;
}

static uint64_t exchange(int fd, uint64_t number)
{
    uint64_t request[REQUEST / 8] = {number}, reply[REQUEST / 8];
    memset(&request[1], '\n', sizeof request - 8);
    if (send(fd, request, REQUEST, MSG_NOSIGNAL) != REQUEST ||
        recv(fd, reply, REQUEST, MSG_WAITALL) != REQUEST)
        bench_fail("the server does not answer what was asked");
    return reply[0];
}

// The figures of what was done since: CPU time of the server for each of ops.
static void tell(const struct server *s, struct bench_reply *reply,
                 uint64_t ops, double cpu, double wall)
{
    reply->value = (cpu_of(s) - cpu) / (double)ops / 1000;
    reply->more[0] = (double)ops / (bench_wall() - wall) * 1e9;
}

// The reset at the end keeps the client's ports from running out.
static uint64_t connect_once(const struct server *s, uint64_t number)
{
    const struct linger never = {1, 0};
    int fd = dial(s);
    uint64_t answer = exchange(fd, number);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &never, sizeof never);
    close(fd);
    return answer;
}

static void connect_round(const struct bench_ask *ask,
                          struct bench_reply *reply, void (*run)(int listener))
{
    struct server s;
    start(&s, ask, run);
    for (int i = 0; i < 100; i++)
        connect_once(&s, 0);
    double cpu = cpu_of(&s), wall = bench_wall();
    for (uint64_t i = 0; i < ask->ops; i++)
        reply->answer += connect_once(&s, i);
    tell(&s, reply, ask->ops, cpu, wall);
    stop(&s);
}

static void receive_round(const struct bench_ask *ask,
                          struct bench_reply *reply, void (*run)(int listener))
{
    struct server s;
    size = (size_t)ask->param[0];
    start(&s, ask, run);
    int fd = dial(&s);
    double cpu = cpu_of(&s), wall = bench_wall();
    for (uint64_t i = 0; i < ask->ops; i++)
        if (send(fd, block, size, MSG_NOSIGNAL) != (ssize_t)size)
            bench_fail("send: %s", strerror(errno));
    shutdown(fd, SHUT_WR);
    if (recv(fd, &reply->answer, 8, MSG_WAITALL) != 8)
        bench_fail("no answer");
    tell(&s, reply, ask->ops, cpu, wall);
    stop(&s);
}

static void send_round(const struct bench_ask *ask, struct bench_reply *reply,
                       void (*run)(int listener))
{
    struct server s;
    size = (size_t)ask->param[0];
    start(&s, ask, run);
    int fd = dial(&s);
    double cpu = cpu_of(&s), wall = bench_wall();
    uint64_t messages = ask->ops;
    if (send(fd, &messages, 8, MSG_NOSIGNAL) != 8)
        bench_fail("send: %s", strerror(errno));
    for (uint64_t i = 0; i < ask->ops; i++) {
        if (recv(fd, block, size, MSG_WAITALL) != (ssize_t)size)
            bench_fail("recv: %s", strerror(errno));
        reply->answer += size;
    }
    tell(&s, reply, ask->ops, cpu, wall);
    stop(&s);
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
                         void (*run)(int listener))
{
    enum { FEW = 100 };
    long count = ask->param[0];
    struct server s;
    double before = 0;
    start(&s, ask, run);
    for (long i = 0; i < count; i++) {
        if (i == FEW)
            before = memory_of(s.pid);
        reply->answer += exchange(dial(&s), (uint64_t)i);
    }
    reply->value = (memory_of(s.pid) - before) / (double)(count - FEW);
    stop(&s);
}

// Questions -------------------------------------------------------------------

#define SIDE(round, server)                                                    \
    static void round##_##server(const struct bench_ask *ask,                  \
                                 struct bench_reply *reply)                    \
    {                                                                          \
        round##_round(ask, reply, server);                                     \
    }
SIDE(connect, uring_echo)
SIDE(connect, epoll_echo)
SIDE(connect, plain_echo)
SIDE(receive, uring_receive)
SIDE(receive, epoll_receive)
SIDE(receive, plain_receive)
SIDE(send, uring_send)
SIDE(send, epoll_send)
SIDE(send, plain_send)
SIDE(memory, uring_lines)
SIDE(memory, epoll_lines)
SIDE(memory, plain_echo)

static void connect_program(const struct bench_ask *ask,
                            struct bench_reply *reply)
{
    connect_round(ask, reply, NULL);
}

static void memory_program(const struct bench_ask *ask,
                           struct bench_reply *reply)
{
    memory_round(ask, reply, NULL);
}

#define PEERS(function)                                                        \
    {"libuv", BENCH_PEER, .fn = function, .program = "echo_libuv",             \
     .package = "libuv1-dev"},                                                 \
    {                                                                          \
        "asyncio", BENCH_PEER, .fn = function, .program = "echo_asyncio",      \
                               .package = "python3"                            \
    }

static const struct bench_side connect_sides[] = {
    {"weft io_uring", BENCH_WEFT, .fn = connect_uring_echo},
    {"weft epoll", BENCH_WEFT, .fn = connect_epoll_echo},
    {"epoll loop", BENCH_FLOOR, .fn = connect_plain_echo},
    PEERS(connect_program),
    {0}};
static const struct bench_side memory_sides[] = {
    {"weft io_uring", BENCH_WEFT, .fn = memory_uring_lines},
    {"weft epoll", BENCH_WEFT, .fn = memory_epoll_lines},
    {"epoll loop", BENCH_FLOOR, .fn = memory_plain_echo},
    PEERS(memory_program),
    {0}};
static const struct bench_side receive_sides[] = {
    {"weft io_uring", BENCH_WEFT, .fn = receive_uring_receive},
    {"weft epoll", BENCH_WEFT, .fn = receive_epoll_receive},
    {"recv", BENCH_FLOOR, .fn = receive_plain_receive},
    {0}};
static const struct bench_side send_sides[] = {
    {"weft io_uring", BENCH_WEFT, .fn = send_uring_send},
    {"weft epoll", BENCH_WEFT, .fn = send_epoll_send},
    {"send", BENCH_FLOOR, .fn = send_plain_send},
    {0}};

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

static void ask(const struct bench_question *q, const struct bench_side *sides)
{
    static int uring = -1;
    if (uring < 0)
        uring = have_uring();
    if (!uring)
        bench_skip(q->name, sides[0].name, "no io_uring here");
    bench_ask(q, uring ? sides : sides + 1);
}

static void ask_traffic(const char *name, const char *what,
                        const struct bench_side *sides, long bytes,
                        const char *floor)
{
    ask(&(struct bench_question){.name = name,
                                 .what = what,
                                 .unit = "us",
                                 .ops = (uint64_t)bench_pick(
                                     (512 << 20) / bytes, (64 << 20) / bytes,
                                     (1 << 20) / bytes),
                                 .slow = true,
                                 .params = {{"bytes", bytes}},
                                 .more = {"messages_per_second"},
                                 .bar = 1 / 0.95,
                                 .bar_against = floor},
        sides);
}

int main(int argc, char **argv)
{
    bench_start("streams", argc, argv);
    ask(&(struct bench_question){.name = "streams/connect",
                                 .what = "the server's CPU time of a "
                                         "connection with one exchange",
                                 .unit = "us",
                                 .ops = (uint64_t)bench_pick(5000, 1000, 50),
                                 .warm = 100,
                                 .more = {"connections_per_second"},
                                 .bar = 1,
                                 .bar_against = "epoll loop"},
        connect_sides);
    ask_traffic("streams/receive_4k", "the server's CPU time of 4 KiB read",
                receive_sides, 4096, "recv");
    ask_traffic("streams/receive_64k", "the server's CPU time of 64 KiB read",
                receive_sides, 65536, "recv");
    ask_traffic("streams/send_4k", "the server's CPU time of 4 KiB written",
                send_sides, 4096, "send");
    ask_traffic("streams/send_64k", "the server's CPU time of 64 KiB written",
                send_sides, 65536, "send");
    ask(
        &(struct bench_question){
            .name = "streams/connection",
            .what = "the server's memory for a connection that waits",
            .unit = "bytes",
            .ops = 1,
            .slow = true,
            .params = {{"connections", bench_pick(10000, 2000, 200)}},
            .reps = (unsigned)bench_pick(5, 3, 1),
            .bar = 6144},
        memory_sides);
    return bench_end();
}
