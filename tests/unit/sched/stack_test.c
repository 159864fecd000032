// SPDX-License-Identifier: MIT
#include "sched/stack.h"

#include "refuse.h"
#include "sched/stack_pool.h"
#include "weft_test.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define INSTRUMENTED (WI_ASAN || WI_TSAN || WI_ON_VALGRIND)

#if WI_TSAN
#define MANY 500 // gcc 12's TSan dies at 8,128 fibers, and is slow before
#elif WI_ASAN
#define MANY 1000
#else
#define MANY 4000
#endif

static struct wi_switch_point home;
static struct wi_stack_cache cache;
static struct wi_stack *stacks[MANY];

static void set_up(size_t size)
{
    wi_switch_point_thread(&home);
    wi_stack_cache_init(&cache, size);
}

static bool survives(void (*run)(void *), void *arg)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        int quiet = dup(2);
        close(2); // sanitizers report the fault at length
        run(arg);
        dup2(quiet, 2);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// Without the guard, at which some emulators' mincore stops.
static int resident_pages_of(struct wi_stack_place place)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *from = place.limit - (uintptr_t)place.limit % page;
    size_t pages = (size_t)(place.low + place.size - from) / page;
    unsigned char *in = malloc(pages);
    int sum = 0;

    ck_assert_int_eq(mincore(from, pages * page, in), 0);
    for (size_t i = 0; i < pages; i++)
        sum += in[i] & 1;
    free(in);
    return sum;
}

static int resident_pages(struct wi_stack *stack)
{
    struct wi_stack_place place;

    ck_assert(wi_stack_find((uintptr_t)stack, &place));
    return resident_pages_of(place);
}

// Running on one --------------------------------------------------------------

static void answer(void *arg)
{
    struct wi_stack *self = arg;

    wi_stack_arrived(&self->point);
    for (;;) {
        *(int *)self->owner += 1;
        wi_stack_switch(&self->point, &home);
    }
}

WEFT_TEST(runs_code_and_comes_back)
{
    struct wi_stack *stack;
    int count = 0;

    set_up(0);
    stack = wi_stack_new(&cache);
    ck_assert_ptr_nonnull(stack);
    ck_assert_ptr_null(stack->owner);
    stack->owner = &count;
    wi_stack_prepare(stack, wi_stack_top(stack), answer, stack);
    for (int i = 0; i < 10; i++)
        wi_stack_switch(&home, &stack->point);
    ck_assert_int_eq(count, 10);
    wi_stack_put(&cache, stack);
    wi_stack_cache_fini(&cache);
}

WEFT_TEST(abandoned_frames_cost_nothing, .timeout = 20)
{
    int count = 0;

    set_up(0);
    for (int i = 0; i < 10000; i++) {
        struct wi_stack *stack = wi_stack_new(&cache);
        stack->owner = &count;
        wi_stack_prepare(stack, wi_stack_top(stack), answer, stack);
        wi_stack_switch(&home, &stack->point);
        wi_stack_put(&cache, stack);
    }
    ck_assert_int_eq(count, 10000);
    ck_assert_uint_eq(cache.warm, 1);
    wi_stack_cache_fini(&cache);
}

__attribute__((noinline)) static void dig(const char *limit)
{
    char here[1024];

    __asm__ volatile("" : : "r"(here) : "memory"); // makes the array real
    if ((const char *)wi_arch_sp() > limit + 8192)
        dig(limit);
    __asm__ volatile("" : : "r"(here) : "memory");
}

static void dig_all(void *arg)
{
    struct wi_stack *self = arg;

    wi_stack_arrived(&self->point);
    dig(wi_stack_limit(self));
    for (;;)
        wi_stack_switch(&self->point, &home);
}

static const size_t sizes[] = {16, 64, 256, 1024, 8192}; // KiB
enum { SIZES = sizeof sizes / sizeof *sizes };

WEFT_TEST(all_of_it_is_usable, .timeout = 20)
{
    for (int i = 0; i < SIZES; i++) {
        struct wi_stack *stack;

        set_up(sizes[i] << 10);
        stack = wi_stack_new(&cache);
        ck_assert_uint_ge(wi_stack_size(stack), sizes[i] << 10);
        wi_stack_prepare(stack, wi_stack_top(stack), dig_all, stack);
        wi_stack_switch(&home, &stack->point);
        wi_stack_put(&cache, stack);
        wi_stack_cache_fini(&cache);
    }
}

