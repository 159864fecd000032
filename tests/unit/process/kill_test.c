// SPDX-License-Identifier: MIT
// Kill -9 of workers, and of the parent, at any instant.
//
// A worker is stopped at a random instant, looked at, and killed. Which of its
// states the instant hit is counted; so that none is missing, every other kill
// waits for an instant that hits the state seen least so far. WEFT_KILLS says
// how many kills (50; 1,000 with WEFT_STRESS).
#include "jobs.h"
#include "kit.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "os/cpu.h"
#include "process/pool.h"

static const char *const phase_names[WI_PHASES] = {
    "starting", "looking for work", "parked",          "taking a request",
    "running",  "waiting",          "telling a result"};

// The load --------------------------------------------------------------------

WEFT_JOB(struct weft_bytes, echo, struct weft_bytes, in)
{
    return weft_bytes_copy(in.data, in.len);
}

WEFT_JOB(long, compute, long, x)
{
    volatile long sum = 0;
    for (long i = 0; i < 20000; i++)
        sum += i % 7;
    return x + sum - sum;
}

WEFT_JOB(long, elsewhere, long, x)
{
    long value = 0;
    weft_future *f = weft_submit(weft_executor_open(0), compute, x);
    int rc = weft_result(f, &value);
    if (rc < 0)
        weft_fail(rc, "nested: %s", weft_error_name(rc));
    return value;
}

enum { LOAD = 64, SIZE = 300000 };

struct item {
    weft_future *future;
    long x; // what it must give; for echo: the byte
    enum { SQUARE, ECHO, COMPUTE, ELSEWHERE, KINDS } kind;
};

struct tally {
    long done, failed;
    int victims; // failed futures whose text names a killed process
};

static unsigned char big[SIZE];
static char killed[4194304 / 8]; // one bit a process id

static void give(weft_executor *ex, struct item *item)
{
    item->x = (long)(weft_test_random() % 1000);
    item->kind = weft_test_random() % KINDS;
    if (item->kind == SQUARE) {
        item->future = weft_submit(ex, square, item->x);
    } else if (item->kind == COMPUTE) {
        item->future = weft_submit(ex, compute, item->x);
    } else if (item->kind == ELSEWHERE) {
        item->future = weft_submit(ex, elsewhere, item->x);
    } else {
        memset(big, (int)item->x, SIZE);
        struct weft_bytes in = {big, SIZE};
        item->future = weft_submit_job(ex, &weft_job_echo, &in);
    }
}

static void check_bytes(struct item *item, const struct weft_bytes *out)
{
    static unsigned char same[SIZE];
    memset(same, (int)item->x, SIZE);
    ck_assert_uint_eq(out->len, SIZE);
    ck_assert(memcmp(out->data, same, SIZE) == 0);
}

static void check_victim(weft_future *f, int code)
{
    const char *text = weft_future_text(f);
    const char *process = strstr(text, "process ");
    ck_assert_msg(code == -WEFT_ECRASHED, "code %d: %s", code, text);
    if (strstr(text, "nested: WEFT_ECRASHED") != NULL)
        return; // the job that it waited for was the victim
    ck_assert_ptr_nonnull(process);
    int pid = atoi(process + 8);
    char bits = __atomic_load_n(&killed[pid / 8], __ATOMIC_RELAXED);
    ck_assert_msg(bits >> pid % 8 & 1, "not a victim: %s", text);
}

static void take(struct item *item, struct tally *tally)
{
    struct weft_bytes out = {NULL, 0};
    long value = -1;
    int rc = item->kind == ECHO ? weft_get(item->future, &out)
                                : weft_get(item->future, &value);
    if (rc < 0) {
        check_victim(item->future, rc);
        tally->failed++;
    } else if (item->kind == ECHO) {
        check_bytes(item, &out);
    } else {
        ck_assert_int_eq(value,
                         item->kind == SQUARE ? item->x * item->x : item->x);
    }
    weft_bytes_free(&out);
    tally->done++;
    weft_future_unref(item->future);
}

// The killer ------------------------------------------------------------------

struct killer {
    struct wi_pool *pool;
    int wanted;
    uint32_t finished; // atomic
    long seen[WI_PHASES];
    long behind; // kills with requests queued behind the running one
    uint64_t random;
};

static uint64_t next_random(struct killer *killer)
{
    killer->random = killer->random * 6364136223846793005u + 1;
    return killer->random >> 33;
}

static int rarest(const struct killer *killer)
{
    int least = 0;
    for (int i = 1; i < WI_PHASES; i++)
        if (killer->seen[i] < killer->seen[least])
            least = i;
    return least;
}

