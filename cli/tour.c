// SPDX-License-Identifier: MIT
//
// weft tour [DIR]: the ways of working, shown on real work. Three parts: the
// shortest programs, work that waits, work that computes; then what the
// figures say.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <weft.h>

#include "cli.h"
#include "options.h"
#include "tour_report.h"
#include "tour_work.h"

enum {
    FETCHES = 240, // at 20 ms: about five seconds one after another
    FETCHES_MAX = 1000,
    MEBIBYTES = 512,
    MEBIBYTES_MAX = 16384,
    WARM_SECONDS = 10,
};

struct options {
    const char *dir;
    const char *svg;
    bool json;
    long fetches, mebibytes;
};

struct tour {
    struct options options;
    struct tour_report report;
    FILE *svg;
};

static const char usage[] =
    "usage: weft tour [--json] [--svg FILE] [--fetches N] [--mib N] [DIR]\n\n"
    "Shows threads, processes, tasks and executors on real work: first the\n"
    "shortest programs, then the same waiting and the same computing under\n"
    "each way, with times. Takes less than a minute.\n\n"
    "  DIR          the files to work on (/usr/share)\n"
    "  --json       one JSON object instead of text\n"
    "  --svg FILE   write a chart too\n"
    "  --fetches N  how many resources to fetch (240)\n"
    "  --mib N      how many MiB of files to take at most (512)\n\n"
    "Exit codes: 0 done, 1 something failed or differed, 2 wrong usage.";

// Options ---------------------------------------------------------------------

static int read_number(const char *text, long most, long *number)
{
    char *end;

    errno = 0;
    *number = strtol(text, &end, 10);
    if (errno || end == text || *end || *number < 1 || *number > most)
        return cli_usage("tour", "'%s' is no number from 1 to %ld", text, most);
    return CLI_OK;
}

static int take_option(void *into, int option, const char *value)
{
    struct options *o = into;

    switch (option) {
    case 'j':
        o->json = true;
        return CLI_OK;
    case 's':
        o->svg = value;
        return CLI_OK;
    case 'f':
        return read_number(value, FETCHES_MAX, &o->fetches);
    default:
        return read_number(value, MEBIBYTES_MAX, &o->mebibytes);
    }
}

static int read_options(struct options *o, int argc, char **argv)
{
    static const struct option names[] = {
        {"json", no_argument, NULL, 'j'},
        {"svg", required_argument, NULL, 's'},
        {"fetches", required_argument, NULL, 'f'},
        {"mib", required_argument, NULL, 'm'},
        {0},
    };

    *o = (struct options){.fetches = FETCHES, .mebibytes = MEBIBYTES};
    int code = cli_options("tour", argc, argv, "", names, take_option, o);
    if (code == CLI_OK && argc - optind > 1)
        code =
            cli_usage("tour", "more than one folder: '%s'", argv[optind + 1]);
    o->dir = argv[optind];
    return code;
}

// The folder ------------------------------------------------------------------

static int complain(const char *what, int code)
{
    fprintf(stderr, "weft tour: %s: %s\n", what, weft_strerror(code));
    return CLI_USAGE;
}

static int check_dir(const char *dir)
{
    struct stat st;

    if (stat(dir, &st) < 0)
        return complain(dir, -errno);
    return S_ISDIR(st.st_mode) ? CLI_OK : complain(dir, -ENOTDIR);
}

// A quarter of what memory is free, so that the files stay cached.
static uint64_t byte_budget(const struct options *o)
{
    uint64_t asked = (uint64_t)o->mebibytes << 20;
    static const char label[] = "MemAvailable:";
    FILE *in = fopen("/proc/meminfo", "re");
    uint64_t room = 0; // 0: not known
    char line[128];

    while (in && room == 0 && fgets(line, sizeof(line), in))
        if (!strncmp(line, label, strlen(label)))
            room = strtoull(line + strlen(label), NULL, 10) * 1024 / 4;
    if (in)
        fclose(in);
    return room > 0 && room < asked ? room : asked;
}

// Where the source lies when the tool runs from its build tree.
static const char *own_source(void)
{
    static char path[4096];
    char marker[sizeof(path) + 32];
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

    for (int up = 0; up < 2 && n > 0; up++) {
        path[n] = '\0';
        char *slash = strrchr(path, '/');
        n = slash ? slash - path : 0;
    }
    path[n > 0 ? n : 0] = '\0';
    snprintf(marker, sizeof(marker), "%s/include/weft/weft.h", path);
    return access(marker, R_OK) == 0 ? path : NULL;
}

static int find_in(struct tour *t, const char *dir)
{
    t->report.dir = dir;
    return tour_files_find(&t->report.files, dir, byte_budget(&t->options));
}

