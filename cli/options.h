// SPDX-License-Identifier: MIT
// options.h: the options of a subcommand, by getopt_long.
#ifndef WEFT_CLI_OPTIONS_H
#define WEFT_CLI_OPTIONS_H

#include <getopt.h>

// Reads the options of `command`: those in `names`, ended by an empty one, and
// the letters in `letters`. take(into, option, value) keeps one, `option` being
// its `val` in names, and returns an exit code, CLI_OK to go on. Whatever else
// looks like an option, or lacks its value, is wrong usage and is told. CLI_OK:
// optind is the first argument that is no option.
int cli_options(const char *command, int argc, char **argv, const char *letters,
                const struct option *names,
                int (*take)(void *into, int option, const char *value),
                void *into);

#endif
