// SPDX-License-Identifier: MIT
// migrate: a job that can go on, while its worker has begun a long one and
// another worker has nothing to do: from its wake until it runs, with .migrate
// and without. And what .migrate costs where it cures nothing: a wait and its
// wake on a pool of one worker.
#include <weft.h>

#include "support/bench.h"

enum { LONG_NS = 20000000 };

// The word of one step, told and awaited without any call of Weft.
static bool is_told(uint32_t *word)
{
    return __atomic_load_n(word, __ATOMIC_ACQUIRE) != 0;
}

static void tell(uint32_t *word)
{
    __atomic_store_n(word, 1, __ATOMIC_RELEASE);
}

static void compute_until(uint32_t *word)
{
    while (!is_told(word))
        ;
}

struct round {
    uint32_t occupied, leave, waits, busy;
    struct weft_event event;
    double ready, ran;
};

static struct round now;

WEFT_JOB(int, occupy)
{
    tell(&now.occupied);
    compute_until(&now.leave);
    return 0;
}

WEFT_JOB(int, wait_for_event)
{
    tell(&now.waits);
    int rc = weft_event_wait(&now.event);
    now.ran = bench_wall();
    return rc;
}

WEFT_JOB(int, compute_for_long)
{
    tell(&now.busy);
    double end = bench_wall() + LONG_NS;
    while (bench_wall() < end)
        ;
    return 0;
}

// The waiting job is on the worker that the long one comes to.
static double one_round(weft_executor *ex, bool migrate)
{
    now = (struct round){0};
    weft_future *first = weft_submit(ex, occupy);
    compute_until(&now.occupied);
    weft_future *job =
        weft_submit(weft_executor_with(ex, .migrate = migrate), wait_for_event);
    compute_until(&now.waits);
    weft_future *second = weft_submit(ex, compute_for_long);
    compute_until(&now.busy);
    tell(&now.leave);
    weft_join(first);
    now.ready = bench_wall();
    weft_event_set(&now.event);
    if (weft_join(job) != 0 || weft_join(second) != 0)
        bench_fail("a job failed");
    return now.ran - now.ready;
}

static void behind(const struct bench_ask *ask, struct bench_reply *reply,
                   bool migrate)
{
    enum { MAX_ROUNDS = 200 };
    static double walls[MAX_ROUNDS];
    unsigned n = ask->ops < MAX_ROUNDS ? (unsigned)ask->ops : MAX_ROUNDS;
    weft_executor *ex = weft_thread_pool(.workers = 2);
    for (unsigned i = 0; i < n; i++)
        walls[i] = one_round(ex, migrate) / 1000;
    weft_executor_close(ex);
    reply->value = bench_median(walls, n);
    reply->more[0] = walls[n - 1];
    reply->answer = n;
}

static void behind_migrating(const struct bench_ask *ask,
                             struct bench_reply *reply)
{
    behind(ask, reply, true);
}

static void behind_pinned(const struct bench_ask *ask,
                          struct bench_reply *reply)
{
    behind(ask, reply, false);
}

// Two jobs on one worker that let each other go on.
struct pair {
    struct weft_semaphore turns[2];
    uint64_t rounds, sum;
};

static struct pair pair;

WEFT_JOB(int, alternate, int, side)
{
    for (uint64_t i = 0; i < pair.rounds; i++) {
        if (weft_semaphore_acquire(&pair.turns[side]) < 0)
            return -1;
        pair.sum++;
        weft_semaphore_release(&pair.turns[!side], 1);
    }
    return 0;
}

static void cost(const struct bench_ask *ask, struct bench_reply *reply,
                 bool migrate)
{
    bench_pin();
    pair = (struct pair){.rounds = ask->ops / 2};
    weft_semaphore_init(&pair.turns[0], 1);
    weft_semaphore_init(&pair.turns[1], 0);
    weft_executor *ex = weft_thread_pool(.workers = 1);
    double begin = bench_cpu();
    weft_future *f[2];
    for (int i = 0; i < 2; i++)
        f[i] = weft_submit(weft_executor_with(ex, .migrate = migrate),
                           alternate, i);
    if (weft_join(f[0]) != 0 || weft_join(f[1]) != 0)
        bench_fail("a job failed");
    reply->value = (bench_cpu() - begin) / (double)(2 * pair.rounds);
    weft_executor_close(ex);
    reply->answer = pair.sum;
}

static void cost_migrating(const struct bench_ask *ask,
                           struct bench_reply *reply)
{
    cost(ask, reply, true);
}

static void cost_pinned(const struct bench_ask *ask, struct bench_reply *reply)
{
    cost(ask, reply, false);
}

int main(int argc, char **argv)
{
    bench_start("migrate", argc, argv);
    const struct bench_side behind_sides[] = {
        {"weft", BENCH_WEFT, .fn = behind_migrating},
        {"without .migrate", BENCH_FLOOR, .fn = behind_pinned},
        {0}};
    bench_ask(
        &(struct bench_question){
            .name = "migrate/behind",
            .what = "from wake to run, behind a job of 20 ms, one worker idle",
            .unit = "us",
            .ops = (uint64_t)bench_pick(50, 20, 2),
            .warm = 1,
            .more = {"most"}},
        behind_sides);
    const struct bench_side cost_sides[] = {
        {"weft", BENCH_WEFT, .fn = cost_migrating},
        {"without .migrate", BENCH_FLOOR, .fn = cost_pinned},
        {0}};
    bench_ask(&(struct bench_question){.name = "migrate/cost",
                                       .what = "wait and wake, one worker",
                                       .unit = "ns",
                                       .ops = (uint64_t)bench_pick(400000,
                                                                   100000, 200),
                                       .warm = 100},
              cost_sides);
    return bench_end();
}
