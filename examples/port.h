// SPDX-License-Identifier: MIT
//
// port.h: a port number as an argument of a command.
#ifndef PORT_H
#define PORT_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

// The number that text is; what is none, or too large, ends the program.
static inline uint16_t port_of(const char *text)
{
    char *end;
    long port = strtol(text, &end, 10);

    if (end == text || *end != '\0' || port < 0 || port > UINT16_MAX) {
        fprintf(stderr, "'%s' is no port\n", text);
        exit(2);
    }
    return (uint16_t)port;
}

#endif
