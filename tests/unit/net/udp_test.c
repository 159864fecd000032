// SPDX-License-Identifier: MIT
#include "net_test.h"

#include <arpa/inet.h>
#include <netinet/in.h>

KIT_BOTH(datagrams_with_addresses)
{
    struct weft_address a_address, b_address, from;
    char buf[100];
    int a = weft_udp_bind("127.0.0.1", 0), b = weft_udp_bind("127.0.0.1", 0);

    ck_assert_int_ge(a, 0);
    ck_assert_int_ge(b, 0);
    kit_assert_code(weft_socket_local(a, &a_address), 0);
    kit_assert_code(weft_socket_local(b, &b_address), 0);
    kit_assert_code(weft_socket_peer(a, &from), -ENOTCONN);
    ck_assert_uint_eq(from.len, 0);
    kit_assert_code(weft_udp_send(a, "question", 8, &b_address), 8);
    kit_assert_code(weft_udp_receive(b, buf, sizeof(buf), &from), 8);
    ck_assert_mem_eq(buf, "question", 8);
    ck_assert_uint_eq(weft_address_port(&from), weft_address_port(&a_address));
    kit_assert_code(weft_udp_send(b, "answer", 6, &from), 6);
    kit_assert_code(weft_udp_receive(a, buf, sizeof(buf), NULL), 6);
    ck_assert_mem_eq(buf, "answer", 6);
    // an empty one is one as well
    kit_assert_code(weft_udp_send(a, "", 0, &b_address), 0);
    kit_assert_code(weft_udp_receive(b, buf, sizeof(buf), &from), 0);
    kit_assert_code(weft_close(a), 0);
    kit_assert_code(weft_close(b), 0);
}

KIT_BOTH(one_that_is_too_large_is_lost_and_the_next_is_whole)
{
    struct weft_address address;
    static char buf[70000];
    int fd = weft_udp_bind("127.0.0.1", 0);

    kit_assert_code(weft_socket_local(fd, &address), 0);
    kit_assert_code(weft_udp_send(fd, "0123456789", 10, &address), 10);
    kit_assert_code(weft_udp_send(fd, "next", 4, &address), 4);
    kit_assert_code(weft_udp_receive(fd, buf, 9, NULL), -WEFT_ETOOBIG);
    kit_assert_code(weft_udp_receive(fd, buf, 9, NULL), 4);
    kit_assert_code(weft_udp_send(fd, buf, sizeof(buf), &address), -EMSGSIZE);
    kit_assert_code(weft_close(fd), 0);
}

struct receiver {
    int fd;
    ssize_t result;
    char buf[10];
};

static int receive(void *arg)
{
    struct receiver *r = arg;

    r->result = weft_udp_receive(r->fd, r->buf, sizeof(r->buf), NULL);
    return 0;
}

KIT_BOTH(receiving_waits_for_data_a_deadline_and_a_close)
{
    struct weft_address address;
    struct receiver r = {.fd = weft_udp_bind("127.0.0.1", 0)};

    kit_assert_code(weft_socket_local(r.fd, &address), 0);
    {
        WEFT_TIMEOUT(0.01);
        kit_assert_code(weft_udp_receive(r.fd, r.buf, 1, NULL), -ETIMEDOUT);
    }
    weft_future *task = weft_task_start(receive, &r);
    weft_yield();
    kit_assert_code(weft_udp_send(r.fd, "late", 4, &address), 4);
    kit_assert_code(weft_join(task), 0);
    kit_assert_code(r.result, 4);
    kit_assert_code(weft_close(r.fd), 0);
}

KIT_TASK(closing_ends_a_receive)
{
    struct receiver r = {.fd = weft_udp_bind("127.0.0.1", 0)};
    weft_future *task = weft_task_start(receive, &r);

    weft_yield();
    kit_assert_code(weft_close(r.fd), 0);
    kit_assert_code(weft_join(task), 0);
    kit_assert_code(r.result, -ECANCELED);
}

KIT_BOTH(a_peer_of_ones_own)
{
    struct weft_address address, from;
    char buf[10];
    int server = weft_udp_bind("127.0.0.1", 0), other, fd;

    kit_assert_code(weft_socket_local(server, &address), 0);
    fd = weft_udp_connect("127.0.0.1", weft_address_port(&address));
    other = weft_udp_bind("127.0.0.1", 0);
    ck_assert_int_ge(fd, 0);
    kit_assert_code(weft_write(fd, "one", 3), 3);
    kit_assert_code(weft_udp_receive(server, buf, sizeof(buf), &from), 3);
    kit_assert_code(weft_udp_send(other, "not for you", 11, &from), 11);
    kit_assert_code(weft_udp_send(server, "two", 3, &from), 3);
    kit_assert_code(weft_udp_receive(fd, buf, sizeof(buf), NULL), 3);
    ck_assert_mem_eq(buf, "two", 3);
    // nobody is there any more: the next call says so
    kit_assert_code(weft_close(server), 0);
    kit_assert_code(weft_udp_send(fd, "three", 5, NULL), 5);
    kit_assert_code(weft_udp_receive(fd, buf, sizeof(buf), NULL),
                    -ECONNREFUSED);
    kit_assert_code(weft_close(fd), 0);
    kit_assert_code(weft_close(other), 0);
}

KIT_BOTH(sockets_that_cannot_be_had)
{
    struct weft_address address;
    int fd = weft_udp_bind("127.0.0.1", 0);

    kit_assert_code(weft_socket_local(fd, &address), 0);
    int fds = weft_test_count_fds();
    kit_assert_code(weft_udp_bind("127.0.0.1", weft_address_port(&address)),
                    -EADDRINUSE);
    kit_assert_code(weft_udp_bind("192.0.2.1", 0), -EADDRNOTAVAIL);
    ck_assert_int_eq(weft_test_count_fds(), fds);
    kit_assert_code(weft_close(fd), 0);
    kit_assert_code(weft_udp_receive(fd, &(char){0}, 1, NULL), -EBADF);
    kit_assert_code(weft_udp_receive(-1, &(char){0}, 1, NULL), -EBADF);
}

static int option_of(int fd, int name)
{
    int value = -1;
    socklen_t size = sizeof(value);

    ck_assert_int_eq(getsockopt(fd, SOL_SOCKET, name, &value, &size), 0);
    return value;
}

KIT_BOTH(a_port_for_several_and_for_all_who_listen)
{
    struct weft_address address;
    int fd = weft_udp_bind("127.0.0.1", 0, .reuse_port = true), second;

    kit_assert_code(weft_socket_local(fd, &address), 0);
    uint16_t port = weft_address_port(&address);
    second = weft_udp_bind("127.0.0.1", port, .reuse_port = true);
    ck_assert_int_ge(second, 0);
    kit_assert_code(weft_udp_bind("127.0.0.1", port), -EADDRINUSE);
    ck_assert_int_eq(option_of(fd, SO_BROADCAST), 0);
    kit_assert_code(weft_close(fd), 0);
    kit_assert_code(weft_close(second), 0);
    fd = weft_udp_bind("127.0.0.1", 0, .broadcast = true);
    ck_assert_int_eq(option_of(fd, SO_BROADCAST), 1);
    ck_assert_int_eq(option_of(fd, SO_REUSEPORT), 0);
    kit_assert_code(weft_close(fd), 0);
}

WEFT_TEST_MAIN("udp")