// The cache -------------------------------------------------------------------

WEFT_TEST(sizes_are_rounded_to_classes)
{
    ck_assert_uint_eq(wi_stack_round(0), 256 << 10);
    ck_assert_uint_eq(wi_stack_round(65536), 64 << 10);
    ck_assert_uint_eq(wi_stack_round(65537), 256 << 10);
    ck_assert_uint_eq(wi_stack_round(300 << 10), 1 << 20);
    ck_assert_uint_eq(wi_stack_round(8 << 20), 8 << 20);
    ck_assert_uint_eq(wi_stack_round((8 << 20) + 1), 0);
}

WEFT_TEST(last_in_is_first_out)
{
    struct wi_stack *a, *b;

    set_up(65536);
    a = wi_stack_new(&cache);
    b = wi_stack_new(&cache);
    ck_assert_ptr_ne(a, b);
    a->owner = a;
    wi_stack_put(&cache, b);
    wi_stack_put(&cache, a);
    ck_assert_ptr_eq(wi_stack_new(&cache), a);
    ck_assert_ptr_null(a->owner);
    ck_assert_ptr_eq(wi_stack_new(&cache), b);
    wi_stack_put(&cache, a);
    wi_stack_put(&cache, b);
    wi_stack_cache_fini(&cache);
}

WEFT_TEST(warm_stacks_outlive_their_cache)
{
    struct wi_stack_pool_stats stats;
    struct wi_stack *first, *again;

    set_up(65536);
    first = wi_stack_new(&cache);
    wi_stack_put(&cache, first);
    wi_stack_cache_fini(&cache);
    wi_stack_pool_stats(&stats);
    ck_assert_uint_eq(stats.warm, 1);
    wi_stack_cache_init(&cache, 65536);
    again = wi_stack_new(&cache);
    ck_assert_ptr_eq(again, first);
    wi_stack_put(&cache, again);
    wi_stack_cache_fini(&cache);
    wi_stack_pool_trim();
    wi_stack_pool_stats(&stats);
    ck_assert_uint_eq(stats.warm, 0);
    ck_assert_uint_eq(stats.cold, stats.stacks);
}

static void fill(int n)
{
    for (int i = 0; i < n; i++) {
        stacks[i] = wi_stack_new(&cache);
        ck_assert_ptr_nonnull(stacks[i]);
        *(volatile char *)((char *)wi_stack_top(stacks[i]) - 600) = 1;
    }
}

static void put_all(int n)
{
    for (int i = 0; i < n; i++)
        wi_stack_put(&cache, stacks[i]);
}

static void give_back(int n)
{
    put_all(n);
    wi_stack_cache_fini(&cache);
}

// More than are kept warm.
WEFT_TEST(none_of_many_is_lost)
{
    struct wi_stack_pool_stats stats;

    set_up(65536);
    fill(300);
    give_back(300);
    wi_stack_pool_stats(&stats);
    ck_assert_uint_gt(stats.warm, 0);
    ck_assert_uint_lt(stats.warm, 150);
    ck_assert_uint_eq(stats.cold + stats.warm, stats.stacks);
    wi_stack_pool_trim();
    wi_stack_pool_stats(&stats);
    ck_assert_uint_eq(stats.warm, 0);
    ck_assert_uint_eq(stats.cold, stats.stacks);
}

WEFT_TEST(trim_keeps_the_warmest, .timeout = 20)
{
    struct wi_stack_pool_stats stats;
    size_t left, steps = 0;

    set_up(65536);
    fill(300);
    put_all(300);
    do {
        left = wi_stack_trim(&cache, 10);
        steps++;
        ck_assert_uint_eq(cache.warm, 10 + left);
    } while (left);
    ck_assert_uint_gt(steps, 1);
    for (int i = 299; i >= 290; i--)
        ck_assert_ptr_eq(wi_stack_new(&cache), stacks[i]);
    wi_stack_pool_stats(&stats);
    // Of the slabs without a stack in use, at most one is kept.
    ck_assert_uint_le(stats.slabs, 3);
    fill(300);
    for (int i = 0; i < 300; i++)
        for (int j = 0; j < i; j++)
            ck_assert_ptr_ne(stacks[i], stacks[j]);
}

