// SPDX-License-Identifier: MIT
// Starts at the edge: many children at once, no descriptors left, options of
// other versions, children of other versions; kill -9 of zygotes and of their
// parents at any instant.
#include "children.h"
#include "jobs.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "process/boot.h"

#define COPIES (!WI_TSAN && !WI_ON_VALGRIND)

static int five(void *arg)
{
    (void)arg;
    return 5;
}

static int stays(void *arg)
{
    (void)arg;
    for (;;)
        pause();
    return 0;
}

static bool stress(void)
{
    return getenv("WEFT_STRESS") != NULL;
}

// Many ------------------------------------------------------------------------

static void live_with(enum weft_start_method start, int n)
{
    weft_future *all[1000];
    for (int i = 0; i < n; i++)
        all[i] = weft_process_start(stays, NULL, 0, .start = start);
    while (weft_process_children(NULL, 0) < (size_t)n) {
        for (int i = 0; i < n; i++)
            ck_assert_msg(!weft_done(all[i]), "%s", weft_future_text(all[i]));
        usleep(1000); // starting them needs the processor
    }
    for (int i = 0; i < n; i++)
        ck_assert_int_eq(weft_process_kill(all[i]), 0);
    for (int i = 0; i < n; i++)
        expect(all[i], -WEFT_ECRASHED);
    ck_assert_uint_eq(weft_process_children(NULL, 0), 0);
}

WEFT_TEST(many_children_live_at_once, .timeout = 240)
{
    struct rlimit files;
    int n = stress() ? 1000 : 60;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    expect(weft_process_start(five, NULL, 0), 5);
    expect(weft_process_start(five, NULL, 0, .start = WEFT_START_ZYGOTE), 5);
    int fds = weft_test_count_fds();
    live_with(WEFT_START_EXEC, n);
    live_with(WEFT_START_ZYGOTE, n);
    ck_assert_int_eq(weft_test_count_fds(), fds);
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), COPIES ? 0 : -1);
}

// Descriptors -----------------------------------------------------------------

static int filling[256], filled;

// Fills the table of descriptors but for `left`.
static void fill(int left)
{
    struct rlimit files = {256, 256};
    setrlimit(RLIMIT_NOFILE, &files);
    for (filled = 0; (filling[filled] = dup(0)) >= 0;)
        filled++;
    while (left-- > 0)
        close(filling[--filled]);
}

static void start_with_few(int left, enum weft_start_method start)
{
    fill(left);
    weft_future *f =
        weft_process_start(five, NULL, 0, .start = start,
                           .out = WEFT_DEV_CAPTURE, .err = WEFT_DEV_CAPTURE);
    int rc = weft_get_into(f, NULL, 0);
    ck_assert_msg(rc == 5 || rc == -EMFILE, "code %d: %s", rc,
                  weft_future_text(f));
    ck_assert_msg(rc == 5 || left < 12, "%d were not enough", left);
    ck_assert_msg(rc < 0 || left > 1, "%d cannot be enough", left);
    weft_future_unref(f);
    while (filled > 0)
        close(filling[--filled]);
    expect(weft_process_start(five, NULL, 0, .start = start), 5);
}

// Whatever is lacking, the start says so, and nothing is lost by it.
WEFT_TEST(without_descriptors_the_start_fails, .timeout = 60)
{
    ck_assert_int_eq(weft_join(weft_zygote_start(NULL, NULL)), 0);
    expect(weft_process_start(five, NULL, 0), 5);
    int fds = weft_test_count_fds();
    for (int left = 0; left < 16; left++) {
        start_with_few(left, WEFT_START_EXEC);
        start_with_few(left, WEFT_START_ZYGOTE);
        int now = weft_test_count_fds();
        ck_assert_msg(now <= fds, "%d left: %d and not %d", left, now, fds);
    }
}

// Versions --------------------------------------------------------------------

WEFT_TEST(options_of_each_version_are_taken, .timeout = 60)
{
    expect(weft_process_start_with(five, NULL, 0, NULL), 5);
    for (size_t n = sizeof(size_t); n <= sizeof(struct weft_process_options);
         n += 8) {
        struct weft_process_options o;
        memset(&o, 0x55, sizeof o); // what lies behind is not its own
        memset(&o, 0, n);
        o.size = n;
        expect(weft_process_start_with(five, NULL, 0, &o), 5);
    }
    struct {
        struct weft_process_options now;
        char later[64];
    } o = {.now.size = sizeof o};
    memset(o.later, 0x55, sizeof o.later); // of a version to come
    expect(weft_process_start_with(five, NULL, 0, &o.now), 5);
}

// As a child whose parent has another version, which must not guess what the
// memory means.
static int be_of_another_version(int said)
{
    char mark[32];
    struct wi_boot boot = {.magic = WI_BOOT_MAGIC,
                           .version = WI_BOOT_VERSION + 1};
    int fd = memfd_create("boot", 0);
    if (write(fd, &boot, sizeof boot) != (ssize_t)sizeof boot)
        return 1;
    dup2(said, 2);
    dup2(fd, 3);
    snprintf(mark, sizeof mark, "%d", (int)getpid());
    setenv("WEFT_WORKER", mark, 1);
    execl("/proc/self/exe", "other", NULL);
    return 1;
}

WEFT_TEST(a_parent_of_another_version_is_named)
{
    int ends[2], status;
    char text[256] = "";
    ck_assert_int_eq(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0)
        _exit(be_of_another_version(ends[1]));
    close(ends[1]);
    ck_assert_int_gt(read(ends[0], text, sizeof text - 1), 0);
    ck_assert_msg(strstr(text, "another version of Weft") != NULL, "%s", text);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(WEXITSTATUS(status), WI_EXIT_VERSION);
}

