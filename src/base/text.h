// SPDX-License-Identifier: MIT
//
// text.h: copies of short texts.
#ifndef WI_BASE_TEXT_H
#define WI_BASE_TEXT_H

#include <stddef.h>

// Copies text into a buffer of size bytes, cut and always ended by a NUL.
void wi_text_copy(char *to, size_t size, const char *text);

// A copy in memory from malloc; NULL: no memory.
char *wi_text_dup(const char *text);

// "a: b" in memory from malloc, "a" alone if b is empty; NULL: no memory.
char *wi_text_join(const char *a, const char *b);

#endif
