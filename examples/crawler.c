// SPDX-License-Identifier: MIT
//
// crawler HOST PORT [SECONDS]: fetches /, and every page of the same host that
// it links to, and so on: four at a time, at most 50 a second, and only for so
// long. The deadline is that of the whole: what does not come in time is left.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weft.h>

#include "port.h"

enum { PAGES = 1000, AT_ONCE = 4 };

static const char *host;
static uint16_t port;
static char *pages[PAGES];   // all that were ever seen
static weft_queue *to_fetch; // of these; tells when all have been fetched
static int known, fetched;
static double next_start; // when the next request may go out

static void see(const char *path, size_t size)
{
    for (int i = 0; i < known; i++)
        if (strlen(pages[i]) == size && !strncmp(pages[i], path, size))
            return;
    char *page = known < PAGES ? strndup(path, size) : NULL;
    if (page == NULL)
        return; // it is left out
    pages[known++] = page;
    (void)weft_queue_put(to_fetch, &page); // one that fails is not fetched
}

static void find_links(const char *line)
{
    while ((line = strstr(line, "href=\"/")) != NULL) {
        line += strlen("href=\"");
        see(line, strcspn(line, "\"#?"));
    }
}

static int fetch(const char *path)
{
    char line[4096];
    weft_stream *stream;
    ssize_t n = weft_tcp_connect(host, port, &stream);

    if (n < 0)
        return (int)n;
    n = weft_stream_printf(stream, "GET %s HTTP/1.0\r\nHost: %s\r\n\r\n", path,
                           host);
    while (n > 0 && (n = weft_stream_read_line(stream, line, 4096)) > 0)
        find_links(line);
    weft_stream_close(stream);
    return (int)n;
}

static int crawl(void *arg)
{
    char *path;

    (void)arg;
    while (weft_queue_get(to_fetch, &path) == 0) {
        double now = weft_now(), start = next_start > now ? next_start : now;

        next_start = start + 0.02;
        int rc = weft_sleep(start - now);
        rc = rc < 0 ? rc : fetch(path);
        fetched += rc == 0;
        printf("%s: %s\n", path, rc < 0 ? weft_strerror(rc) : "fetched");
        weft_queue_task_done(to_fetch);
    }
    return 0;
}

static int crawl_all(void *arg)
{
    int failed;
    WEFT_TIMEOUT(*(double *)arg);
    WEFT_GROUP(g, &failed); // its end waits for the tasks

    for (int i = 0; i < AT_ONCE; i++)
        weft_future_unref(
            weft_task_start(crawl, NULL, .name = "crawl", .group = g));
    see("/", 1);
    int rc = weft_queue_join(to_fetch);
    weft_queue_shutdown(to_fetch, true); // so no task waits for another page
    return rc;
}

int main(int argc, char **argv)
{
    double seconds = argc > 3 ? strtod(argv[3], NULL) : 10;

    if (argc < 3 || !(seconds > 0)) {
        fprintf(stderr, "usage: crawler HOST PORT [SECONDS]\n");
        return 2;
    }
    host = argv[1];
    port = port_of(argv[2]);
    to_fetch = weft_queue_new();
    int rc = weft_run(crawl_all, &seconds, .interrupt = true);
    weft_queue_free(to_fetch);
    printf("%d of %d pages fetched%s%s\n", fetched, known,
           rc < 0 ? ", then: " : "", rc < 0 ? weft_strerror(rc) : "");
    while (known > 0)
        free(pages[--known]);
    return rc < 0 && rc != -ETIMEDOUT;
}
