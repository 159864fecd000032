// SPDX-License-Identifier: MIT
//
// Sorting anything by a function: elements of 4, 8 and 16 bytes are moved
// themselves, for others pointers are sorted, and then each element is moved
// once.
#include <weft/sort.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <weft/parallel.h>
#include <weft/task.h>

#include "base/options.h"
#include "os/report.h"

struct order {
    int (*compare)(const void *a, const void *b, void *arg);
    void *arg;
};

// Elements without an alignment of their own.
typedef struct {
    char bytes[4];
} four;
typedef struct {
    char bytes[8];
} eight;
typedef struct {
    char bytes[16];
} sixteen;

#define BY_FUNCTION(type)                                                      \
    static inline bool sort_##type##_less(const type *a, const type *b,        \
                                          void *c)                             \
    {                                                                          \
        const struct order *order = c;                                         \
        return order->compare(a, b, order->arg) < 0;                           \
    }                                                                          \
    WEFT_SORT_BODY_(sort_##type, type)

BY_FUNCTION(four)
BY_FUNCTION(eight)
BY_FUNCTION(sixteen)

typedef const char *place;

static inline bool sort_place_less(const place *a, const place *b, void *c)
{
    const struct order *order = c;
    return order->compare(*a, *b, order->arg) < 0;
}
WEFT_SORT_BODY_(sort_place, place)

// By pointers -----------------------------------------------------------------

struct moves {
    const place *from;
    char *to;
    size_t size;
};

static int gather(size_t begin, size_t end, void *arg)
{
    const struct moves *moves = arg;
    for (size_t i = begin; i < end; i++)
        memcpy(moves->to + i * moves->size, moves->from[i], moves->size);
    return 0;
}

static int sort_places(weft_executor *ex, char *base, size_t n, size_t size,
                       place *places, char *copy, struct order *order)
{
    const struct weft_parallel_options options = {.size = sizeof options,
                                                  .executor = ex};
    const struct moves moves = {places, copy, size};
    for (size_t i = 0; i < n; i++)
        places[i] = base + i * size;
    int rc = sort_place_stable(ex, places, n, order);
    if (rc == 0)
        rc = weft_parallel_for_with(0, n, gather, (void *)&moves, &options);
    if (rc == 0)
        memcpy(base, copy, n * size);
    return rc;
}

static int sort_large(weft_executor *ex, char *base, size_t n, size_t size,
                      struct order *order)
{
    if (n > SIZE_MAX / size || n > SIZE_MAX / sizeof(place))
        return -EOVERFLOW;
    place *places = malloc(n * sizeof *places);
    char *copy = malloc(n * size);
    int rc = places != NULL && copy != NULL
                 ? sort_places(ex, base, n, size, places, copy, order)
                 : -ENOMEM;
    free(places);
    free(copy);
    return rc;
}

int weft_parallel_sort_with(void *base, size_t n, size_t size,
                            int (*compare)(const void *a, const void *b,
                                           void *arg),
                            void *arg,
                            const struct weft_parallel_options *options)
{
    WI_OPTIONS(options);
    wi_need_some(base, n);
    wi_require(compare != NULL, base, "a sort's comparison must not be NULL");
    struct order order = {compare, arg};
    weft_executor *ex = options->executor;
    int rc = weft_check();
    if (rc < 0 || n < 2 || size == 0)
        return rc;
    if (size == sizeof(four))
        return sort_four_stable(ex, base, n, &order);
    if (size == sizeof(eight))
        return sort_eight_stable(ex, base, n, &order);
    if (size == sizeof(sixteen))
        return sort_sixteen_stable(ex, base, n, &order);
    return sort_large(ex, base, n, size, &order);
}
