// SPDX-License-Identifier: MIT
// A sample is a child process that writes one line of numbers into a pipe:
// the figure, the answer, the other figures. Its time limit is an alarm, which
// also holds for a program that it becomes.
#include "sample.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LINE = 1024, PATH = 4096, NUMBER = 24 };

const char *bench_peer_path(const char *program)
{
    static char path[PATH];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path / 2);
    if (n <= 0)
        return NULL;
    path[n] = 0;
    char *slash = strrchr(path, '/');
    snprintf(slash, sizeof path / 2, "/peers/%s", program);
    return access(path, X_OK) == 0 ? path : NULL;
}

void bench_fail(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    fputs("bench: ", stderr);
    vfprintf(stderr, format, list);
    fputc('\n', stderr);
    va_end(list);
    _exit(3);
}

static void write_reply(int fd, const struct bench_reply *r)
{
    char line[LINE];
    int n = snprintf(line, sizeof line, "%.17g %" PRIu64, r->value, r->answer);
    for (int i = 0; i < BENCH_MORE; i++)
        n += snprintf(line + n, sizeof line - (size_t)n, " %.17g", r->more[i]);
    if (write(fd, line, (size_t)n) != n)
        bench_fail("the pipe is gone");
}

static void become_program(const char *program, const struct bench_ask *ask,
                           int fd)
{
    char text[1 + BENCH_PARAMS][NUMBER];
    const char *path = bench_peer_path(program);
    char *argv[3 + BENCH_PARAMS] = {(char *)program, text[0]};
    snprintf(text[0], NUMBER, "%" PRIu64, ask->ops);
    for (int i = 0; i < BENCH_PARAMS; i++) {
        snprintf(text[1 + i], NUMBER, "%ld", ask->param[i]);
        argv[2 + i] = text[1 + i];
    }
    dup2(fd, STDOUT_FILENO);
    if (path != NULL)
        execv(path, argv);
    bench_fail("%s: %s", program, strerror(errno));
}

static void child(const struct bench_side *side, const struct bench_ask *ask,
                  unsigned limit, int fd)
{
    struct bench_reply reply = {0};
    struct bench_ask with = *ask;
    alarm(limit);
    if (side->fn == NULL)
        become_program(side->program, ask, fd);
    with.program = side->program;
    side->fn(&with, &reply);
    write_reply(fd, &reply);
    _exit(0);
}

static bool parse_reply(const char *line, struct bench_reply *r)
{
    char *end, *start;
    r->value = strtod(line, &end);
    if (end == line)
        return false;
    start = end;
    r->answer = strtoull(start, &end, 10);
    if (end == start)
        return false;
    for (int i = 0; i < BENCH_MORE; i++)
        r->more[i] = strtod(end, &end);
    return true;
}

// Reads to the end of the pipe; what does not fit is dropped.
static void read_line(int fd, char *line)
{
    size_t used = 0;
    char rest[256];
    ssize_t n;
    do {
        bool room = used < LINE - 1;
        n = read(fd, room ? line + used : rest,
                 room ? LINE - 1 - used : sizeof rest);
        if (n > 0 && room)
            used += (size_t)n;
    } while (n > 0 || (n < 0 && errno == EINTR));
    line[used] = 0;
}

static const char *explain(int status, unsigned limit)
{
    static char text[80];
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
        snprintf(text, sizeof text, "no answer within %u s", limit);
    else if (WIFSIGNALED(status))
        snprintf(text, sizeof text, "killed by signal %d (%s)",
                 WTERMSIG(status), strsignal(WTERMSIG(status)));
    else if (WEXITSTATUS(status) != 0)
        snprintf(text, sizeof text, "exit status %d", WEXITSTATUS(status));
    else
        snprintf(text, sizeof text, "an answer that is not understood");
    return text;
}

bool bench_sample(const struct bench_side *side, const struct bench_ask *ask,
                  unsigned limit, struct bench_reply *reply, const char **why)
{
    int fd[2], status = 0;
    char line[LINE];
    fflush(stdout);
    if (pipe(fd) != 0)
        bench_fail("pipe: %s", strerror(errno));
    pid_t pid = fork();
    if (pid < 0)
        bench_fail("fork: %s", strerror(errno));
    if (pid == 0) {
        close(fd[0]);
        child(side, ask, limit, fd[1]);
    }
    close(fd[1]);
    read_line(fd[0], line);
    close(fd[0]);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (status == 0 && parse_reply(line, reply))
        return true;
    *why = explain(status, limit);
    return false;
}
