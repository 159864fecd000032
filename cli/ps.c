// SPDX-License-Identifier: MIT
//
// weft ps PID: every task, thread, process and job of a running program, and
// what it waits for. The program is only read, never stopped or entered, so it
// may hang, be stopped or be deadlocked.
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weft/error.h>

#include "cli.h"
#include "json.h"
#include "ps_records.h"
#include "ps_target.h"

static const char usage[] =
    "usage: weft ps [--json] [--all] PID\n\n"
    "Lists the tasks, threads, processes and jobs of a program that uses "
    "Weft,\n"
    "and what each of them waits for. The program is read from outside: it "
    "may\n"
    "be stopped, or hang.\n\n"
    "  --all   also what is done, but whose result nobody has taken\n"
    "  --json  one JSON object instead of a table\n\n"
    "Exit codes: 0 done, 1 it cannot be read, 2 wrong usage.";

struct options {
    bool json, all;
    pid_t pid;
};

// Texts -----------------------------------------------------------------------

// A name comes from another process: it may hold anything.
static void make_plain(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = '?';
}

static bool is_kind(const struct ps_row *row, const char *kinds)
{
    const char *kind = ps_name(&row->root->waits, row->wait_kind);
    size_t length = strlen(kind);

    for (; *kinds; kinds += strcspn(kinds, " "), kinds += *kinds == ' ')
        if (strcspn(kinds, " ") == length && !strncmp(kinds, kind, length))
            return true;
    return false;
}

static bool waits_for_fd(const struct ps_row *row)
{
    return is_kind(row, "read write accept connect fd");
}

// "read fd 5", "future 12", "group 0x55...", "sleep", "-".
static void say_wait(char *text, size_t size, const struct ps_row *row,
                     const struct ps_row *awaited)
{
    const char *kind = ps_name(&row->root->waits, row->wait_kind);
    const char *fd = strcmp(kind, "fd") == 0 ? "" : "fd ";

    if (row->wait_kind == 0)
        snprintf(text, size, "-");
    else if (waits_for_fd(row))
        snprintf(text, size, "%s %s%" PRIu64, kind, fd, row->wait_object);
    else if (awaited && is_kind(row, "future"))
        snprintf(text, size, "%s %" PRIu64, kind, awaited->id);
    else if (row->wait_object)
        snprintf(text, size, "%s 0x%" PRIx64, kind, row->wait_object);
    else
        snprintf(text, size, "%s", kind);
}

// Who can end the wait: "12 (reader)", "3 children", "-".
static void say_owner(char *text, size_t size, const struct ps_table *table,
                      const struct ps_row *row, const struct ps_row *awaited)
{
    if (awaited && awaited->name[0])
        snprintf(text, size, "%" PRIu64 " (%s)", awaited->id, awaited->name);
    else if (awaited)
        snprintf(text, size, "%" PRIu64 " (%s)", awaited->id,
                 ps_name(&awaited->root->kinds, awaited->kind));
    else if (is_kind(row, "group"))
        snprintf(text, size, "%zu children",
                 ps_table_children(table, row->wait_object));
    else
        snprintf(text, size, "-");
}

static void say_native(char *text, size_t size, const struct ps_row *row)
{
    if (row->native)
        snprintf(text, size, "%" PRIu64, row->native);
    else
        snprintf(text, size, "-");
}

// The table -------------------------------------------------------------------

static void print_row(const struct ps_table *table, const struct ps_row *row)
{
    char name[sizeof(row->name)];
    const struct ps_row *awaited = ps_table_awaited(table, row);
    char wait[64], owner[64], native[24];

    say_wait(wait, sizeof(wait), row, awaited);
    say_owner(owner, sizeof(owner), table, row, awaited);
    say_native(native, sizeof(native), row);
    snprintf(name, sizeof(name), "%s", row->name[0] ? row->name : "-");
    make_plain(name);
    make_plain(owner);
    printf("%8" PRIu64 "%c %-11s %-7s %7s %-16s %-20s %s\n", row->id,
           row->changing ? '~' : ' ', ps_name(&row->root->kinds, row->kind),
           ps_state(row), native, name, wait, owner);
}

static bool is_shown(const struct options *o, const struct ps_row *row)
{
    return o->all || strcmp(ps_state(row), "done") != 0;
}

static void print_table(const struct options *o, const struct ps_table *table)
{
    size_t done = 0;
    bool changing = false;

    printf("%8s  %-11s %-7s %7s %-16s %-20s %s\n", "ID", "KIND", "STATE", "TID",
           "NAME", "WAITS FOR", "OWNER");
    for (size_t i = 0; i < table->count; i++) {
        const struct ps_row *row = table->by_id[i].row;
        changing = changing || row->changing;
        if (is_shown(o, row))
            print_row(table, row);
        else
            done++;
    }
    if (done > 0)
        printf("%zu more %s done (--all)\n", done, done == 1 ? "is" : "are");
    if (changing)
        puts("~ changed while it was read");
    if (table->cut)
        puts("The list is not complete: it could not be read to its end.");
}

