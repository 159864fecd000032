// SPDX-License-Identifier: MIT
// submit_result: OPS GAP. See bench/submit_result.c. std::async has no pool: a
// thread for each.
#include <future>

#include "support.h"

static long call(long x)
{
    return std::async(std::launch::async, [x] { return 3 * x; }).get();
}

int main(int argc, char **argv)
{
    peer_pin();
    peer_rounds(peer_argument(argc, argv, 0), peer_argument(argc, argv, 1),
                call);
}
