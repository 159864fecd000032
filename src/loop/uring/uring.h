// SPDX-License-Identifier: MIT
//
// uring.h: the inside of the io_uring backend.
//
//   uring.c    opening, closing, waking, the operations' front
//   turn.c     entering the kernel, and giving out what it has completed
//   single.c   operations that are one request
//   ahead.c    standing requests: multishot accept and receive
//   buffers.c  the buffers that the kernel picks from
//
// The tag of a request is an address with its kind in the low bits. It needs no
// generation, because what it points to outlives the request by rule: a struct
// wi_io is given back to its task only when its one completion has been seen,
// and a struct uring_ahead is reused only after the completion that says no
// more will follow. Both wait for the answers to requests to cancel them, too.
//
// Those answers matter. A request whose descriptor has become ready waits in a
// list of the kernel's for its second attempt, and a request to cancel it finds
// it nowhere (-ENOENT). If that attempt then comes too late, as somebody else
// has taken what was there, the request sleeps on, and nothing would end it:
// it has to be asked for again.
#ifndef WI_LOOP_URING_H
#define WI_LOOP_URING_H

#include <liburing.h>

#include "loop/fd.h"
#include "loop/queue.h"
#include "loop/table.h"

enum uring_tag {
    URING_SINGLE = 0,      // struct wi_io
    URING_AHEAD = 1,       // struct uring_ahead
    URING_STOP_SINGLE = 2, // the request to cancel a struct wi_io
    URING_STOP_AHEAD = 3,  // the request to cancel a struct uring_ahead
    URING_WAKE = 4,        // the eventfd
    URING_NONE = 5,        // nobody is interested
    URING_TAGS = 7,
};

// The state of a struct wi_io in this backend, and flags.
enum uring_io_state {
    URING_FLYING = 1,  // the kernel has it: in file->flying
    URING_POLLING = 2, // as FLYING, but only a poll; the attempt comes after it
    URING_WAITING = 3, // served by a standing request: in file->waiting
    URING_DELAYED = 4, // no room in the queue: in loop->delayed
    URING_ENDED = 5,   // waits only for the answer to a request to cancel it
    URING_STATES = 7,
    URING_ASKED = 8,   // it shall end: the kernel is asked to cancel it
    URING_ANSWER = 16, // and has not answered yet
    URING_AGAIN = 32,  // has to be asked again, but there was no room: not in
                       // file->flying but in loop->delayed
    URING_OPAQUE = 64, // a file's own work, which the kernel may not find when
                       // asked to cancel it; it ends by itself
    URING_EDGES = 128, // its poll tells of changes only, and stays: single.c
    URING_GOT = 256,   // has its result, and waits for the end of that poll
};

// A list of received buffers by their numbers.
struct uring_stash {
    uint16_t head, tail, count;
};

// What a loop knows of one descriptor.
struct uring_file {
    int fd;
    uint8_t kind;     // enum wi_fd_kind
    uint8_t known;    // the record is in use
    uint8_t claim;    // enum uring_claim
    uint8_t full;     // the last read filled its buffer: more is there
    uint8_t repeats;  // reads that a provided buffer would have served
    uint8_t patience; // how many repeats until it reads ahead
    uint8_t bulk;     // full provided buffers in a row
    uint8_t giving;   // enum uring_giving
    uint8_t accepts;  // claimed for its connections, not its bytes
    int32_t end;      // what ends the stash, if <= 0: an error or the end
    struct uring_ahead *ahead; // the standing request, if there is one
    struct uring_stash stash;
    struct wi_io_queue waiting, flying;
    struct uring_conns *conns; // accepted and not claimed yet
};

// It stops reading ahead, and gives what it has to others.
enum uring_giving {
    URING_KEEPING = 0,
    URING_SHARING, // to another reader
    URING_LEAVING, // because the loop closes
};

enum uring_claim {
    URING_UNASKED = 0,
    URING_MINE,
    URING_EVERYONE,
};

// Accepted connections in the order in which they came.
struct uring_conns {
    unsigned room, first, count;
    int fds[];
};

// A standing request. It lives until its last completion.
struct uring_ahead {
    struct uring_file *file;  // NULL: forgotten; throw away what comes
    struct uring_ahead *next; // free, or to be canceled
    struct uring_ahead *made; // the one that was made before
    unsigned requests;        // itself, and the request to cancel it
    uint8_t tries;            // to cancel it
    bool by_fd;               // the last one, for all on its descriptor
    bool accepts;             // else it receives
};

