// SPDX-License-Identifier: MIT
// The subcommands, in the order in which --help lists them:
// X(name, arguments, what it does). `name` is in cli/name.c, as cmd_name.
#define CLI_COMMANDS(X)                                                        \
    X(tour, "[DIR]", "show the ways of working, on the files under DIR")       \
    X(bench, "", "what things cost, in Weft and in other libraries")           \
    X(ps, "PID | CORE", "list what runs in a program and what it waits for")   \
    X(version, "", "print the version of the tool and of the library")

// Those that the tool itself starts; not listed.
#define CLI_HIDDEN_COMMANDS(X) X(tour_server, "", "")
