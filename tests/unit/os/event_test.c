// SPDX-License-Identifier: MIT
#include "os/event.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "os/clock.h"
#include "os/watch.h"
#include "weft_test.h"

WEFT_TEST(a_deadline_that_has_passed_is_no_error)
{
    const int64_t past[] = {0, 1, wi_os_now() - 1};
    int fd = wi_os_event_new(), set = wi_os_watch_open(), tag;
    struct pollfd one = {.fd = fd, .events = POLLIN};
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(wi_os_watch_add(set, fd, &tag), 0);
    for (int ready = 0; ready < 2; ready++) {
        for (int i = 0; i < 3; i++) {
            ck_assert_int_eq(wi_os_poll(&one, 1, past[i]), ready);
            ck_assert_ptr_eq(wi_os_watch_wait(set, past[i]),
                             ready ? &tag : NULL);
        }
        wi_os_event_set(fd);
    }
    wi_os_event_take(fd);
    ck_assert_int_eq(wi_os_poll(&one, 1, 0), 0);
    wi_os_close(set);
    wi_os_close(fd);
    ck_assert(!wi_os_fd_is_open(fd));
}

WEFT_TEST(without_a_descriptor_left_there_is_a_code)
{
    struct rlimit before, none = {0, 0};
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    none.rlim_max = before.rlim_max;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    ck_assert_uint_eq(wi_os_fd_limit(), 0);
    ck_assert_int_eq(wi_os_event_new(), -EMFILE);
    ck_assert_int_eq(wi_os_watch_open(), -EMFILE);
    ck_assert_int_eq(wi_os_dup(STDERR_FILENO), -EINVAL); // as fcntl has it
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
}

WEFT_TEST(a_copy_goes_at_exec)
{
    int copy = wi_os_dup(STDERR_FILENO);
    ck_assert_int_ge(copy, 0);
    ck_assert_int_eq(fcntl(copy, F_GETFD), FD_CLOEXEC);
    ck_assert_int_eq(wi_os_dup(copy + 100), -EBADF);
    wi_os_close(copy);
}

WEFT_TEST_MAIN("event")
