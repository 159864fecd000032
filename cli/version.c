// SPDX-License-Identifier: MIT
#include "cli.h"

#include <stdio.h>
#include <string.h>
#include <weft/version.h>

int cmd_version(int argc, char **argv)
{
    if (argc == 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
        puts("usage: weft version");
        return CLI_OK;
    }
    if (argc > 1)
        return cli_usage("version", "unexpected argument '%s'", argv[1]);
    printf("weft %s\n", weft_version());
    return CLI_OK;
}
