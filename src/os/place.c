// SPDX-License-Identifier: MIT
//
// What a child does with the descriptors that it has been born with. Between
// clone and exec it may share the parent's memory: only system calls, nothing
// is written but the child's own stack.
#include "os/place.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

static void close_range_of(int first, unsigned last)
{
    if (first >= 0 && (unsigned)first <= last)
        syscall(SYS_close_range, (unsigned)first, last, 0);
}

// Closes all but 0, 1, 2 and the n that are kept: there must be free numbers
// for the next step even if the parent has none left. Where the kernel refuses,
// they become close-on-exec later.
static void close_others(int *keep, int n)
{
    for (int i = 1; i < n; i++) { // sort
        for (int k = i; k > 0 && keep[k - 1] > keep[k]; k--) {
            int other = keep[k];
            keep[k] = keep[k - 1];
            keep[k - 1] = other;
        }
    }
    int first = STDERR_FILENO + 1;
    for (int i = 0; i < n; i++) {
        if (keep[i] < first)
            continue;
        close_range_of(first, (unsigned)keep[i] - 1);
        first = keep[i] + 1;
    }
    close_range_of(first, ~0u);
}

// What goes where: all descriptors of a child, the first three with them.
struct move {
    int from, high, to; // high: where it waits until its place is free
};

struct moves {
    struct move move[3 + WI_LAUNCH_FDS];
    int n;
};

static void list_moves(const struct wi_os_launch *l, struct moves *moves)
{
    moves->n = 0;
    for (int i = 0; i < 3; i++)
        if (l->stdio[i] >= 0)
            moves->move[moves->n++] = (struct move){l->stdio[i], -1, i};
    for (unsigned i = 0; i < l->fd_count; i++)
        if (l->fds[i] >= 0)
            moves->move[moves->n++] =
                (struct move){l->fds[i], -1, WI_LAUNCH_FD + (int)i};
}

static void close_unneeded(const struct moves *moves, int also)
{
    int keep[3 + WI_LAUNCH_FDS + 1], n = 0;
    for (int i = 0; i < moves->n; i++)
        keep[n++] = moves->move[i].from;
    if (also >= 0)
        keep[n++] = also;
    close_others(keep, n);
}

// The first number above the fixed ones.
static int first_free(const struct wi_os_launch *l)
{
    return WI_LAUNCH_FD + (int)l->fd_count + 1;
}

static bool needed_later(const struct moves *moves, int i)
{
    int fd = moves->move[i].from;
    bool later = fd <= STDERR_FILENO;
    for (int k = i + 1; k < moves->n; k++)
        later |= moves->move[k].from == fd;
    return later;
}

// Moves a descriptor out of the way of the fixed ones. The table of descriptors
// is the child's own.
static int move_up(const struct wi_os_launch *l, int fd, bool keep)
{
    int high = fcntl(fd, F_DUPFD_CLOEXEC, first_free(l));
    int rc = high < 0 ? -errno : high;
    if (!keep)
        close(fd);
    return rc;
}

static int open_null(int to)
{
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return 0; // a bare chroot: keep what there is
    int rc = dup2(fd, to) < 0 ? -errno : 0;
    if (fd != to)
        close(fd);
    return rc;
}

// Moves the descriptors to their places. All go high up first, for one may lie
// where another has to go; one at a time, so that one free number is enough.
static int place(const struct wi_os_launch *l, struct moves *moves)
{
    for (int i = 0; i < moves->n; i++) {
        struct move *move = &moves->move[i];
        move->high = move_up(l, move->from, needed_later(moves, i));
        if (move->high < 0)
            return move->high;
    }
    for (unsigned i = 0; i < l->fd_count; i++)
        close(WI_LAUNCH_FD + (int)i);
    for (int i = 0; i < moves->n; i++)
        if (dup2(moves->move[i].high, moves->move[i].to) < 0)
            return -errno;
    return 0;
}

static int place_nulls(const struct wi_os_launch *l)
{
    int rc = 0;
    for (int i = 0; i < 3 && rc == 0; i++)
        if (l->stdio[i] == WI_LAUNCH_NULL)
            rc = open_null(i);
    return rc;
}

int wi_os_place_fds(const struct wi_os_launch *l, int *also)
{
    struct moves moves;
    list_moves(l, &moves);
    close_unneeded(&moves, *also);
    if (*also >= 0 && (*also = move_up(l, *also, false)) < 0)
        return *also;
    int rc = place(l, &moves);
    return rc < 0 ? rc : place_nulls(l);
}

// A copy of each of n descriptors at numbers that follow one another, all of
// them free before. The first number, or a negative code.
static int copy_in_a_row(const int *fds, unsigned n)
{
    int first = fcntl(fds[0], F_DUPFD_CLOEXEC, WI_LAUNCH_FD);
    for (unsigned i = 1; i < n && first >= 0;) {
        int from = fds[i] >= 0 ? fds[i] : fds[0]; // keeps the place
        int at = fcntl(from, F_DUPFD_CLOEXEC, first + (int)i);
        if (at < 0)
            return -errno;
        if (at == first + (int)i) {
            i++;
            continue;
        }
        // One in between is open: begin anew behind it.
        close(at);
        for (unsigned k = 0; k < i; k++)
            close(first + (int)k);
        first = fcntl(fds[0], F_DUPFD_CLOEXEC, at);
        i = 1;
    }
    return first < 0 ? -errno : first;
}

int wi_os_add_fds(const struct wi_os_launch *l)
{
    int first = copy_in_a_row(l->fds, l->fd_count);
    for (unsigned i = 0; i < l->fd_count && first >= 0; i++)
        if (l->fds[i] < 0)
            close(first + (int)i);
    int high[3] = {-1, -1, -1}, rc = first < 0 ? first : place_nulls(l);
    for (int i = 0; i < 3 && rc == 0; i++)
        if (l->stdio[i] >= 0 && (high[i] = move_up(l, l->stdio[i], true)) < 0)
            rc = high[i];
    for (int i = 0; i < 3 && rc == 0; i++)
        if (high[i] >= 0 && dup2(high[i], i) < 0)
            rc = -errno;
    for (int i = 0; i < 3; i++)
        if (high[i] >= 0)
            close(high[i]);
    return rc < 0 ? rc : first;
}

void wi_os_join_group(enum wi_launch_group group)
{
    if (group == WI_LAUNCH_SESSION)
        setsid();
    else if (group == WI_LAUNCH_OWN_GROUP)
        setpgid(0, 0);
}
