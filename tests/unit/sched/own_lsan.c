// SPDX-License-Identifier: MIT
// A program that was built with a sanitizer, with a library that was not. What
// parked tasks alone hold is no leak; what nobody holds is one. `leak` makes
// one.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <weft.h>

enum { TASKS = 100, SIZE = 1000 };

static int hold(void *arg)
{
    char *block = malloc(SIZE);
    (void)arg;
    if (block == NULL)
        return -ENOMEM;
    memset(block, 1, SIZE);
    int rc = weft_park(1e6);
    free(block);
    return rc;
}

static int end_amid_others(void *arg)
{
    (void)arg;
    for (int i = 0; i < TASKS; i++)
        weft_future_unref(weft_task_start(hold, NULL, .name = "holder"));
    for (int i = 0; i < 3; i++)
        weft_yield();
    exit(0);
}

static __attribute__((noinline)) void lose_some(void)
{
    char *volatile lost = malloc(SIZE);
    memset(lost, 1, SIZE);
    lost = NULL;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "leak") == 0)
        lose_some();
    return weft_run(end_amid_others, NULL) == 0 ? 0 : 1;
}
