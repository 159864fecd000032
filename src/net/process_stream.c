// SPDX-License-Identifier: MIT
//
// Streams over the pipes of a child process (WEFT_DEV_PIPE).
#include <weft/stream.h>

#include "net/fd_stream.h"
#include "os/report.h"
#include "process/pipes.h"

int weft_process_stream(weft_future *f, int fd, weft_stream **stream)
{
    wi_need(f);
    wi_need(stream);
    wi_require(fd >= 0 && fd < 3, f, "fd must be 0, 1 or 2");
    int ours = wi_pipes_take(f, fd);
    if (ours < 0)
        return ours;
    int rc = wi_stream_of_pipe(ours, stream);
    if (rc < 0)
        wi_pipes_return(f, fd, ours);
    return rc;
}
