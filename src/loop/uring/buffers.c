// SPDX-License-Identifier: MIT
//
// buffers.c: the ring of buffers that multishot receives pick from.
//
// The kernel takes the buffers in the order in which they were given, so all
// that are in circulation pass through the cache in turn. Therefore few are at
// first, and more when the kernel has run out.
//
// liburing 2.3 can register such a ring but has no helper to make one.
#include <stdlib.h>
#include <sys/mman.h>

#include "loop/uring/uring.h"

#define FIRST     64
#define RING_SIZE (URING_BUFFERS * sizeof(struct io_uring_buf))
#define MAP_SIZE  (RING_SIZE + (size_t)URING_BUFFERS * URING_BUFFER_SIZE)

static struct uring_buffers *map(void)
{
    struct uring_buffers *buffers =
        calloc(1, sizeof(*buffers) + URING_BUFFERS * sizeof(buffers->info[0]));
    void *memory;

    if (!buffers)
        return NULL;
    memory = mmap(NULL, MAP_SIZE, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        free(buffers);
        return NULL;
    }
    // A page at a time as it is needed, not two megabytes at the first touch;
    // and a child after fork has no use for it.
    madvise(memory, MAP_SIZE, MADV_NOHUGEPAGE);
    madvise(memory, MAP_SIZE, MADV_DONTFORK);
    buffers->ring = memory;
    buffers->bytes = (char *)memory + RING_SIZE;
    return buffers;
}

struct uring_buffers *uring_buffers_open(struct io_uring *ring)
{
    struct uring_buffers *buffers = map();
    struct io_uring_buf_reg registration = {
        .ring_entries = URING_BUFFERS,
        .bgid = URING_GROUP,
    };

    if (!buffers)
        return NULL;
    registration.ring_addr = (uintptr_t)buffers->ring;
    if (io_uring_register_buf_ring(ring, &registration, 0) < 0) {
        munmap(buffers->ring, MAP_SIZE);
        free(buffers);
        return NULL;
    }
    io_uring_buf_ring_init(buffers->ring);
    uring_buffers_grow(buffers);
    uring_buffers_publish(buffers);
    return buffers;
}

// After the ring is gone: until then the kernel may write to the buffers.
void uring_buffers_close(struct uring_buffers *buffers)
{
    munmap(buffers->ring, MAP_SIZE);
    free(buffers);
}

bool uring_buffers_grow(struct uring_buffers *buffers)
{
    unsigned more = buffers->given ? buffers->given : FIRST;

    if (buffers->given == URING_BUFFERS)
        return false;
    for (unsigned i = 0; i < more; i++)
        uring_buffers_return(buffers, buffers->given + i);
    buffers->given += more;
    return true;
}

void uring_buffers_return(struct uring_buffers *buffers, unsigned number)
{
    io_uring_buf_ring_add(buffers->ring, uring_buffer(buffers, number),
                          URING_BUFFER_SIZE, (unsigned short)number,
                          URING_BUFFERS - 1, (int)buffers->returned++);
}

void uring_buffers_publish(struct uring_buffers *buffers)
{
    if (!buffers->returned)
        return;
    io_uring_buf_ring_advance(buffers->ring, (int)buffers->returned);
    buffers->returned = 0;
}
