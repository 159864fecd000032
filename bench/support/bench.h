// SPDX-License-Identifier: MIT
//
// bench.h: one question, several contenders, one JSON line for each.
//
// A contender is a function of this program or a program in the folder peers/
// beside it. Every sample is taken in a process of its own, so that none
// warms or fills the memory of the next, and one that crashes or hangs is seen
// as that. The contenders of a question take turns. All of them say what they
// computed, and it must be the same: before the first sample is taken, and in
// each sample again.
//
//     struct bench_side sides[] = {
//         {"weft", BENCH_WEFT, .fn = weft_side},
//         {"function call", BENCH_FLOOR, .fn = call_side},
//         {"Go", BENCH_PEER, .program = "yield_go"},
//         {0}};
//     bench_start("yield", argc, argv);
//     bench_ask(&(struct bench_question){.name = ..., .unit = "ns"}, sides);
//     return bench_end();
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stdint.h>

enum bench_role {
    BENCH_WEFT = 1,
    BENCH_FLOOR, // what the machine or the kernel asks for the same
    BENCH_PEER,  // what other libraries ask
};

enum { BENCH_PARAMS = 4, BENCH_MORE = 6, BENCH_WITHOUT = 2 };

struct bench_param {
    const char *name;
    long value;
};

// What a contender is asked.
struct bench_ask {
    uint64_t ops;             // how often to do it
    long param[BENCH_PARAMS]; // of the question, in its order
    const char *program;      // of the contender that is asked
};

// What it answers.
struct bench_reply {
    double value;    // the figure, in the unit of the question
    uint64_t answer; // what was computed
    double more[BENCH_MORE];
};

typedef void bench_fn(const struct bench_ask *ask, struct bench_reply *reply);

struct bench_side {
    const char *name;
    enum bench_role role;
    bench_fn *fn;        // in this program, or
    const char *program; // peers/PROGRAM OPS PARAM..., which prints the value,
                         // the answer and the other figures on one line; with
                         // fn it is a program that fn starts
    const char *package; // what brings the program, when it is not there
    double bar;          // of Weft: another than the question's; 0: the same
    unsigned part;       // a slow one: does this part of the operations, the
                         // 10th or so, and has as many samples; 0: all
};

struct bench_question {
    const char *name; // "yield/2": the program, then the case
    const char *what; // one operation, in words
    const char *unit; // "ns", "us", "bytes"
    uint64_t ops;
    uint64_t warm; // operations of the check before; 0: ops
    bool slow;     // no check before: only the samples are compared
    struct bench_param params[BENCH_PARAMS];
    const char *more[BENCH_MORE]; // names of the other figures
    double bar;                   // at most this; 0: there is none
    const char *bar_against;      // ... times the figure of this contender
    unsigned reps;                // 0: as the run says
    unsigned limit;               // seconds a sample may take; 0: enough
    const char *without[BENCH_WITHOUT]; // contenders that are not asked,
    const char *why;                    // and why not
};

// Reads the options: see bench_usage in bench.c.
void bench_start(const char *program, int argc, char **argv);

// One of three sizes: of a full run, of --quick, of --check, which wants to
// know only whether the program is right.
long bench_pick(long full, long quick, long check);

// Whether the questions are only named: then nothing has to be prepared.
bool bench_lists(void);

// Takes the samples and prints the lines. sides ends with an empty one.
void bench_ask(const struct bench_question *q, const struct bench_side *sides);

// Prints a line that says why a contender or a question is left out.
void bench_skip(const char *question, const char *side, const char *why);

// The status of the program: 0, or 1 if a contender failed or was wrong.
int bench_end(void);

// In a contender: ends the sample as failed.
void bench_fail(const char *format, ...)
    __attribute__((format(printf, 1, 2), noreturn));

// Where the program of a contender is, or NULL. Overwritten by the next call.
const char *bench_peer_path(const char *program);

// Nanoseconds of CPU time of the process and of the thread, and of the clock.
double bench_cpu(void);
double bench_thread_cpu(void);
double bench_wall(void);

// Bytes: resident memory, page tables (/proc/self/status).
double bench_rss(void);
double bench_page_tables(void);

// Bytes that can be had without swapping.
double bench_free_memory(void);

// What n things need of both, as the figure, and each alone as the first two
// of the others.
void bench_tell_memory(struct bench_reply *reply, double rss, double tables,
                       double n);

void bench_sleep_us(long us); // 0: not at all

// The calling thread, and those it starts, on the first CPU allowed.
void bench_pin(void);

// The median of n values, which are sorted.
double bench_median(double *values, unsigned n);

// A small generator: the same numbers for every contender.
static inline uint64_t bench_random(uint64_t *state)
{
    uint64_t x = *state += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

#endif
