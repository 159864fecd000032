// SPDX-License-Identifier: MIT
//
// weft_map_stream: as weft_map, from a function that makes the elements to one
// that takes the results, both called by the caller of the map. What is under
// way lies in a bounded number of places, each with room for the elements of
// one chunk, their results and their codes:
//
//     free --fill, send--> under way, in the order of sending
//          --settle--> free
//
// Ordered, the oldest is settled next; else whichever is back. A place keeps
// its memory, and gets more when chunks grow. Before the map returns, every
// place is free: what is under way is canceled and waited for, and results
// that nobody took are given up.
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <weft/error.h>
#include <weft/executor.h>

#include "base/options.h"
#include "exec/chunk.h"
#include "exec/job.h"
#include "exec/pool.h"
#include "future/future.h"
#include "os/clock.h"
#include "os/report.h"

struct place {
    weft_future *f;
    size_t first, count; // elements
    size_t room;
    int64_t sent;
    char *in, *out;
    int *codes;
};

struct stream {
    weft_executor *ex;
    const struct weft_job *job;
    weft_map_make *make;
    weft_map_take *take;
    void *arg;
    const struct weft_map_options *options;
    const struct weft_submit_options *submit; // of each job, or NULL
    bool in_chunks;                           // the executor knows them
    bool calibrated; // it is for us to say how large they are
    bool exhausted;  // make has said that there is no more
    size_t made, flying, chunk;
    size_t n, used; // places: the first `used` are under way
    struct place *places;
    weft_future **window; // of those, for weft_wait
};

static void set_up(struct stream *s)
{
    size_t window = s->options->window;
    s->in_chunks = s->ex->ops->submit_chunk != NULL;
    s->calibrated = s->in_chunks && s->options->chunk == 0 &&
                    !wi_submit_is_limited(s->submit);
    s->chunk = s->in_chunks && s->options->chunk != 0 ? s->options->chunk : 1;
    if (window != 0 && s->chunk > window)
        s->chunk = window;
    s->n = 2 * weft_executor_width(s->ex) + 2;
    if (window != 0 && !s->calibrated && window / s->chunk < s->n)
        s->n = window / s->chunk;
    if (s->n == 0)
        s->n = 1;
}

// How many elements may go next.
static size_t next_count(const struct stream *s)
{
    size_t window = s->options->window;
    if (window == 0 || !s->calibrated)
        return s->chunk;
    // Each worker shall have one, and one behind it.
    size_t share = window / s->n + 1, left = window - s->flying;
    share = share < left ? share : left;
    return s->chunk < share ? s->chunk : share;
}

// Memory for n elements.
static bool make_room(struct stream *s, struct place *place, size_t n)
{
    if (n <= place->room)
        return true;
    free(place->in);
    free(place->out);
    free(place->codes);
    place->in = calloc(n, s->job->arg_size);
    place->out = calloc(n, s->job->result_size);
    place->codes = calloc(n, sizeof *place->codes);
    bool made = place->in != NULL && place->out != NULL && place->codes != NULL;
    place->room = made ? n : 0;
    return made;
}

static void send(struct stream *s, struct place *place)
{
    // A result that nobody writes must be none that somebody frees.
    memset(place->out, 0, place->count * s->job->result_size);
    place->sent = s->calibrated ? wi_os_now() : 0;
    const struct weft_executor_ops *ops = s->ex->ops;
    place->f = s->in_chunks
                   ? ops->submit_chunk(s->ex, s->job, place->in, place->count,
                                       place->out, place->codes, s->submit)
                   : ops->submit(s->ex, s->job, place->in, s->submit);
    s->window[s->used++] = place->f;
    s->flying += place->count;
}

// Fills one place and sends it. 1; 0: nothing may go just now; or a code.
static int fill(struct stream *s)
{
    size_t n = s->exhausted || s->used == s->n ? 0 : next_count(s);
    struct place *place = &s->places[s->used];
    int rc = 1;
    if (n == 0)
        return 0;
    if (!make_room(s, place, n))
        return -ENOMEM;
    place->first = s->made;
    for (place->count = 0; place->count < n && rc > 0; place->count += rc > 0)
        rc = s->make(place->in + place->count * s->job->arg_size, s->arg);
    s->made += place->count;
    s->exhausted = rc <= 0;
    if (rc < 0 || place->count == 0)
        return rc;
    send(s, place);
    return 1;
}

static void give_up(struct stream *s, struct place *place, size_t i)
{
    if (s->job->result_kind == WEFT_BYTES)
        weft_bytes_free(
            (struct weft_bytes *)(place->out + i * s->job->result_size));
}

