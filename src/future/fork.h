// SPDX-License-Identifier: MIT
#ifndef WI_FUTURE_FORK_H
#define WI_FUTURE_FORK_H

// In a copy of a process, with one thread: Weft begins anew here.
void wi_fork_refresh(void);

#endif
