// SPDX-License-Identifier: MIT
//
// interrupt.h: SIGINT as the cancel of a run.
#ifndef WI_FUTURE_INTERRUPT_H
#define WI_FUTURE_INTERRUPT_H

#include <weft/scope.h>

// From now on the first SIGINT cancels root, the root group of the caller's
// run. Returns 0, -EBUSY if another run has it so, or why it cannot be.
int wi_interrupt_begin(weft_group *root);

// Before the root group is closed.
void wi_interrupt_end(void);

#endif
