// SPDX-License-Identifier: MIT
// The programs of the benchmark: which there are, what they ask, and a run.
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <weft.h>

#include "bench.h"
#include "child.h"
#include "cli.h"
#include "json.h"
#include "progress.h"

enum { PATH = 4096, ARGUMENTS = 10 };

// Memory that is not there ends the tool: it could not even say so.
static void *grow(void *array, size_t count, size_t size)
{
    void *grown = realloc(array, (count + 1) * size);

    if (!grown)
        abort();
    return grown;
}

static char *copy(const char *text)
{
    char *copied = strdup(text);

    if (!copied)
        abort();
    return copied;
}

// The folder ------------------------------------------------------------------

static bool is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

// `make bench` builds programs against an installed library, into bench-run;
// the build itself has them too, as it tests them.
static char *folder_beside_tool(void)
{
    static const char *const places[] = {"bench-run/programs/bench", "bench"};
    char tool[PATH / 2], path[PATH];
    ssize_t n = readlink("/proc/self/exe", tool, sizeof(tool) - 1);

    tool[n < 0 ? 0 : n] = '\0';
    char *slash = strrchr(tool, '/');
    for (size_t i = 0; slash && i < 2; i++) {
        snprintf(path, sizeof(path), "%.*s/%s", (int)(slash - tool), tool,
                 places[i]);
        if (is_folder(path))
            return copy(path);
    }
    return NULL;
}

static bool is_program(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && !access(path, X_OK);
}

static int find_programs(struct bench_programs *p)
{
    struct dirent **names;
    char path[PATH];
    int n = scandir(p->folder, &names, NULL, alphasort);

    for (int i = 0; i < n; i++) {
        snprintf(path, sizeof(path), "%s/%s", p->folder, names[i]->d_name);
        if (is_program(path)) {
            p->all = grow(p->all, p->count, sizeof(*p->all));
            p->all[p->count++] = (struct bench_program){
                .name = copy(names[i]->d_name), .path = copy(path)};
        }
        free(names[i]);
    }
    if (n >= 0)
        free(names);
    return n < 0 ? -errno : 0;
}

// Lists -----------------------------------------------------------------------

static size_t arguments(char **argv, const struct bench_program *p,
                        const struct bench_options *o)
{
    size_t n = 0;

    argv[n++] = p->path;
    if (o->size)
        argv[n++] = (char *)o->size;
    if (o->only) {
        argv[n++] = "--only";
        argv[n++] = (char *)o->only;
    }
    if (o->reps) {
        argv[n++] = "--reps";
        argv[n++] = (char *)o->reps;
    }
    argv[n] = NULL;
    return n;
}

// QUESTION, WHAT, CONTENDER and PACKAGE, with tabs between them.
static void keep_entry(struct bench_program *p, char *line)
{
    char *part[4];

    line[strcspn(line, "\n")] = '\0';
    for (int i = 0; i < 4; i++) {
        part[i] = line ? strsep(&line, "\t") : NULL;
        if (!part[i])
            return;
    }
    p->entries = grow(p->entries, p->entry_count, sizeof(*p->entries));
    p->entries[p->entry_count++] = (struct bench_entry){
        copy(part[0]), copy(part[1]), copy(part[2]), copy(part[3])};
}

static void keep_line(struct bench_program *p, char *line)
{
    line[strcspn(line, "\n")] = '\0';
    if (line[0] != '{')
        return;
    p->lines = grow(p->lines, p->line_count, sizeof(*p->lines));
    p->lines[p->line_count++] = copy(line);
    progress_step();
}

// Runs the program to its end and hands on what it prints. Its exit status.
static int each_line(struct bench_program *p, char **argv,
                     void (*keep)(struct bench_program *p, char *line))
{
    struct child child;
    char *line = NULL;
    size_t size = 0;

    int rc = child_start(&child, argv, &(struct child_options){0});
    if (rc < 0) {
        fprintf(stderr, "weft bench: %s: %s\n", p->path, weft_strerror(rc));
        return 127;
    }
    FILE *in = fdopen(child.out, "r");
    if (!in)
        abort();
    while (getline(&line, &size, in) >= 0)
        keep(p, line);
    free(line);
    fclose(in);
    child.out = -1;
    return child_end(&child, 10);
}

int bench_find(struct bench_programs *p, const struct bench_options *o)
{
    char *argv[ARGUMENTS];
    size_t entries = 0;

    p->folder = o->programs ? copy(o->programs) : folder_beside_tool();
    if (!p->folder) {
        fputs("weft bench: no benchmark programs beside this tool: "
              "`make bench` in Weft's source builds them, --programs names "
              "their folder\n",
              stderr);
        return CLI_FAILED;
    }
    int rc = find_programs(p);
    if (rc < 0)
        return cli_usage("bench", "%s: %s", p->folder, weft_strerror(rc));
    for (size_t i = 0; i < p->count; i++) {
        struct bench_program *program = &p->all[i];
        size_t n = arguments(argv, program, o);
        argv[n] = "--list";
        argv[n + 1] = NULL;
        if (each_line(program, argv, keep_entry) != 0)
            fprintf(stderr, "weft bench: %s is no benchmark, left out\n",
                    program->path);
        entries += program->entry_count;
    }
    if (entries > 0)
        return CLI_OK;
    return o->only ? cli_usage("bench", "no question is like '%s'", o->only)
                   : cli_usage("bench", "%s: no benchmarks", p->folder);
}

// A run -----------------------------------------------------------------------

size_t bench_questions(const struct bench_program *p, size_t n)
{
    const char *last = "";
    size_t count = 0;

    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < p[i].entry_count; k++) {
            count += strcmp(p[i].entries[k].question, last) != 0;
            last = p[i].entries[k].question;
        }
    return count;
}

void bench_run(struct bench_program *p, const struct bench_options *o,
               double seconds, size_t number, size_t count)
{
    static char what[300];
    char *argv[ARGUMENTS], share[24];
    double begin = weft_now();

    size_t n = arguments(argv, p, o);
    snprintf(share, sizeof(share), "%.3f", seconds);
    argv[n++] = "--seconds";
    argv[n++] = share;
    argv[n] = NULL;
    snprintf(what, sizeof(what), "bench %zu of %zu, %s", number, count,
             p->name);
    progress_begin(what, p->entry_count);
    int status = each_line(p, argv, keep_line);
    progress_end();
    p->failed = status != 0;
    fprintf(stderr, "%s: %.0f s", what, weft_now() - begin);
    if (p->failed)
        fprintf(stderr, ", FAILED with exit status %d", status);
    fputc('\n', stderr);
}

void bench_write(const struct bench_program *p, size_t n, const char *folder,
                 FILE *out)
{
    struct json j;
    const char *before = "";

    fputs("{\"machine\":\n", out);
    json_begin(&j, out);
    bench_machine(&j, folder);
    json_end(&j);
    fputs(", \"results\": [", out);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < p[i].line_count; k++) {
            fprintf(out, "%s\n%s", before, p[i].lines[k]);
            before = ",";
        }
    fputs("\n]}\n", out);
}

void bench_forget(struct bench_programs *p)
{
    for (size_t i = 0; i < p->count; i++) {
        struct bench_program *program = &p->all[i];
        for (size_t k = 0; k < program->entry_count; k++) {
            free(program->entries[k].question);
            free(program->entries[k].what);
            free(program->entries[k].contender);
            free(program->entries[k].missing);
        }
        for (size_t k = 0; k < program->line_count; k++)
            free(program->lines[k]);
        free(program->entries);
        free(program->lines);
        free(program->name);
        free(program->path);
    }
    free(p->all);
    free(p->folder);
}
