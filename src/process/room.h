// SPDX-License-Identifier: MIT
//
// room.h: memory for bytes on their way to a job. Large pieces are used again:
// to touch pages that the system has just given costs several times as much as
// the copy itself.
#ifndef WI_PROCESS_ROOM_H
#define WI_PROCESS_ROOM_H

#include <stddef.h>

// size bytes, aligned to 16; NULL: no memory. Any thread.
void *wi_room_take(size_t size);

// Gives it back. NULL is allowed.
void wi_room_give(void *room);

#endif
