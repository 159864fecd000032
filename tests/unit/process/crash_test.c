// SPDX-License-Identifier: MIT
// What is told of a process that has died.
#include "jobs.h"
#include "kit.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unwind.h>

#include "os/oom.h"

// The static library leaves it to the program whether there is an unwinder.
static void *volatile unwinder[] = {(void *)(uintptr_t)_Unwind_Backtrace,
                                    (void *)(uintptr_t)_Unwind_GetIP};

// Sanitizers have handlers of their own.
#define HANDLERS (!WI_ASAN && !WI_TSAN)

static struct weft_crash crash_of(weft_future *f)
{
    struct weft_crash crash = {.size = sizeof crash};
    ck_assert_int_eq(weft_get_into(f, NULL, 0), -WEFT_ECRASHED);
    ck_assert_int_eq(weft_process_crash(f, &crash), 0);
    ck_assert_int_gt(crash.pid, 0);
    weft_future_unref(f);
    return crash;
}

static int first_base(struct dl_phdr_info *info, size_t size, void *base)
{
    (void)size;
    *(uintptr_t *)base = info->dlpi_addr;
    return 1;
}

// Where a function of this program lies, as frames say it.
static uint64_t offset_of(int (*fn)(void *))
{
    uintptr_t base = 0;
    dl_iterate_phdr(first_base, &base);
    return (uintptr_t)fn - base;
}

static bool is_in(const struct weft_frame *frame, int (*fn)(void *))
{
    enum { MOST = 512 }; // bytes of such a function
    uint64_t begin = offset_of(fn);
    return strcmp(frame->module, program_invocation_short_name) == 0 &&
           frame->offset >= begin && frame->offset < begin + MOST;
}

static bool has_frame_in(const struct weft_crash *crash, int (*fn)(void *))
{
    bool has = false;
    for (unsigned i = 0; i < crash->frame_count; i++)
        has |= is_in(&crash->frames[i], fn);
    return has;
}

// Two ways to find the callers must not both be gone.
static bool has_a_frame_twice(const struct weft_crash *crash)
{
    for (unsigned i = 0; i < crash->frame_count; i++)
        for (unsigned k = 0; k < i; k++)
            if (crash->frames[i].pc == crash->frames[k].pc)
                return true;
    return false;
}

// Faults ----------------------------------------------------------------------

// Where nothing lies; the compiler shall not know.
static void *volatile nowhere = (void *)16;

__attribute__((noinline)) static int touch(void *at)
{
    __asm__ volatile("" : "+r"(at));
    *(volatile int *)at = 1;
    return 0;
}

static int fault(void *arg)
{
    (void)arg;
    return touch(nowhere) + 1; // not a tail call
}

static void expect_fault(weft_future *f, int (*outer)(void *))
{
    struct weft_crash crash = crash_of(f);
    if (!HANDLERS)
        return;
    ck_assert_int_eq(crash.signal, SIGSEGV);
    ck_assert_int_eq(crash.exit_code, -1);
    ck_assert_int_eq(crash.code, SEGV_MAPERR);
    ck_assert_uint_eq(crash.address, 16);
    ck_assert_int_eq(crash.sender, 0);
    ck_assert_int_eq(crash.thread, crash.pid);
    ck_assert_uint_ge(crash.frame_count, 2);
    ck_assert(is_in(&crash.frames[0], touch));
    ck_assert(outer == NULL || is_in(&crash.frames[1], outer));
    ck_assert(!crash.out_of_memory);
}

WEFT_TEST(a_fault_is_told_with_who_called)
{
    ck_assert(unwinder[0] != NULL && unwinder[1] != NULL);
    expect_fault(weft_process_start(fault, NULL, 0), fault);
    expect_fault(weft_process_start(fault, NULL, 0, .start = WEFT_START_ZYGOTE),
                 fault);
    char part[64];
    snprintf(part, sizeof part, ", in %.31s+0x", program_invocation_short_name);
    if (HANDLERS)
        expect_text(weft_process_start(fault, NULL, 0), -WEFT_ECRASHED, part);
}

WEFT_JOB(long, fault_job, int, x)
{
    return touch(nowhere) + x;
}

