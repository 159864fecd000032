// SPDX-License-Identifier: MIT
#include "plain.h"

#include <stdbool.h>
#include <string.h>

#include "json.h"

// The control characters, also those that Unicode has from U+0080 on (UTF-8
// c2 80), and what is no UTF-8, such as the one byte 9b that some terminals
// take for ESC [.
static bool steers(const unsigned char *at, size_t length)
{
    return length == 0 || *at < 0x20 || *at == 0x7f ||
           (length == 2 && at[0] == 0xc2 && at[1] < 0xa0);
}

void make_plain(char *text)
{
    unsigned char *at = (unsigned char *)text;

    while (*at) {
        size_t length = json_utf8_length(at);
        if (steers(at, length))
            memset(at, '?', length ? length : 1);
        at += length ? length : 1;
    }
}
