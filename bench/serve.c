// SPDX-License-Identifier: MIT
// serve: a whole server beside those that everybody knows, driven by the
// clients that are made for them. What does a request cost the server in CPU
// time?
//
//  serve/http  GET / with a body of 13 bytes, by wrk; beside nginx
//  serve/ping  PING, by redis-benchmark; beside redis-server
//
// Weft's servers know as much of the two protocols as it takes to answer these
// clients: what is measured is the way of a request, not what a web server or a
// database does besides. 64 connections, one request at a time on each; server
// and client each on a CPU of their own.
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <weft.h>

#include "support/bench.h"
#include "support/server.h"

enum { CONNECTIONS = 64, LINE = 1024, TEXT = 16384, PATH = 4096 };

// Weft's servers --------------------------------------------------------------

static int answer(weft_stream *s, const char *text)
{
    return (int)weft_stream_write(s, text, strlen(text));
}

// The head of a request ends with an empty line.
static int serve_http(weft_stream *s, void *arg)
{
    char line[LINE];
    ssize_t n;
    (void)arg;
    while ((n = weft_stream_read_line(s, line, sizeof line)) > 0)
        if (line[0] == '\r' && answer(s, "HTTP/1.1 200 OK\r\n"
                                         "Content-Type: text/plain\r\n"
                                         "Content-Length: 13\r\n\r\n"
                                         "Hello, world\n") < 0)
            break;
    return 0;
}

// "*N", then N times "$LENGTH" and a word; whatever the words are, the answer
// is the one to PING.
static int serve_ping(weft_stream *s, void *arg)
{
    char line[LINE];
    ssize_t n;
    (void)arg;
    while ((n = weft_stream_read_line(s, line, sizeof line)) > 0) {
        if (line[0] != '*')
            return answer(s, "-ERR only arrays of bulk strings\r\n");
        for (int lines = 2 * atoi(line + 1); lines > 0 && n > 0; lines--)
            n = weft_stream_read_line(s, line, sizeof line);
        if (n <= 0 || answer(s, "+PONG\r\n") < 0)
            break;
    }
    return 0;
}

// Processes -------------------------------------------------------------------

static struct sockaddr_in loopback(int port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

// A socket that is bound to a free port.
static int bind_somewhere(int *port)
{
    struct sockaddr_in addr = loopback(0);
    socklen_t len = sizeof addr;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&addr, len) < 0 ||
        getsockname(fd, (struct sockaddr *)&addr, &len) < 0)
        bench_fail("bind: %s", strerror(errno));
    *port = ntohs(addr.sin_port);
    return fd;
}

static pid_t start_weft(weft_handler *handler, const char *backend, int *port)
{
    int listener = bind_somewhere(port);
    if (listen(listener, 4096) < 0)
        bench_fail("listen: %s", strerror(errno));
    pid_t pid = fork();
    if (pid == 0) {
        bench_pin_to(0);
        _exit(bench_weft_serve(listener, handler, backend) != 0);
    }
    close(listener);
    return pid;
}

static void await_listener(int port)
{
    struct sockaddr_in addr = loopback(port);
    for (int i = 0; i < 5000; i++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        int rc = connect(fd, (struct sockaddr *)&addr, sizeof addr);
        close(fd);
        if (rc == 0)
            return;
        bench_sleep_us(1000);
    }
    bench_fail("the server does not come up");
}

// A program that listens to the port itself; nobody else takes it in between,
// unless it is a very busy machine, and then the sample fails.
static pid_t start_program(char **argv, int port)
{
    pid_t pid = fork();
    if (pid == 0) {
        bench_pin_to(0);
        if (!freopen("/dev/null", "w", stdout) ||
            !freopen("/dev/null", "w", stderr))
            _exit(127);
        execvp(argv[0], argv);
        _exit(127);
    }
    await_listener(port);
    return pid;
}

