// SPDX-License-Identifier: MIT
//
// weft ps PID | CORE: every task, thread, process and job of a running program,
// and what it waits for. The program is only read, never stopped or entered, so
// it may hang, be stopped or be deadlocked.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <weft/error.h>

#include "cli.h"
#include "options.h"
#include "plain.h"
#include "ps_print.h"

static const char usage[] =
    "usage: weft ps [--json] [-a | --all] PID | CORE\n\n"
    "Lists the tasks, threads, processes and jobs of a program that uses "
    "Weft,\n"
    "and what each of them waits for. The program is read from outside: it "
    "may\n"
    "be stopped, or hang, or have ended and left a core file.\n\n"
    "  -a, --all  also what is done, but whose result nobody has taken\n"
    "  --json     one JSON object instead of a table\n\n"
    "Exit codes: 0 done, 1 it cannot be read, 2 wrong usage.";

// Errors ----------------------------------------------------------------------

static void read_line(char *line, int size, const char *path)
{
    FILE *in = fopen(path, "re");

    line[0] = '\0';
    if (in && fgets(line, size, in))
        line[strcspn(line, "\n")] = '\0';
    if (in)
        fclose(in);
}

static void explain_permission(pid_t pid)
{
    char scope[8];

    fprintf(stderr,
            "weft ps: process %d: not permitted. Reading another process "
            "takes what a debugger\nneeds: the same user, or root "
            "(sudo weft ps %d); in a container\nalso the capability "
            "CAP_SYS_PTRACE.\n",
            (int)pid, (int)pid);
    read_line(scope, sizeof(scope), "/proc/sys/kernel/yama/ptrace_scope");
    if (scope[0] > '0')
        fprintf(stderr,
                "This kernel allows less (Yama, "
                "/proc/sys/kernel/yama/ptrace_scope is %s): %s.\n",
                scope,
                scope[0] == '1'
                    ? "only a\nparent may read its children; use sudo, or "
                      "sysctl kernel.yama.ptrace_scope=0"
                : scope[0] == '2' ? "only root may read"
                                  : "nobody may, until the next boot");
}

static void explain_process(const struct ps_target *target, int code)
{
    char path[64], name[64];
    int pid = (int)target->pid;

    snprintf(path, sizeof(path), "/proc/%d/comm", pid);
    read_line(name, sizeof(name), path);
    make_plain(name);
    if (code == -EPERM)
        explain_permission(target->pid);
    else if (code == -ESRCH)
        fprintf(stderr, "weft ps: no process %d\n", pid);
    else if (code == -ENOENT)
        fprintf(stderr,
                "weft ps: process %d (%s) has no memory: it has ended, or "
                "belongs to the kernel\n",
                pid, name);
    else if (code == -ENOEXEC)
        fprintf(stderr, "weft ps: process %d (%s) does not use Weft\n", pid,
                name);
    else
        fprintf(stderr,
                "weft ps: process %d (%s): cannot read its records: %s\n", pid,
                name, weft_strerror(code));
}

static int explain(const struct ps_options *o, const struct ps_target *target,
                   int code)
{
    if (code == -ENOEXEC && target->newer)
        fputs("weft ps: it uses a Weft that this one cannot read; use the weft "
              "command\nof its version\n",
              stderr);
    else if (!o->core)
        explain_process(target, code);
    else if (code == -ENOEXEC)
        fprintf(stderr, "weft ps: %s: %s\n", o->core,
                target->core ? "a program that does not use Weft, or its core "
                               "is cut off"
                             : "no core file of this kind of machine");
    else
        fprintf(stderr, "weft ps: %s: %s\n", o->core, weft_strerror(code));
    return CLI_FAILED;
}

// The command -----------------------------------------------------------------

// A number is a process, anything else a file.
static int read_target(const char *text, struct ps_options *o)
{
    char *end;

    errno = 0;
    long number = strtol(text, &end, 10);
    if (end != text && *end == '\0') {
        if (errno || number < 1 || number > INT32_MAX)
            return cli_usage("ps", "'%s' is no process id", text);
        o->pid = (pid_t)number;
        return CLI_OK;
    }
    if (access(text, F_OK) != 0)
        return cli_usage("ps", "'%s' is no process id, and no file", text);
    o->core = text;
    return CLI_OK;
}

static int take_option(void *into, int option, const char *value)
{
    struct ps_options *o = into;

    (void)value;
    o->json = o->json || option == 'j';
    o->all = o->all || option == 'a';
    return CLI_OK;
}

static int read_options(struct ps_options *o, int argc, char **argv)
{
    static const struct option names[] = {
        {"json", no_argument, NULL, 'j'}, {"all", no_argument, NULL, 'a'}, {0}};

    int code = cli_options("ps", argc, argv, "a", names, take_option, o);
    if (code != CLI_OK)
        return code;
    if (argc - optind != 1)
        return cli_usage("ps", "%s",
                         optind == argc ? "no process id given"
                                        : "more than one process");
    return read_target(argv[optind], o);
}

int cmd_ps(int argc, char **argv)
{
    static struct ps_target target;
    struct ps_options o = {0};
    struct ps_table table;

    if (argc == 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
        puts(usage);
        return CLI_OK;
    }
    int code = read_options(&o, argc, argv);
    if (code != CLI_OK)
        return code;
    int rc = o.core ? ps_target_open_core(&target, o.core)
                    : ps_target_open(&target, o.pid);
    if (rc < 0) {
        code = explain(&o, &target, rc);
        ps_target_close(&target);
        return code;
    }
    o.pid = target.pid;
    rc = ps_table_read(&table, &target);
    if (rc < 0)
        code = explain(&o, &target, rc);
    else if (o.json)
        ps_print_json(&o, &table);
    else
        ps_print_table(&o, &table);
    ps_table_free(&table);
    ps_target_close(&target);
    return code;
}
