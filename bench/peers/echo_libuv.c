// SPDX-License-Identifier: MIT
// echo: a server on descriptor 3. See bench/echo.c. As the library's guide has
// it: a buffer from malloc for each read, a request for each write.
#include <stdlib.h>
#include <uv.h>

struct write {
    uv_write_t request;
    char *data;
};

static void reserve(uv_handle_t *handle, size_t size, uv_buf_t *buffer)
{
    (void)handle, (void)size;
    *buffer = uv_buf_init(malloc(4096), 4096);
}

static void closed(uv_handle_t *handle)
{
    free(handle);
}

static void written(uv_write_t *request, int status)
{
    struct write *w = (struct write *)request;
    (void)status;
    free(w->data);
    free(w);
}

static void received(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer)
{
    if (n <= 0) {
        free(buffer->base);
        if (n < 0)
            uv_close((uv_handle_t *)stream, closed);
        return;
    }
    struct write *w = malloc(sizeof *w);
    uv_buf_t out = uv_buf_init(buffer->base, (unsigned)n);
    w->data = buffer->base;
    uv_write(&w->request, stream, &out, 1, written);
}

static void connected(uv_stream_t *server, int status)
{
    uv_tcp_t *stream = malloc(sizeof *stream);
    (void)status;
    uv_tcp_init(server->loop, stream);
    if (uv_accept(server, (uv_stream_t *)stream) == 0)
        uv_read_start((uv_stream_t *)stream, reserve, received);
    else
        uv_close((uv_handle_t *)stream, closed);
}

int main(void)
{
    uv_tcp_t server;
    uv_tcp_init(uv_default_loop(), &server);
    if (uv_tcp_open(&server, 3) != 0 ||
        uv_listen((uv_stream_t *)&server, 4096, connected) != 0)
        return 1;
    return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
