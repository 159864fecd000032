// SPDX-License-Identifier: MIT
#include "digest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if WEFT_TOOL_HAVE_CRYPTO

#include <openssl/evp.h>

const char digest_name[] = "SHA-256";

// struct digest is libcrypto's context under another name.
static EVP_MD_CTX *context(struct digest *digest)
{
    return (EVP_MD_CTX *)digest;
}

struct digest *digest_begin(void)
{
    EVP_MD_CTX *made = EVP_MD_CTX_new();

    if (made && !EVP_DigestInit_ex(made, EVP_sha256(), NULL)) {
        EVP_MD_CTX_free(made);
        made = NULL;
    }
    return (struct digest *)made;
}

int digest_add(struct digest *digest, const void *data, size_t size)
{
    return EVP_DigestUpdate(context(digest), data, size) ? 0 : -EIO;
}

int digest_end(struct digest *digest, uint8_t out[DIGEST_SIZE])
{
    int done = EVP_DigestFinal_ex(context(digest), out, NULL);

    EVP_MD_CTX_free(context(digest));
    return done ? 0 : -EIO;
}

#else

const char digest_name[] = "FNV-1a (built without libcrypto)";

struct digest {
    uint64_t hash;
};

struct digest *digest_begin(void)
{
    struct digest *made = malloc(sizeof(*made));

    if (made)
        made->hash = 0xcbf29ce484222325u;
    return made;
}

int digest_add(struct digest *digest, const void *data, size_t size)
{
    const uint8_t *at = data;

    for (size_t i = 0; i < size; i++)
        digest->hash = (digest->hash ^ at[i]) * 0x100000001b3u;
    return 0;
}

int digest_end(struct digest *digest, uint8_t out[DIGEST_SIZE])
{
    memset(out, 0, DIGEST_SIZE);
    memcpy(out, &digest->hash, sizeof(digest->hash));
    free(digest);
    return 0;
}

#endif

void digest_text(const uint8_t digest[DIGEST_SIZE],
                 char text[2 * DIGEST_SIZE + 1])
{
    for (size_t i = 0; i < DIGEST_SIZE; i++)
        sprintf(text + 2 * i, "%02x", digest[i]);
}
