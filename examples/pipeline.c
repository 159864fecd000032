// SPDX-License-Identifier: MIT
//
// A pipeline of three tasks on one thread, joined by two pipes: the first
// counts, the second squares, the third adds up. A full pipe parks its writer.
#include <stdio.h>
#include <unistd.h>
#include <weft.h>

enum { NUMBERS = 10000 };

struct stage {
    int in, out;
    long sum;
};

static int count(void *arg)
{
    struct stage *s = arg;
    ssize_t rc = 0;

    for (long i = 1; i <= NUMBERS && rc >= 0; i++)
        rc = weft_write_all(s->out, &i, sizeof(i));
    weft_close(s->out);
    return rc < 0 ? (int)rc : 0;
}

// Each number is written in one piece, so a read gets a whole one.
static int square(void *arg)
{
    struct stage *s = arg;
    ssize_t rc;
    long x;

    while ((rc = weft_read(s->in, &x, sizeof(x))) > 0) {
        x *= x;
        if ((rc = weft_write_all(s->out, &x, sizeof(x))) < 0)
            break;
    }
    weft_close(s->in);
    weft_close(s->out);
    return rc < 0 ? (int)rc : 0;
}

static int add(void *arg)
{
    struct stage *s = arg;
    ssize_t rc;
    long x;

    while ((rc = weft_read(s->in, &x, sizeof(x))) > 0)
        s->sum += x;
    weft_close(s->in);
    return rc < 0 ? (int)rc : 0;
}

static int run(void *arg)
{
    struct stage *s = arg;
    int rc = 0;

    {
        WEFT_GROUP(g, &rc); // to the end of the block, which waits for all
        weft_future_unref(weft_task_start(count, &s[0], .group = g));
        weft_future_unref(weft_task_start(square, &s[1], .group = g));
        weft_future_unref(weft_task_start(add, &s[2], .group = g));
    }
    return rc;
}

int main(void)
{
    int a[2], b[2];
    if (pipe(a) || pipe(b))
        return perror("pipeline"), 1;
    struct stage s[3] = {{-1, a[1], 0}, {a[0], b[1], 0}, {b[0], -1, 0}};
    int rc = weft_run(run, s);
    printf("the sum of %d squares is %ld%s%s\n", NUMBERS, s[2].sum,
           rc < 0 ? " so far: " : "", rc < 0 ? weft_strerror(rc) : "");
    return rc;
}
