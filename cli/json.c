// SPDX-License-Identifier: MIT
#include "json.h"

#include <inttypes.h>
#include <math.h>

static void new_line(struct json *j)
{
    fprintf(j->out, "\n%*s", (int)j->depth * 2, "");
}

// A continuation byte, within the bounds that the first byte sets for the
// second one: no overlong forms, no surrogates, nothing above U+10FFFF.
static bool continues(unsigned char first, unsigned char second)
{
    unsigned char low = 0x80, high = 0xbf;

    if (first == 0xe0)
        low = 0xa0;
    else if (first == 0xed)
        high = 0x9f;
    else if (first == 0xf0)
        low = 0x90;
    else if (first == 0xf4)
        high = 0x8f;
    return second >= low && second <= high;
}

size_t json_utf8_length(const unsigned char *text)
{
    size_t length = 1;

    if (text[0] < 0x80)
        return text[0] != 0;
    if (text[0] >= 0xc2 && text[0] <= 0xdf)
        length = 2;
    else if ((text[0] & 0xf0) == 0xe0)
        length = 3;
    else if (text[0] >= 0xf0 && text[0] <= 0xf4)
        length = 4;
    if (length == 1 || !continues(text[0], text[1]))
        return 0;
    for (size_t i = 2; i < length; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    return length;
}

static void write_character(FILE *out, const unsigned char *at, size_t length)
{
    if (length == 0)
        fputs("\\ufffd", out);
    else if (*at == '"' || *at == '\\')
        fprintf(out, "\\%c", *at);
    else if (*at < 0x20 || *at == 0x7f)
        fprintf(out, "\\u%04x", *at);
    else
        fwrite(at, 1, length, out);
}

static void write_string(FILE *out, const char *text)
{
    const unsigned char *at = (const unsigned char *)text;

    putc('"', out);
    while (*at) {
        size_t length = json_utf8_length(at);
        write_character(out, at, length);
        at += length ? length : 1;
    }
    putc('"', out);
}

// What stands before a value: the comma, the new line, the name.
static void begin_value(struct json *j, const char *name)
{
    if (j->filled)
        putc(',', j->out);
    if (j->depth > 0)
        new_line(j);
    if (name) {
        write_string(j->out, name);
        fputs(": ", j->out);
    }
    j->filled = true;
}

static void open_level(struct json *j, const char *name, char bracket)
{
    begin_value(j, name);
    putc(bracket, j->out);
    j->depth++;
    j->filled = false;
}

static void close_level(struct json *j, char bracket)
{
    j->depth--;
    if (j->filled)
        new_line(j);
    putc(bracket, j->out);
    j->filled = true;
}

void json_begin(struct json *j, FILE *out)
{
    *j = (struct json){.out = out};
    open_level(j, NULL, '{');
}

void json_end(struct json *j)
{
    close_level(j, '}');
    putc('\n', j->out);
}

void json_open_object(struct json *j, const char *name)
{
    open_level(j, name, '{');
}

void json_close_object(struct json *j)
{
    close_level(j, '}');
}

void json_open_array(struct json *j, const char *name)
{
    open_level(j, name, '[');
}

void json_close_array(struct json *j)
{
    close_level(j, ']');
}

void json_string(struct json *j, const char *name, const char *value)
{
    begin_value(j, name);
    if (value)
        write_string(j->out, value);
    else
        fputs("null", j->out);
}

void json_uint(struct json *j, const char *name, uint64_t value)
{
    begin_value(j, name);
    fprintf(j->out, "%" PRIu64, value);
}

void json_int(struct json *j, const char *name, int64_t value)
{
    begin_value(j, name);
    fprintf(j->out, "%" PRId64, value);
}

void json_bool(struct json *j, const char *name, bool value)
{
    begin_value(j, name);
    fputs(value ? "true" : "false", j->out);
}

void json_number(struct json *j, const char *name, double value, int decimals)
{
    begin_value(j, name);
    if (isfinite(value))
        fprintf(j->out, "%.*f", decimals, value);
    else
        fputs("null", j->out);
}
