// SPDX-License-Identifier: MIT
// sample.h: one sample in a process of its own.
#ifndef BENCH_SAMPLE_H
#define BENCH_SAMPLE_H

#include "bench.h"

// Takes one sample, which may last `limit` seconds. False: why says what
// happened. Static storage.
bool bench_sample(const struct bench_side *side, const struct bench_ask *ask,
                  unsigned limit, struct bench_reply *reply, const char **why);

#endif
