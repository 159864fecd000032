// SPDX-License-Identifier: MIT
//
// The tour for people, at most 80 columns wide.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weft.h>

#include "digest.h"
#include "plain.h"
#include "tour_report.h"
#include "tour_server.h"

#define MIB (1024.0 * 1024.0)

enum { UNREAD_SHOWN = 20, WIDTH = 78 };

// Prints text in lines of at most WIDTH columns, each behind `indent` spaces.
static void print_wrapped(const char *text, int indent)
{
    int column = 0;

    while (*text) {
        int word = (int)strcspn(text, " ");
        if (column > 0 && column + 1 + word > WIDTH) {
            putchar('\n');
            column = 0;
        }
        column += printf("%*s%.*s", column ? 1 : indent, "", word, text);
        text += word;
        text += strspn(text, " ");
    }
    putchar('\n');
}

// A file name may hold anything, also what a terminal would obey.
static void print_name(const char *name)
{
    char *plain = strdup(name);

    if (plain)
        make_plain(plain);
    fputs(plain ? plain : "?", stdout);
    free(plain);
}

// Every line of text behind a mark.
static void print_marked(const char *text, const char *mark)
{
    while (*text) {
        int length = (int)strcspn(text, "\n");
        printf("%s%.*s\n", length ? mark : "", length, text);
        text += length;
        text += *text == '\n';
    }
}

void tour_text_head(const struct tour_report *report)
{
    printf("Weft %s, %u CPU%s, %s, tasks on %s\n\n", weft_version(),
           report->cpus, report->cpus == 1 ? "" : "s", report->system,
           report->backend);
    puts("1. The ways, each at its shortest, run as programs of their own");
}

void tour_text_program(const struct tour_program *program, size_t number)
{
    printf("\n   1.%zu %s: %s\n\n", number, program->name, program->what);
    print_marked(program->source, "  ");
    putchar('\n');
    print_marked(program->output, "     > ");
    if (program->status == 0)
        printf("     (%.3f s)\n", program->seconds);
    else if (program->status > 0)
        printf("     failed with status %d\n", program->status);
    else
        printf("     could not be run: %s\n", weft_strerror(program->status));
    fflush(stdout);
}

static void print_columns(void)
{
    printf("\n   %-27s %-12s %9s %9s %7s\n", "way", "on", "seconds", "speed-up",
           "CPU s");
    fflush(stdout);
}

void tour_text_waiting(const struct tour_report *report, size_t count)
{
    char text[200];

    (void)report;
    puts("\n2. Work that waits\n");
    snprintf(text, sizeof(text),
             "Fetch %zu resources from a server on 127.0.0.1 that takes %.0f "
             "ms for each.",
             count, TOUR_LATENCY * 1000);
    print_wrapped(text, 3);
    print_columns();
}

void tour_text_computing(const struct tour_report *report)
{
    char text[300];

    puts("\n3. Work that computes\n");
    snprintf(text, sizeof(text),
             "Count the words and take the %s of %s%zu files, %.1f MiB, under",
             digest_name, report->files.cut ? "the first " : "",
             report->files.count, (double)report->files.bytes / MIB);
    print_wrapped(text, 3);
    fputs("   ", stdout);
    print_name(report->dir);
    putchar('\n');
    print_columns();
}

void tour_text_way(const struct tour_work *work, const struct tour_way *way)
{
    printf("   %-27s %-12s %9.3f %8.1fx %7.2f", way->name, way->on,
           way->seconds, tour_speedup(work, (size_t)(way - work->ways)),
           way->cpu);
    if (way->code < 0)
        printf("  FAILED: %s", weft_strerror(way->code));
    else if (way->unlike > 0)
        printf("  %zu RESULTS DIFFER", way->unlike);
    putchar('\n');
    fflush(stdout);
}

static bool all_equal(const struct tour_work *work)
{
    for (size_t i = 0; i < work->count; i++)
        if (!tour_way_good(&work->ways[i]))
            return false;
    return true;
}

void tour_text_sums(const struct tour_report *report)
{
    char digest[2 * DIGEST_SIZE + 1];

    digest_text(report->sums.digest, digest);
    printf("\n   %s: %llu words, digest of all\n   %s\n",
           all_equal(&report->computing) ? "The same in every way"
                                         : "One after another",
           (unsigned long long)report->sums.words, digest);
}

static void print_one_unread(const struct tour_unread *unread)
{
    fputs("   ", stdout);
    print_name(unread->path);
    printf(": %s\n", weft_strerror(unread->code));
}

static void print_unread(const struct tour_files *files)
{
    if (files->unread_count == 0)
        return;
    printf("\n%zu could not be read:\n", files->unread_count);
    for (size_t i = 0; i < files->unread_count && i < UNREAD_SHOWN; i++)
        print_one_unread(&files->unread[i]);
    if (files->unread_count > UNREAD_SHOWN)
        puts("   ... (--json lists all)");
}

void tour_text_end(const struct tour_report *report)
{
    puts("\nWhat fits what, on this machine:\n");
    for (size_t i = 0; i < TOUR_SENTENCES; i++)
        if (report->sentences[i][0])
            print_wrapped(report->sentences[i], 3);
    print_unread(&report->files);
}
