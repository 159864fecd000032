// SPDX-License-Identifier: MIT
//
// json.h: writes JSON to a stream, laid out with two spaces a level. Members
// of an object have a name, elements of an array have NULL. Errors of the
// stream are seen by whoever closes it.
#ifndef WEFT_CLI_JSON_H
#define WEFT_CLI_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct json {
    FILE *out;
    unsigned depth;
    bool filled; // the open object or array has a member already
};

void json_begin(struct json *j, FILE *out); // opens the outermost object
void json_end(struct json *j);              // closes it, and ends the line

void json_open_object(struct json *j, const char *name);
void json_close_object(struct json *j);
void json_open_array(struct json *j, const char *name);
void json_close_array(struct json *j);

// Text that is not UTF-8 (a file name may be anything) gets U+FFFD for each
// byte that does not fit. NULL is null.
void json_string(struct json *j, const char *name, const char *value);
void json_uint(struct json *j, const char *name, uint64_t value);
void json_int(struct json *j, const char *name, int64_t value);
void json_bool(struct json *j, const char *name, bool value);
// With the given number of decimals; null if it is not finite.
void json_number(struct json *j, const char *name, double value, int decimals);

// How many of the first bytes of text are one UTF-8 character, 0 if none.
size_t json_utf8_length(const unsigned char *text);

#endif
