// SPDX-License-Identifier: MIT
#include "process/carry.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <weft/error.h>

#include "os/memfd.h"

// One value -------------------------------------------------------------------

size_t wi_carry_size(struct wi_type type, const void *value)
{
    switch (type.kind) {
    case WEFT_NONE:
        return 0;
    case WEFT_TEXT:
        return strnlen(value, WEFT_TEXT_SIZE - 1) + 1;
    case WEFT_BYTES:
        return ((const struct weft_bytes *)value)->len;
    default:
        return type.size;
    }
}

void wi_carry_put(struct wi_type type, const void *value, void *bytes)
{
    size_t size = wi_carry_size(type, value);
    if (type.kind == WEFT_BYTES)
        value = ((const struct weft_bytes *)value)->data;
    if (size > 0)
        memcpy(bytes, value, size);
    if (type.kind == WEFT_TEXT)
        ((char *)bytes)[size - 1] = '\0';
}

int wi_carry_get(struct wi_type type, void *bytes, size_t size, void *value)
{
    if (type.kind == WEFT_BYTES) {
        *(struct weft_bytes *)value =
            (struct weft_bytes){size > 0 ? bytes : NULL, size};
        return 0;
    }
    memset(value, 0, type.kind == WEFT_PLAIN ? 0 : type.size);
    if (type.kind == WEFT_TEXT
            ? size == 0 || size > WEFT_TEXT_SIZE
            : size != (type.kind == WEFT_NONE ? 0 : type.size))
        return -WEFT_EPROTO;
    if (size > 0)
        memcpy(value, bytes, size);
    if (type.kind == WEFT_TEXT)
        ((char *)value)[size - 1] = '\0';
    return 0;
}

// Arrays ----------------------------------------------------------------------

static size_t padded(size_t size)
{
    return (size + 7) & ~(size_t)7;
}

size_t wi_carry_array_size(struct wi_type type, const void *values, size_t n)
{
    if (type.kind != WEFT_BYTES)
        return n * type.size;
    const struct weft_bytes *all = values;
    size_t size = 0;
    for (size_t i = 0; i < n; i++)
        size += 8 + padded(all[i].len);
    return size;
}

void wi_carry_array_put(struct wi_type type, const void *values, size_t n,
                        void *bytes)
{
    if (type.kind != WEFT_BYTES) {
        memcpy(bytes, values, n * type.size);
        return;
    }
    const struct weft_bytes *all = values;
    char *at = bytes;
    for (size_t i = 0; i < n; i++) {
        uint64_t len = all[i].len;
        memcpy(at, &len, 8);
        if (len > 0)
            memcpy(at + 8, all[i].data, len);
        at += 8 + padded(len);
    }
}

static int get_bytes(char *at, uint64_t len, bool own, struct weft_bytes *value)
{
    *value = (struct weft_bytes){len > 0 ? at : NULL, len};
    if (!own || len == 0)
        return 0;
    *value = weft_bytes_copy(at, len);
    return value->data != NULL ? 0 : -ENOMEM;
}

int wi_carry_array_get(struct wi_type type, void *bytes, size_t size, size_t n,
                       void *values, bool own)
{
    if (type.kind != WEFT_BYTES) {
        if (type.size != 0 && size / type.size < n)
            return -WEFT_EPROTO;
        memcpy(values, bytes, n * type.size);
        for (size_t i = 0; i < n && type.kind == WEFT_TEXT; i++)
            ((struct weft_text *)values)[i].s[WEFT_TEXT_SIZE - 1] = '\0';
        return 0;
    }
    char *at = bytes;
    for (size_t i = 0; i < n; i++) {
        uint64_t len;
        if (size < 8)
            return -WEFT_EPROTO;
        memcpy(&len, at, 8);
        if (len > size - 8 || padded(len) > size - 8)
            return -WEFT_EPROTO;
        int rc = get_bytes(at + 8, len, own, (struct weft_bytes *)values + i);
        if (rc < 0)
            return rc;
        at += 8 + padded(len);
        size -= 8 + padded(len);
    }
    return 0;
}

// Places ----------------------------------------------------------------------

static void say_far(struct wi_place *place, enum wi_form form)
{
    place->form = form;
    place->inline_size = sizeof place->far;
    memcpy(place->line, &place->far, sizeof place->far);
}

int wi_place_mapped(struct wi_place *place)
{
    if (place->far.size >> WI_WINDOW_BITS != 0)
        return -WEFT_ETOOBIG;
    say_far(place, WI_FORM_WINDOW);
    return 0;
}

int wi_place_write(struct wi_place *place, const void *bytes)
{
    size_t size = place->far.size;
    if (size <= WI_INLINE && place->far.count == 0) {
        place->form = WI_FORM_INLINE;
        place->inline_size = size;
        if (size > 0)
            memcpy(place->line, bytes, size);
        return 0;
    }
    if (size >> WI_WINDOW_BITS != 0)
        return -WEFT_ETOOBIG;
    if (size <= WI_PAYLOAD) {
        say_far(place, WI_FORM_PAYLOAD);
        if (size > 0)
            memcpy(place->payload, bytes, size);
        return 0;
    }
    say_far(place, WI_FORM_WINDOW);
    return wi_os_memfd_write(place->fd, place->window, bytes, size);
}

void wi_place_parcel(struct wi_place *place)
{
    say_far(place, WI_FORM_PARCEL);
}

int wi_place_look(struct wi_place *place)
{
    if (place->form == WI_FORM_INLINE) {
        place->far = (struct wi_far){.size = place->inline_size};
        return place->inline_size <= WI_INLINE ? 0 : -WEFT_EPROTO;
    }
    memcpy(&place->far, place->line, sizeof place->far);
    uint64_t most = place->form == WI_FORM_PAYLOAD
                        ? WI_PAYLOAD
                        : (uint64_t)1 << WI_WINDOW_BITS;
    bool known = place->form <= WI_FORM_WINDOW;
    return known && place->far.size <= most ? 0 : -WEFT_EPROTO;
}

int wi_place_read(const struct wi_place *place, void *bytes)
{
    size_t size = place->far.size;
    if (place->form == WI_FORM_WINDOW)
        return wi_os_memfd_read(place->fd, place->window, bytes, size);
    if (size > 0)
        memcpy(bytes,
               place->form == WI_FORM_INLINE ? place->line : place->payload,
               size);
    return 0;
}

enum { PAGE_BITS = 12, KEPT_BYTES = 32 << 20 };

void wi_kept_note(struct wi_kept *kept, const struct wi_place *place,
                  unsigned ticket)
{
    if (place->form != WI_FORM_WINDOW)
        return;
    uint64_t pages = (place->far.size >> PAGE_BITS) + 1;
    uint32_t *now = &kept->pages[ticket];
    if (pages > *now) {
        kept->total += (pages - *now) << PAGE_BITS;
        *now = (uint32_t)pages;
    }
    if (kept->total <= KEPT_BYTES)
        return;
    uint64_t size = (uint64_t)*now << PAGE_BITS;
    wi_os_memfd_punch(place->fd, place->window, size);
    kept->total -= size;
    *now = 0;
}
