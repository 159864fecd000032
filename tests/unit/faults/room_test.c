// SPDX-License-Identifier: MIT
//
// Shared memory that cannot be had: files may not grow (RLIMIT_FSIZE, of which
// the kernel tells by a signal that kills), the machine's /dev/shm and /tmp are
// full, a cgroup has no more memory to give. What asks for some gets a code; no
// process dies of it, what was there before is there still, and once there is
// room again the same calls succeed.
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <weft.h>

#define WEFT_TEST_ENTRY() weft_main_hook()
#include "kit.h"

// What is simply wrong ends the process: a report of Check's is a write to a
// file, which the limit of a case would not let through.
#define HOLDS(condition)                                                       \
    do {                                                                       \
        if (!(condition)) {                                                    \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);    \
            _exit(3);                                                          \
        }                                                                      \
    } while (0)

// Uses that need room ---------------------------------------------------------

enum { MUCH = 300000 };

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

WEFT_JOB(long, add_up, struct weft_buffer, b)
{
    const char *data = weft_buffer_data(b);
    long sum = 0;

    if (data == NULL) {
        weft_fail(-ENOMEM, "no buffer");
        return 0;
    }
    for (size_t i = 0; i < MUCH; i++)
        sum += data[i];
    weft_buffer_free(b);
    return sum;
}

WEFT_JOB(struct weft_bytes, repeat, struct weft_bytes, in)
{
    struct weft_bytes out = weft_bytes_copy(in.data, in.len);

    if (out.data == NULL)
        weft_fail(-ENOMEM, "no memory for a copy");
    return out;
}

static int hand_over(weft_executor *ex)
{
    struct weft_buffer b = weft_buffer_new(MUCH);
    long sum = 0;

    if (weft_buffer_data(b) == NULL)
        return -ENOMEM;
    memset(weft_buffer_data(b), 1, MUCH);
    int rc = weft_result(weft_submit_job(ex, &weft_job_add_up, &b), &sum);
    HOLDS(rc < 0 || sum == MUCH);
    if (rc < 0)
        weft_buffer_free(b);
    return rc;
}

static int copy_over(weft_executor *ex)
{
    char *much = calloc(1, MUCH);
    struct weft_bytes in = {much, MUCH}, out = {NULL, 0};
    int rc = weft_result(weft_submit_job(ex, &weft_job_repeat, &in), &out);

    HOLDS(rc < 0 || (out.len == MUCH && !memcmp(out.data, much, MUCH)));
    weft_bytes_free(&out);
    free(much);
    return rc;
}

static int over_a_connection(void)
{
    weft_connection *pair[2];
    char *much = calloc(1, MUCH);

    HOLDS(weft_connection_pair(pair) == 0);
    int rc = weft_connection_send(pair[0], much, MUCH);
    if (rc == 0)
        HOLDS(weft_connection_receive(pair[1], much, MUCH) == MUCH);
    // a small one passes whatever became of the large one
    HOLDS(weft_connection_send(pair[0], "s", 1) == 0);
    HOLDS(weft_connection_receive(pair[1], much, MUCH) == 1);
    weft_connection_close(pair[0]);
    weft_connection_close(pair[1]);
    free(much);
    return rc;
}

static int in_a_new_arena(void)
{
    weft_arena *a;
    int rc = weft_arena_new(64 << 20, &a);

    if (rc < 0)
        return rc;
    void *block = weft_arena_alloc(a, 4 << 20);
    if (block != NULL)
        memset(block, 1, 4 << 20);
    HOLDS(weft_arena_check(a) == 0);
    weft_arena_close(a);
    return block != NULL ? 0 : -ENOMEM;
}

static int in_a_new_pool(void)
{
    weft_executor *ex = weft_process_pool(.workers = 1);
    int rc = copy_over(ex);
    int closed = weft_executor_close(ex);

    return rc < 0 ? rc : closed;
}

// What is there already -------------------------------------------------------

struct old {
    weft_arena *arena;
    weft_queue *queue;
    char *block;
    weft_executor *pool;
    long put, got;
};

static void begin(struct old *old)
{
    *old = (struct old){0};
    kit_assert_code(weft_arena_new(64 << 20, &old->arena), 0);
    old->queue = weft_queue_new(.arena = old->arena, .item = sizeof(long),
                                .maxsize = 64);
    old->block = weft_arena_alloc(old->arena, 1000);
    ck_assert_ptr_nonnull(old->block);
    memset(old->block, 'b', 1000);
    old->pool = weft_process_pool(.workers = 1);
    long x = old->put++;
    kit_assert_code(weft_queue_put(old->queue, &x), 0);
    // Its worker and the spare one are there: who starts later has the limits
    // of then.
    struct weft_process_pool_stats stats = {.size = sizeof stats};
    do {
        kit_assert_code(copy_over(old->pool), 0);
        weft_process_pool_stats(old->pool, &stats);
    } while (stats.started < 2 || stats.starting > 0);
}

