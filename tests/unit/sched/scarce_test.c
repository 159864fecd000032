// SPDX-License-Identifier: MIT
// No memory, no threads, no descriptors: an error code, nothing lost, and all
// is well again when there are some.
#include "kit.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/resource.h>

// Memory ----------------------------------------------------------------------

static void need_limits(void)
{
    if (KIT_SANITIZED)
        weft_test_skip("a sanitizer needs its address space");
}

static size_t address_space(void)
{
    unsigned long pages = 0;
    FILE *statm = fopen("/proc/self/statm", "r");

    ck_assert_ptr_nonnull(statm);
    ck_assert_int_eq(fscanf(statm, "%lu", &pages), 1);
    fclose(statm);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

// Leaves the process no more than so many bytes of new address space.
static void leave_memory(size_t bytes)
{
    struct rlimit limit;

    ck_assert_int_eq(getrlimit(RLIMIT_AS, &limit), 0);
    limit.rlim_cur = address_space() + bytes;
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
}

static void give_memory(void)
{
    struct rlimit limit;

    ck_assert_int_eq(getrlimit(RLIMIT_AS, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
}

static int runs, drops;

#define MANY 2000000

// Starts tasks until one fails; all those before it must still run.
static void start_until_failure(void)
{
    weft_future *f = NULL;
    int n = 0, code = 0;

    leave_memory(16 << 20);
    for (; n < MANY; n++) {
        f = weft_task_start(kit_count, &runs, .drop = kit_count_drop);
        ck_assert_ptr_nonnull(f);
        if (weft_done(f) && (code = weft_future_code(f)) < 0)
            break;
        weft_future_unref(f);
    }
    give_memory();
    ck_assert_int_lt(n, MANY);
    kit_assert_code(code, -ENOMEM);
    kit_assert_code(weft_join(f), -ENOMEM);
    // The failed one has been dropped: it adds one to runs, as those do.
    kit_await(&runs, n + 1);
    ck_assert_int_eq(kit_load(&runs), n + 1);
    kit_assert_code(weft_join(weft_task_start(kit_count, &drops)), 0);
}

KIT_TASK(starting_tasks_without_memory, .timeout = 60)
{
    need_limits();
    kit_assert_code(weft_join(weft_task_start(kit_return, NULL)), 0);
    start_until_failure();
}

static int parked, woken, failed;

// Waits, and may be told that there is no memory for that.
static int wait_or_fail(void *arg)
{
    kit_count(&parked);
    int rc = kit_gate_wait(arg);
    if (rc == 0)
        kit_count(&woken);
    else {
        kit_assert_code(rc, -ENOMEM);
        kit_count(&failed);
    }
    return 0;
}

static void park_without_memory(void)
{
    static weft_future *fs[1000];
    struct kit_gate gate = kit_gate_new();

    for (int i = 0; i < 1000; i++)
        fs[i] = weft_task_start(wait_or_fail, &gate);
    weft_future *thread = weft_thread_start(kit_return, NULL);
    kit_assert_code(weft_join(thread), 0);
    leave_memory(32 << 20); // a thousand stacks take 250 MiB
    int rc = weft_yield();
    for (int i = 0; i < 2000 && rc == 0; i++)
        rc = weft_yield();
    give_memory();
    ck_assert(rc == 0 || rc == -ENOMEM);
    kit_gate_open(&gate);
    for (int i = 0; i < 1000; i++)
        kit_assert_code(weft_join(fs[i]), 0);
    ck_assert_int_eq(parked, 1000);
    ck_assert_int_eq(woken + failed, 1000);
    kit_gate_free(&gate);
}

KIT_TASK(parking_without_memory_for_stacks, .timeout = 30)
{
    need_limits();
    park_without_memory();
}

KIT_BOTH(threads_without_memory, .timeout = 30)
{
    static weft_future *fs[200];
    struct kit_gate gate = kit_gate_new();
    int bad = 0;

    need_limits();
    kit_assert_code(weft_join(weft_thread_start(kit_return, NULL)), 0);
    leave_memory(64 << 20);
    for (int i = 0; i < 200; i++)
        fs[i] =
            weft_thread_start(kit_wait_at_gate, &gate, .stack_size = 4 << 20);
    give_memory();
    kit_gate_open(&gate);
    for (int i = 0; i < 200; i++) {
        int rc = weft_join(fs[i]);
        bad += rc != 0;
        ck_assert_msg(rc == 0 || rc == -ENOMEM || rc == -EAGAIN, "code %d", rc);
    }
    ck_assert_int_gt(bad, 100);
    kit_assert_code(weft_join(weft_thread_start(kit_return, NULL)), 0);
    kit_gate_free(&gate);
}

static int run_sum;

static int add_one(void *arg)
{
    (void)arg;
    run_sum++;
    return 0;
}

// At every amount of memory a run works or says that it could not start.
WEFT_TEST(runs_with_less_and_less_memory, .timeout = 60)
{
    int good = 0;

    need_limits();
    for (size_t kib = 4096; kib > 0; kib = kib * 3 / 4) {
        leave_memory(kib << 10);
        int rc = weft_run(add_one, NULL, .workers = 1);
        give_memory();
        ck_assert_msg(rc == 0 || rc == -ENOMEM, "%zu KiB: code %d (%s)", kib,
                      rc, weft_error_name(rc));
        good += rc == 0;
    }
    ck_assert_int_eq(run_sum, good);
    kit_assert_code(weft_run(add_one, NULL), 0);
}

WEFT_JOB(long, same, long, x)
{
    return x;
}

WEFT_TEST(pools_with_less_and_less_memory, .timeout = 60)
{
    need_limits();
    for (size_t kib = 65536; kib > 0; kib = kib * 3 / 4) {
        long out = -1;
        leave_memory(kib << 10);
        weft_executor *ex = weft_thread_pool(.workers = 4);
        ck_assert_ptr_nonnull(ex);
        weft_future *f = weft_submit(ex, same, 5);
        give_memory();
        int rc = weft_result(f, &out);
        ck_assert_msg(rc == 0 || rc == -ENOMEM || rc == -EAGAIN,
                      "%zu KiB: code %d (%s)", kib, rc, weft_error_name(rc));
        ck_assert_int_eq(out, rc == 0 ? 5 : -1);
        weft_executor_close(ex);
    }
}

static int start_one(void)
{
    int ran = 0;
    weft_future *f = weft_task_start(kit_count, &ran);

    ck_assert_ptr_nonnull(f);
    int rc = weft_join(f);
    ck_assert_int_eq(ran, rc == 0);
    return rc;
}

// A large task arena is used up first, then the memory for new records.
WEFT_TEST(promises_without_memory, .timeout = 60)
{
    static struct kit_gate gates[400000];
    int n = 0;

    need_limits();
    kit_assert_code(start_one(), 0);
    leave_memory(8 << 20);
    while (n < 400000) {
        struct kit_gate gate = kit_gate_new();
        ck_assert_ptr_nonnull(gate.promise);
        ck_assert_ptr_nonnull(gate.future);
        gates[n++] = gate;
        if (weft_future_id(gate.future) == 0)
            break;
    }
    give_memory();
    ck_assert_int_lt(n, 400000);
    kit_assert_code(weft_promise_keep(gates[n - 1].promise, 0, NULL, 0, NULL),
                    -ENOMEM);
    kit_assert_code(weft_join(gates[n - 1].future), -ENOMEM);
    for (int i = 0; i < n - 1; i++) {
        kit_assert_code(weft_promise_keep(gates[i].promise, 1, NULL, 0, NULL),
                        0);
        kit_assert_code(weft_join(gates[i].future), 1);
    }
}

// Threads ---------------------------------------------------------------------

// Becomes a user of no privileges, who may have no more processes.
static void forbid_threads(void)
{
    struct rlimit none = {1, 1};

    if (KIT_SANITIZED)
        weft_test_skip("a sanitizer needs its own threads");
    if (geteuid() == 0)
        ck_assert_int_eq(setresuid(54321, 54321, 54321), 0);
    ck_assert_int_eq(setrlimit(RLIMIT_NPROC, &none), 0);
}

WEFT_TEST(no_thread_may_be_started)
{
    int dropped = 0;

    forbid_threads();
    weft_future *f =
        weft_thread_start(kit_never, &dropped, .drop = kit_count_drop);
    ck_assert_ptr_nonnull(f);
    kit_assert_code(weft_join(f), -EAGAIN);
    ck_assert_int_eq(dropped, 1);
}

static int start_a_task(void *arg)
{
    return weft_join(weft_task_start(kit_return, arg));
}

WEFT_TEST(a_run_on_one_worker_needs_no_thread)
{
    forbid_threads();
    kit_assert_code(weft_run(start_a_task, kit_number(4)), 4);
}

// A run that could not have all its workers may run with fewer or fail.
WEFT_TEST(a_run_without_threads_for_its_workers)
{
    forbid_threads();
    int rc = weft_run(start_a_task, kit_number(4), .workers = 4);
    ck_assert_msg(rc == 4 || rc == -EAGAIN || rc == -ENOMEM, "code %d", rc);
}

WEFT_TEST(the_default_loop_without_a_thread)
{
    int dropped = 0;

    forbid_threads();
    weft_future *f =
        weft_task_start(kit_never, &dropped, .drop = kit_count_drop);
    int rc = weft_join(f);
    ck_assert_msg(rc == -EAGAIN || rc == -ENOMEM, "code %d", rc);
    ck_assert_int_eq(dropped, 1);
}

WEFT_TEST(a_pool_without_threads_fails_each_submit)
{
    long out = 0;

    forbid_threads();
    weft_executor *ex = weft_thread_pool(.workers = 2);
    for (int i = 0; i < 3; i++) {
        int rc = weft_result(weft_submit(ex, same, 5), &out);
        ck_assert_msg(rc == -EAGAIN || rc == -ENOMEM || rc == -WEFT_EBROKEN,
                      "code %d", rc);
    }
    weft_executor_close(ex);
}

static int count_range(size_t begin, size_t end, void *arg)
{
    __atomic_fetch_add((size_t *)arg, end - begin, __ATOMIC_RELAXED);
    return 0;
}

// The pool that all loops share could not be made at first.
WEFT_TEST(a_loop_without_threads_for_its_pool)
{
    size_t seen = 0;

    need_limits();
    kit_assert_code(weft_yield(), 0);
    leave_memory(1 << 20);
    for (int i = 0; i < 3; i++) {
        int rc = weft_parallel_for(0, 1000, count_range, &seen);
        ck_assert_msg(rc == -EAGAIN || rc == -ENOMEM, "code %d", rc);
    }
    give_memory();
    kit_assert_code(weft_parallel_for(0, 1000, count_range, &seen), 0);
    ck_assert_uint_eq(seen, 1000);
}

// Descriptors -----------------------------------------------------------------

static int used_fds[4096], used;

// Opens all but n of the descriptors that the process may have.
static void leave_fds(int n)
{
    struct rlimit limit = {256, 256};
    int fd;

    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = 256;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    while (used < 4096 && (fd = open("/dev/null", O_RDONLY)) >= 0)
        used_fds[used++] = fd;
    ck_assert_int_eq(errno, EMFILE);
    while (n-- > 0)
        close(used_fds[--used]);
}

static void give_fds(void)
{
    while (used > 0)
        close(used_fds[--used]);
}

// At every number of free descriptors a run works or says so.
WEFT_TEST(runs_with_more_and_more_descriptors)
{
    for (int n = 0; n < 12; n++) {
        leave_fds(n);
        int rc = weft_run(start_a_task, kit_number(6));
        give_fds();
        ck_assert_msg(rc == 6 || rc == -EMFILE, "%d free: code %d (%s)", n, rc,
                      weft_error_name(rc));
        if (n >= 10)
            kit_assert_code(rc, 6);
    }
    kit_assert_code(weft_run(start_a_task, kit_number(6)), 6);
}

WEFT_TEST(pools_with_more_and_more_descriptors, .timeout = 20)
{
    for (int n = 0; n < 30; n++) {
        long out = 0;
        leave_fds(n);
        weft_executor *ex = weft_thread_pool(.workers = 2);
        int rc = weft_result(weft_submit(ex, same, 5), &out);
        give_fds();
        ck_assert_msg(rc == 0 || rc == -EMFILE, "%d free: code %d (%s)", n, rc,
                      weft_error_name(rc));
        ck_assert_int_eq(out, rc == 0 ? 5 : 0);
        weft_executor_close(ex);
    }
}

static int listener(struct sockaddr_in *addr)
{
    socklen_t len = sizeof *addr;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    *addr = (struct sockaddr_in){.sin_family = AF_INET};
    addr->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)addr, len), 0);
    ck_assert_int_eq(listen(fd, 8), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)addr, &len), 0);
    return fd;
}

