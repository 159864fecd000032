// SPDX-License-Identifier: MIT
// Ten thousand connections at once. The clients are another process, plain C,
// so that each side has descriptors for all.
#include "kit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>

enum { MANY = KIT_SANITIZED ? 500 : 10000, ROUNDS = 2, SPARE = 200 };

// False: this user may not have so many.
static bool allow_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_max < MANY + SPARE)
        return false;
    limit.rlim_cur = limit.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

// The clients -----------------------------------------------------------------

static int dial(uint16_t port)
{
    const struct linger never = {1, 0}; // keep no ports after the end
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &never, sizeof(never));
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
        _exit(2);
    return fd;
}

// Each has a question of its own under way before the first answer is read.
static void ask_all(const int *fds, int round)
{
    for (int i = 0; i < MANY; i++) {
        uint32_t question[2] = {(uint32_t)i, (uint32_t)round};

        if (send(fds[i], question, 8, MSG_NOSIGNAL) != 8)
            _exit(3);
    }
    for (int i = MANY - 1; i >= 0; i--) {
        uint32_t answer[2];

        if (recv(fds[i], answer, 8, MSG_WAITALL) != 8)
            _exit(4);
        if (answer[0] != (uint32_t)i || answer[1] != (uint32_t)round)
            _exit(5);
    }
}

static void be_clients(uint16_t port)
{
    static int fds[MANY];

    for (int i = 0; i < MANY; i++)
        fds[i] = dial(port);
    for (int round = 0; round < ROUNDS; round++)
        ask_all(fds, round);
    _exit(0);
}

// The server ------------------------------------------------------------------

struct server {
    weft_listener *listener;
    int ends[2]; // by which the clients are told the port
    int now, most, answers;
};

static int answer(weft_stream *stream, void *arg)
{
    struct server *s = arg;
    uint32_t question[2];

    s->now++;
    s->most = s->now > s->most ? s->now : s->most;
    while (weft_stream_read_exactly(stream, question, 8) == 8 &&
           weft_stream_write(stream, question, 8) == 8)
        s->answers++;
    s->now--;
    return 0; // a reset is how these clients say goodbye
}

static int serve(void *arg)
{
    struct server *s = arg;

    return weft_serve(s->listener, answer, s);
}

static int wait_for(void *arg)
{
    int status = -1;

    waitpid(*(pid_t *)arg, &status, 0);
    return status;
}

static int run_server(void *arg)
{
    pid_t clients = *(pid_t *)((void **)arg)[0];
    struct server *s = ((void **)arg)[1];
    struct weft_address address;
    uint16_t port;

    kit_assert_code(weft_tcp_listen("127.0.0.1", 0, &s->listener), 0);
    kit_assert_code(weft_listener_address(s->listener, 0, &address), 0);
    port = weft_address_port(&address);
    weft_future *serving = weft_task_start(serve, s);
    ck_assert_int_eq(write(s->ends[1], &port, 2), 2);
    kit_assert_code(weft_blocking(wait_for, &clients), 0);
    weft_listener_stop(s->listener);
    kit_assert_code(weft_join(serving), 0);
    weft_listener_close(s->listener);
    ck_assert_int_eq(s->most, MANY);
    ck_assert_int_eq(s->now, 0);
    ck_assert_int_eq(s->answers, MANY * ROUNDS);
    return 0;
}

WEFT_TEST(ten_thousand_connections, .timeout = 120)
{
    struct server s = {0};
    pid_t clients;

    if (!allow_descriptors())
        weft_test_skip("needs 10,200 descriptors");
    ck_assert_int_eq(pipe(s.ends), 0);
    clients = fork();
    if (clients == 0) {
        uint16_t port = 0;

        if (read(s.ends[0], &port, 2) != 2)
            _exit(1);
        be_clients(port);
    }
    void *both[] = {&clients, &s};
    kit_assert_code(weft_run(run_server, both), 0);
}

WEFT_TEST_MAIN("many")
