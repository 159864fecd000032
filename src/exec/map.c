// SPDX-License-Identifier: MIT
//
// weft_map: the elements go out in chunks, a bounded number at a time, so that
// an input of any length needs the memory of a window. Each chunk under way
// has a place in the window; the oldest one is waited for (ordered), or any
// (unordered), and its place is used again.
//
// If the caller does not say how large a chunk is, the first ones have one
// element, and each that comes back says what the next should be (chunk.h):
// twice as much if it was back in less than a millisecond or two, half as much
// if it took far longer. So tiny elements are soon sent in thousands, and long
// ones one by one. Towards the end chunks get smaller, so that all workers end
// together.
//
// Options that limit a job (a deadline, a timeout, retries) are meant for an
// element then, so each goes alone.
//
// in and out are the jobs' until every chunk has ended, so map never returns
// before that, not even when it is canceled: then it cancels the chunks and
// waits for them.
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include <weft/error.h>
#include <weft/executor.h>

#include "base/options.h"
#include "exec/chunk.h"
#include "exec/job.h"
#include "exec/pool.h"
#include "future/future.h"
#include "os/clock.h"
#include "os/report.h"

// A chunk that is under way.
struct piece {
    size_t start, count;
    int64_t sent;
};

struct map {
    weft_executor *ex;
    const struct weft_job *job;
    const char *in;
    char *out;
    const struct weft_map_options *options;
    const struct weft_submit_options *submit; // of each job, or NULL
    size_t n, next; // next: the first element that is not sent
    size_t chunk;   // of the next one
    size_t width;
    weft_future **window;
    struct piece *pieces; // of each place
    size_t places, used;
    size_t flying; // elements in them
    int code;      // of the first failure
};

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static bool is_calibrated(const struct map *map)
{
    return map->options->chunk == 0 && map->ex->ops->submit_chunk != NULL &&
           !wi_submit_is_limited(map->submit);
}

static void set_up(struct map *map)
{
    size_t window = map->options->window;
    map->chunk = 1;
    if (map->options->chunk != 0 && map->ex->ops->submit_chunk != NULL)
        map->chunk = map->options->chunk;
    if (window != 0)
        map->chunk = least(map->chunk, window);
    map->places = 2 * map->width + 2;
    if (window != 0 && !is_calibrated(map))
        map->places = window / map->chunk;
    map->places = least(map->places, (map->n + map->chunk - 1) / map->chunk);
    if (map->places == 0)
        map->places = 1;
}

// How many elements go next; 0: none while so many are under way.
static size_t next_count(const struct map *map)
{
    size_t left = map->n - map->next, window = map->options->window;
    size_t count = least(map->chunk, left);
    if (!is_calibrated(map) || window == 0)
        return count;
    // Each worker shall have one, and one behind it.
    count = least(count, window / map->places + 1);
    return least(count, window > map->flying ? window - map->flying : 0);
}

static void calibrate(struct map *map, const struct piece *piece)
{
    size_t share = (map->n - map->next) / (2 * map->width) + 1;
    size_t chunk =
        wi_chunk_after(map->chunk, piece->count, wi_os_now() - piece->sent);
    map->chunk = least(chunk, share);
}

static weft_future *send(struct map *map, size_t start, size_t count)
{
    const char *in = map->in + start * map->job->arg_size;
    char *out = map->out + start * map->job->result_size;
    int *codes = map->options->codes;
    if (map->ex->ops->submit_chunk == NULL)
        return map->ex->ops->submit(map->ex, map->job, in, map->submit);
    return map->ex->ops->submit_chunk(map->ex, map->job, in, count, out,
                                      codes != NULL ? codes + start : NULL,
                                      map->submit);
}

static void fill(struct map *map)
{
    size_t count;
    while (map->used < map->places && (count = next_count(map)) > 0) {
        map->pieces[map->used] = (struct piece){
            map->next, count, is_calibrated(map) ? wi_os_now() : 0};
        map->window[map->used++] = send(map, map->next, count);
        map->next += count;
        map->flying += count;
    }
}

// Takes one finished chunk out of the window. Its results lie in out already,
// unless the executor knows no chunks.
static void settle(struct map *map, size_t place)
{
    weft_future *f = map->window[place];
    const struct piece piece = map->pieces[place];
    size_t start = piece.start;
    int *codes = map->options->codes;
    int code;
    if (map->ex->ops->submit_chunk == NULL) {
        code = wi_future_take(wi_of_future(f),
                              map->out + start * map->job->result_size,
                              map->job->result_size);
        if (codes != NULL)
            codes[start] = code < 0 ? code : 0;
    } else {
        code = weft_future_code(f);
    }
    weft_future_unref(f);
    map->used--;
    map->flying -= piece.count;
    for (size_t i = place; i < map->used; i++) {
        map->window[i] = map->window[i + 1];
        map->pieces[i] = map->pieces[i + 1];
    }
    if (is_calibrated(map))
        calibrate(map, &piece);
    if (code >= 0)
        return;
    bool chunks = map->ex->ops->submit_chunk != NULL;
    for (size_t i = 0; codes != NULL && chunks && i < piece.count; i++)
        codes[start + i] = code;
    // With codes only what would fail each chunk ends the map.
    if (map->code == 0 &&
        (codes == NULL || (chunks && !wi_chunk_own_failure(code))))
        map->code = code;
}

// Waits for what may be settled next; 0 or the code that ended the wait.
static int wait_next(struct map *map)
{
    size_t n = map->options->ordered ? 1 : map->used;
    int rc = weft_wait(map->window, n, WEFT_FIRST_COMPLETED, (double)INFINITY);
    if (rc < 0)
        return rc;
    for (size_t i = map->used; i-- > 0;) {
        if ((!map->options->ordered || i == 0) && weft_done(map->window[i]))
            settle(map, i);
    }
    return 0;
}

// Ends what is under way, and waits for it whatever the caller's scopes say.
static void abandon(struct map *map)
{
    wi_futures_end(map->window, map->used);
    while (map->used > 0)
        settle(map, 0);
}

static int run_map(struct map *map)
{
    int rc = 0;
    while (rc == 0 && map->code == 0) {
        fill(map);
        if (map->used == 0)
            return 0;
        rc = wait_next(map);
    }
    int code = map->code != 0 ? map->code : rc;
    abandon(map);
    return code;
}

int weft_map_job(weft_executor *ex, const struct weft_job *job, const void *in,
                 size_t n, void *out, const struct weft_map_options *options)
{
    WI_OPTIONS(options);
    wi_require(ex != NULL, ex, "an executor must not be NULL");
    int rc = wi_job_check(job);
    if (rc == 0)
        rc = weft_check();
    if (rc < 0 || n == 0)
        return rc;
    wi_require(in != NULL || job->arg_kind == WEFT_NONE, NULL,
               "in must not be NULL");
    wi_need(out);
    struct map map = {.job = job, .in = in, .out = out, .options = options};
    map.ex = wi_executor_unbound(ex, &map.submit);
    map.n = n;
    map.width = weft_executor_width(ex);
    set_up(&map);
    map.window = malloc(map.places * sizeof *map.window);
    map.pieces = malloc(map.places * sizeof *map.pieces);
    rc = map.window == NULL || map.pieces == NULL ? -ENOMEM : run_map(&map);
    free(map.window);
    free(map.pieces);
    return rc;
}
