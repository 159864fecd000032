// SPDX-License-Identifier: MIT
#include "os/local.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "os/event.h"

static int local_socket(void)
{
    return wi_os_own_fd(
        socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

// The first byte of an abstract name is a NUL.
static socklen_t abstract(struct sockaddr_un *at, const char *name)
{
    size_t n = strnlen(name, sizeof at->sun_path - 1);
    memset(at, 0, sizeof *at);
    at->sun_family = AF_UNIX;
    memcpy(at->sun_path + 1, name, n);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + n);
}

static int listen_at(const struct sockaddr_un *at, socklen_t size)
{
    int fd = local_socket();
    if (fd < 0)
        return fd;
    if (bind(fd, (const struct sockaddr *)at, size) == 0 &&
        listen(fd, SOMAXCONN) == 0)
        return fd;
    int rc = -errno;
    close(fd);
    return rc;
}

static int connect_to(const struct sockaddr_un *at, socklen_t size)
{
    int fd = local_socket();
    if (fd < 0)
        return fd;
    if (connect(fd, (const struct sockaddr *)at, size) == 0)
        return fd;
    int rc = -errno;
    close(fd);
    return rc;
}

int wi_os_local_listen(const char *name)
{
    struct sockaddr_un at;
    socklen_t size = abstract(&at, name);
    return listen_at(&at, size);
}

int wi_os_local_connect(const char *name)
{
    struct sockaddr_un at;
    socklen_t size = abstract(&at, name);
    return connect_to(&at, size);
}

void wi_os_local_refuse(int fd)
{
    int queued;
    shutdown(fd, SHUT_RDWR);
    while ((queued = accept4(fd, NULL, NULL, SOCK_CLOEXEC)) >= 0)
        close(queued);
}

// Paths -----------------------------------------------------------------------

static int path_address(struct sockaddr_un *at, const char *path)
{
    size_t n = strlen(path);
    memset(at, 0, sizeof *at);
    at->sun_family = AF_UNIX;
    if (n == 0 || n >= sizeof at->sun_path)
        return -EINVAL;
    memcpy(at->sun_path, path, n);
    return 0;
}

// Whether the folder of the path belongs to this user alone.
static int check_folder(const char *path, bool make)
{
    char folder[sizeof(struct sockaddr_un)];
    struct stat st;
    const char *end = strrchr(path, '/');
    size_t n = end > path ? (size_t)(end - path) : 1;
    memcpy(folder, path, n);
    folder[n] = '\0';
    if (make && mkdir(folder, 0700) != 0 && errno != EEXIST)
        return -errno;
    if (stat(folder, &st) != 0)
        return -errno;
    bool ours = S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
                (st.st_mode & 077) == 0;
    return ours ? 0 : -EACCES;
}

// Removes the socket of a listener that is dead. In a folder of one user two
// that do this at once can only be two of his programs with the same name.
static int unlink_dead(const struct sockaddr_un *at)
{
    int fd = connect_to(at, sizeof *at);
    if (fd >= 0)
        close(fd);
    if (fd != -ECONNREFUSED)
        return -EADDRINUSE;
    return unlink(at->sun_path) == 0 ? 0 : -errno;
}

int wi_os_local_listen_at(const char *path)
{
    struct sockaddr_un at;
    int rc = path_address(&at, path);
    if (rc == 0)
        rc = check_folder(path, true);
    if (rc < 0)
        return rc;
    int fd = listen_at(&at, sizeof at);
    if (fd == -EADDRINUSE) {
        rc = unlink_dead(&at);
        fd = rc < 0 ? rc : listen_at(&at, sizeof at);
    }
    return fd;
}

int wi_os_local_connect_at(const char *path)
{
    struct sockaddr_un at;
    int rc = path_address(&at, path);
    if (rc == 0)
        rc = check_folder(path, false);
    return rc < 0 ? rc : connect_to(&at, sizeof at);
}

void wi_os_local_unlink(const char *path)
{
    unlink(path);
}

int wi_os_local_pair(int fds[2])
{
    int rc = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC,
                        0, fds);
    return wi_os_own_pair(rc, fds);
}

