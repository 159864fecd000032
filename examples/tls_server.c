// SPDX-License-Identifier: MIT
//
// tls_server CERTIFICATE KEY [PORT]: an echo server that speaks TLS, as a
// service: SIGHUP has it read its certificate again, SIGTERM or Ctrl-C lets who
// is in the middle of a line finish it, a second one ends it at once.
#include <signal.h>
#include <stdio.h>
#include <weft.h>
#include <weft/tls.h>

#include "port.h"

struct service {
    const char *certificate, *key;
    uint16_t port;
    weft_tls *newest; // what new connections get
    weft_listener *listener;
};

// What was read before stays, if this cannot be read.
static int read_certificate(struct service *service)
{
    const char *certificate = service->certificate;
    const struct weft_tls_options options = {.size = sizeof(options),
                                             .certificate = certificate,
                                             .key = service->key};
    weft_tls *tls;
    char why[200];
    int rc = weft_tls_server_with(&tls, &options, why, sizeof(why));

    fprintf(stderr, "tls_server: %s%s\n", rc < 0 ? "" : "read ",
            rc < 0 ? why : certificate);
    if (rc == 0) {
        weft_tls_unref(service->newest); // its connections go on
        service->newest = tls;
    }
    return rc;
}

static weft_tls *choose_newest(const char *name, void *arg)
{
    (void)name;
    return ((struct service *)arg)->newest;
}

static int echo(weft_stream *stream, void *arg)
{
    struct service *service = arg;
    char line[1024];
    ssize_t n;

    while ((n = weft_listener_await(service->listener, stream)) > 0)
        if ((n = weft_stream_read_line(stream, line, sizeof(line))) <= 0 ||
            (n = weft_stream_write(stream, line, (size_t)n)) < 0)
            break;
    return n == -WEFT_ECLOSED ? 0 : (int)n; // idle when the service stopped
}

static int heed_signals(void *arg)
{
    struct service *service = arg;
    weft_signals *s = weft_signals_open((int[]){SIGHUP, SIGINT, SIGTERM}, 3);
    int sig;

    while ((sig = weft_signals_wait(s)) == SIGHUP)
        read_certificate(service);
    weft_signals_close(s); // they do again what they did
    if (sig > 0)
        weft_listener_stop(service->listener);
    return sig < 0 ? sig : 0;
}

static int serve(void *arg)
{
    struct service *service = arg;
    struct weft_address address;
    weft_tls *front;
    int rc = weft_tls_server(&front, .choose = choose_newest, .arg = service);
    if (rc < 0)
        return rc;
    rc = weft_tcp_listen("localhost", service->port, &service->listener);
    if (rc == 0 && (rc = read_certificate(service)) == 0) {
        weft_future_unref(weft_task_start(heed_signals, service));
        weft_listener_address(service->listener, 0, &address);
        printf("listening on localhost port %d\n", weft_address_port(&address));
        fflush(stdout);
        rc = weft_tls_serve(service->listener, front, echo, service,
                            .name = "echo", .grace = 3);
    }
    weft_tls_unref(front);
    return rc;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: tls_server CERTIFICATE KEY [PORT]\n");
        return 2;
    }
    struct service service = {.certificate = argv[1],
                              .key = argv[2],
                              .port = argc > 3 ? port_of(argv[3]) : 7443};
    int rc = weft_run(serve, &service);

    weft_listener_close(service.listener); // when no task has it any more
    weft_tls_unref(service.newest);
    if (rc < 0)
        fprintf(stderr, "tls_server: %s\n", weft_strerror(rc));
    return rc < 0;
}
