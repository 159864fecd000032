// SPDX-License-Identifier: MIT
#include "os/thread.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fresh.h"
#include "os/clock.h"
#include "os/futex.h"
#include "os/own_stack.h"
#include "os/report.h"

static unsigned service_count;

// Where a new thread shall run: it goes there itself, before it does anything
// else, as not every C library can start it there; who makes it waits for that.
struct placing {
    const unsigned *cpus;
    size_t count;
    int code;
    uint32_t done; // release, after the code
};

// What a new thread needs from the one that makes it.
struct start {
    void (*fn)(void *);
    void *arg;
    char name[16];
    size_t stack_size;
    struct placing *placing; // NULL: none
    bool set_signals;
    bool service;
    uint64_t blocked;
};

enum { LAST_SIGNAL = 64 };

// Through libc, which keeps its own signals out of it.
static void block_signals(uint64_t blocked)
{
    sigset_t set;
    sigemptyset(&set);
    for (int i = 1; i <= LAST_SIGNAL; i++) {
        if (blocked & 1ull << (i - 1))
            (void)sigaddset(&set, i);
    }
    pthread_sigmask(SIG_SETMASK, &set, NULL);
}

uint64_t wi_os_thread_blocked_signals(void)
{
    sigset_t set;
    uint64_t blocked = 0;
    pthread_sigmask(SIG_BLOCK, NULL, &set);
    for (int i = 1; i <= LAST_SIGNAL; i++) {
        if (sigismember(&set, i) == 1)
            blocked |= 1ull << (i - 1);
    }
    return blocked;
}

void wi_os_thread_set_name(const char *name)
{
    char cut[16];
    strncpy(cut, name, sizeof cut - 1);
    cut[sizeof cut - 1] = '\0';
    pthread_setname_np(pthread_self(), cut);
}

static int go_to(const unsigned *cpus, size_t count)
{
    enum { MOST = 1 << 16 };
    unsigned last = 0;
    for (size_t i = 0; i < count; i++)
        last = cpus[i] > last ? cpus[i] : last;
    if (last >= MOST)
        return -EINVAL;
    cpu_set_t *set = CPU_ALLOC(last + 1);
    size_t size = CPU_ALLOC_SIZE(last + 1);
    if (set == NULL)
        return -ENOMEM;
    CPU_ZERO_S(size, set);
    for (size_t i = 0; i < count; i++)
        CPU_SET_S(cpus[i], size, set);
    int rc = sched_setaffinity(0, size, set) == 0 ? 0 : -errno;
    CPU_FREE(set);
    return rc;
}

// In the new thread. The maker may be gone with *placing when it is told.
static int take_place(struct placing *placing)
{
    int rc = go_to(placing->cpus, placing->count);
    placing->code = rc;
    // release: pairs with await_place
    __atomic_store_n(&placing->done, 1, __ATOMIC_RELEASE);
    wi_os_futex_wake(&placing->done, 1, false);
    return rc;
}

static int await_place(struct placing *placing)
{
    // acquire: pairs with take_place
    while (!__atomic_load_n(&placing->done, __ATOMIC_ACQUIRE))
        wi_os_futex_wait(&placing->done, 0, WI_FOREVER, false);
    return placing->code;
}

static void *run(void *arg)
{
    struct start start = *(struct start *)arg;
    free(arg);
    if (start.placing != NULL && take_place(start.placing) < 0)
        return NULL;
    wi_os_own_stack_has(start.stack_size);
    if (start.set_signals)
        block_signals(start.blocked);
    if (start.name[0] != '\0')
        pthread_setname_np(pthread_self(), start.name);
    start.fn(start.arg);
    if (start.service)
        // relaxed: a count
        __atomic_fetch_sub(&service_count, 1, __ATOMIC_RELAXED);
    return NULL;
}

static void fresh(void)
{
    service_count = 0;
}

__attribute__((constructor)) static void register_fresh(void)
{
    wi_fresh_add(fresh);
}

unsigned wi_os_thread_services(void)
{
    // relaxed: a count
    return __atomic_load_n(&service_count, __ATOMIC_RELAXED);
}

