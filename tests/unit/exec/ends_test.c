// SPDX-License-Identifier: MIT
//
// All loops, sorts, pipelines and graphs are ended in the same ways, from a
// task and from a plain thread, on pools of all sizes: by a deadline, by a
// cancel from outside, and by a scope that had ended before. Nothing runs after
// the call. And nested ones use no more threads than the pool has.
#include "kit.h"

#include <dlfcn.h>
#include <pthread.h>

#include <weft/sort.h>

enum { N = 1 << 20, WORDS = 200000, STEPS = 50000 };

static weft_executor *pool; // NULL: what the process shares
static int begun, running;

// A body that waits; and says when it is inside.
static int block(void)
{
    kit_count(&running);
    kit_count(&begun);
    int rc = weft_sleep(0.001);
    __atomic_sub_fetch(&running, 1, __ATOMIC_SEQ_CST);
    return rc < 0 ? 0 : rc; // the loop knows it by itself
}

static int range(size_t begin, size_t end, void *arg)
{
    (void)begin;
    (void)end;
    (void)arg;
    return block();
}

static int tile(const struct weft_tile *t, void *arg)
{
    (void)t;
    (void)arg;
    return block();
}

static int fold(size_t begin, size_t end, void *sum, void *arg)
{
    (void)arg;
    *(long *)sum += (long)(end - begin);
    return block();
}

static void add(void *left, const void *right, void *arg)
{
    (void)arg;
    *(long *)left += *(const long *)right;
}

static int call_for(void)
{
    return weft_parallel_for(0, N, range, NULL, .executor = pool);
}

static int call_tiles(void)
{
    const size_t extent[3] = {N, 4, 4}, one[3] = {1, 1, 1};
    return weft_parallel_tiles(3, extent, one, tile, NULL, .executor = pool);
}

static const struct weft_reduction sum = {sizeof(long), &(const long){0}, fold,
                                          add};

static int call_reduce(void)
{
    long out = 7;
    int rc = weft_parallel_reduce(0, N, &sum, &out, NULL, .executor = pool);
    ck_assert(rc == 0 || out == 7);
    return rc;
}

static int scan(bool exact)
{
    const struct weft_scan what = {.sum = sum, .output = fold, .exact = exact};
    return weft_parallel_scan(0, N, &what, NULL, NULL, .executor = pool);
}

static int call_scan(void)
{
    return scan(false);
}

static int call_exact_scan(void)
{
    return scan(true);
}

static int numbers[WORDS];

static void shuffle(void)
{
    for (int i = 0; i < WORDS; i++)
        numbers[i] = (int)((unsigned)i * 2654435761u >> 8);
}

// Now and then: what sorts without forking looks for no cancel.
static void block_sometimes(void)
{
    static int compared;
    if (__atomic_fetch_add(&compared, 1, __ATOMIC_RELAXED) % 500 == 0)
        block();
}

static int compare(const void *a, const void *b, void *arg)
{
    (void)arg;
    block_sometimes();
    return *(const int *)a - *(const int *)b;
}

static int call_sort(void)
{
    shuffle();
    return weft_parallel_sort(numbers, WORDS, sizeof *numbers, compare, NULL,
                              .executor = pool);
}

static bool less(const int *a, const int *b)
{
    block_sometimes();
    return *a < *b;
}

WEFT_SORTABLE(sort_numbers, int, a, b, less(a, b))

static int call_stable_sort(void)
{
    shuffle();
    return sort_numbers(pool, numbers, WORDS);
}

static int call_sort_in_place(void)
{
    shuffle();
    return sort_numbers_in_place(pool, numbers, WORDS);
}

static int made, dropped;

static int make(void **item, void *arg)
{
    (void)arg;
    *item = kit_number(++made);
    return 0;
}

static int stage(void **item, void *arg)
{
    (void)item;
    (void)arg;
    return block();
}

static int last(void **item, void *arg)
{
    (void)item;
    (void)arg;
    kit_count(&dropped);
    return 0;
}

