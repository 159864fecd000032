// SPDX-License-Identifier: MIT
// The checking of lock order, which is turned on by the environment: each case
// begins this program anew with WEFT_LOCKORDER, and reads what that says.
#include "kit.h"

#include <stdio.h>

static struct weft_lock a, b, c, gate;
static struct weft_rwlock shared;
static struct weft_rlock again;

static void name_locks(void)
{
    weft_lock_init(&a, .name = "accounts");
    weft_lock_init(&b, .name = "books");
    weft_lock_init(&c, .name = "clients");
}

static int both(struct weft_lock *first, struct weft_lock *second)
{
    WEFT_LOCKED(first);
    WEFT_LOCKED(second);
    return 0;
}

static int a_then_b(void *arg)
{
    (void)arg;
    return both(&a, &b);
}

static int b_then_a(void *arg)
{
    (void)arg;
    return both(&b, &a);
}

// One after the other: they never wait for each other.
static void in_turn(weft_function *first, weft_function *second)
{
    if (weft_join(weft_task_start(first, NULL, .name = "payer")) < 0 ||
        weft_join(weft_thread_start(second, NULL, .name = "clerk")) < 0)
        abort();
}

static void inversion(void)
{
    name_locks();
    in_turn(a_then_b, b_then_a);
}

static void same_order(void)
{
    name_locks();
    in_turn(a_then_b, a_then_b);
    both(&b, &c);
    both(&a, &c);
}

static void over_three(void)
{
    name_locks();
    both(&a, &b);
    both(&b, &c);
    both(&c, &a);
}

static int gated_a_b(void *arg)
{
    WEFT_LOCKED(&gate);
    return a_then_b(arg);
}

static int gated_b_a(void *arg)
{
    WEFT_LOCKED(&gate);
    return b_then_a(arg);
}

static void gated(void)
{
    in_turn(gated_a_b, gated_b_a);
}

// The second a_then_b goes without the gate; but only that is one order.
static void gate_lost(void)
{
    name_locks();
    in_turn(gated_a_b, gated_b_a);
    b_then_a(NULL);
}

// A try cannot wait, so that it is in no cycle itself.
static void tried(void)
{
    both(&a, &b);
    WEFT_LOCKED(&b);
    if (weft_lock_try(&a) == 0)
        weft_lock_release(&a);
}

// But what it has acquired is held.
static void held_by_try(void)
{
    name_locks();
    if (weft_lock_try(&a) == 0) {
        WEFT_LOCKED(&b);
        weft_lock_release(&a);
    }
    both(&b, &a);
}

static void other_kinds(void)
{
    weft_rwlock_init(&shared, .name = "shared");
    if (weft_rwlock_read_acquire(&shared) == 0) {
        WEFT_RLOCKED(&again);
        WEFT_RLOCKED(&again);
        weft_rwlock_read_release(&shared);
    }
    WEFT_RLOCKED(&again);
    if (weft_rwlock_write_acquire(&shared) == 0)
        weft_rwlock_write_release(&shared);
}

// Another lock at the same place: what was known of the first does not count.
static void ended(void)
{
    both(&a, &b);
    weft_lock_fini(&a);
    both(&b, &a);
}

static int notify(void *arg)
{
    struct weft_condition *condition = arg;
    WEFT_LOCKED(&b);
    weft_condition_notify(condition, 1);
    return 0;
}

// A wait takes its lock back while it holds the other one.
static void condition_order(void)
{
    static struct weft_condition condition;
    name_locks();
    if (weft_lock_acquire(&b) != 0)
        abort();
    WEFT_LOCKED(&a);
    weft_future *f = weft_thread_start(notify, &condition);
    weft_condition_wait(&condition, &b);
    weft_lock_release(&b);
    weft_join(f);
}

// Many tasks that come and go, locks with waiters and hand-overs: nothing to
// report.
static int nest(void *arg)
{
    (void)arg;
    for (int i = 0; i < 50; i++) {
        WEFT_LOCKED(&a);
        weft_yield();
        WEFT_LOCKED(&b);
        WEFT_LOCKED(&c);
    }
    return 0;
}

