// SPDX-License-Identifier: MIT
// The subcommands, in the order in which --help lists them:
// X(name, arguments, what it does). `name` is in cli/name.c, as cmd_name.
#define CLI_COMMANDS(X)                                                        \
    X(version, "", "print the version of the tool and of the library")
