// SPDX-License-Identifier: MIT
//
// ps_print.h: the rows, for people and for tools.
#ifndef WEFT_CLI_PS_PRINT_H
#define WEFT_CLI_PS_PRINT_H

#include "ps_records.h"

struct ps_options {
    bool json, all;
    pid_t pid;
    const char *core; // the file, NULL: a process
};

void ps_print_table(const struct ps_options *o, const struct ps_table *table);
void ps_print_json(const struct ps_options *o, const struct ps_table *table);

#endif
