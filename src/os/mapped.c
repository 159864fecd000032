// SPDX-License-Identifier: MIT
//
// Lines of /proc/self/maps:
//
//     7f1c8e400000-7f1c8e422000 r-xp 00002000 08:01 1234    /usr/lib/libx.so
//
// A module is mapped in several pieces, of which the one with offset 0 comes
// first: where that lies is 0 for the module's tools. The file is read piece by
// piece; of a line that is longer than the buffer the end is lost.
#include "os/mapped.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

struct reader {
    int fd;
    size_t at, end; // of what is in text
    char text[1024];
};

struct line {
    uint64_t from, to, offset;
    const char *path; // in text; "": none
    char text[512];
};

static bool next_char(struct reader *r, char *c)
{
    if (r->at == r->end) {
        ssize_t n = read(r->fd, r->text, sizeof r->text);
        if (n <= 0)
            return false;
        r->at = 0;
        r->end = (size_t)n;
    }
    *c = r->text[r->at++];
    return true;
}

static bool read_line(struct reader *r, char *text, size_t size)
{
    size_t n = 0;
    char c;
    while (next_char(r, &c)) {
        if (c == '\n') {
            text[n] = '\0';
            return true;
        }
        if (n < size - 1)
            text[n++] = c;
    }
    return false;
}

static uint64_t take_hex(const char **at)
{
    static const char digits[] = "0123456789abcdef";
    uint64_t value = 0;
    const char *digit;
    while (**at != '\0' && (digit = strchr(digits, **at)) != NULL) {
        value = value << 4 | (uint64_t)(digit - digits);
        (*at)++;
    }
    return value;
}

static const char *skip_word(const char *at)
{
    while (*at != '\0' && *at != ' ')
        at++;
    while (*at == ' ')
        at++;
    return at;
}

static bool next_line(struct reader *r, struct line *line)
{
    if (!read_line(r, line->text, sizeof line->text))
        return false;
    const char *at = line->text;
    line->from = take_hex(&at);
    if (*at == '-')
        at++;
    line->to = take_hex(&at);
    at = skip_word(skip_word(at)); // the rights
    line->offset = take_hex(&at);
    line->path = skip_word(skip_word(skip_word(at))); // device, inode
    return true;
}

bool wi_os_mapped(uint64_t address, char *name, size_t size, uint64_t *offset)
{
    struct reader r = {.fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC)};
    struct line line;
    uint64_t base = 0;
    bool found = false;
    if (r.fd < 0)
        return false;
    while (!found && next_line(&r, &line)) {
        if (line.path[0] != '\0' && line.offset == 0)
            base = line.from;
        found = address >= line.from && address < line.to;
    }
    close(r.fd);
    if (!found || line.path[0] == '\0')
        return false;
    const char *slash = strrchr(line.path, '/');
    strncpy(name, slash != NULL ? slash + 1 : line.path, size - 1);
    name[size - 1] = '\0';
    *offset = address - base;
    return true;
}