static int set_stack(pthread_attr_t *attr, size_t size)
{
    if (size == 0)
        return 0;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (size > SIZE_MAX - page)
        return EINVAL;
    size = (size + page - 1) & ~(page - 1);
    if (size < (size_t)PTHREAD_STACK_MIN)
        size = (size_t)PTHREAD_STACK_MIN;
    return pthread_attr_setstacksize(attr, size);
}

// Takes over *start. 0 or a negative code.
static int start_thread(struct wi_os_thread *thread, struct start *start,
                        const struct wi_os_thread_options *options)
{
    pthread_attr_t attr;
    int rc = pthread_attr_init(&attr);
    if (rc != 0) {
        free(start);
        return -rc;
    }
    rc = set_stack(&attr, options->stack_size);
    struct placing placing = {options->cpus, options->cpu_count, 0, 0};
    start->placing = options->cpus != NULL ? &placing : NULL;
    pthread_t handle;
    if (rc == 0)
        rc = pthread_attr_getstacksize(&attr, &start->stack_size);
    if (rc == 0)
        rc = pthread_create(&handle, &attr, run, start);
    pthread_attr_destroy(&attr);
    if (rc != 0)
        free(start); // else the thread does
    else
        thread->handle = (uintptr_t)handle;
    if (rc != 0 || options->cpus == NULL)
        return -rc;
    rc = await_place(&placing);
    if (rc < 0)
        pthread_join(handle, NULL);
    return rc;
}

size_t wi_os_thread_stack(size_t asked)
{
    pthread_attr_t attr;
    size_t size = asked;
    if (asked != 0 || pthread_attr_init(&attr) != 0)
        return asked;
    pthread_attr_getstacksize(&attr, &size);
    pthread_attr_destroy(&attr);
    return size;
}

int wi_os_thread_start(struct wi_os_thread *thread, void (*fn)(void *),
                       void *arg, const struct wi_os_thread_options *options)
{
    struct start *start = calloc(1, sizeof *start);
    if (start == NULL)
        return -ENOMEM;
    start->fn = fn;
    start->arg = arg;
    if (options->name != NULL)
        strncpy(start->name, options->name, sizeof start->name - 1);
    start->set_signals = options->blocked != NULL;
    if (start->set_signals)
        start->blocked = *options->blocked;
    start->service = options->service;
    if (options->service)
        // relaxed: a count
        __atomic_fetch_add(&service_count, 1, __ATOMIC_RELAXED);
    int rc = start_thread(thread, start, options);
    if (rc < 0 && options->service)
        __atomic_fetch_sub(&service_count, 1, __ATOMIC_RELAXED);
    return rc;
}

void wi_os_thread_join(struct wi_os_thread *thread)
{
    pthread_join((pthread_t)thread->handle, NULL);
}

void wi_os_thread_detach(struct wi_os_thread *thread)
{
    pthread_detach((pthread_t)thread->handle);
}

pid_t wi_os_thread_id(void)
{
    return (pid_t)syscall(SYS_gettid);
}

void wi_os_thread_yield(void)
{
    sched_yield();
}

static pthread_once_t exit_once = PTHREAD_ONCE_INIT;
static pthread_key_t exit_key;
static void (*exit_function)(void *);

static void exit_key_make(void)
{
    if (pthread_key_create(&exit_key, exit_function) != 0)
        wi_panic("weft", NULL,
                 "the program has no thread-specific data key left, and Weft "
                 "needs one (pthread_key_create, PTHREAD_KEYS_MAX)");
}

void wi_os_thread_exit_function(void (*fn)(void *))
{
    exit_function = fn;
}

void wi_os_thread_watch_exit(void *value)
{
    pthread_once(&exit_once, exit_key_make);
    pthread_setspecific(exit_key, value);
}

int wi_os_stack_bounds(void **low, size_t *size)
{
    pthread_attr_t attr;
    int rc = pthread_getattr_np(pthread_self(), &attr);
    if (rc != 0)
        return -rc;
    rc = pthread_attr_getstack(&attr, low, size);
    pthread_attr_destroy(&attr);
    return -rc;
}
