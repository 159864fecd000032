// SPDX-License-Identifier: MIT
//
// tls_server CERTIFICATE KEY [PORT]: an echo server that speaks TLS. The only
// difference from one that does not is in two calls.
#include <stdio.h>
#include <weft.h>
#include <weft/tls.h>

#include "port.h"

struct settings {
    const char *certificate, *key;
    uint16_t port;
};

static int echo(weft_stream *stream, void *arg)
{
    char line[1024];
    ssize_t n;

    (void)arg;
    while ((n = weft_stream_read_line(stream, line, sizeof(line))) > 0)
        if ((n = weft_stream_write(stream, line, (size_t)n)) < 0)
            break;
    return (int)n;
}

static int serve(void *arg)
{
    const struct settings *settings = arg;
    struct weft_address address;
    weft_listener *listener;
    weft_tls *tls;
    int rc = weft_tls_server(&tls, .certificate = settings->certificate,
                             .key = settings->key);

    if (rc < 0)
        return rc;
    rc = weft_tcp_listen("localhost", settings->port, &listener);
    if (rc == 0) {
        weft_listener_address(listener, 0, &address);
        printf("listening on localhost port %d\n", weft_address_port(&address));
        fflush(stdout);
        rc = weft_tls_serve(listener, tls, echo, NULL, .name = "echo");
        weft_listener_close(listener);
    }
    weft_tls_unref(tls);
    return rc;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: tls_server CERTIFICATE KEY [PORT]\n");
        return 2;
    }
    struct settings settings = {argv[1], argv[2],
                                argc > 3 ? port_of(argv[3]) : 7443};
    int rc = weft_run(serve, &settings, .interrupt = true);

    fprintf(stderr, "tls_server: %s\n", weft_strerror(rc));
    return 1;
}
