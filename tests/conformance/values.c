// SPDX-License-Identifier: MIT
// Codes, texts, bytes, the clock: what needs no scheduler.
#include "case.h"

static void version(void)
{
    CHECK(!strcmp(weft_version(), "0.1.0"));
}

static void codes(void)
{
    CHECK(!strcmp(weft_error_name(-WEFT_ETYPE), "WEFT_ETYPE"));
    CHECK(!strcmp(weft_error_name(EINVAL), "EINVAL"));
    CHECK(!strcmp(weft_error_name(0), "OK"));
    CHECK(!strcmp(weft_error_name(3999), "E?"));
    CHECK(!strcmp(weft_strerror(0), "success"));
    CHECK(!strcmp(weft_strerror(-WEFT_ECLOSED), "the object is closed"));
    CHECK(strlen(weft_strerror(-EIO)) > 0);
}

static void text(void)
{
    struct weft_text t = weft_text("%s and %d", "six", 7);
    char in[300];

    CHECK(!strcmp(t.s, "six and 7"));
    memset(in, 'a', sizeof in);
    in[sizeof in - 1] = '\0';
    CHECK(strlen(weft_text("%s", in).s) == WEFT_TEXT_SIZE - 1);
    memcpy(in + 254, "\xc3\xa9", 2); // would be cut in its middle
    CHECK(strlen(weft_text("%s", in).s) == 254);
}

static void bytes(void)
{
    struct weft_bytes b = weft_bytes_copy("abc", 3);

    CHECK(b.len == 3 && !memcmp(b.data, "abc", 3));
    weft_bytes_free(&b);
    CHECK(b.len == 0 && !b.data);
    b = weft_bytes_copy(NULL, 0);
    CHECK(b.len == 0 && !b.data);
}

static void the_clock(void)
{
    double last = weft_now();

    for (int i = 0; i < 100; i++) {
        double now = weft_now();
        CHECK(now >= last);
        last = now;
    }
}

static void cpu_count(void)
{
    CHECK(weft_cpu_count() >= 1);
}

static int tell_backend(void *arg)
{
    *(const char **)arg = weft_backend();
    return 0;
}

// The backend that was asked for, and no other.
static void backend(void)
{
    const char *want = getenv("WEFT_BACKEND"), *name = NULL;

    CODE(weft_join(weft_task_start(tell_backend, &name)), 0);
    CHECK(name && (!want || !strcmp(name, want)));
    CODE(weft_join(weft_thread_start(tell_backend, &name)), 0);
    CHECK(name && !strcmp(name, "poll"));
}

const struct conformance_case values_cases[] = {
    {"version", version}, {"codes", codes},     {"text", text},
    {"bytes", bytes},     {"clock", the_clock}, {"cpu count", cpu_count},
    {"backend", backend}, {NULL, NULL}};