// Whether a worker might be in the state that is wanted (-1: any), soon. If a
// start takes long, as with a sanitizer, some must be let through: a pool is
// broken after twelve in a row that were killed.
static bool is_candidate(const struct wi_member *m, int wanted)
{
    if (!m->adopted || m->state == WI_MEMBER_LOST || m->retiring ||
        (m->state == WI_MEMBER_STARTING && m->pool->failures > 4))
        return false;
    if (wanted == WI_PHASE_START)
        return m->state == WI_MEMBER_STARTING;
    return wanted < WI_PHASE_TAKING || m->flying > 0;
}

// A live process of the pool, chosen at random; 0: none.
static pid_t choose(struct killer *killer, int wanted, int *pidfd)
{
    pid_t pid = 0;
    unsigned n = 0, which;
    wi_mutex_lock(&killer->pool->lock);
    for (struct wi_member *m = killer->pool->members; m != NULL; m = m->next)
        n += is_candidate(m, wanted);
    which = n > 0 ? (unsigned)(next_random(killer) % n) : 0;
    for (struct wi_member *m = killer->pool->members; m != NULL; m = m->next) {
        if (!is_candidate(m, wanted) || which-- != 0)
            continue;
        pid = m->child.pid;
        *pidfd = fcntl(m->child.pidfd, F_DUPFD_CLOEXEC, 0);
        break;
    }
    wi_mutex_unlock(&killer->pool->lock);
    return pid;
}

// What a stopped worker was doing; -1: it is gone.
static int look(struct killer *killer, pid_t pid, bool *behind)
{
    int phase = -1;
    wi_mutex_lock(&killer->pool->lock);
    for (struct wi_member *m = killer->pool->members; m != NULL; m = m->next) {
        if (m->child.pid != pid || m->state == WI_MEMBER_LOST)
            continue;
        phase = (int)(__atomic_load_n(&m->ring->phase, __ATOMIC_RELAXED) %
                      WI_PHASES);
        *behind = m->flying > 1;
    }
    wi_mutex_unlock(&killer->pool->lock);
    return phase;
}

static void send_signal(int pidfd, int sig)
{
    syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0);
}

static bool is_stopped(pid_t pid)
{
    siginfo_t info = {0};
    return waitid(P_PID, (id_t)pid, &info, WSTOPPED | WNOWAIT) == 0 &&
           info.si_pid == pid;
}

static void note_kill(struct killer *killer, pid_t pid, int phase, bool behind)
{
    __atomic_fetch_or(&killed[pid / 8], (char)(1 << pid % 8), __ATOMIC_RELAXED);
    killer->seen[phase]++;
    killer->behind += behind;
}

// Lets a random time pass, or waits until the process seems to be in the state
// that is wanted.
static void await_instant(struct killer *killer, pid_t pid, int wanted)
{
    bool behind;
    for (uint64_t i = next_random(killer) % 20000; i > 0; i--)
        __asm__ volatile("");
    for (int i = 0; i < 5000 && wanted >= 0; i++)
        if (look(killer, pid, &behind) == wanted)
            return;
}

// Stops a worker; kills it if its state is the one that is wanted, or any.
static bool kill_one(struct killer *killer, int wanted)
{
    int pidfd = -1, phase;
    bool behind = false, done = false;
    pid_t pid = choose(killer, wanted, &pidfd);
    if (pid == 0) {
        weft_yield();
        return false;
    }
    await_instant(killer, pid, wanted);
    send_signal(pidfd, SIGSTOP);
    phase = is_stopped(pid) ? look(killer, pid, &behind) : -1;
    if (phase >= 0 && (wanted < 0 || phase == wanted)) {
        note_kill(killer, pid, phase, behind);
        send_signal(pidfd, SIGKILL);
        done = true;
    }
    send_signal(pidfd, SIGCONT);
    close(pidfd);
    return done;
}

// One at any instant, one in the state that was hit least. That is waited for,
// but not for ever. After the first one, another is starting.
static int run_killer(void *arg)
{
    struct killer *killer = arg;
    for (int i = 0; i < killer->wanted; i++) {
        int wanted = i % 2 == 0 ? -1 : rarest(killer);
        for (int tries = 0; !kill_one(killer, tries < 2000 ? wanted : -1);)
            tries++;
    }
    __atomic_store_n(&killer->finished, 1, __ATOMIC_RELEASE);
    return 0;
}

static void print_histogram(const struct killer *killer)
{
    printf("killed while");
    for (int i = 0; i < WI_PHASES; i++)
        printf(" %s: %ld%s", phase_names[i], killer->seen[i],
               i + 1 < WI_PHASES ? "," : "");
    printf("; with requests behind: %ld\n", killer->behind);
}

