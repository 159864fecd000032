// SPDX-License-Identifier: MIT
// Tasks and threads in any mixture take locks in every way, in random order,
// give up, are canceled, and now and then end with one. A second with each
// seed, or WEFT_STRESS seconds.
#include "world.h"

#include <stdio.h>

enum { LOCKS = 3, ACTORS = 8 };

static struct weft_lock locks[LOCKS];
static long inside[LOCKS]; // guarded by the lock of the same number
static int counts[3];      // acquired, given up, told of a cycle
static bool over;

static uint64_t next_random(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return *seed >> 33;
}

static void hold(int i, uint64_t *seed)
{
    ck_assert_int_eq(inside[i], 0);
    inside[i] = 1;
    if (next_random(seed) % 8 == 0)
        weft_yield();
    inside[i] = 0;
    kit_count(&counts[0]);
}

static int take(int i, uint64_t *seed)
{
    switch (next_random(seed) % 4) {
    case 0:
        return weft_lock_try(&locks[i]);
    case 1:
        return weft_lock_acquire_for(&locks[i],
                                     (double)(next_random(seed) % 50) * 1e-6);
    default:
        return weft_lock_acquire(&locks[i]);
    }
}

// True: it ended with the lock held.
static bool one_turn(uint64_t *seed)
{
    int i = (int)(next_random(seed) % LOCKS);
    int rc = take(i, seed);

    if (rc < 0 && rc != -EOWNERDEAD) {
        kit_count(&counts[rc == -WEFT_EDEADLOCK ? 2 : 1]);
        return false;
    }
    if (rc == -EOWNERDEAD)
        weft_lock_repaired(&locks[i]);
    hold(i, seed);
    rc = 0;
    // A second one in any order: cycles come about.
    int j = (int)(next_random(seed) % LOCKS);
    if (j != i && next_random(seed) % 8 == 0 && (rc = take(j, seed)) == 0) {
        hold(j, seed);
        weft_lock_release(&locks[j]);
    } else if (j != i && rc == -EOWNERDEAD) {
        weft_lock_repaired(&locks[j]);
        weft_lock_release(&locks[j]);
    } else if (rc == -WEFT_EDEADLOCK) {
        kit_count(&counts[2]);
    }
    if (next_random(seed) % 1000 == 0)
        return true;
    weft_lock_release(&locks[i]);
    return false;
}

static int act(void *arg)
{
    uint64_t seed = (uint64_t)(intptr_t)arg;

    while (!__atomic_load_n(&over, __ATOMIC_SEQ_CST)) {
        if (one_turn(&seed))
            return 1;
        if (next_random(&seed) % 16 == 0)
            weft_yield();
    }
    return 0;
}

static weft_future *start(void)
{
    return world_start(act, kit_number((long)(weft_test_random() >> 8)));
}

static void run_for(double seconds)
{
    weft_future *f[ACTORS];
    double end = weft_now() + seconds;

    over = false;
    for (int i = 0; i < ACTORS; i++)
        f[i] = start();
    while (weft_now() < end) {
        int i = (int)(weft_test_random() % ACTORS);
        weft_wait(&f[i], 1, WEFT_ALL_COMPLETED, 0.002);
        if (weft_test_random() % 4 == 0)
            weft_cancel(f[i]); // which must not disturb a lock
        if (weft_done(f[i])) {
            weft_join(f[i]);
            f[i] = start();
        }
    }
    __atomic_store_n(&over, true, __ATOMIC_SEQ_CST);
    for (int i = 0; i < ACTORS; i++) {
        int rc = weft_join(f[i]);
        ck_assert_msg(rc >= 0 || rc == -WEFT_EJOBCANCELED, "%d", rc);
    }
    for (int i = 0; i < LOCKS; i++) {
        int rc = weft_lock_acquire(&locks[i]);
        ck_assert(rc == 0 || rc == -EOWNERDEAD);
        weft_lock_repaired(&locks[i]);
        weft_lock_release(&locks[i]);
        weft_lock_fini(&locks[i]);
    }
}

WORLD_TEST(any_way_in_any_order, .timeout = 900)
{
    const char *text = getenv("WEFT_STRESS");
    double seconds = text && atof(text) > 0 ? atof(text) / WORLDS : 0.5;

    fprintf(stderr, "seed %llu\n", (unsigned long long)weft_test_seed());
    freopen("/dev/null", "w", stderr); // the reports of leaks
    run_for(seconds);
    printf("%s: %d acquired, %d given up, %d cycles\n", world_names[world],
           counts[0], counts[1], counts[2]);
}

WEFT_TEST_MAIN("lock_stress")
