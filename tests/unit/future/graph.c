// SPDX-License-Identifier: MIT
#include "graph.h"

#include "kit.h"

#define MOST 12

static struct {
    const char *spec[MOST]; // the node's letter and what it does
    weft_future *future[MOST];
    struct kit_gate promise[MOST];
    struct kit_gate gate; // all nodes stand here until all have been started
    weft_executor *pool;
    int count, gated;
    int deadlocks, ended;
} graph;

// One step of a node ----------------------------------------------------------

struct step {
    char what;
    int n, on[MOST];
};

static const char *read_step(const char *s, struct step *step)
{
    step->what = *s++;
    step->n = 0;
    do {
        if (*s == ',')
            s++;
        step->on[step->n++] = (int)strtol(s, (char **)&s, 10);
    } while (*s == ',');
    return s;
}

// The node's future. A node that is canceled at the gate comes here before the
// gate has opened, with no order but this one.
static weft_future *future_of(int node)
{
    return __atomic_load_n(&graph.future[node], __ATOMIC_ACQUIRE);
}

static int in_time(weft_future *f, double seconds)
{
    WEFT_TIMEOUT(seconds);
    return weft_get_into(f, NULL, 0);
}

static int wait_for(const struct step *step, enum weft_wait_mode mode)
{
    weft_future *set[MOST];

    for (int i = 0; i < step->n; i++)
        set[i] = future_of(step->on[i]);
    return weft_wait(set, (size_t)step->n, mode, INFINITY);
}

static int gather(const struct step *step)
{
    weft_future *set[MOST];

    for (int i = 0; i < step->n; i++)
        set[i] = weft_future_ref(future_of(step->on[i]));
    return weft_gather_into(set, (size_t)step->n, NULL, 0, NULL);
}

static int as_completed(const struct step *step)
{
    weft_future *set[MOST];
    ssize_t rc;

    for (int i = 0; i < step->n; i++)
        set[i] = future_of(step->on[i]);
    weft_as_completed *it = weft_as_completed_open(set, (size_t)step->n);
    do
        rc = weft_as_completed_next(it);
    while (rc >= 0);
    weft_as_completed_close(it);
    return (int)rc;
}

static int poll_promise(weft_future *f)
{
    int rc = 0;

    while (rc >= 0 && weft_wait(&f, 1, WEFT_ALL_COMPLETED, 0) == 0)
        rc = weft_yield();
    return rc;
}

static int get_node(void *arg)
{
    int rc = weft_get_into(arg, NULL, 0);

    if (rc == -WEFT_EDEADLOCK)
        kit_count(&graph.deadlocks);
    return 0;
}

static int in_group(weft_future *f)
{
    weft_group *g = weft_group_open();

    weft_future_unref(weft_task_start(get_node, f));
    return weft_group_close(g);
}

static int in_group_in_time(weft_future *f)
{
    WEFT_TIMEOUT(weft_test_seconds(0.01));
    return in_group(f);
}

static int take_step(const struct step *step)
{
    weft_future *f = future_of(step->on[0]);
    struct kit_gate *promise = &graph.promise[step->on[0]];

    switch (step->what) {
    case '>':
        return weft_get_into(f, NULL, 0);
    case 'j':
        return weft_join(weft_future_ref(f));
    case '=':
        return in_time(f, weft_test_seconds(0.01));
    case '~':
        return in_time(f, 60);
    case '&':
        return wait_for(step, WEFT_ALL_COMPLETED);
    case '|':
        return wait_for(step, WEFT_FIRST_COMPLETED);
    case '^':
        return wait_for(step, WEFT_FIRST_FAILED);
    case '%':
        return gather(step);
    case '@':
        return as_completed(step);
    case '*':
        return kit_gate_wait(promise);
    case 'x':
        return poll_promise(promise->future);
    case '!':
        return weft_promise_keep(promise->promise, 0, NULL, 0, NULL);
    case 'c':
        return weft_cancel(f);
    case 's':
        return weft_sleep(0.001);
    case 'y':
        return weft_yield();
    case 'g':
        return in_group(f);
    case 'd':
        return in_group_in_time(f);
    case 'e':
        return weft_done(f);
    }
    ck_abort_msg("no such step: %c", step->what);
    return 0;
}

