// SPDX-License-Identifier: MIT
// timers: what does it cost to set a timer and to cancel it, while very many
// others are pending?
//
//  timers/park   through public calls. Many tasks sleep for an hour or more,
//                two others hand a turn to and fro; each waits now with a time
//                limit, now without. The figure is the difference.
//  timers/call   weft_timer_start and weft_timer_cancel, in a task, at a time
//                that is given, so that no clock is read. The other figure is
//                with a time from now, as most are.
//  timers/wheel  the wheel inside, alone: set one and cancel it at once, as
//                nearly every time limit of an I/O call goes.
//  timers/churn  the same wheel: cancel any one of the pending, set it anew.
//                Each is somewhere in memory: the floor is a doubly linked
//                list with the same accesses. The next one is chosen before
//                this one is changed, by both: else it depends on what the
//                compiler happens to keep in registers whether the accesses of
//                two turns overlap, for a load may have to wait for a store
//                whose place is not known yet.
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <weft.h>

#include "base/wheel.h"
#include "support/bench.h"

static const int64_t SECOND = 1000000000;

// Through public calls --------------------------------------------------------

enum { ROUNDS = 7 };

struct crowd {
    long pending, asleep;
    uint64_t turns; // to take in one round
    uint64_t taken;
    int turn;
    bool over;
    double limit; // of each wait in this round
    weft_waiter *player[2];
    double best[2]; // of the rounds without and with a limit
};

static int sleep_long(void *arg)
{
    struct crowd *c = arg;
    double seconds = 3600 + (double)(c->asleep++ % 3600);
    int rc = weft_sleep(seconds);
    return rc == -ECANCELED ? 0 : rc;
}

static void take_turn(struct crowd *c, int me)
{
    while (c->turn != me)
        if (weft_park(c->limit) != 0)
            bench_fail("weft_park failed");
    c->taken++;
    c->turn = !me;
    weft_unpark(c->player[!me]);
}

static int second_player(void *arg)
{
    struct crowd *c = arg;
    c->player[1] = weft_self();
    while (!c->over)
        take_turn(c, 1);
    return 0;
}

static void play(struct crowd *c)
{
    for (int i = 0; i < 2 * ROUNDS; i++) {
        c->limit = i % 2 ? 3600 : INFINITY;
        double begin = bench_cpu();
        for (uint64_t k = 0; k < c->turns / 2; k++)
            take_turn(c, 0);
        double each = (bench_cpu() - begin) / (double)(c->turns & ~1ul);
        if (c->best[i % 2] == 0 || each < c->best[i % 2])
            c->best[i % 2] = each;
    }
    c->over = true;
    take_turn(c, 0);
}

static int crowd_main(void *arg)
{
    struct crowd *c = arg;
    weft_group *g = weft_group_open();
    for (long i = 0; i < c->pending; i++)
        weft_future_unref(weft_task_start(sleep_long, c));
    c->player[0] = weft_self();
    weft_future *second = weft_task_start(second_player, c);
    while (c->asleep < c->pending || c->player[1] == NULL)
        weft_yield();
    play(c);
    weft_future_unref(second);
    weft_group_cancel(g);
    return weft_group_close(g);
}

static void park_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    struct crowd c = {
        .pending = ask->param[0], .turns = ask->ops, .limit = INFINITY};
    int rc = weft_run(crowd_main, &c, .stack_size = 64 * 1024);
    if (rc != 0)
        bench_fail("weft_run: %s", weft_strerror(rc));
    reply->value = c.best[1] - c.best[0];
    reply->more[0] = c.best[0];
    reply->more[1] = c.best[1];
    reply->answer = (uint64_t)c.pending;
}

// Timers that call a function -------------------------------------------------

struct calls {
    const struct bench_ask *ask;
    struct bench_reply *reply;
    struct weft_timer *timers;
    uint64_t seed;
};

static void never(void *arg)
{
    bench_fail("a timer was called (argument %p)", arg);
}

// A minute from now, or an hour.
static double some_seconds(uint64_t *seed)
{
    uint64_t x = bench_random(seed);
    return 60 + (double)((x >> 2) % (x & 3 ? 60000 : 3600000)) * 1e-3;
}

