// SPDX-License-Identifier: MIT
// Packets of a peer that sends anything: each receive gives a message, or an
// error, and takes no descriptor that it does not give to the caller.
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weft.h>

#include "os/local.h"
#include "process/connection.h"

static void expect(bool good)
{
    if (!good)
        abort();
}

// The same before and after: nothing was left open.
static int lowest_free(void)
{
    int fd = dup(0);
    close(fd);
    return fd;
}

// One byte for the descriptors, one for the room, the rest is the packet.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char room[256];
    weft_connection *pair[2];
    int lowest = lowest_free();
    if (size < 2 || weft_connection_pair(pair) < 0)
        return 0;
    struct wi_local_fds fds = {.n = data[0] % 20};
    int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
    for (unsigned i = 0; i < fds.n; i++)
        fds.fd[i] = file;
    // So that it is not refused at the first two bytes each time.
    uint8_t packet[1 << 16];
    size_t n = size - 2 < sizeof packet ? size - 2 : sizeof packet;
    memcpy(packet, data + 2, n);
    if ((data[0] & 32) && n >= 2)
        memcpy(packet, &(uint16_t){WI_MESSAGE_MAGIC}, 2);
    struct iovec part = {packet, n};
    if (wi_os_local_send(weft_connection_fd(pair[0]), &part, 1, &fds) == 0) {
        int got[4];
        unsigned count = 0;
        ssize_t rc = weft_connection_receive(pair[1], room, data[1], .fds = got,
                                             .fd_room = 4, .fd_count = &count,
                                             .nowait = true);
        expect(rc <= (ssize_t)data[1] &&
               (rc >= 0 || rc == -WEFT_EPROTO || rc == -WEFT_ETOOBIG ||
                rc == -EAGAIN || (rc == -WEFT_ECLOSED && n == 0)));
        while (rc >= 0 && count > 0)
            close(got[--count]);
    }
    close(file);
    weft_connection_close(pair[0]);
    weft_connection_close(pair[1]);
    expect(lowest_free() == lowest);
    return 0;
}
