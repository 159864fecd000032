// SPDX-License-Identifier: MIT
// sleep: how late does a sleep of a millisecond end? The median, in us; p99 is
// what a program notices. Nothing else runs in it.
//
//  idle    the machine has nothing else to do
//  busy    two processes for each CPU compute all the time
#include <time.h>
#include <unistd.h>
#include <weft.h>

#include "support/bench.h"
#include "support/hogs.h"

enum { SLEEP_US = 1000, MOST = 20000, MOST_HOGS = 64 };

// n sleeps, timed.
static void nap(const struct bench_ask *ask, struct bench_reply *reply,
                void (*one)(void))
{
    static double late[MOST];
    unsigned n = ask->ops < MOST ? (unsigned)ask->ops : MOST;
    one(); // warm
    double cpu = bench_cpu();
    for (unsigned i = 0; i < n; i++) {
        double begin = bench_wall();
        one();
        late[i] = (bench_wall() - begin) / 1000 - SLEEP_US;
        reply->answer += late[i] >= 0; // it must not be early
    }
    reply->more[2] = (bench_cpu() - cpu) / n / 1000;
    reply->value = bench_median(late, n);
    reply->more[0] = late[0];
    reply->more[1] = late[n * 99 / 100];
}

static void task_nap(void)
{
    weft_sleep(SLEEP_US / 1e6);
}

struct place {
    const struct bench_ask *ask;
    struct bench_reply *reply;
};

static int nap_main(void *arg)
{
    struct place *p = arg;
    nap(p->ask, p->reply, task_nap);
    return 0;
}

static void weft_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    struct place p = {ask, reply};
    if (weft_run(nap_main, &p) != 0)
        bench_fail("weft_run failed");
}

static void thread_nap(void)
{
    bench_sleep_us(SLEEP_US);
}

static void thread_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    nap(ask, reply, thread_nap);
}

static const struct bench_side sides[] = {
    {"weft", BENCH_WEFT, .fn = weft_side},
    {"nanosleep", BENCH_FLOOR, .fn = thread_side},
    {"Go", BENCH_PEER, .program = "sleep_go", .package = "golang-go"},
    {"Boost.Asio", BENCH_PEER, .program = "sleep_asio",
     .package = "libboost-dev"},
    {"asyncio", BENCH_PEER, .program = "sleep_asyncio", .package = "python3"},
    {0}};

static void ask(const char *name, const char *what)
{
    bench_ask(&(struct bench_question){.name = name,
                                       .what = what,
                                       .unit = "us",
                                       .ops = (uint64_t)bench_pick(400, 50, 5),
                                       .slow = true,
                                       .params = {{"sleep_us", SLEEP_US}},
                                       .more = {"least", "p99", "cpu_us"}},
              sides);
}

int main(int argc, char **argv)
{
    pid_t hogs[MOST_HOGS];
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    int n = cpus < MOST_HOGS / 2 ? 2 * (int)cpus : MOST_HOGS;
    bench_start("sleep", argc, argv);
    ask("sleep/idle", "how late a sleep of 1 ms ends");
    if (!bench_lists())
        bench_hogs_start(hogs, n, false);
    ask("sleep/busy", "the same beside two processes for each CPU");
    if (!bench_lists())
        bench_hogs_end(hogs, n);
    return bench_end();
}