// Nodes -----------------------------------------------------------------------

// No node returns what it got from another one, so that a -WEFT_EDEADLOCK is
// always of the very wait that returned it.
static int live(int me)
{
    struct step step;

    if (graph.gated)
        kit_gate_wait(&graph.gate);
    for (const char *s = graph.spec[me] + 1; *s && *s != ' ';) {
        s = read_step(s, &step);
        int rc = take_step(&step);
        if (rc == -WEFT_EDEADLOCK)
            kit_count(&graph.deadlocks);
        if (step.what == 'e' && rc)
            break;
    }
    kit_count(&graph.ended);
    return 100 + me;
}

static int live_as_task(void *arg)
{
    return live((int)(intptr_t)arg);
}

WEFT_JOB(int, live_as_job, int, me)
{
    return live(me);
}

// Whatever ends a node early leaves no promise unkept for ever: who is canceled
// before the start never runs.
static void count_dropped(void *arg)
{
    (void)arg;
    kit_count(&graph.ended);
}

static weft_future *start_node(int i)
{
    const char *name = graph.spec[i];

    if (*name == 'T')
        return weft_task_start(live_as_task, kit_number(i), .name = name,
                               .drop = count_dropped);
    if (*name == 'H')
        return weft_thread_start(live_as_task, kit_number(i), .name = name,
                                 .drop = count_dropped);
    ck_assert_msg(*name == 'P', "no such node: %s", name);
    return weft_submit(graph.pool, live_as_job, i);
}

static int read_program(const char *program)
{
    int n = 0;

    while (*program) {
        ck_assert_int_lt(n, MOST);
        graph.spec[n++] = program;
        program += strcspn(program, " ");
        program += strspn(program, " ");
    }
    return n;
}

static void shuffle(int *order, int n, unsigned long seed)
{
    for (int i = 0; i < n; i++)
        order[i] = i;
    for (int i = n - 1; seed && i > 0; i--) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        int k = (int)((seed >> 33) % (unsigned long)(i + 1));
        int swap = order[i];
        order[i] = order[k];
        order[k] = swap;
    }
}

// The end ---------------------------------------------------------------------

// Every node ends, and tells what it was told to return: a canceled one may
// say that instead.
static void check_end(int i)
{
    int rc = weft_join(graph.future[i]);
    int want = *graph.spec[i] == 'P' ? 0 : 100 + i;

    if (rc != -WEFT_EJOBCANCELED)
        kit_assert_code(rc, want);
}

static void wait_for_all(void)
{
    // With a time limit, so that this wait is no edge.
    double limit = weft_test_seconds(60);
    size_t n = (size_t)graph.count;

    ck_assert_int_eq(weft_wait(graph.future, n, WEFT_ALL_COMPLETED, limit),
                     graph.count);
    for (int i = 0; i < graph.count; i++)
        check_end(i);
}

static int run_nodes(void *arg)
{
    const struct graph_setting *setting = arg;
    int order[MOST];

    graph.gated = !setting->at_once;
    graph.gate = kit_gate_new();
    for (int i = 0; i < MOST; i++)
        graph.promise[i] = kit_gate_new();
    graph.pool = weft_thread_pool(.workers = setting->pool ? setting->pool : 1);
    shuffle(order, graph.count, setting->order);
    for (int i = 0; i < graph.count; i++)
        __atomic_store_n(&graph.future[order[i]], start_node(order[i]),
                         __ATOMIC_RELEASE);
    kit_gate_open(&graph.gate);
    wait_for_all();
    kit_assert_code(weft_executor_close(graph.pool), 0);
    kit_gate_free(&graph.gate);
    for (int i = 0; i < MOST; i++) {
        if (weft_done(graph.promise[i].future))
            graph.promise[i].promise = NULL;
        kit_gate_free(&graph.promise[i]);
    }
    return 0;
}

struct graph_result graph_run(const char *program,
                              const struct graph_setting *setting)
{
    memset(&graph, 0, sizeof graph);
    graph.count = read_program(program);
    if (setting->workers == 0)
        run_nodes((void *)setting);
    else
        kit_assert_code(
            weft_run(run_nodes, (void *)setting, .workers = setting->workers),
            0);
    return (struct graph_result){graph.deadlocks, graph.ended, graph.count};
}
