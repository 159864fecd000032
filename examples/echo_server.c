// SPDX-License-Identifier: MIT
//
// echo_server [PORT]: sends back what it is sent. Each connection is a task,
// written as if it had the program for itself; all of them share one thread.
// The first Ctrl-C lets it end in good order, a second one ends it at once.
#include <stdio.h>
#include <weft.h>

#include "port.h"

static int echo(weft_stream *stream, void *arg)
{
    char buf[4096];
    ssize_t n;

    (void)arg;
    while ((n = weft_stream_read(stream, buf, sizeof(buf))) > 0)
        if ((n = weft_stream_write(stream, buf, (size_t)n)) < 0)
            break;
    return (int)n;
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
    rc = weft_serve(listener, echo, NULL, .name = "echo");
    weft_listener_close(listener);
    return rc;
}

int main(int argc, char **argv)
{
    uint16_t port = argc > 1 ? port_of(argv[1]) : 7777;
    int rc = weft_run(serve, &port, .interrupt = true);

    fprintf(stderr, "echo_server: %s\n", weft_strerror(rc));
    return 1;
}
