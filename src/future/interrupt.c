// SPDX-License-Identifier: MIT
//
// interrupt.c: a signal handler may not cancel a group, but it may wake a task:
// one of the run's own waits for that and does it.
#include "future/interrupt.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include <weft/future.h>
#include <weft/task.h>

#include "base/fresh.h"
#include "os/interrupt.h"

static struct {
    uint32_t taken;       // a run has it; any thread, atomically
    uint32_t came;        // SIGINT; the handler sets it, the watcher looks
    weft_waiter *watcher; // the handler wakes it; atomically
    weft_group *root;     // what it cancels
    weft_future *watch;   // its task; NULL: SIGINT is ignored
} interrupt;

static void forget(void)
{
    memset(&interrupt, 0, sizeof(interrupt));
}

__attribute__((constructor)) static void watch_forks(void)
{
    wi_fresh_add(forget);
}

// In the signal handler.
static void on_first(void)
{
    weft_waiter *watcher;

    // seq_cst, all four: either the watcher sees that it came, or the handler
    // sees the watcher
    __atomic_store_n(&interrupt.came, 1, __ATOMIC_SEQ_CST);
    watcher = __atomic_load_n(&interrupt.watcher, __ATOMIC_SEQ_CST);
    if (watcher != NULL)
        weft_unpark_signal(watcher);
}

// The watcher; canceled when the run's body has ended.
static int watch(void *arg)
{
    int rc = 0;

    (void)arg;
    __atomic_store_n(&interrupt.watcher, weft_self(), __ATOMIC_SEQ_CST);
    while (rc == 0 && !__atomic_load_n(&interrupt.came, __ATOMIC_SEQ_CST))
        rc = weft_park((double)INFINITY);
    if (rc == 0)
        weft_group_cancel(interrupt.root);
    return 0;
}

// Without it the first SIGINT would do nothing at all.
static int start_watcher(void)
{
    interrupt.watch =
        weft_task_start(watch, NULL, .group = interrupt.root, .name = "SIGINT");
    return weft_done(interrupt.watch) ? weft_future_code(interrupt.watch) : 0;
}

int wi_interrupt_begin(weft_group *root)
{
    // acquire: pairs with the release in wi_interrupt_end
    if (__atomic_exchange_n(&interrupt.taken, 1, __ATOMIC_ACQUIRE))
        return -EBUSY;
    interrupt.root = root;
    interrupt.watcher = NULL;
    interrupt.came = 0;
    interrupt.watch = NULL;
    int rc = wi_os_interrupt_begin(on_first);
    if (rc > 0)
        rc = start_watcher();
    if (rc < 0)
        wi_interrupt_end();
    return rc;
}

// The watcher may not have begun yet, on another worker. It must not find the
// next run here.
static void end_watcher(void)
{
    struct weft_scope shield;

    if (interrupt.watch == NULL)
        return;
    weft_cancel(interrupt.watch);
    weft_shield_enter(&shield, (double)INFINITY);
    weft_join(interrupt.watch);
    weft_scope_leave(&shield);
}

void wi_interrupt_end(void)
{
    wi_os_interrupt_end();
    end_watcher();
    // release: pairs with the acquire in wi_interrupt_begin
    __atomic_store_n(&interrupt.taken, 0, __ATOMIC_RELEASE);
}