WEFT_TEST(a_fault_of_a_job_too)
{
    weft_executor *ex = weft_process_pool(.workers = 1);
    expect_fault(weft_submit(ex, fault_job, 1), NULL);
    weft_executor_close(ex);
}

// In a module that is loaded by the body.
static int fault_late(void *arg)
{
    (void)arg;
    void *late = dlopen(LATE_MODULE, RTLD_NOW);
    int (*call)(volatile int *) = NULL;
    if (late != NULL)
        *(void **)&call = dlsym(late, "late_fault");
    return call != NULL ? call(nowhere) + 1 : 0;
}

static uint64_t late_offset(void)
{
    uintptr_t base = 0;
    Dl_info info;
    void *late = dlopen(LATE_MODULE, RTLD_NOW);
    ck_assert(late != NULL);
    void *at = dlsym(late, "late_fault");
    ck_assert(dladdr(at, &info) != 0);
    base = (uintptr_t)info.dli_fbase;
    dlclose(late);
    return (uintptr_t)at - base;
}

WEFT_TEST(a_module_that_came_later_has_a_name)
{
    struct weft_crash crash = crash_of(weft_process_start(fault_late, NULL, 0));
    if (!HANDLERS)
        weft_test_skip("the sanitizer handles SIGSEGV itself");
    ck_assert_uint_ge(crash.frame_count, 2);
    ck_assert_str_eq(crash.frames[0].module, LATE_NAME);
    ck_assert_uint_ge(crash.frames[0].offset, late_offset());
    ck_assert_uint_lt(crash.frames[0].offset, late_offset() + 64);
    ck_assert(is_in(&crash.frames[1], fault_late));
}

static int give_up(void *arg)
{
    (void)arg;
    abort();
    return 0;
}

static int be_killed(void *arg)
{
    (void)arg;
    kill(getpid(), SIGBUS); // no fault: it does not come by itself again
    return 0;
}

WEFT_TEST(a_signal_that_is_sent_is_told_with_who_sent_it)
{
    if (!HANDLERS)
        weft_test_skip("the sanitizer handles SIGBUS itself");
    struct weft_crash crash = crash_of(weft_process_start(be_killed, NULL, 0));
    ck_assert_int_eq(crash.signal, SIGBUS);
    ck_assert_int_eq(crash.sender, crash.pid);
}

WEFT_TEST(an_abort_is_told_with_who_called)
{
    struct weft_crash crash = crash_of(weft_process_start(give_up, NULL, 0));
    ck_assert_int_eq(crash.signal, SIGABRT);
    ck_assert(!HANDLERS || crash.sender == crash.pid);
    ck_assert(!HANDLERS || has_frame_in(&crash, give_up));
    ck_assert(!has_a_frame_twice(&crash));
}

__attribute__((noinline)) static int deeper(void *arg)
{
    volatile char room[4096];
    room[0] = room[1] = (char)(uintptr_t)arg;
    return room[1] == room[0] + 1 ? 0 : deeper((void *)room) + room[0];
}

WEFT_TEST(a_stack_that_overflows_is_told)
{
    struct weft_crash crash = crash_of(weft_process_start(deeper, NULL, 0));
    ck_assert(!HANDLERS || crash.signal == SIGSEGV);
    ck_assert(!HANDLERS || is_in(&crash.frames[0], deeper));
}

// Nothing that the unwinder meets is right. Whatever it does, the signal and
// the place are told.
__attribute__((noinline)) static int in_ruins(void *arg)
{
    char here;
    volatile uintptr_t *stack = (uintptr_t *)((uintptr_t)&here & ~(uintptr_t)7);
    (void)arg;
    for (int i = 4; i < 400; i++)
        stack[i] = (uintptr_t)&stack[i * 37 % 500] + (i % 3 == 0);
    return touch(nowhere) + 1;
}

// Keeps the ruins away from the end of the stack, which may be near.
static int above_ruins(void *arg)
{
    volatile char room[8192];
    room[0] = room[sizeof room - 1] = 1;
    return in_ruins(arg) + room[0];
}

WEFT_TEST(a_stack_in_ruins_is_no_matter)
{
    if (!HANDLERS)
        return;
    struct weft_crash crash =
        crash_of(weft_process_start(above_ruins, NULL, 0));
    ck_assert_int_eq(crash.signal, SIGSEGV);
    ck_assert_uint_eq(crash.address, 16);
    ck_assert(is_in(&crash.frames[0], touch));
}

