// SPDX-License-Identifier: MIT
// Options, the order of the samples, and the JSON lines.
#include "bench.h"

#include <dlfcn.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weft.h>

#include "sample.h"

#ifndef BENCH_FLAGS
#define BENCH_FLAGS ""
#endif

enum mode { FULL, QUICK, CHECK };
enum { MAX_SIDES = 24, MAX_REPS = 64, FEW_REPS = 3, LEAST_REPS = 7 };

static struct {
    const char *program;
    enum mode mode;
    unsigned reps;
    uint64_t ops;      // 0: as the question says
    double seconds;    // for one question; 0: as the mode says
    const char *only;  // part of "question contender"
    bool direct, list; // see bench_usage
    bool failed;
} run;

// What the others computed.
struct known {
    bool is;
    uint64_t answer;
};

// The samples of one contender.
struct score {
    bool asked; // it is there and wanted
    unsigned n;
    double value[MAX_REPS];
    double more[BENCH_MORE][MAX_REPS];
    double spent;       // seconds of the clock, for all of them
    struct known known; // its own, if it does a part of the operations
};

static void bench_usage(int status)
{
    fprintf(status ? stderr : stdout,
            "usage: %s [OPTION]...\n"
            "  --quick      fewer operations\n"
            "  --check      very few: only whether the answers are right\n"
            "  --reps N     samples of each contender (15; 7; 1)\n"
            "  --seconds S  as long as one question may take, about "
            "(5; 1.5)\n"
            "  --ops N      operations in each sample\n"
            "  --only TEXT  only where TEXT is part of 'QUESTION CONTENDER'\n"
            "  --direct     Weft alone, once, in this process, for profilers\n"
            "  --list       the questions, what they ask, the contenders, and "
            "the\n               package that one needs, with tabs between\n",
            run.program);
    exit(status);
}

static uint64_t read_number(const char *text)
{
    char *end;
    uint64_t n = text ? strtoull(text, &end, 10) : 0;
    if (n == 0 || *end != 0)
        bench_usage(2);
    return n;
}

static double read_seconds(const char *text)
{
    char *end;
    double seconds = strtod(text, &end);
    if (end == text || *end != 0 || !(seconds > 0))
        bench_usage(2);
    return seconds;
}

void bench_start(const char *program, int argc, char **argv)
{
    run.program = program;
    for (int i = 1; i < argc; i++) {
        const char *arg = argv[i];
        if (strcmp(arg, "--quick") == 0)
            run.mode = QUICK;
        else if (strcmp(arg, "--check") == 0)
            run.mode = CHECK;
        else if (strcmp(arg, "--reps") == 0 && i + 1 < argc)
            run.reps = (unsigned)read_number(argv[++i]);
        else if (strcmp(arg, "--seconds") == 0 && i + 1 < argc)
            run.seconds = read_seconds(argv[++i]);
        else if (strcmp(arg, "--ops") == 0 && i + 1 < argc)
            run.ops = read_number(argv[++i]);
        else if (strcmp(arg, "--only") == 0 && i + 1 < argc)
            run.only = argv[++i];
        else if (strcmp(arg, "--direct") == 0)
            run.direct = true;
        else if (strcmp(arg, "--list") == 0)
            run.list = true;
        else
            bench_usage(strcmp(arg, "--help") != 0 ? 2 : 0);
    }
    if (run.reps > MAX_REPS)
        run.reps = MAX_REPS;
}

long bench_pick(long full, long quick, long check)
{
    return run.mode == FULL ? full : run.mode == QUICK ? quick : check;
}

bool bench_lists(void)
{
    return run.list;
}

int bench_end(void)
{
    return run.failed ? 1 : 0;
}

// JSON ------------------------------------------------------------------------

static void print_text(const char *name, const char *text)
{
    printf("\"%s\": \"", name);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            putchar('\\');
        putchar((unsigned char)*text < ' ' ? ' ' : *text);
    }
    putchar('"');
}

static void print_values(const char *name, const double *v, unsigned n)
{
    printf("\"%s\": [", name);
    for (unsigned i = 0; i < n; i++)
        printf("%s%.6g", i ? ", " : "", v[i]);
    putchar(']');
}

static double least(const double *v, unsigned n)
{
    double min = v[0];
    for (unsigned i = 1; i < n; i++)
        min = v[i] < min ? v[i] : min;
    return min;
}

static const char *role_name(enum bench_role role)
{
    return role == BENCH_WEFT ? "weft" : role == BENCH_FLOOR ? "floor" : "peer";
}

static void print_bar(const struct bench_question *q,
                      const struct bench_side *side)
{
    double bar = side->bar != 0 ? side->bar : q->bar;
    if (bar == 0)
        return;
    printf(", \"bar\": %.6g", bar);
    if (q->bar_against != NULL) {
        printf(", ");
        print_text("bar_against", q->bar_against);
    }
}

