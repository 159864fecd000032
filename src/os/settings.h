// SPDX-License-Identifier: MIT
//
// settings.h: what a process may set for itself at its start, as plain data.
#ifndef WI_OS_SETTINGS_H
#define WI_OS_SETTINGS_H

#include <stdint.h>

enum { WI_SETTINGS_LIMITS = 16, WI_SETTINGS_CPUS = 1024 };

struct wi_settings {
    int32_t nice; // to be added
    uint32_t limit_count;
    struct {
        int32_t resource; // RLIMIT_...
        uint32_t slack;
        uint64_t soft, hard; // UINT64_MAX: none
    } limits[WI_SETTINGS_LIMITS];
    uint64_t memory; // bytes of private data; 0: no limit
    uint64_t cpus[WI_SETTINGS_CPUS / 64];
    uint32_t has_cpus;
};

// Applies them to the calling process, before it has other threads. 0, or a
// negative code with *what saying which one failed.
int wi_os_settings_apply(const struct wi_settings *settings, const char **what);

#endif
