// SPDX-License-Identifier: MIT
// stream_libuv receive|send SIZE: a server on descriptor 3 of one connection.
// See bench/streams.c. It writes the next message when the last one is written.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

static char block[64 << 10];
static size_t size;
static uint64_t messages, total;
static int sends;
static uv_tcp_t connection;
static uv_write_t request;

static void reserve(uv_handle_t *handle, size_t wanted, uv_buf_t *buffer)
{
    (void)handle, (void)wanted;
    *buffer = uv_buf_init(block, (unsigned)size);
}

static void write_next(uv_write_t *done, int status)
{
    uv_buf_t out = uv_buf_init(block, (unsigned)size);
    (void)done;
    if (status == 0 && messages-- > 0)
        uv_write(&request, (uv_stream_t *)&connection, &out, 1, write_next);
}

static void received(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer)
{
    if (n > 0 && sends) {
        memcpy(&messages, buffer->base, sizeof messages);
        uv_read_stop(stream);
        write_next(NULL, 0);
    } else if (n > 0) {
        total += (uint64_t)n;
    } else if (n < 0) {
        uv_buf_t out = uv_buf_init((char *)&total, sizeof total);
        uv_read_stop(stream);
        uv_write(&request, stream, &out, 1, NULL);
    }
}

static void connected(uv_stream_t *server, int status)
{
    (void)status;
    uv_tcp_init(server->loop, &connection);
    if (uv_accept(server, (uv_stream_t *)&connection) == 0) {
        uv_tcp_nodelay(&connection, 1);
        uv_read_start((uv_stream_t *)&connection, reserve, received);
    }
}

int main(int argc, char **argv)
{
    uv_tcp_t server;
    if (argc != 3)
        return 1;
    sends = strcmp(argv[1], "send") == 0;
    size = strtoul(argv[2], NULL, 10);
    if (size == 0 || size > sizeof block)
        return 1;
    uv_tcp_init(uv_default_loop(), &server);
    if (uv_tcp_open(&server, 3) != 0 ||
        uv_listen((uv_stream_t *)&server, 16, connected) != 0)
        return 1;
    return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
