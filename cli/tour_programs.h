// SPDX-License-Identifier: MIT
//
// tour_programs.h: the four ways at their shortest: the programs of
// examples/first, run as they are, each as a process of its own.
#ifndef WEFT_CLI_TOUR_PROGRAMS_H
#define WEFT_CLI_TOUR_PROGRAMS_H

#include <stddef.h>

enum { TOUR_PROGRAMS = 5, TOUR_OUTPUT_MAX = 1024 };

struct tour_program {
    const char *name;
    const char *what;
    const char *source; // of the program, without its first comment
    char output[TOUR_OUTPUT_MAX];
    int status; // its exit status; negative: why it could not be run
    double seconds;
};

// Runs program number i (below TOUR_PROGRAMS) for at most 20 seconds.
void tour_program_run(struct tour_program *program, size_t i);

#endif
