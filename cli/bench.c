// SPDX-License-Identifier: MIT
//
// weft bench: runs the benchmark programs, each question for Weft and for
// others, keeps every sample, and has tables and pictures made of them by two
// scripts, bench/report and bench/plot, which lie beside the programs.
#include "bench.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <weft.h>

#include "child.h"
#include "cli.h"
#include "options.h"

enum {
    PATH = 4096,
    FULL_SECONDS = 780, // of asking; tables and pictures come after
    QUICK_SECONDS = 100,
};

// Seconds for a question, however many there are.
static const double SHORTEST = 0.2;

static const char usage[] =
    "usage: weft bench [--list] [--only TEXT] [--quick | --check] [--reps N]\n"
    "                  [--seconds S] [--compare OLD] [--json] [--out DIR]\n"
    "                  [--programs DIR]\n\n"
    "Asks what things cost, in Weft, in other libraries and with the bare\n"
    "system, in turn; sees that all computed the same; and writes every "
    "sample,\na table and pictures into DIR.\n\n"
    "  --list          the questions and who is asked, and no more\n"
    "  --only TEXT     only where TEXT is part of 'QUESTION CONTENDER'\n"
    "  --quick         fewer operations and samples: less than 3 minutes\n"
    "                  instead of half an hour\n"
    "  --check         one short sample: whether the answers are right\n"
    "  --reps N        samples of each contender, at most (15; 7 if quick)\n"
    "  --seconds S     how long to ask, all questions together, about (780;\n"
    "                  100 if quick)\n"
    "  --compare OLD   show what has changed since OLD, a file or a folder\n"
    "                  that an earlier run has written\n"
    "  --json          one JSON object on standard output instead of tables\n"
    "  --out DIR       where to write (results)\n"
    "  --programs DIR  the programs, instead of those that `make bench` "
    "builds\n\n"
    "Exit codes: 0 done, 1 something failed or differed, 2 wrong usage.\n"
    "No time makes it fail.";

// Options ---------------------------------------------------------------------

static int take_option(void *into, int option, const char *value)
{
    struct bench_options *o = into;
    char *end;

    switch (option) {
    case 'l':
        o->list = true;
        break;
    case 'j':
        o->json = true;
        break;
    case 'n':
        o->only = value;
        break;
    case 'q':
        o->size = "--quick";
        break;
    case 'k':
        o->size = "--check";
        break;
    case 'r':
        if (strspn(value, "0123456789") != strlen(value) || atoi(value) < 1)
            return cli_usage("bench", "'%s' is no number of samples", value);
        o->reps = value;
        break;
    case 's':
        o->seconds = strtod(value, &end);
        if (*end || !(o->seconds > 0))
            return cli_usage("bench", "'%s' is no time in seconds", value);
        break;
    case 'c':
        o->compare = value;
        break;
    case 'o':
        o->out = value;
        break;
    case 'p':
        o->programs = value;
        break;
    }
    return CLI_OK;
}

static int read_options(struct bench_options *o, int argc, char **argv)
{
    static const struct option names[] = {
        {"list", no_argument, NULL, 'l'},
        {"only", required_argument, NULL, 'n'},
        {"quick", no_argument, NULL, 'q'},
        {"check", no_argument, NULL, 'k'},
        {"reps", required_argument, NULL, 'r'},
        {"seconds", required_argument, NULL, 's'},
        {"compare", required_argument, NULL, 'c'},
        {"json", no_argument, NULL, 'j'},
        {"out", required_argument, NULL, 'o'},
        {"programs", required_argument, NULL, 'p'},
        {0},
    };

    *o = (struct bench_options){.out = "results"};
    int code = cli_options("bench", argc, argv, "", names, take_option, o);
    if (code == CLI_OK && optind < argc)
        code = cli_usage("bench", "unexpected argument '%s'", argv[optind]);
    if (o->seconds == 0)
        o->seconds = o->size ? QUICK_SECONDS : FULL_SECONDS;
    if (code == CLI_OK && o->compare && access(o->compare, R_OK) != 0)
        code = cli_usage("bench", "%s: %s", o->compare, weft_strerror(-errno));
    return code;
}

// What it shows and writes ----------------------------------------------------

static void list(const struct bench_programs *p)
{
    const char *last = "";

    for (size_t i = 0; i < p->count; i++)
        for (size_t k = 0; k < p->all[i].entry_count; k++) {
            const struct bench_entry *e = &p->all[i].entries[k];
            if (strcmp(e->question, last) != 0)
                printf("%s: %s\n", e->question, e->what);
            last = e->question;
            printf("    %s", e->contender);
            if (e->missing[0])
                printf(" (not built: needs %s)", e->missing);
            putchar('\n');
        }
}

