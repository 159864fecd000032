// SPDX-License-Identifier: MIT
#include "cli.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <weft/process.h>

struct command {
    const char *name;
    const char *args;
    const char *what;
    int (*run)(int argc, char **argv);
};

#define ENTRY(name, args, what) {#name, args, what, cmd_##name},
static const struct command commands[] = {CLI_COMMANDS(ENTRY)};
static const struct command hidden[] = {CLI_HIDDEN_COMMANDS(ENTRY)};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))
#define HIDDEN   (sizeof(hidden) / sizeof(hidden[0]))

int cli_usage(const char *command, const char *format, ...)
{
    va_list args;

    fprintf(stderr, "weft%s%s: ", command ? " " : "", command ? command : "");
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\nTry 'weft%s%s --help'.\n", command ? " " : "",
            command ? command : "");
    return CLI_USAGE;
}

static int print_help(void)
{
    puts("usage: weft COMMAND [ARGUMENT...]\n"
         "       weft --help | --version\n");
    for (size_t i = 0; i < COMMANDS; i++) {
        const struct command *c = &commands[i];
        printf("  %-8s %-12s %s\n", c->name, c->args, c->what);
    }
    puts("\n'weft COMMAND --help' tells what a command can do.\n"
         "Exit codes: 0 done, 1 failed, 2 wrong usage.");
    return CLI_OK;
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if (!strcmp(commands[i].name, name))
            return &commands[i];
    for (size_t i = 0; i < HIDDEN; i++)
        if (!strcmp(hidden[i].name, name))
            return &hidden[i];
    return NULL;
}

// Wherever it stands among the arguments.
static bool asks_for_help(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--"); i++)
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
            return true;
    return false;
}

static int run(int argc, char **argv)
{
    if (argc < 2)
        return cli_usage(NULL, "no command given");
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") ||
        (!strcmp(argv[1], "help") && argc == 2))
        return print_help();
    if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V"))
        return cmd_version(argc - 1, argv + 1);
    bool help = !strcmp(argv[1], "help"); // of a command
    const char *name = argv[help ? 2 : 1];
    const struct command *c = find_command(name);
    if (!c)
        return cli_usage(NULL, "no command '%s'", name);
    if (help && argc > 3)
        return cli_usage(NULL, "unexpected argument '%s'", argv[3]);
    if (help || asks_for_help(argc - 1, argv + 1))
        return c->run(2, (char *[]){(char *)c->name, "--help", NULL});
    return c->run(argc - 1, argv + 1);
}

// The first file that is opened gets the number of a standard stream that the
// caller has closed, and what is printed would land in it. So there is another
// one in that place, with which a read or a write fails as with none.
static void fill_standard_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

int main(int argc, char **argv)
{
    weft_main_hook(); // worker processes of the tool begin, and end, here
    fill_standard_streams();

    int code = run(argc, argv);

    // A full disk or a closed pipe is a failure too.
    if (fflush(stdout) != 0 || ferror(stdout)) {
        perror("weft: standard output");
        return code ? code : CLI_FAILED;
    }
    return code;
}
