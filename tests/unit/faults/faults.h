// SPDX-License-Identifier: MIT
//
// faults.h: makes the n-th of the calls that ask for memory, a descriptor, a
// thread or room in a file fail, or so many from the n-th on. The linker
// redirects these calls of Weft and of the test here (--wrap); the C library's
// own are not met.
#ifndef FAULTS_H
#define FAULTS_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum fault_kind {
    FAULT_MEMORY = 1,
    FAULT_FDS = 2,
    FAULT_THREADS = 4,
    FAULT_ROOM = 8,     // in a file: that of shared memory
    FAULT_WATCHES = 16, // of descriptors, by epoll
    FAULT_SEALS = 32,   // against writing: busy
};

// Atomic, as the library's own threads make calls too.
static unsigned fault_kinds; // which calls are counted
static long fault_at = -1;   // calls until the one that fails
static long fault_length;    // and so many from it on
static long fault_calls;     // since the last call of faults_arm

static void faults_arm(unsigned kinds, long at, long length)
{
    __atomic_store_n(&fault_length, length, __ATOMIC_SEQ_CST);
    __atomic_store_n(&fault_calls, 0, __ATOMIC_SEQ_CST);
    __atomic_store_n(&fault_at, at, __ATOMIC_SEQ_CST);
    __atomic_store_n(&fault_kinds, kinds, __ATOMIC_SEQ_CST);
}

static bool fails(unsigned kind)
{
    if (!(__atomic_load_n(&fault_kinds, __ATOMIC_SEQ_CST) & kind))
        return false;
    long n = __atomic_fetch_add(&fault_calls, 1, __ATOMIC_SEQ_CST);
    long at = __atomic_load_n(&fault_at, __ATOMIC_SEQ_CST);
    long length = __atomic_load_n(&fault_length, __ATOMIC_SEQ_CST);
    return at >= 0 && n >= at && n < at + length;
}

// A call that fails returns `failed`, with errno `code`.
#define FAULT(kind, type, name, failed, code, parameters, arguments)           \
    type __real_##name parameters;                                             \
    type __wrap_##name parameters;                                             \
    type __wrap_##name parameters                                              \
    {                                                                          \
        if (!fails(kind))                                                      \
            return __real_##name arguments;                                    \
        errno = code;                                                          \
        return failed;                                                         \
    }

#define MEMORY_FAULT(name, parameters, arguments)                              \
    FAULT(FAULT_MEMORY, void *, name, NULL, ENOMEM, parameters, arguments)
#define FD_FAULT(name, parameters, arguments)                                  \
    FAULT(FAULT_FDS, int, name, -1, EMFILE, parameters, arguments)

MEMORY_FAULT(malloc, (size_t size), (size))
MEMORY_FAULT(calloc, (size_t n, size_t size), (n, size))
MEMORY_FAULT(realloc, (void *p, size_t size), (p, size))
MEMORY_FAULT(aligned_alloc, (size_t align, size_t size), (align, size))
FAULT(FAULT_MEMORY, char *, strdup, NULL, ENOMEM, (const char *s), (s))
FAULT(FAULT_MEMORY, char *, strndup, NULL, ENOMEM, (const char *s, size_t n),
      (s, n))
FAULT(FAULT_MEMORY, void *, mmap, MAP_FAILED, ENOMEM,
      (void *p, size_t size, int prot, int flags, int fd, off_t offset),
      (p, size, prot, flags, fd, offset))

FD_FAULT(eventfd, (unsigned count, int flags), (count, flags))
FD_FAULT(epoll_create1, (int flags), (flags))
FD_FAULT(socket, (int domain, int type, int protocol), (domain, type, protocol))
FD_FAULT(socketpair, (int domain, int type, int protocol, int *fds),
         (domain, type, protocol, fds))
FD_FAULT(pipe2, (int *fds, int flags), (fds, flags))
FD_FAULT(memfd_create, (const char *name, unsigned flags), (name, flags))
FD_FAULT(accept4, (int fd, struct sockaddr *addr, socklen_t *len, int flags),
         (fd, addr, len, flags))

#define ROOM_FAULT(type, name, parameters, arguments)                          \
    FAULT(FAULT_ROOM, type, name, -1, ENOSPC, parameters, arguments)

ROOM_FAULT(int, ftruncate, (int fd, off_t size), (fd, size))
ROOM_FAULT(int, fallocate, (int fd, int mode, off_t at, off_t size),
           (fd, mode, at, size))
ROOM_FAULT(ssize_t, pwrite, (int fd, const void *data, size_t size, off_t at),
           (fd, data, size, at))

int __real_epoll_ctl(int set, int op, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int set, int op, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int set, int op, int fd, struct epoll_event *event)
{
    if (op != EPOLL_CTL_ADD || !fails(FAULT_WATCHES))
        return __real_epoll_ctl(set, op, fd, event);
    errno = ENOSPC;
    return -1;
}

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
    va_list list;
    va_start(list, flags);
    int mode = flags & O_CREAT ? va_arg(list, int) : 0;
    va_end(list);
    if (!fails(FAULT_FDS))
        return __real_open(path, flags, mode);
    errno = EMFILE;
    return -1;
}

int __real_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...)
{
    va_list list;
    va_start(list, command);
    long argument = va_arg(list, long);
    va_end(list);
    if (command != F_ADD_SEALS || !(argument & F_SEAL_WRITE) ||
        !fails(FAULT_SEALS))
        return __real_fcntl(fd, command, argument);
    errno = EBUSY;
    return -1;
}

int __real_pthread_create(pthread_t *, const pthread_attr_t *,
                          void *(*)(void *), void *);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
                          void *(*fn)(void *), void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
                          void *(*fn)(void *), void *arg)
{
    return fails(FAULT_THREADS) ? EAGAIN
                                : __real_pthread_create(thread, attr, fn, arg);
}

#endif
