// SPDX-License-Identifier: MIT
// Managers: methods in order, many clients, death, starting again, the store.
#include "jobs.h"

#include <math.h>
#include <sys/socket.h>

struct bank {
    long sum, calls;
};

static void *bank_new(const void *arg, size_t size)
{
    struct bank *b = calloc(1, sizeof *b);
    if (size == sizeof(long))
        memcpy(&b->sum, arg, size);
    return b;
}

WEFT_JOB(long, deposit, long, amount)
{
    struct bank *b = weft_manager_state();
    b->calls++;
    if (amount == 0)
        weft_fail(-ERANGE, "nothing to deposit");
    return b->sum += amount;
}

WEFT_JOB(struct weft_text, say)
{
    struct bank *b = weft_manager_state();
    return weft_text("%ld in %ld calls", b->sum, b->calls);
}

WEFT_JOB(struct weft_bytes, twice, struct weft_bytes, in)
{
    struct weft_bytes out = {malloc(2 * in.len), 2 * in.len};
    memcpy(out.data, in.data, in.len);
    memcpy((char *)out.data + in.len, in.data, in.len);
    return out;
}

WEFT_JOB(int, its_pid)
{
    return getpid();
}

WEFT_JOB(int, crash, int, signal)
{
    raise(signal);
    return 0;
}

WEFT_JOB(int, slowly, double, seconds)
{
    return weft_sleep(seconds);
}

struct order {
    struct weft_manager_ref ref;
    int calls;
};

static long call_deposit(weft_manager *m, long amount)
{
    long sum = -1;
    int rc = weft_result(weft_manager_call(m, deposit, amount), &sum);
    return rc < 0 ? rc : sum;
}

WEFT_TEST(methods_see_the_state, .timeout = 20)
{
    long begin = 1000;
    struct weft_text text;
    weft_manager *m = weft_manager_start(bank_new, &begin, sizeof begin);
    ck_assert_int_eq(call_deposit(m, 5), 1005);
    ck_assert_int_eq(call_deposit(m, -1), 1004);
    expect_text(weft_manager_call(m, deposit, 0), -ERANGE,
                "deposit: nothing to deposit");
    ck_assert_int_eq(weft_result(weft_manager_call(m, say), &text), 0);
    ck_assert_str_eq(text.s, "1004 in 3 calls");
    ck_assert_ptr_null(weft_manager_state());
    ck_assert_int_eq(weft_manager_close(m), 0);
}

WEFT_TEST(arguments_and_results_of_any_size, .timeout = 20)
{
    weft_manager *m = weft_manager_start(bank_new, NULL, 0);
    for (size_t size = 1; size < 4 << 20; size *= 5) {
        struct weft_bytes in = {malloc(size), size}, out;
        memset(in.data, (int)size, size);
        ck_assert_int_eq(
            weft_result(weft_manager_call_job(m, &weft_job_twice, &in), &out),
            0);
        ck_assert_uint_eq(out.len, 2 * size);
        ck_assert(memcmp((char *)out.data + size, in.data, size) == 0);
        weft_bytes_free(&in);
        weft_bytes_free(&out);
    }
    ck_assert_int_eq(weft_manager_close(m), 0);
}

// Many calls under way: all come, in the order of asking.
WEFT_TEST(calls_keep_their_order, .timeout = 30)
{
    enum { N = 3000 };
    static weft_future *f[N];
    long sum;
    weft_manager *m = weft_manager_start(bank_new, NULL, 0);
    for (int i = 0; i < N; i++)
        f[i] = weft_manager_call(m, deposit, i + 1);
    for (long i = 0; i < N; i++) {
        ck_assert_int_eq(weft_result(f[i], &sum), 0);
        ck_assert_int_eq(sum, (i + 1) * (i + 2) / 2);
    }
    ck_assert_int_eq(weft_manager_close(m), 0);
}

