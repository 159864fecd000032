// SPDX-License-Identifier: MIT
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void wi_text_copy(char *to, size_t size, const char *text)
{
    size_t length = strnlen(text, size - 1);
    memcpy(to, text, length);
    to[length] = '\0';
}

char *wi_text_dup(const char *text)
{
    return wi_text_join(text, "");
}

char *wi_text_join(const char *a, const char *b)
{
    size_t size = strlen(a) + strlen(b) + 3;
    char *text = malloc(size);
    if (text != NULL)
        snprintf(text, size, "%s%s%s", a, *b != '\0' ? ": " : "", b);
    return text;
}