// Submits and checks until the killer is done. Now and then the load stops, so
// that workers are seen idle.
static void load(weft_executor *ex, struct killer *killer, struct tally *tally)
{
    static struct item items[LOAD];
    while (!__atomic_load_n(&killer->finished, __ATOMIC_ACQUIRE)) {
        size_t n = 1 + weft_test_random() % LOAD;
        for (size_t i = 0; i < n; i++)
            give(ex, &items[i]);
        for (size_t i = 0; i < n; i++)
            take(&items[i], tally);
    }
}

static void run_with_kills(int kills, struct killer *killer,
                           enum weft_start_method start)
{
    struct tally tally = {0};
    struct weft_process_options like = {.size = sizeof like, .start = start};
    weft_executor *ex = weft_process_pool(.workers = 2, .process = &like);
    *killer = (struct killer){.pool = (struct wi_pool *)ex,
                              .wanted = kills,
                              .random = weft_test_random()};
    weft_future *thread = weft_thread_start(run_killer, killer);
    load(ex, killer, &tally);
    ck_assert_int_eq(weft_join(thread), 0);
    ck_assert_int_eq(weft_executor_close(ex), 0);
    printf("%ld jobs, %ld victims of %d kills\n", tally.done, tally.failed,
           kills);
    // One that runs, and those that wait beneath it.
    ck_assert_int_le(tally.failed, 4L * kills);
}

// The mappings of memory that is shared with workers.
static int count_shared_memory(void)
{
    return kit_mappings("memfd:weft");
}

static void kill_workers(enum weft_start_method start)
{
    struct killer killer;
    run_with_kills(3, &killer, start); // caches and threads fill
    int fds = weft_test_count_fds();
    int threads = weft_test_count_threads();
    int mappings = weft_test_count_mappings();
    run_with_kills(weft_test_kills(50), &killer, start);
    print_histogram(&killer);
    // With one CPU the killer runs when a worker has left it: not in between.
    for (int i = 0; i < WI_PHASES && wi_os_cpu_budget() > 1; i++)
        ck_assert_msg(killer.seen[i] > 0, "never killed while %s",
                      phase_names[i]);
    ck_assert_int_eq(weft_test_count_fds(), fds);
    weft_test_await_threads(threads);
    int zygotes = start == WEFT_START_ZYGOTE && !WI_TSAN;
    ck_assert_int_eq(count_shared_memory(), zygotes);
    if (!WI_ASAN && !WI_TSAN) // malloc keeps or returns what it likes
        ck_assert_int_le(weft_test_count_mappings(), mappings + 8);
    if (start != WEFT_START_EXEC) // the zygote may be there
        return;
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
    ck_assert_int_eq(errno, ECHILD);
}

WEFT_TEST(workers_at_random_instants, .timeout = 300)
{
    kill_workers(WEFT_START_EXEC);
}

WEFT_TEST(workers_of_a_zygote_at_random_instants, .timeout = 300)
{
    kill_workers(WEFT_START_ZYGOTE);
}

// The parent ------------------------------------------------------------------

static int pause_for_ever(void *arg)
{
    (void)arg;
    for (;;)
        pause();
    return 0;
}

// A program with a pool at work, nested jobs and a process, until it is killed.
static void be_a_parent(int tell)
{
    weft_executor *ex = weft_process_pool(.workers = 2);
    struct item items[8];
    struct tally tally;
    for (;;) {
        weft_future *f = weft_process_start(pause_for_ever, NULL, 0);
        for (int i = 0; i < 8; i++)
            give(ex, &items[i]);
        if (write(tell, "x", 1) != 1)
            _exit(1);
        for (int i = 0; i < 8; i++)
            take(&items[i], &tally);
        weft_cancel(f);
        weft_join(f);
    }
}

// Every descendant ends: as a subreaper this process would inherit each one
// that does not.
static void expect_no_descendant(void)
{
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
        ;
    ck_assert_int_eq(errno, ECHILD);
}

WEFT_TEST(the_parent_at_random_instants, .timeout = 60)
{
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    for (int i = 0; i < 25; i++) {
        int ends[2];
        char byte;
        ck_assert_int_eq(pipe(ends), 0);
        uint64_t instant = weft_test_random() % 3000000;
        int rounds = (int)(weft_test_random() % 3);
        pid_t parent = fork();
        if (parent == 0)
            be_a_parent(ends[1]);
        close(ends[1]);
        for (int k = 0; k < rounds; k++)
            ck_assert_int_eq(read(ends[0], &byte, 1), 1);
        while (instant-- > 0)
            __asm__ volatile("");
        kill(parent, SIGKILL);
        expect_no_descendant();
        close(ends[0]);
    }
}

WEFT_TEST_MAIN("kill -9")
