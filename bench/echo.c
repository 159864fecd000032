// SPDX-License-Identifier: MIT
//
// echo.c: what a request costs an echo server in CPU time.
//
// The same client, in its own process and on its own CPU, drives three servers
// in turn: a plain epoll loop in C, and Weft on each backend, with one task a
// connection. Each connection has one request of 64 bytes on its way at a
// time. CPU time is the server process's own, user and system, read from
// outside by its clock. A machine changes its pace, so the servers take turns,
// and the ratio is the median of the ratios of neighbors.
//
//     echo [-c CONNECTIONS[,CONNECTIONS...]] [-r ROUNDS] [-s SECONDS] [MODE...]
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <weft.h>

#define REQUEST 64
#define MOST    100 // rounds

static const char *const all_modes[] = {"raw", "epoll", "uring"};

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void pin(int cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(cpu % (int)sysconf(_SC_NPROCESSORS_ONLN), &set);
    if (sched_setaffinity(0, sizeof(set), &set) < 0)
        die("sched_setaffinity");
}

// The plain server ------------------------------------------------------------

static void raw_add(int epoll_fd, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        die("epoll_ctl");
}

static void raw_echo(int fd)
{
    char buf[4096];
    ssize_t n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);

    if (n > 0)
        n = send(fd, buf, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n <= 0)
        close(fd);
}

static void serve_raw(int listener)
{
    struct epoll_event events[256];
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);

    raw_add(epoll_fd, listener);
    for (;;) {
        int n = epoll_wait(epoll_fd, events, 256, -1);

        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == listener)
                raw_add(epoll_fd, accept4(listener, NULL, NULL, SOCK_NONBLOCK));
            else
                raw_echo(events[i].data.fd);
        }
    }
}

// Weft's server ---------------------------------------------------------------

static int echo(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char buf[4096];
    ssize_t n;

    while ((n = weft_read(fd, buf, sizeof(buf))) > 0)
        if ((n = weft_write_all(fd, buf, (size_t)n)) < 0)
            break;
    weft_close(fd);
    return 0;
}

static int serve_weft(void *arg)
{
    int listener = (int)(intptr_t)arg;

    for (;;) {
        int fd = weft_accept(listener, NULL, NULL);

        if (fd < 0)
            return fd;
        weft_future_unref(weft_task_start(echo, (void *)(intptr_t)fd));
    }
}

// The client ------------------------------------------------------------------

struct client {
    int epoll_fd;
    int *fds;
    unsigned count;
    uint64_t replies;
};