// What the child above looks like to its parent.
WEFT_TEST(a_child_of_another_version_is_named)
{
    char command[32];
    snprintf(command, sizeof command, "exit %d", WI_EXIT_VERSION);
    const char *const argv[] = {"sh", "-c", command, NULL};
    expect_text(
        weft_process_start(five, NULL, 0, .program = "/bin/sh", .argv = argv),
        -WEFT_EPROTO, "another version of Weft");
}

// Kills -----------------------------------------------------------------------

enum { IDLE, MID_SPAWN, CELLS };
static const char *const cell_names[CELLS] = {"idle", "mid-spawn"};

struct shared {
    uint32_t submitted, begun, ended; // atomic
};

static struct shared *shared_memory(int *fd)
{
    *fd = memfd_create("shared", MFD_CLOEXEC);
    ck_assert_int_eq(ftruncate(*fd, 4096), 0);
    struct shared *s =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
    ck_assert_ptr_ne(s, MAP_FAILED);
    return s;
}

static int count_up(void *arg)
{
    (void)arg;
    struct shared *s = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED,
                            weft_process_fd(0), 0);
    __atomic_fetch_add(&s->begun, 1, __ATOMIC_SEQ_CST);
    return 5;
}

static weft_future *start_counted(struct shared *s, int fd)
{
    __atomic_fetch_add(&s->submitted, 1, __ATOMIC_SEQ_CST);
    return weft_process_start(count_up, NULL, 0, .start = WEFT_START_ZYGOTE,
                              .fds = &fd, .fd_count = 1);
}

static void pass_time(void)
{
    for (uint64_t i = weft_test_random() % 300000; i > 0; i--)
        __asm__ volatile("");
}

static bool stop(pid_t pid)
{
    siginfo_t info = {0};
    return kill(pid, SIGSTOP) == 0 &&
           waitid(P_PID, (id_t)pid, &info, WSTOPPED | WEXITED | WNOWAIT) == 0 &&
           info.si_code == CLD_STOPPED;
}

static pid_t find_zygote(void)
{
    pid_t pid;
    while (count_named("weft-zygote", &pid) != 1)
        sched_yield(); // a copy has the name for a moment
    return pid;
}

// Nothing is lost, nothing runs twice, whatever the zygote was doing.
WEFT_TEST(zygotes_at_random_instants, .timeout = 300)
{
    enum { BATCH = 6 };
    int fd, seen[CELLS] = {0};
    struct shared *s = shared_memory(&fd);
    if (!COPIES)
        return;
    expect(start_counted(s, fd), 5);
    int fds = weft_test_count_fds();
    for (int i = 0; seen[IDLE] < weft_test_kills(20) ||
                    seen[MID_SPAWN] < weft_test_kills(20);
         i++) {
        weft_future *all[BATCH];
        int n = seen[IDLE] < weft_test_kills(20) && i % 2 == 0 ? 0 : BATCH;
        ck_assert_int_eq(weft_join(weft_zygote_start(NULL, NULL)), 0);
        pid_t zygote = find_zygote();
        for (int k = 0; k < n; k++)
            all[k] = start_counted(s, fd);
        if (n > 0)
            pass_time();
        if (stop(zygote)) {
            uint32_t begun = __atomic_load_n(&s->begun, __ATOMIC_SEQ_CST);
            seen[begun < s->submitted ? MID_SPAWN : IDLE]++;
        }
        kill(zygote, SIGKILL);
        for (int k = 0; k < n; k++)
            expect(all[k], 5);
        ck_assert_uint_eq(s->begun, s->submitted);
    }
    ck_assert_int_eq(weft_join(weft_zygote_start(NULL, NULL)), 0);
    ck_assert_int_eq(weft_test_count_fds(), fds);
    for (int i = 0; i < CELLS; i++)
        printf("zygotes killed while %s: %d\n", cell_names[i], seen[i]);
}

// A program that starts children until it is killed.
static void be_a_parent(struct shared *s, int fd)
{
    for (;;) {
        weft_future *all[3];
        for (int i = 0; i < 3; i++)
            all[i] = start_counted(s, fd);
        for (int i = 0; i < 3; i++) {
            weft_join(all[i]);
            __atomic_fetch_add(&s->ended, 1, __ATOMIC_SEQ_CST);
        }
        for (volatile int i = 0; i < 200000; i++)
            ;
    }
}

WEFT_TEST(parents_of_zygotes_at_random_instants, .timeout = 300)
{
    int seen[CELLS] = {0};
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    for (int i = 0; seen[IDLE] + seen[MID_SPAWN] < 2 * weft_test_kills(20) ||
                    seen[IDLE] == 0 || seen[MID_SPAWN] == 0;
         i++) {
        int fd;
        struct shared *s = shared_memory(&fd);
        pid_t parent = fork();
        if (parent == 0)
            be_a_parent(s, fd);
        uint32_t rounds = (uint32_t)(weft_test_random() % 5);
        while (__atomic_load_n(&s->ended, __ATOMIC_SEQ_CST) < rounds)
            sched_yield();
        pass_time();
        ck_assert(stop(parent));
        seen[s->submitted > s->ended ? MID_SPAWN : IDLE]++;
        kill(parent, SIGKILL);
        while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
            ; // as a subreaper it would have to wait for who is left
        ck_assert_int_eq(errno, ECHILD);
        munmap(s, 4096);
        close(fd);
    }
    for (int i = 0; i < CELLS; i++)
        printf("parents killed while %s: %d\n", cell_names[i], seen[i]);
}

WEFT_TEST_MAIN("limits of processes")
