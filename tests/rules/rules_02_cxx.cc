// SPDX-License-Identifier: MIT
// Rule 2 in C++17: the macros are inline functions over the options structures,
// and everything is reached without an extension of the language but those of
// g++ and clang++. Prints `N passed, N failed`.
#include <cmath>
#include <cstdio>
#include <cstring>

#include <errno.h>

#include <weft.h>

static int passed, failed;

static void check(bool ok, const char *what, int line)
{
    (ok ? passed : failed)++;
    if (!ok)
        std::fprintf(stderr, "rules_02_cxx.cc:%d: %s\n", line, what);
}
#define CHECK(condition) check((condition), #condition, __LINE__)

static int give(void *arg)
{
    return *static_cast<int *>(arg);
}

static int sleep_for_ever(void *)
{
    return weft_sleep(INFINITY);
}

struct tile {
    int x, y;
};

WEFT_JOB(long, square, long, x)
{
    return x * x;
}

WEFT_JOB(tile, turn, tile, t)
{
    return tile{-t.y, t.x};
}

WEFT_JOB(struct weft_text, greet)
{
    return weft_text("hello from C++%d", 17);
}

WEFT_JOB(int, refuse)
{
    weft_fail(-ENOENT, "no %s", "way");
    return 1;
}

static void tasks_and_threads()
{
    int seven = 7;
    weft_task_options named = {};
    named.name = "named";
    weft_thread_options thread = {};
    thread.stack_size = 1 << 20;
    weft_run_options run = {};
    run.workers = 2;

    CHECK(weft_run(give, &seven) == 7);
    CHECK(weft_run(give, &seven, run) == 7);
    CHECK(weft_join(weft_task_start(give, &seven)) == 7);
    CHECK(weft_join(weft_task_start(give, &seven, named)) == 7);
    CHECK(weft_join(weft_thread_start(give, &seven)) == 7);
    CHECK(weft_join(weft_thread_start(give, &seven, thread)) == 7);
}

static void futures()
{
    weft_promise *p = weft_promise_new();
    weft_future *f = weft_promise_future(p);
    double half = 0.5, out = 0;
    int wrong = 0;

    CHECK(weft_promise_keep(p, 0, &half, sizeof half, nullptr) == 0);
    CHECK(weft_get(f, &wrong) == -WEFT_ETYPE);
    CHECK(weft_get(f, &out) == 0 && out == 0.5);
    CHECK(weft_result(f, &out) == 0);
}

static void jobs()
{
    weft_thread_pool_options two = {};
    two.workers = 2;
    weft_executor *ex = weft_thread_pool(two);
    weft_submit_options limit = {};
    limit.deadline = 60;
    long in[4] = {1, 2, 3, 4}, out[4] = {};
    weft_future *set[2] = {
        weft_submit(ex, square, 5),
        weft_submit(weft_executor_with(ex, limit), square, 6)};
    tile t{};
    struct weft_text text;

    CHECK(weft_gather(set, 2, out) == 0 && out[0] == 25 && out[1] == 36);
    CHECK(weft_map(ex, square, in, 4, out) == 0 && out[3] == 16);
    CHECK(weft_result(weft_submit(ex, turn, 3, 4), &t) == 0);
    CHECK(t.x == -4 && t.y == 3);
    CHECK(weft_result(weft_submit_struct(ex, turn, t), &t) == 0);
    CHECK(weft_result(weft_submit(ex, greet), &text) == 0);
    CHECK(!std::strcmp(text.s, "hello from C++17"));
    CHECK(weft_join(weft_submit(ex, refuse)) == -ENOENT);
    CHECK(weft_executor_close(ex) == 0);
}

static int early_return(int *rc, bool fail)
{
    WEFT_GROUP(g, rc);
    weft_future_unref(weft_task_start(sleep_for_ever, nullptr));
    if (fail)
        return weft_group_fail(g, -EPROTO);
    weft_group_cancel(g);
    return 3;
}

static void scopes()
{
    int seven = 7, rc = 1;
    {
        WEFT_TIMEOUT(0.001);
        CHECK(weft_sleep(INFINITY) == -ETIMEDOUT);
        WEFT_SHIELD(60);
        CHECK(weft_check() == 0);
    }
    CHECK(weft_check() == 0);
    {
        WEFT_GROUP(g, &rc);
        CHECK(weft_group_size(g) == 0);
        weft_future_unref(weft_task_start(give, &seven));
    }
    CHECK(rc == 0);
    CHECK(early_return(&rc, true) == -EPROTO && rc == -EPROTO);
    CHECK(early_return(&rc, false) == 3);
    CHECK(weft_check() == 0);
}

// What is thrown in a task is caught in it; it never crosses Weft.
static int throw_and_catch(void *arg)
{
    try {
        weft_sleep(0.0001);
        throw *static_cast<int *>(arg);
    } catch (int caught) {
        weft_sleep(0.0001);
        return caught + 1;
    }
}

static void exceptions()
{
    int seven = 7;
    weft_future *set[10];

    for (auto &f : set)
        f = weft_task_start(throw_and_catch, &seven);
    for (auto f : set)
        CHECK(weft_join(f) == 8);
}

int main()
{
    tasks_and_threads();
    futures();
    jobs();
    scopes();
    exceptions();
    std::printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
