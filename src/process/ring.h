// SPDX-License-Identifier: MIT
//
// ring.h: the memory between a pool and one of its workers, and the moves on
// it. It lies behind the two pages of boot.h in the worker's own memfd; no
// other worker sees it, and no lock lies in it.
//
//   slots      requests, parent to worker: a ring of one cache line each
//   frames     what the worker says: a ring of one cache line each
//   replies    what the parent says to a job that has asked for something
//   jobs       the names of the jobs that requests refer to by number
//   payloads   512 bytes for each slot, frame and proxy, for what does not fit
//              in its line
//   windows    behind the mapping, a terabyte of empty file for each ticket and
//              proxy, for what does not fit in a payload; moved by pread and
//              pwrite, so that neither side maps what the other may change
//
// The largest arguments lie in parcels instead, which workers can only read:
// parcel.h.
//
// A slot's state, who may change it, and how:
//
//     FREE ------> READY     the parent, by a release store, when it has
//                            filled the slot
//     READY -----> RUNNING   the worker, by compare-and-swap: from here on the
//                            job counts as started
//     READY -----> RECALLED  the parent, by compare-and-swap: the job has not
//                            started and never will, here
//     RUNNING ---> FREE      the worker, when it has copied the argument out;
//     RECALLED --> FREE      when its turn comes. The ring is in order: a slot
//                            is used again only once the worker has freed it
//
// The compare-and-swap settles cancel, recall and death without a lock: if the
// worker dies, what is READY has not run, all else has begun. That a job is
// done is said by a DONE frame only, published by one release store: a worker
// that dies while it writes one has published nothing.
//
// A frame or reply is published by its sequence number, which is its place in
// the whole stream plus one.
//
// Who sleeps says so in a word, makes sure that there is nothing to do, and
// waits on that word; who has put something there looks at the word and, by
// exchange, is the one that wakes (a fence on either side between the write
// and the look). So nobody makes a system call for a peer that is awake.
//
// The parent takes everything that the worker can write for words of a mad
// process: numbers are checked or masked, lines are copied before they are
// read, what it needs later it keeps elsewhere.
#ifndef WI_PROCESS_RING_H
#define WI_PROCESS_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arch/arch.h"
#include "process/boot.h"

enum {
    WI_SLOTS = 256, // powers of two
    WI_FRAMES = 512,
    WI_REPLIES = 8192,
    WI_JOB_NAMES = 1024,
    WI_TICKETS = 512,  // jobs under way in one worker
    WI_PROXIES = 4096, // futures of the parent that a worker has open
    WI_INLINE = 48,
    WI_PAYLOAD = 512,
};

// Where the bytes of a slot, frame or reply lie.
enum wi_form {
    WI_FORM_INLINE,  // in the line itself
    WI_FORM_PAYLOAD, // in the payload of its place; `inline` is struct wi_far
    WI_FORM_WINDOW,  // in the window of the ticket or proxy; the same
    WI_FORM_PARCEL,  // of a slot alone: in a parcel (parcel.h); the same
};
struct wi_far {
    uint64_t size;
    uint64_t count; // of the elements of a chunk; 0: no chunk
    uint64_t codes; // whether codes are wanted for a chunk
    uint64_t at;    // WI_FORM_PARCEL: where in the file
};

enum wi_slot_state {
    WI_SLOT_FREE,
    WI_SLOT_READY,
    WI_SLOT_RUNNING,
    WI_SLOT_RECALLED
};
enum { // bits of the state word
    WI_SLOT_STATE = 15,
    WI_SLOT_FORM = 7,     // << 4
    WI_SLOT_ON_TOP = 128, // the job may run on top of a wait
};

struct wi_slot {
    uint32_t state; // state | form << 4 | on top | inline size << 8
    uint16_t job;   // number of its name
    uint16_t ticket;
    uint64_t id; // of the job's future
    uint8_t data[WI_INLINE];
};

static inline uint32_t wi_slot_word(enum wi_slot_state state, unsigned form,
                                    size_t inline_size)
{
    return state | form << 4 | (uint32_t)inline_size << 8;
}

enum wi_frame_kind {
    WI_FRAME_DONE = 1, // ticket: code, and result or text
    WI_FRAME_OPEN,     // proxy: open the future `id` (in data)
    WI_FRAME_SUBMIT,   // proxy: submit a job; data is struct wi_submit
    WI_FRAME_CANCEL,   // proxy: cancel it
    WI_FRAME_DROP,     // proxy: it was done, and its last handle has gone
    WI_FRAME_WAIT,     // the running job waits; for proxy alone, or (none) for
                       // several things
    WI_FRAME_WAITED,   // it goes on
};
enum { WI_NONE = 0xffff }; // no ticket, no proxy

struct wi_frame {
    uint32_t sequence;
    uint8_t kind, form;
    uint16_t inline_size;
    uint16_t ticket; // of the job that speaks
    uint16_t proxy;  // DONE: how long the job ran, in units of 16 ns
    int32_t code;    // DONE, SUBMIT; WAIT: 1: no request may run on top of it
    uint8_t data[WI_INLINE];
};

