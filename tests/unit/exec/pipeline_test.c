// SPDX-License-Identifier: MIT
// Pipelines: order, bounds, failures, cancel, stages that block.
#include "kit.h"

enum { ITEMS = 3000 };

struct line {
    int made, ended, dropped, inside, most, limit;
    int last;      // of a stage in order
    int next_made; // items are numbers from 1 on
    int fail_at;
    struct kit_gate gate;
};

static int make(void **item, void *arg)
{
    struct line *line = arg;
    if (line->made == line->limit)
        return 1;
    *item = kit_number(++line->made);
    int inside = __atomic_add_fetch(&line->inside, 1, __ATOMIC_RELAXED);
    if (inside > line->most)
        line->most = inside;
    return 0;
}

static int twice(void **item, void *arg)
{
    (void)arg;
    if ((intptr_t)*item % 100 == 0)
        weft_sleep(0.0005);
    *item = kit_number(2 * (long)(intptr_t)*item);
    return 0;
}

static int in_order(void **item, void *arg)
{
    struct line *line = arg;
    int n = (int)(intptr_t)*item / 2;
    if (line->fail_at == n)
        return -EDOM;
    if (line->last + 1 != n)
        ck_abort_msg("%d came after %d", n, line->last);
    line->last = n;
    return 0;
}

static int end(void **item, void *arg)
{
    struct line *line = arg;
    (void)item;
    kit_count(&line->ended);
    __atomic_fetch_sub(&line->inside, 1, __ATOMIC_RELAXED);
    return 0;
}

static void drop(void *item, void *arg)
{
    (void)item;
    kit_count(&((struct line *)arg)->dropped);
}

static const struct weft_stage stages[] = {
    {make, false}, {twice, true}, {in_order, false}, {end, true}};

static int run(struct line *line, weft_executor *ex, size_t tokens)
{
    void *args[] = {line, line, line, line};
    return weft_pipeline(stages, 4, args, .executor = ex, .tokens = tokens,
                         .drop = drop, .drop_arg = line);
}

KIT_BOTH(all_items_go_through_in_order, .timeout = 60)
{
    for (unsigned n = 1; n <= 4; n++) {
        weft_executor *ex = weft_thread_pool(.workers = n);
        for (size_t tokens = 1; tokens <= 33; tokens += 8) {
            struct line line = {.limit = ITEMS};
            kit_assert_code(run(&line, ex, tokens), 0);
            ck_assert_int_eq(line.last, ITEMS);
            ck_assert_int_eq(line.ended, ITEMS);
            ck_assert_int_eq(line.dropped, 0);
            ck_assert_int_le(line.most, (int)tokens);
        }
        weft_executor_close(ex);
    }
}

KIT_BOTH(no_items_and_one_stage)
{
    struct line line = {.limit = 0};
    kit_assert_code(run(&line, NULL, 0), 0);
    line.limit = 10;
    void *arg = &line;
    kit_assert_code(weft_pipeline(stages, 1, &arg), 0);
    ck_assert_int_eq(line.made, 10);
    kit_assert_code(weft_pipeline(stages, 0, &arg), -EINVAL);
}

KIT_BOTH(a_failure_ends_it, .timeout = 60)
{
    for (unsigned n = 1; n <= 4; n++) {
        weft_executor *ex = weft_thread_pool(.workers = n);
        struct line line = {.limit = 1 << 30, .fail_at = 500};
        kit_assert_code(run(&line, ex, 0), -EDOM);
        ck_assert_int_eq(line.last, 499);
        ck_assert_int_eq(line.made, line.ended + line.dropped);
        weft_executor_close(ex);
    }
}

static int make_nothing(void **item, void *arg)
{
    (void)item;
    (void)arg;
    return -EIO;
}

WEFT_TEST(a_source_may_fail)
{
    const struct weft_stage bad[] = {{make_nothing, false}, {end, true}};
    kit_assert_code(weft_pipeline(bad, 2, NULL), -EIO);
}

KIT_BOTH(a_timeout_ends_it, .timeout = 60)
{
    for (unsigned n = 1; n <= 3; n++) {
        weft_executor *ex = weft_thread_pool(.workers = n);
        struct line line = {.limit = 1 << 30};
        {
            WEFT_TIMEOUT(0.02);
            kit_assert_code(run(&line, ex, 0), -ETIMEDOUT);
        }
        ck_assert_int_eq(line.made, line.ended + line.dropped);
        weft_executor_close(ex);
    }
}

// Goes on when five items are in the stage at once.
static int meet(void **item, void *arg)
{
    struct line *line = arg;
    (void)item;
    if (__atomic_add_fetch(&line->last, 1, __ATOMIC_SEQ_CST) == 5)
        kit_gate_open(&line->gate);
    return kit_gate_wait(&line->gate);
}

// On one worker: an item that waits does not hold it.
WEFT_TEST(items_that_wait_leave_the_worker_to_others, .timeout = 30)
{
    const struct weft_stage meeting[] = {{make, false}, {meet, true}};
    struct line line = {.limit = 5, .gate = kit_gate_new()};
    void *args[] = {&line, &line};
    weft_executor *ex = weft_thread_pool(.workers = 1);
    kit_assert_code(weft_pipeline(meeting, 2, args, .executor = ex), 0);
    weft_executor_close(ex);
    kit_gate_free(&line.gate);
}

