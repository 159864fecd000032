// SPDX-License-Identifier: MIT
// A program that was started without standard input, output or error, or has
// closed them: none of what Weft opens for itself may get their numbers. Else
// the program would read and write it, and so would its children.
#include "jobs.h"

#include <fcntl.h>
#include <signal.h>

static void close_standard(void)
{
    for (int fd = 0; fd < 3; fd++)
        close(fd);
}

static bool all_closed(void)
{
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) >= 0)
            return false;
    return true;
}

// What other threads of Weft's open has a low number for the moment that it
// takes to move it.
static void await_closed(void)
{
    while (!all_closed())
        weft_yield();
}

static int read_standard_input(void *arg)
{
    char byte;
    (void)arg;
    WEFT_TIMEOUT(weft_test_seconds(10));
    return (int)weft_read(0, &byte, 1);
}

WEFT_TEST(a_task_reads_no_closed_standard_input)
{
    close(0);
    ck_assert_int_eq(weft_run(read_standard_input, NULL), -EBADF);
    ck_assert_int_eq(read_standard_input(NULL), -EBADF);
}

// Reads what comes through the pipe *arg, and so waits for a descriptor.
static int read_one(void *arg)
{
    char byte;
    return (int)weft_read(*(int *)arg, &byte, 1);
}

static int wait_in_task_and_thread(void *arg)
{
    int *ends = arg, rc = 0;
    {
        WEFT_GROUP(g, &rc);
        weft_future_unref(weft_task_start(read_one, ends));
        weft_future_unref(weft_thread_start(read_one, ends, .group = g));
        weft_yield(); // the task waits for the pipe
        rc = (int)weft_write_all(ends[1], "ab", 2);
        await_closed();
    }
    return rc;
}

WEFT_TEST(waits_for_descriptors_take_no_standard_number)
{
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    close_standard();
    ck_assert_int_eq(weft_run(wait_in_task_and_thread, ends), 0);
    await_closed();
}

static int nothing(void *arg)
{
    (void)arg;
    return fcntl(0, F_GETFD) < 0 ? 0 : -EBUSY;
}

WEFT_TEST(processes_take_no_standard_number)
{
    long out;
    close_standard();
    weft_executor *ex = weft_process_pool(.workers = 1);
    ck_assert_int_eq(weft_result(weft_submit(ex, square, 7), &out), 0);
    ck_assert_int_eq(out, 49);
    await_closed();
    // "as here" is closed there, too.
    ck_assert_int_eq(weft_join(weft_process_start(nothing, NULL, 0)), 0);
    if (!WI_ASAN && !WI_TSAN) // they open /dev/null in a zygote's child
        ck_assert_int_eq(weft_join(weft_process_start(
                             nothing, NULL, 0, .start = WEFT_START_ZYGOTE)),
                         0);
    await_closed();
    weft_executor_close(ex);
}

WEFT_TEST(shared_objects_take_no_standard_number)
{
    weft_arena *arena;
    weft_connection *pair[2], *client, *server;
    weft_connection_listener *listener;
    char name[64];
    close_standard();
    ck_assert_int_eq(weft_arena_new(1 << 20, &arena), 0);
    ck_assert_uint_ne(weft_arena_ref(arena, NULL).id[0], 0);
    snprintf(name, sizeof name, "weft-closed-%d", (int)getpid());
    ck_assert_int_eq(weft_connection_pair(pair), 0);
    ck_assert_int_eq(weft_connection_listen(name, &listener), 0);
    ck_assert_int_eq(weft_connection_open(name, &client), 0);
    ck_assert_int_eq(weft_connection_accept(listener, &server), 0);
    weft_signals *signals = weft_signals_open((int[]){SIGUSR1}, 1);
    raise(SIGUSR1);
    ck_assert_int_eq(weft_signals_wait(signals), SIGUSR1);
    await_closed();
    weft_signals_close(signals);
    weft_connection_close(server);
    weft_connection_close(client);
    weft_connection_listener_close(listener);
    for (int i = 0; i < 2; i++)
        weft_connection_close(pair[i]);
    weft_arena_close(arena);
}

WEFT_TEST_MAIN("closed")