static int be_a_client(void *arg)
{
    const struct order *order = arg;
    weft_manager *m = weft_manager_open(order->ref);
    for (int i = 0; i < order->calls; i++)
        if (call_deposit(m, 1) < 0)
            return -EIO;
    return weft_manager_close(m);
}

WEFT_JOB(int, client_job, struct order, order)
{
    return be_a_client(&order);
}

WEFT_TEST(many_clients, .timeout = 60)
{
    enum { PROCESSES = 4, JOBS = 6, TASKS = 5, CALLS = 200 };
    weft_manager *m = weft_manager_start(bank_new, NULL, 0);
    struct order order = {weft_manager_ref(m), CALLS};
    weft_executor *ex = weft_process_pool(.workers = 2);
    weft_future *f[PROCESSES + JOBS + TASKS];
    int n = 0;
    for (int i = 0; i < PROCESSES; i++)
        f[n++] = weft_process_start(be_a_client, &order, sizeof order);
    for (int i = 0; i < JOBS; i++)
        f[n++] = weft_submit_job(ex, &weft_job_client_job, &order);
    for (int i = 0; i < TASKS; i++)
        f[n++] = i % 2 ? weft_task_start(be_a_client, &order)
                       : weft_thread_start(be_a_client, &order);
    while (n > 0)
        ck_assert_int_eq(weft_join(f[--n]), 0);
    ck_assert_int_eq(call_deposit(m, 1),
                     (PROCESSES + JOBS + TASKS) * CALLS + 1);
    weft_executor_close(ex);
    ck_assert_int_eq(weft_manager_close(m), 0);
}

// Death -----------------------------------------------------------------------

WEFT_TEST(death_fails_what_is_under_way, .timeout = 20)
{
    weft_manager *m = weft_manager_start(bank_new, NULL, 0, .name = "bank");
    struct weft_manager_ref ref = weft_manager_ref(m);
    weft_manager *other = weft_manager_open(ref);
    pid_t pid;
    char part[64];
    ck_assert_int_eq(call_deposit(other, 5), 5);
    while (weft_process_children(&pid, 1) == 0)
        weft_yield(); // it may answer before it is known here
    // No sanitizer makes an exit of this one.
    weft_future *first = weft_manager_call(m, crash, SIGKILL);
    weft_future *behind = weft_manager_call(other, deposit, 5);
    snprintf(part, sizeof part, "bank: process %d died of signal", (int)pid);
    expect_text(first, -WEFT_ECRASHED, part);
    int rc = weft_join(behind);
    ck_assert_msg(rc == -WEFT_ECRASHED || rc == 0, "%s", weft_error_name(rc));
    // For good: now and later, for the owner and for others.
    while (call_deposit(m, 5) != -WEFT_ECRASHED)
        weft_yield();
    while (weft_process_children(&pid, 1) > 0)
        weft_yield();
    expect_text(weft_manager_call(m, deposit, 5), -WEFT_ECRASHED, part);
    expect(weft_manager_call(other, deposit, 5), -WEFT_ECRASHED);
    weft_manager *late = weft_manager_open(ref);
    expect(weft_manager_call(late, deposit, 5), -WEFT_ECRASHED);
    weft_manager_close(late);
    weft_manager_close(other);
    ck_assert_int_eq(weft_manager_close(m), -WEFT_ECRASHED);
}

WEFT_TEST(it_is_started_again, .timeout = 30)
{
    long begin = 100;
    weft_manager *m =
        weft_manager_start(bank_new, &begin, sizeof begin, .restart = 3);
    weft_manager *other = weft_manager_open(weft_manager_ref(m));
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(call_deposit(m, 1), 101); // afresh each time
        ck_assert_int_eq(call_deposit(other, 1), 102);
        expect_text(weft_manager_call(m, crash, SIGKILL), -WEFT_ECRASHED,
                    "died of signal");
        long sum; // who calls on an old connection may hear of its end
        while ((sum = call_deposit(other, 0)) == -WEFT_ECRASHED)
            ;
        ck_assert_int_eq(sum, -ERANGE);
    }
    expect(weft_manager_call(m, crash, SIGKILL), -WEFT_ECRASHED);
    while (call_deposit(other, 5) != -WEFT_ECRASHED)
        weft_yield();
    weft_manager_close(other);
    ck_assert_int_eq(weft_manager_close(m), -WEFT_ECRASHED);
}

