// SPDX-License-Identifier: MIT
//
// A zygote, in its own process: one thread, which waits for orders. A copy is a
// child of our parent (os/sibling.h); it takes its descriptors and goes on in
// entry.c as if it had been executed.
#include "process/zygote.h"

#include <errno.h>
#include <string.h>

#include "future/fork.h"
#include "os/backtrace.h"
#include "os/blocked.h"
#include "os/clock.h"
#include "os/event.h"
#include "os/local.h"
#include "os/memfd.h"
#include "os/place.h"
#include "os/process.h"
#include "os/sibling.h"
#include "process/boot.h"

// Not inlined: in a function that has this with several constants, LLVM 14's
// optimizer at link time moves a memset before a memcpy for ever.
static __attribute__((noinline)) void reply(bool hello, int rc, int pidfd)
{
    struct wi_zygote_reply said = {hello, rc};
    struct iovec part = {&said, sizeof said};
    const struct wi_local_fds fds = {.fd = {pidfd}, .n = pidfd >= 0};
    // The parent never leaves so many unread that it would not fit.
    if (wi_os_local_send(WI_BELL_FD, &part, 1, &fds) < 0)
        wi_os_leave(0);
}

static _Noreturn void become(const struct wi_os_launch *l)
{
    int none = -1;
    wi_os_join_group(l->group);
    if (wi_os_place_fds(l, &none) < 0)
        wi_os_exit_now(127);
    wi_os_unblock_signals();
    wi_os_set_name(wi_os_program_short_name());
    wi_entry_reborn(WI_LAUNCH_FD, true);
}

static int travelled(const struct wi_local_fds *fds, int index)
{
    return index < 0 ? index : index < (int)fds->n ? fds->fd[index] : -1;
}

static pid_t make(const struct wi_os_launch *l, int *pidfd)
{
    void *map;
    int rc = wi_os_memfd_map(l->fds[0], WI_BOOT_PAGES, &map);
    if (rc < 0)
        return rc;
    pid_t pid = wi_os_sibling(&wi_boot_words(map)->born, pidfd);
    if (pid == 0)
        become(l);
    wi_os_memfd_unmap(map, WI_BOOT_PAGES);
    return pid;
}

static void serve(const struct wi_zygote_order *order, struct wi_local_fds *fds)
{
    int places[WI_LAUNCH_FDS], pidfd = -1;
    struct wi_os_launch l = {.fds = places,
                             .fd_count = order->fd_count,
                             .group = (enum wi_launch_group)order->group};
    for (int i = 0; i < 3; i++)
        l.stdio[i] = travelled(fds, order->stdio[i]);
    for (unsigned i = 0; i < l.fd_count; i++)
        places[i] = travelled(fds, order->fds[i]);
    pid_t pid = make(&l, &pidfd);
    reply(false, pid, pidfd);
    if (pidfd >= 0)
        wi_os_close(pidfd);
    while (fds->n > 0)
        wi_os_close(fds->fd[--fds->n]);
}

// Preload functions must leave no thread: a copy would lack it.
static void check_alone(struct wi_boot *boot)
{
    if (wi_os_thread_count() > 1)
        wi_boot_cannot(boot, -EBUSY, "the preload function leaves threads");
}

// What each copy would have to do first, done once: a page that is not written
// there is not copied.
static void make_ready_to_copy(void)
{
    wi_fork_refresh();
    wi_os_backtrace_prepare(); // the preload function may have loaded modules
    wi_os_flush();             // or each copy would write it
}

_Noreturn void wi_zygote_main(struct wi_boot *boot)
{
    struct wi_zygote_order order;
    struct wi_local_fds fds;
    int rc = wi_os_sibling_prepare();
    if (rc < 0) {
        reply(true, rc, -1);
        wi_os_leave(0);
    }
    rc = wi_boot_preload(boot);
    if (rc < 0)
        wi_boot_cannot(boot, rc, "the preload function");
    check_alone(boot);
    make_ready_to_copy();
    wi_boot_reach(boot, WI_STAGE_READY);
    reply(true, 0, -1);
    for (;;) {
        struct pollfd heard = {.fd = WI_BELL_FD, .events = POLLIN};
        struct iovec part = {&order, sizeof order};
        wi_os_poll(&heard, 1, WI_FOREVER);
        ssize_t n = wi_os_local_receive(WI_BELL_FD, &part, 1, &fds);
        if (n == (ssize_t)sizeof order && order.fd_count <= WI_LAUNCH_FDS)
            serve(&order, &fds);
        else if (n == -EMSGSIZE) // no room for the descriptors
            reply(false, -EMFILE, -1);
        else if (n != -EAGAIN)
            wi_os_leave(0); // the parent wants no more, or has gone
    }
}
