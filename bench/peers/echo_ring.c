// SPDX-License-Identifier: MIT
// echo: a server on descriptor 3, a loop around a ring, with what the kernel
// has to offer: accept and receive are asked for once, buffers are provided,
// one call a turn. See bench/echo.c.
#include <liburing.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LISTENER = 3, BUFFERS = 16384, BUFFER = 256, ENTRIES = 4096 };
enum op { ACCEPT, RECEIVE, SEND };

static struct io_uring ring;
static struct io_uring_buf_ring *provided;
static char *memory;

// What comes back with a result: the operation, its descriptor and buffer.
static void tag(struct io_uring_sqe *sqe, enum op op, int fd, unsigned buffer)
{
    io_uring_sqe_set_data64(sqe, (uint64_t)op << 48 | (uint64_t)buffer << 32 |
                                     (uint32_t)fd);
}

static struct io_uring_sqe *next(void)
{
    struct io_uring_sqe *sqe;
    while ((sqe = io_uring_get_sqe(&ring)) == NULL)
        io_uring_submit(&ring);
    return sqe;
}

static void accept_all(void)
{
    struct io_uring_sqe *sqe = next();
    io_uring_prep_multishot_accept(sqe, LISTENER, NULL, NULL, SOCK_CLOEXEC);
    tag(sqe, ACCEPT, LISTENER, 0);
}

static void receive_all(int fd)
{
    struct io_uring_sqe *sqe = next();
    io_uring_prep_recv_multishot(sqe, fd, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    tag(sqe, RECEIVE, fd, 0);
}

static void provide(unsigned buffer)
{
    io_uring_buf_ring_add(provided, memory + (size_t)buffer * BUFFER, BUFFER,
                          (unsigned short)buffer,
                          io_uring_buf_ring_mask(BUFFERS), 0);
    io_uring_buf_ring_advance(provided, 1);
}

static void send_back(int fd, unsigned buffer, int size)
{
    struct io_uring_sqe *sqe = next();
    io_uring_prep_send(sqe, fd, memory + (size_t)buffer * BUFFER, (size_t)size,
                       MSG_NOSIGNAL | MSG_WAITALL);
    tag(sqe, SEND, fd, buffer);
}

static void received(const struct io_uring_cqe *cqe, int fd)
{
    if (cqe->res > 0)
        send_back(fd, cqe->flags >> IORING_CQE_BUFFER_SHIFT, cqe->res);
    else if (cqe->res != -ENOBUFS)
        close(fd);
    if (!(cqe->flags & IORING_CQE_F_MORE) &&
        (cqe->res > 0 || cqe->res == -ENOBUFS))
        receive_all(fd);
}

static void handle(const struct io_uring_cqe *cqe)
{
    uint64_t data = io_uring_cqe_get_data64(cqe);
    switch ((enum op)(data >> 48)) {
    case ACCEPT:
        if (cqe->res >= 0)
            receive_all(cqe->res);
        if (!(cqe->flags & IORING_CQE_F_MORE))
            accept_all();
        break;
    case RECEIVE:
        received(cqe, (int)(uint32_t)data);
        break;
    case SEND:
        provide(data >> 32 & 0xffff);
        break;
    }
}

static void open_ring(void)
{
    struct io_uring_params params = {.flags = IORING_SETUP_CQSIZE |
                                              IORING_SETUP_SINGLE_ISSUER |
                                              IORING_SETUP_DEFER_TASKRUN,
                                     .cq_entries = 2 * BUFFERS};
    size_t size = BUFFERS * sizeof(struct io_uring_buf);
    if (io_uring_queue_init_params(ENTRIES, &ring, &params) < 0)
        exit(1);
    provided = mmap(NULL, size, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memory = malloc((size_t)BUFFERS * BUFFER);
    struct io_uring_buf_reg reg = {.ring_addr = (uint64_t)(uintptr_t)provided,
                                   .ring_entries = BUFFERS};
    if (provided == MAP_FAILED || memory == NULL ||
        io_uring_register_buf_ring(&ring, &reg, 0) < 0)
        exit(1);
    io_uring_buf_ring_init(provided);
    for (unsigned i = 0; i < BUFFERS; i++)
        provide(i);
}

int main(void)
{
    open_ring();
    accept_all();
    for (;;) {
        struct io_uring_cqe *cqe;
        unsigned head, n = 0;
        io_uring_submit_and_wait(&ring, 1);
        io_uring_for_each_cqe(&ring, head, cqe)
        {
            handle(cqe);
            n++;
        }
        io_uring_cq_advance(&ring, n);
    }
}
