// SPDX-License-Identifier: MIT
//
// The tour for programs. docs/man/weft-tour.1.scd describes the members.
#include <weft.h>

#include "digest.h"
#include "json.h"
#include "tour_report.h"
#include "tour_server.h"

static void add_code(struct json *j, int code)
{
    json_string(j, "error", code < 0 ? weft_error_name(code) : NULL);
}

static void add_program(struct json *j, const struct tour_program *program)
{
    json_open_object(j, NULL);
    json_string(j, "name", program->name);
    json_int(j, "status", program->status);
    json_string(j, "output", program->output);
    json_number(j, "seconds", program->seconds, 6);
    json_close_object(j);
}

static void add_way(struct json *j, const struct tour_work *work, size_t i)
{
    const struct tour_way *way = &work->ways[i];

    json_open_object(j, NULL);
    json_string(j, "name", way->name);
    json_string(j, "on", way->on);
    json_number(j, "seconds", way->seconds, 6);
    json_number(j, "speedup", tour_speedup(work, i), 3);
    json_number(j, "cpu_seconds", way->cpu, 6);
    json_bool(j, "equal", way->unlike == 0);
    add_code(j, way->code);
    json_close_object(j);
}

static void add_ways(struct json *j, const struct tour_work *work)
{
    json_uint(j, "bytes", work->bytes);
    json_open_array(j, "ways");
    for (size_t i = 0; i < work->count; i++)
        add_way(j, work, i);
    json_close_array(j);
}

static void add_waiting(struct json *j, const struct tour_report *report)
{
    json_open_object(j, "waiting");
    add_code(j, report->waiting_code);
    json_uint(j, "resources", report->waiting.items);
    json_number(j, "latency", TOUR_LATENCY, 3);
    add_ways(j, &report->waiting);
    json_close_object(j);
}

static void add_computing(struct json *j, const struct tour_report *report)
{
    char digest[2 * DIGEST_SIZE + 1];

    digest_text(report->sums.digest, digest);
    json_open_object(j, "computing");
    add_code(j, report->computing_code);
    json_string(j, "folder", report->dir);
    json_bool(j, "all", !report->files.cut);
    json_uint(j, "files", report->computing.items);
    json_uint(j, "words", report->sums.words);
    json_string(j, "digest_kind", digest_name);
    json_string(j, "digest", digest);
    add_ways(j, &report->computing);
    json_close_object(j);
}

static void add_unread(struct json *j, const struct tour_files *files)
{
    json_open_array(j, "unread");
    for (size_t i = 0; i < files->unread_count; i++) {
        json_open_object(j, NULL);
        json_string(j, "path", files->unread[i].path);
        add_code(j, files->unread[i].code);
        json_close_object(j);
    }
    json_close_array(j);
}

void tour_json(const struct tour_report *report, FILE *out)
{
    struct json j;

    json_begin(&j, out);
    json_string(&j, "weft", weft_version());
    json_bool(&j, "good", tour_report_good(report));
    json_uint(&j, "cpus", report->cpus);
    json_string(&j, "system", report->system);
    json_string(&j, "backend", report->backend);
    json_open_array(&j, "programs");
    for (size_t i = 0; i < TOUR_PROGRAMS; i++)
        add_program(&j, &report->programs[i]);
    json_close_array(&j);
    add_waiting(&j, report);
    add_computing(&j, report);
    add_unread(&j, &report->files);
    json_open_array(&j, "conclusions");
    for (size_t i = 0; i < TOUR_SENTENCES; i++)
        if (report->sentences[i][0])
            json_string(&j, NULL, report->sentences[i]);
    json_close_array(&j);
    json_end(&j);
}
