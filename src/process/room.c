// SPDX-License-Identifier: MIT
//
// A few pieces that were given back are kept, 32 MiB of them at most; of those
// the smallest that fits is taken next, unless most of it would lie idle. Small
// ones are left to malloc, which keeps their pages anyhow.
#include "process/room.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/fresh.h"
#include "base/sanitizer_detect.h"
#include "os/futex.h"

enum { LARGE = 128 << 10, KEPT_BYTES = 32 << 20, KEPT = 4, WASTE = 4 };

// Before each piece.
struct head {
    _Alignas(16) size_t size; // of the piece
};

static struct wi_mutex lock;
static struct head *kept[KEPT]; // under it; NULL: none
static size_t kept_bytes;       // the same

// The smallest kept piece that fits; NULL: none.
static struct head *take_kept(size_t size)
{
    struct head **best = NULL, *head = NULL;
    wi_mutex_lock(&lock);
    for (struct head **h = kept; h < kept + KEPT; h++)
        if (*h != NULL && (*h)->size >= size && (*h)->size / WASTE <= size &&
            (best == NULL || (*h)->size < (*best)->size))
            best = h;
    if (best != NULL) {
        head = *best;
        *best = NULL;
        kept_bytes -= head->size;
    }
    wi_mutex_unlock(&lock);
    return head;
}

static bool keep(struct head *head)
{
    bool done = false;
    wi_mutex_lock(&lock);
    for (struct head **h = kept; h < kept + KEPT && !done; h++) {
        if (*h != NULL || kept_bytes + head->size > KEPT_BYTES)
            continue;
        *h = head;
        kept_bytes += head->size;
        done = true;
    }
    wi_mutex_unlock(&lock);
    return done;
}

void *wi_room_take(size_t size)
{
    struct head *head = size >= LARGE ? take_kept(size) : NULL;
    if (head != NULL)
        return head + 1;
    if (size > SIZE_MAX - sizeof *head)
        return NULL;
    head = malloc(sizeof *head + size);
    if (head == NULL)
        return NULL;
    head->size = size;
    return head + 1;
}

void wi_room_give(void *room)
{
    if (room == NULL)
        return;
    struct head *head = (struct head *)room - 1;
    // Under ASan what is used after it was given back shall be found.
    if (head->size < LARGE || WI_ASAN || !keep(head))
        free(head);
}

static void fresh(void)
{
    lock = (struct wi_mutex){0};
}

__attribute__((constructor)) static void register_fresh(void)
{
    wi_fresh_add(fresh);
}
