// SPDX-License-Identifier: MIT
//
// Each line is one write, so that lines of several children do not mix. Whoever
// reads our output may be slow or stopped, and the supervisor, who writes here,
// must never wait for it: lines that find no room are left out, and the next
// one that finds some is preceded by how many that were.
#include "process/echo.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "os/pipe.h"

enum {
    LINE = 1024, // bytes; longer ones are cut into pieces
    TAG = 64,    // of the name and the process
};

struct wi_echo {
    int to;
    char tag[TAG];
    uint64_t lost; // lines, since the last that was written
    size_t n;      // bytes of the line that is not whole
    char line[LINE];
};

struct wi_echo *wi_echo_new(int to, const char *name, pid_t pid)
{
    struct wi_echo *echo = malloc(sizeof *echo);
    if (echo == NULL)
        return NULL;
    echo->to = to;
    echo->lost = 0;
    echo->n = 0;
    snprintf(echo->tag, TAG, "[%.40s %d] ", name, (int)pid);
    return echo;
}

static void write_line(struct wi_echo *echo)
{
    char whole[2 * TAG + LINE + 64];
    int n = 0;
    if (echo->lost > 0)
        n = snprintf(whole, sizeof whole, "%s(%llu lines left out)\n",
                     echo->tag, (unsigned long long)echo->lost);
    n += snprintf(whole + n, sizeof whole - (size_t)n, "%s", echo->tag);
    memcpy(whole + n, echo->line, echo->n);
    whole[(size_t)n + echo->n] = '\n';
    ssize_t rc = wi_os_pipe_offer(echo->to, whole, (size_t)n + echo->n + 1);
    echo->lost = rc == -EAGAIN ? echo->lost + 1 : 0;
    echo->n = 0;
}

void wi_echo_put(struct wi_echo *echo, const char *bytes, size_t n)
{
    while (n > 0) {
        const char *end = memchr(bytes, '\n', n);
        size_t part = end != NULL ? (size_t)(end - bytes) : n;
        bool fits = part <= LINE - echo->n;
        if (!fits)
            part = LINE - echo->n;
        memcpy(echo->line + echo->n, bytes, part);
        echo->n += part;
        part += fits && end != NULL; // the newline itself
        bytes += part;
        n -= part;
        if (!fits || end != NULL)
            write_line(echo);
    }
}

void wi_echo_free(struct wi_echo *echo)
{
    if (echo != NULL && echo->n > 0)
        write_line(echo);
    free(echo);
}
