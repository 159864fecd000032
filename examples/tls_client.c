// SPDX-License-Identifier: MIT
//
// tls_client HOST PORT [AUTHORITIES]: sends standard input to a server by TLS,
// and prints what it answers. Whom to trust is what the system says, or a file
// of authorities.
#include <stdio.h>
#include <unistd.h>
#include <weft.h>
#include <weft/tls.h>

#include "port.h"

static int send_input(void *arg)
{
    weft_stream *server = arg, *input;
    int rc = weft_stream_open(STDIN_FILENO, &input);

    if (rc < 0)
        return rc;
    ssize_t n = weft_stream_copy(input, server, SIZE_MAX);
    weft_stream_close(input);
    return n < 0 ? (int)n : weft_stream_shutdown(server);
}

static int talk(weft_stream *server)
{
    char line[1024];
    ssize_t n;
    weft_future *sender = weft_task_start(send_input, server);

    while ((n = weft_stream_read_line(server, line, sizeof(line))) > 0) {
        fputs(line, stdout);
        fflush(stdout);
    }
    weft_cancel(sender); // who has nobody to send to any more
    int rc = weft_join(sender);
    return n < 0 ? (int)n : rc == -WEFT_EJOBCANCELED ? 0 : rc;
}

static uint16_t port;
static char why[200]; // the connect has failed

static int run(void *arg)
{
    char **argv = arg;
    weft_stream *server;
    weft_tls *tls;
    int rc = weft_tls_client(&tls, .authorities = argv[3]);

    if (rc == 0) {
        rc = weft_tls_connect(tls, argv[1], port, &server, .why = why,
                              .why_size = sizeof(why));
        weft_tls_unref(tls);
    }
    if (rc == 0) {
        rc = talk(server);
        weft_stream_close(server);
    }
    return rc;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: tls_client HOST PORT [AUTHORITIES]\n");
        return 2;
    }
    port = port_of(argv[2]);
    int rc = weft_run(run, argv, .interrupt = true);
    if (rc < 0)
        fprintf(stderr, "tls_client: %s: %s\n", weft_error_name(rc),
                why[0] ? why : weft_strerror(rc));
    return rc < 0;
}
