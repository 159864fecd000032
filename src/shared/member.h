// SPDX-License-Identifier: MIT
//
// member.h: the processes that have an arena attached.
#ifndef WI_SHARED_MEMBER_H
#define WI_SHARED_MEMBER_H

#include "shared/segment.h"

// Takes a place for this process: sets a->tag. On the keeper's thread, whose
// life it is tied to. 0, -EUSERS, or a negative code.
int wi_member_join(weft_arena *a);

// Gives it back; the keeper's thread.
void wi_member_leave(weft_arena *a);

// Whether the attachment that a tag names lives. 0 never does.
bool wi_member_lives(const weft_arena *a, uint32_t tag);

// The process of a tag; 0: it is gone.
pid_t wi_member_pid(const weft_arena *a, uint32_t tag);

// Frees the places of the dead, after all keepers were told; how many. *dying
// (may be NULL) is set if there is one that is not dead yet: to be swept again.
int wi_member_sweep(weft_arena *a, bool *dying);

unsigned wi_member_count(const weft_arena *a);

// The life words of the other processes, for the keeper: at most n.
unsigned wi_member_others(const weft_arena *a, struct wi_futex_wait *words,
                          unsigned n);

#endif
