// SPDX-License-Identifier: MIT
//
// A job that crashes its process fails its own future, and nothing else: the
// pool puts a new worker in its place and the other jobs go on.
#include <stdio.h>
#include <stdlib.h>
#include <weft.h>

enum { JOBS = 8 };

WEFT_JOB(int, risky, int, n)
{
    if (n == 3)
        abort(); // a wild pointer would do the same
    return n * n;
}

int main(void)
{
    weft_future *f[JOBS];
    int fine = 0;

    weft_main_hook(); // worker processes begin, and end, here
    weft_executor *ex = weft_process_pool();
    for (int i = 0; i < JOBS; i++)
        f[i] = weft_submit(ex, risky, i);
    for (int i = 0; i < JOBS; i++) {
        int square, rc = weft_get(f[i], &square);
        if (rc < 0)
            printf("job %d: %s\n", i, weft_future_text(f[i]));
        else
            fine += square == i * i;
        weft_future_unref(f[i]);
    }
    printf("%d of %d jobs came through\n", fine, JOBS);
    weft_executor_close(ex);
    return fine == JOBS - 1 ? 0 : 1;
}
