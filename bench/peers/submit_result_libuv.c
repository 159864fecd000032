// SPDX-License-Identifier: MIT
// submit_result: OPS GAP. See bench/submit_result.c. The result is seen when
// the loop has run the callback.
#include <uv.h>

#include "support.h"

static struct item {
    uv_work_t work;
    long value;
} item;

static void job(uv_work_t *work)
{
    ((struct item *)work)->value *= 3;
}

static void ended(uv_work_t *work, int status)
{
    (void)work, (void)status;
}

static long call(long x)
{
    item.value = x;
    uv_queue_work(uv_default_loop(), &item.work, job, ended);
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
    return item.value;
}

int main(int argc, char **argv)
{
    setenv("UV_THREADPOOL_SIZE", "1", 1);
    peer_pin();
    peer_rounds(peer_argument(argc, argv, 0), peer_argument(argc, argv, 1),
                call);
    return 0;
}
