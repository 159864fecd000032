// SPDX-License-Identifier: MIT
// weft_queue: many producers and many consumers; as much comes out as went in.
#include "queue_world.h"

struct flow {
    weft_queue *q;
    long n;
    int puts, gets;
    uint64_t in, out, taken;
    bool batch, timed, nowait;
};

static int flow_put(void *arg)
{
    struct flow *f = arg;
    long items[16], n;
    uint64_t seed = (uint64_t)__atomic_fetch_add(&f->puts, 1, __ATOMIC_RELAXED);
    for (long left = f->n; left > 0;) {
        int rc = 0, m = f->batch ? (int)(seed++ % 16) + 1 : 1;
        m = m < left ? m : (int)left;
        for (int i = 0; i < m; i++)
            items[i] = left - i;
        if (f->batch) {
            n = weft_queue_put_n(f->q, items, (size_t)m);
            ck_assert_int_eq(n, m);
        } else if (f->timed) {
            while ((rc = weft_queue_put(f->q, items, .timeout = 1e-5)) != 0)
                kit_assert_code(rc, -ETIMEDOUT);
        } else if (f->nowait) {
            while ((rc = weft_queue_try_put(f->q, items)) == -EAGAIN)
                world_turn();
            kit_assert_code(rc, 0);
        } else {
            kit_assert_code(weft_queue_put(f->q, items), 0);
        }
        for (int i = 0; i < m; i++)
            __atomic_fetch_add(&f->in, (uint64_t)items[i], __ATOMIC_RELAXED);
        left -= m;
    }
    return weft_queue_producer_done(f->q);
}

static int flow_get(void *arg)
{
    struct flow *f = arg;
    long items[16];
    for (;;) {
        long n = f->batch    ? weft_queue_get_n(f->q, items, 16)
                 : f->timed  ? weft_queue_get(f->q, items, .timeout = 1e-5)
                 : f->nowait ? weft_queue_try_get(f->q, items)
                             : weft_queue_get(f->q, items);
        if (n == -WEFT_ECLOSED)
            return 0;
        if ((n == -ETIMEDOUT && f->timed) || (n == -EAGAIN && f->nowait)) {
            world_turn();
            continue;
        }
        ck_assert_int_ge(n, 0);
        for (long i = 0; i < n + !f->batch; i++) {
            __atomic_fetch_add(&f->out, (uint64_t)items[i], __ATOMIC_RELAXED);
            __atomic_fetch_add(&f->taken, 1, __ATOMIC_RELAXED);
        }
    }
}

static void let_flow(world_start *start, enum weft_queue_kind kind,
                     size_t maxsize, struct flow f)
{
    f.n = KIT_SANITIZED ? 300 : 1500;
    weft_future *all[8];
    f.q = weft_queue_new(.item = sizeof(long), .maxsize = maxsize, .kind = kind,
                         .producers = 4);
    for (int i = 0; i < 8; i++)
        all[i] = start(i < 4 ? flow_put : flow_get, &f);
    for (int i = 0; i < 8; i++)
        kit_assert_code(weft_join(all[i]), 0);
    ck_assert_uint_eq(f.taken, 4 * (uint64_t)f.n);
    ck_assert_uint_eq(f.in, f.out);
    weft_queue_free(f.q);
}

static void let_all_flow(world_start *start, struct flow how)
{
    for (int kind = 0; kind <= WEFT_QUEUE_RENDEZVOUS; kind++) {
        // Two who never wait meet by chance only.
        if (kind == WEFT_QUEUE_RENDEZVOUS && how.nowait)
            continue;
        let_flow(start, (enum weft_queue_kind)kind, 1, how);
        let_flow(start, (enum weft_queue_kind)kind, 10, how);
        let_flow(start, (enum weft_queue_kind)kind, 0, how);
    }
}

WORLDS(many_producers_and_consumers, .timeout = 60)
{
    let_all_flow(start, (struct flow){.batch = false});
}

WORLDS(many_with_batches, .timeout = 60)
{
    let_all_flow(start, (struct flow){.batch = true});
}

WORLDS(many_with_time_limits, .timeout = 60)
{
    let_all_flow(start, (struct flow){.timed = true});
}

WORLDS(many_who_do_not_wait, .timeout = 60)
{
    let_all_flow(start, (struct flow){.nowait = true});
}

WEFT_TEST_MAIN("queue_many")