WEFT_TEST(trim_gives_memory_back)
{
    struct wi_stack_place place;

    if (INSTRUMENTED)
        weft_test_skip("counts pages");
    set_up(65536);
    fill(2);
    *(volatile char *)wi_stack_limit(stacks[1]) = 1;
    ck_assert(wi_stack_find((uintptr_t)stacks[1], &place));
    ck_assert_int_eq(resident_pages_of(place), 2);
    put_all(2);
    ck_assert_uint_eq(wi_stack_trim(&cache, 0), 0);
    ck_assert_int_eq(resident_pages_of(place), 0);
}

// Threads ---------------------------------------------------------------------

#define THREADS 4

static void churn(struct wi_stack_cache *own, unsigned *random)
{
    struct wi_stack *held[24];

    for (int i = 0; i < 24; i++) {
        held[i] = wi_stack_new(own);
        ck_assert_ptr_nonnull(held[i]);
        held[i]->owner = held;
        memset((char *)wi_stack_top(held[i]) - 256, i, 256);
    }
    for (int i = 0; i < 24; i++) {
        ck_assert_ptr_eq(held[i]->owner, held);
        ck_assert_int_eq(*((char *)wi_stack_top(held[i]) - 256), i);
        wi_stack_put(own, held[i]);
    }
    *random = *random * 1103515245u + 12345u;
    if ((*random >> 16) % 4 == 0)
        wi_stack_trim(own, (*random >> 20) % 24);
}

static void *churn_thread(void *arg)
{
    unsigned random = (unsigned)(uintptr_t)arg;
    int rounds = INSTRUMENTED ? 10 : 100;

    for (int round = 0; round < rounds; round++) {
        struct wi_stack_cache own;

        wi_stack_cache_init(&own, 65536);
        for (int i = 0; i < 8; i++)
            churn(&own, &random);
        wi_stack_cache_fini(&own);
    }
    return NULL;
}

WEFT_TEST(threads_share_the_pool, .timeout = 60)
{
    struct wi_stack_pool_stats stats;
    pthread_t threads[THREADS];

    for (uintptr_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, churn_thread, (void *)(i + 1));
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    wi_stack_pool_trim();
    wi_stack_pool_stats(&stats);
    ck_assert_uint_eq(stats.cold, stats.stacks);
    ck_assert_uint_le(stats.slabs, 1);
}

// Guards ----------------------------------------------------------------------

static void write_to(void *address)
{
    *(volatile char *)address = 1;
}

WEFT_TEST(the_guard_stops_a_write)
{
    char *limit;

    set_up(0);
    fill(1);
    limit = wi_stack_limit(stacks[0]);
    ck_assert(survives(write_to, limit));
    ck_assert(!survives(write_to, limit - 1));
    ck_assert(!survives(write_to, limit - 16000));
    ck_assert(wi_stack_check(stacks[0]));
}

WEFT_TEST(the_guard_ends_at_the_limit, .timeout = 20)
{
    for (int i = 0; i < SIZES; i++) {
        set_up(sizes[i] << 10);
        fill(1);
        char *limit = wi_stack_limit(stacks[0]);
        ck_assert(survives(write_to, limit));
        ck_assert(!survives(write_to, limit - 1));
        give_back(1);
    }
}

static bool is_mapped(char *address)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char in;

    return mincore(address - (uintptr_t)address % page, page, &in) == 0;
}

// Slabs of four, whose records are used again.
WEFT_TEST(slabs_are_unmapped_and_guarded_anew, .timeout = 20)
{
    struct wi_stack_pool_stats stats;
    char *limits[12];
    int mapped = 0;

    for (int round = 0; round < 2; round++) {
        set_up((size_t)8 << 20);
        fill(12);
        for (int i = 0; i < 12; i++) {
            limits[i] = wi_stack_limit(stacks[i]);
            ck_assert(!survives(write_to, limits[i] - 1));
        }
        give_back(12);
        wi_stack_pool_trim();
        wi_stack_pool_stats(&stats);
        ck_assert_uint_eq(stats.slabs, 1);
        ck_assert_uint_eq(stats.cold, stats.stacks);
    }
    for (int i = 0; i < 12; i++)
        mapped += is_mapped(limits[i]);
    ck_assert_int_le(mapped, 4);
}