static void own_handler(int sig)
{
    (void)sig;
    _exit(9);
}

static int with_handler(void *arg)
{
    signal(SIGSEGV, own_handler);
    return fault(arg);
}

WEFT_TEST(a_handler_of_the_program_is_left_alone)
{
    struct weft_crash crash =
        crash_of(weft_process_start(with_handler, NULL, 0));
    ck_assert_int_eq(crash.exit_code, 9);
    ck_assert_int_eq(crash.signal, 0);
    ck_assert_uint_eq(crash.frame_count, 0);
    // One that was there before, as here from preload.
    ck_assert_int_eq(crash_of(weft_process_start(with_handler, NULL, 0,
                                                 .start = WEFT_START_ZYGOTE))
                         .exit_code,
                     9);
}

static int kill_self(void *arg)
{
    (void)arg;
    raise(SIGKILL);
    return 0;
}

WEFT_TEST(who_was_killed_has_no_last_words)
{
    struct weft_crash crash = crash_of(weft_process_start(kill_self, NULL, 0));
    ck_assert_int_eq(crash.signal, SIGKILL);
    ck_assert_uint_eq(crash.frame_count, 0);
    ck_assert_uint_gt(crash.max_rss, 0);
}

WEFT_JOB(int, kill_worker, int, x)
{
    raise(SIGKILL);
    return x;
}

// Also the first one that a program sees.
WEFT_TEST(who_was_killed_was_not_short_of_memory)
{
    weft_executor *ex = weft_process_pool(.workers = 1);
    struct weft_crash crash = crash_of(weft_submit(ex, kill_worker, 1));
    ck_assert_int_eq(crash.signal, SIGKILL);
    ck_assert(!crash.out_of_memory);
    weft_executor_close(ex);
}

// Memory ----------------------------------------------------------------------

static int eat(void *arg)
{
    (void)arg;
    for (;;) {
        char *piece = malloc(1 << 20);
        touch(piece); // NULL at the end
        memset(piece, 1, 1 << 20);
    }
    return 0;
}

WEFT_TEST(a_memory_limit_is_named)
{
    if (!HANDLERS)
        return;
    weft_future *f = weft_process_start(eat, NULL, 0, .memory = 64 << 20);
    weft_future_ref(f);
    struct weft_crash crash = crash_of(f);
    ck_assert_int_eq(crash.signal, SIGSEGV);
    ck_assert(crash.out_of_memory);
    expect_text(f, -WEFT_ECRASHED, "memory limit");
}

WEFT_JOB(long, devour, int, x)
{
    for (;;) {
        char *piece = malloc(1 << 20);
        if (piece != NULL)
            memset(piece, 1, 1 << 20);
    }
    return x;
}

// A cgroup of this test's own, which this process enters.
struct cgroup {
    const char *root;
    char path[64];
    bool entered;
};

static struct cgroup enter_cgroup(const char *limit)
{
    struct cgroup c = {.root = "/sys/fs/cgroup"};
    bool v2 = access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0;
    if (!v2)
        c.root = "/sys/fs/cgroup/memory";
    snprintf(c.path, sizeof c.path, "%s/weft-test-%d", c.root, (int)getpid());
    c.entered =
        mkdir(c.path, 0755) == 0 &&
        kit_put(c.path, v2 ? "memory.max" : "memory.limit_in_bytes", limit) &&
        kit_put(c.path, "cgroup.procs", "0");
    // Without swap; there may be none, and no such file.
    kit_put(c.path, v2 ? "memory.swap.max" : "memory.memsw.limit_in_bytes",
            v2 ? "0" : limit);
    return c;
}

static void leave_cgroup(const struct cgroup *c)
{
    kit_put(c->root, "cgroup.procs", "0");
    rmdir(c->path);
}