// Without a folder on the command line: /usr/share, else the own source.
static int find_files(struct tour *t)
{
    const char *dir = t->options.dir ? t->options.dir : "/usr/share";
    int rc = find_in(t, dir);

    if (!t->options.dir && t->report.files.count == 0 && own_source()) {
        tour_files_free(&t->report.files);
        rc = find_in(t, own_source());
    }
    if (rc < 0)
        return complain(t->report.dir, rc);
    if (t->report.files.count == 0) {
        fprintf(stderr, "weft tour: %s: no files in it%s\n", t->report.dir,
                t->report.files.unread_count ? " that can be reached" : "");
        return CLI_FAILED;
    }
    return CLI_OK;
}

// The parts -------------------------------------------------------------------

static int note_backend(void *arg)
{
    struct tour_report *report = arg;

    snprintf(report->backend, sizeof(report->backend), "%s", weft_backend());
    return 0;
}

static void look_at_machine(struct tour_report *report)
{
    struct utsname name;

    report->cpus = weft_cpu_count();
    if (uname(&name) == 0)
        snprintf(report->system, sizeof(report->system), "%s %.32s %.32s",
                 "Linux", name.release, name.machine);
    if (weft_run(note_backend, report) < 0)
        snprintf(report->backend, sizeof(report->backend), "nothing");
}

static void run_programs(struct tour *t)
{
    for (size_t i = 0; i < TOUR_PROGRAMS; i++) {
        tour_program_run(&t->report.programs[i], i);
        if (!t->options.json)
            tour_text_program(&t->report.programs[i], i + 1);
    }
}

struct listener {
    const struct tour *tour;
    const struct tour_work *work;
};

static void hear(void *context, const struct tour_way *way)
{
    const struct listener *listener = context;

    if (!listener->tour->options.json)
        tour_text_way(listener->work, way);
}

static void say_code(const struct tour *t, int code)
{
    if (code < 0 && !t->options.json)
        printf("   FAILED: %s\n", weft_strerror(code));
}

// Each fetch under way is a descriptor here, and one in the server.
static void allow_descriptors(size_t n)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < n) {
        limit.rlim_cur = n < limit.rlim_max ? n : limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void run_waiting(struct tour *t)
{
    struct tour_report *r = &t->report;
    struct listener listener = {t, &r->waiting};

    if (!t->options.json)
        tour_text_waiting(r, (size_t)t->options.fetches);
    allow_descriptors((size_t)t->options.fetches + 64);
    r->waiting_code = tour_fetch_all(
        &r->waiting, &r->files, (size_t)t->options.fetches, hear, &listener);
    say_code(t, r->waiting_code);
}

static void run_computing(struct tour *t)
{
    struct tour_report *r = &t->report;
    struct listener listener = {t, &r->computing};

    tour_files_warm(&r->files, WARM_SECONDS);
    if (!t->options.json)
        tour_text_computing(r);
    r->computing_code =
        tour_hash_all(&r->computing, &r->files, &r->sums, hear, &listener);
    say_code(t, r->computing_code);
    if (!t->options.json && r->computing_code >= 0)
        tour_text_sums(r);
}

static int write_svg(struct tour *t)
{
    if (!t->svg)
        return CLI_OK;
    tour_svg(&t->report, t->svg);
    int failed = ferror(t->svg);
    if (fclose(t->svg) != 0 || failed) {
        complain(t->options.svg, -errno);
        return CLI_FAILED;
    }
    if (!t->options.json)
        printf("\nThe chart is in %s\n", t->options.svg);
    return CLI_OK;
}

static int run_tour(struct tour *t)
{
    struct tour_report *r = &t->report;

    look_at_machine(r);
    if (!t->options.json)
        tour_text_head(r);
    run_programs(t);
    run_waiting(t);
    run_computing(t);
    tour_conclude(r);
    if (t->options.json)
        tour_json(r, stdout);
    else
        tour_text_end(r);
    int code = write_svg(t);
    return tour_report_good(r) ? code : CLI_FAILED;
}

int cmd_tour(int argc, char **argv)
{
    static struct tour tour;
    int code;

    if (argc == 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
        puts(usage);
        return CLI_OK;
    }
    code = read_options(&tour.options, argc, argv);
    if (code == CLI_OK && tour.options.dir)
        code = check_dir(tour.options.dir);
    if (code == CLI_OK)
        code = find_files(&tour);
    if (code == CLI_OK && tour.options.svg) {
        tour.svg = fopen(tour.options.svg, "we");
        if (!tour.svg)
            code = complain(tour.options.svg, -errno);
    }
    if (code == CLI_OK)
        code = run_tour(&tour);
    tour_files_free(&tour.report.files);
    return code;
}
