// SPDX-License-Identifier: MIT
#ifndef WEFT_CLI_H
#define WEFT_CLI_H

#include "commands.h"

// Exit codes of the tool and of every subcommand.
enum cli_exit {
    CLI_OK = 0,
    CLI_FAILED = 1, // the work was tried and failed
    CLI_USAGE = 2,  // the command line makes no sense; nothing was done
};

// A subcommand gets its own name as argv[0] and returns an exit code.
#define CLI_DECLARE(name, args, what) int cmd_##name(int argc, char **argv);
CLI_COMMANDS(CLI_DECLARE)
CLI_HIDDEN_COMMANDS(CLI_DECLARE)
#undef CLI_DECLARE

// Print "weft NAME: ..." and a hint to its --help on stderr; returns CLI_USAGE.
int cli_usage(const char *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
