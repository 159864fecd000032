// SPDX-License-Identifier: MIT
// submit: OPS WORKERS. See bench/submit.c. The result is stored by the job;
// one atomic counter says when all are done.
#include <atomic>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>

#include "support.h"

static const long BURST = 10000, WARM_BURSTS = 3;

static long results[10000];
static std::atomic<long> done;

static uint64_t collect(long n)
{
    uint64_t sum = 0;
    while (done.load(std::memory_order_acquire) < n)
        sched_yield();
    for (long i = 0; i < n; i++)
        sum += (uint64_t)results[i];
    return sum;
}

static double burst(boost::asio::thread_pool &pool, long n)
{
    done.store(0, std::memory_order_relaxed);
    double begin = peer_thread_cpu();
    for (long i = 0; i < n; i++)
        boost::asio::post(pool, [i] {
            results[i] = 3 * i;
            done.fetch_add(1, std::memory_order_release);
        });
    return peer_thread_cpu() - begin;
}

int main(int argc, char **argv)
{
    long ops = peer_argument(argc, argv, 0);
    long n = ops < BURST ? ops : BURST;
    boost::asio::thread_pool pool((size_t)peer_argument(argc, argv, 1));
    uint64_t answer = 0;
    double submit = 0;
    for (int i = 0; i < WARM_BURSTS; i++) {
        burst(pool, n);
        collect(n);
    }
    double cpu = peer_cpu(), wall = peer_wall();
    for (long i = 0; i < ops / n; i++) {
        submit += burst(pool, n);
        answer += collect(n);
    }
    double jobs = (double)(ops / n * n);
    cpu = peer_cpu() - cpu;
    wall = peer_wall() - wall;
    pool.join();
    peer_reply(submit / jobs, answer, cpu / jobs, wall / jobs, 0, 0);
}
