// SPDX-License-Identifier: MIT
//
// The front door: #include <weft.h>
#include <weft/weft.h>
