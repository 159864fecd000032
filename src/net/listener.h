// SPDX-License-Identifier: MIT
//
// listener.h: the inside of a listener, for those who accept from it.
#ifndef WI_NET_LISTENER_H
#define WI_NET_LISTENER_H

#include <weft/net.h>
#include <weft/scope.h>

#include "os/futex.h"
#include "os/socket.h"

// Somebody in weft_listener_accept or _await, in the frame of that call.
struct wi_visit {
    weft_group *scope; // canceled by a stop
    struct wi_visit *next, *prev;
};

struct weft_listener {
    struct wi_mutex lock;
    bool stopped;            // under the lock: for good
    weft_group *serving;     // under the lock: accepts now; canceled by a stop
    struct wi_visit *visits; // under the lock
    bool tcp;                // else Unix sockets
    unsigned early; // atomic: connections that had come before it was ours
    unsigned turn;  // atomic: of the sockets, which is asked first
    unsigned count; // of fds
    int set;        // watches all fds if there are several; else -1
    char *path;     // of a Unix socket: to be removed at the end, or NULL
    struct wi_os_identity identity; // of the file there
    int fds[];
};

// Whether an error of accept is that of one connection, which is gone; as far
// as can be known.
bool wi_accept_again(int code);

// Such errors can be for a long time, too: of a filter or a network that has
// gone. After many in a row the next attempt waits, longer each time, up to a
// second. 0, or the code of the scope that ends the wait.
int wi_accept_rest(unsigned failures);
bool wi_accept_is_failing(unsigned failures);

bool wi_listener_stopped(weft_listener *listener);

// The stream of a connection that was accepted; if it fails, fd is closed.
int wi_listener_stream(weft_listener *l, int fd, weft_stream **stream);

// Closes the sockets, and removes the file. Once.
void wi_listener_shut(weft_listener *listener);

#endif
