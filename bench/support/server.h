// SPDX-License-Identifier: MIT
// server.h: a server in a process of its own, on the first CPU, and a client,
// the caller, on the second. The server's CPU time and memory are read from
// outside.
#ifndef BENCH_SERVER_H
#define BENCH_SERVER_H

#include <stdbool.h>
#include <sys/types.h>

#include <weft.h>

#include "bench.h"

struct bench_server {
    pid_t pid;
    uint16_t port; // in network order
};

// A server that goes on until it is killed.
typedef void bench_serve(int listener);

// Starts it. serve: in a child of ours; NULL: ask->program, which finds the
// listening socket as descriptor 3, and gets `what`, unless it is NULL, and the
// question's first parameter as arguments.
void bench_server_start(struct bench_server *s, const struct bench_ask *ask,
                        bench_serve *serve, const char *what);
void bench_server_stop(const struct bench_server *s);

double bench_server_cpu(const struct bench_server *s);    // ns, so far
double bench_server_memory(const struct bench_server *s); // resident, and page
                                                          // tables: bytes

// A connection without delays.
int bench_server_dial(const struct bench_server *s);

// What fd has to read, epoll_fd tells from now on.
void bench_watch(int epoll_fd, int fd);

// Weft's server on that backend, in a process of its own: serves until it is
// killed, or fails.
int bench_weft_serve(int listener, weft_handler *handler, const char *backend);

// The plain echo server: a loop around epoll_wait.
void bench_plain_echo(int listener);

// The calling thread, and those it starts, on the n-th CPU, modulo how many
// there are; where that is not allowed: anywhere.
void bench_pin_to(int n);

// Nanoseconds of CPU time of another process.
double bench_cpu_of(pid_t pid);

// Whether the kernel, or who runs the machine, allows io_uring.
bool bench_have_uring(void);

// Asks a question whose first sides are by io_uring: those if it can be had.
void bench_ask_backends(const struct bench_question *q,
                        const struct bench_side *sides);

#endif
