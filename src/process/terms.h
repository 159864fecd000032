// SPDX-License-Identifier: MIT
//
// terms.h: the options of a submit, as the pool takes them and as they travel
// from a job in a worker that submits: in front of its argument's bytes.
#ifndef WI_PROCESS_TERMS_H
#define WI_PROCESS_TERMS_H

#include <stdbool.h>
#include <stdint.h>

#include <weft/executor.h>

struct wi_terms {
    int64_t deadline; // absolute; the clock is one for all processes
    int64_t timeout;  // ns; 0: none
    uint32_t retries;
    int32_t priority; // -1, 0 or 1
    char name[32];    // cut; empty: the job's
};

// A time span of an option in ns; 0: none, as is INFINITY. NaN aborts.
int64_t wi_span(double seconds);

void wi_terms_set(struct wi_terms *terms,
                  const struct weft_submit_options *options);

// Whether terms that somebody else has written can be meant; ends their name.
bool wi_terms_sound(struct wi_terms *terms);

#endif
