// SPDX-License-Identifier: MIT
//
// weft_map: the elements go out in chunks, a bounded number at a time, so that
// an input of any length needs the memory of a window. Each chunk under way
// has a place in the window; the oldest one is waited for (ordered), or any
// (unordered), and its place is used again.
//
// in and out are the jobs' until every chunk has ended, so map never returns
// before that, not even when it is canceled: then it cancels the chunks and
// waits for them.
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include <weft/error.h>
#include <weft/executor.h>
#include <weft/scope.h>

#include "base/options.h"
#include "exec/job.h"
#include "future/future.h"
#include "os/report.h"

enum { CHUNKS_A_WORKER = 8, MAX_CHUNK = 1024 };

struct map {
    weft_executor *ex;
    const struct weft_job *job;
    const char *in;
    char *out;
    const struct weft_map_options *options;
    size_t n, chunk, next; // next: the first element that is not sent
    weft_future **window;
    size_t *starts; // the first element of each place's chunk
    size_t places, used;
    int code; // of the first failure
};

static size_t chunk_size(const struct map *map, size_t width)
{
    if (map->ex->ops->submit_chunk == NULL)
        return 1;
    if (map->options->chunk != 0)
        return map->options->chunk;
    size_t chunk = map->n / (width * CHUNKS_A_WORKER);
    return chunk == 0 ? 1 : chunk > MAX_CHUNK ? MAX_CHUNK : chunk;
}

static size_t window_size(const struct map *map, size_t width)
{
    size_t elements = map->options->window;
    size_t places = elements != 0 ? elements / map->chunk : 2 * width + 2;
    size_t chunks = (map->n + map->chunk - 1) / map->chunk;
    if (places > chunks)
        places = chunks;
    return places == 0 ? 1 : places;
}

static weft_future *send(struct map *map, size_t start, size_t count)
{
    const char *in = map->in + start * map->job->arg_size;
    char *out = map->out + start * map->job->result_size;
    int *codes = map->options->codes;
    if (map->ex->ops->submit_chunk == NULL)
        return weft_submit_job(map->ex, map->job, in);
    return map->ex->ops->submit_chunk(map->ex, map->job, in, count, out,
                                      codes != NULL ? codes + start : NULL);
}

static void fill(struct map *map)
{
    while (map->used < map->places && map->next < map->n) {
        size_t left = map->n - map->next;
        size_t count = left < map->chunk ? left : map->chunk;
        map->starts[map->used] = map->next;
        map->window[map->used++] = send(map, map->next, count);
        map->next += count;
    }
}

// Takes one finished chunk out of the window. Its results lie in out already,
// unless the executor knows no chunks.
static void settle(struct map *map, size_t place)
{
    weft_future *f = map->window[place];
    size_t start = map->starts[place];
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
    for (size_t i = place; i < map->used; i++) {
        map->window[i] = map->window[i + 1];
        map->starts[i] = map->starts[i + 1];
    }
    if (code < 0 && map->code == 0 && codes == NULL)
        map->code = code;
    else if (code < 0 && map->code == 0 && map->ex->ops->submit_chunk)
        map->code = code; // the chunk itself failed, not an element
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
    struct weft_scope shield;
    for (size_t i = 0; i < map->used; i++)
        wi_future_cancel(wi_of_future(map->window[i]));
    weft_shield_enter(&shield, (double)INFINITY);
    weft_wait(map->window, map->used, WEFT_ALL_COMPLETED, (double)INFINITY);
    weft_scope_leave(&shield);
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
    struct map map = {.ex = ex, .job = job, .in = in, .out = out};
    map.options = options;
    map.n = n;
    size_t width = weft_executor_width(ex);
    map.chunk = chunk_size(&map, width);
    map.places = window_size(&map, width);
    map.window = malloc(map.places * sizeof *map.window);
    map.starts = malloc(map.places * sizeof *map.starts);
    rc = map.window == NULL || map.starts == NULL ? -ENOMEM : run_map(&map);
    free(map.window);
    free(map.starts);
    return rc;
}
