// SPDX-License-Identifier: MIT
//
// Each parcel is a range of the file for itself, which is never used for
// another one: a worker may still have it mapped (unpack.c). The file has holes
// where parcels were given up; its length costs nothing.
#include "process/parcel.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/fresh.h"
#include "os/event.h"
#include "os/futex.h"
#include "os/memfd.h"
#include "os/segment.h"
#include "process/views.h"

// MOST: each is a mapping, of which a process has 65,530.
enum { KEPT_BYTES = 64 << 20, KEPT = 64, WASTE = 2, MOST = 16384 };

static struct wi_mutex lock; // for all that follows
static int file = -1, reader = -1;
static uint64_t end = WI_VIEW_PAGE; // of the file; 0 is no parcel's place
static struct wi_parcel *kept;
static size_t kept_bytes, kept_count;
static size_t count; // of all, kept or not

void wi_parcel_open(void)
{
    wi_mutex_lock(&lock);
    if (file < 0) {
        file = wi_os_memfd_new("weft-arguments", 0);
        reader = file >= 0 ? wi_os_memfd_reader(file) : -1;
    }
    wi_mutex_unlock(&lock);
}

int wi_parcel_fd(void)
{
    return reader;
}

// Making ----------------------------------------------------------------------

// The smallest that fits and is not much too large; NULL: none.
static struct wi_parcel *take_kept(size_t size)
{
    struct wi_parcel **best = NULL;
    wi_mutex_lock(&lock);
    for (struct wi_parcel **p = &kept; *p != NULL; p = &(*p)->next)
        if ((*p)->size >= size && (*p)->size / WASTE <= size &&
            (best == NULL || (*p)->size < (*best)->size))
            best = p;
    struct wi_parcel *parcel = best != NULL ? *best : NULL;
    if (parcel != NULL) {
        *best = parcel->next;
        kept_bytes -= parcel->size;
        kept_count--;
    }
    wi_mutex_unlock(&lock);
    return parcel;
}

// A place in the file; false: there are enough of them.
static bool take_place(struct wi_parcel *parcel)
{
    wi_mutex_lock(&lock);
    bool more = count < MOST;
    if (more) {
        count++;
        parcel->at = end;
        end += parcel->size;
    }
    wi_mutex_unlock(&lock);
    return more;
}

static void leave_place(struct wi_parcel *parcel)
{
    wi_os_memfd_punch(file, parcel->at, parcel->size);
    wi_mutex_lock(&lock);
    count--;
    wi_mutex_unlock(&lock);
}

static bool reserve(struct wi_parcel *parcel)
{
    if (!take_place(parcel))
        return false;
    // Pages that cannot be had are an error here; in the mapping, a signal.
    if (wi_os_segment_grow(file, parcel->at, parcel->at + parcel->size) == 0 &&
        wi_os_memfd_map_part(file, parcel->at, parcel->size, false,
                             &parcel->bytes) == 0)
        return true;
    leave_place(parcel);
    return false;
}

static struct wi_parcel *make(size_t size)
{
    struct wi_parcel *parcel = calloc(1, sizeof *parcel);
    if (parcel == NULL)
        return NULL;
    parcel->size = size;
    if (reserve(parcel))
        return parcel;
    free(parcel);
    return NULL;
}

struct wi_parcel *wi_parcel_new(size_t size)
{
    if (reader < 0 || size < WI_PARCEL_LEAST || size > SIZE_MAX / 2)
        return NULL;
    size = wi_view_pages(size);
    struct wi_parcel *parcel = take_kept(size);
    if (parcel == NULL)
        parcel = make(size);
    if (parcel != NULL)
        // relaxed: nobody else has it yet
        __atomic_store_n(&parcel->refs, 1, __ATOMIC_RELAXED);
    return parcel;
}

struct wi_parcel *wi_parcel_hold(struct wi_parcel *parcel)
{
    // relaxed: the caller holds it
    __atomic_fetch_add(&parcel->refs, 1, __ATOMIC_RELAXED);
    return parcel;
}

// Giving up -------------------------------------------------------------------

static void destroy(struct wi_parcel *parcel)
{
    wi_os_memfd_unmap(parcel->bytes, parcel->size);
    leave_place(parcel);
    free(parcel);
}

static bool keep(struct wi_parcel *parcel)
{
    wi_mutex_lock(&lock);
    bool fits =
        kept_count < KEPT && kept_bytes + parcel->size <= (size_t)KEPT_BYTES;
    if (fits) {
        parcel->next = kept;
        kept = parcel;
        kept_bytes += parcel->size;
        kept_count++;
    }
    wi_mutex_unlock(&lock);
    return fits;
}

void wi_parcel_drop(struct wi_parcel *parcel)
{
    // acq_rel: whoever fills it next, or gives it up, comes after all uses
    if (parcel == NULL ||
        __atomic_sub_fetch(&parcel->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    if (!keep(parcel))
        destroy(parcel);
}

void wi_parcel_trim(void)
{
    wi_mutex_lock(&lock);
    struct wi_parcel *list = kept;
    kept = NULL;
    kept_bytes = kept_count = 0;
    wi_mutex_unlock(&lock);
    while (list != NULL) {
        struct wi_parcel *next = list->next;
        destroy(list);
        list = next;
    }
}

// In a child of fork: the file is the parent's, and the mappings are not here.
static void fresh(void)
{
    lock = (struct wi_mutex){0};
    if (file >= 0)
        wi_os_close(file);
    if (reader >= 0)
        wi_os_close(reader);
    file = reader = -1;
    end = WI_VIEW_PAGE;
    kept = NULL;
    kept_bytes = kept_count = count = 0;
}

__attribute__((constructor)) static void register_fresh(void)
{
    wi_fresh_add(fresh);
}
