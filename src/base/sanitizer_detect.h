// SPDX-License-Identifier: MIT
// Which sanitizer this build has, in which gcc and clang use different words,
// and whether the program runs under Valgrind.
#ifndef WI_BASE_SANITIZER_DETECT_H
#define WI_BASE_SANITIZER_DETECT_H

#ifdef __has_feature
#define WI_HAS_FEATURE(x) __has_feature(x)
#else
#define WI_HAS_FEATURE(x) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || WI_HAS_FEATURE(address_sanitizer)
#define WI_ASAN 1
#else
#define WI_ASAN 0
#endif

#if defined(__SANITIZE_THREAD__) || WI_HAS_FEATURE(thread_sanitizer)
#define WI_TSAN 1
#else
#define WI_TSAN 0
#endif

#ifdef __has_include
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif
#endif
#ifdef RUNNING_ON_VALGRIND
#define WI_ON_VALGRIND RUNNING_ON_VALGRIND
#else
#define WI_ON_VALGRIND 0
#endif

#endif