WEFT_TEST(the_guard_outlives_a_trim)
{
    set_up(65536);
    fill(1);
    put_all(1);
    wi_stack_trim(&cache, 0);
    fill(1);
    ck_assert(!survives(write_to, (char *)wi_stack_limit(stacks[0]) - 1));
}

static void overflow_unguarded(void *arg)
{
    struct wi_stack *self = arg;

    wi_stack_arrived(&self->point);
    *(bool *)self->owner = wi_stack_check(self);
    wi_stack_switch(&self->point, &home);
    ((volatile char *)wi_stack_limit(self))[-8] = 1;
    *(bool *)self->owner = wi_stack_check(self);
    for (;;)
        wi_stack_switch(&self->point, &home);
}

WEFT_TEST(old_kernels_get_pages_then_canaries)
{
    struct wi_stack_pool_stats stats;
    int guarded = 0;
    bool fine = false;

    wi_stack_pool_use_guard(WI_STACK_GUARD_PAGES, 10, 2);
    set_up(65536);
    fill(200);
    for (int i = 0; i < 200; i++)
        guarded += !stacks[i]->canary;
    ck_assert_int_eq(guarded, 12);
    wi_stack_pool_stats(&stats);
    ck_assert_uint_eq(stats.page_guards, 12);
    ck_assert(!survives(write_to, (char *)wi_stack_limit(stacks[0]) - 1));
    stacks[199]->owner = &fine;
    wi_stack_prepare(stacks[199], wi_stack_top(stacks[199]), overflow_unguarded,
                     stacks[199]);
    wi_stack_switch(&home, &stacks[199]->point);
    ck_assert(fine);
    wi_stack_switch(&home, &stacks[199]->point);
    ck_assert(!fine);
}

WEFT_TEST(each_word_of_a_canary_counts)
{
    uint64_t words[8] = {0};
    struct wi_stack stack = {.canary = words};

    ck_assert(wi_stack_check(&stack));
    for (int i = 0; i < 8; i++) {
        words[i] = 1;
        ck_assert(!wi_stack_check(&stack));
        words[i] = 0;
    }
    // A frame without a touched byte may lie beyond it.
    stack.limit = (char *)wi_arch_sp() + 65536;
    ck_assert(!wi_stack_check(&stack));
}

WEFT_TEST(guards_of_pages_are_counted_by_slab)
{
    struct wi_stack_pool_stats stats;

    wi_stack_pool_use_guard(WI_STACK_GUARD_PAGES, 100, 0);
    set_up((size_t)8 << 20);
    fill(12);
    wi_stack_pool_stats(&stats);
    ck_assert_uint_ge(stats.page_guards, 12);
    give_back(12);
    wi_stack_pool_trim();
    wi_stack_pool_stats(&stats);
    ck_assert_uint_le(stats.page_guards, 4);
}

// Where the process has as many mappings as it may.
WEFT_TEST(a_guard_that_is_refused_is_a_canary)
{
    struct wi_stack_pool_stats stats;

    if (INSTRUMENTED)
        weft_test_skip("needs mprotect itself");
    wi_stack_pool_use_guard(WI_STACK_GUARD_PAGES, 100, 0);
    set_up(65536);
    kit_refuse(SYS_mprotect, ENOMEM);
    fill(4);
    for (int i = 0; i < 4; i++) {
        ck_assert_ptr_nonnull(stacks[i]->canary);
        ck_assert(wi_stack_check(stacks[i]));
    }
    wi_stack_pool_stats(&stats);
    ck_assert_uint_eq(stats.page_guards, 0);
}

// resident_pages would count the shared zero page that the canary is read
// from, but the kernel does not charge it.
static long resident(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    long size, pages = 0;

    ck_assert_int_eq(fscanf(file, "%ld %ld", &size, &pages), 2);
    fclose(file);
    return pages;
}

WEFT_TEST(a_canary_costs_no_page)
{
    long before, after;

    if (INSTRUMENTED)
        weft_test_skip("counts pages");
    wi_stack_pool_use_guard(WI_STACK_GUARD_PAGES, 0, 0);
    set_up(65536);
    fill(MANY);
    before = resident();
    for (int i = 0; i < MANY; i++)
        ck_assert_uint_eq(*(volatile const uint64_t *)stacks[i]->canary, 0);
    after = resident();
    ck_assert_int_lt(after - before, MANY / 8);
}

