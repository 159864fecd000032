// SPDX-License-Identifier: MIT
//
// json_check [PATH...]: whether standard input is one JSON text (RFC 8259) in
// UTF-8. For each PATH ("waiting.ways.0.name") prints the value found there, a
// string without its quotes and as it is escaped; a missing one is an error.
#include <ctype.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 1 << 22, PATH_SIZE = 1024, DEPTH_MAX = 64 };

static char text[TEXT_MAX + 1];
static const char *at = text;
static char path[PATH_SIZE]; // of the value that is being read
static const char *wanted;   // NULL: only check
static bool found;

static void fail(const char *what)
{
    fprintf(stderr, "json_check: byte %zd, at '%s': %s\n", at - text, path,
            what);
    exit(1);
}

static void skip_space(void)
{
    at += strspn(at, " \t\r\n");
}

static void expect(char c)
{
    if (*at != c)
        fail("not what JSON has here");
    at++;
}

static size_t utf8_length(const unsigned char *c)
{
    size_t n = c[0] < 0x80   ? 1
               : c[0] < 0xc2 ? 0
               : c[0] < 0xe0 ? 2
               : c[0] < 0xf0 ? 3
               : c[0] < 0xf5 ? 4
                             : 0;

    for (size_t i = 1; i < n; i++)
        if ((c[i] & 0xc0) != 0x80)
            return 0;
    return n;
}

static void read_escape(void)
{
    at++;
    if (*at == 'u') {
        for (int i = 1; i <= 4; i++)
            if (!isxdigit((unsigned char)at[i]))
                fail("a bad \\u");
        at += 5;
    } else if (*at && strchr("\"\\/bfnrt", *at)) {
        at++;
    } else {
        fail("a bad escape");
    }
}

// Returns where the string begins behind its quote, and its length.
static const char *read_string(int *length)
{
    expect('"');
    const char *start = at;
    while (*at != '"') {
        size_t n = utf8_length((const unsigned char *)at);
        if ((unsigned char)*at < 0x20 || n == 0)
            fail("a byte that a string must not have");
        if (*at == '\\')
            read_escape();
        else
            at += n;
    }
    *length = (int)(at - start);
    at++;
    return start;
}

static void read_digits(void)
{
    if (!isdigit((unsigned char)*at))
        fail("a digit is missing");
    while (isdigit((unsigned char)*at))
        at++;
}

static void read_number(void)
{
    if (*at == '-')
        at++;
    if (*at == '0')
        at++;
    else
        read_digits();
    if (*at == '.') {
        at++;
        read_digits();
    }
    if (*at == 'e' || *at == 'E') {
        at++;
        at += *at == '+' || *at == '-';
        read_digits();
    }
}

static void read_word(const char *word)
{
    if (strncmp(at, word, strlen(word)) != 0)
        fail("no value");
    at += strlen(word);
}

static void read_value(int depth);

static void read_member(int depth, const char *format, ...)
{
    size_t length = strlen(path);
    va_list args;

    va_start(args, format);
    vsnprintf(path + length, sizeof(path) - length, format, args);
    va_end(args);
    skip_space();
    read_value(depth + 1);
    skip_space();
    path[length] = '\0';
}

static void read_object(int depth)
{
    const char *dot = *path ? "." : "";
    int length;

    expect('{');
    skip_space();
    while (*at != '}') {
        const char *name = read_string(&length);
        skip_space();
        expect(':');
        read_member(depth, "%s%.*s", dot, length, name);
        if (*at != '}') {
            expect(',');
            skip_space();
            if (*at != '"')
                fail("a comma before the end");
        }
    }
    at++;
}

static void read_array(int depth)
{
    const char *dot = *path ? "." : "";

    expect('[');
    skip_space();
    for (int i = 0; *at != ']'; i++) {
        read_member(depth, "%s%d", dot, i);
        if (*at != ']') {
            expect(',');
            skip_space();
            if (*at == ']')
                fail("a comma before the end");
        }
    }
    at++;
}

static void read_any(int depth)
{
    int length;

    if (*at == '{')
        read_object(depth);
    else if (*at == '[')
        read_array(depth);
    else if (*at == '"')
        read_string(&length);
    else if (*at == '-' || isdigit((unsigned char)*at))
        read_number();
    else
        read_word(*at == 't' ? "true" : *at == 'f' ? "false" : "null");
}

static void read_value(int depth)
{
    const char *start = at;

    if (depth > DEPTH_MAX)
        fail("too deep");
    read_any(depth);
    if (wanted && !strcmp(wanted, path)) {
        bool quoted = *start == '"';
        printf("%.*s\n", (int)(at - start) - 2 * quoted, start + quoted);
        found = true;
    }
}

static void read_text(void)
{
    at = text;
    path[0] = '\0';
    skip_space();
    read_value(0);
    skip_space();
    if (*at != '\0')
        fail("more than one value");
}

int main(int argc, char **argv)
{
    size_t size = fread(text, 1, TEXT_MAX, stdin);

    if (strlen(text) != size || size == TEXT_MAX)
        fail("a NUL, or too long");
    read_text();
    for (int i = 1; i < argc; i++) {
        wanted = argv[i];
        found = false;
        read_text();
        if (!found) {
            fprintf(stderr, "json_check: nothing at '%s'\n", wanted);
            return 1;
        }
    }
    return 0;
}
