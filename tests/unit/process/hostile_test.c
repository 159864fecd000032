// SPDX-License-Identifier: MIT
// Workers that have gone mad, and systems that run out of things.
#include "jobs.h"

#include <fcntl.h>
#include <math.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "process/ring.h"

static weft_executor *ex;

// Memory ----------------------------------------------------------------------

// Where this worker's memory shared with the parent lies.
static char *find_memory(size_t *size)
{
    char line[512];
    unsigned long begin = 0, end = 0;
    FILE *maps = fopen("/proc/self/maps", "re");
    while (fgets(line, sizeof line, maps) != NULL)
        if (strstr(line, "memfd:weft") != NULL)
            sscanf(line, "%lx-%lx", &begin, &end);
    fclose(maps);
    *size = end - begin;
    return (char *)begin;
}

struct orders {
    uint64_t seed;
    uint32_t from, size; // of the memory: what is overwritten
    uint32_t words;      // with so many random words; 0: zeros all over
};

static uint64_t next_random(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return *seed >> 31;
}

WEFT_JOB(long, scribble, struct orders, o)
{
    size_t size;
    char *memory = find_memory(&size);
    if (o.size > size - o.from)
        o.size = (uint32_t)(size - o.from);
    for (uint32_t i = 0; i < o.words; i++) {
        size_t at = o.from + next_random(&o.seed) % (o.size / 4) * 4;
        // Small numbers hit more of what is there.
        uint32_t word = (uint32_t)next_random(&o.seed);
        *(uint32_t *)(memory + at) = i % 2 == 0 ? word % 600 : word;
    }
    if (o.words == 0)
        memset(memory + o.from, 0, o.size);
    return 5;
}

// Whatever a job has done to its worker's memory, others end. Those that had
// been given to the same worker may end in any way.
static void scribble_and_go_on(const struct orders *orders)
{
    enum { N = 20 };
    weft_future *others[N];
    weft_future *mad = weft_submit_job(ex, &weft_job_scribble, orders);
    for (long i = 0; i < N; i++)
        others[i] = weft_submit(ex, square, i);
    for (long i = 0; i < N; i++)
        weft_join(others[i]);
    WEFT_TIMEOUT(weft_test_seconds(0.2));
    weft_join(mad); // a worker that lost its wits may have lost its result
}

WEFT_TEST(a_mad_worker_ruins_only_itself, .timeout = 90)
{
    size_t ring = WI_BOOT_PAGES, whole = WI_RING_SIZE;
    ex = weft_process_pool(.workers = 2);
    for (int i = 0; i < 20; i++) {
        struct orders orders = {.seed = weft_test_random(),
                                .from = (uint32_t)ring,
                                .size = (uint32_t)(whole - ring)};
        if (i % 3 == 0)
            orders.words = 20000;
        else if (i % 3 == 1) { // the head of the ring: flags and first slots
            orders.words = 2000;
            orders.size = 32768;
        }
        scribble_and_go_on(&orders);
    }
    // Afterwards all is well, once the last mad one has been found out.
    // What it says then is right.
    for (long i = 0; i < 100; i++) {
        long value = -1;
        while (weft_result(weft_submit(ex, square, i), &value) < 0)
            ;
        ck_assert_int_eq(value, i * i);
    }
    weft_executor_close(ex, .mode = WEFT_CLOSE_CANCEL_ALL);
}

WEFT_JOB(long, shrink_memory)
{
    // The file cannot shrink: the parent's mapping would fault.
    return ftruncate(3, 0) == 0 ? 1 : errno;
}

WEFT_TEST(a_worker_cannot_take_the_memory_away)
{
    ex = weft_process_pool(.workers = 1);
    expect_long(weft_submit(ex, shrink_memory), EPERM);
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

// What jobs may do to their process -------------------------------------------

WEFT_JOB(long, close_all)
{
    for (int fd = 0; fd < 100; fd++)
        close(fd);
    return 1;
}

// Without its bell a worker is heard when the next job is submitted or waited
// for, at the latest when it dies.
WEFT_TEST(a_job_that_closes_everything)
{
    ex = weft_process_pool(.workers = 1);
    weft_future *f = weft_submit(ex, close_all);
    int rc = weft_get_into(f, NULL, 0);
    ck_assert(rc == 0 || rc == -WEFT_ECRASHED);
    weft_future_unref(f);
    for (long i = 0; i < 10; i++)
        expect_long(weft_submit(ex, square, i), i * i);
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

WEFT_JOB(long, fork_a_child)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        long value;
        int rc =
            weft_result(weft_submit(weft_executor_open(0), square, 3), &value);
        _exit(rc == -WEFT_EFORKED ? 7 : 8);
    }
    waitpid(pid, &status, 0);
    return WEXITSTATUS(status);
}

