// SPDX-License-Identifier: MIT
// queue: what does a message cost from producers to consumers?
//
//  queue/1x1, 4x4, tasks  threads (or tasks of one worker) put numbers, others
//                         get them; the figure is the time of it all for one
//                         message. GAsyncQueue has no bound: it is beside the
//                         unbounded queue, and beside the bounded one because
//                         there is no other.
//  queue/batch            one thread puts 32 at a time, one gets up to 32
//  channel                two tasks of one worker: there and back, unbuffered
#include <pthread.h>
#include <stdlib.h>
#include <weft.h>

#include "support/bench.h"

enum { BATCH = 32, MOST = 16 };

// The clock and the CPU time of what lies between begin and end.
struct span {
    double wall, cpu;
};

static struct span span_begin(void)
{
    return (struct span){bench_wall(), bench_cpu()};
}

static void span_end(struct span s, uint64_t ops, struct bench_reply *reply)
{
    reply->value = (bench_wall() - s.wall) / (double)ops;
    reply->more[0] = (bench_cpu() - s.cpu) / (double)ops;
}

// Threads ---------------------------------------------------------------------

struct flow {
    weft_queue *q;
    uint64_t each; // messages of one producer
    bool batch;
    uint64_t sum; // of what consumers got
};

static int produce(void *arg)
{
    struct flow *f = arg;
    uint64_t items[BATCH];
    for (uint64_t i = 0; i < f->each; i += f->batch ? BATCH : 1) {
        for (uint64_t k = 0; k < (f->batch ? BATCH : 1); k++)
            items[k] = i + k;
        ssize_t n = f->batch ? weft_queue_put_n(f->q, items, BATCH)
                             : weft_queue_put(f->q, items);
        if (n != (f->batch ? BATCH : 0))
            bench_fail("put: %s", weft_strerror((int)n));
    }
    return weft_queue_producer_done(f->q);
}

static int consume(void *arg)
{
    struct flow *f = arg;
    uint64_t items[BATCH], sum = 0;
    for (;;) {
        ssize_t n = f->batch ? weft_queue_get_n(f->q, items, BATCH)
                             : weft_queue_get(f->q, items);
        if (n == -WEFT_ECLOSED)
            break;
        if (n < 0)
            bench_fail("get: %s", weft_strerror((int)n));
        for (ssize_t k = 0; k < (f->batch ? n : 1); k++)
            sum += items[k];
    }
    __atomic_fetch_add(&f->sum, sum, __ATOMIC_RELAXED);
    return 0;
}

static weft_future *start_thread(weft_function *fn, void *arg)
{
    return weft_thread_start(fn, arg);
}

static weft_future *start_task(weft_function *fn, void *arg)
{
    return weft_task_start(fn, arg);
}

static void let_flow(const struct bench_ask *ask, struct bench_reply *reply,
                     weft_future *(*start)(weft_function *fn, void *arg))
{
    unsigned producers = (unsigned)ask->param[0];
    unsigned consumers = (unsigned)ask->param[1];
    struct flow f = {.each = ask->ops / producers, .batch = ask->param[3] > 1};
    weft_future *all[2 * MOST];
    f.q = weft_queue_new(.item = sizeof(uint64_t), .producers = producers,
                         .maxsize = (size_t)ask->param[2]);
    if (f.batch)
        f.each -= f.each % BATCH;
    struct span s = span_begin();
    for (unsigned i = 0; i < producers; i++)
        all[i] = start(produce, &f);
    for (unsigned i = 0; i < consumers; i++)
        all[producers + i] = start(consume, &f);
    for (unsigned i = 0; i < producers + consumers; i++)
        if (weft_join(all[i]) != 0)
            bench_fail("a producer or consumer failed");
    span_end(s, f.each * producers, reply);
    reply->answer = f.sum;
    weft_queue_free(f.q);
}

static void threads_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    let_flow(ask, reply, start_thread);
}

struct both {
    const struct bench_ask *ask;
    struct bench_reply *reply;
};

static int tasks_main(void *arg)
{
    struct both *b = arg;
    let_flow(b->ask, b->reply, start_task);
    return 0;
}

static void tasks_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    struct both b = {ask, reply};
    if (weft_run(tasks_main, &b) != 0)
        bench_fail("weft_run failed");
}

// The same with a mutex and two conditions: what is written by hand.
static struct {
    pthread_mutex_t lock;
    pthread_cond_t not_empty, not_full;
    uint64_t slots[128], head, tail, each, left, sum;
} hand = {.lock = PTHREAD_MUTEX_INITIALIZER,
          .not_empty = PTHREAD_COND_INITIALIZER,
          .not_full = PTHREAD_COND_INITIALIZER};

static void *hand_produce(void *arg)
{
    for (uint64_t i = 0; i < hand.each; i++) {
        pthread_mutex_lock(&hand.lock);
        while (hand.tail - hand.head == 128)
            pthread_cond_wait(&hand.not_full, &hand.lock);
        hand.slots[hand.tail++ % 128] = i;
        pthread_cond_signal(&hand.not_empty);
        pthread_mutex_unlock(&hand.lock);
    }
    return arg;
}

static void *hand_consume(void *arg)
{
    uint64_t sum = 0;
    for (;;) {
        pthread_mutex_lock(&hand.lock);
        while (hand.tail == hand.head && hand.left > 0)
            pthread_cond_wait(&hand.not_empty, &hand.lock);
        if (hand.left == 0)
            break;
        sum += hand.slots[hand.head++ % 128];
        if (--hand.left == 0)
            pthread_cond_broadcast(&hand.not_empty);
        pthread_cond_signal(&hand.not_full);
        pthread_mutex_unlock(&hand.lock);
    }
    hand.sum += sum;
    pthread_mutex_unlock(&hand.lock);
    return arg;
}

