// SPDX-License-Identifier: MIT
#include "server.h"

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

enum { LISTENER = 3, FILES = 16384 };

void bench_pin_to(int n)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(n % (int)sysconf(_SC_NPROCESSORS_ONLN), &set);
    sched_setaffinity(0, sizeof set, &set);
}

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

static void become(const struct bench_ask *ask, const char *what, int listener)
{
    const char *path = bench_peer_path(ask->program);
    char param[24];
    snprintf(param, sizeof param, "%ld", ask->param[0]);
    // dup2 onto itself would leave the descriptor to be closed.
    if (listener == LISTENER)
        fcntl(LISTENER, F_SETFD, 0);
    else
        dup2(listener, LISTENER);
    if (path != NULL && what != NULL)
        execl(path, ask->program, what, param, (char *)NULL);
    else if (path != NULL)
        execl(path, ask->program, (char *)NULL);
    bench_fail("%s: %s", ask->program, strerror(errno));
}

void bench_server_start(struct bench_server *s, const struct bench_ask *ask,
                        bench_serve *serve, const char *what)
{
    struct rlimit files = {FILES, FILES};
    setrlimit(RLIMIT_NOFILE, &files);
    int listener = listen_somewhere(&s->port);
    s->pid = fork();
    if (s->pid < 0)
        bench_fail("fork: %s", strerror(errno));
    if (s->pid == 0) {
        bench_pin_to(0);
        if (serve == NULL)
            become(ask, what, listener);
        serve(listener);
        _exit(1);
    }
    close(listener);
    bench_pin_to(1);
}

void bench_server_stop(const struct bench_server *s)
{
    kill(s->pid, SIGKILL);
    waitpid(s->pid, NULL, 0);
}

double bench_cpu_of(pid_t pid)
{
    struct timespec t;
    clockid_t clock;
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &t) != 0)
        bench_fail("the server does not run");
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

double bench_server_cpu(const struct bench_server *s)
{
    return bench_cpu_of(s->pid);
}

double bench_server_memory(const struct bench_server *s)
{
    char path[64], line[128];
    double kib = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)s->pid);
    FILE *in = fopen(path, "re");
    while (in != NULL && fgets(line, sizeof line, in) != NULL)
        if (strncmp(line, "VmRSS:", 6) == 0 || strncmp(line, "VmPTE:", 6) == 0)
            kib += strtod(line + 6, NULL);
    if (in != NULL)
        fclose(in);
    return kib * 1024;
}

int bench_server_dial(const struct bench_server *s)
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

// The plain echo server -------------------------------------------------------

void bench_watch(int epoll_fd, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        bench_fail("epoll_ctl: %s", strerror(errno));
}

static void echo_once(int fd)
{
    char buf[4096];
    ssize_t n = recv(fd, buf, sizeof buf, MSG_DONTWAIT);
    if (n > 0)
        n = send(fd, buf, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n <= 0)
        close(fd);
}

void bench_plain_echo(int listener)
{
    struct epoll_event events[256];
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC), yes = 1;
    bench_watch(epoll_fd, listener);
    setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    for (;;) {
        int n = epoll_wait(epoll_fd, events, 256, -1);
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            if (fd == listener)
                bench_watch(epoll_fd,
                            accept4(listener, NULL, NULL, SOCK_NONBLOCK));
            else
                echo_once(fd);
        }
    }
}

// Weft's server ---------------------------------------------------------------

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

int bench_weft_serve(int listener, weft_handler *handler, const char *backend)
{
    struct service service = {listener, handler};
    setenv("WEFT_BACKEND", backend, 1);
    return weft_run(serve, &service);
}

// Backends --------------------------------------------------------------------

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

// In a child, since the backend of a process is chosen once.
bool bench_have_uring(void)
{
    static int known; // 1: yes, 2: no
    int status = 1;
    if (known == 0) {
        pid_t pid = fork();
        if (pid == 0) {
            setenv("WEFT_BACKEND", "uring", 1);
            _exit(weft_run(nothing, NULL) != 0);
        }
        waitpid(pid, &status, 0);
        known = status == 0 ? 1 : 2;
    }
    return known == 1;
}

void bench_ask_backends(const struct bench_question *q,
                        const struct bench_side *sides)
{
    for (; strstr(sides->name, "io_uring") && !bench_have_uring(); sides++)
        bench_skip(q->name, sides->name, "no io_uring here");
    bench_ask(q, sides);
}
