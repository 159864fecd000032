// SPDX-License-Identifier: MIT
//
// thread_image.h: a copy of what the thread-local variables of the calling
// thread hold, to see later which were written. For checks: it takes the time
// of a copy of them all.
#ifndef WI_OS_THREAD_IMAGE_H
#define WI_OS_THREAD_IMAGE_H

#include <stdbool.h>
#include <stddef.h>

struct wi_os_thread_image;

// Where a difference was found.
struct wi_os_thread_change {
    char module[64]; // the name of a library; "the program"
    size_t offset;   // in its thread-local variables
};

// Copies the variables of the program and of the libraries that it has loaded,
// in place of the former copy. The C library's are left out, and `size` bytes
// at own; a library that these lie in is left out whole. NULL: no memory.
struct wi_os_thread_image *
wi_os_thread_image_take(struct wi_os_thread_image *former, const void *own,
                        size_t size);

// Whether one has changed since; the first change. On the thread of the copy.
bool wi_os_thread_image_changed(const struct wi_os_thread_image *image,
                                struct wi_os_thread_change *change);

void wi_os_thread_image_free(struct wi_os_thread_image *image);

#endif
