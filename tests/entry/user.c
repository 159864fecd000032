// SPDX-License-Identifier: MIT
// A program with a process and a process pool. Linked in every form in which a
// worker may have to find its entry; see run. It prints what its main and its
// children found.
//
//   -DHOOK   it calls weft_main_hook itself
//   -DLATE   constructors with side effects, which run in children too
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weft.h>

WEFT_JOB(long, square, long, x)
{
    return x * x;
}

static int whole(void *arg)
{
    return *(int *)arg;
}

__attribute__((constructor)) static void before_main(void)
{
    // A child is known from the earliest constructor on, and nothing starts
    // before main.
    if (weft_is_worker() != (getenv("WEFT_WORKER") != NULL))
        abort();
}

static void try_start(const char *what, enum weft_start_method start)
{
    int code = -EINVAL;
    int rc = weft_join(
        weft_process_start(whole, &code, sizeof code, .start = start));
    if (rc == -WEFT_ENOENTRY)
        printf("%s: no entry\n", what);
    else
        printf("%s: %d\n", what, rc);
}

static int try_all(void)
{
    long value = 0;
    try_start("process", WEFT_START_EXEC);
    try_start("zygote", WEFT_START_ZYGOTE);
    try_start("fork", WEFT_START_FORK);
    weft_executor *ex = weft_process_pool(.workers = 2);
    int rc = weft_result(weft_submit(ex, square, 12), &value);
    if (rc == -WEFT_ENOENTRY)
        puts("pool: no entry");
    else
        printf("pool: %d %ld\n", rc, value);
    return weft_executor_close(ex);
}

int main(int argc, char **argv)
{
#ifdef HOOK
    weft_main_hook();
#endif
    (void)argv;
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("main %d\n", argc);
    return try_all();
}