WEFT_TEST(a_job_that_forks)
{
    ex = weft_process_pool(.workers = 1);
    expect_long(weft_submit(ex, fork_a_child), 7);
    expect_long(weft_submit(ex, square, 5), 25);
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

// Afterwards it is a process like any other: nobody's futures but its own, and
// no pool but its own.
static int begin_anew(void)
{
    if (weft_fork_child() != 0)
        return 1;
    if (weft_join(weft_future_open(12345)) != -ESRCH)
        return 2;
    if (weft_join(weft_submit(weft_executor_open(0), square, 3)) != -ESRCH)
        return 3;
    return 7;
}

WEFT_JOB(long, fork_anew)
{
    int status;
    pid_t pid = fork();
    if (pid == 0)
        _exit(begin_anew());
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

WEFT_TEST(a_job_that_forks_and_begins_anew)
{
    ex = weft_process_pool(.workers = 1);
    expect_long(weft_submit(ex, fork_anew), 7);
    expect_long(weft_submit(ex, square, 5), 25);
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

// What the child of a job does with the job's handles: they are dead.
static int use_handles(weft_executor *own, weft_future *open, weft_future *done,
                       bool anew)
{
    long value[2];
    weft_executor_id(own);
    if (!anew) { // a record of the parent's tells itself gone
        weft_cancel(open);
        weft_future_unref(done);
    } else if (weft_fork_child() != 0) {
        return 1;
    }
    weft_executor_id(own);
    if (weft_join(weft_submit(own, square, 3)) != -WEFT_EFORKED)
        return 2;
    if (weft_map(own, square, ((long[]){1, 2}), 2, value) != -WEFT_EFORKED)
        return 3;
    int rc = weft_join(weft_submit(weft_executor_open(4711), square, 3));
    return rc == (anew ? -ESRCH : -WEFT_EFORKED) ? 7 : 4;
}

WEFT_JOB(long, fork_with_handles, bool, anew)
{
    int status;
    weft_executor *own = weft_executor_open(0);
    weft_future *done = weft_submit(own, square, 2);
    weft_future *open = weft_submit(own, hang, 2);
    weft_wait(&done, 1, WEFT_ALL_COMPLETED, INFINITY);
    pid_t pid = fork();
    if (pid == 0)
        _exit(use_handles(own, open, done, anew));
    waitpid(pid, &status, 0);
    weft_future_unref(done);
    weft_cancel(open);
    if (weft_join(open) != -WEFT_EJOBCANCELED)
        return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

WEFT_TEST(a_child_of_a_job_has_handles_of_its_own)
{
    ex = weft_process_pool(.workers = 1);
    expect_long(weft_submit(ex, fork_with_handles, false), 7);
    expect_long(weft_submit(ex, fork_with_handles, true), 7);
    expect_long(weft_submit(ex, square, 5), 25);
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

WEFT_JOB(long, run_a_shell)
{
    return system("exit 3") >> 8;
}

WEFT_TEST(a_job_that_runs_a_shell)
{
    ex = weft_process_pool(.workers = 1);
    expect_long(weft_submit(ex, run_a_shell), 3);
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

// The pid of the worker that runs it.
WEFT_JOB(long, worker_pid)
{
    return getpid();
}

static void signal_all(int sig)
{
    struct weft_worker_stats workers[4];
    ssize_t n = weft_process_pool_workers(ex, workers, 4);
    for (ssize_t i = 0; i < n; i++)
        kill(workers[i].pid, sig);
}

static struct weft_process_pool_stats stats_now(void)
{
    struct weft_process_pool_stats stats = {.size = sizeof stats};
    ck_assert_int_eq(weft_process_pool_stats(ex, &stats), 0);
    return stats;
}

// Those that are stopped are no mad ones: their requests wait.
WEFT_TEST(stopped_workers_may_go_on, .timeout = 20)
{
    ex = weft_process_pool(.workers = 1);
    while (stats_now().idle < 2) // and the spare
        weft_yield();
    signal_all(SIGSTOP);
    weft_future *f = weft_submit(ex, worker_pid);
    // Longer than a mad one would live.
    ck_assert_int_eq(weft_wait(&f, 1, WEFT_ALL_COMPLETED, 1.5), 0);
    signal_all(SIGCONT);
    ck_assert_int_eq(weft_get_into(f, NULL, 0), 0);
    weft_future_unref(f);
    ck_assert_uint_eq(stats_now().died, 0);
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

WEFT_JOB(long, read_input)
{
    return getchar() == EOF ? 1 : 2;
}

WEFT_TEST(workers_have_an_empty_input)
{
    ex = weft_process_pool(.workers = 1);
    expect_long(weft_submit(ex, read_input), 1);
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

WEFT_JOB(long, leave_a_child, int, fd)
{
    pid_t pid = fork();
    if (pid == 0) {
        pause();
        _exit(0);
    }
    (void)fd;
    raise(SIGKILL);
    return pid;
}

// What a job has started dies with its worker. As a subreaper of nobody, this
// is seen by the pipe that the child would keep open.
WEFT_TEST(children_of_a_dead_worker_die_too)
{
    int ends[2], keep;
    char byte;
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    keep = dup(STDOUT_FILENO);
    dup2(ends[1], STDOUT_FILENO);
    close(ends[1]);
    ex = weft_process_pool(.workers = 1);
    int rc = weft_join(weft_submit(ex, leave_a_child, 1));
    dup2(keep, STDOUT_FILENO);
    ck_assert_int_eq(rc, -WEFT_ECRASHED);
    ck_assert_int_eq(weft_executor_close(ex), 0);
    ck_assert_int_eq(read(ends[0], &byte, 1), 0); // nobody has it any more
}

// fork in the parent
// ------------------------------------------------------------

WEFT_TEST(a_forked_parent_begins_anew)
{
    int status;
    ex = weft_process_pool(.workers = 1);
    expect_long(weft_submit(ex, square, 3), 9);
    pid_t pid = fork();
    if (pid == 0) {
        if (weft_join(weft_submit(ex, square, 3)) != -WEFT_EFORKED)
            _exit(1);
        if (weft_fork_child() != 0)
            _exit(2);
        weft_executor *own = weft_process_pool(.workers = 1);
        long value = 0;
        int rc = weft_result(weft_submit(own, square, 4), &value);
        if (rc != 0 || value != 16)
            _exit(3);
        _exit(weft_executor_close(own) == 0 ? 0 : 4);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    expect_long(weft_submit(ex, square, 5), 25);
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int wait_for_ever(void *arg)
{
    (void)arg;
    for (;;)
        pause();
    return 0;
}

static pid_t closer; // the thread that closes
static int step;     // atomic: 1: the supervisor is busy, 2: it is about to

static bool sleeps(pid_t thread)
{
    char path[64], text[512] = "";
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)thread);
    FILE *f = fopen(path, "re");
    ck_assert_ptr_nonnull(fgets(text, sizeof text, f));
    fclose(f);
    return strncmp(strrchr(text, ')'), ") S", 3) == 0;
}

static int use_a_pool(void)
{
    if (weft_fork_child() != 0)
        return 2;
    weft_executor *own = weft_process_pool(.workers = 1);
    long value = 0;
    int rc = weft_result(weft_submit(own, square, 4), &value);
    if (rc != 0 || value != 16)
        return 3;
    return weft_executor_close(own) == 0 ? 0 : 4;
}

// On the thread that looks after processes, while another waits for it.
static void fork_while_it_waits(weft_future *f, void *status)
{
    (void)f;
    __atomic_store_n(&step, 1, __ATOMIC_RELEASE);
    while (__atomic_load_n(&step, __ATOMIC_ACQUIRE) != 2 || !sleeps(closer))
        sched_yield();
    pid_t pid = fork();
    if (pid == 0)
        _exit(use_a_pool());
    waitpid(pid, status, 0);
}

WEFT_TEST(a_fork_while_others_wait_for_the_supervisor, .timeout = 20)
{
    int status = -1;
    weft_arena *a;
    closer = weft_native_id();
    ck_assert_int_eq(weft_arena_new(1 << 20, &a), 0);
    weft_arena_ref(a, NULL); // from now on it is offered to others
    weft_future *f = weft_process_start(wait_for_ever, NULL, 0);
    ck_assert_int_eq(weft_future_on_done(f, fork_while_it_waits, &status), 0);
    weft_process_kill(f);
    while (__atomic_load_n(&step, __ATOMIC_ACQUIRE) != 1)
        sched_yield();
    __atomic_store_n(&step, 2, __ATOMIC_RELEASE);
    weft_arena_close(a);
    weft_join(f);
    ck_assert_int_eq(status, 0);
}

// Scarcity --------------------------------------------------------------------

// From now on only so many more descriptors can be open than are open now.
static void limit_fds(int more)
{
    if (WI_ASAN || WI_TSAN)
        weft_test_skip("a sanitizer opens files of its own");
    int next = dup(0);
    close(next);
    struct rlimit limit = {(rlim_t)(next + more), (rlim_t)(next + more)};
    setrlimit(RLIMIT_NOFILE, &limit);
}

WEFT_TEST(without_descriptors)
{
    weft_join(weft_process_start(nothing, NULL, 0)); // the service runs
    limit_fds(0);
    expect(weft_process_start(nothing, NULL, 0), -EMFILE);
    ex = weft_process_pool(.workers = 1);
    expect_text(weft_submit(ex, square, 3), -WEFT_EBROKEN, "open files");
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

WEFT_TEST(with_few_descriptors)
{
    weft_join(weft_process_start(nothing, NULL, 0));
    limit_fds(6); // a pool needs two, a worker three: the spare cannot start
    ex = weft_process_pool(.workers = 1);
    for (long i = 0; i < 20; i++)
        expect_long(weft_submit(ex, square, i), i * i);
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

WEFT_TEST(a_file_size_limit_is_an_error)
{
    struct rlimit limit = {1000, 1000};
    weft_join(weft_process_start(nothing, NULL, 0));
    setrlimit(RLIMIT_FSIZE, &limit);
    expect(weft_process_start(nothing, NULL, 0), -EFBIG);
}

WEFT_TEST_MAIN("hostile workers")