static double set_and_cancel(struct calls *c, uint64_t ops, double at)
{
    struct weft_timer *mine = &c->timers[c->ask->param[0]];
    double begin = bench_cpu();
    for (uint64_t i = 0; i < ops; i++) {
        double seconds = some_seconds(&c->seed);
        if (weft_timer_start(mine, seconds, never, NULL,
                             .at = at > 0 ? at + seconds : 0) != 0 ||
            weft_timer_cancel(mine) != 1)
            bench_fail("a timer could not be set or cancelled");
        c->reply->answer++;
    }
    return (bench_cpu() - begin) / (double)ops;
}

static int calls_main(void *arg)
{
    struct calls *c = arg;
    for (long i = 0; i < c->ask->param[0]; i++)
        if (weft_timer_start(&c->timers[i], some_seconds(&c->seed), never,
                             NULL) != 0)
            bench_fail("a timer could not be set");
    c->reply->value = set_and_cancel(c, c->ask->ops, weft_now());
    c->reply->more[0] = set_and_cancel(c, c->ask->ops, 0);
    return 0;
}

static void calls_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    struct calls c = {ask, reply, NULL, 1};
    c.timers = calloc((size_t)ask->param[0] + 1, sizeof *c.timers);
    if (c.timers == NULL || weft_run(calls_main, &c) != 0)
        bench_fail("no memory, or weft_run failed");
    free(c.timers);
}

// The wheel alone -------------------------------------------------------------

static struct wi_timer *timers;
static struct wi_wheel wheel;

// An hour, with most of them in the next minute.
static int64_t some_time(uint64_t *seed)
{
    uint64_t x = bench_random(seed);
    uint64_t range = (uint64_t)(x & 3 ? 60 * SECOND : 3600 * SECOND);
    return SECOND + (int64_t)((x >> 2) % range);
}

static void fill_wheel(long pending, uint64_t *seed)
{
    timers = calloc((size_t)pending + 1, sizeof *timers);
    if (timers == NULL)
        bench_fail("no memory");
    wi_wheel_init(&wheel, 0);
    for (long i = 0; i < pending; i++)
        wi_wheel_add(&wheel, &timers[i], some_time(seed));
}

static void wheel_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    uint64_t seed = 1;
    fill_wheel(ask->param[0], &seed);
    struct wi_timer *mine = &timers[ask->param[0]];
    double begin = bench_cpu();
    for (uint64_t i = 0; i < ask->ops; i++) {
        wi_wheel_add(&wheel, mine, some_time(&seed));
        wi_wheel_remove(&wheel, mine);
    }
    reply->value = (bench_cpu() - begin) / (double)ask->ops;
    reply->answer = wheel.count;
}

static void churn_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    uint64_t seed = 1, n = (uint64_t)ask->param[0];
    fill_wheel(ask->param[0], &seed);
    struct wi_timer *all = timers, *t, *next = &all[bench_random(&seed) % n];
    double begin = bench_cpu();
    for (uint64_t i = 0; i < ask->ops; i++) {
        t = next;
        next = &all[bench_random(&seed) % n];
        int64_t when = some_time(&seed);
        wi_wheel_remove(&wheel, t);
        wi_wheel_add(&wheel, t, when);
    }
    reply->value = (bench_cpu() - begin) / (double)ask->ops;
    reply->answer = wheel.count;
}

// A list and the same random numbers: a node leaves its place and goes to the
// head of one of 448 lists.
struct node {
    struct node *next, **link;
    int64_t when;
};
static struct node *lists[448];

static void list_remove(struct node *node)
{
    if ((*node->link = node->next) != NULL)
        node->next->link = node->link;
}

static void list_add(struct node *node, int64_t when)
{
    struct node **list = &lists[when % 448];
    node->when = when;
    if ((node->next = *list) != NULL)
        node->next->link = &node->next;
    node->link = list;
    *list = node;
}

