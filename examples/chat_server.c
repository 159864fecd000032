// SPDX-License-Identifier: MIT
//
// chat_server [PORT]: what one says, all others hear. Each guest has a task
// that reads what the guest says and one that writes what the others say, with
// a queue before it; a guest who is too slow to read is shown out. All run on
// one thread, and nothing here waits while it looks at the list of guests: so
// it needs no lock.
#include <stdio.h>
#include <string.h>
#include <weft.h>

#include "port.h"

struct text {
    char s[300];
};

struct guest {
    char name[32];
    weft_stream *stream;
    weft_queue *heard; // of struct text
    struct guest *next;
};

static struct guest *guests;

static void tell_others(const struct guest *speaker, const struct text *text)
{
    for (struct guest *g = guests; g; g = g->next)
        if (g != speaker && weft_queue_try_put(g->heard, text) < 0)
            weft_queue_shutdown(g->heard, true);
}

static int speak(void *arg) // to one guest; its end ends the guest's group
{
    struct guest *g = arg;
    struct text text;
    int rc;

    while ((rc = weft_queue_get(g->heard, &text)) == 0)
        if ((rc = (int)weft_stream_printf(g->stream, "%s", text.s)) < 0)
            break;
    return rc;
}

static int listen_to(struct guest *g)
{
    struct text text;
    char line[256];
    ssize_t n;

    while ((n = weft_stream_read_line(g->stream, line, sizeof(line))) > 0) {
        snprintf(text.s, sizeof(text.s), "%s: %s", g->name, line);
        tell_others(g, &text);
    }
    return n < 0 ? (int)n : -WEFT_EENDED;
}

static int welcome(weft_stream *stream, void *arg)
{
    struct guest g = {.stream = stream}, **at = &guests;

    (void)arg;
    if (weft_stream_read_line(stream, g.name, sizeof(g.name)) <= 0)
        return 0;
    g.name[strcspn(g.name, "\r\n")] = '\0';
    g.heard = weft_queue_new(.item = sizeof(struct text), .maxsize = 64);
    g.next = guests;
    guests = &g;
    weft_stream_printf(stream, "hello, %s\n", g.name);
    weft_group *group = weft_group_open();
    weft_future_unref(weft_task_start(speak, &g, .group = group));
    weft_group_fail(group, listen_to(&g)); // the guest has gone: speak() ends
    weft_group_close(group);
    while (*at != &g)
        at = &(*at)->next;
    *at = g.next;
    weft_queue_free(g.heard);
    return 0;
}

static int serve(void *arg)
{
    struct weft_address address;
    weft_listener *listener;
    int rc = weft_tcp_listen("127.0.0.1", *(uint16_t *)arg, &listener);

    if (rc < 0)
        return rc;
    weft_listener_address(listener, 0, &address);
    printf("listening on 127.0.0.1 port %d\n", weft_address_port(&address));
    fflush(stdout);
    rc = weft_serve(listener, welcome, NULL, .name = "guest", .limit = 1000);
    weft_listener_close(listener);
    return rc;
}

int main(int argc, char **argv)
{
    uint16_t port = argc > 1 ? port_of(argv[1]) : 7778;
    int rc = weft_run(serve, &port, .interrupt = true);

    fprintf(stderr, "chat_server: %s\n", weft_strerror(rc));
    return 1;
}
