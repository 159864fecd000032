// SPDX-License-Identifier: MIT
//
// port_scanner [FIRST [LAST]]: which ports of this machine's loopback does
// somebody listen on? Some tasks take the next port in turn, until none is
// left; each port gets a moment to answer.
#include <errno.h>
#include <stdio.h>
#include <weft.h>

#include "port.h"

enum { SCANNERS = 64 };

static int next_port, last_port, open_ports; // of tasks on one thread: no lock

static int scan(void *arg)
{
    (void)arg;
    while (next_port <= last_port) {
        int port = next_port++;
        weft_stream *stream;
        WEFT_TIMEOUT(0.5);
        int rc = weft_tcp_connect("127.0.0.1", (uint16_t)port, &stream);

        if (rc == 0) {
            printf("%d is open\n", port);
            open_ports++;
            weft_stream_close(stream);
        } else if (rc == -EMFILE || rc == -ECANCELED) {
            return rc;
        }
    }
    return 0;
}

static int scan_all(void *arg)
{
    int rc;

    (void)arg;
    {
        WEFT_GROUP(group, &rc);
        for (int i = 0; i < SCANNERS; i++)
            weft_future_unref(weft_task_start(scan, NULL, .group = group));
    }
    return rc;
}

int main(int argc, char **argv)
{
    next_port = argc > 1 ? port_of(argv[1]) : 1;
    last_port = argc > 2 ? port_of(argv[2]) : 65535;
    if (next_port < 1 || argc > 3) {
        fprintf(stderr, "usage: port_scanner [FIRST [LAST]]\n");
        return 2;
    }
    int rc = weft_run(scan_all, NULL, .interrupt = true);
    if (rc < 0)
        fprintf(stderr, "port_scanner: %s\n", weft_strerror(rc));
    printf("%d open\n", open_ports);
    return rc < 0;
}
