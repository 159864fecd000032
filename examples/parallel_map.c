// SPDX-License-Identifier: MIT
//
// The same job over the same input on threads, then on processes: only the
// line that makes the executor differs.
#include <stdio.h>
#include <string.h>
#include <weft.h>

enum { PARTS = 64, WIDTH = 2000 };

static int is_prime(long n)
{
    for (long d = 2; d * d <= n; d++)
        if (n % d == 0)
            return 0;
    return n > 1;
}

// How many primes lie in [from, from + WIDTH)?
WEFT_JOB(int, primes, long, from)
{
    int found = 0;

    for (long n = from; n < from + WIDTH; n++)
        found += is_prime(n);
    return found;
}

static int sum(const int *of)
{
    int total = 0;

    for (int i = 0; i < PARTS; i++)
        total += of[i];
    return total;
}

static int count_on(weft_executor *ex, const long *from, int *found)
{
    int rc = weft_map(ex, primes, from, PARTS, found);

    if (rc < 0)
        fprintf(stderr, "parallel_map: %s\n", weft_strerror(rc));
    else
        printf("%d primes below %d, on a %s\n", sum(found), PARTS * WIDTH,
               ex->ops->kind);
    weft_executor_close(ex);
    return rc;
}

int main(void)
{
    long from[PARTS];
    int on_threads[PARTS], on_processes[PARTS];

    weft_main_hook(); // worker processes begin, and end, here
    for (int i = 0; i < PARTS; i++)
        from[i] = (long)i * WIDTH;
    if (count_on(weft_thread_pool(), from, on_threads) < 0 ||
        count_on(weft_process_pool(), from, on_processes) < 0)
        return 1;
    return memcmp(on_threads, on_processes, sizeof(on_threads)) != 0;
}
