// SPDX-License-Identifier: MIT
// Large results of a process pool that their jobs make in place: they arrive
// as they were at the return, and what was not returned comes back.
#include "jobs.h"
#include "kit.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { LARGE = 3 << 20 };

static weft_executor *ex;

// What a job shall make, and how it shall end.
struct order {
    size_t len;  // of the room
    size_t said; // of the result
    uint64_t seed;
    enum {
        RETURN,
        FREE,       // returns nothing
        SECOND,     // frees the first of two, returns the other
        FAIL,       // by weft_fail
        DIE_ONCE,   // is killed in the middle, unless the mark is there
        HAVE_OTHER, // waits for another job in between
        FROM_TASK,  // makes another one in a task of its own
    } how;
    char mark[64];
};

static void fill(struct weft_bytes b, uint64_t x)
{
    char *p = b.data;
    for (size_t i = 0; i < b.len; i += sizeof x) {
        size_t left = b.len - i;
        x = x * 6364136223846793005u + 1442695040888963407u;
        memcpy(p + i, &x, left < sizeof x ? left : sizeof x);
    }
}

static struct weft_bytes room(size_t len)
{
    struct weft_bytes b = weft_bytes_new(len);
    if (b.data == NULL || b.len != len)
        weft_fail(-ENOMEM, "no room for %zu bytes", len);
    return b;
}

static void die_once(const char *mark)
{
    int fd = open(mark, O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0)
        raise(SIGKILL);
}

extern const struct weft_job weft_job_make;

static void have_other(struct order o)
{
    struct weft_bytes b;
    weft_executor *own = weft_executor_open(0);
    o.how = RETURN;
    o.seed++;
    if (weft_result(weft_submit_job(own, &weft_job_make, &o), &b) != 0)
        weft_fail(-EIO, "the other job");
    weft_bytes_free(&b);
    weft_executor_close(own);
}

static int in_task(void *arg)
{
    struct weft_bytes b = weft_bytes_new(*(size_t *)arg);
    memset(b.data, 0x5a, b.len);
    weft_bytes_free(&b);
    return 0;
}

WEFT_JOB(struct weft_bytes, make, struct order, o)
{
    struct weft_bytes b = room(o.len), nothing = {NULL, 0};
    fill((struct weft_bytes){b.data, o.len / 2}, ~o.seed);
    if (o.how == DIE_ONCE)
        die_once(o.mark);
    if (o.how == HAVE_OTHER)
        have_other(o);
    if (o.how == SECOND) {
        struct weft_bytes second = room(o.len);
        memset(b.data, 0xa5, b.len);
        weft_bytes_free(&b);
        b = second;
    }
    fill(b, o.seed);
    if (o.how == FROM_TASK)
        weft_run(in_task, &o.len);
    if (o.how == FREE || o.how == FAIL)
        weft_bytes_free(&b);
    if (o.how == FAIL)
        weft_fail(-EIO, "as ordered");
    b.len = o.said;
    return o.how == FREE || o.how == FAIL ? nothing : b;
}

static weft_future *order(struct order o)
{
    return weft_submit_job(ex, &weft_job_make, &o);
}

static void expect_made(weft_future *f, struct order o)
{
    struct weft_bytes b = {NULL, 0}, whole = {malloc(o.len), o.len};
    int rc = weft_get(f, &b);
    ck_assert_msg(rc == 0, "code %d: %s", rc, weft_future_text(f));
    weft_future_unref(f);
    fill(whole, o.seed);
    ck_assert_uint_eq(b.len, o.said);
    ck_assert(o.said == 0 || memcmp(b.data, whole.data, o.said) == 0);
    weft_bytes_free(&b);
    free(whole.data);
}

static void check(struct order o)
{
    enum { N = 5 };
    weft_future *f[N];
    for (unsigned i = 0; i < N; i++, o.seed++)
        f[i] = order(o);
    o.seed -= N;
    for (unsigned i = 0; i < N; i++, o.seed++)
        expect_made(f[i], o);
}

static void check_sizes(int how)
{
    static const size_t sizes[] = {1,        47,        48,      512,  4096,
                                   32 << 10, 128 << 10, 1 << 20, LARGE};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (size_t d = 0; d < 2; d++) {
            struct order o = {.len = sizes[i] + d, .how = how};
            o.seed = weft_test_random();
            o.said = o.len;
            check(o);
            o.said = weft_test_random() % o.len;
            check(o);
            o.said = 0;
            check(o);
        }
}

