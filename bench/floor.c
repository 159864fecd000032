// SPDX-License-Identifier: MIT
// Floors of switching. The stacks are one page apart and their tops coloured,
// so that a ring of 100,000 is no slower than its memory.
#include "floor.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#ifdef BENCH_HAVE_UCONTEXT
#include <ucontext.h>
#endif

enum { STACK = 8192, COLOUR = 64, COLOURS = 32 };

__attribute__((noinline)) uint64_t floor_opaque(uint64_t n)
{
    __asm__ volatile("" : "+r"(n));
    return n + 1;
}

void floor_call(const struct bench_ask *ask, struct bench_reply *reply)
{
    uint64_t (*volatile call)(uint64_t) = floor_opaque;
    uint64_t per_task = ask->ops / (uint64_t)ask->param[0];
    uint64_t n = per_task * (uint64_t)ask->param[0], count = 0;
    double begin = bench_cpu();
    for (uint64_t i = 0; i < n; i++)
        count = call(count);
    reply->value = (bench_cpu() - begin) / (double)n;
    reply->answer = count;
    reply->more[0] = 1;
}

#if defined(BENCH_HAVE_FCONTEXT) || defined(BENCH_HAVE_UCONTEXT)

// One ring at a time: what a contender runs in is its own process.
static struct ring {
    size_t contexts;
    uint64_t rounds, count;
    double begin, end;
    char *stacks;
} ring;

static void ring_open(const struct bench_ask *ask)
{
    ring.contexts = (size_t)ask->param[0];
    ring.rounds = ask->ops / ring.contexts;
    ring.stacks = mmap(NULL, ring.contexts * STACK, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (ring.stacks == MAP_FAILED)
        bench_fail("no memory for the stacks");
    madvise(ring.stacks, ring.contexts * STACK, MADV_NOHUGEPAGE);
}

static size_t ring_room(size_t i)
{
    return STACK - COLOUR * (i % COLOURS);
}

static void ring_reply(struct bench_reply *reply)
{
    reply->value = (ring.end - ring.begin) / (double)ring.count;
    reply->answer = ring.count;
    reply->more[0] = 1;
}

// Each context: one round to warm up, then the rounds that count, in which the
// last to go takes the time. go(next) returns when its turn comes again.
static void ring_body(size_t i, void (*go)(size_t next))
{
    size_t next = i + 1 < ring.contexts ? i + 1 : 0;
    go(next);
    if (i == 0)
        ring.begin = bench_cpu();
    for (uint64_t k = 0; k < ring.rounds; k++) {
        ring.count++;
        go(next);
    }
    if (i == 0)
        ring.end = bench_cpu();
}
#endif

#ifdef BENCH_HAVE_FCONTEXT
// The C side of libboost_context, in its documented form.
typedef void *fcontext;
struct transfer {
    fcontext from;
    void *data;
};
struct transfer jump_fcontext(fcontext to, void *data);
fcontext make_fcontext(void *top, size_t size, void (*fn)(struct transfer));

static fcontext *fcontexts, fcontext_home;
static size_t fcontext_now;

// data is where to keep the context that is left.
static void fcontext_go(size_t next)
{
    size_t now = fcontext_now;
    fcontext_now = next;
    struct transfer t = jump_fcontext(fcontexts[next], &fcontexts[now]);
    *(fcontext *)t.data = t.from;
}

static void fcontext_entry(struct transfer t)
{
    size_t i = fcontext_now;
    *(fcontext *)t.data = t.from;
    ring_body(i, fcontext_go);
    jump_fcontext(fcontext_home, &fcontexts[i]);
}

void floor_fcontext(const struct bench_ask *ask, struct bench_reply *reply)
{
    ring_open(ask);
    fcontexts = calloc(ring.contexts, sizeof *fcontexts);
    for (size_t i = 0; i < ring.contexts; i++)
        fcontexts[i] = make_fcontext(ring.stacks + i * STACK + ring_room(i),
                                     ring_room(i), fcontext_entry);
    fcontext_now = 0;
    jump_fcontext(fcontexts[0], &fcontext_home);
    ring_reply(reply);
}
#endif

#ifdef BENCH_HAVE_UCONTEXT
static ucontext_t *ucontexts, ucontext_home;
static size_t ucontext_now;

static void ucontext_go(size_t next)
{
    size_t now = ucontext_now;
    ucontext_now = next;
    swapcontext(&ucontexts[now], &ucontexts[next]);
}

static void ucontext_entry(void)
{
    ring_body(ucontext_now, ucontext_go);
    setcontext(&ucontext_home);
}

void floor_ucontext(const struct bench_ask *ask, struct bench_reply *reply)
{
    ring_open(ask);
    ucontexts = calloc(ring.contexts, sizeof *ucontexts);
    for (size_t i = 0; i < ring.contexts; i++) {
        getcontext(&ucontexts[i]);
        ucontexts[i].uc_stack.ss_sp = ring.stacks + i * STACK;
        ucontexts[i].uc_stack.ss_size = ring_room(i);
        makecontext(&ucontexts[i], ucontext_entry, 0);
    }
    ucontext_now = 0;
    swapcontext(&ucontext_home, &ucontexts[0]);
    ring_reply(reply);
}
#endif
