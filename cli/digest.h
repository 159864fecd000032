// SPDX-License-Identifier: MIT
//
// digest.h: SHA-256 through libcrypto. Without libcrypto at build time FNV-1a
// takes its place, and says so by its name.
#ifndef WEFT_CLI_DIGEST_H
#define WEFT_CLI_DIGEST_H

#include <stddef.h>
#include <stdint.h>

enum { DIGEST_SIZE = 32 };

struct digest;

extern const char digest_name[];

struct digest *digest_begin(void); // NULL: no memory
int digest_add(struct digest *digest, const void *data, size_t size);
// Writes the digest and frees. Also after a failed digest_add.
int digest_end(struct digest *digest, uint8_t out[DIGEST_SIZE]);

// Two hexadecimal digits a byte, and a NUL.
void digest_text(const uint8_t digest[DIGEST_SIZE],
                 char text[2 * DIGEST_SIZE + 1]);

#endif