static void drop(void *item, void *arg)
{
    (void)item;
    (void)arg;
    kit_count(&dropped);
}

static int call_pipeline(void)
{
    const struct weft_stage stages[] = {
        {make, false}, {stage, true}, {stage, false}, {last, true}};
    made = dropped = 0;
    int rc = weft_pipeline(stages, 4, NULL, .executor = pool, .drop = drop);
    ck_assert_int_eq(made, dropped);
    return rc;
}

static int step(void *arg)
{
    (void)arg;
    return block();
}

static weft_graph *graph;

static int call_graph(void)
{
    return weft_graph_run(graph, .executor = pool);
}

static int (*const calls[])(void) = {
    call_for,        call_tiles, call_reduce,      call_scan,
    call_exact_scan, call_sort,  call_stable_sort, call_sort_in_place,
    call_pipeline,   call_graph};
enum { CALLS = sizeof calls / sizeof calls[0] };

static void make_graph(void)
{
    graph = weft_graph_new();
    for (int i = 0; i < STEPS; i++) {
        ck_assert_int_eq(weft_graph_add(graph, step, NULL), i);
        if (i >= 10)
            kit_assert_code(weft_graph_edge(graph, i - 10, i), 0);
    }
}

// When a call has returned, it is over. It may also have ended whole, before
// the end of its scope came: then it is tried again.
static bool is_ended(int call, int rc, int want)
{
    ck_assert_msg((rc == want || rc == 0) && kit_load(&running) == 0,
                  "call %d: %s, %d bodies still run", call, weft_error_name(rc),
                  kit_load(&running));
    return rc == want;
}

static bool timed_out(int call)
{
    WEFT_TIMEOUT(0.01);
    return is_ended(call, calls[call](), -ETIMEDOUT);
}

static int call_it(void *call)
{
    int i = (int)(intptr_t)call;
    return is_ended(i, calls[i](), -ECANCELED);
}

static bool canceled(int call, bool task)
{
    begun = 0;
    weft_future *f = task ? weft_task_start(call_it, kit_number(call))
                          : weft_thread_start(call_it, kit_number(call));
    kit_await(&begun, 1);
    kit_assert_code(weft_cancel(f), 0);
    return weft_join(f) == true;
}

static void refused(int call)
{
    weft_group *g = weft_group_open();
    weft_group_cancel(g);
    begun = 0;
    kit_assert_code(calls[call](), -ECANCELED);
    ck_assert_msg(begun == 0, "call %d began", call);
    weft_group_close(g);
}

static void end_each(void)
{
    for (int i = 0; i < CALLS; i++) {
        while (!timed_out(i))
            continue;
        while (!canceled(i, true) || !canceled(i, false))
            continue;
        refused(i);
    }
}

KIT_BOTH(each_is_ended_from_outside, .timeout = 60)
{
    make_graph();
    end_each();
    for (unsigned n = 1; n <= 3; n += 2) {
        pool = weft_thread_pool(.workers = n);
        end_each();
        kit_assert_code(weft_executor_close(pool), 0);
    }
    pool = NULL;
    weft_graph_free(graph);
}

// Nesting ---------------------------------------------------------------------

enum { MOST = 16, WIDTH = 3, DEPTH = 3 };

static pthread_t seen[MOST];
static int threads_seen;
static struct weft_lock lock;

static void note_thread(void)
{
    kit_assert_code(weft_lock_acquire(&lock), 0);
    int i = 0;
    while (i < threads_seen && !pthread_equal(seen[i], pthread_self()))
        i++;
    ck_assert_int_lt(i, MOST);
    seen[i] = pthread_self();
    threads_seen += i == threads_seen;
    weft_lock_release(&lock);
}

// Each level calls the next one by another kind of loop.
static int deeper(int depth);

