// SPDX-License-Identifier: MIT
// What build_test and the program that it starts in place of itself have in
// common.
#ifndef WEFT_TEST_BUILD_H
#define WEFT_TEST_BUILD_H

enum { OTHER = 1000 }; // what the other build adds

#endif