static void print_parameters(const struct bench_question *q, uint64_t ops)
{
    printf(", \"parameters\": {\"operations\": %" PRIu64, ops);
    for (int i = 0; i < BENCH_PARAMS && q->params[i].name; i++)
        printf(", \"%s\": %ld", q->params[i].name, q->params[i].value);
    printf(", \"mode\": \"%s\"}", run.mode == FULL    ? "full"
                                  : run.mode == QUICK ? "quick"
                                                      : "check");
}

// Which file the library was loaded from, and its folder: that it is the
// shared one.
static const char *library_path(void)
{
    Dl_info info;
    if (!dladdr((void *)weft_version, &info))
        return "";
    const char *at = strrchr(info.dli_fname, '/');
    while (at && at > info.dli_fname && at[-1] != '/')
        at--;
    return at ? at : info.dli_fname;
}

static void print_build(void)
{
    printf(", ");
#ifdef __clang__
    print_text("compiler", __VERSION__);
#else
    print_text("compiler", "gcc " __VERSION__);
#endif
    printf(", ");
    print_text("flags", BENCH_FLAGS);
    printf(", ");
    print_text("library", library_path());
}

static void print_head(const char *question, const char *side)
{
    printf("{");
    print_text("name", question);
    printf(", ");
    print_text("contender", side);
}

static void print_score(const struct bench_question *q, uint64_t ops,
                        const struct bench_side *side, struct score *s)
{
    print_head(q->name, side->name);
    printf(", \"role\": \"%s\", ", role_name(side->role));
    print_text("what", q->what);
    printf(", ");
    print_text("unit", q->unit);
    printf(", \"min\": %.6g, ", least(s->value, s->n));
    print_values("samples", s->value, s->n);
    printf(", \"also\": {");
    for (int i = 0; i < BENCH_MORE && q->more[i]; i++) {
        printf("%s", i ? ", " : "");
        print_values(q->more[i], s->more[i], s->n);
    }
    printf("}, \"seconds\": %.3g", s->spent);
    // Sorts the samples, so it is the last to read them.
    printf(", \"median\": %.6g", bench_median(s->value, s->n));
    if (side->role == BENCH_WEFT)
        print_bar(q, side);
    print_parameters(q, ops);
    print_build();
    printf("}\n");
    fflush(stdout);
}

void bench_skip(const char *question, const char *side, const char *why)
{
    print_head(question, side);
    printf(", ");
    print_text("skipped", why);
    printf("}\n");
    fflush(stdout);
}

// Samples ---------------------------------------------------------------------

static bool wanted(const char *question, const char *side)
{
    char text[256];
    snprintf(text, sizeof text, "%s %s", question, side);
    return run.only == NULL || strstr(text, run.only) != NULL;
}

static bool is_there(const struct bench_side *side)
{
    return side->program == NULL || bench_peer_path(side->program) != NULL;
}

static const char *needs(const struct bench_side *side)
{
    return side->package ? side->package : side->program;
}

static bool left_out(const struct bench_question *q,
                     const struct bench_side *side)
{
    for (int i = 0; i < BENCH_WITHOUT && q->without[i] != NULL; i++)
        if (strcmp(q->without[i], side->name) == 0)
            return true;
    return false;
}

// Whether the contender takes part; says why if it does not.
static bool present(const struct bench_question *q,
                    const struct bench_side *side)
{
    char why[128];
    if (!wanted(q->name, side->name))
        return false;
    if (left_out(q, side)) {
        bench_skip(q->name, side->name, q->why);
        return false;
    }
    if (is_there(side))
        return true;
    snprintf(why, sizeof why, "not built: needs %s", needs(side));
    bench_skip(q->name, side->name, why);
    return false;
}

static void fill_ask(const struct bench_question *q, uint64_t ops,
                     struct bench_ask *ask)
{
    ask->ops = ops;
    for (int i = 0; i < BENCH_PARAMS; i++)
        ask->param[i] = q->params[i].value;
}

static void complain(const struct bench_question *q,
                     const struct bench_side *side, const char *why)
{
    fprintf(stderr, "bench: %s: %s: %s\n", q->name, side->name, why);
    print_head(q->name, side->name);
    printf(", \"role\": \"%s\", ", role_name(side->role));
    print_text("failed", why);
    printf("}\n");
    fflush(stdout);
    run.failed = true;
}

static uint64_t ops_of(const struct bench_side *side, uint64_t ops)
{
    bool part = side->part > 0 && ops > side->part && run.mode != CHECK;
    return part ? ops / side->part : ops;
}

