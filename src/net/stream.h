// SPDX-License-Identifier: MIT
//
// stream.h: the reader and the writers of a stream, for the files that move
// bytes past its buffer.
#ifndef WI_NET_STREAM_H
#define WI_NET_STREAM_H

#include <weft/stream.h>

#include "net/turn.h"

// 0: the caller is the reader until the end, which returns `result`. Else a
// code of the caller's scopes, and the end is to be called too.
int wi_stream_begin_read(weft_stream *s, const char *function);
ssize_t wi_stream_end_read(weft_stream *s, ssize_t result);

// Who may write.
struct wi_turn *wi_stream_writers(weft_stream *s);

#endif