// As many items as tokens are in the stage before one goes on. With a sanitizer
// each stack is dear, and addresses are few.
static int all_meet(void **item, void *arg)
{
    struct line *line = arg;
    (void)item;
    if (__atomic_add_fetch(&line->last, 1, __ATOMIC_SEQ_CST) == line->limit)
        kit_gate_open(&line->gate);
    return kit_gate_wait(&line->gate);
}

WEFT_TEST(very_many_items_wait_at_once, .timeout = 60)
{
    const struct weft_stage meeting[] = {
        {make, false}, {all_meet, true}, {end, false}};
    for (unsigned n = 1; n <= 2; n++) {
        struct line line = {.limit = KIT_SANITIZED ? 200 : 10000};
        line.gate = kit_gate_new();
        void *args[] = {&line, &line, &line};
        weft_executor *ex = weft_thread_pool(.workers = n);
        kit_assert_code(weft_pipeline(meeting, 3, args, .executor = ex,
                                      .tokens = (size_t)line.limit),
                        0);
        ck_assert_int_eq(line.ended, line.limit);
        weft_executor_close(ex);
        kit_gate_free(&line.gate);
    }
}

// Short items pass, of which one worker alone takes care; then the last ones
// wait for each other. Those that stood by come.
static int meet_at_the_end(void **item, void *arg)
{
    struct line *line = arg;
    enum { LAST = 4 };
    if ((intptr_t)*item <= line->limit - LAST)
        return 0;
    if (__atomic_add_fetch(&line->last, 1, __ATOMIC_SEQ_CST) == LAST)
        kit_gate_open(&line->gate);
    return kit_gate_wait(&line->gate);
}

WEFT_TEST(short_items_may_end_in_long_ones, .timeout = 60)
{
    const struct weft_stage stages[] = {
        {make, false}, {meet_at_the_end, true}, {end, false}};
    for (int i = 0; i < 60; i++) {
        struct line line = {.limit = KIT_SANITIZED ? 3000 : 30000};
        line.gate = kit_gate_new();
        void *args[] = {&line, &line, &line};
        weft_executor *ex = weft_thread_pool(.workers = 1 + (unsigned)i % 4);
        kit_assert_code(weft_pipeline(stages, 3, args, .executor = ex,
                                      .tokens = i % 3 == 0 ? 4 : 100),
                        0);
        ck_assert_int_eq(line.ended, line.limit);
        weft_executor_close(ex);
        kit_gate_free(&line.gate);
    }
}

enum { STACKS = 64, STACK_BYTES = 1 << 16 };

// The stacks that a stage was seen on: fewer than STACKS.
struct stacks {
    uintptr_t at[STACKS];
    int count;
};

static int note_stack(void **item, void *arg)
{
    struct stacks *stacks = arg;
    (void)item;
    uintptr_t here = (uintptr_t)__builtin_frame_address(0) / STACK_BYTES;
    int i = 0;
    while (i < stacks->count && stacks->at[i] != here)
        i++;
    ck_assert_int_lt(i, STACKS);
    stacks->at[i] = here;
    stacks->count += i == stacks->count;
    return 0;
}

// A token alone has no stack and no worker looks at it: there are as few
// carriers as if there were few tokens.
WEFT_TEST(many_tokens_have_few_carriers, .timeout = 60)
{
    const struct weft_stage stages_seen[] = {
        {make, false}, {note_stack, false}, {end, true}};
    weft_executor *ex = weft_thread_pool(.workers = 2);
    for (int round = 0; round < 10; round++) {
        struct line line = {.limit = 10000};
        struct stacks stacks = {.count = 0};
        void *args[] = {&line, &stacks, &line};
        kit_assert_code(weft_pipeline(stages_seen, 3, args, .executor = ex,
                                      .tokens = 10000),
                        0);
        ck_assert_int_eq(line.ended, line.limit);
    }
    weft_executor_close(ex);
}

// Computes until a second item is in the stage, on the other worker.
static int pair_up(void **item, void *arg)
{
    struct line *line = arg;
    (void)item;
    int n = __atomic_add_fetch(&line->last, 1, __ATOMIC_ACQ_REL);
    while (kit_load(&line->last) < (n + 1) / 2 * 2)
        sched_yield();
    return 0;
}

// However often the two have waited for each other before.
WEFT_TEST(all_workers_take_part, .timeout = 60)
{
    const struct weft_stage pairs[] = {
        {make, false}, {pair_up, true}, {end, false}};
    weft_executor *ex = weft_thread_pool(.workers = 2);
    for (size_t tokens = 2; tokens <= 128; tokens *= 4) {
        struct line line = {.limit = 400};
        void *args[] = {&line, &line, &line};
        kit_assert_code(
            weft_pipeline(pairs, 3, args, .executor = ex, .tokens = tokens), 0);
        ck_assert_int_eq(line.ended, line.limit);
    }
    weft_executor_close(ex);
}

WEFT_TEST_MAIN("pipeline")
