// SPDX-License-Identifier: MIT
//
// ps_many: many tasks of many functions, none of them with a name. Prints
// "ready" before the first of them begins, and waits.
#include <stdio.h>
#include <unistd.h>
#include <weft.h>

enum { TASKS = 50000 };

#define TEN(X, n)                                                              \
    X(n##0)                                                                    \
    X(n##1) X(n##2) X(n##3) X(n##4) X(n##5) X(n##6) X(n##7) X(n##8) X(n##9)
#define ALL(X)                                                                 \
    TEN(X, 1)                                                                  \
    TEN(X, 2)                                                                  \
    TEN(X, 3) TEN(X, 4) TEN(X, 5) TEN(X, 6) TEN(X, 7) TEN(X, 8) TEN(X, 9)

#define FUNCTION(n)                                                            \
    static int one_of_many_##n(void *arg)                                      \
    {                                                                          \
        (void)arg;                                                             \
        return n;                                                              \
    }
ALL(FUNCTION)

#define ADDRESS(n) one_of_many_##n,
static weft_function *const functions[] = {ALL(ADDRESS)};

static int amain(void *arg)
{
    (void)arg;
    for (size_t i = 0; i < TASKS; i++)
        weft_future_unref(weft_task_start(
            functions[i % (sizeof(functions) / sizeof(*functions))], NULL));
    puts("ready");
    fflush(stdout);
    return pause();
}

int main(void)
{
    return weft_run(amain, NULL);
}
