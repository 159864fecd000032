// SPDX-License-Identifier: MIT
//
// offer.h: descriptors that other processes of the same user can have for the
// asking, under a name that is gone when this process is.
#ifndef WI_PROCESS_OFFER_H
#define WI_PROCESS_OFFER_H

#include "os/local.h"

struct wi_offer;

// Offers fd, which must stay open, under a name. 0, -EADDRINUSE, or another
// negative code.
int wi_offer_new(const char *name, int fd, struct wi_offer **offer);
void wi_offer_free(struct wi_offer *offer); // NULL is allowed

// Asks for the descriptor of that name. Blocks the caller only, until the
// process that offers it answers; cancelable. The descriptor, -ENOENT (nobody
// offers it, or another user does), or as weft_fd_wait.
int wi_offer_take(const char *name);

#endif
