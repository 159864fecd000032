// SPDX-License-Identifier: MIT
//
// environment.c: Weft's variables, and what each may hold.
//
// A value that means nothing is reported when the program starts, not when it
// would have been used, which may be never; then it counts as not set.
// WEFT_BACKEND is not here: its wrong value is an error of the calls that need
// a backend (src/loop/loop.c).
#include "os/environment.h"

#include <locale.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "os/report.h"

enum { WORDS = 4, LARGEST_COUNT = 1 << 20 };

enum kind { ONE_WORD, COUNT, SECONDS };

static const struct variable {
    const char *name;
    enum kind kind;
    const char *words[WORDS];
    const char *allowed; // in words for the user
} variables[] = {
    {"WEFT_DEADLOCK", ONE_WORD, {"report", "abort", "0"}, "report, abort or 0"},
    {"WEFT_LOCKORDER", ONE_WORD, {"1", "abort", "0"}, "1, abort or 0"},
    {"WEFT_MIGRATE", ONE_WORD, {"check", "0"}, "check or 0"},
    {"WEFT_NPROC", COUNT, {NULL}, "a number of CPUs, 1 or more"},
    {"WEFT_SEGV", ONE_WORD, {"0", "1"}, "0 or 1"},
    {"WEFT_STALL", SECONDS, {NULL}, "a number of seconds, 0 for no limit"},
    {"WEFT_WATCHDOG", ONE_WORD, {"0", "1"}, "0 or 1"},
};

enum { VARIABLES = sizeof variables / sizeof *variables };

static bool is_word(const struct variable *variable, const char *text)
{
    for (int i = 0; i < WORDS && variable->words[i] != NULL; i++)
        if (strcmp(text, variable->words[i]) == 0)
            return true;
    return false;
}

static bool is_count(const char *text)
{
    char *end;
    long value = strtol(text, &end, 10);
    return *end == '\0' && value >= 1 && value <= LARGEST_COUNT;
}

// With a point whatever the program's locale writes there. Neither C library
// takes memory for this one.
static bool read_seconds(const char *text, double *seconds)
{
    char *end;
    locale_t plain = newlocale(LC_ALL_MASK, "C", NULL);
    if (plain == NULL)
        return false;
    *seconds = strtod_l(text, &end, plain);
    freelocale(plain);
    return *end == '\0' && *seconds >= 0; // nor NaN
}

// `text` is not empty.
static bool is_allowed(const struct variable *variable, const char *text)
{
    double seconds;
    switch (variable->kind) {
    case COUNT:
        return is_count(text);
    case SECONDS:
        return read_seconds(text, &seconds);
    default:
        return is_word(variable, text);
    }
}

static const char *value_of(const struct variable *variable)
{
    const char *text = secure_getenv(variable->name);
    return text != NULL && text[0] != '\0' ? text : NULL;
}

const char *wi_os_environment(const char *name)
{
    for (int i = 0; i < VARIABLES; i++) {
        const char *text;
        if (strcmp(variables[i].name, name) != 0)
            continue;
        text = value_of(&variables[i]);
        return text != NULL && is_allowed(&variables[i], text) ? text : NULL;
    }
    return NULL;
}

bool wi_os_environment_seconds(const char *name, double *seconds)
{
    const char *text = wi_os_environment(name);
    return text != NULL && read_seconds(text, seconds);
}

// A worker process has its parent's environment, and the parent has told.
static bool is_worker(void)
{
    return secure_getenv("WEFT_WORKER") != NULL;
}

__attribute__((constructor)) static void tell(void)
{
    if (is_worker())
        return;
    for (int i = 0; i < VARIABLES; i++) {
        const char *text = value_of(&variables[i]);
        if (text != NULL && !is_allowed(&variables[i], text))
            wi_report("%s=%.40s is ignored: it may be %s", variables[i].name,
                      text, variables[i].allowed);
    }
}
