// SPDX-License-Identifier: MIT
//
// A thread of its own draws the line ten times a second, so that the work it
// tells of does no more than count.
#include "progress.h"

#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <weft.h>

static struct {
    const char *what;
    size_t total;
    double start;
    weft_future *drawer;
    atomic_size_t done; // relaxed: only shown
} line;

// The last column stays free: who writes there may be on the next line.
static int columns(void)
{
    struct winsize size;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col < 2)
        return INT_MAX;
    return size.ws_col - 1;
}

// A line that goes on in the next one would not be taken away by the return.
static void draw(void)
{
    size_t done = atomic_load_explicit(&line.done, memory_order_relaxed);
    double seconds = weft_now() - line.start;
    char text[400];

    if (line.total > 0)
        snprintf(text, sizeof(text), "%s: %zu of %zu, %.1f s", line.what, done,
                 line.total, seconds);
    else
        snprintf(text, sizeof(text), "%s: %.1f s", line.what, seconds);
    fprintf(stderr, "\r\033[K%.*s", columns(), text);
    fflush(stderr);
}

static int draw_until_canceled(void *arg)
{
    (void)arg;
    while (weft_sleep(0.1) == 0)
        draw();
    return 0;
}

void progress_begin(const char *what, size_t total)
{
    if (!isatty(STDERR_FILENO))
        return;
    line.what = what;
    line.total = total;
    line.start = weft_now();
    atomic_store_explicit(&line.done, 0, memory_order_relaxed);
    line.drawer =
        weft_thread_start(draw_until_canceled, NULL, .name = "progress");
}

void progress_step(void)
{
    atomic_fetch_add_explicit(&line.done, 1, memory_order_relaxed);
}

void progress_end(void)
{
    if (!line.drawer)
        return;
    weft_cancel(line.drawer);
    weft_join(line.drawer);
    line.drawer = NULL;
    fputs("\r\033[K", stderr);
    fflush(stderr);
}
