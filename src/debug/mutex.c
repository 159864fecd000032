// SPDX-License-Identifier: MIT
//
// libweft-debug.so. A mutex of the operating system belongs to a thread; a task
// that waits while it holds one leaves the thread to other tasks, and the first
// of them that locks the same mutex stops the thread for ever. So this library
// defines pthread_mutex_lock and its like before the C library does, calls the
// C library's own, keeps a list of what each thread holds, and is told by Weft
// when a task is about to wait.
//
// A task never changes its thread, so the list is the thread's, and what stands
// there and was not reported before was locked by the task that waits now.
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

enum { MOST_HELD = 64, MOST_TOLD = 256, FRAMES = 32, PLACE = 256 };

typedef int one_function(pthread_mutex_t *mutex);
typedef int timed_function(pthread_mutex_t *mutex, const struct timespec *at);
typedef int clock_function(pthread_mutex_t *mutex, clockid_t clock,
                           const struct timespec *at);

// The C library's; the same for all threads that look them up.
static one_function *next_lock, *next_try, *next_unlock;
static timed_function *next_timed;
static clock_function *next_clock;

struct held {
    pthread_mutex_t *mutex;
    const void *site;
    bool told;
};

static __thread struct held held[MOST_HELD]; // beyond that many: not seen
static __thread unsigned held_count;

static const void *told[MOST_TOLD]; // sites, atomic

// What the library is made of -------------------------------------------------

static void *next(const char *name)
{
    void *fn = dlsym(RTLD_NEXT, name);
    if (fn == NULL) {
        static const char text[] =
            "weft-debug: the C library's pthread_mutex_* were not found\n";
        if (write(STDERR_FILENO, text, sizeof text - 1) < 0)
            _exit(127);
        abort();
    }
    return fn;
}

// A pointer to a function out of one to data, as POSIX wants it of dlsym.
#define FIND(place, name)                                                      \
    do {                                                                       \
        /* relaxed, both: every thread finds the same */                       \
        if (__atomic_load_n(&(place), __ATOMIC_RELAXED) == NULL) {             \
            void *found = next(name);                                          \
            __atomic_store_n((void **)&(place), found, __ATOMIC_RELAXED);      \
        }                                                                      \
    } while (0)

__attribute__((constructor)) static void find_all(void)
{
    void *frame;
    FIND(next_lock, "pthread_mutex_lock");
    FIND(next_try, "pthread_mutex_trylock");
    FIND(next_unlock, "pthread_mutex_unlock");
    FIND(next_timed, "pthread_mutex_timedlock");
    backtrace(&frame, 1); // the first one loads a library
}

// Reports ---------------------------------------------------------------------

static void describe(const void *code, char *text)
{
    Dl_info info;
    const char *file;
    if (dladdr(code, &info) == 0 || info.dli_fname == NULL) {
        snprintf(text, PLACE, "%p", code);
        return;
    }
    file = strrchr(info.dli_fname, '/');
    file = file != NULL ? file + 1 : info.dli_fname;
    snprintf(text, PLACE, "%s+0x%lx%s%s%s", file,
             (unsigned long)((const char *)code - (const char *)info.dli_fbase),
             info.dli_sname != NULL ? " (" : "",
             info.dli_sname != NULL ? info.dli_sname : "",
             info.dli_sname != NULL ? ")" : "");
}

static const void *module_of(const void *code)
{
    Dl_info info;
    return dladdr(code, &info) != 0 ? info.dli_fbase : NULL;
}

// Where the program called into Weft: the first place that is neither here nor
// there. In a program that has Weft within, the first place at all.
static const void *outer_site(const void *inner)
{
    void *frames[FRAMES];
    int n = backtrace(frames, FRAMES);
    const void *here = module_of((const void *)(uintptr_t)&outer_site);
    const void *weft = module_of(inner);
    for (int i = 0; i < n; i++) {
        const void *module = module_of(frames[i]);
        if (module != here && module != weft)
            return frames[i];
    }
    return inner;
}

// Whether it is the first time for that place.
static bool is_new(const void *site)
{
    for (unsigned i = 0; i < MOST_TOLD; i++) {
        const void *free_place = NULL;
        // relaxed, both: a set of addresses
        if (__atomic_compare_exchange_n(&told[i], &free_place, site, false,
                                        __ATOMIC_RELAXED, __ATOMIC_RELAXED))
            return true;
        if (free_place == site)
            return false;
    }
    return false;
}

static void report(const struct held *h, uint64_t id, const char *name,
                   const void *site)
{
    char text[1024], locked[PLACE], waits[PLACE];
    describe(h->site, locked);
    describe(site, waits);
    int n = snprintf(text, sizeof text,
                     "weft-debug: task %llu%s%s waits at %s while it holds "
                     "mutex %p, locked at %s: who locks that in another task "
                     "of this thread stops all of them\n",
                     (unsigned long long)id, name[0] != '\0' ? " " : "", name,
                     waits, (void *)h->mutex, locked);
    if (n > (int)sizeof text - 1)
        n = (int)sizeof text - 1;
    if (write(STDERR_FILENO, text, (size_t)n) < 0)
        return;
    const char *policy = secure_getenv("WEFT_DEBUG");
    if (policy != NULL && strcmp(policy, "abort") == 0)
        abort();
}

// Weft calls this before a task leaves its thread to others.
EXPORT void weft_debug_waits(uint64_t id, const char *name);
void weft_debug_waits(uint64_t id, const char *name)
{
    const void *inner = __builtin_return_address(0);
    int saved = errno; // the caller's wait keeps it
    for (unsigned i = 0; i < held_count; i++) {
        if (held[i].told)
            continue;
        held[i].told = true;
        if (is_new(held[i].site))
            report(&held[i], id, name, outer_site(inner));
    }
    errno = saved;
}

// The mutexes -----------------------------------------------------------------

static int took(pthread_mutex_t *mutex, int rc, const void *site)
{
    if ((rc == 0 || rc == EOWNERDEAD) && held_count < MOST_HELD)
        held[held_count++] = (struct held){mutex, site, false};
    return rc;
}

static void gave(const pthread_mutex_t *mutex)
{
    unsigned i = held_count;
    while (i > 0 && held[i - 1].mutex != mutex)
        i--;
    if (i == 0)
        return;
    memmove(&held[i - 1], &held[i], (held_count - i) * sizeof *held);
    held_count--;
}

EXPORT int pthread_mutex_lock(pthread_mutex_t *mutex)
{
    FIND(next_lock, "pthread_mutex_lock");
    return took(mutex, next_lock(mutex), __builtin_return_address(0));
}

EXPORT int pthread_mutex_trylock(pthread_mutex_t *mutex)
{
    FIND(next_try, "pthread_mutex_trylock");
    return took(mutex, next_try(mutex), __builtin_return_address(0));
}

EXPORT int pthread_mutex_timedlock(pthread_mutex_t *mutex,
                                   const struct timespec *at)
{
    FIND(next_timed, "pthread_mutex_timedlock");
    return took(mutex, next_timed(mutex, at), __builtin_return_address(0));
}

// Not in every C library.
EXPORT int pthread_mutex_clocklock(pthread_mutex_t *mutex, clockid_t clock,
                                   const struct timespec *at)
{
    FIND(next_clock, "pthread_mutex_clocklock");
    return took(mutex, next_clock(mutex, clock, at),
                __builtin_return_address(0));
}

EXPORT int pthread_mutex_unlock(pthread_mutex_t *mutex)
{
    FIND(next_unlock, "pthread_mutex_unlock");
    gave(mutex);
    return next_unlock(mutex);
}