// Until the loop has waited once for it: the first time the deadline may pass
// while the loop is made, or before.
static void wait_once(int fd, int (*wait)(int fd))
{
    struct weft_backend_counters counters = {.size = sizeof counters};

    do {
        WEFT_TIMEOUT(0.0001);
        kit_assert_code(wait(fd), -ETIMEDOUT);
    } while (weft_backend_count(&counters) == 0 && counters.turns == 0);
}

static int accept_from(int fd)
{
    return weft_accept(fd, NULL, NULL);
}

static int read_from(int fd)
{
    char c;

    return (int)weft_read(fd, &c, 1);
}

// The connection waits in the kernel until there is a descriptor for it.
KIT_BOTH(an_accept_without_descriptors_loses_nothing)
{
    struct sockaddr_in addr;
    int server = listener(&addr), client = socket(AF_INET, SOCK_STREAM, 0);
    char c = 0;

    wait_once(server, accept_from);
    leave_fds(0);
    kit_assert_code(weft_connect(client, (struct sockaddr *)&addr, sizeof addr),
                    0);
    kit_assert_code(weft_accept(server, NULL, NULL), -EMFILE);
    kit_assert_code(weft_accept(server, NULL, NULL), -EMFILE);
    give_fds();
    int peer = weft_accept(server, NULL, NULL);
    ck_assert_int_ge(peer, 0);
    kit_assert_code(weft_write(client, "x", 1), 1);
    kit_assert_code(weft_read(peer, &c, 1), 1);
    ck_assert_int_eq(c, 'x');
    weft_close(peer);
    weft_close(client);
    weft_close(server);
}

// Waiting needs no descriptor that may be missing later.
KIT_BOTH(waits_without_descriptors)
{
    int fds[2];
    char c;

    ck_assert_int_eq(pipe(fds), 0);
    kit_assert_code(weft_sleep(0.0001), 0);
    wait_once(fds[0], read_from);
    leave_fds(0);
    kit_assert_code(weft_sleep(0.0005), 0);
    kit_assert_code(weft_join(weft_thread_start(kit_return, kit_number(1))), 1);
    kit_assert_code(weft_write(fds[1], "y", 1), 1);
    kit_assert_code(weft_read(fds[0], &c, 1), 1);
    give_fds();
    weft_close(fds[0]);
    weft_close(fds[1]);
}

WEFT_TEST_MAIN("scarce")