// One sample; false if it failed or its answer differs from what is known.
static bool take(const struct bench_question *q, const struct bench_side *side,
                 const struct bench_ask *ask, struct known *known,
                 struct bench_reply *reply)
{
    const char *why = "";
    char text[96];
    unsigned limit = q->limit ? q->limit : (unsigned)bench_pick(90, 45, 120);
    if (!bench_sample(side, ask, limit, reply, &why)) {
        complain(q, side, why);
        return false;
    }
    if (known->is && known->answer != reply->answer) {
        snprintf(text, sizeof text, "computed %" PRIu64 ", others %" PRIu64,
                 reply->answer, known->answer);
        complain(q, side, text);
        return false;
    }
    *known = (struct known){true, reply->answer};
    return true;
}

// Each contender once, to see that all compute the same.
static void check_all(const struct bench_question *q, uint64_t ops,
                      const struct bench_side *sides, struct score *scores)
{
    struct bench_ask ask;
    struct bench_reply reply;
    struct known known = {0};
    fill_ask(q, ops, &ask);
    for (int i = 0; sides[i].name; i++)
        if (scores[i].asked && !take(q, &sides[i], &ask, &known, &reply))
            scores[i].asked = false;
}

static void keep(struct score *s, const struct bench_reply *reply)
{
    for (int i = 0; i < BENCH_MORE; i++)
        s->more[i][s->n] = reply->more[i];
    s->value[s->n++] = reply->value;
}

static double seconds_for_a_question(void)
{
    double seconds = run.mode == FULL ? 5 : run.mode == QUICK ? 1.5 : 60;
    return run.seconds > 0 ? run.seconds : seconds;
}

// Whether a contender has another sample to give: all if there is time, some
// in any case, but in a short run only one of who takes a good part of the time
// alone.
static bool is_due(const struct score *s, enum bench_role role, unsigned reps,
                   double left)
{
    if (!s->asked || s->n >= reps)
        return false;
    double each = s->n > 0 ? s->spent / s->n : 0;
    double much = seconds_for_a_question() / (role == BENCH_WEFT ? 2 : 6);
    unsigned least = run.mode == FULL ? LEAST_REPS : each > much ? 1 : FEW_REPS;
    return s->n < least || each < left;
}

static void measure_all(const struct bench_question *q, uint64_t ops,
                        const struct bench_side *sides, struct score *scores,
                        unsigned reps, double end)
{
    struct bench_ask ask;
    struct bench_reply reply;
    struct known known = {0};
    bool more = true;
    while (more) {
        more = false;
        for (int i = 0; sides[i].name; i++) {
            struct score *s = &scores[i];
            uint64_t mine = ops_of(&sides[i], ops);
            double begin = bench_wall() / 1e9;
            if (!is_due(s, sides[i].role, reps, end - begin))
                continue;
            fill_ask(q, mine, &ask);
            if (take(q, &sides[i], &ask, mine == ops ? &known : &s->known,
                     &reply))
                keep(s, &reply);
            else
                s->asked = false;
            s->spent += bench_wall() / 1e9 - begin;
            more = true;
        }
    }
}

static void ask_directly(const struct bench_question *q, uint64_t ops,
                         const struct bench_side *sides)
{
    struct bench_ask ask;
    fill_ask(q, ops, &ask);
    for (int i = 0; sides[i].name; i++) {
        struct bench_reply reply = {0};
        if (sides[i].role != BENCH_WEFT || !wanted(q->name, sides[i].name))
            continue;
        sides[i].fn(&ask, &reply);
        printf("%s %s: %g %s\n", q->name, sides[i].name, reply.value, q->unit);
    }
}

static void list(const struct bench_question *q, const struct bench_side *sides)
{
    for (int i = 0; sides[i].name; i++)
        if (wanted(q->name, sides[i].name) && !left_out(q, &sides[i]))
            printf("%s\t%s, %s\t%s\t%s\n", q->name, q->what, q->unit,
                   sides[i].name, is_there(&sides[i]) ? "" : needs(&sides[i]));
}

static unsigned count_reps(const struct bench_question *q)
{
    if (run.reps > 0)
        return run.reps;
    if (run.mode == CHECK)
        return 1;
    return q->reps ? q->reps : run.mode == FULL ? 15 : 7;
}

void bench_ask(const struct bench_question *q, const struct bench_side *sides)
{
    static struct score scores[MAX_SIDES];
    uint64_t ops = run.ops ? run.ops : q->ops;
    if (run.list) {
        list(q, sides);
        return;
    }
    if (run.direct) {
        ask_directly(q, ops, sides);
        return;
    }
    double end = bench_wall() / 1e9 + seconds_for_a_question();
    memset(scores, 0, sizeof scores);
    for (int i = 0; sides[i].name; i++)
        scores[i].asked = present(q, &sides[i]);
    if (run.mode != CHECK && !q->slow)
        check_all(q, q->warm && q->warm < ops ? q->warm : ops, sides, scores);
    measure_all(q, ops, sides, scores, count_reps(q), end);
    for (int i = 0; sides[i].name; i++)
        if (scores[i].n > 0)
            print_score(q, ops_of(&sides[i], ops), &sides[i], &scores[i]);
}