static void *no_state(const void *arg, size_t size)
{
    (void)arg;
    (void)size;
    return NULL;
}

WEFT_TEST(a_state_that_cannot_be_made, .timeout = 20)
{
    weft_manager *m = weft_manager_start(no_state, NULL, 0, .restart = 5);
    long rc = call_deposit(m, 1);
    ck_assert_msg(rc == -WEFT_EBROKEN, "%s", weft_error_name((int)rc));
    ck_assert_int_eq(weft_manager_close(m), -WEFT_EBROKEN);
}

WEFT_TEST(one_that_is_not_there, .timeout = 20)
{
    weft_manager *m = weft_manager_open((struct weft_manager_ref){{1, 2}});
    expect(weft_manager_call(m, deposit, 5), -WEFT_ECRASHED);
    weft_manager_close(m);
}

static void say_goodbye(void *state)
{
    struct bank *b = state;
    int fd = (int)b->sum;
    if (write(fd, "goodbye", 7) != 7)
        abort();
}

WEFT_JOB(int, take_fd, struct weft_text, name)
{
    weft_connection *c;
    int fd = -1;
    unsigned n = 0;
    char byte;
    if (weft_connection_open(name.s, &c) == 0)
        weft_connection_receive(c, &byte, 1, .fds = &fd, .fd_room = 1,
                                .fd_count = &n);
    ((struct bank *)weft_manager_state())->sum = fd;
    return n == 1 ? 0 : -1;
}

// The end in order comes after the calls before it, and calls fini.
WEFT_TEST(closing_ends_it_in_order, .timeout = 20)
{
    int ends[2];
    char text[8] = "", name[64];
    weft_connection_listener *l;
    weft_connection *c;
    snprintf(name, sizeof name, "fini.%d", (int)getpid());
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_eq(weft_connection_listen(name, &l), 0);
    weft_manager *m =
        weft_manager_start(bank_new, NULL, 0, .fini = say_goodbye);
    struct weft_text as_text = weft_text("%s", name);
    weft_future *f = weft_manager_call_job(m, &weft_job_take_fd, &as_text);
    ck_assert_int_eq(weft_connection_accept(l, &c), 0);
    weft_connection_send(c, "x", 1, .fds = &ends[1], .fd_count = 1);
    ck_assert_int_eq(weft_join(f), 0);
    close(ends[1]);
    ck_assert_int_eq(weft_manager_close(m), 0);
    ck_assert_int_eq(read(ends[0], text, 8), 7);
    ck_assert_str_eq(text, "goodbye");
    weft_connection_close(c);
    weft_connection_listener_close(l);
}

// It reads nothing any more, and there is no room for one more word to it.
WEFT_TEST(one_that_hangs_is_ended, .timeout = 40)
{
    weft_manager *m = weft_manager_start(bank_new, NULL, 0);
    weft_future *f = weft_manager_call(m, hang, 1);
    {
        WEFT_TIMEOUT(1);
        bool full = false;
        while (!full) {
            weft_future *g = weft_manager_call(m, deposit, 1);
            full = weft_done(g);
            weft_cancel(g);
            weft_future_unref(g);
        }
    }
    ck_assert_int_eq(weft_manager_close(m), -WEFT_EJOBCANCELED);
    ck_assert_int_lt(weft_join(f), 0);
}