WEFT_TEST(guards_are_no_mappings, .timeout = 20)
{
    struct wi_stack_pool_stats stats;
    int before, after;

    if (INSTRUMENTED)
        weft_test_skip("counts mappings");
    set_up(65536);
    before = weft_test_count_mappings();
    fill(MANY);
    after = weft_test_count_mappings();
    wi_stack_pool_stats(&stats);
    if (stats.guard != WI_STACK_GUARD_LIGHT)
        weft_test_skip("no MADV_GUARD_INSTALL here");
    ck_assert_int_lt(after - before, 20 + MANY / 64);
}

// What a parked stack costs ---------------------------------------------------

__attribute__((noinline)) static void park(struct wi_stack *self)
{
    volatile char path[600];

    path[0] = path[599] = 1;
    wi_stack_switch(&self->point, &home);
    path[1] = path[0];
}

static void park_forever(void *arg)
{
    struct wi_stack *self = arg;

    wi_stack_arrived(&self->point);
    for (;;)
        park(self);
}

WEFT_TEST(a_parked_stack_costs_one_page, .timeout = 20)
{
#ifdef WEFT_UCONTEXT
    weft_test_skip("an ucontext is too big");
#endif
    if (INSTRUMENTED)
        weft_test_skip("counts pages");
    set_up(65536);
    for (int i = 0; i < 256; i++) {
        struct wi_stack *stack = wi_stack_new(&cache);
        // The scheduler keeps a block of its own above the frames.
        char *top = (char *)wi_stack_top(stack) - 512;

        memset(top, 1, 512);
        wi_stack_prepare(stack, top, park_forever, stack);
        wi_stack_switch(&home, &stack->point);
        ck_assert_int_eq(resident_pages(stack), 1);
    }
}

WEFT_TEST(neighbours_have_different_colours)
{
    unsigned char seen[64] = {0};
    int colours = 0;

    set_up(65536);
    fill(64);
    for (int i = 0; i < 64; i++) {
        uintptr_t top = (uintptr_t)wi_stack_top(stacks[i]);
        ck_assert_uint_eq(top % 64, 0);
        ck_assert_uint_ge(top % 4096, 1900);
        colours += !seen[top / 64 % 64]++;
    }
    ck_assert_int_ge(colours, 16);
}

// Looking up ------------------------------------------------------------------

WEFT_TEST(addresses_are_found)
{
    struct wi_stack_place place;
    uintptr_t top;

    set_up(65536);
    fill(40);
    for (int i = 0; i < 40; i++) {
        top = (uintptr_t)wi_stack_top(stacks[i]);
        ck_assert(wi_stack_find(top - 100, &place));
        ck_assert_ptr_eq(place.stack, stacks[i]);
        ck_assert_ptr_eq(place.limit, stacks[i]->limit);
        ck_assert(wi_stack_find((uintptr_t)place.limit - 1, &place));
        ck_assert_ptr_eq(place.stack, stacks[i]);
    }
    ck_assert(!wi_stack_find((uintptr_t)&place, &place));
    ck_assert(!wi_stack_find(0, &place));
    top = (uintptr_t)wi_stack_top(stacks[0]);
    put_all(40);
    wi_stack_trim(&cache, 39);
    ck_assert(wi_stack_find(top, &place));
    ck_assert_ptr_null(place.stack);
}

// So many slabs that a second chunk of records is used, and more than a page of
// it; it goes back, and is used again. Nothing is touched.
WEFT_TEST(addresses_are_found_after_many_came_and_went)
{
    enum { MOST = 5200 };
    static struct wi_stack_slot slots[MOST];
    const unsigned cls = wi_stack_class_of((size_t)8 << 20);
    struct wi_stack_place place;
    unsigned n = 0, got = 1;

    if (INSTRUMENTED)
        weft_test_skip("needs much address space");
    wi_stack_pool_use_guard(WI_STACK_GUARD_PAGES, 0, 0);
    for (; n < MOST && got > 0; n += got)
        got = wi_stack_pool_take(cls, slots + n, 4);
    if (n < MOST)
        weft_test_skip("needs more address space");
    wi_stack_pool_give(slots, n);
    set_up((size_t)8 << 20);
    fill(40);
    for (int i = 0; i < 40; i++) {
        ck_assert(wi_stack_find((uintptr_t)stacks[i] - 100, &place));
        ck_assert_ptr_eq(place.stack, stacks[i]);
    }
}