static void under_load(void)
{
    weft_future *f[8];
    for (int i = 0; i < 8; i++)
        f[i] =
            i % 2 ? weft_task_start(nest, NULL) : weft_thread_start(nest, NULL);
    for (int i = 0; i < 8; i++)
        weft_join(f[i]);
    weft_lock_fini(&a);
    weft_lock_fini(&b);
    weft_lock_fini(&c);
}

static const struct scene {
    const char *name;
    void (*fn)(void);
} scenes[] = {
    {"inversion", inversion},
    {"same_order", same_order},
    {"over_three", over_three},
    {"gated", gated},
    {"gate_lost", gate_lost},
    {"tried", tried},
    {"held_by_try", held_by_try},
    {"other_kinds", other_kinds},
    {"ended", ended},
    {"condition_order", condition_order},
    {"under_load", under_load},
};

// The environment is read before main.
static void play(void)
{
    const char *name = getenv("ORDER_TEST_SCENE");
    if (name == NULL)
        return;
    for (size_t i = 0; i < sizeof scenes / sizeof *scenes; i++) {
        if (strcmp(scenes[i].name, name) == 0)
            scenes[i].fn();
    }
    _exit(0);
}

static const char *scene, *setting;

static void begin_anew(void)
{
    setenv("WEFT_LOCKORDER", setting, 1);
    setenv("ORDER_TEST_SCENE", scene, 1);
    execl("/proc/self/exe", "order_test", (char *)NULL);
    _exit(127);
}

static char said[16384];

static int run(const char *name, const char *with)
{
    scene = name;
    setting = with;
    return kit_child(begin_anew, said, sizeof said);
}

static unsigned count(const char *word)
{
    unsigned n = 0;
    for (const char *at = said; (at = strstr(at, word)) != NULL; at++)
        n++;
    return n;
}

static void assert_quiet(const char *name)
{
    ck_assert_int_eq(run(name, "1"), 0);
    ck_assert_msg(said[0] == '\0', "%s says: %s", name, said);
}

// How many edges the report of the one inversion has.
static void assert_reported(const char *name, unsigned edges)
{
    ck_assert_int_eq(run(name, "1"), 0);
    ck_assert_msg(count("lock order: now") == 1 &&
                      count("lock order: before that") == edges - 1,
                  "%s says: %s", name, said);
}

WEFT_TEST(both_orders_are_reported)
{
    assert_reported("inversion", 2);
    ck_assert_uint_eq(count("\"accounts\""), 2);
    ck_assert_uint_eq(count("\"books\""), 2);
    ck_assert_uint_eq(count(" payer acquires"), 1);
    ck_assert_uint_eq(count(" clerk acquires"), 1);
    ck_assert_uint_eq(count("order_test+0x"), 8); // four places, four locks
}

WEFT_TEST(a_cycle_over_three)
{
    assert_reported("over_three", 3);
}

WEFT_TEST(one_order_is_quiet)
{
    assert_quiet("same_order");
    assert_quiet("under_load");
}

WEFT_TEST(a_gate_makes_it_harmless)
{
    assert_quiet("gated");
    assert_reported("gate_lost", 2);
}

WEFT_TEST(a_try_does_not_wait)
{
    assert_quiet("tried");
    assert_reported("held_by_try", 2);
}

WEFT_TEST(all_kinds_of_locks)
{
    assert_reported("other_kinds", 2);
    ck_assert_uint_eq(count("\"shared\""), 2);
}

WEFT_TEST(a_wait_for_a_condition_acquires)
{
    assert_reported("condition_order", 2);
    ck_assert_uint_ge(count("the end of a wait for a condition"), 1);
}

WEFT_TEST(a_lock_that_has_ended_is_forgotten)
{
    assert_quiet("ended");
}

WEFT_TEST(abort_on_request)
{
    int status = run("inversion", "abort");
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    ck_assert_uint_eq(count("lock order: now"), 1);
}

WEFT_TEST(off_by_default)
{
    ck_assert_int_eq(run("inversion", "0"), 0);
    ck_assert_str_eq(said, "");
}

int main(int argc, char **argv)
{
    play();
    return weft_test_main("order", argc, argv);
}
