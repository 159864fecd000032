// SPDX-License-Identifier: MIT
//
// racy.h: reading what another thread may write meanwhile without an atomic,
// where the reader finds out afterwards whether it was whole, or does not mind.
#ifndef WI_BASE_RACY_H
#define WI_BASE_RACY_H

// A function that does so.
#define WI_RACY __attribute__((noinline, no_sanitize("thread")))

// Reads the place once, now.
#define WI_GLANCE(place) (*(volatile __typeof__(place) *)&(place))

#endif
