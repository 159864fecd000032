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
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fresh.h"
#include "os/clock.h"
#include "os/futex.h"
#include "os/module.h"
#include "os/own_stack.h"
#include "os/report.h"

static unsigned service_count;
static __thread bool is_service;

// Whether a new thread may begin: one that has CPUs of its own waits until its
// maker has put it there, which not every C library can do before it runs.
enum go { GO_WAIT, GO_ON, GO_AWAY };

// What a new thread needs from the one that makes it.
struct start {
    void (*fn)(void *);
    void *arg;
    char name[16];
    size_t stack_size, told; // as wi_os_own_stack_has
    uint32_t go;             // enum go; the thread sleeps on it
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

void wi_os_thread_get_name(char name[16])
{
    name[0] = '\0';
    prctl(PR_GET_NAME, name);
}

static enum go await_go(struct start *start)
{
    uint32_t go;
    // acquire: pairs with let_go
    while ((go = __atomic_load_n(&start->go, __ATOMIC_ACQUIRE)) == GO_WAIT)
        wi_os_futex_wait(&start->go, GO_WAIT, WI_FOREVER, false);
    return (enum go)go;
}

// The thread frees *start when it goes: a wake of nothing does no harm.
static void let_go(struct start *start, enum go go)
{
    // release: pairs with await_go
    __atomic_store_n(&start->go, go, __ATOMIC_RELEASE);
    wi_os_futex_wake(&start->go, 1, false);
}

static void *run(void *arg)
{
    enum go go = await_go(arg);
    struct start start = *(struct start *)arg;
    free(arg);
    if (go == GO_AWAY)
        return NULL;
    wi_os_own_stack_has(start.stack_size, start.told);
    if (start.set_signals)
        block_signals(start.blocked);
    if (start.name[0] != '\0')
        pthread_setname_np(pthread_self(), start.name);
    is_service = start.service;
    start.fn(start.arg);
    if (start.service)
        // relaxed: a count
        __atomic_fetch_sub(&service_count, 1, __ATOMIC_RELAXED);
    return NULL;
}

// The one thread of a child serves nobody.
static void fresh(void)
{
    service_count = 0;
    is_service = false;
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

bool wi_os_thread_is_service(void)
{
    return is_service;
}

// glibc takes the thread-local variables out of the stack: with many of them
// there would be little left, or too little for it to make the thread.
static int set_stack(pthread_attr_t *attr, size_t size)
{
    if (size == 0)
        return 0;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t locals = wi_os_module_locals();
    if (size > SIZE_MAX - page - locals)
        return EINVAL;
    if (size < (size_t)PTHREAD_STACK_MIN)
        size = (size_t)PTHREAD_STACK_MIN;
    size = (size + locals + page - 1) & ~(page - 1);
    return pthread_attr_setstacksize(attr, size);
}

static int put_on_cpus(pthread_t thread, const unsigned *cpus, size_t count)
{
    enum { MOST = 1 << 16 };
    unsigned last = 0;
    for (size_t i = 0; i < count; i++)
        last = cpus[i] > last ? cpus[i] : last;
    if (last >= MOST)
        return EINVAL;
    cpu_set_t *set = CPU_ALLOC(last + 1);
    size_t size = CPU_ALLOC_SIZE(last + 1);
    if (set == NULL)
        return ENOMEM;
    CPU_ZERO_S(size, set);
    for (size_t i = 0; i < count; i++)
        CPU_SET_S(cpus[i], size, set);
    int rc = pthread_setaffinity_np(thread, size, set);
    CPU_FREE(set);
    return rc;
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
    start->go = options->cpus != NULL ? GO_WAIT : GO_ON;
    pthread_t handle;
    if (rc == 0)
        rc = pthread_attr_getstacksize(&attr, &start->stack_size);
    start->told =
        options->stack_size != 0 ? options->stack_size : start->stack_size;
    if (rc == 0)
        rc = pthread_create(&handle, &attr, run, start);
    pthread_attr_destroy(&attr);
    if (rc != 0)
        free(start); // else the thread does
    else
        thread->handle = (uintptr_t)handle;
    if (rc != 0 || options->cpus == NULL)
        return -rc;
    rc = put_on_cpus(handle, options->cpus, options->cpu_count);
    let_go(start, rc == 0 ? GO_ON : GO_AWAY);
    if (rc != 0)
        pthread_join(handle, NULL);
    return -rc;
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

struct wi_os_thread wi_os_thread_self(void)
{
    return (struct wi_os_thread){(uintptr_t)pthread_self()};
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
