// SPDX-License-Identifier: MIT
//
// carry.h: arguments and results as bytes, and bytes as they lie in a ring.
#ifndef WI_PROCESS_CARRY_H
#define WI_PROCESS_CARRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weft/job.h>

#include "process/ring.h"

// The type of a value.
struct wi_type {
    size_t size;  // of the value as the program sees it
    uint8_t kind; // enum weft_kind
};

static inline struct wi_type wi_arg_type(const struct weft_job *job)
{
    return (struct wi_type){job->arg_size, job->arg_kind};
}

static inline struct wi_type wi_result_type(const struct weft_job *job)
{
    return (struct wi_type){job->result_size, job->result_kind};
}

// How many bytes a value is, and the bytes.
size_t wi_carry_size(struct wi_type type, const void *value);
void wi_carry_put(struct wi_type type, const void *value, void *bytes);

// The value from its bytes; a struct weft_bytes then points to them. 0, or
// -WEFT_EPROTO if that many bytes are no such value.
int wi_carry_get(struct wi_type type, void *bytes, size_t size, void *value);

// The same for an array of n values. A struct weft_bytes that comes out points
// to the bytes, or, if `own`, to memory of its own from malloc.
size_t wi_carry_array_size(struct wi_type type, const void *values, size_t n);
void wi_carry_array_put(struct wi_type type, const void *values, size_t n,
                        void *bytes);
int wi_carry_array_get(struct wi_type type, void *bytes, size_t size, size_t n,
                       void *values, bool own);

// Where bytes lie in a ring.
struct wi_place {
    uint8_t *line;    // WI_INLINE bytes
    uint8_t *payload; // WI_PAYLOAD bytes
    int fd;
    uint64_t window;
    unsigned form; // enum wi_form
    size_t inline_size;
    struct wi_far far; // but for WI_FORM_INLINE; far.size always
};

// Writes far.size bytes to the place and says in form and inline_size where.
int wi_place_write(struct wi_place *place, const void *bytes);

// The same for bytes that lie in the window already.
int wi_place_mapped(struct wi_place *place);

// The same for bytes that lie in a parcel already: far.at says where.
void wi_place_parcel(struct wi_place *place);

// Looks at a line that the other side wrote, with form and inline_size from
// there: sets far. -WEFT_EPROTO if it says what cannot be: a parcel is for
// slots alone, whose reader looks at it itself.
int wi_place_look(struct wi_place *place);

// Copies the far.size bytes out.
int wi_place_read(const struct wi_place *place, void *bytes);

// Windows whose pages are kept, since the next one who writes there is faster
// for it; the reader's, who alone gives pages back.
struct wi_kept {
    uint64_t total;
    uint32_t pages[WI_TICKETS];
};

// After a place of that ticket was read: gives its pages back if too many are
// kept.
void wi_kept_note(struct wi_kept *kept, const struct wi_place *place,
                  unsigned ticket);

#endif
