// SPDX-License-Identifier: MIT
//
// stream.h: bytes in order, both ways, whatever carries them: TCP, Unix
// sockets, pipes, terminals, memory, TLS (tls.h), or a program's own struct
// weft_stream_ops. A stream reads through a buffer of its own, so that lines
// and messages come out whole; it has none for writing: a write returns when
// the bytes are with the kernel, and a slow peer slows the writer.
//
// One task or thread reads a stream at a time (a second one aborts the
// program); any number may write: each write is whole, in the order of asking.
// Reading and writing do not disturb each other. Who closes a stream has seen
// to it that nobody uses it any more: else that aborts the program as well.
//
// A read that fails has taken nothing: what it had got so far stands in the
// buffer, and the next read of any kind gets it. That holds for a cancel, a
// deadline, an end of the stream in the middle of a message, and a line that
// is too long.
#ifndef WEFT_STREAM_H
#define WEFT_STREAM_H

#include <weft/base.h>
#include <weft/future.h>

#include <sys/uio.h>

typedef struct weft_stream weft_stream;

// What a kind of stream does. The functions block the caller only, are ended
// by its scopes, and return a negative code when they fail.
struct weft_stream_ops {
    size_t size;      // sizeof(struct weft_stream_ops)
    const char *kind; // "tcp", "pipe", "tls", ...
    // Up to size (> 0) bytes; 0 is the end. One that fails has taken nothing.
    ssize_t (*read)(weft_stream *s, void *buf, size_t size);
    // At least one byte of size (> 0), and says how many.
    ssize_t (*write)(weft_stream *s, const void *buf, size_t size);
    // The same from n (> 0) buffers. NULL: by write.
    ssize_t (*writev)(weft_stream *s, const struct iovec *parts, int n);
    // The same from *offset of a file on disk, and moves it; 0 at its end. NULL
    // or -EOPNOTSUPP: by write.
    ssize_t (*sendfile)(weft_stream *s, int fd, off_t *offset, size_t size);
    // Tells the peer that nothing more will be written. NULL: cannot.
    int (*shutdown)(weft_stream *s);
    // Ends the stream and frees the object.
    int (*close)(weft_stream *s);
    // The same without ceremony: the peer is to see an error. NULL: by close.
    int (*abort)(weft_stream *s);
    // The descriptor below. NULL: there is none.
    int (*fd)(weft_stream *s);
    // How many bytes it has itself, so that the descriptor does not tell of
    // them; 1 for an end or a failure. Must not wait; called by the reader.
    // NULL: it never has any.
    size_t (*buffered)(weft_stream *s);
};

// A program's own kind of stream has this first in its object.
struct weft_stream {
    const struct weft_stream_ops *ops;
    void *own[15]; // Weft's own
};

struct weft_memory_options {
    size_t size;
    size_t room; // bytes that a writer may be ahead of the reader; 0: 64 KiB
};

WEFT_BEGIN

// Makes s, the beginning of a program's own object, a stream. Since 0.1.
WEFT_API void weft_stream_init(weft_stream *s,
                               const struct weft_stream_ops *ops);

// A stream over a descriptor: a socket, a pipe, a terminal, a file. The stream
// owns fd from now on, and closes it. Returns 0 or a negative code: then fd is
// still the caller's. Blocks: no. Threads: any. Errors: -EBADF, -ENOMEM.
// Since 0.1.
WEFT_API int weft_stream_open(int fd, weft_stream **stream);

// The other end of a pipe that is descriptor fd of the process f, 0, 1 or 2: it
// was started with WEFT_DEV_PIPE there (process.h). 0 is for writing; its
// writes raise no SIGPIPE, and when it is closed or shut down the process reads
// the end. Each is given once, also after the process has ended; it is the
// caller's to close. Returns 0 or a negative code. Blocks: no. Threads: any.
// Errors: -ENODATA (it is no pipe, or has been given), -EINVAL (f is no
// process, nor is a start that failed at once), -ENOMEM. Since 0.1.
WEFT_API int weft_process_stream(weft_future *f, int fd, weft_stream **stream);

// Two streams in memory: what is written to one is read from the other.
// Returns 0 or -ENOMEM. Blocks: no. Threads: any. Since 0.1.
WEFT_API int weft_stream_pair_with(weft_stream *pair[2],
                                   const struct weft_memory_options *options);

// Reads up to size bytes, what there is; 0 is the end. After one that was full,
// the next may take more than it is asked for into the buffer, as the other
// kinds of reads do (weft_stream_buffered). Blocks: the caller only. Cancels:
// yes. Threads: one at a time. Errors: -ECONNRESET and what the kind
// of stream has; -ECANCELED, -ETIMEDOUT. Since 0.1.
WEFT_API ssize_t weft_stream_read(weft_stream *s, void *buf, size_t size);

// Reads size bytes, not fewer. Returns size; 0 if the stream has ended before
// the first of them; -WEFT_EENDED if it has ended after. Otherwise as
// weft_stream_read. Since 0.1.
WEFT_API ssize_t weft_stream_read_exactly(weft_stream *s, void *buf,
                                          size_t size);

// Reads up to and with the first occurrence of the mark (mark_size > 0 bytes).
// Returns how many bytes that are; 0 at the end of the stream. Errors:
// -WEFT_ETOOBIG, the mark does not come within size bytes; -WEFT_EENDED, the
// stream has ended without it. Otherwise as weft_stream_read. Since 0.1.
WEFT_API ssize_t weft_stream_read_until(weft_stream *s, const void *mark,
                                        size_t mark_size, void *buf,
                                        size_t size);

