// SPDX-License-Identifier: MIT
//
// graph.h: programs that wait on each other, written as one line of text.
//
// A program is a list of nodes, separated by spaces and numbered from 0. The
// first letter of a node says what it is, the rest is what it does, in order:
//
//     T a task    H a thread    P a job on the thread pool
//     >1      gets node 1                 &1,2    waits for all of 1 and 2
//     j1      joins node 1                |1,2    waits for the first of them
//     =1      gets 1, for 10 ms at most   ^1,2    until the first failure
//     ~1      gets 1, for a minute        %1,2    gathers 1 and 2
//     *0      waits for promise 0         @1,2    takes them as they complete
//     !0      keeps promise 0             c1      cancels node 1
//     s0      sleeps a moment             y0      yields
//     x0      as * but polls: weft_wait with no time, then yields
//     g1      opens a group, in which a task gets node 1, and closes it
//     d1      as g, in a scope with a deadline of 10 ms
//     e0      ends here if node 0 is done
//
// So "T>1 H>0" is a task and a thread that wait for each other.
#ifndef WEFT_GRAPH_H
#define WEFT_GRAPH_H

struct graph_setting {
    unsigned workers;    // of the run; 0: the default loop, from this thread
    unsigned pool;       // workers of the pool; 0: 1
    int at_once;         // no gate: tasks start, and run inline, as they come
    unsigned long order; // of starting: a seed; 0: as written
};

struct graph_result {
    int deadlocks; // waits that returned -WEFT_EDEADLOCK
    int ended;     // nodes that came to their end
    int nodes;
};

// Runs the program to its end.
struct graph_result graph_run(const char *program,
                              const struct graph_setting *setting);

#endif
