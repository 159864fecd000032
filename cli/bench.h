// SPDX-License-Identifier: MIT
//
// bench.h: the benchmark programs, which `weft bench` finds and runs. Each is
// a program of its own (bench/support/bench.h) that lists its questions with
// --list and otherwise prints one JSON object a line, one for each contender.
#ifndef WEFT_CLI_BENCH_H
#define WEFT_CLI_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct bench_options {
    const char *programs; // the folder with the programs; NULL: beside weft
    const char *out;      // the folder for what is written
    const char *only;     // part of "QUESTION CONTENDER", or NULL
    const char *size;     // "--quick", "--check" or NULL
    const char *reps;     // samples of each contender, or NULL
    double seconds;       // for all questions together, about
    const char *compare;  // an older result, or NULL
    bool list, json;
};

// What a program says of one of its contenders.
struct bench_entry {
    char *question;
    char *what; // one operation, and its unit
    char *contender;
    char *missing; // the package that it needs; empty if it is there
};

struct bench_program {
    char *name, *path;
    struct bench_entry *entries; // those that are wanted
    size_t entry_count;
    char **lines; // JSON objects, once it has run
    size_t line_count;
    bool failed;
};

struct bench_programs {
    char *folder;
    struct bench_program *all;
    size_t count;
};

// Finds the programs and what they ask. 0, or an exit code after a message.
int bench_find(struct bench_programs *p, const struct bench_options *o);
void bench_forget(struct bench_programs *p);

// The questions of n programs that are wanted.
size_t bench_questions(const struct bench_program *p, size_t n);

// Runs one, the `number`-th of `count` that are wanted, with so many seconds
// for each of its questions, and keeps its lines.
void bench_run(struct bench_program *p, const struct bench_options *o,
               double seconds, size_t number, size_t count);

// The lines of n programs as one JSON object, with the machine they ran on.
void bench_write(const struct bench_program *p, size_t n, const char *folder,
                 FILE *out);

// The members of the object "machine"; `folder` as above.
struct json;
void bench_machine(struct json *j, const char *folder);

#endif