// What the future says of the elements: one code, if not each its own. 0, or
// the code of a chunk by which all others would fail too.
static int get_codes(struct stream *s, struct place *place)
{
    int code = s->in_chunks ? weft_future_code(place->f)
                            : wi_future_take(wi_of_future(place->f), place->out,
                                             s->job->result_size);
    for (size_t i = 0; i < place->count && (!s->in_chunks || code < 0); i++)
        place->codes[i] = code < 0 ? code : 0;
    weft_future_unref(place->f);
    return s->in_chunks && code < 0 && !wi_chunk_own_failure(code) ? code : 0;
}

// Hands over what came of one element. 0, or the code that ends the map.
static int take(struct stream *s, struct place *place, size_t i)
{
    int code = place->codes[i];
    void *result = code < 0 ? NULL : place->out + i * s->job->result_size;
    int rc = s->take(place->first + i, code, result, s->arg);
    return rc < 0 ? rc : 0;
}

// Takes a place that is back out of those under way; hands its results over, if
// `wanted`. 0, or the code that ends the map.
static int settle(struct stream *s, size_t at, bool wanted)
{
    struct place place = s->places[at];
    int rc = get_codes(s, &place);
    rc = wanted ? rc : 1;
    if (s->calibrated)
        s->chunk =
            wi_chunk_after(s->chunk, place.count, wi_os_now() - place.sent);
    s->used--;
    s->flying -= place.count;
    memmove(&s->places[at], &s->places[at + 1],
            (s->used - at) * sizeof *s->places);
    memmove(&s->window[at], &s->window[at + 1],
            (s->used - at) * sizeof *s->window);
    s->places[s->used] = place;
    for (size_t i = 0; i < place.count; i++) {
        if (rc != 0 || place.codes[i] < 0)
            give_up(s, &place, i);
        if (rc == 0)
            rc = take(s, &place, i);
    }
    return rc < 0 ? rc : 0;
}

// Hands over what is back, without waiting.
static int settle_done(struct stream *s)
{
    int rc = 0;
    for (size_t i = 0; i < s->used && rc == 0;) {
        if (weft_done(s->window[i]))
            rc = settle(s, i, true);
        else if (s->options->ordered)
            break;
        else
            i++;
    }
    return rc;
}

static int wait_next(struct stream *s)
{
    size_t n = s->options->ordered ? 1 : s->used;
    int rc = weft_wait(s->window, n, WEFT_FIRST_COMPLETED, (double)INFINITY);
    return rc < 0 ? rc : 0;
}

// Ends what is under way, and waits for it whatever the caller's scopes say.
static void abandon(struct stream *s)
{
    wi_futures_end(s->window, s->used);
    while (s->used > 0)
        settle(s, 0, false);
}

static int run(struct stream *s)
{
    for (;;) {
        int sent = fill(s);
        size_t used = s->used;
        int rc = sent < 0 ? sent : settle_done(s);
        if (rc < 0)
            return rc;
        if (s->exhausted && s->used == 0)
            return 0;
        // Only when nothing has become free: else there is more to send first.
        bool full = sent == 0 && s->used == used;
        rc = full ? wait_next(s) : wi_check_scopes();
        if (rc < 0)
            return rc;
    }
}

static void free_places(struct stream *s)
{
    for (size_t i = 0; s->places != NULL && i < s->n; i++) {
        free(s->places[i].in);
        free(s->places[i].out);
        free(s->places[i].codes);
    }
    free(s->places);
    free(s->window);
}

int weft_map_stream_job(weft_executor *ex, const struct weft_job *job,
                        weft_map_make *make, weft_map_take *take, void *arg,
                        const struct weft_map_options *options)
{
    WI_OPTIONS(options);
    wi_require(ex != NULL, ex, "an executor must not be NULL");
    wi_require(make != NULL && take != NULL, ex,
               "the functions that make and take must not be NULL");
    int rc = wi_job_check(job);
    if (rc == 0)
        rc = weft_check();
    if (rc < 0)
        return rc;
    struct stream s = {.job = job, .make = make, .take = take, .arg = arg};
    s.ex = wi_executor_unbound(ex, &s.submit);
    s.options = options;
    set_up(&s);
    s.places = calloc(s.n, sizeof *s.places);
    s.window = calloc(s.n, sizeof *s.window);
    rc = s.places == NULL || s.window == NULL ? -ENOMEM : run(&s);
    abandon(&s);
    free_places(&s);
    return rc;
}
