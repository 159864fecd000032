// SPDX-License-Identifier: MIT
// park: OPS. See bench/park.c: suspend is the park, schedule the unpark.
#include <boost/fiber/all.hpp>

#include "support.h"

using boost::fibers::context;

static uint64_t ops, turns;
static int turn;
static context *players[2];
static double begin, end;

static void play(int me)
{
    players[me] = context::active();
    while (players[!me] == nullptr)
        boost::this_fiber::yield();
    for (bool last = false; !last;) {
        while (turn != me)
            context::active()->suspend();
        if (turns == ops / 10)
            begin = peer_cpu();
        if (turns == ops / 10 + ops)
            end = peer_cpu();
        last = turns > ops / 10 + ops;
        turns++;
        turn = !me;
        if (turns < ops / 10 + ops + 3)
            context::active()->schedule(players[!me]);
    }
}

int main(int argc, char **argv)
{
    ops = (uint64_t)peer_argument(argc, argv, 0) & ~(uint64_t)1;
    boost::fibers::fiber a(play, 0), b(play, 1);
    a.join();
    b.join();
    peer_reply((end - begin) / (double)ops, turns - ops / 10 - 3, 0, 0, 0, 0);
}
