// SPDX-License-Identifier: MIT
#include "process/terms.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>

#include "os/clock.h"
#include "os/report.h"
#include "sched/scope.h"

static const double longest = 9e9; // seconds that fit

int64_t wi_span(double seconds)
{
    wi_require(!isnan(seconds), NULL, "a time span must not be NaN");
    return seconds <= 0 || seconds > longest ? 0 : (int64_t)(seconds * 1e9) + 1;
}

void wi_terms_set(struct wi_terms *terms,
                  const struct weft_submit_options *options)
{
    *terms = (struct wi_terms){.deadline = WI_FOREVER,
                               .timeout = wi_span(options->timeout),
                               .retries = options->retries,
                               .priority = (options->priority > 0) -
                                           (options->priority < 0)};
    if (options->deadline != 0)
        terms->deadline = wi_deadline_in(options->deadline, "weft_submit");
    if (options->name != NULL)
        snprintf(terms->name, sizeof terms->name, "%s", options->name);
}

bool wi_terms_sound(struct wi_terms *terms)
{
    terms->name[sizeof terms->name - 1] = '\0';
    return terms->deadline >= 0 && terms->timeout >= 0 &&
           terms->timeout <= (int64_t)(longest * 1e9) + 1;
}