bool wi_os_local_is_one(int fd)
{
    int domain = 0, type = 0;
    struct sockaddr_un at;
    socklen_t size = sizeof domain, length = sizeof at;
    return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 &&
           getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 &&
           domain == AF_UNIX && type == SOCK_SEQPACKET &&
           getpeername(fd, (struct sockaddr *)&at, &length) == 0;
}

int wi_os_local_accept(int fd)
{
    return wi_os_own_fd(accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC));
}

int wi_os_local_peer(int fd, pid_t *pid, uid_t *uid, gid_t *gid)
{
    struct ucred peer;
    socklen_t size = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
        return -errno;
    *pid = peer.pid;
    *uid = peer.uid;
    *gid = peer.gid;
    return 0;
}

bool wi_os_local_same_user(int fd)
{
    pid_t pid;
    uid_t uid = (uid_t)-1;
    gid_t gid;
    return wi_os_local_peer(fd, &pid, &uid, &gid) == 0 && uid == geteuid();
}

// Messages --------------------------------------------------------------------

union control {
    struct cmsghdr head;
    char bytes[CMSG_SPACE(WI_LOCAL_FDS * sizeof(int))];
};

int wi_os_local_send(int fd, struct iovec *parts, int n,
                     const struct wi_local_fds *fds)
{
    union control space;
    struct msghdr m = {.msg_iov = parts, .msg_iovlen = (size_t)n};
    if (fds->n > 0) {
        size_t size = fds->n * sizeof(int);
        memset(&space, 0, sizeof space);
        space.head = (struct cmsghdr){.cmsg_len = CMSG_LEN(size),
                                      .cmsg_level = SOL_SOCKET,
                                      .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(&space.head), fds->fd, size);
        m.msg_control = &space;
        m.msg_controllen = CMSG_SPACE(size);
    }
    ssize_t sent;
    do
        sent = sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : 0;
}

// All descriptors that came, from however many control messages.
static void take_fds(struct msghdr *m, struct wi_local_fds *fds)
{
    struct cmsghdr *head = CMSG_FIRSTHDR(m);
    for (; head != NULL; head = CMSG_NXTHDR(m, head)) {
        if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
            continue;
        unsigned n = (unsigned)((head->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        for (unsigned i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(head) + i * sizeof fd, sizeof fd);
            if (fds->n < WI_LOCAL_FDS)
                fds->fd[fds->n++] = fd;
            else
                close(fd);
        }
    }
}

// False if there is no other number for one of them: it is closed.
static bool own_fds(struct wi_local_fds *fds)
{
    bool all = true;
    for (unsigned i = 0; i < fds->n; i++) {
        fds->fd[i] = wi_os_own_fd(fds->fd[i]);
        all &= fds->fd[i] >= 0;
    }
    return all;
}

ssize_t wi_os_local_receive(int fd, struct iovec *parts, int n,
                            struct wi_local_fds *fds)
{
    union control space;
    struct msghdr m = {.msg_iov = parts,
                       .msg_iovlen = (size_t)n,
                       .msg_control = &space,
                       .msg_controllen = sizeof space};
    ssize_t got;
    fds->n = 0;
    do
        got = recvmsg(fd, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return -errno;
    take_fds(&m, fds);
    // What finds no number is as what the kernel has cut off for that reason.
    if (own_fds(fds) && (m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0)
        return got;
    while (fds->n > 0)
        if (fds->fd[--fds->n] >= 0)
            close(fds->fd[fds->n]);
    return -EMSGSIZE;
}

int wi_os_local_give(int fd, int sent)
{
    char byte = 'a';
    struct iovec part = {&byte, 1};
    const struct wi_local_fds fds = {.fd = {sent}, .n = 1};
    return wi_os_local_send(fd, &part, 1, &fds);
}

int wi_os_local_take(int fd)
{
    char byte;
    struct iovec part = {&byte, 1};
    struct wi_local_fds fds;
    ssize_t n = wi_os_local_receive(fd, &part, 1, &fds);
    if (n == 1 && fds.n == 1)
        return fds.fd[0];
    while (fds.n > 0)
        close(fds.fd[--fds.n]);
    return n < 0 && n != -EMSGSIZE ? (int)n : -ECONNRESET;
}

unsigned wi_os_user(void)
{
    return geteuid();
}
