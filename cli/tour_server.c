// SPDX-License-Identifier: MIT
#include "tour_server.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <weft.h>

#include "cli.h"

// Its own side: from here on the tour -----------------------------------------

static int send_paths(int to, const struct tour_files *files, uint32_t n)
{
    ssize_t rc = 0;

    for (uint32_t i = 0; i < n && rc >= 0; i++)
        rc = weft_write_all(to, files->at[i].path,
                            strlen(files->at[i].path) + 1);
    return rc < 0 ? (int)rc : 0;
}

// What the server must know: the token, how many paths, the paths.
static int brief(struct tour_server *server, const struct tour_files *files)
{
    int to = server->child.in;
    ssize_t rc = weft_write_all(to, server->token, sizeof(server->token));

    if (rc >= 0)
        rc = weft_write_all(to, &server->resources, sizeof(server->resources));
    return rc < 0 ? (int)rc : send_paths(to, files, server->resources);
}

static int read_port(struct tour_server *server)
{
    WEFT_TIMEOUT(20);
    ssize_t n =
        weft_read(server->child.out, &server->port, sizeof(server->port));

    if (n < 0)
        return (int)n;
    return n == sizeof(server->port) ? 0 : -EPROTO;
}

int tour_server_start(struct tour_server *server,
                      const struct tour_files *files, uint32_t resources)
{
    static char self[] = "/proc/self/exe", name[] = "tour_server";
    char *const argv[] = {self, name, NULL};
    const struct child_options options = {.with_input = true};
    ssize_t got = getrandom(server->token, sizeof(server->token), 0);

    server->resources = resources;
    if (got != sizeof(server->token))
        return -EIO;
    int rc = child_start(&server->child, argv, &options);
    if (rc < 0)
        return rc;
    rc = brief(server, files);
    if (rc == 0)
        rc = read_port(server);
    if (rc < 0)
        tour_server_stop(server);
    return rc;
}

void tour_server_stop(struct tour_server *server)
{
    child_end(&server->child, 5);
}

// The other side: from here on the server -------------------------------------

static struct {
    uint8_t token[TOUR_TOKEN_SIZE];
    uint32_t count;
    struct tour_answer *answers;
    int listener;
} house;

// As many bytes as it says to have: some of /proc make a reader wait.
static ssize_t read_beginning(int fd, void *to, size_t size)
{
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return 0;
    return read(fd, to,
                (uint64_t)st.st_size < size ? (size_t)st.st_size : size);
}

static void load(struct tour_answer *answer, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    ssize_t n = read_beginning(fd, answer->data, sizeof(answer->data));

    answer->length = n > 0 ? (uint32_t)n : 0;
    if (fd >= 0)
        close(fd);
}

static bool load_all(void)
{
    char *path = NULL;
    size_t size = 0;
    uint32_t i = 0;

    if (fread(house.token, sizeof(house.token), 1, stdin) != 1 ||
        fread(&house.count, sizeof(house.count), 1, stdin) != 1 ||
        house.count > TOUR_FILES_MAX)
        return false;
    house.answers = calloc(house.count, sizeof(*house.answers));
    for (; house.answers && i < house.count; i++) {
        if (getdelim(&path, &size, '\0', stdin) <= 0)
            break;
        load(&house.answers[i], path);
    }
    free(path);
    return house.answers && i == house.count;
}

static int open_port(uint16_t *port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET};
    socklen_t len = sizeof(addr);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || bind(fd, (struct sockaddr *)&addr, len) || listen(fd, 4096) ||
        getsockname(fd, (struct sockaddr *)&addr, &len))
        return -errno;
    *port = ntohs(addr.sin_port);
    return fd;
}

static bool read_request(int fd, struct tour_request *request)
{
    size_t filled = 0;

    while (filled < sizeof(*request)) {
        ssize_t n =
            weft_read(fd, (char *)request + filled, sizeof(*request) - filled);
        if (n <= 0)
            return false;
        filled += (size_t)n;
    }
    return !memcmp(request->token, house.token, sizeof(house.token)) &&
           request->index < house.count;
}

static int serve(void *arg)
{
    int fd = (int)(intptr_t)arg;
    struct tour_request request;

    {
        WEFT_TIMEOUT(30);
        if (read_request(fd, &request) && weft_sleep(TOUR_LATENCY) == 0) {
            const struct tour_answer *answer = &house.answers[request.index];
            weft_write_all(fd, answer,
                           offsetof(struct tour_answer, data) + answer->length);
        }
    }
    weft_close(fd);
    return 0;
}

static void hang_up(void *arg)
{
    weft_close((int)(intptr_t)arg);
}

static int accept_all(void *arg)
{
    (void)arg;
    for (;;) {
        int fd = weft_accept(house.listener, NULL, NULL);
        if (fd == -ECANCELED || fd == -ETIMEDOUT)
            return 0;
        if (fd < 0)
            weft_sleep(0.01); // out of descriptors: let some end
        else
            weft_future_unref(weft_task_start(
                serve, (void *)(intptr_t)fd, .name = "serve", .drop = hang_up));
    }
}

// Ends, and with it all tasks, when standard input ends.
static int keep_house(void *arg)
{
    char byte;

    (void)arg;
    weft_future_unref(weft_task_start(accept_all, NULL, .name = "accept"));
    while (weft_read(STDIN_FILENO, &byte, 1) > 0)
        ;
    return 0;
}

int cmd_tour_server(int argc, char **argv)
{
    uint16_t port = 0;

    (void)argv;
    if (argc > 1 || !load_all())
        return CLI_USAGE;
    house.listener = open_port(&port);
    if (house.listener < 0 || weft_write_all(STDOUT_FILENO, &port, 2) != 2)
        return CLI_FAILED;
    close(STDOUT_FILENO);
    // main flushes standard output at the end; it has gone, and that is right
    if (!freopen("/dev/null", "w", stdout))
        return CLI_FAILED;
    return weft_run(keep_house, NULL, .name = "tour server") < 0 ? CLI_FAILED
                                                                 : CLI_OK;
}
