// SPDX-License-Identifier: MIT
// Running, yielding, sleeping, parking.
#include "case.h"

static void start_and_join(void)
{
    CODE(weft_join(weft_task_start(give, number(7))), 7);
    CODE(weft_join(weft_task_start(give, number(-EIO))), -EIO);
    CODE(weft_join(weft_task_start(give, NULL)), 0);
}

static void many(void)
{
    weft_future *fs[200];
    int runs = 0;

    for (int i = 0; i < 200; i++)
        fs[i] = weft_task_start(count, &runs);
    for (int i = 0; i < 200; i++)
        CODE(weft_join(fs[i]), 0);
    CHECK(load(&runs) == 200);
}

static int yield_often(void *arg)
{
    for (int i = 0; i < 20; i++)
        CODE(weft_yield(), 0);
    return count(arg);
}

static void yields(void)
{
    weft_future *fs[20];
    int runs = 0;

    for (int i = 0; i < 20; i++)
        fs[i] = weft_task_start(yield_often, &runs);
    CODE(weft_gather_into(fs, 20, NULL, 0, NULL), 0);
    CHECK(load(&runs) == 20);
}

static int sleep_shortly(void *arg)
{
    double before = weft_now();

    (void)arg;
    CODE(weft_sleep(0.002), 0);
    CHECK(weft_now() - before >= 0.002 - 1e-6);
    return 0;
}

static void sleeps(void)
{
    weft_future *fs[10];

    for (int i = 0; i < 10; i++)
        fs[i] = weft_task_start(sleep_shortly, NULL);
    CODE(weft_gather_into(fs, 10, NULL, 0, NULL), 0);
    CODE(weft_sleep(0), 0);
    CODE(weft_sleep(-5), 0);
}

static void permits(void)
{
    weft_unpark(weft_self());
    CODE(weft_park(INFINITY), 0);
    int rc;
    while ((rc = weft_park(0.0005)) == 0)
        continue;
    CODE(rc, -ETIMEDOUT);
}

static struct {
    weft_waiter *self[2];
    int ball, rounds;
} game;

static int play(void *arg)
{
    int me = (int)(intptr_t)arg;

    __atomic_store_n(&game.self[me], weft_self(), __ATOMIC_SEQ_CST);
    while (!__atomic_load_n(&game.self[!me], __ATOMIC_SEQ_CST))
        weft_yield();
    for (int i = 0; i < 200; i++) {
        while (load(&game.ball) != me)
            weft_park(INFINITY);
        __atomic_store_n(&game.ball, !me, __ATOMIC_SEQ_CST);
        weft_unpark(game.self[!me]);
    }
    return 0;
}

static void ping_pong(void)
{
    for (int kinds = 0; kinds < 3; kinds++) {
        memset(&game, 0, sizeof game);
        weft_future *a = kinds == 2 ? weft_thread_start(play, number(0))
                                    : weft_task_start(play, number(0));
        weft_future *b = kinds > 0 ? weft_thread_start(play, number(1))
                                   : weft_task_start(play, number(1));
        CODE(weft_join(a), 0);
        CODE(weft_join(b), 0);
    }
}

static int own_errno(void *arg)
{
    for (int i = 0; i < 20; i++) {
        errno = (int)(intptr_t)arg + i;
        weft_yield();
        CHECK(errno == (int)(intptr_t)arg + i);
    }
    return 0;
}

static void errnos(void)
{
    weft_future *fs[5];

    for (int i = 0; i < 5; i++)
        fs[i] = weft_task_start(own_errno, number(100 * i + 100));
    CODE(weft_gather_into(fs, 5, NULL, 0, NULL), 0);
}

// Callee-saved registers, vector and floating-point ones among them, live
// through a switch.
static int registers_of(void *arg)
{
    double x = (double)(intptr_t)arg, y = x * 1.5, z = x * 0.25, w = -x;
    long a = (long)(intptr_t)arg, b = a * 3, c = a * 5, d = a * 7, e = a * 11;

    for (int i = 0; i < 20; i++) {
        weft_yield();
        x += 1, y += 2, z += 3, w += 4;
        a += 1, b += 2, c += 3, d += 4, e += 5;
    }
    double n = (double)(intptr_t)arg;
    long m = (long)(intptr_t)arg;
    CHECK(x == n + 20 && y == n * 1.5 + 40 && z == n * 0.25 + 60 &&
          w == -n + 80);
    CHECK(a == m + 20 && b == m * 3 + 40 && c == m * 5 + 60 &&
          d == m * 7 + 80 && e == m * 11 + 100);
    return 0;
}

static void registers(void)
{
    weft_future *fs[8];

    for (int i = 0; i < 8; i++)
        fs[i] = weft_task_start(registers_of, number(i + 1));
    CODE(weft_gather_into(fs, 8, NULL, 0, NULL), 0);
}

static __attribute__((noinline)) int recurse(int depth)
{
    volatile char frame[1000];

    memset((char *)frame, depth, sizeof frame);
    if (depth == 0)
        return weft_yield();
    int rc = recurse(depth - 1);
    CHECK(frame[0] == (char)depth && frame[999] == (char)depth);
    return rc;
}

static int go_deep(void *arg)
{
    return recurse((int)(intptr_t)arg);
}

static void deep(void)
{
    weft_future *fs[5];

    for (int i = 0; i < 5; i++)
        fs[i] = weft_task_start(go_deep, number(100));
    CODE(weft_gather_into(fs, 5, NULL, 0, NULL), 0);
}

static int run_inside(void *arg)
{
    return weft_run(yield_often, arg, .workers = 2, .name = "inside");
}

static void runs(void)
{
    int done = 0;

    CODE(weft_run(give, number(9)), 9);
    CODE(weft_run(run_inside, &done), 0);
    CODE(weft_join(weft_thread_start(run_inside, &done)), 0);
    CHECK(load(&done) == 2);
}

static int tree(void *arg)
{
    long depth = (intptr_t)arg;

    if (depth == 0)
        return 1;
    weft_future *f = weft_task_start(tree, number(depth - 1));
    int a = tree(number(depth - 1)), b = weft_join(f);
    return a < 0 ? a : b < 0 ? b : a + b;
}

static void trees(void)
{
    for (unsigned workers = 1; workers <= 3; workers++)
        CODE(weft_run(tree, number(8), .workers = workers), 256);
}

static int set_one(void *arg)
{
    __atomic_store_n((int *)arg, 1, __ATOMIC_SEQ_CST);
    return 0;
}

static void fair(void)
{
    int flag = 0;

    weft_future *f = weft_task_start(set_one, &flag);
    while (!load(&flag))
        CODE(weft_yield(), 0);
    CODE(weft_join(f), 0);
}

static int named(void *arg)
{
    char name[40];

    CHECK(weft_current_name(name, sizeof name) == strlen(arg));
    CHECK(!strcmp(name, arg));
    CHECK(weft_current_id() != 0);
    return 0;
}

static void names(void)
{
    CODE(weft_join(weft_task_start(named, "bee", .name = "bee")), 0);
    CODE(weft_join(weft_task_start(named, "")), 0);
    CODE(weft_join(weft_thread_start(named, "wasp", .name = "wasp")), 0);
}

const struct conformance_case tasks_cases[] = {
    {"start and join", start_and_join},
    {"many tasks", many},
    {"yield", yields},
    {"sleep", sleeps},
    {"permits", permits},
    {"ping-pong", ping_pong},
    {"errno of tasks", errnos},
    {"registers", registers},
    {"deep recursion", deep},
    {"runs", runs},
    {"trees", trees},
    {"fairness", fair},
    {"names", names},
    {NULL, NULL}};