static void hand_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    unsigned producers = (unsigned)ask->param[0];
    unsigned all = producers + (unsigned)ask->param[1];
    pthread_t thread[2 * MOST];
    hand.each = ask->ops / producers;
    hand.left = hand.each * producers;
    struct span s = span_begin();
    for (unsigned i = 0; i < all; i++)
        if (pthread_create(&thread[i], NULL,
                           i < producers ? hand_produce : hand_consume,
                           NULL) != 0)
            bench_fail("pthread_create failed");
    for (unsigned i = 0; i < all; i++)
        pthread_join(thread[i], NULL);
    span_end(s, hand.each * producers, reply);
    reply->answer = hand.sum;
}

// A channel -------------------------------------------------------------------

struct game {
    weft_channel *there, *back;
    uint64_t trips;
    struct bench_reply *reply;
};

static int answer(void *arg)
{
    struct game *g = arg;
    uint64_t value;
    while (weft_channel_receive(g->there, &value) == 0) {
        value++;
        if (weft_channel_send(g->back, &value) != 0)
            bench_fail("send failed");
    }
    return 0;
}

static uint64_t play(struct game *g, uint64_t trips)
{
    uint64_t value, sum = 0;
    for (uint64_t i = 0; i < trips; i++) {
        value = i;
        if (weft_channel_send(g->there, &value) != 0 ||
            weft_channel_receive(g->back, &value) != 0)
            bench_fail("the channel failed");
        sum += value;
    }
    return sum;
}

static int channel_main(void *arg)
{
    struct game *g = arg;
    weft_future *f = weft_task_start(answer, g);
    play(g, g->trips / 20 + 1);
    double begin = bench_cpu();
    g->reply->answer = play(g, g->trips);
    g->reply->value = (bench_cpu() - begin) / (double)g->trips;
    weft_channel_close(g->there);
    return weft_join(f);
}

static void channel_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    struct game g = {weft_channel_new(.item = sizeof(uint64_t)),
                     weft_channel_new(.item = sizeof(uint64_t)), ask->ops,
                     reply};
    if (weft_run(channel_main, &g) != 0)
        bench_fail("weft_run failed");
    weft_channel_free(g.there);
    weft_channel_free(g.back);
}

// The questions ---------------------------------------------------------------

#define GLIB                                                                   \
    {                                                                          \
        "GAsyncQueue", BENCH_PEER, .program = "queue_glib",                    \
                                   .package = "libglib2.0-dev"                 \
    }
#define GO                                                                     \
    {                                                                          \
        "Go channel", BENCH_PEER, .program = "queue_go",                       \
                                  .package = "golang-go"                       \
    }

static const struct bench_side bounded[] = {
    {"weft", BENCH_WEFT, .fn = threads_side},
    {"mutex and conditions", BENCH_PEER, .fn = hand_side},
    GLIB,
    GO,
    {0}};
static const struct bench_side unbounded[] = {
    {"weft", BENCH_WEFT, .fn = threads_side}, GLIB, {0}};
static const struct bench_side batches[] = {
    {"weft", BENCH_WEFT, .fn = threads_side}, {0}};
static const struct bench_side tasks[] = {
    {"weft", BENCH_WEFT, .fn = tasks_side}, {0}};
static const struct bench_side channels[] = {
    {"weft", BENCH_WEFT, .fn = channel_side},
    {"Go", BENCH_PEER, .program = "channel_go", .package = "golang-go"},
    {"tokio", BENCH_PEER, .program = "channel_tokio",
     .package = "librust-tokio-dev"},
    {0}};

static void ask(const char *name, const struct bench_side *sides,
                long producers, long consumers, long maxsize, long batch,
                double bar, const char *against)
{
    bench_ask(
        &(struct bench_question){
            .name = name,
            .what = "one message from a producer to a consumer",
            .unit = "ns",
            .ops = (uint64_t)bench_pick(4 << 20, 1 << 20, 1 << 12),
            .warm = 1 << 12,
            .params = {{"producers", producers},
                       {"consumers", consumers},
                       {"maxsize", maxsize},
                       {"batch", batch}},
            .more = {"cpu"},
            .bar = bar,
            .bar_against = against},
        sides);
}

int main(int argc, char **argv)
{
    bench_start("queue", argc, argv);
    ask("queue/1x1", bounded, 1, 1, 128, 1, 50, NULL);
    ask("queue/4x4", bounded, 4, 4, 128, 1, 0.5, "GAsyncQueue");
    ask("queue/unbounded/1x1", unbounded, 1, 1, 0, 1, 0.5, "GAsyncQueue");
    ask("queue/unbounded/4x4", unbounded, 4, 4, 0, 1, 0.5, "GAsyncQueue");
    ask("queue/batch", batches, 1, 1, 128, BATCH, 8, NULL);
    ask("queue/tasks", tasks, 1, 1, 128, 1, 50, NULL);
    bench_ask(&(struct bench_question){.name = "channel",
                                       .what = "there and back, unbuffered",
                                       .unit = "ns",
                                       .ops = (uint64_t)bench_pick(
                                           5000000, 1000000, 1000),
                                       .warm = 1000,
                                       .params = {{"tasks", 2}},
                                       .bar = 80},
              channels);
    return bench_end();
}