// What this process and its workers hold of shared memory, in bytes.
static long held(void)
{
    char path[64];
    long bytes = 0;
    for (int fd = 0; fd < 256; fd++) {
        char to[100];
        struct stat st;
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        ssize_t n = readlink(path, to, sizeof to - 1);
        to[n < 0 ? 0 : n] = '\0';
        if (strstr(to, "memfd:weft") != NULL && stat(path, &st) == 0)
            bytes += (long)st.st_blocks * 512;
    }
    return bytes;
}

WEFT_TEST(they_arrive_as_they_were)
{
    ex = weft_process_pool(.workers = 2);
    check_sizes(RETURN);
    check_sizes(SECOND);
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

WEFT_TEST(threads_and_chunks_have_them_from_malloc)
{
    struct order in[6];
    struct weft_bytes out[6];
    ex = weft_thread_pool(.workers = 2);
    check_sizes(RETURN);
    ck_assert_int_eq(weft_executor_close(ex), 0);
    ex = weft_process_pool(.workers = 1);
    for (unsigned i = 0; i < 6; i++)
        in[i] = (struct order){.len = LARGE, .said = LARGE, .seed = i};
    ck_assert_int_eq(weft_map(ex, make, in, 6, out), 0);
    for (unsigned i = 0; i < 6; i++) {
        struct weft_bytes whole = weft_bytes_new(LARGE);
        fill(whole, i);
        ck_assert_uint_eq(out[i].len, LARGE);
        ck_assert_mem_eq(out[i].data, whole.data, LARGE);
        weft_bytes_free(&out[i]);
        weft_bytes_free(&whole);
    }
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

WEFT_TEST(each_job_has_its_own)
{
    struct order o = {.len = LARGE, .said = LARGE, .seed = 7};
    ex = weft_process_pool(.workers = 1);
    o.how = HAVE_OTHER;
    check(o);
    o.how = FROM_TASK;
    check(o);
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

WEFT_TEST(what_is_not_returned_comes_back)
{
    struct order o = {.len = 8 << 20, .said = 0, .seed = 9};
    ex = weft_process_pool(.workers = 1);
    check((struct order){.len = LARGE, .said = LARGE, .seed = 9});
    long before = held();
    for (int i = 0; i < 6; i++) {
        o.how = FREE;
        struct weft_bytes b = {NULL, 1};
        ck_assert_int_eq(weft_result(order(o), &b), 0);
        ck_assert_uint_eq(b.len, 0);
        o.how = FAIL;
        expect_text(order(o), -EIO, "as ordered");
        o.how = RETURN;
        o.said = 100;
        check(o);
    }
    ck_assert_int_le(held(), before + (6 << 20));
    // And what is returned is kept up to a limit.
    o.said = o.len;
    for (int i = 0; i < 3; i++)
        check(o);
    ck_assert_int_le(held(), before + (48 << 20));
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

static int make_in_child(bool anew)
{
    if (anew && weft_fork_child() != 0)
        return 1;
    for (int i = 0; i < 3; i++) {
        struct weft_bytes b = weft_bytes_new(LARGE);
        fill(b, 3);
        weft_bytes_free(&b);
    }
    return 7;
}

// The room of this one is known from the job before.
WEFT_JOB(long, make_in_a_child, bool, anew)
{
    int status;
    pid_t pid = fork();
    if (pid == 0)
        _exit(make_in_child(anew));
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

WEFT_TEST(a_child_of_fork_has_them_from_malloc)
{
    ex = weft_process_pool(.workers = 1);
    check((struct order){.len = LARGE, .said = LARGE, .seed = 13});
    expect_long(weft_submit(ex, make_in_a_child, false), 7);
    expect_long(weft_submit(ex, make_in_a_child, true), 7);
    check((struct order){.len = LARGE, .said = LARGE, .seed = 14});
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

WEFT_TEST(death_in_the_middle_leaves_nothing)
{
    struct order o = {.len = LARGE, .said = LARGE, .how = DIE_ONCE, .seed = 11};
    ex = weft_process_pool(.workers = 1);
    for (int i = 0; i < 5; i++) {
        snprintf(o.mark, sizeof o.mark, "/tmp/weft-tray-%d-%d", (int)getpid(),
                 i);
        expect_made(weft_submit_job(weft_executor_with(ex, .retries = 1),
                                    &weft_job_make, &o),
                    o);
        unlink(o.mark);
        o.seed++;
    }
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

WEFT_TEST_MAIN("large results")