// What a client prints, to its end.
static void run_client(char **argv, char *text)
{
    int ends[2], status;
    size_t used = 0;
    ssize_t n;
    if (pipe(ends) != 0)
        bench_fail("no pipe");
    pid_t pid = fork();
    if (pid == 0) {
        bench_pin_to(1);
        dup2(ends[1], STDOUT_FILENO);
        // redis-benchmark warns there of each server that is not Redis.
        if (!freopen("/dev/null", "w", stderr))
            _exit(127);
        execvp(argv[0], argv);
        _exit(127);
    }
    close(ends[1]);
    while ((n = read(ends[0], text + used, TEXT - 1 - used)) > 0)
        used += (size_t)n;
    text[used] = 0;
    close(ends[0]);
    waitpid(pid, &status, 0);
    if (status != 0)
        bench_fail("%s: status %d", argv[0], status);
}

// Clients ---------------------------------------------------------------------

// Each returns how many requests were answered, all of them well.
static double run_wrk(const struct bench_ask *ask, int port)
{
    char url[64], text[TEXT], seconds[24], connections[24];
    char *argv[] = {"wrk", "-t1", "-c", connections, "-d", seconds, url, NULL};
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", port);
    snprintf(connections, sizeof connections, "%ld", ask->param[0]);
    snprintf(seconds, sizeof seconds, "%lus", (unsigned long)ask->ops);
    run_client(argv, text);
    char *line = strstr(text, " requests in ");
    if (line == NULL || strstr(text, "Non-2xx") || strstr(text, "Socket err"))
        bench_fail("wrk: %s", text);
    while (line > text && line[-1] != '\n' && line[-1] != ' ')
        line--;
    return strtod(line, NULL);
}

static double run_redis_benchmark(const struct bench_ask *ask, int port)
{
    char number[24], at[24], connections[24], text[TEXT];
    char *argv[] = {"redis-benchmark", "-t", "ping_mbulk", "-q", "-p", at, "-c",
                    connections,       "-n", number,       NULL};
    snprintf(number, sizeof number, "%lu", (unsigned long)ask->ops);
    snprintf(at, sizeof at, "%d", port);
    snprintf(connections, sizeof connections, "%ld", ask->param[0]);
    run_client(argv, text);
    if (strstr(text, "requests per second") == NULL)
        bench_fail("redis-benchmark: %s", text);
    return (double)ask->ops;
}

typedef double client(const struct bench_ask *ask, int port);

static void drive(const struct bench_ask *ask, struct bench_reply *reply,
                  client *run, pid_t server, int port)
{
    double cpu = bench_cpu_of(server), begin = bench_wall();
    double requests = run(ask, port);
    double wall = bench_wall() - begin;
    reply->value = (bench_cpu_of(server) - cpu) / requests / 1000;
    reply->more[0] = requests / wall * 1e9;
    reply->answer = 1; // every answer was what the client wanted
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
}

// Contenders ------------------------------------------------------------------

#define WEFT_SIDE(name, handler, backend, run)                                 \
    static void name(const struct bench_ask *ask, struct bench_reply *reply)   \
    {                                                                          \
        int port;                                                              \
        pid_t pid = start_weft(handler, backend, &port);                       \
        drive(ask, reply, run, pid, port);                                     \
    }
WEFT_SIDE(http_uring, serve_http, "uring", run_wrk)
WEFT_SIDE(http_epoll, serve_http, "epoll", run_wrk)
WEFT_SIDE(ping_uring, serve_ping, "uring", run_redis_benchmark)
WEFT_SIDE(ping_epoll, serve_ping, "epoll", run_redis_benchmark)

