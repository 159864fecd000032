// SPDX-License-Identifier: MIT
//
// A deadline is a declaration: it holds to the end of its block for all that
// waits in it, here for a group and for the children of the group.
#include <errno.h>
#include <stdio.h>
#include <weft.h>

static int child(void *arg)
{
    int rc = weft_sleep(3600);

    printf("child %s: %s\n", (const char *)arg, weft_error_name(rc));
    return rc;
}

static int bounded(void)
{
    int rc = 0;

    WEFT_TIMEOUT(0.1);
    {
        WEFT_GROUP(g, &rc);
        weft_future_unref(weft_task_start(child, "a", .group = g));
        weft_future_unref(weft_task_start(child, "b", .group = g));
    }
    int late = weft_check(); // did the deadline cut it short?
    return late < 0 ? late : rc;
}

static int amain(void *arg)
{
    (void)arg;
    int rc = bounded();
    printf("bounded: %s\n", weft_error_name(rc));
    // The deadline is behind us: this waits as usual.
    printf("afterwards: %s\n", weft_error_name(weft_sleep(0.01)));
    return rc == -ETIMEDOUT ? 0 : 1;
}

int main(void)
{
    int rc = weft_run(amain, NULL);
    if (rc < 0)
        fprintf(stderr, "timeout: %s\n", weft_strerror(rc));
    return rc;
}
