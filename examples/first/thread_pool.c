// SPDX-License-Identifier: MIT
#include <stdio.h>
#include <weft.h>

WEFT_JOB(struct weft_text, worker) { return weft_text("Worker executed"); }
int main(void)
{
    weft_executor *ex = weft_thread_pool();
    struct weft_text said;
    int rc = weft_result(weft_submit(ex, worker), &said);
    if (rc == 0)
        puts(said.s);
    weft_executor_close(ex);
    return rc;
}
