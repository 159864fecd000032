// SPDX-License-Identifier: MIT
// queue: OPS PRODUCERS CONSUMERS MAXSIZE BATCH. See bench/queue.c. A
// GAsyncQueue has no bound. Numbers travel as pointers, plus one, since NULL
// is no item; G_MAXSIZE ends a consumer.
#include <glib.h>

#include "support.h"

static GAsyncQueue *queue;
static gsize each, sum;

static gpointer produce(gpointer unused)
{
    for (gsize i = 0; i < each; i++)
        g_async_queue_push(queue, GSIZE_TO_POINTER(i + 1));
    return unused;
}

static gpointer consume(gpointer unused)
{
    gsize own = 0, item;
    while ((item = GPOINTER_TO_SIZE(g_async_queue_pop(queue))) != G_MAXSIZE)
        own += item - 1;
    __atomic_fetch_add(&sum, own, __ATOMIC_RELAXED);
    return unused;
}

int main(int argc, char **argv)
{
    long ops = peer_argument(argc, argv, 0);
    int producers = (int)peer_argument(argc, argv, 1);
    int consumers = (int)peer_argument(argc, argv, 2);
    GThread *thread[64];
    queue = g_async_queue_new();
    each = (gsize)(ops / producers);
    double wall = peer_wall(), cpu = peer_cpu();
    for (int i = 0; i < producers; i++)
        thread[i] = g_thread_new("producer", produce, NULL);
    for (int i = 0; i < consumers; i++)
        thread[producers + i] = g_thread_new("consumer", consume, NULL);
    for (int i = 0; i < producers; i++)
        g_thread_join(thread[i]);
    for (int i = 0; i < consumers; i++)
        g_async_queue_push(queue, GSIZE_TO_POINTER(G_MAXSIZE));
    for (int i = 0; i < consumers; i++)
        g_thread_join(thread[producers + i]);
    double messages = (double)each * producers;
    wall = peer_wall() - wall;
    cpu = peer_cpu() - cpu;
    g_async_queue_unref(queue);
    peer_reply(wall / messages, sum, cpu / messages, 0, 0, 0);
    return 0;
}
