// SPDX-License-Identifier: MIT
//
// handshakes.h: the peers that are at their handshake, and who of them gives
// way when others want in.
//
// A peer may take its time, but not everybody's. When no place is left the one
// gives way that has been at it for longest, of the address that has the most:
// at once for a peer of an address with fewer, else when it has had its share
// of time, so that many honest peers of one address wait for each other and
// none is turned out. For IPv6 an address is the first half of it, which is
// what one machine may have for itself.
#ifndef WI_TLS_HANDSHAKES_H
#define WI_TLS_HANDSHAKES_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <weft/future.h>
#include <weft/net.h>

// One peer's.
struct wi_handshake {
    struct wi_handshake *next, *prev;
    weft_future *task; // that does it; NULL: it has not started
    uint64_t address;  // of the peer, as far as it counts
    double since;      // weft_now of its beginning
    bool gave_way;     // for another's sake; the task is canceled
};

// Zeroed with the lock's initializer: nobody.
struct wi_handshakes {
    pthread_mutex_t lock; // for all below; never while something waits
    struct wi_handshake *first, *last;
};

// One begins: a task will be started for it.
void wi_handshakes_begin(struct wi_handshakes *all, struct wi_handshake *one,
                         const struct weft_address *peer);

// The calling task does it, unless it has to give way already: false.
bool wi_handshakes_start(struct wi_handshakes *all, struct wi_handshake *one);

// It has come to an end. True: it had to give way, and the task is canceled.
bool wi_handshakes_end(struct wi_handshakes *all, struct wi_handshake *one);

// Makes one give way to a peer that has no place, if that is right, after
// `share` seconds if it has the same address. Returns after how many seconds
// to ask again, if there is no place by then.
double wi_handshakes_give_way(struct wi_handshakes *all,
                              const struct weft_address *peer, double share);

#endif
