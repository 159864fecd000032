// SPDX-License-Identifier: MIT
#include <weft/error.h>

#include <errno.h>

#include "os/errtext.h"

struct entry {
    int number;
    const char *name;
    const char *text;
};

static const struct entry own[] = {
#define ENTRY(name, number, text) {number, #name, text},
    WEFT_ERRORS(ENTRY)
#undef ENTRY
};

// The errno values that Weft's calls return; for the others libc has a text.
// clang-format off
#define SYSTEM_ERRORS(X)                                                       \
    X(EPERM)                                                                   \
    X(ENOENT)                                                                  \
    X(ESRCH)                                                                   \
    X(EINTR)                                                                   \
    X(EIO)                                                                     \
    X(EBADF)                                                                   \
    X(ECHILD) X(EAGAIN) X(ENOMEM) X(EACCES) X(EFAULT) X(EBUSY) X(EEXIST)       \
        X(ENODEV) X(ENOTDIR) X(EISDIR) X(EINVAL) X(ENFILE) X(EMFILE) X(EFBIG)  \
            X(ENOSPC) X(EPIPE) X(EDOM) X(ERANGE) X(EDEADLK) X(ENOSYS) X(EPROTO) \
                X(EOVERFLOW) X(ENOTSOCK) X(EMSGSIZE) X(EOPNOTSUPP)             \
                    X(EADDRINUSE) X(EADDRNOTAVAIL) X(ENETUNREACH)              \
                        X(ECONNABORTED) X(ECONNRESET) X(ENOBUFS) X(EISCONN)    \
                            X(ENOTCONN) X(ETIMEDOUT) X(ECONNREFUSED)           \
                                X(EHOSTUNREACH) X(EALREADY) X(EINPROGRESS)     \
                                    X(ECANCELED) X(EOWNERDEAD)
// clang-format on

static const struct entry *own_entry(int number)
{
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        if (own[i].number == number)
            return &own[i];
    }
    return NULL;
}

static int magnitude(int code)
{
    return code < 0 ? (int)-(unsigned)code : code;
}

const char *weft_strerror(int code)
{
    int number = magnitude(code);
    if (number == 0)
        return "success";
    const struct entry *entry = own_entry(number);
    if (entry != NULL)
        return entry->text;
    return wi_os_error_text(number);
}

const char *weft_error_name(int code)
{
    int number = magnitude(code);
    const struct entry *entry = own_entry(number);
    if (entry != NULL)
        return entry->name;
    switch (number) {
    case 0:
        return "OK";
#define CASE(name)                                                             \
    case name:                                                                 \
        return #name;
        SYSTEM_ERRORS(CASE)
#undef CASE
    default:
        return "E?";
    }
}
