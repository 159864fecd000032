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
static char *pages[PAGES]; // all that were ever seen
static int known, begun, fetched, busy;
static double next_start; // when the next request may go out

static void see(const char *path, size_t size)
{
    for (int i = 0; i < known; i++)
        if (strlen(pages[i]) == size && !strncmp(pages[i], path, size))
            return;
    char *page = known < PAGES ? strndup(path, size) : NULL;
    if (page != NULL) // else it is left out
        pages[known++] = page;
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
    (void)arg;
    while (begun < known || busy > 0) {
        double wait = next_start - weft_now();

        if (wait > 0 || begun == known) { // too early, or nothing to do yet
            if (weft_sleep(wait > 0 ? wait : 0.01) < 0)
                return -ETIMEDOUT;
            continue;
        }
        next_start = weft_now() + 0.02;
        const char *path = pages[begun++];
        busy++;
        int rc = fetch(path);
        busy--;
        fetched += rc == 0;
        printf("%s: %s\n", path, rc < 0 ? weft_strerror(rc) : "fetched");
    }
    return 0;
}

static int crawl_all(void *arg)
{
    weft_future *tasks[AT_ONCE];
    WEFT_TIMEOUT(*(double *)arg);

    see("/", 1);
    for (int i = 0; i < AT_ONCE; i++)
        tasks[i] = weft_task_start(crawl, NULL, .name = "crawl");
    return weft_gather_into(tasks, AT_ONCE, NULL, 0, NULL);
}

int main(int argc, char **argv)
{
    double seconds = argc > 3 ? atof(argv[3]) : 10;

    if (argc < 3) {
        fprintf(stderr, "usage: crawler HOST PORT [SECONDS]\n");
        return 2;
    }
    host = argv[1];
    port = port_of(argv[2]);
    int rc = weft_run(crawl_all, &seconds, .interrupt = true);
    printf("%d of %d pages fetched%s%s\n", fetched, known,
           rc < 0 ? ", then: " : "", rc < 0 ? weft_strerror(rc) : "");
    while (known > 0)
        free(pages[--known]);
    return rc < 0 && rc != -ETIMEDOUT;
}
