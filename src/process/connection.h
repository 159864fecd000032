// SPDX-License-Identifier: MIT
//
// connection.h: how a message travels. A packet of a Unix socket begins with a
// head; behind it stands the message, or, if that is long, the first of its
// descriptors is a file that holds it.
#ifndef WI_PROCESS_CONNECTION_H
#define WI_PROCESS_CONNECTION_H

#include <stdint.h>

#include <weft/connection.h>

#define WI_MESSAGE_MAGIC 0x77a5u

enum {
    WI_MESSAGE_INLINE = 32 << 10, // bytes that stand in the packet
    WI_MESSAGE_HEAD = 16,
};

enum wi_message_form { WI_MESSAGE_HERE, WI_MESSAGE_FILE, WI_MESSAGE_FORMS };

struct wi_message_head {
    uint16_t magic;
    uint8_t form; // enum wi_message_form
    uint8_t fds;  // the user's
    uint32_t slack;
    uint64_t size;
};

// A connection over fd, which it closes if there is no memory.
int wi_connection_new(int fd, weft_connection **c);

// Looks at what came with a packet of n bytes: 0, or -WEFT_EPROTO.
int wi_message_check(const struct wi_message_head *head, ssize_t n,
                     unsigned fds);

#endif
