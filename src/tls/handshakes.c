// SPDX-License-Identifier: MIT
#include "tls/handshakes.h"

#include <netinet/in.h>
#include <string.h>

#include <weft/task.h>
#include <weft/thread.h>

static uint64_t key_of(const struct weft_address *peer)
{
    const struct sockaddr_in6 *six = (const void *)&peer->storage;
    const struct sockaddr_in *four = (const void *)&peer->storage;
    uint32_t number = 0;
    uint64_t half = 0;

    if (peer->storage.ss_family == AF_INET) {
        number = four->sin_addr.s_addr;
    } else if (peer->storage.ss_family == AF_INET6) {
        memcpy(&half, &six->sin6_addr, sizeof(half));
        // of one that came by IPv4, the other half tells
        if (IN6_IS_ADDR_V4MAPPED(&six->sin6_addr))
            memcpy(&number, &six->sin6_addr.s6_addr[12], sizeof(number));
    }
    return half != 0 ? half : number;
}

void wi_handshakes_begin(struct wi_handshakes *all, struct wi_handshake *one,
                         const struct weft_address *peer)
{
    *one = (struct wi_handshake){
        .address = key_of(peer),
        .since = weft_now(),
    };
    pthread_mutex_lock(&all->lock);
    one->prev = all->last;
    if (all->last != NULL)
        all->last->next = one;
    else
        all->first = one;
    all->last = one;
    pthread_mutex_unlock(&all->lock);
}

bool wi_handshakes_start(struct wi_handshakes *all, struct wi_handshake *one)
{
    bool stays;

    pthread_mutex_lock(&all->lock);
    one->task = weft_current();
    stays = !one->gave_way;
    pthread_mutex_unlock(&all->lock);
    return stays;
}

bool wi_handshakes_end(struct wi_handshakes *all, struct wi_handshake *one)
{
    pthread_mutex_lock(&all->lock);
    if (one->prev != NULL)
        one->prev->next = one->next;
    else
        all->first = one->next;
    if (one->next != NULL)
        one->next->prev = one->prev;
    else
        all->last = one->prev;
    pthread_mutex_unlock(&all->lock);
    weft_future_unref(one->task);
    return one->gave_way;
}

// How many of that address have not given way, from `one` on.
static unsigned count(const struct wi_handshake *one, uint64_t address)
{
    unsigned n = 0;

    for (; one != NULL; one = one->next)
        n += one->address == address && !one->gave_way;
    return n;
}

// The oldest one of the address that has the most, and how many it has. They
// stand in the order of their age, so the oldest of an address counts them all.
static struct wi_handshake *find_greediest(const struct wi_handshakes *all,
                                           unsigned *most)
{
    struct wi_handshake *found = NULL;

    *most = 0;
    for (struct wi_handshake *one = all->first; one != NULL; one = one->next) {
        unsigned n = one->gave_way ? 0 : count(one, one->address);

        if (n > *most) {
            *most = n;
            found = one;
        }
    }
    return found;
}

double wi_handshakes_give_way(struct wi_handshakes *all,
                              const struct weft_address *peer, double share)
{
    struct wi_handshake *one;
    weft_future *task = NULL;
    double rest = share;
    unsigned most;

    pthread_mutex_lock(&all->lock);
    one = find_greediest(all, &most);
    if (one != NULL) {
        if (count(all->first, key_of(peer)) + 1 < most)
            rest = 0;
        else
            rest = one->since + share - weft_now();
    }
    if (one != NULL && rest <= 0) {
        one->gave_way = true;
        task = one->task != NULL ? weft_future_ref(one->task) : NULL;
        rest = share;
    }
    pthread_mutex_unlock(&all->lock);
    if (task != NULL)
        weft_cancel(task);
    weft_future_unref(task);
    return rest;
}
