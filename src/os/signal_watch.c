// SPDX-License-Identifier: MIT
//
// One handler for all signals that are watched. It may interrupt anything, so
// it looks through a fixed array of watches without a lock, marks the signal in
// those that want it and writes to their eventfds. A watch leaves the array
// first and goes when no handler runs any more: each counts itself in `inside`.
#include "os/signal_watch.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/fresh.h"
#include "os/event.h"
#include "os/futex.h"
#include "os/thread.h"

enum { WATCHES = 64, LAST = 64 };

static struct {
    struct wi_mutex lock;                      // for changes
    struct wi_os_signal_watch *watch[WATCHES]; // any, atomically
    uint32_t inside;                           // handlers that run
    uint64_t taken;                            // signals with our handler
    struct sigaction before[LAST];
} watches;

static uint64_t bit(int sig)
{
    return (uint64_t)1 << (sig - 1);
}

// Handlers of faults must not return; the others cannot be caught.
static uint64_t refused(void)
{
    return bit(SIGKILL) | bit(SIGSTOP) | bit(SIGSEGV) | bit(SIGBUS) |
           bit(SIGFPE) | bit(SIGILL) | bit(SIGTRAP) | bit(SIGSYS) |
           bit(SIGABRT);
}

static void on_signal(int sig)
{
    int saved = errno;
    // seq_cst, as the load below: pairs with leave, which takes the watch out
    // and then reads `inside`
    __atomic_fetch_add(&watches.inside, 1, __ATOMIC_SEQ_CST);
    for (int i = 0; i < WATCHES; i++) {
        struct wi_os_signal_watch *watch =
            __atomic_load_n(&watches.watch[i], __ATOMIC_SEQ_CST);
        if (watch == NULL || !(watch->mask & bit(sig)))
            continue;
        // release: pairs with wi_os_signal_take
        __atomic_fetch_or(&watch->pending, bit(sig), __ATOMIC_RELEASE);
        wi_os_event_set(watch->fd);
    }
    // release: pairs with the load in leave
    __atomic_fetch_sub(&watches.inside, 1, __ATOMIC_RELEASE);
    errno = saved;
}

// With the lock held.
static int take_signal(int sig)
{
    struct sigaction action = {.sa_handler = on_signal,
                               .sa_flags = SA_RESTART | SA_ONSTACK};
    if (watches.taken & bit(sig))
        return 0;
    sigfillset(&action.sa_mask);
    if (sigaction(sig, &action, &watches.before[sig - 1]) < 0)
        return -errno;
    watches.taken |= bit(sig);
    return 0;
}

// With the lock held: signals that nobody watches do what they did before, if
// nobody has put another handler there meanwhile.
static void give_back(void)
{
    uint64_t wanted = 0;
    for (int i = 0; i < WATCHES; i++)
        if (watches.watch[i] != NULL)
            wanted |= watches.watch[i]->mask;
    for (int sig = 1; sig <= LAST; sig++) {
        struct sigaction now;
        if (!(watches.taken & ~wanted & bit(sig)))
            continue;
        if (sigaction(sig, NULL, &now) == 0 && now.sa_handler == on_signal)
            sigaction(sig, &watches.before[sig - 1], NULL);
        watches.taken &= ~bit(sig);
    }
}

// With the lock held.
static int enter(struct wi_os_signal_watch *watch)
{
    int place = 0, rc = 0;
    while (place < WATCHES && watches.watch[place] != NULL)
        place++;
    if (place == WATCHES)
        return -ENOSPC;
    // seq_cst: pairs with the load in on_signal
    __atomic_store_n(&watches.watch[place], watch, __ATOMIC_SEQ_CST);
    for (int sig = 1; sig <= LAST && rc == 0; sig++)
        if (watch->mask & bit(sig))
            rc = take_signal(sig);
    return rc;
}

// With the lock held.
static void leave(struct wi_os_signal_watch *watch)
{
    for (int i = 0; i < WATCHES; i++)
        if (watches.watch[i] == watch)
            // seq_cst: before `inside` is read; pairs with on_signal
            __atomic_store_n(&watches.watch[i], NULL, __ATOMIC_SEQ_CST);
    give_back();
    while (__atomic_load_n(&watches.inside, __ATOMIC_SEQ_CST) != 0)
        wi_os_thread_yield();
}

int wi_os_signal_watch(struct wi_os_signal_watch *watch)
{
    if (watch->mask == 0 || (watch->mask & refused()))
        return -EINVAL;
    watch->pending = 0;
    watch->fd = wi_os_event_new();
    if (watch->fd < 0)
        return watch->fd;
    wi_mutex_lock(&watches.lock);
    int rc = enter(watch);
    if (rc < 0)
        leave(watch);
    wi_mutex_unlock(&watches.lock);
    if (rc < 0)
        wi_os_close(watch->fd);
    return rc;
}

void wi_os_signal_unwatch(struct wi_os_signal_watch *watch)
{
    wi_mutex_lock(&watches.lock);
    leave(watch);
    wi_mutex_unlock(&watches.lock);
}

int wi_os_signal_take(struct wi_os_signal_watch *watch)
{
    // relaxed: the CAS checks it
    uint64_t pending = __atomic_load_n(&watch->pending, __ATOMIC_RELAXED);
    // acquire: pairs with the release in on_signal
    while (pending != 0 &&
           !__atomic_compare_exchange_n(&watch->pending, &pending,
                                        pending & (pending - 1), true,
                                        __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        continue;
    return pending == 0 ? 0 : __builtin_ctzll(pending) + 1;
}

void wi_os_signal_seen(struct wi_os_signal_watch *watch)
{
    uint64_t count;
    int saved = errno;
    if (read(watch->fd, &count, sizeof count) < 0)
        count = 0; // somebody else was here
    errno = saved;
    // seq_cst: a mark that is missed here was made after the read, and makes
    // the descriptor readable itself
    if (__atomic_load_n(&watch->pending, __ATOMIC_SEQ_CST) != 0)
        wi_os_event_set(watch->fd);
}

// A child of fork begins with nothing taken.
static void fresh(void)
{
    for (int i = 0; i < WATCHES; i++)
        watches.watch[i] = NULL;
    watches.lock = (struct wi_mutex){0};
    watches.inside = 0;
    give_back();
}

__attribute__((constructor)) static void register_fresh(void)
{
    wi_fresh_add(fresh);
}