// All of the pool and its parent have 64 MiB together. Who wants more is
// killed by the kernel, and nobody else.
WEFT_TEST(the_memory_of_a_cgroup_fails_only_the_job_that_meets_it,
          .timeout = 60)
{
    enum { N = 50, ROUNDS = 3 };
    if (WI_ASAN || WI_TSAN)
        weft_test_skip("a sanitizer needs more memory than that");
    struct cgroup c = enter_cgroup("67108864");
    if (!c.entered) {
        leave_cgroup(&c);
        weft_test_skip("needs a cgroup for memory that may be written");
    }
    weft_executor *ex = weft_process_pool(.workers = 2);
    for (int round = 0; round < ROUNDS; round++) {
        weft_future *f[N], *eater = weft_submit(ex, devour, 1);
        for (long i = 0; i < N; i++)
            f[i] = weft_submit(ex, square, i);
        struct weft_crash crash = crash_of(eater);
        ck_assert_int_eq(crash.signal, SIGKILL);
        ck_assert(crash.out_of_memory);
        for (long i = 0; i < N; i++)
            expect_long(f[i], i * i);
    }
    ck_assert_int_eq(weft_executor_close(ex), 0);
    leave_cgroup(&c);
}

static void write_file(const char *dir, const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    for (char *at = path + 1; (at = strchr(at, '/')) != NULL; *at++ = '/') {
        *at = '\0';
        mkdir(path, 0700);
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static int64_t kills_of(const char *dir, const char *cgroup)
{
    char path[512];
    write_file(dir, "cgroup", cgroup);
    snprintf(path, sizeof path, "%s/cgroup", dir);
    return wi_os_oom_kills_of(path, dir);
}

// As a cluster has them: a dozen hierarchies, each with a long name.
static void write_many_groups(char *text, size_t size)
{
    size_t n = 0;
    for (int id = 13; id > 1; id--)
        n += (size_t)snprintf(text + n, size - n, "%d:other%d:/%0230d\n", id,
                              id, id);
    snprintf(text + n, size - n, "1:memory:/x\n");
}

WEFT_TEST(kills_for_want_of_memory_are_counted)
{
    char dir[] = "/tmp/weft-test-XXXXXX", command[64], many[4096];
    ck_assert_ptr_nonnull(mkdtemp(dir));
    ck_assert_int_eq(kills_of(dir, "0::/a/b\n"), -1);
    write_file(dir, "a/b/memory.events", "low 0\noom 9\noom_kill 4\n");
    ck_assert_int_eq(kills_of(dir, "0::/a/b\n"), 4);
    write_file(dir, "memory.events", "oom_kill 5\n");
    ck_assert_int_eq(kills_of(dir, "0::/\n"), 5);
    ck_assert_int_eq(kills_of(dir, "0::/elsewhere\n"), 5);
    write_file(dir, "memory/x/memory.oom_control", "under_oom 0\noom_kill 6\n");
    ck_assert_int_eq(kills_of(dir, "9:cpu:/y\n4:memory:/x\n"), 6);
    write_many_groups(many, sizeof many);
    ck_assert_int_eq(kills_of(dir, many), 6);
    snprintf(command, sizeof command, "rm -r %s", dir);
    ck_assert_int_eq(system(command), 0);
}

// Others ----------------------------------------------------------------------

static int good(void *arg)
{
    (void)arg;
    return 0;
}

static int ask_task(void *arg)
{
    struct weft_crash crash = {.size = sizeof crash};
    weft_future *f = weft_task_start(good, arg);
    ck_assert_int_eq(weft_process_crash(f, &crash), -EINVAL);
    return weft_join(f);
}

WEFT_TEST(who_did_not_crash_is_told_so)
{
    struct {
        size_t size;
        pid_t pid;
        int signal, guard;
    } part = {.size = offsetof(struct weft_crash, exit_code), .guard = 77};
    weft_future *f = weft_process_start(good, NULL, 0);
    ck_assert_int_eq(weft_get_into(f, NULL, 0), 0);
    ck_assert_int_eq(weft_process_crash(f, (struct weft_crash *)&part),
                     -ENODATA);
    weft_future_unref(f);
    ck_assert_int_eq(weft_run(ask_task, NULL), 0);
    // A caller of an older form gets what it knows.
    f = weft_process_start(kill_self, NULL, 0);
    ck_assert_int_eq(weft_get_into(f, NULL, 0), -WEFT_ECRASHED);
    ck_assert_int_eq(weft_process_crash(f, (struct weft_crash *)&part), 0);
    ck_assert_int_eq(part.signal, SIGKILL);
    ck_assert_int_eq(part.guard, 77);
    weft_future_unref(f);
}

WEFT_TEST_MAIN("crashes")
