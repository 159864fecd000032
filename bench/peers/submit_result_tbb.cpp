// SPDX-License-Identifier: MIT
// submit_result: OPS GAP. See bench/submit_result.c. The answer comes back
// through std::promise.
#include <future>
#include <tbb/global_control.h>
#include <tbb/task_arena.h>

#include "support.h"

static tbb::task_arena *arena;

static long call(long x)
{
    std::promise<long> promise;
    std::future<long> result = promise.get_future();
    arena->enqueue([x, &promise] { promise.set_value(3 * x); });
    return result.get();
}

int main(int argc, char **argv)
{
    peer_pin();
    tbb::global_control limit(tbb::global_control::max_allowed_parallelism, 2);
    tbb::task_arena one(1, 0);
    arena = &one;
    peer_rounds(peer_argument(argc, argv, 0), peer_argument(argc, argv, 1),
                call);
}
