// SPDX-License-Identifier: MIT
//
// sort.h: parallel sorting of elements whose type is known, with the comparison
// inline. Not part of weft.h; weft_parallel_sort sorts anything by a function.
//
//     WEFT_SORTABLE(sort_points, struct point, a, b, a->x < b->x)
//     ...
//     int rc = sort_points(ex, points, n);            // stable
//     int rc = sort_points_in_place(ex, points, n);   // not stable
//
// The order is a < b as an expression over two pointers to elements. ex is a
// thread pool, or NULL as for weft_fork_run. The first needs memory for a copy
// of the elements; the second none. Both are canceled by the caller's scopes:
// all elements are there then, in some order.
// Returns 0, -ENOMEM, -EOVERFLOW, -ECANCELED, -ETIMEDOUT.
#ifndef WEFT_SORT_H
#define WEFT_SORT_H

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include <weft/fork.h>

enum {
    WEFT_SORT_RUN = 20,    // elements that are sorted by insertion
    WEFT_SORT_FORK = 2048, // elements from which halves are forked
};

// b if *second is 1, a if it is 0, without a branch: the compiler may not see
// where *second comes from, or it would make one.
WEFT_FORK_INLINE_ const void *weft_sort_pick(const void *a, const void *b,
                                             size_t *second)
{
    __asm__("" : "+r"(*second));
    return (const char *)((uintptr_t)a ^ (((uintptr_t)a ^ (uintptr_t)b) &
                                          -(uintptr_t)*second));
}

