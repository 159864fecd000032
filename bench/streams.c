// SPDX-License-Identifier: MIT
// streams: what do weft_serve and weft_stream cost above plain system calls?
//
// A client of plain system calls, in its own process and on its own CPU, drives
// each server; the server's CPU time is read from outside by its clock.
//   connect   a connection, 64 bytes there and back, and its end
//   receive   the server reads messages of 4 or 64 KiB, as fast as they come
//   send      the server writes them
//   memory    of a connection that waits for a line
// The same by the clock (_time) is what a client sees: how many connections or
// messages there are in a second, with what both sides and the kernel between
// them take.
// The plain server waits by epoll where it has several connections (connect,
// memory), and sleeps in recv and send where it has one.
//
// Over loopback the sender's CPU wakes the receiver, and to wake one that
// sleeps on an idle processor takes it longer than to send 64 KiB: 20 to 40 us
// on a virtual machine. A client that is woken for each segment, and is quick
// to go to sleep again, would thus measure itself: a server's figure would be
// 15 or 40 us as the client was asleep for half of the messages or for all. So
// the one that receives is woken when LOWEST bytes have come. How often each
// client has slept stands beside the figures.
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <weft.h>

#include "support/bench.h"
#include "support/server.h"

enum { REQUEST = 64, MOST = 64 << 10, LOWEST = 1 << 20 };

static char block[MOST]; // what is sent
static size_t size;      // of a message

// Plain servers ---------------------------------------------------------------