// JSON ------------------------------------------------------------------------

static void add_wait(struct json *j, const struct ps_table *table,
                     const struct ps_row *row)
{
    const struct ps_row *awaited = ps_table_awaited(table, row);
    char object[24];

    if (row->wait_kind == 0) {
        json_string(j, "waits_for", NULL);
        return;
    }
    json_open_object(j, "waits_for");
    json_string(j, "kind", ps_name(&row->root->waits, row->wait_kind));
    snprintf(object, sizeof(object), "0x%" PRIx64, row->wait_object);
    json_string(j, "object", object);
    if (waits_for_fd(row))
        json_uint(j, "fd", row->wait_object);
    if (awaited)
        json_uint(j, "owner", awaited->id);
    if (is_kind(row, "group"))
        json_uint(j, "children", ps_table_children(table, row->wait_object));
    json_close_object(j);
}

static void add_row(struct json *j, const struct ps_table *table,
                    const struct ps_row *row)
{
    json_open_object(j, NULL);
    json_uint(j, "id", row->id);
    json_string(j, "kind", ps_name(&row->root->kinds, row->kind));
    json_string(j, "state", ps_state(row));
    json_string(j, "name", row->name);
    if (row->native)
        json_uint(j, "tid", row->native);
    if (!strcmp(ps_state(row), "done"))
        json_int(j, "code", row->code);
    add_wait(j, table, row);
    json_bool(j, "changing", row->changing);
    json_close_object(j);
}

static void print_json(const struct options *o, const struct ps_table *table)
{
    struct json j;

    json_begin(&j, stdout);
    json_int(&j, "pid", o->pid);
    json_bool(&j, "complete", !table->cut);
    json_open_array(&j, "records");
    for (size_t i = 0; i < table->count; i++)
        if (is_shown(o, table->by_id[i].row))
            add_row(&j, table, table->by_id[i].row);
    json_close_array(&j);
    json_end(&j);
}

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
            "(sudo weft ps %d).\n",
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

static int explain(const struct ps_target *target, int code)
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
    else if (code == -ENOEXEC && target->newer)
        fprintf(stderr,
                "weft ps: process %d (%s) uses a Weft that this one cannot "
                "read; use the weft command\nof its version\n",
                pid, name);
    else if (code == -ENOEXEC)
        fprintf(stderr, "weft ps: process %d (%s) does not use Weft\n", pid,
                name);
    else
        fprintf(stderr,
                "weft ps: process %d (%s): cannot read its records: %s\n", pid,
                name, weft_strerror(code));
    return CLI_FAILED;
}

// The command -----------------------------------------------------------------

static int read_pid(const char *text, pid_t *pid)
{
    char *end;

    errno = 0;
    long number = strtol(text, &end, 10);
    if (errno || end == text || *end || number < 1 || number > INT32_MAX)
        return cli_usage("ps", "'%s' is no process id", text);
    *pid = (pid_t)number;
    return CLI_OK;
}

static int read_options(struct options *o, int argc, char **argv)
{
    static const struct option names[] = {
        {"json", no_argument, NULL, 'j'}, {"all", no_argument, NULL, 'a'}, {0}};
    int option;

    opterr = 0;
    // NOLINTNEXTLINE(concurrency-mt-unsafe): there is no other thread yet
    while ((option = getopt_long(argc, argv, "a", names, NULL)) != -1) {
        if (option == '?')
            return cli_usage("ps", "no option '%s'", argv[optind - 1]);
        o->json = o->json || option == 'j';
        o->all = o->all || option == 'a';
    }
    if (argc - optind != 1)
        return cli_usage("ps", "%s",
                         optind == argc ? "no process id given"
                                        : "more than one process");
    return read_pid(argv[optind], &o->pid);
}

int cmd_ps(int argc, char **argv)
{
    static struct ps_target target;
    struct options o = {0};
    struct ps_table table;

    if (argc == 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
        puts(usage);
        return CLI_OK;
    }
    int code = read_options(&o, argc, argv);
    if (code != CLI_OK)
        return code;
    int rc = ps_target_open(&target, o.pid);
    if (rc < 0)
        return explain(&target, rc);
    rc = ps_table_read(&table, &target);
    if (rc < 0)
        code = explain(&target, rc);
    else if (o.json)
        print_json(&o, &table);
    else
        print_table(&o, &table);
    ps_table_free(&table);
    return code;
}