struct uring_buffers {
    struct io_uring_buf_ring *ring;
    char *bytes;
    unsigned given;    // buffers in circulation
    unsigned returned; // to be published with the next advance
    struct {
        uint16_t next;         // in a stash
        uint16_t size, offset; // of what is in it
    } info[];
};

struct uring_loop {
    struct wi_loop base;
    struct io_uring ring;
    struct wi_table files;
    struct uring_buffers *buffers; // NULL: none
    struct wi_io_queue delayed;
    struct uring_ahead *aheads; // all that were made
    struct uring_ahead *free_aheads;
    struct uring_ahead *unasked; // to be canceled: there was no room
    int wake_fd;
    unsigned batch;      // operations that the last turn completed
    bool multishot;      // accept and provided buffers: Linux 5.19
    bool multishot_recv; // 6.0
    bool reaping;        // the completions are being gone through
    bool wake_unarmed;   // nothing would tell of a wake
    bool wake_single;    // no multishot poll: before 5.13
};

#define URING_BUFFER_SIZE 2048
#define URING_BUFFERS     1024 // at most; they are touched as they are needed
#define URING_GROUP       0
#define URING_NO_BUFFER   0xffff

static inline uint64_t uring_tag(const void *object, enum uring_tag tag)
{
    return (uint64_t)(uintptr_t)object | tag;
}

// uring.c
int uring_find_file(struct uring_loop *loop, int fd, struct uring_file **file);
void uring_finish(struct uring_loop *loop, struct wi_io *io, ssize_t result);
// Starts io, or starts it again.
void uring_start(struct uring_loop *loop, struct uring_file *file,
                 struct wi_io *io);
// Goes on with what was delayed.
void uring_resume(struct uring_loop *loop, struct wi_io *io);
// Asks the kernel to end a flying io.
void uring_ask(struct uring_loop *loop, struct wi_io *io);

// turn.c
int uring_poll(struct wi_loop *base, int64_t deadline);
// Makes room for some entries. False: the kernel takes none now, or its
// completions are being gone through and it cannot be asked.
bool uring_make_room(struct uring_loop *loop);
// An entry of the submission queue; the caller has made room.
struct io_uring_sqe *uring_entry(struct uring_loop *loop);
// The first entry: 0, or what it was refused with.
int uring_enter_first(struct uring_loop *loop);
// Gives the kernel all that is queued and takes what it has, without waiting.
void uring_flush(struct uring_loop *loop);
// Asks to end what has the tag `target`; the answer has the tag `answer`.
void uring_stop(struct uring_loop *loop, uint64_t target, uint64_t answer);
void uring_arm_wake(struct uring_loop *loop);

// single.c
void uring_single(struct uring_loop *loop, struct uring_file *file,
                  struct wi_io *io);
void uring_on_single(struct uring_loop *loop, struct wi_io *io, int result,
                     unsigned flags);
void uring_on_stop_single(struct uring_loop *loop, struct wi_io *io,
                          int answer);

// ahead.c
// Whether io is served by reading ahead: it is done (perhaps with
// WI_IO_ELSEWHERE), or stands in line. False: it becomes a request of its own.
bool uring_serve_ahead(struct uring_loop *loop, struct uring_file *file,
                       struct wi_io *io);
void uring_on_ahead(struct uring_loop *loop, struct uring_ahead *ahead,
                    const struct io_uring_cqe *cqe);
void uring_on_stop_ahead(struct uring_loop *loop, struct uring_ahead *ahead,
                         int answer);
// Asks the kernel to end those that it could not be asked for before.
void uring_stop_unasked(struct uring_loop *loop);
// Stops reading ahead on file, hands over, then finishes io.
void uring_give(struct uring_loop *loop, struct uring_file *file,
                struct wi_io *io, enum uring_giving why);
// Stops reading ahead on file and throws away what was read.
void uring_drop(struct uring_loop *loop, struct uring_file *file);

// buffers.c
struct uring_buffers *uring_buffers_open(struct io_uring *ring);
void uring_buffers_close(struct uring_buffers *buffers);
// More in circulation; false if all are.
bool uring_buffers_grow(struct uring_buffers *buffers);
void uring_buffers_return(struct uring_buffers *buffers, unsigned number);
void uring_buffers_publish(struct uring_buffers *buffers);
static inline char *uring_buffer(const struct uring_buffers *buffers,
                                 unsigned number)
{
    return buffers->bytes + (size_t)number * URING_BUFFER_SIZE;
}

#endif