// The same up to the one of several marks that comes first: that ends first, if
// they overlap. *which, if which is not NULL, is the index of the mark.
// Since 0.1.
WEFT_API ssize_t weft_stream_read_until_any(weft_stream *s,
                                            const struct iovec *marks,
                                            int count, int *which, void *buf,
                                            size_t size);

// Reads a line with its newline, and ends it with a NUL. Returns its length
// without the NUL; 0 at the end of the stream. The last line may lack the
// newline. Errors: -WEFT_ETOOBIG, the line has size bytes or more. Otherwise as
// weft_stream_read. Since 0.1.
WEFT_API ssize_t weft_stream_read_line(weft_stream *s, char *line, size_t size);

// Waits until there is something to read, and takes nothing: returns how many
// bytes stand in the buffer, 0 at the end of the stream. For who waits
// differently between two messages than in one: WEFT_TIMEOUT around it is a
// limit of idleness. Otherwise as weft_stream_read; also -ENOMEM. Since 0.1.
WEFT_API ssize_t weft_stream_await(weft_stream *s);

// Throws the next size bytes away, or all until the end if there are fewer.
// Returns how many that were. Otherwise as weft_stream_read, except that a skip
// that fails in the middle has skipped what it has. Since 0.1.
WEFT_API ssize_t weft_stream_skip(weft_stream *s, size_t size);

// How many bytes stand in the buffer, to be read without waiting; if there are
// none, those that the kind of stream has taken from its descriptor (TLS),
// where an end or a failure counts as 1. Threads: the reader. Since 0.1.
WEFT_API size_t weft_stream_buffered(const weft_stream *s);

// Writes all of it: returns size or a negative code. When it fails, an unknown
// part has been written. Blocks: the caller only, while the peer does not read.
// Cancels: yes. Threads: any; each write is whole. Errors: -EPIPE (a pipe also
// raises SIGPIPE, as for write(2); a socket does not), -ECONNRESET and what the
// kind of stream has; -ECANCELED, -ETIMEDOUT. Since 0.1.
WEFT_API ssize_t weft_stream_write(weft_stream *s, const void *buf,
                                   size_t size);

// Writes all of n buffers in their order, as one. Returns their size together.
// Otherwise as weft_stream_write. Since 0.1.
WEFT_API ssize_t weft_stream_writev(weft_stream *s, const struct iovec *parts,
                                    int n);

// Writes text as printf makes it. Otherwise as weft_stream_write; also -ENOMEM.
// Since 0.1.
WEFT_API ssize_t weft_stream_printf(weft_stream *s, const char *format, ...)
    WEFT_PRINTF(2, 3);

// Sends size bytes of a file on disk from offset on, or all until its end if
// there are fewer, by the kernel where that is possible. Returns how many that
// were. Other writers wait until it is done. Otherwise as weft_stream_write.
// Since 0.1.
WEFT_API ssize_t weft_stream_sendfile(weft_stream *s, int fd, off_t offset,
                                      size_t size);

// Reads from one stream and writes to the other, until the end or until size
// bytes are through (SIZE_MAX: no limit). Returns how many that were, or the
// code of what failed. Otherwise as weft_stream_read and weft_stream_write.
// Since 0.1.
WEFT_API ssize_t weft_stream_copy(weft_stream *from, weft_stream *to,
                                  size_t size);

// The same, and the kernel moves the bytes where it can: from and to TCP, Unix
// sockets (that do not block) and pipes; other kinds are copied. It costs a
// fraction of the CPU time for much data, and more for a little at a time; the
// loopback of one machine may carry fewer bytes a second by it. Takes two
// descriptors for as long as it runs. When it fails, an unknown part of what
// was read has not been written. Since 0.1.
WEFT_API ssize_t weft_stream_splice(weft_stream *from, weft_stream *to,
                                    size_t size);

// Tells the peer that nothing more will be written: it reads the end. Reading
// goes on. Returns 0. Blocks: the caller only. Cancels: yes. Threads: any.
// Errors: -EOPNOTSUPP (a terminal), -ENOTCONN. Since 0.1.
WEFT_API int weft_stream_shutdown(weft_stream *s);

// Closes s and frees it; NULL is allowed. Returns 0 or what the close of the
// file below gave. Blocks: hardly. Cancels: no. Since 0.1.
WEFT_API int weft_stream_close(weft_stream *s);

// The same, at once and without a proper end: what was written may be lost,
// and the peer of a TCP connection sees a reset. Since 0.1.
WEFT_API int weft_stream_abort(weft_stream *s);

// The descriptor below s; -EBADF if there is none. It stays the stream's own.
// What stands in the buffer (weft_stream_buffered) is not there any more: ask
// for that first where you wait for the descriptor. Since 0.1.
WEFT_API int weft_stream_fd(weft_stream *s);

// What carries s: "tcp", "unix", "pipe", "tty", "file", "memory", "tls", ...
// Since 0.1.
WEFT_API const char *weft_stream_kind(const weft_stream *s);

WEFT_END

#ifndef __cplusplus
#define weft_stream_pair(...) WEFT_STREAM_PAIR_(__VA_ARGS__, )
#define WEFT_STREAM_PAIR_(pair, ...)                                           \
    weft_stream_pair_with((pair),                                              \
                          WEFT_OPTIONS(weft_memory_options, __VA_ARGS__))
#else
inline int weft_stream_pair(weft_stream *pair[2], weft_memory_options o = {})
{
    o.size = sizeof o;
    return weft_stream_pair_with(pair, &o);
}
#endif

#endif