WEFT_TEST(a_canceled_call_is_not_waited_for, .timeout = 20)
{
    weft_manager *m = weft_manager_start(bank_new, NULL, 0);
    ck_assert_int_eq(call_deposit(m, 1), 1);
    weft_future *f = weft_manager_call(m, slowly, 0.2);
    weft_future *g = weft_manager_call(m, deposit, 1);
    ck_assert_int_eq(weft_cancel(f), 0);
    expect(f, -WEFT_EJOBCANCELED);
    expect_long(g, 2); // after it
    ck_assert_int_eq(weft_manager_close(m), 0);
}

// A client that sends what is no call harms nobody.
WEFT_TEST(hostile_clients, .timeout = 20)
{
    weft_manager *m = weft_manager_start(bank_new, NULL, 0);
    struct weft_manager_ref ref = weft_manager_ref(m);
    struct sockaddr_un {
        unsigned short family;
        char path[108];
    } at = {.family = 1};
    int n =
        snprintf(at.path + 1, sizeof at.path - 1, "weft-manager-%016llx%016llx",
                 (unsigned long long)ref.id[0], (unsigned long long)ref.id[1]);
    for (int i = 0; i < 50; i++) {
        int fd = socket(1, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        ck_assert_int_eq(
            connect(fd, (struct sockaddr *)&at, (socklen_t)(2 + 1 + n)), 0);
        char junk[300];
        for (size_t k = 0; k < sizeof junk; k++)
            junk[k] = (char)weft_test_random();
        weft_connection *c;
        ck_assert_int_eq(weft_connection_adopt(fd, &c), 0);
        if (i % 2 == 0)
            weft_connection_send(c, junk, weft_test_random() % sizeof junk);
        else
            ck_assert_int_ge(send(fd, junk, 1 + weft_test_random() % 299, 0),
                             1);
        if (i % 3 != 0)
            ck_assert_int_eq(weft_connection_receive(c, junk, 300),
                             -WEFT_ECLOSED);
        weft_connection_close(c);
        ck_assert_int_eq(call_deposit(m, 1), i + 1);
    }
    ck_assert_int_eq(weft_manager_close(m), 0);
}

// The store -------------------------------------------------------------------

WEFT_TEST(dictionaries_lists_and_counters, .timeout = 30)
{
    weft_manager *m = weft_manager_store(.name = "store");
    struct weft_bytes v;
    struct weft_text key;
    char name[20];
    int64_t value;
    ck_assert_int_eq(weft_dict_get(m, "d", "none", &v), -ENOENT);
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "key %d", i);
        ck_assert_int_eq(weft_dict_set(m, "d", name, &i, sizeof i), 1);
    }
    ck_assert_int_eq(weft_dict_set(m, "d", "key 7", "seven", 5), 0);
    ck_assert_int_eq(weft_dict_size(m, "d"), 300);
    ck_assert_int_eq(weft_dict_size(m, "other"), 0);
    ck_assert_int_eq(weft_dict_get(m, "d", "key 7", &v), 0);
    ck_assert(v.len == 5 && memcmp(v.data, "seven", 5) == 0);
    weft_bytes_free(&v);
    for (int i = 0; i < 300; i += 2) {
        snprintf(name, sizeof name, "key %d", i);
        ck_assert_int_eq(weft_dict_remove(m, "d", name), 0);
        ck_assert_int_eq(weft_dict_remove(m, "d", name), -ENOENT);
    }
    for (int i = 0; i < 150; i++) {
        snprintf(name, sizeof name, "key %d", 2 * i + 1);
        ck_assert_int_eq(weft_dict_key(m, "d", (size_t)i, &key), 0);
        ck_assert_str_eq(key.s, name);
        ck_assert_int_eq(weft_dict_get(m, "d", name, &v), 0);
        weft_bytes_free(&v);
    }
    ck_assert_int_eq(weft_dict_key(m, "d", 150, &key), -ENOENT);

    for (int i = 0; i < 20; i++)
        ck_assert_int_eq(weft_list_append(m, "l", &i, sizeof i), i + 1);
    ck_assert_int_eq(weft_list_get(m, "l", -1, &v), 0);
    ck_assert_int_eq(*(int *)v.data, 19);
    weft_bytes_free(&v);
    ck_assert_int_eq(weft_list_pop(m, "l", 0, &v), 0);
    ck_assert_int_eq(*(int *)v.data, 0);
    weft_bytes_free(&v);
    ck_assert_int_eq(weft_list_size(m, "l"), 19);
    ck_assert_int_eq(weft_list_get(m, "l", 19, &v), -ENOENT);
    ck_assert_int_eq(weft_list_pop(m, "l", -20, &v), -ENOENT);

    ck_assert_int_eq(weft_count(m, "c", 5, &value), 0);
    ck_assert_int_eq(weft_count(m, "c", -7, &value), 0);
    ck_assert_int_eq(value, -2);
    ck_assert_int_eq(weft_count(m, "c", INT64_MIN, &value), 0);
    ck_assert(value == INT64_MAX - 1); // it has wrapped
    ck_assert_int_eq(weft_manager_close(m), 0);
}

