// SPDX-License-Identifier: MIT
//
// version.h: which version this is.
#ifndef WEFT_VERSION_H
#define WEFT_VERSION_H

#include <weft/base.h>

// The version of the headers; the build reads these three numbers from here.
#define WEFT_VERSION_MAJOR 0
#define WEFT_VERSION_MINOR 1
#define WEFT_VERSION_PATCH 0

WEFT_BEGIN

// The version of the library that is running, as "0.1.0"; it may be newer than
// the headers. Never freed. Blocks: no. Threads: any. Since 0.1.
WEFT_API const char *weft_version(void);

WEFT_END

#endif
