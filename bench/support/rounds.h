// SPDX-License-Identifier: MIT
// rounds.h: one call after another, each timed by the clock; and two words of
// memory in which two threads or two processes call each other, which is the
// least that such a call can be.
#ifndef BENCH_ROUNDS_H
#define BENCH_ROUNDS_H

#include "bench.h"

// The names of what bench_rounds adds to its reply, for bench_question.more.
#define BENCH_ROUNDS_MORE "least", "p90", "p99", "cpu_us"

// ask->ops calls of call(arg, i), each followed by a sleep of `gap_us`. The
// figure is their median in us; also the least, the 90th and 99th percentile,
// and the CPU time of a call, of all threads, in us. The answer is the sum of
// what the calls return. BENCH_ROUNDS_WARM
// calls before them do not count.
void bench_rounds(const struct bench_ask *ask, struct bench_reply *reply,
                  long gap_us, long (*call)(void *arg, long x), void *arg);

enum { BENCH_ROUNDS_WARM = 20 }; // calls that do not count; so in the peers

// Both ends wait by futex and look at nothing else. Zeroed; in memory that
// processes share, if they do.
struct bench_line {
    uint32_t request, response;
    long value;
    bool shared; // between processes
    bool stop;
};

long bench_line_call(void *line, long x); // for bench_rounds
// Answers with fn(x) until bench_line_stop.
void bench_line_serve(struct bench_line *line, long (*fn)(long x));
void bench_line_stop(struct bench_line *line);

#endif
