// SPDX-License-Identifier: MIT
//
// nulls.h: calls with a NULL in the place of one parameter, each in a child of
// its own: REFUSED(call) must abort with the name of the call, ALLOWED(call)
// must return. Every object that a call needs is made in the child, by the
// functions here.
#ifndef WEFT_NULLS_H
#define WEFT_NULLS_H

#include <stdio.h>
#include <sys/uio.h>

#include "kit.h"

#pragma GCC diagnostic ignored "-Wformat"
#pragma GCC diagnostic ignored "-Wformat-extra-args"
#pragma GCC diagnostic ignored "-Wformat-security"
#pragma GCC diagnostic ignored "-Wnonnull"
#pragma GCC diagnostic ignored "-Wunused-result"
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wunused-value"

// NULLS_TEST(name, LIST): a case that makes the calls of LIST(REFUSED, ALLOWED)
// one after the other.
#define NULLS_TEXT_(...) {#__VA_ARGS__, true},
#define NULLS_FINE_(...) {#__VA_ARGS__, false},
#define NULLS_CALL_(...)                                                       \
    if (n-- == 0)                                                              \
        (void)(__VA_ARGS__);

struct null_call {
    const char *text;
    bool refused;
};

#define NULLS_TEST(name, LIST)                                                 \
    static const struct null_call nulls_of_##name[] = {                        \
        LIST(NULLS_TEXT_, NULLS_FINE_)};                                       \
    static void nulls_call_##name(size_t n){                                   \
        LIST(NULLS_CALL_, NULLS_CALL_)} WEFT_TEST(name, .timeout = 100)        \
    {                                                                          \
        nulls_check(nulls_of_##name,                                           \
                    sizeof nulls_of_##name / sizeof *nulls_of_##name,          \
                    nulls_call_##name);                                        \
    }

static void (*nulls_calls)(size_t n);
static size_t nulls_now;

// In a process group of its own: what is sent to that stays with this call.
static void nulls_one(void)
{
    setpgid(0, 0);
    alarm((unsigned)weft_test_seconds(20));
    nulls_calls(nulls_now);
    _exit(0);
}

// Whether the child ended as it should.
static bool nulls_passed(const struct null_call *call)
{
    char said[4096], name[128], word[160];
    int status = kit_child(nulls_one, said, sizeof said);
    sscanf(strstr(call->text, "weft_"), "%127[^(]", name);
    snprintf(word, sizeof word, "weft: %s: ", name);
    bool ok = call->refused
                  ? WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT &&
                        strstr(said, word) != NULL
                  : WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (!ok)
        printf("%s: wait status 0x%x, said: %s\n", call->text, status, said);
    return ok;
}

static void nulls_check(const struct null_call *calls, size_t n,
                        void (*call)(size_t n))
{
    size_t failed = 0;
    nulls_calls = call;
    for (nulls_now = 0; nulls_now < n; nulls_now++)
        failed += !nulls_passed(&calls[nulls_now]);
    ck_assert_msg(failed == 0, "%zu of %zu calls", failed, n);
}

// What a call needs besides the NULL ------------------------------------------

static void *need(void *object)
{
    if (object == NULL)
        _exit(99);
    return object;
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static char text[64];

static weft_stream *stream(void)
{
    weft_stream *pair[2];
    if (weft_stream_pair(pair) < 0 ||
        weft_stream_write(pair[1], "hello\nworld\nhello\n", 18) < 0)
        _exit(98);
    return pair[0];
}

static weft_listener *listener(void)
{
    weft_listener *l = NULL;
    weft_tcp_listen("127.0.0.1", 0, &l);
    return need(l);
}

static weft_connection *connection(void)
{
    weft_connection *pair[2] = {NULL, NULL};
    weft_connection_pair(pair);
    return need(pair[0]);
}

static weft_connection_listener *clistener(void)
{
    char name[64];
    weft_connection_listener *l = NULL;
    snprintf(name, sizeof name, "weft-nulls-%d", (int)getpid());
    weft_connection_listen(name, &l);
    return need(l);
}

static int handler(weft_stream *s, void *arg)
{
    (void)s;
    (void)arg;
    return 0;
}

#endif
