// SPDX-License-Identifier: MIT
//
// The tour as a chart: for each kind of work one bar a way, as long as the
// time it took, so that shorter is better.
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "json.h"
#include "tour_report.h"
#include "tour_server.h"

enum {
    WIDTH = 860,
    MARGIN = 24,
    BAR_LEFT = 250, // where bars begin
    BAR_ROOM = 390, // the longest one
    BAR_HEIGHT = 20,
    ROW = 30,        // from one bar to the next
    PANEL_HEAD = 62, // title and what was done
    TOP = 84,
};

#define INK    "#1f2933"
#define SOFT   "#52606d"
#define BASE   "#9aa5b1" // one after another
#define FAST   "#2b6cb0"
#define FAILED "#c53030"

static void put_escaped(FILE *out, const char *text)
{
    const unsigned char *at = (const unsigned char *)text;

    while (*at) {
        size_t length = json_utf8_length(at);
        if (length == 0 || *at < 0x20)
            putc('?', out);
        else if (*at == '<')
            fputs("&lt;", out);
        else if (*at == '&')
            fputs("&amp;", out);
        else
            fwrite(at, 1, length, out);
        at += length ? length : 1;
    }
}

struct style {
    const char *anchor; // "start", "end"
    int size;
    const char *color;
    const char *weight; // "400", "600"
};

static const struct style heading = {"start", 20, INK, "600"};
static const struct style title = {"start", 15, INK, "600"};
static const struct style soft = {"start", 12, SOFT, "400"};
static const struct style label = {"end", 13, INK, "400"};
static const struct style value = {"start", 13, INK, "400"};

static void put_text(FILE *out, int x, int y, const struct style *style,
                     const char *format, ...)
    __attribute__((format(printf, 5, 6)));

static void put_text(FILE *out, int x, int y, const struct style *style,
                     const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    fprintf(out,
            "<text x=\"%d\" y=\"%d\" text-anchor=\"%s\" font-size=\"%d\" "
            "font-weight=\"%s\" fill=\"%s\">",
            x, y, style->anchor, style->size, style->weight, style->color);
    put_escaped(out, text);
    fputs("</text>\n", out);
}

static double longest(const struct tour_work *work)
{
    double most = 1e-9;

    for (size_t i = 0; i < work->count; i++)
        if (work->ways[i].seconds > most)
            most = work->ways[i].seconds;
    return most;
}

static void put_bar(FILE *out, int y, const struct tour_work *work, size_t i)
{
    const struct tour_way *way = &work->ways[i];
    bool good = tour_way_good(way);
    double length = way->seconds / longest(work) * BAR_ROOM;
    const char *color = !good ? FAILED : i == 0 ? BASE : FAST;

    if (length < 2)
        length = 2;
    put_text(out, BAR_LEFT - 10, y + 15, &label, "%s", way->name);
    fprintf(out,
            "<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" rx=\"2\" "
            "fill=\"%s\"/>\n",
            BAR_LEFT, y, length, BAR_HEIGHT, color);
    put_text(out, BAR_LEFT + (int)length + 8, y + 15, &value,
             good ? "%.3f s, %.1fx, %s" : "failed after %.3f s", way->seconds,
             tour_speedup(work, i), way->on);
}

// Returns the y below it.
static int put_panel(FILE *out, int y, const struct tour_work *work,
                     const char *what, const char *detail)
{
    put_text(out, MARGIN, y + 18, &title, "%s", what);
    put_text(out, MARGIN, y + 38, &soft, "%s", detail);
    y += PANEL_HEAD;
    for (size_t i = 0; i < work->count; i++, y += ROW)
        put_bar(out, y, work, i);
    fprintf(out,
            "<line x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\" stroke=\"%s\"/>\n",
            BAR_LEFT, y - (int)work->count * ROW - 6, BAR_LEFT, y - 4, SOFT);
    return y + MARGIN;
}

static int height_of(const struct tour_report *report)
{
    size_t rows = report->waiting.count + report->computing.count;

    return TOP + 2 * (PANEL_HEAD + MARGIN) + (int)rows * ROW;
}

static void put_head(FILE *out, const struct tour_report *report)
{
    int height = height_of(report);

    fprintf(out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" "
            "height=\"%d\" viewBox=\"0 0 %d %d\" "
            "font-family=\"DejaVu Sans, Helvetica, Arial, sans-serif\">\n"
            "<title>weft tour</title>\n"
            "<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n",
            WIDTH, height, WIDTH, height);
    put_text(out, MARGIN, 36, &heading,
             "The same work, done in different ways");
    put_text(out, MARGIN, 60, &soft,
             "Seconds, shorter is better. %u CPU%s, %s, tasks on %s.",
             report->cpus, report->cpus == 1 ? "" : "s", report->system,
             report->backend);
}

void tour_svg(const struct tour_report *report, FILE *out)
{
    char detail[300];

    put_head(out, report);
    snprintf(detail, sizeof(detail),
             "Fetch %zu resources from a local server that takes %.0f ms for "
             "each",
             report->waiting.items, TOUR_LATENCY * 1000);
    int y = put_panel(out, TOP, &report->waiting, "Work that waits", detail);
    snprintf(detail, sizeof(detail),
             "Count the words and take the %s of %zu files, %.1f MiB, under "
             "%.120s",
             digest_name, report->computing.items,
             (double)report->computing.bytes / (1024.0 * 1024.0), report->dir);
    put_panel(out, y, &report->computing, "Work that computes", detail);
    fputs("</svg>\n", out);
}
