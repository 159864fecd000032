// SPDX-License-Identifier: MIT
//
// Ask three, take the first answer, cancel the rest: nobody waits for the
// slow ones, and none of them is left behind.
#include <errno.h>
#include <stdio.h>
#include <weft.h>

struct mirror {
    const char *name;
    double delay;
};

static int ask(void *arg)
{
    const struct mirror *m = arg;
    int rc = weft_sleep(m->delay); // for a real request

    if (rc == -ECANCELED)
        printf("%s: canceled\n", m->name);
    return rc;
}

static int fastest(void *arg)
{
    struct mirror *m = arg;
    weft_future *asked[3];

    for (int i = 0; i < 3; i++)
        asked[i] = weft_task_start(ask, &m[i], .name = m[i].name);
    int rc = weft_wait(asked, 3, WEFT_FIRST_COMPLETED, 5);
    for (int i = 0; i < 3; i++) {
        if (weft_done(asked[i]))
            printf("%s: answered first\n", m[i].name);
        weft_cancel(asked[i]);
    }
    for (int i = 0; i < 3; i++)
        weft_join(asked[i]);
    return rc < 0 ? rc : 0;
}

int main(void)
{
    struct mirror m[] = {{"north", 30}, {"south", 0.05}, {"west", 60}};

    int rc = weft_run(fastest, m);
    if (rc < 0)
        fprintf(stderr, "first_of: %s\n", weft_strerror(rc));
    return rc;
}
