// SPDX-License-Identifier: MIT
#ifndef WEFT_VERSION_H
#define WEFT_VERSION_H

#include <weft/base.h>

// The version of the headers; the build reads these three numbers from here.
#define WEFT_VERSION_MAJOR 0
#define WEFT_VERSION_MINOR 1
#define WEFT_VERSION_PATCH 0

#ifdef __cplusplus
extern "C" {
#endif

// Return the version of the library that is running, as "0.1.0"; it may be
// newer than the headers.
// Blocks: never. Threads: any. Owns: the text is static. Since: 0.1.
WEFT_API const char *weft_version(void);

#ifdef __cplusplus
}
#endif

#endif