// At the limits ---------------------------------------------------------------

static size_t address_space(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    size_t pages;

    ck_assert_int_eq(fscanf(file, "%zu", &pages), 1);
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void limit_address_space(size_t more)
{
    struct rlimit limit;

    ck_assert_int_eq(getrlimit(RLIMIT_AS, &limit), 0);
    limit.rlim_cur = address_space() + more;
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
}

WEFT_TEST(short_address_space_makes_small_slabs)
{
    if (INSTRUMENTED)
        weft_test_skip("limits the address space");
    set_up((size_t)256 << 10);
    limit_address_space((size_t)6 << 20); // a whole one has 16 MiB
    fill(16);
}

// It is enough for the slab, but not for its record.
WEFT_TEST(a_slab_without_a_record_is_given_back)
{
    if (INSTRUMENTED)
        weft_test_skip("limits the address space");
    set_up((size_t)256 << 10);
    size_t before = address_space();
    limit_address_space(((size_t)16 << 20) + 4096);
    ck_assert_ptr_null(wi_stack_new(&cache));
    ck_assert_uint_lt(address_space(), before + ((size_t)1 << 20));
    limit_address_space((size_t)32 << 20);
    fill(1);
}

WEFT_TEST(no_address_space_is_null)
{
    struct rlimit limit = {(size_t)512 << 20, (size_t)512 << 20};
    struct wi_stack *stack;
    int n = 0;

    if (INSTRUMENTED)
        weft_test_skip("limits the address space");
    setrlimit(RLIMIT_AS, &limit);
    set_up((size_t)8 << 20);
    while (n < MANY && (stack = wi_stack_new(&cache)))
        stacks[n++] = stack;
    if (n == MANY)
        weft_test_skip("nothing limits the address space");
    ck_assert_int_gt(n, 40);
    ck_assert_int_lt(n, 64);
    ck_assert_ptr_null(wi_stack_new(&cache));
    put_all(n);
    ck_assert_ptr_eq(wi_stack_new(&cache), stacks[n - 1]);
}

WEFT_TEST(a_forked_child_can_start_anew)
{
    int status;
    pid_t pid;

    set_up(65536);
    fill(10);
    pid = fork();
    if (pid == 0) {
        wi_stack_pool_forget();
        wi_stack_cache_init(&cache, 65536);
        fill(100);
        put_all(100);
        wi_stack_cache_fini(&cache);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
}

static int over;

static void *hold_the_lock_often(void *arg)
{
    struct wi_stack_pool_stats stats;

    while (!__atomic_load_n(&over, __ATOMIC_RELAXED))
        wi_stack_pool_stats(&stats);
    return arg;
}

// Whoever had the pool's lock is not there in the child.
WEFT_TEST(a_child_of_a_busy_pool_can_start_anew, .timeout = 60)
{
    pthread_t thread;
    int status;

    if (INSTRUMENTED)
        weft_test_skip("forks beside a thread");
    set_up(65536);
    fill(200);
    pthread_create(&thread, NULL, hold_the_lock_often, NULL);
    for (int i = 0; i < 50; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            alarm(10);
            wi_stack_pool_forget();
            wi_stack_cache_init(&cache, 65536);
            _exit(wi_stack_new(&cache) == NULL);
        }
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert_int_eq(status, 0);
    }
    __atomic_store_n(&over, 1, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
}

static void a_lot(size_t n, size_t size)
{
    struct wi_stack **all = malloc(n * sizeof(*all));
    int before = weft_test_count_mappings();

    set_up(size);
    for (size_t i = 0; i < n; i++) {
        all[i] = wi_stack_new(&cache);
        ck_assert_ptr_nonnull(all[i]);
    }
    ck_assert_int_lt(weft_test_count_mappings() - before, 1000);
    for (size_t i = 0; i < n; i++)
        wi_stack_put(&cache, all[i]);
    wi_stack_cache_fini(&cache);
    free(all);
}

WEFT_TEST(a_million, .timeout = 120)
{
    if (!getenv("WEFT_STRESS") || INSTRUMENTED)
        weft_test_skip("needs WEFT_STRESS=1 and 5 GB");
    a_lot(1000000, 65536);
    a_lot(200000, 256 << 10);
}

WEFT_TEST_MAIN("stack")
