// SPDX-License-Identifier: MIT
//
// time_service: a server that answers each datagram with the time, and a client
// that asks it. A datagram may get lost, so the client asks again, three times
// at most, and gives each question a moment.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <weft.h>

static int serve(void *arg)
{
    int fd = *(int *)arg;
    struct weft_address from;
    char question[64], answer[64];

    for (;;) {
        ssize_t n = weft_udp_receive(fd, question, sizeof(question), &from);
        time_t now = time(NULL);

        if (n == -WEFT_ETOOBIG || n == -ECONNREFUSED)
            continue; // too long a question, a peer that has gone
        if (n < 0)
            return (int)n;
        strftime(answer, sizeof(answer), "%Y-%m-%dT%H:%M:%SZ", gmtime(&now));
        weft_udp_send(fd, answer, strlen(answer), &from);
    }
}

static int ask(uint16_t port, char *answer, size_t size)
{
    int fd = weft_udp_connect("127.0.0.1", port);
    ssize_t n = fd;

    for (int i = 0; fd >= 0 && i < 3; i++) {
        WEFT_TIMEOUT(1);
        n = weft_udp_send(fd, "?", 1, NULL);
        if (n > 0)
            n = weft_udp_receive(fd, answer, size - 1, NULL);
        if (n >= 0) {
            answer[n] = '\0';
            break;
        }
    }
    if (fd >= 0)
        weft_close(fd);
    return n < 0 ? (int)n : 0;
}

static int both(void *arg)
{
    struct weft_address address;
    int fd = weft_udp_bind("127.0.0.1", 0);
    char answer[64] = "";

    (void)arg;
    if (fd < 0)
        return fd;
    weft_socket_local(fd, &address);
    weft_future *server = weft_task_start(serve, &fd, .name = "time");
    int rc = ask(weft_address_port(&address), answer, sizeof(answer));
    if (rc == 0)
        printf("the time is %s\n", answer);
    weft_cancel(server);
    weft_join(server);
    weft_close(fd);
    return rc;
}

int main(void)
{
    int rc = weft_run(both, NULL);
    if (rc < 0)
        fprintf(stderr, "time_service: %s\n", weft_strerror(rc));
    return rc < 0;
}