// One process, no log.
static void nginx_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    char folder[] = "/tmp/weft-bench-XXXXXX", path[64], text[1024], end[80];
    char *argv[] = {"nginx", "-c", path, "-p", folder, NULL};
    int port;
    close(bind_somewhere(&port));
    if (mkdtemp(folder) == NULL)
        bench_fail("no folder");
    snprintf(path, sizeof path, "%s/conf", folder);
    snprintf(text, sizeof text,
             "daemon off; master_process off; pid %s/pid;\n"
             "error_log /dev/null;\n"
             "events { worker_connections 1024; }\n"
             "http { access_log off; client_body_temp_path %s/1;\n"
             "proxy_temp_path %s/2; fastcgi_temp_path %s/3;\n"
             "uwsgi_temp_path %s/4; scgi_temp_path %s/5;\n"
             "keepalive_requests 1000000000;\n"
             "server { listen 127.0.0.1:%d; location / {\n"
             "default_type text/plain; return 200 \"Hello, world\\n\"; } } }\n",
             folder, folder, folder, folder, folder, folder, port);
    FILE *out = fopen(path, "we");
    if (out == NULL || fputs(text, out) < 0 || fclose(out) != 0)
        bench_fail("no configuration");
    drive(ask, reply, run_wrk, start_program(argv, port), port);
    snprintf(end, sizeof end, "rm -rf %s", folder);
    if (system(end) != 0)
        bench_fail("%s", end);
}

static void redis_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    char at[24];
    char *argv[] = {"redis-server", "--port", at, "--save", "", NULL};
    int port;
    close(bind_somewhere(&port));
    snprintf(at, sizeof at, "%d", port);
    drive(ask, reply, run_redis_benchmark, start_program(argv, port), port);
}

// The questions ---------------------------------------------------------------

static bool have(const char *program)
{
    const char *path = getenv("PATH");
    char file[PATH];
    while (path != NULL && *path) {
        int n = (int)strcspn(path, ":");
        snprintf(file, sizeof file, "%.*s/%s", n, path, program);
        if (access(file, X_OK) == 0)
            return true;
        path += path[n] ? n + 1 : n;
    }
    return false;
}

struct neighbour {
    const char *question, *what;
    const char *client, *client_package;
    const char *server;
    bench_fn *uring, *epoll, *peer;
    long ops;
};

static void ask(const struct neighbour *n)
{
    bool uring = bench_have_uring(), peer = have(n->server);
    const struct bench_side sides[] = {
        {"weft epoll", BENCH_WEFT, .fn = n->epoll},
        {peer    ? n->server
         : uring ? "weft io_uring"
                 : NULL,
         peer ? BENCH_PEER : BENCH_WEFT, .fn = peer ? n->peer : n->uring},
        {peer && uring ? "weft io_uring" : NULL, BENCH_WEFT, .fn = n->uring},
        {0}};
    char why[64];
    if (!have(n->client)) {
        snprintf(why, sizeof why, "needs %s", n->client_package);
        bench_skip(n->question, "weft", why);
        return;
    }
    if (!peer)
        bench_skip(n->question, n->server, "not there");
    if (!uring)
        bench_skip(n->question, "weft io_uring", "no io_uring here");
    bench_ask(&(struct bench_question){.name = n->question,
                                       .what = n->what,
                                       .unit = "us",
                                       .ops = (uint64_t)n->ops,
                                       .slow = true,
                                       .params = {{"connections", CONNECTIONS}},
                                       .more = {"requests_per_second"},
                                       .reps = (unsigned)bench_pick(7, 3, 1)},
              sides);
}

int main(int argc, char **argv)
{
    bench_start("serve", argc, argv);
    ask(&(struct neighbour){
        "serve/http", "the server's CPU time of a GET by wrk", "wrk", "wrk",
        "nginx", http_uring, http_epoll, nginx_side, bench_pick(1, 1, 1)});
    ask(&(struct neighbour){
        "serve/ping", "the server's CPU time of a PING by redis-benchmark",
        "redis-benchmark", "redis-tools", "redis-server", ping_uring,
        ping_epoll, redis_side, bench_pick(100000, 50000, 1000)});
    return bench_end();
}
