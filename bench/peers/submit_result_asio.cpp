// SPDX-License-Identifier: MIT
// submit_result: OPS GAP. See bench/submit_result.c. The answer comes back
// through std::future.
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <future>

#include "support.h"

static boost::asio::thread_pool *pool;

static long call(long x)
{
    std::packaged_task<long()> job([x] { return 3 * x; });
    std::future<long> result = job.get_future();
    boost::asio::post(*pool, std::move(job));
    return result.get();
}

int main(int argc, char **argv)
{
    peer_pin();
    boost::asio::thread_pool one(1);
    pool = &one;
    peer_rounds(peer_argument(argc, argv, 0), peer_argument(argc, argv, 1),
                call);
    one.join();
}
