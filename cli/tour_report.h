// SPDX-License-Identifier: MIT
//
// tour_report.h: what the tour has seen, and the forms in which it is told.
#ifndef WEFT_CLI_TOUR_REPORT_H
#define WEFT_CLI_TOUR_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "tour_files.h"
#include "tour_programs.h"
#include "tour_ways.h"
#include "tour_work.h"

enum { TOUR_SENTENCES = 3, TOUR_SENTENCE_MAX = 400 };

struct tour_report {
    const char *dir;
    unsigned cpus;
    char system[80];  // "Linux 6.1.0 x86_64"
    char backend[16]; // of tasks: "uring" or "epoll"
    struct tour_program programs[TOUR_PROGRAMS];
    struct tour_files files;
    struct tour_work waiting, computing;
    int waiting_code, computing_code; // negative: why it was not done
    struct tour_sums sums;
    char sentences[TOUR_SENTENCES][TOUR_SENTENCE_MAX];
};

// Whether all programs ran and all ways gave the same results.
bool tour_report_good(const struct tour_report *report);

// Fills in the sentences: which way fits which work, from the figures.
void tour_conclude(struct tour_report *report);

// For people, piece by piece as the tour goes on.
void tour_text_head(const struct tour_report *report);
void tour_text_program(const struct tour_program *program, size_t number);
void tour_text_waiting(const struct tour_report *report, size_t count);
void tour_text_computing(const struct tour_report *report);
void tour_text_way(const struct tour_work *work, const struct tour_way *way);
void tour_text_sums(const struct tour_report *report);
void tour_text_end(const struct tour_report *report);

// For programs, as a whole.
void tour_json(const struct tour_report *report, FILE *out);

// A chart.
void tour_svg(const struct tour_report *report, FILE *out);

#endif
