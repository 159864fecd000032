// SPDX-License-Identifier: MIT
//
// plain.h: texts from elsewhere, for a terminal.
#ifndef WEFT_CLI_PLAIN_H
#define WEFT_CLI_PLAIN_H

// What could steer a terminal becomes '?': control characters, and what is no
// UTF-8.
void make_plain(char *text);

#endif
