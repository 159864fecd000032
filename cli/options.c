// SPDX-License-Identifier: MIT
#include "options.h"

#include <stdio.h>
#include <string.h>

#include "cli.h"

// A letter may stand among others: then optind is not past them yet. A long
// one that takes no value is told by its letter.
static int no_option(const char *command, const char *argument)
{
    if (optopt != 0 && strncmp(argument, "--", 2) == 0 && strchr(argument, '='))
        return cli_usage(command, "'%s': this option has no value", argument);
    if (optopt != 0)
        return cli_usage(command, "no option '-%c'", optopt);
    return cli_usage(command, "no option '%s'", argument);
}

int cli_options(const char *command, int argc, char **argv, const char *letters,
                const struct option *names,
                int (*take)(void *into, int option, const char *value),
                void *into)
{
    char all[32];
    int option, code = CLI_OK;

    // The colon: a value that is not there is told from an unknown option.
    snprintf(all, sizeof(all), ":%s", letters);
    opterr = 0;
    while (code == CLI_OK) {
        // NOLINTNEXTLINE(concurrency-mt-unsafe): there is no other thread yet
        option = getopt_long(argc, argv, all, names, NULL);
        if (option == -1)
            break;
        if (option == ':')
            code = cli_usage(command, "'%s' needs a value", argv[optind - 1]);
        else if (option == '?')
            code = no_option(command, argv[optind - 1]);
        else
            code = take(into, option, optarg);
    }
    return code;
}