static int fail(const char *what, int code)
{
    fprintf(stderr, "weft bench: %s: %s\n", what, weft_strerror(code));
    return CLI_FAILED;
}

// First under another name, so that nobody finds half of it.
static int write_file(const struct bench_program *p, const char *folder,
                      const char *out)
{
    char path[PATH], fresh[PATH + 8];

    snprintf(path, sizeof(path), "%s/%s.json", out, p->name);
    snprintf(fresh, sizeof(fresh), "%s.new", path);
    FILE *file = fopen(fresh, "we");
    if (!file)
        return fail(fresh, -errno);
    bench_write(p, 1, folder, file);
    bool bad = ferror(file) != 0;
    if (fclose(file) != 0 || bad)
        return fail(fresh, -errno);
    return rename(fresh, path) == 0 ? CLI_OK : fail(path, -errno);
}

// Runs a script that lies beside the programs. What it prints goes to
// standard output, if `show`.
static int script(const char *folder, bool show, const char *name,
                  const char *a, const char *b)
{
    static char text[1 << 16];
    char path[PATH];
    char *argv[] = {path, (char *)a, (char *)b, NULL};
    struct child child;
    ssize_t n;

    snprintf(path, sizeof(path), "%s/tools/%s", folder, name);
    int rc = child_start(&child, argv, &(struct child_options){0});
    if (rc < 0)
        return fail(path, rc);
    while ((n = child_read_all(&child, text, sizeof(text))) > 0)
        if (show)
            fwrite(text, 1, (size_t)n, stdout);
    // 77: what it needs is not there, and it has said so.
    int status = child_end(&child, 120);
    return status == 0 || status == 77 ? CLI_OK : CLI_FAILED;
}

static int make_tables(const struct bench_options *o, const char *folder)
{
    char option[PATH + 16] = "--short";
    int code = CLI_OK;

    code |= script(folder, !o->json, "plot", o->out, NULL);
    if (!o->json) {
        if (o->compare)
            snprintf(option, sizeof(option), "--compare=%s", o->compare);
        code |= script(folder, true, "report", option, o->out);
        printf("Every sample, the tables (report.md) and pictures: %s\n",
               o->out);
    }
    snprintf(option, sizeof(option), "--write=%s/report.md", o->out);
    return code | script(folder, false, "report", option, o->out);
}

// The command -----------------------------------------------------------------

// For one question: an even share of what is left, so that a program that took
// longer than its share makes the others shorter.
static double share(double end, size_t questions)
{
    enum { MOST = 30 };
    double each = (end - weft_now()) / (double)questions;

    return each > MOST ? MOST : each < SHORTEST ? SHORTEST : each;
}

static int run_all(struct bench_programs *p, const struct bench_options *o)
{
    double end = weft_now() + o->seconds;
    size_t wanted = 0, number = 0;
    int code = CLI_OK;

    for (size_t i = 0; i < p->count; i++)
        wanted += p->all[i].entry_count > 0;
    for (size_t i = 0; i < p->count; i++) {
        struct bench_program *program = &p->all[i];
        if (program->entry_count == 0)
            continue;
        bench_run(program, o,
                  share(end, bench_questions(program, p->count - i)), ++number,
                  wanted);
        if (program->failed)
            code = CLI_FAILED;
        if (write_file(program, p->folder, o->out) != CLI_OK)
            return CLI_FAILED;
    }
    return code;
}

static int bench(struct bench_programs *p, const struct bench_options *o)
{
    double begin = weft_now();

    if (o->list) {
        list(p);
        return CLI_OK;
    }
    if (mkdir(o->out, 0777) != 0 && errno != EEXIST)
        return fail(o->out, -errno);
    int code = run_all(p, o);
    code |= make_tables(o, p->folder);
    if (o->json)
        bench_write(p->all, p->count, p->folder, stdout);
    else
        printf("%s, %.0f s\n", code ? "Something failed" : "All answers right",
               weft_now() - begin);
    return code ? CLI_FAILED : CLI_OK;
}

int cmd_bench(int argc, char **argv)
{
    struct bench_options options;
    struct bench_programs programs = {0};

    if (argc > 1 && !strcmp(argv[1], "--help")) {
        puts(usage);
        return CLI_OK;
    }
    int code = read_options(&options, argc, argv);
    if (code == CLI_OK)
        code = bench_find(&programs, &options);
    if (code == CLI_OK)
        code = bench(&programs, &options);
    bench_forget(&programs);
    return code;
}
