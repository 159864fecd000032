// SPDX-License-Identifier: MIT
// pipeline: OPS WORKERS TOKENS ROUNDS. See bench/pipeline.c. The calling thread
// is one of the workers.
#include <tbb/global_control.h>
#include <tbb/parallel_pipeline.h>

#include "../kernels.h"
#include "support.h"

static uint64_t run(size_t tokens, long left, long rounds)
{
    uint64_t sum = 0;
    auto make = [&left](tbb::flow_control &control) -> uint64_t {
        if (left == 0) {
            control.stop();
            return 0;
        }
        return (uint64_t)left--;
    };
    auto add = [&sum](uint64_t n) { sum += n; };
    const auto in_order = tbb::filter_mode::serial_in_order;
    tbb::parallel_pipeline(
        tokens, tbb::make_filter<void, uint64_t>(in_order, make) &
                    tbb::make_filter<uint64_t, uint64_t>(
                        tbb::filter_mode::parallel,
                        [=](uint64_t n) { return pipeline_work(n, rounds); }) &
                    tbb::make_filter<uint64_t, void>(in_order, add));
    return sum;
}

int main(int argc, char **argv)
{
    long ops = peer_argument(argc, argv, 0);
    size_t tokens = (size_t)peer_argument(argc, argv, 2);
    tbb::global_control limit(tbb::global_control::max_allowed_parallelism,
                              (size_t)peer_argument(argc, argv, 1));
    long rounds = peer_argument(argc, argv, 3);
    run(tokens, 1000, rounds);
    double cpu = peer_cpu(), wall = peer_wall();
    uint64_t sum = run(tokens, ops, rounds);
    cpu = (peer_cpu() - cpu) / (double)ops;
    wall = (peer_wall() - wall) / (double)ops;
    if (rounds == 1)
        peer_reply(cpu, sum, wall, 0, 0, 0);
    else
        peer_reply(wall, sum, cpu, 0, 0, 0);
}
