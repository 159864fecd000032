// SPDX-License-Identifier: MIT
//
// life.h: the thread that sleeps on the life words of all workers.
#ifndef WI_PROCESS_LIFE_H
#define WI_PROCESS_LIFE_H

#include <stdbool.h>
#include <stdint.h>

struct wi_lifeline {
    uint32_t *word;
    bool gone;                // release by the thread: the word says so
    struct wi_errand *errand; // posted then
    struct wi_lifeline *next; // the thread's, under its lock
    bool listed;
};

// Watches s->word until it says that its holder is gone, then sets s->gone and
// posts s->errand. Does nothing on kernels that cannot, and for more words
// than fit; then there is the pidfd.
void wi_life_watch(struct wi_lifeline *s);
void wi_life_forget(struct wi_lifeline *s);

#endif