#define WEFT_SORTABLE(name, type, a, b, less)                                  \
    typedef type name##_type;                                                  \
    WEFT_FORK_INLINE_ bool name##_less(const name##_type *a,                   \
                                       const name##_type *b, void *c)          \
    {                                                                          \
        (void)c;                                                               \
        return (less);                                                         \
    }                                                                          \
    WEFT_SORT_BODY_(name, name##_type)                                         \
    __attribute__((unused)) static int name(weft_executor *ex,                 \
                                            name##_type *base, size_t n)       \
    {                                                                          \
        return name##_stable(ex, base, n, NULL);                               \
    }                                                                          \
    __attribute__((unused)) static int name##_in_place(                        \
        weft_executor *ex, name##_type *base, size_t n)                        \
    {                                                                          \
        return name##_unstable(ex, base, n, NULL);                             \
    }

// With name##_less(a, b, context) defined: name##_stable and name##_unstable.
#define WEFT_SORT_BODY_(name, type)                                            \
    WEFT_SORT_RUNS_(name, type)                                                \
    WEFT_SORT_MERGE_(name, type)                                               \
    WEFT_SORT_STABLE_(name, type)                                              \
    WEFT_SORT_UNSTABLE_(name, type)

#define WEFT_SORT_RUNS_(name, type)                                            \
    WEFT_FORK_INLINE_ void name##_run(type *v, size_t n, void *c)              \
    {                                                                          \
        for (size_t i = 1; i < n; i++) {                                       \
            type x = v[i];                                                     \
            size_t k = i;                                                      \
            for (; k > 0 && name##_less(&x, &v[k - 1], c); k--)                \
                v[k] = v[k - 1];                                               \
            v[k] = x;                                                          \
        }                                                                      \
    }

// Merging goes on at both ends at once, for as many steps as neither side can
// run out of elements: without a branch that depends on the order, and with two
// chains of dependent steps in flight.
#define WEFT_SORT_MERGE_(name, type)                                           \
    struct name##_parts {                                                      \
        type *x, *y, *to;                                                      \
        size_t nx, ny;                                                         \
        void *c;                                                               \
    };                                                                         \
    WEFT_FORK_INLINE_ void name##_steps(struct name##_parts *p, size_t steps)  \
    {                                                                          \
        type *x = p->x, *y = p->y, *to = p->to;                                \
        type *ex = x + p->nx, *ey = y + p->ny, *end = to + p->nx + p->ny;      \
        for (size_t i = 0; i < steps; i++) {                                   \
            size_t right = name##_less(y, x, p->c);                            \
            *to++ = *(const type *)weft_sort_pick(x, y, &right);               \
            y += right;                                                        \
            x += !right;                                                       \
            size_t left = name##_less(ey - 1, ex - 1, p->c);                   \
            *--end = *(const type *)weft_sort_pick(ey - 1, ex - 1, &left);     \
            ex -= left;                                                        \
            ey -= !left;                                                       \
        }                                                                      \
        p->x = x;                                                              \
        p->y = y;                                                              \
        p->to = to;                                                            \
        p->nx = (size_t)(ex - x);                                              \
        p->ny = (size_t)(ey - y);                                              \
    }                                                                          \
    __attribute__((unused)) static void name##_merge(struct name##_parts p)    \
    {                                                                          \
        for (;;) {                                                             \
            size_t steps = (p.nx < p.ny ? p.nx : p.ny) / 2;                    \
            if (steps == 0)                                                    \
                break;                                                         \
            name##_steps(&p, steps);                                           \
        }                                                                      \
        while (p.nx > 0 && p.ny > 0) {                                         \
            if (name##_less(p.y, p.x, p.c)) {                                  \
                *p.to++ = *p.y++;                                              \
                p.ny--;                                                        \
            } else {                                                           \
                *p.to++ = *p.x++;                                              \
                p.nx--;                                                        \
            }                                                                  \
        }                                                                      \
        if (p.nx > 0)                                                          \
            memcpy(p.to, p.x, p.nx * sizeof(type));                            \
        else if (p.ny > 0)                                                     \
            memcpy(p.to, p.y, p.ny * sizeof(type));                            \
    }                                                                          \
    /* How many elements of x are among the first k of both. */                \
    WEFT_FORK_INLINE_ size_t name##_corank(const struct name##_parts *p,       \
                                           size_t k)                           \
    {                                                                          \
        size_t low = k > p->ny ? k - p->ny : 0, high = k < p->nx ? k : p->nx;  \
        while (low < high) {                                                   \
            size_t i = low + (high - low) / 2;                                 \
            if (name##_less(&p->y[k - i - 1], &p->x[i], p->c))                 \
                high = i;                                                      \
            else                                                               \
                low = i + 1;                                                   \
        }                                                                      \
        return low;                                                            \
    }                                                                          \
    /* 1 if all was merged; 0 if a part was not, since the run is canceled. */ \
    WEFT_FORKABLE(char, name##_fork_merge, w, struct name##_parts *, p)        \
    {                                                                          \
        size_t n = p->nx + p->ny;                                              \
        if (n <= 4 * WEFT_SORT_FORK) {                                         \
            name##_merge(*p);                                                  \
            return 1;                                                          \
        }                                                                      \
        size_t i = name##_corank(p, n / 2), k = n / 2 - i;                     \
        struct name##_parts high = {p->x + i,  p->y + k,  p->to + n / 2,       \
                                    p->nx - i, p->ny - k, p->c};               \
        struct name##_parts low = {p->x, p->y, p->to, i, k, p->c};             \
        weft_fork(w, name##_fork_merge, &high);                                \
        char done = name##_fork_merge(w, &low);                                \
        return weft_join_child(w, name##_fork_merge) & done;                   \
    }

// v is sorted in place, or into `to`; the other one is room to work in.
#define WEFT_SORT_STABLE_(name, type)                                          \
    __attribute__((unused)) static void name##_serial(                         \
        type *v, type *to, size_t n, bool into, void *c)                       \
    {                                                                          \
        if (n <= WEFT_SORT_RUN) {                                              \
            name##_run(v, n, c);                                               \
            if (into)                                                          \
                memcpy(to, v, n * sizeof(type));                               \
            return;                                                            \
        }                                                                      \
        size_t half = n / 2;                                                   \
        name##_serial(v, to, half, !into, c);                                  \
        name##_serial(v + half, to + half, n - half, !into, c);                \
        type *from = into ? v : to;                                            \
        struct name##_parts p = {from, from + half, into ? to : v,             \
                                 half, n - half,    c};                        \
        name##_merge(p);                                                       \
    }                                                                          \
    struct name##_job {                                                        \
        type *v, *to;                                                          \
        size_t n;                                                              \
        bool into;                                                             \
        void *c;                                                               \
    };                                                                         \
    /* After a cancel: brings all elements to where they should be, in some */ \
    /* order. A half that was left out is in v still.                       */ \
    __attribute__((unused)) static char name##_bring(                          \
        const struct name##_job *j, char low, char high)                       \
    {                                                                          \
        type *from = j->into ? j->v : j->to, *to = j->into ? j->to : j->v;     \
        size_t half = j->n / 2;                                                \
        if (j->into || low)                                                    \
            memcpy(to, from, half * sizeof(type));                             \
        if (j->into || high)                                                   \
            memcpy(to + half, from + half, (j->n - half) * sizeof(type));      \
        return 1;                                                              \
    }                                                                          \
    /* 1 if the elements are where they should be; 0: it was left out, since   \
     */                                                                        \
    /* the run is canceled. */                                                 \
    WEFT_FORKABLE(char, name##_fork_sort, w, struct name##_job, j)             \
    {                                                                          \
        if (j.n <= WEFT_SORT_FORK) {                                           \
            name##_serial(j.v, j.to, j.n, j.into, j.c);                        \
            return 1;                                                          \
        }                                                                      \
        size_t half = j.n / 2;                                                 \
        struct name##_job low = {j.v, j.to, half, !j.into, j.c};               \
        struct name##_job high = {j.v + half, j.to + half, j.n - half,         \
                                  !j.into, j.c};                               \
        weft_fork(w, name##_fork_sort, high);                                  \
        char low_done = name##_fork_sort(w, low);                              \
        char high_done = weft_join_child(w, name##_fork_sort);                 \
        type *from = j.into ? j.v : j.to;                                      \
        struct name##_parts p = {from, from + half, j.into ? j.to : j.v,       \
                                 half, j.n - half,  j.c};                      \
        return (!weft_fork_canceled(w) && low_done && high_done &&             \
                name##_fork_merge(w, &p)) ||                                   \
               name##_bring(&j, low_done, high_done);                          \
    }                                                                          \
    __attribute__((unused)) static int name##_stable(                          \
        weft_executor *ex, type *base, size_t n, void *c)                      \
    {                                                                          \
        if (n > SIZE_MAX / sizeof(type))                                       \
            return -EOVERFLOW;                                                 \
        struct name##_job j = {base, NULL, n, false, c};                       \
        if (n > 1 && (j.to = (type *)malloc(n * sizeof(type))) == NULL)        \
            return -ENOMEM;                                                    \
        int rc = weft_fork_run(ex, NULL, name##_fork_sort, j);                 \
        free(j.to);                                                            \
        return rc;                                                             \
    }

// Quicksort with a partition that moves every element, without a branch, and
// heapsort where the pivots are bad.
#define WEFT_SORT_UNSTABLE_(name, type)                                        \
    WEFT_FORK_INLINE_ void name##_swap(type *a, type *b)                       \
    {                                                                          \
        type x = *a;                                                           \
        *a = *b;                                                               \
        *b = x;                                                                \
    }                                                                          \
    WEFT_FORK_INLINE_ void name##_sift(type *v, size_t at, size_t n, void *c)  \
    {                                                                          \
        for (size_t k; (k = 2 * at + 1) < n; at = k) {                         \
            if (k + 1 < n && name##_less(&v[k], &v[k + 1], c))                 \
                k++;                                                           \
            if (!name##_less(&v[at], &v[k], c))                                \
                return;                                                        \
            name##_swap(&v[at], &v[k]);                                        \
        }                                                                      \
    }                                                                          \
    __attribute__((unused)) static void name##_heap(type *v, size_t n,         \
                                                    void *c)                   \
    {                                                                          \
        for (size_t i = n / 2; i-- > 0;)                                       \
            name##_sift(v, i, n, c);                                           \
        for (size_t i = n; i-- > 1;) {                                         \
            name##_swap(&v[0], &v[i]);                                         \
            name##_sift(v, 0, i, c);                                           \
        }                                                                      \
    }                                                                          \
    WEFT_FORK_INLINE_ type *name##_middle(type *a, type *b, type *d, void *c)  \
    {                                                                          \
        if (name##_less(b, a, c))                                              \
            return name##_less(a, d, c) ? a : name##_less(b, d, c) ? d : b;    \
        return name##_less(b, d, c) ? b : name##_less(a, d, c) ? d : a;        \
    }                                                                          \
    WEFT_FORK_INLINE_ type *name##_pivot(type *v, size_t n, void *c)           \
    {                                                                          \
        type *a = v, *b = v + n / 2, *d = v + n - 1;                           \
        size_t s = n / 8;                                                      \
        if (n > 128) {                                                         \
            a = name##_middle(a, a + s, a + 2 * s, c);                         \
            b = name##_middle(b - s, b, b + s, c);                             \
            d = name##_middle(d - 2 * s, d - s, d, c);                         \
        }                                                                      \
        return name##_middle(a, b, d, c);                                      \
    }                                                                          \
    /* Moves what is less than the pivot, or what the pivot is not less    */  \
    /* than, to the front; returns how many these are.                     */  \
    WEFT_FORK_INLINE_ size_t name##_part(type *v, size_t n, type pivot,        \
                                         bool equal, void *c)                  \
    {                                                                          \
        size_t low = 0;                                                        \
        for (size_t i = 0; i < n; i++) {                                       \
            type x = v[i];                                                     \
            bool front = equal ? !name##_less(&pivot, &x, c)                   \
                               : name##_less(&x, &pivot, c);                   \
            v[i] = v[low];                                                     \
            v[low] = x;                                                        \
            low += front;                                                      \
        }                                                                      \
        return low;                                                            \
    }                                                                          \
    /* Sorts what fits on one side; returns the rest, which is still to be */  \
    /* split: [*v, *v + *n) into `low` elements and others.                */  \
    WEFT_FORK_INLINE_ size_t name##_split(type **v, size_t *n, void *c)        \
    {                                                                          \
        for (;;) {                                                             \
            type pivot = *name##_pivot(*v, *n, c);                             \
            size_t low = name##_part(*v, *n, pivot, false, c);                 \
            if (low > 0)                                                       \
                return low;                                                    \
            /* The pivot is the least: all that are equal are in place. */     \
            low = name##_part(*v, *n, pivot, true, c);                         \
            *v += low;                                                         \
            *n -= low;                                                         \
            if (*n <= WEFT_SORT_RUN)                                           \
                return 0;                                                      \
        }                                                                      \
    }                                                                          \
    __attribute__((unused)) static void name##_quick(type *v, size_t n,        \
                                                     int depth, void *c)       \
    {                                                                          \
        while (n > WEFT_SORT_RUN) {                                            \
            if (depth-- == 0) {                                                \
                name##_heap(v, n, c);                                          \
                return;                                                        \
            }                                                                  \
            size_t low = name##_split(&v, &n, c);                              \
            if (low == 0)                                                      \
                break;                                                         \
            name##_quick(v, low, depth, c);                                    \
            v += low;                                                          \
            n -= low;                                                          \
        }                                                                      \
        name##_run(v, n, c);                                                   \
    }                                                                          \
    WEFT_FORKABLE(char, name##_fork_quick, w, type *, v, size_t, n, int,       \
                  depth, void *, c)                                            \
    {                                                                          \
        size_t low = 0;                                                        \
        if (n > WEFT_SORT_FORK && depth > 0)                                   \
            low = name##_split(&v, &n, c);                                     \
        if (low == 0) {                                                        \
            name##_quick(v, n, depth, c);                                      \
            return 0;                                                          \
        }                                                                      \
        weft_fork(w, name##_fork_quick, v + low, n - low, depth - 1, c);       \
        name##_fork_quick(w, v, low, depth - 1, c);                            \
        return weft_join_child(w, name##_fork_quick);                          \
    }                                                                          \
    __attribute__((unused)) static int name##_unstable(                        \
        weft_executor *ex, type *base, size_t n, void *c)                      \
    {                                                                          \
        int depth = 2;                                                         \
        for (size_t i = n; i > 0; i /= 2)                                      \
            depth += 2;                                                        \
        return weft_fork_run(ex, NULL, name##_fork_quick, base, n, depth, c);  \
    }

#endif