static void list_side(const struct bench_ask *ask, struct bench_reply *reply,
                      bool churn)
{
    uint64_t seed = 1, n = (uint64_t)ask->param[0];
    struct node *nodes = calloc(n + 1, sizeof *nodes);
    for (uint64_t i = 0; i < n; i++)
        list_add(&nodes[i], some_time(&seed));
    struct node *node, *next = &nodes[churn ? bench_random(&seed) % n : n];
    double begin = bench_cpu();
    for (uint64_t i = 0; i < ask->ops; i++) {
        node = next;
        if (churn)
            next = &nodes[bench_random(&seed) % n];
        int64_t when = some_time(&seed);
        if (churn)
            list_remove(node);
        list_add(node, when);
        if (!churn)
            list_remove(node);
    }
    reply->value = (bench_cpu() - begin) / (double)ask->ops;
    for (int i = 0; i < 448; i++)
        for (struct node *node = lists[i]; node != NULL; node = node->next)
            reply->answer++;
}

static void list_wheel_side(const struct bench_ask *ask,
                            struct bench_reply *reply)
{
    list_side(ask, reply, false);
}

static void list_churn_side(const struct bench_ask *ask,
                            struct bench_reply *reply)
{
    list_side(ask, reply, true);
}

// The questions ---------------------------------------------------------------

static const struct bench_side park_sides[] = {
    {"weft", BENCH_WEFT, .fn = park_side}, {0}};
static const struct bench_side call_sides[] = {
    {"weft", BENCH_WEFT, .fn = calls_side}, {0}};
#define SIDES(weft, list)                                                      \
    {                                                                          \
        {"weft", BENCH_WEFT, .fn = weft}, {"list", BENCH_FLOOR, .fn = list},   \
            {"Boost.Asio", BENCH_PEER, .program = "timers_asio",               \
             .package = "libboost-dev"},                                       \
            {"libuv", BENCH_PEER, .program = "timers_libuv",                   \
             .package = "libuv1-dev"},                                         \
            {"libev", BENCH_PEER, .program = "timers_libev",                   \
             .package = "libev-dev"},                                          \
            {"Go", BENCH_PEER, .program = "timers_go",                         \
             .package = "golang-go"},                                          \
        {                                                                      \
            0                                                                  \
        }                                                                      \
    }
static const struct bench_side wheel_sides[] =
    SIDES(wheel_side, list_wheel_side);
static const struct bench_side churn_sides[] =
    SIDES(churn_side, list_churn_side);

// A million sleeping tasks need about 5 GB.
static long most_sleepers(void)
{
    return bench_free_memory() > 8e9 ? 1000000 : 100000;
}

static void ask_park(void)
{
    long pending = bench_pick(most_sleepers(), 100000, 200);
    bench_ask(
        &(struct bench_question){
            .name = "timers/park",
            .what = "a time limit on a wait, beside the wait",
            .unit = "ns",
            .ops = (uint64_t)bench_pick(1000000, 300000, 1000),
            .slow = true,
            .params = {{"pending", pending}},
            .more = {"without_limit", "with_limit"},
            .bar = 25,
            .reps = (unsigned)bench_pick(7, 3, 1)},
        park_sides);
}

static void ask_calls(void)
{
    long pending = bench_pick(1000000, 200000, 1000);
    bench_ask(
        &(struct bench_question){
            .name = "timers/call",
            .what = "set and cancel one timer that calls a function",
            .unit = "ns",
            .ops = (uint64_t)bench_pick(2000000, 500000, 1000),
            .slow = true,
            .params = {{"pending", pending}},
            .more = {"from_now"},
            .bar = 25},
        call_sides);
}

static void ask_wheel(const char *name, const char *what,
                      const struct bench_side *sides, long churn)
{
    long pending = bench_pick(1000000, 200000, 1000);
    bench_ask(
        &(struct bench_question){
            .name = name,
            .what = what,
            .unit = "ns",
            .ops = (uint64_t)bench_pick(1000000, 500000, 1000),
            .warm = 10000,
            .params = {{"pending", pending}, {"churn", churn}},
            .bar = 25},
        sides);
}

int main(int argc, char **argv)
{
    bench_start("timers", argc, argv);
    ask_park();
    ask_calls();
    ask_wheel("timers/wheel", "set and cancel one timer", wheel_sides, 0);
    ask_wheel("timers/churn", "cancel any timer and set it anew", churn_sides,
              1);
    return bench_end();
}