static int deeper_range(size_t begin, size_t end, void *arg)
{
    int rc = 0;
    note_thread();
    for (; rc == 0 && begin < end; begin++)
        rc = deeper((int)(intptr_t)arg);
    return rc;
}

static int deeper_fold(size_t begin, size_t end, void *acc, void *arg)
{
    *(long *)acc += (long)(end - begin);
    return deeper_range(begin, end, arg);
}

static int deeper_step(void *arg)
{
    return deeper_range(0, 1, arg);
}

static int deeper_graph(void *arg)
{
    weft_graph *g = weft_graph_new();
    for (int i = 0; i < 8; i++)
        weft_graph_add(g, deeper_step, arg);
    int rc = weft_graph_run(g);
    weft_graph_free(g);
    return rc;
}

static int deeper(int depth)
{
    const struct weft_reduction all = {sizeof(long), &(const long){0},
                                       deeper_fold, add};
    void *next = kit_number(depth - 1);
    long n = 0;
    if (depth == 0)
        return 0;
    int rc = weft_parallel_for(0, 8, deeper_range, next);
    if (rc == 0)
        rc = weft_parallel_reduce(0, 8, &all, &n, next);
    return rc < 0 ? rc : deeper_graph(next);
}

static int deeper_on_pool(size_t begin, size_t end, void *arg)
{
    return deeper_range(begin, end, arg);
}

KIT_BOTH(nested_ones_share_the_threads, .timeout = 60)
{
    weft_executor *ex = weft_thread_pool(.workers = WIDTH);
    kit_assert_code(weft_parallel_for(0, 8, deeper_on_pool,
                                      kit_number(DEPTH - 1), .executor = ex),
                    0);
    ck_assert_int_ge(threads_seen, 1);
    ck_assert_int_le(threads_seen, WIDTH);
    kit_assert_code(weft_executor_close(ex), 0);
}

// Memory ----------------------------------------------------------------------

static int steps_run;

static int count_step(void *arg)
{
    (void)arg;
    return kit_count(&steps_run);
}

// Of this thread, once it counts.
static __thread bool counts;
static int allocations;

#if !KIT_SANITIZED // which has one of its own
void *malloc(size_t size)
{
    static void *(*real)(size_t);
    void *(*fn)(size_t) = __atomic_load_n(&real, __ATOMIC_RELAXED);
    if (fn == NULL) {
        *(void **)&fn = dlsym(RTLD_NEXT, "malloc");
        __atomic_store_n(&real, fn, __ATOMIC_RELAXED);
    }
    if (counts)
        kit_count(&allocations);
    return fn(size);
}
#endif

// Graphs are built once and run often: a run takes no memory.
WEFT_JOB(int, run_and_count)
{
    int rc = weft_graph_run(graph); // what is made once is made now
    counts = true;
    for (int i = 0; rc == 0 && i < 20; i++)
        rc = weft_graph_run(graph);
    counts = false;
    return rc;
}

static bool malloc_is_counted(void)
{
    void *(*volatile take)(size_t) = malloc; // the compiler knows malloc
    counts = true;
    void *memory = take(1);
    counts = false;
    free(memory);
    return allocations == 1;
}

WEFT_TEST(a_run_of_a_graph_takes_no_memory)
{
    int rc = 1;
    if (!malloc_is_counted())
        weft_test_skip("malloc is somebody else's here");
    graph = weft_graph_new();
    for (int i = 0; i < 1000; i++) {
        weft_graph_add(graph, count_step, NULL);
        if (i >= 10)
            weft_graph_edge(graph, i - 10, i);
    }
    weft_executor *ex = weft_thread_pool(.workers = 1);
    kit_assert_code(weft_result(weft_submit(ex, run_and_count), &rc), 0);
    kit_assert_code(rc, 0);
    ck_assert_int_eq(steps_run, 21000);
    ck_assert_int_eq(allocations, 1);
    kit_assert_code(weft_executor_close(ex), 0);
    weft_graph_free(graph);
}

WEFT_TEST_MAIN("ends")
