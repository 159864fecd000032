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

// The errno values of Linux that calls of files, sockets and processes give;
// libc has the texts.
// clang-format off
#define SYSTEM_ERRORS(X)                                                       \
    X(EPERM) X(ENOENT) X(ESRCH) X(EINTR) X(EIO) X(ENXIO) X(E2BIG)              \
    X(ENOEXEC) X(EBADF) X(ECHILD) X(EAGAIN) X(ENOMEM) X(EACCES) X(EFAULT)      \
    X(ENOTBLK) X(EBUSY) X(EEXIST) X(EXDEV) X(ENODEV) X(ENOTDIR) X(EISDIR)      \
    X(EINVAL) X(ENFILE) X(EMFILE) X(ENOTTY) X(ETXTBSY) X(EFBIG) X(ENOSPC)      \
    X(ESPIPE) X(EROFS) X(EMLINK) X(EPIPE) X(EDOM) X(ERANGE) X(EDEADLK)         \
    X(ENAMETOOLONG) X(ENOLCK) X(ENOSYS) X(ENOTEMPTY) X(ELOOP) X(ENOMSG)        \
    X(EIDRM) X(ENODATA) X(ETIME) X(ENOLINK) X(EPROTO) X(EBADMSG)               \
    X(EOVERFLOW) X(EILSEQ) X(EUSERS) X(ENOTSOCK) X(EDESTADDRREQ)               \
    X(EMSGSIZE) X(EPROTOTYPE) X(ENOPROTOOPT) X(EPROTONOSUPPORT)                \
    X(ESOCKTNOSUPPORT) X(EOPNOTSUPP) X(EPFNOSUPPORT) X(EAFNOSUPPORT)           \
    X(EADDRINUSE) X(EADDRNOTAVAIL) X(ENETDOWN) X(ENETUNREACH) X(ENETRESET)     \
    X(ECONNABORTED) X(ECONNRESET) X(ENOBUFS) X(EISCONN) X(ENOTCONN)            \
    X(ESHUTDOWN) X(ETIMEDOUT) X(ECONNREFUSED) X(EHOSTDOWN) X(EHOSTUNREACH)     \
    X(EALREADY) X(EINPROGRESS) X(ESTALE) X(EDQUOT) X(ENOMEDIUM)                \
    X(EMEDIUMTYPE) X(ECANCELED) X(ENOKEY) X(EKEYEXPIRED) X(EKEYREVOKED)        \
    X(EKEYREJECTED) X(EOWNERDEAD) X(ENOTRECOVERABLE) X(ERFKILL)                \
    X(EHWPOISON)
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
    if (number == EMFILE)
        return "too many open files (see ulimit -n)";
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