static int64_t now_ns(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void ask(int fd)
{
    static const char request[REQUEST] = "request";

    if (send(fd, request, REQUEST, MSG_NOSIGNAL) != REQUEST)
        die("send");
}

static void client_open(struct client *c, unsigned count, uint16_t port)
{
    struct sockaddr_in addr = {
        .sin_family = AF_INET,
        .sin_port = port,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int yes = 1;

    *c = (struct client){.epoll_fd = epoll_create1(0), .count = count};
    c->fds = calloc(count, sizeof(*c->fds));
    for (unsigned i = 0; i < count; i++) {
        int fd = c->fds[i] = socket(AF_INET, SOCK_STREAM, 0);

        if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
            die("connect");
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
        raw_add(c->epoll_fd, fd);
        ask(fd);
    }
}

static void client_run(struct client *c, double seconds)
{
    struct epoll_event events[256];
    int64_t end = now_ns(CLOCK_MONOTONIC) + (int64_t)(seconds * 1e9);
    char buf[4096];

    while (now_ns(CLOCK_MONOTONIC) < end) {
        int n = epoll_wait(c->epoll_fd, events, 256, 100);

        for (int i = 0; i < n; i++) {
            ssize_t got =
                recv(events[i].data.fd, buf, sizeof(buf), MSG_DONTWAIT);
            if (got != REQUEST)
                die("recv: not what was sent");
            c->replies++;
            ask(events[i].data.fd);
        }
    }
}

static void client_close(struct client *c)
{
    for (unsigned i = 0; i < c->count; i++)
        close(c->fds[i]);
    close(c->epoll_fd);
    free(c->fds);
}

// One round -------------------------------------------------------------------

struct figure {
    double cpu_us; // of the server, a request
    double per_second;
};

static int listen_somewhere(uint16_t *port)
{
    struct sockaddr_in addr = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    socklen_t len = sizeof(addr);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

    if (bind(fd, (struct sockaddr *)&addr, len) < 0 || listen(fd, 4096) < 0 ||
        getsockname(fd, (struct sockaddr *)&addr, &len) < 0)
        die("listen");
    *port = addr.sin_port;
    return fd;
}

static pid_t start_server(const char *mode, int listener)
{
    pid_t pid = fork();

    if (pid != 0)
        return pid;
    pin(0);
    if (!strcmp(mode, "raw"))
        serve_raw(listener);
    setenv("WEFT_BACKEND", mode, 1);
    weft_run(serve_weft, (void *)(intptr_t)listener);
    _exit(1);
}

static struct figure one_round(const char *mode, unsigned connections,
                               double seconds)
{
    uint16_t port;
    int listener = listen_somewhere(&port);
    pid_t pid = start_server(mode, listener);
    struct client client;
    struct figure figure;
    clockid_t clock;

    close(listener);
    if (clock_getcpuclockid(pid, &clock) != 0)
        die("clock_getcpuclockid");
    client_open(&client, connections, port);
    client_run(&client, seconds / 4); // until caches and tables are warm
    client.replies = 0;
    int64_t cpu = now_ns(clock), wall = now_ns(CLOCK_MONOTONIC);
    client_run(&client, seconds);
    cpu = now_ns(clock) - cpu;
    wall = now_ns(CLOCK_MONOTONIC) - wall;
    figure.cpu_us = (double)cpu / 1e3 / (double)client.replies;
    figure.per_second = (double)client.replies * 1e9 / (double)wall;
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    client_close(&client);
    return figure;
}

// The report ------------------------------------------------------------------

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *values, int n)
{
    qsort(values, (size_t)n, sizeof(*values), by_size);
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

static void compare(const char **modes, int mode_count, unsigned connections,
                    int rounds, double seconds)
{
    static double cpu[8][MOST], rate[8][MOST], ratio[8][MOST];

    for (int r = 0; r < rounds; r++)
        for (int m = 0; m < mode_count; m++) {
            struct figure f = one_round(modes[m], connections, seconds);
            cpu[m][r] = f.cpu_us;
            rate[m][r] = f.per_second;
            ratio[m][r] = f.cpu_us / cpu[0][r];
        }
    printf("    {\"connections\": %u", connections);
    for (int m = 0; m < mode_count; m++) {
        double middle = median(cpu[m], rounds);

        printf(",\n     \"%s\": {\"server_cpu_us_per_request\": %.3f, "
               "\"min\": %.3f, \"requests_per_second\": %.0f, "
               "\"ratio_to_%s\": %.3f",
               modes[m], middle, cpu[m][0], median(rate[m], rounds), modes[0],
               median(ratio[m], rounds));
        printf("}");
    }
    printf("}");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    const char *connections = "1,64,1000", *modes[8];
    int option, rounds = 7, mode_count = 0;
    double seconds = 0.5;
    struct utsname name;

    while ((option = getopt(argc, argv, "c:r:s:")) != -1) {
        if (option == 'c')
            connections = optarg;
        else if (option == 'r')
            rounds = atoi(optarg) < MOST ? atoi(optarg) : MOST;
        else if (option == 's')
            seconds = atof(optarg);
        else
            return 2;
    }
    for (; optind < argc && mode_count < 8; optind++)
        modes[mode_count++] = argv[optind];
    if (mode_count == 0) {
        memcpy(modes, all_modes, sizeof(all_modes));
        mode_count = sizeof(all_modes) / sizeof(all_modes[0]);
    }
    struct rlimit files = {8192, 8192};
    setrlimit(RLIMIT_NOFILE, &files);
    pin(1);
    uname(&name);
    printf("{\"bench\": \"echo\", \"request_bytes\": %d, \"rounds\": %d, "
           "\"kernel\": \"%s\", \"results\": [\n",
           REQUEST, rounds, name.release);
    for (const char *at = connections; at; at = strchr(at, ',')) {
        at += *at == ',';
        compare(modes, mode_count, (unsigned)atoi(at), rounds, seconds);
        printf(strchr(at, ',') ? ",\n" : "\n");
    }
    printf("]}\n");
    return 0;
}
