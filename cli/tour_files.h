// SPDX-License-Identifier: MIT
//
// tour_files.h: the files that the tour works on, and what bounds them.
#ifndef WEFT_CLI_TOUR_FILES_H
#define WEFT_CLI_TOUR_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

enum {
    TOUR_FILES_MAX = 50000,
    // Of a longer file only the beginning is taken, in every way of working.
    TOUR_FILE_BYTES = 32 << 20,
};

struct tour_file {
    char *path;
    uint64_t size; // when it was found
    struct timespec changed;
};

// What could not be read, and why.
struct tour_unread {
    char *path;
    int code;
};

struct tour_files {
    struct tour_file *at;
    size_t count, room;
    struct tour_unread *unread;
    size_t unread_count, unread_room;
    uint64_t bytes;
    uint64_t budget;
    bool cut; // there was more than the budget, or than TOUR_FILES_MAX
};

// Finds the regular files under dir, in the order of their names, until the
// budget (bytes) is used up. Does not follow symbolic links or leave the file
// system of dir. A folder that cannot be read is noted in unread. Returns 0,
// or why dir itself cannot be read.
int tour_files_find(struct tour_files *files, const char *dir, uint64_t budget);

// Reads every file once, so that the first way of working is not the only one
// that waits for the disk. Drops what lies beyond `seconds`.
void tour_files_warm(struct tour_files *files, double seconds);

// Whether file i is no longer what was found.
bool tour_files_changed(const struct tour_files *files, size_t i);

// Notes that path could not be read.
void tour_files_add_unread(struct tour_files *files, const char *path,
                           int code);

void tour_files_free(struct tour_files *files);

#endif
