// SPDX-License-Identifier: MIT
//
// What the other side of a local socket may send instead of one descriptor.
#include "os/local.h"

#include <dirent.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "weft_test.h"

static int open_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int n = 0;
    ck_assert_ptr_nonnull(dir);
    while (readdir(dir) != NULL)
        n++;
    closedir(dir);
    return n;
}

static void send_some(int fd, unsigned descriptors)
{
    char byte = 'x';
    struct iovec part = {&byte, 1};
    struct wi_local_fds fds = {.n = descriptors};
    for (unsigned i = 0; i < descriptors; i++)
        fds.fd[i] = STDERR_FILENO;
    ck_assert_int_eq(wi_os_local_send(fd, &part, 1, &fds), 0);
}

WEFT_TEST(one_descriptor_and_nothing_else_is_taken)
{
    int pair[2];
    ck_assert_int_eq(wi_os_local_pair(pair), 0);
    int before = open_descriptors();
    ck_assert_int_eq(wi_os_local_take(pair[1]), -EAGAIN);
    const unsigned wrong[] = {0, 2, 7, WI_LOCAL_FDS};
    for (int i = 0; i < 4; i++) {
        send_some(pair[0], wrong[i]);
        ck_assert_int_eq(wi_os_local_take(pair[1]), -ECONNRESET);
        ck_assert_int_eq(open_descriptors(), before);
    }
    ck_assert_int_eq(wi_os_local_give(pair[0], STDERR_FILENO), 0);
    int got = wi_os_local_take(pair[1]);
    ck_assert_int_ge(got, 0);
    ck_assert_int_eq(open_descriptors(), before + 1);
    close(got);
    close(pair[0]);
    ck_assert_int_eq(wi_os_local_take(pair[1]), -ECONNRESET);
    close(pair[1]);
}

// Longer than there is room for: it is gone, with what came with it.
WEFT_TEST(a_message_that_is_too_long_leaves_nothing)
{
    int pair[2];
    char text[8] = "longer", room[2];
    struct iovec part = {text, sizeof text}, small = {room, sizeof room};
    struct wi_local_fds fds = {.fd = {STDERR_FILENO}, .n = 1};
    ck_assert_int_eq(wi_os_local_pair(pair), 0);
    int before = open_descriptors();
    ck_assert_int_eq(wi_os_local_send(pair[0], &part, 1, &fds), 0);
    ck_assert_int_eq(wi_os_local_receive(pair[1], &small, 1, &fds), -EMSGSIZE);
    ck_assert_uint_eq(fds.n, 0);
    ck_assert_int_eq(open_descriptors(), before);
    close(pair[0]);
    close(pair[1]);
}

WEFT_TEST_MAIN("local")
