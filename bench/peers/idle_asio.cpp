// SPDX-License-Identifier: MIT
// idle: OPS MS. See bench/idle.c.
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>

#include "support.h"

static long done;

int main(int argc, char **argv)
{
    boost::asio::thread_pool pool(2);
    for (int i = 0; i < 100; i++)
        boost::asio::post(
            pool, [] { __atomic_fetch_add(&done, 1, __ATOMIC_RELEASE); });
    peer_idle(peer_argument(argc, argv, 1), &done, 100);
    pool.join();
}