// It works as ever, whatever others are refused.
static void check_old(struct old *old)
{
    long x = old->put++;

    kit_assert_code(weft_queue_put(old->queue, &x), 0);
    kit_assert_code(weft_queue_get(old->queue, &x), 0);
    ck_assert_int_eq(x, old->got++);
    for (int i = 0; i < 1000; i++)
        ck_assert(old->block[i] == 'b');
    kit_assert_code(weft_arena_check(old->arena), 0);
    struct weft_bytes in = {"small", 5}, out;
    kit_assert_code(
        weft_result(weft_submit_job(old->pool, &weft_job_repeat, &in), &out),
        0);
    ck_assert(out.len == 5);
    weft_bytes_free(&out);
}

static void end(struct old *old)
{
    long x;

    while (old->got < old->put) {
        kit_assert_code(weft_queue_get(old->queue, &x), 0);
        ck_assert_int_eq(x, old->got++);
    }
    weft_queue_free(old->queue);
    weft_arena_free(old->arena, old->block);
    weft_arena_close(old->arena);
    kit_assert_code(weft_executor_close(old->pool), 0);
}

// An old arena grows by this; NULL when it cannot.
static void *grow(struct old *old)
{
    return weft_arena_alloc(old->arena, 8 << 20);
}

static void all_succeed(struct old *old)
{
    void *block = grow(old);

    ck_assert_ptr_nonnull(block);
    memset(block, 1, 8 << 20);
    weft_arena_free(old->arena, block);
    kit_assert_code(hand_over(old->pool), 0);
    kit_assert_code(copy_over(old->pool), 0);
    kit_assert_code(over_a_connection(), 0);
    kit_assert_code(in_a_new_arena(), 0);
    kit_assert_code(in_a_new_pool(), 0);
    kit_assert_code(weft_join(weft_process_start(nothing, NULL, 0)), 0);
    check_old(old);
}

// Files that may not grow -----------------------------------------------------

static void limit_files(rlim_t size)
{
    struct rlimit limit;

    HOLDS(getrlimit(RLIMIT_FSIZE, &limit) == 0);
    limit.rlim_cur = size;
    HOLDS(setrlimit(RLIMIT_FSIZE, &limit) == 0);
}

static void assert_refused(int rc, const char *what)
{
    ck_assert_msg(rc == -EFBIG || rc == -ENOMEM || rc == -WEFT_EBROKEN,
                  "%s: %s", what, weft_error_name(rc));
}

WEFT_TEST(files_that_may_not_grow, .timeout = 60)
{
    static const rlim_t limits[] = {1, 4096, 100000};
    struct old old;

    begin(&old);
    for (int i = 0; i < 3; i++) {
        limit_files(limits[i]);
        void *block = grow(&old);
        int arena = in_a_new_arena();
        int pool = in_a_new_pool();
        int connection = over_a_connection();
        struct weft_buffer large = weft_buffer_new(16 << 20);
        void *data = weft_buffer_data(large);
        limit_files(RLIM_INFINITY);
        ck_assert_ptr_null(block);
        ck_assert_ptr_null(data);
        assert_refused(arena, "an arena");
        assert_refused(pool, "a pool");
        assert_refused(connection, "a large message");
        check_old(&old);
    }
    all_succeed(&old);
    end(&old);
}

// A worker under a limit: its jobs get what they need by the parent, or a code.
WEFT_TEST(a_worker_whose_files_may_not_grow, .timeout = 60)
{
    static const struct weft_limit limits[] = {
        {RLIMIT_FSIZE, 4096, RLIM_INFINITY}};
    const struct weft_process_options like = {
        .size = sizeof like, .limits = limits, .limit_count = 1};
    weft_executor *ex = weft_process_pool(.workers = 1, .process = &like);
    struct weft_bytes in = {"small", 5}, out;

    for (int i = 0; i < 3; i++) {
        int rc = copy_over(ex);
        ck_assert_msg(rc == 0 || rc == -EFBIG || rc == -ENOMEM, "%s",
                      weft_error_name(rc));
        kit_assert_code(
            weft_result(weft_submit_job(ex, &weft_job_repeat, &in), &out), 0);
        weft_bytes_free(&out);
    }
    kit_assert_code(weft_executor_close(ex), 0);
}

// Full file systems -----------------------------------------------------------

static void write_all_of_it(const char *path)
{
    static char page[4096];
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

    ck_assert_int_ge(fd, 0);
    while (write(fd, page, sizeof page) > 0)
        continue;
    ck_assert_int_eq(errno, ENOSPC);
    close(fd);
}

// The case's process alone sees them.
static bool fill_file_systems(void)
{
    if (unshare(CLONE_NEWNS) != 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", "/dev/shm", "tmpfs", 0, "size=16k") != 0)
        return false;
    write_all_of_it("/dev/shm/all");
    ck_assert_int_eq(mount("none", "/run", "tmpfs", 0, "size=16k"), 0);
    write_all_of_it("/run/all");
    return true;
}

WEFT_TEST(full_file_systems, .timeout = 60)
{
    struct old old;

    if (!fill_file_systems()) {
        printf("SKIP: no right to a mount of its own\n");
        return;
    }
    begin(&old);
    all_succeed(&old);
    end(&old);
}

WEFT_TEST_MAIN("room")
