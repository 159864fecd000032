// SPDX-License-Identifier: MIT
// A program may have a hundred thousand tasks: lines are put together by hand,
// as printf would take most of the time.
#include "ps_print.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "json.h"

enum { LINE = 512, BUFFER = 1 << 16 };

static bool is_shown(const struct ps_options *o, const struct ps_row *row)
{
    return o->all || !ps_is_done(row);
}

// Few and large writes; the library's own buffer is small.
static void widen_output(void)
{
    static char buffer[BUFFER];
    setvbuf(stdout, buffer, _IOFBF, sizeof(buffer));
}

// A line ----------------------------------------------------------------------

struct line {
    char text[LINE];
    size_t used;
};

// Texts are of bounded length: names and numbers. What is more is cut off.
static void put(struct line *l, const char *text)
{
    size_t n = strlen(text);

    if (n > LINE - l->used)
        n = LINE - l->used;
    memcpy(l->text + l->used, text, n);
    l->used += n;
}

static void put_number(struct line *l, uint64_t number, unsigned base)
{
    char digits[24];
    size_t at = sizeof(digits);

    digits[--at] = '\0';
    do
        digits[--at] = "0123456789abcdef"[number % base];
    while ((number /= base) != 0);
    put(l, digits + at);
}

// Ends a column that began at `from`: blanks up to its width, and one more.
static void end_column(struct line *l, size_t from, size_t width)
{
    size_t to = from + width + 1;

    if (to <= l->used)
        to = l->used + 1;
    if (to > LINE)
        to = LINE;
    memset(l->text + l->used, ' ', to - l->used);
    l->used = to;
}

static void put_column(struct line *l, const char *text, size_t width)
{
    size_t from = l->used;

    put(l, text);
    end_column(l, from, width);
}

// Aligned to the right.
static void put_right(struct line *l, uint64_t number, size_t width)
{
    struct line right;

    right.used = 0;
    put_number(&right, number, 10);
    for (size_t n = right.used; n < width; n++)
        put(l, " ");
    right.text[right.used] = '\0';
    put(l, right.text);
}

// The columns -----------------------------------------------------------------

// "read fd 5", "future 12", "group 0x55...", "sleep", "-".
static void put_wait(struct line *l, const struct ps_row *row,
                     const struct ps_row *awaited)
{
    enum ps_object object = ps_wait_object(row);
    const char *kind = ps_wait(row);

    put(l, row->wait_kind == 0 ? "-" : kind);
    if (row->wait_kind == 0)
        return;
    if (object == PS_FD) {
        put(l, strcmp(kind, "fd") == 0 ? " " : " fd ");
        put_number(l, row->wait_object, 10);
    } else if (object == PS_FUTURE && awaited) {
        put(l, " ");
        put_number(l, awaited->id, 10);
    } else if (row->wait_object) {
        put(l, " 0x");
        put_number(l, row->wait_object, 16);
    }
}

// Who can end the wait: "12 (reader)", "3 children", "-".
static void put_owner(struct line *l, const struct ps_table *table,
                      const struct ps_row *row, const struct ps_row *awaited)
{
    if (awaited) {
        put_number(l, awaited->id, 10);
        put(l, " (");
        put(l, awaited->name[0] ? awaited->name : ps_kind(awaited));
        put(l, ")");
    } else if (row->wait_kind && ps_wait_object(row) == PS_GROUP) {
        size_t n = ps_table_children(table, row->wait_object);
        put_number(l, n, 10);
        put(l, n == 1 ? " child" : " children");
    } else {
        put(l, "-");
    }
}

static void print_row(const struct ps_table *table, const struct ps_row *row)
{
    const struct ps_row *awaited = ps_table_awaited(table, row);
    struct line l;

    l.used = 0;
    put_right(&l, row->id, 8);
    put(&l, row->changing ? "~ " : "  ");
    put_column(&l, ps_kind(row), 11);
    put_column(&l, ps_state(row), 7);
    if (row->native)
        put_right(&l, row->native, 7);
    else
        put(&l, "      -");
    put(&l, " ");
    put_column(&l, row->name[0] ? row->name : "-", 16);
    size_t wait = l.used;
    put_wait(&l, row, awaited);
    end_column(&l, wait, 20);
    put_owner(&l, table, row, awaited);
    l.text[l.used < LINE ? l.used++ : LINE - 1] = '\n';
    fwrite(l.text, 1, l.used, stdout);
}

void ps_print_table(const struct ps_options *o, const struct ps_table *table)
{
    size_t done = 0;
    bool changing = false;

    widen_output();
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
    json_string(j, "kind", ps_wait(row));
    snprintf(object, sizeof(object), "0x%" PRIx64, row->wait_object);
    json_string(j, "object", object);
    if (ps_wait_object(row) == PS_FD)
        json_uint(j, "fd", row->wait_object);
    if (awaited)
        json_uint(j, "owner", awaited->id);
    if (ps_wait_object(row) == PS_GROUP)
        json_uint(j, "children", ps_table_children(table, row->wait_object));
    json_close_object(j);
}

static void add_row(struct json *j, const struct ps_table *table,
                    const struct ps_row *row)
{
    json_open_object(j, NULL);
    json_uint(j, "id", row->id);
    json_string(j, "kind", ps_kind(row));
    json_string(j, "state", ps_state(row));
    json_string(j, "name", row->name);
    if (row->native)
        json_uint(j, "tid", row->native);
    if (ps_is_done(row))
        json_int(j, "code", row->code);
    add_wait(j, table, row);
    json_bool(j, "changing", row->changing);
    json_close_object(j);
}

void ps_print_json(const struct ps_options *o, const struct ps_table *table)
{
    struct json j;

    widen_output();
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
