// SPDX-License-Identifier: MIT
//
// error.h: the codes that a call returns. A code is 0 or more for success,
// -errno for what the system or C already has a name for, and -WEFT_E... for
// what they have not. Weft's own numbers begin above 4096 and are never a
// multiple of 256, so that `return rc;` from main is never status 0 for an
// error.
#ifndef WEFT_ERROR_H
#define WEFT_ERROR_H

#include <errno.h>

#include <weft/base.h>

// The one table: name, number, text.
// clang-format off
#define WEFT_ERRORS(X)                                                         \
    X(WEFT_ETYPE, 4097, "the result has another size than the one asked for")  \
    X(WEFT_EJOBCANCELED, 4098, "the job itself was canceled")                  \
    X(WEFT_EJOBTIMEOUT, 4099, "the job itself ran past its deadline")          \
    X(WEFT_ECRASHED, 4100, "the process died before it gave a result")         \
    X(WEFT_ENOENTRY, 4101, "the program has no worker entry: call "            \
        "weft_main_hook() at the top of main, link with -Wl,--wrap=main "      \
        "-lweft_entry, or name a .program")                                    \
    X(WEFT_EFORKED, 4102, "this process was forked from one that ran Weft: "   \
        "call weft_fork_child() first, or exec")                               \
    X(WEFT_EDEADLOCK, 4103, "this wait would close a cycle of waits")          \
    X(WEFT_ECLOSED, 4104, "the object is closed")                              \
    X(WEFT_ENOJOB, 4105, "no job of that name and version is registered")      \
    X(WEFT_EBROKEN, 4106, "the pool is broken: its workers cannot start")      \
    X(WEFT_EABANDONED, 4107, "the promise was dropped before it was kept")     \
    X(WEFT_ETOOBIG, 4108, "the value is larger than this way can carry")       \
    X(WEFT_EPROTO, 4109, "the other side sent what the protocol forbids")      \
    X(WEFT_EBARRIER, 4110, "the barrier is broken")                            \
    X(WEFT_EENDED, 4120, "the stream ended in the middle of a message")        \
    X(WEFT_ENOHOST, 4121, "there is no host or service of that name")          \
    X(WEFT_ERESOLVE, 4122, "the name cannot be looked up at present")          \
    X(WEFT_ETLS, 4123, "the peer does not speak TLS as it should")             \
    X(WEFT_ECERT, 4124, "the certificate or its key is no good")               \
    X(WEFT_ECERTEXPIRED, 4125, "the certificate is not valid at this time")    \
    X(WEFT_ECERTHOST, 4126, "the certificate is that of another host")         \
    X(WEFT_ECERTUNTRUSTED, 4127,                                               \
        "the certificate is not signed by an authority that is trusted")       \
    X(WEFT_ENOTLOCAL, 4128,                                                    \
        "the other side may be on another machine, where descriptors, arenas " \
        "and process ids mean nothing")
// clang-format on

enum weft_error {
#define WEFT_ERROR_ENUM_(name, number, text) name = number,
    WEFT_ERRORS(WEFT_ERROR_ENUM_)
#undef WEFT_ERROR_ENUM_
};

WEFT_BEGIN

// The text of a code, for people: "the job itself was canceled". Takes the
// code with either sign; 0 is "success". Never NULL, never freed, never
// translated. Blocks: no. Threads: any, also in a signal handler. Since 0.1.
WEFT_API const char *weft_strerror(int code);

// The name of a code, for logs and tests: "WEFT_ETYPE", "EINVAL", "OK", or
// "E?" for a number that has none. Takes either sign, too: so not for a result
// that may be a number above 0. Threads: any. Since 0.1.
WEFT_API const char *weft_error_name(int code);

WEFT_END

#endif
