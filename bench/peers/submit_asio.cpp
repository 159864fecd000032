// SPDX-License-Identifier: MIT
// submit: OPS WORKERS. See bench/submit.c.
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>

#include "submit.h"

static boost::asio::thread_pool *pool;

static void give(long n)
{
    for (long i = 0; i < n; i++)
        boost::asio::post(*pool, [i] { submit_job(i); });
}

int main(int argc, char **argv)
{
    boost::asio::thread_pool threads((size_t)peer_argument(argc, argv, 1));
    pool = &threads;
    submit_measure(peer_argument(argc, argv, 0), give, submit_await);
    threads.join();
}
