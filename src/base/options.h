// SPDX-License-Identifier: MIT
//
// options.h: reading an options structure that another version of the headers
// may have made. Its first member is its size: what lies beyond it is zero, the
// default; what this library does not know yet is not read.
#ifndef WI_BASE_OPTIONS_H
#define WI_BASE_OPTIONS_H

#include <stddef.h>
#include <string.h>

// Makes `options` point to a whole structure: itself, or a copy filled up with
// zeros. NULL stands for all defaults.
#define WI_OPTIONS(options)                                                    \
    _Alignas(8) char whole_options_[sizeof *(options)];                        \
    if (__builtin_expect(                                                      \
            (options) == NULL || (options)->size < sizeof *(options), 0))      \
    (options) = wi_options_fill(whole_options_, sizeof *(options), (options))

static inline const void *wi_options_fill(void *whole, size_t size,
                                          const void *given)
{
    memset(whole, 0, size);
    if (given != NULL) {
        size_t have = *(const size_t *)given;
        memcpy(whole, given, have < size ? have : size);
    }
    memcpy(whole, &size, sizeof size); // it is whole now
    return whole;
}

#endif