// Kill -9 of the manager at random instants: each call gives a value or
// -WEFT_ECRASHED, and those that follow find a fresh one.
WEFT_TEST(killed_at_random_instants, .timeout = 300)
{
    enum { LOAD = 40 };
    int n = weft_test_kills(20), values = 0, crashed = 0;
    long last = 0;
    weft_manager *m =
        weft_manager_start(bank_new, NULL, 0, .restart = (unsigned)n + 1);
    for (int i = 0; i < n; i++) {
        weft_future *f[LOAD];
        int pid = 0;
        while (weft_result(weft_manager_call(m, its_pid), &pid) < 0)
            ;
        unsigned at = (unsigned)(weft_test_random() % LOAD);
        for (unsigned k = 0; k < LOAD; k++) {
            // In every other round while it works on them.
            if (k == at && at > 0 && i % 2 == 0)
                weft_wait(&f[weft_test_random() % at], 1, WEFT_ALL_COMPLETED,
                          INFINITY);
            if (k == at)
                kill(pid, SIGKILL);
            f[k] = weft_manager_call(m, deposit, 1);
        }
        for (int k = 0; k < LOAD; k++) {
            long sum = 0;
            int rc = weft_result(f[k], &sum);
            ck_assert_msg(rc == 0 || rc == -WEFT_ECRASHED, "%s",
                          weft_error_name(rc));
            values += rc == 0;
            crashed += rc != 0;
            // It grows by one, or begins afresh.
            if (rc == 0)
                ck_assert(sum == 1 || sum == last + 1);
            last = rc == 0 ? sum : last;
        }
    }
    while (call_deposit(m, 1) < 0) // the last one has been started again
        ;
    printf("%d kills, %d values, %d calls lost\n", n, values, crashed);
    ck_assert_int_eq(weft_manager_close(m), 0);
}

WEFT_TEST(nothing_is_left_open, .timeout = 30)
{
    weft_manager *m = weft_manager_start(bank_new, NULL, 0);
    call_deposit(m, 1);
    weft_manager_close(m);
    int fds = weft_test_count_fds(), threads = weft_test_count_threads();
    for (int i = 0; i < 10; i++) {
        m = weft_manager_start(bank_new, NULL, 0, .restart = 1);
        weft_manager *other = weft_manager_open(weft_manager_ref(m));
        ck_assert_int_eq(call_deposit(other, 1), 1);
        if (i % 2)
            expect(weft_manager_call(m, crash, SIGKILL), -WEFT_ECRASHED);
        weft_manager_close(other);
        weft_manager_close(m);
    }
    ck_assert_int_eq(weft_test_count_fds(), fds);
    weft_test_await_threads(threads);
}

WEFT_TEST_MAIN("manager")
