// SPDX-License-Identifier: MIT
//
// fd_stream.h: streams over descriptors, for the files that make sockets.
#ifndef WI_NET_FD_STREAM_H
#define WI_NET_FD_STREAM_H

#include <weft/stream.h>

// A stream over a socket of Weft's own, which does not block. On failure, which
// is -ENOMEM, fd is closed.
int wi_stream_of_socket(int fd, bool tcp, weft_stream **stream);

// A stream over an end of a pipe of Weft's own, which does not block; its
// writes raise no SIGPIPE. 0 or -ENOMEM: then fd stays the caller's.
int wi_stream_of_pipe(int fd, weft_stream **stream);

// The descriptor whose bytes are the stream's, as they are; negative: there is
// none.
int wi_stream_bare_fd(weft_stream *s);

#endif