// As all others here, without delays: a segment for each message.
static int accept_plainly(int listener)
{
    int fd, yes = 1;
    fcntl(listener, F_SETFL, 0);
    fd = accept(listener, NULL, NULL);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    return fd;
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

#define WEFT_SERVER(backend, name, function)                                   \
    static void backend##_##name(int listener)                                 \
    {                                                                          \
        bench_weft_serve(listener, function, #backend);                        \
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

static uint64_t exchange(int fd, uint64_t number)
{
    uint64_t request[REQUEST / 8] = {number}, reply[REQUEST / 8];
    memset(&request[1], '\n', sizeof request - 8);
    if (send(fd, request, REQUEST, MSG_NOSIGNAL) != REQUEST ||
        recv(fd, reply, REQUEST, MSG_WAITALL) != REQUEST)
        bench_fail("the server does not answer what was asked");
    return reply[0];
}

// The moment from which on it counts.
struct start {
    double server, client, wall, sleeps;
};

static double client_sleeps(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_nvcsw;
}

static struct start start_now(const struct bench_server *s)
{
    return (struct start){bench_server_cpu(s), bench_cpu(), bench_wall(),
                          client_sleeps()};
}

// The figures of what was done since: CPU time of the server for each of ops,
// and of the client, which has its share of the kernel's work on a connection.
static void tell(const struct bench_server *s, struct bench_reply *reply,
                 uint64_t ops, const struct start *from)
{
    struct start now = start_now(s);
    reply->value = (now.server - from->server) / (double)ops / 1000;
    reply->more[0] = (double)ops / (now.wall - from->wall) * 1e9;
    reply->more[1] = (now.client - from->client) / (double)ops / 1000;
    reply->more[2] = (now.sleeps - from->sleeps) / (double)ops;
}

// The reset at the end keeps the client's ports from running out.
static uint64_t connect_once(const struct bench_server *s, uint64_t number)
{
    const struct linger never = {1, 0};
    int fd = bench_server_dial(s);
    uint64_t answer = exchange(fd, number);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &never, sizeof never);
    close(fd);
    return answer;
}

static void connect_round(const struct bench_ask *ask,
                          struct bench_reply *reply, bench_serve *run)
{
    struct bench_server s;
    bench_server_start(&s, ask, run, NULL);
    for (int i = 0; i < 100; i++)
        connect_once(&s, 0);
    struct start from = start_now(&s);
    for (uint64_t i = 0; i < ask->ops; i++)
        reply->answer += connect_once(&s, i);
    tell(&s, reply, ask->ops, &from);
    bench_server_stop(&s);
}

// What does not count: more than buffers take, so that the server has begun.
static uint64_t warm_up(const struct bench_ask *ask)
{
    return ask->ops / 4 + 1;
}

static void send_blocks(int fd, uint64_t messages)
{
    for (; messages > 0; messages--)
        if (send(fd, block, size, MSG_NOSIGNAL) != (ssize_t)size)
            bench_fail("send: %s", strerror(errno));
}

static uint64_t receive_blocks(int fd, uint64_t messages)
{
    for (uint64_t i = 0; i < messages; i++)
        if (recv(fd, block, size, MSG_WAITALL) != (ssize_t)size)
            bench_fail("recv: %s", strerror(errno));
    return messages * size;
}

static void receive_round(const struct bench_ask *ask,
                          struct bench_reply *reply, bench_serve *run)
{
    struct bench_server s;
    size = (size_t)ask->param[0];
    bench_server_start(&s, ask, run, "receive");
    int fd = bench_server_dial(&s);
    send_blocks(fd, warm_up(ask));
    struct start from = start_now(&s);
    send_blocks(fd, ask->ops);
    shutdown(fd, SHUT_WR);
    if (recv(fd, &reply->answer, 8, MSG_WAITALL) != 8)
        bench_fail("no answer");
    tell(&s, reply, ask->ops, &from);
    bench_server_stop(&s);
}

// So many bytes have to be there before this thread is woken.
static void wake_at(int fd, int bytes)
{
    if (setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof bytes) < 0)
        bench_fail("SO_RCVLOWAT: %s", strerror(errno));
}

// Without the last LOWEST bytes, which nothing would follow.
static uint64_t receive_in_bulk(int fd, uint64_t messages)
{
    uint64_t few = LOWEST / size < messages ? LOWEST / size : messages, sum;
    wake_at(fd, LOWEST);
    sum = receive_blocks(fd, messages - few);
    wake_at(fd, 1);
    return sum + receive_blocks(fd, few);
}

static void send_round(const struct bench_ask *ask, struct bench_reply *reply,
                       bench_serve *run)
{
    struct bench_server s;
    uint64_t messages = warm_up(ask) + ask->ops;
    size = (size_t)ask->param[0];
    bench_server_start(&s, ask, run, "send");
    int fd = bench_server_dial(&s);
    if (send(fd, &messages, 8, MSG_NOSIGNAL) != 8)
        bench_fail("send: %s", strerror(errno));
    reply->answer = receive_blocks(fd, warm_up(ask));
    struct start from = start_now(&s);
    reply->answer += receive_in_bulk(fd, ask->ops);
    tell(&s, reply, ask->ops, &from);
    bench_server_stop(&s);
}

// What each connection after the first hundred adds, once it has had an answer
// and waits for more.
static void memory_round(const struct bench_ask *ask, struct bench_reply *reply,
                         bench_serve *run)
{
    enum { FEW = 100 };
    long count = ask->param[0];
    struct bench_server s;
    double before = 0;
    bench_server_start(&s, ask, run, NULL);
    for (long i = 0; i < count; i++) {
        if (i == FEW)
            before = bench_server_memory(&s);
        reply->answer += exchange(bench_server_dial(&s), (uint64_t)i);
    }
    reply->value = (bench_server_memory(&s) - before) / (double)(count - FEW);
    bench_server_stop(&s);
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
SIDE(connect, bench_plain_echo)
SIDE(receive, uring_receive)
SIDE(receive, epoll_receive)
SIDE(receive, plain_receive)
SIDE(send, uring_send)
SIDE(send, epoll_send)
SIDE(send, plain_send)
SIDE(memory, uring_lines)
SIDE(memory, epoll_lines)
SIDE(memory, bench_plain_echo)

// What a client sees of it.
static void by_the_clock(struct bench_reply *reply)
{
    double server = reply->value;
    reply->value = 1e6 / reply->more[0];
    reply->more[0] = server;
}

#define TIMED(round, server)                                                   \
    static void round##_##server##_time(const struct bench_ask *ask,           \
                                        struct bench_reply *reply)             \
    {                                                                          \
        round##_round(ask, reply, server);                                     \
        by_the_clock(reply);                                                   \
    }
TIMED(connect, uring_echo)
TIMED(connect, epoll_echo)
TIMED(connect, bench_plain_echo)
TIMED(receive, uring_receive)
TIMED(receive, epoll_receive)
TIMED(receive, plain_receive)
TIMED(send, uring_send)
TIMED(send, epoll_send)
TIMED(send, plain_send)

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

static void receive_program(const struct bench_ask *ask,
                            struct bench_reply *reply)
{
    receive_round(ask, reply, NULL);
}

static void send_program(const struct bench_ask *ask, struct bench_reply *reply)
{
    send_round(ask, reply, NULL);
}

#define PEER(name, function, binary, needs)                                    \
    {                                                                          \
        name, BENCH_PEER, .fn = function, .program = binary, .package = needs  \
    }
#define STREAM_PEERS(function)                                                 \
    PEER("libuv", function, "stream_libuv", "libuv1-dev"),                     \
        PEER("Go", function, "stream_go", "golang-go"),                        \
        PEER("asyncio", function, "stream_asyncio", "python3"),                \
        PEER("uvloop", function, "stream_uvloop", "python3-uvloop")
#define ECHO_PEERS(function)                                                   \
    PEER("libuv", function, "echo_libuv", "libuv1-dev"),                       \
        PEER("Go", function, "echo_go", "golang-go"),                          \
        PEER("asyncio", function, "echo_asyncio", "python3"),                  \
        PEER("uvloop", function, "echo_uvloop", "python3-uvloop")

static const struct bench_side connect_sides[] = {
    {"weft io_uring", BENCH_WEFT, .fn = connect_uring_echo},
    {"weft epoll", BENCH_WEFT, .fn = connect_epoll_echo},
    {"epoll loop", BENCH_FLOOR, .fn = connect_bench_plain_echo},
    ECHO_PEERS(connect_program),
    {0}};
static const struct bench_side memory_sides[] = {
    {"weft io_uring", BENCH_WEFT, .fn = memory_uring_lines},
    {"weft epoll", BENCH_WEFT, .fn = memory_epoll_lines},
    {"epoll loop", BENCH_FLOOR, .fn = memory_bench_plain_echo},
    ECHO_PEERS(memory_program),
    {0}};
static const struct bench_side receive_sides[] = {
    {"weft io_uring", BENCH_WEFT, .fn = receive_uring_receive},
    {"weft epoll", BENCH_WEFT, .fn = receive_epoll_receive},
    {"recv", BENCH_FLOOR, .fn = receive_plain_receive},
    STREAM_PEERS(receive_program),
    {0}};
static const struct bench_side send_sides[] = {
    {"weft io_uring", BENCH_WEFT, .fn = send_uring_send},
    {"weft epoll", BENCH_WEFT, .fn = send_epoll_send},
    {"send", BENCH_FLOOR, .fn = send_plain_send},
    STREAM_PEERS(send_program),
    {0}};

static const struct bench_side connect_times[] = {
    {"weft io_uring", BENCH_WEFT, .fn = connect_uring_echo_time},
    {"weft epoll", BENCH_WEFT, .fn = connect_epoll_echo_time},
    {"epoll loop", BENCH_FLOOR, .fn = connect_bench_plain_echo_time},
    {0}};
static const struct bench_side receive_times[] = {
    {"weft io_uring", BENCH_WEFT, .fn = receive_uring_receive_time},
    {"weft epoll", BENCH_WEFT, .fn = receive_epoll_receive_time},
    {"recv", BENCH_FLOOR, .fn = receive_plain_receive_time},
    {0}};
static const struct bench_side send_times[] = {
    {"weft io_uring", BENCH_WEFT, .fn = send_uring_send_time},
    {"weft epoll", BENCH_WEFT, .fn = send_epoll_send_time},
    {"send", BENCH_FLOOR, .fn = send_plain_send_time},
    {0}};

static void ask_traffic(const char *name, const char *what,
                        const struct bench_side *sides, long bytes,
                        const char *floor, const char *first)
{
    bench_ask_backends(
        &(struct bench_question){
            .name = name,
            .what = what,
            .unit = "us",
            .ops = (uint64_t)bench_pick((256 << 20) / bytes, (64 << 20) / bytes,
                                        (1 << 20) / bytes),
            .slow = true,
            .params = {{"bytes", bytes}},
            .more = {first, "client_us", "client_sleeps"},
            .bar = 1 / 0.95,
            .bar_against = floor},
        sides);
}

static void ask_connections(const char *name, const char *what,
                            const struct bench_side *sides, const char *first)
{
    bench_ask_backends(
        &(struct bench_question){.name = name,
                                 .what = what,
                                 .unit = "us",
                                 .ops = (uint64_t)bench_pick(5000, 1000, 50),
                                 .warm = 100,
                                 .more = {first, "client_us", "client_sleeps"},
                                 .bar = 1,
                                 .bar_against = "epoll loop"},
        sides);
}

int main(int argc, char **argv)
{
    bench_start("streams", argc, argv);
    ask_connections("streams/connect",
                    "the server's CPU time of a connection with one exchange",
                    connect_sides, "connections_per_second");
    ask_connections("streams/connect_time",
                    "the time of a connection with one exchange", connect_times,
                    "server_us");
    static const struct {
        const char *name, *what, *name_time, *what_time;
        long bytes;
        bool sends;
    } traffic[] = {
        {"streams/receive_4k", "the server's CPU time of 4 KiB read",
         "streams/receive_4k_time", "the time of 4 KiB read", 4096, false},
        {"streams/receive_64k", "the server's CPU time of 64 KiB read",
         "streams/receive_64k_time", "the time of 64 KiB read", 65536, false},
        {"streams/send_4k", "the server's CPU time of 4 KiB written",
         "streams/send_4k_time", "the time of 4 KiB written", 4096, true},
        {"streams/send_64k", "the server's CPU time of 64 KiB written",
         "streams/send_64k_time", "the time of 64 KiB written", 65536, true},
    };
    for (size_t i = 0; i < sizeof traffic / sizeof *traffic; i++) {
        const char *floor = traffic[i].sends ? "send" : "recv";
        ask_traffic(traffic[i].name, traffic[i].what,
                    traffic[i].sends ? send_sides : receive_sides,
                    traffic[i].bytes, floor, "messages_per_second");
        ask_traffic(traffic[i].name_time, traffic[i].what_time,
                    traffic[i].sends ? send_times : receive_times,
                    traffic[i].bytes, floor, "server_us");
    }
    bench_ask_backends(
        &(struct bench_question){
            .name = "streams/connection",
            .what = "the server's memory for a connection that waits",
            .unit = "bytes",
            .ops = 1,
            .slow = true,
            .params = {{"connections", bench_pick(10000, 2000, 200)}},
            .reps = (unsigned)bench_pick(7, 3, 1),
            .bar = 6144},
        memory_sides);
    return bench_end();
}
