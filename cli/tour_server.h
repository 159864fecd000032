// SPDX-License-Identifier: MIT
//
// tour_server.h: the server that the tour fetches from: this program again, as
// a process of its own (`weft tour_server`), on a free port of 127.0.0.1. It
// answers each request after TOUR_LATENCY with the beginning of one file, and
// ends when its standard input does, so that it never outlives the tour.
//
// Other users of the machine can reach the port too: only who knows the token,
// which comes over standard input, gets an answer.
#ifndef WEFT_CLI_TOUR_SERVER_H
#define WEFT_CLI_TOUR_SERVER_H

#include <stddef.h>
#include <stdint.h>

#include "child.h"
#include "tour_files.h"

#define TOUR_LATENCY 0.020 // seconds

enum { TOUR_TOKEN_SIZE = 16, TOUR_RESOURCE_MAX = 8192 };

struct tour_request {
    uint8_t token[TOUR_TOKEN_SIZE];
    uint32_t index;
};

// What comes back; the connection ends after `length` bytes of data.
struct tour_answer {
    uint32_t length;
    uint8_t data[TOUR_RESOURCE_MAX];
};

struct tour_server {
    struct child child;
    uint16_t port;
    uint8_t token[TOUR_TOKEN_SIZE];
    uint32_t resources;
};

// Starts the server with the beginnings of the first `resources` files.
// Returns 0 or a negative code.
int tour_server_start(struct tour_server *server,
                      const struct tour_files *files, uint32_t resources);
void tour_server_stop(struct tour_server *server);

#endif