// The data of a submit. `code` is the id of the process pool that is meant, 0
// for its own. `form` is the number of bytes of the payload that are taken by
// terms (terms.h), or 0. The argument lies in the rest of the payload, or, if
// it is too large for that, in the proxy's window.
struct wi_submit {
    struct wi_name job;
    uint64_t id; // of its future, from the worker's own numbers
    uint64_t size;
};
_Static_assert(sizeof(struct wi_submit) <= WI_INLINE, "one line");

enum wi_reply_kind {
    WI_REPLY_DONE = 1, // proxy: its future is done
    WI_REPLY_DEADLOCK, // proxy: waiting for it would close a cycle
    WI_REPLY_RUN,      // there is a request that may run on top of the wait
};

struct wi_reply {
    uint32_t sequence;
    uint8_t kind, form;
    uint16_t inline_size;
    uint16_t proxy;
    uint16_t bytes; // the result is a struct weft_bytes
    int32_t code;
    uint8_t data[WI_INLINE];
};

struct wi_job_name {
    struct wi_name place;
    uint32_t version, arg_size, result_size;
    uint8_t arg_kind, result_kind, slack[2];
    char name[80]; // ends with a NUL; a longer name is cut
};

_Static_assert(sizeof(struct wi_slot) == 64, "one line");
_Static_assert(sizeof(struct wi_frame) == 64, "one line");
_Static_assert(sizeof(struct wi_reply) == 64, "one line");

// What a worker does, for the parent's texts and tests.
enum wi_phase {
    WI_PHASE_START, // until READY
    WI_PHASE_IDLE,  // looking for work
    WI_PHASE_PARKED,
    WI_PHASE_TAKING, // from the claim to the body
    WI_PHASE_RUNNING,
    WI_PHASE_WAITING, // a job waits for a future of the parent
    WI_PHASE_TELLING, // from the end of the body to the published frame
    WI_PHASES
};

struct wi_ring {
    // The parent writes.
    _Alignas(128) uint32_t stop;  // leave when there is nothing to do
    _Alignas(128) uint32_t heard; // frames taken: their places are free
    // Both write, by exchange.
    _Alignas(128) uint32_t parked;    // the worker sleeps on it
    _Alignas(128) uint32_t listening; // 1: the parent wants the bell
    uint32_t soon; // the parent writes: the one who submits will look, probably
    _Alignas(128) uint32_t waiter; // a thread of the parent sleeps on it
    _Alignas(128) uint32_t full;   // the worker sleeps: no free frame
    _Alignas(128) uint32_t uplink; // the uplink thread sleeps on it
    // The worker writes.
    _Alignas(128) uint32_t phase; // enum wi_phase
    uint32_t answered;            // replies taken: their places are free
    _Alignas(128) struct wi_slot slots[WI_SLOTS];
    struct wi_frame frames[WI_FRAMES];
    struct wi_reply replies[WI_REPLIES];
    struct wi_job_name jobs[WI_JOB_NAMES];
    _Alignas(64) uint8_t slot_payload[WI_SLOTS][WI_PAYLOAD];
    uint8_t frame_payload[WI_FRAMES][WI_PAYLOAD];
    uint8_t proxy_payload[WI_PROXIES][WI_PAYLOAD];
};

enum {
    WI_RING_SIZE = (WI_BOOT_PAGES + sizeof(struct wi_ring) + 4095) / 4096 * 4096
};

static inline struct wi_ring *wi_ring_of(struct wi_boot *boot)
{
    return (struct wi_ring *)((char *)boot + WI_BOOT_PAGES);
}

// Windows: at which offset of the memfd one begins.
enum { WI_WINDOW_BITS = 40 };

static inline uint64_t wi_window_arg(unsigned ticket)
{
    return (uint64_t)(1 + ticket) << WI_WINDOW_BITS;
}

static inline uint64_t wi_window_result(unsigned ticket)
{
    return (uint64_t)(1 + WI_TICKETS + ticket) << WI_WINDOW_BITS;
}

static inline uint64_t wi_window_up(unsigned proxy)
{
    return (uint64_t)(1 + 2 * WI_TICKETS + proxy) << WI_WINDOW_BITS;
}

static inline uint64_t wi_window_down(unsigned proxy)
{
    return (uint64_t)(1 + 2 * WI_TICKETS + WI_PROXIES + proxy)
           << WI_WINDOW_BITS;
}

// Wakes whoever sleeps on a word of the ring, if there is one. The caller has
// just published something for it.
void wi_ring_wake(uint32_t *word);

// Sleeps on a word of the ring until it is woken; `ready` says whether there
// is something to do after all.
void wi_ring_sleep(uint32_t *word, bool (*ready)(void *arg), void *arg,
                   int64_t deadline);

static inline void wi_ring_phase(struct wi_ring *ring, enum wi_phase phase)
{
    // relaxed: for people and tests
    __atomic_store_n(&ring->phase, phase, __ATOMIC_RELAXED);
}

#endif
