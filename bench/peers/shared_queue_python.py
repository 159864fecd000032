# SPDX-License-Identifier: MIT
"""What shared_queue asks, asked of multiprocessing.Queue."""
import multiprocessing
import sys
import threading
import time

REST = b"\0" * 56


def produce(queue, begin, end):
    for i in range(begin, end):
        queue.put((i, REST))


def consume(queue):
    total = 0
    while (item := queue.get()) is not None:
        total += item[0]
    return total


def consume_elsewhere(queue, sums):
    sums.put(consume(queue))


def main():
    # It is slow: a part of the messages says as much.
    asked, producers, consumers = (int(x) for x in sys.argv[1:4])
    ops = min(asked, 50000)
    context = multiprocessing.get_context("fork")
    queue, sums = context.Queue(1024), context.Queue()
    begin = time.monotonic()
    others = [context.Process(target=consume_elsewhere, args=(queue, sums))
              for _ in range(consumers - 1)]
    makers = [context.Process(target=produce, args=(
        queue, ops * i // producers, ops * (i + 1) // producers))
        for i in range(producers)]
    for process in others + makers:
        process.start()
    # Nobody but this process knows when all have put.
    got = []
    here = threading.Thread(target=lambda: got.append(consume(queue)))
    here.start()
    for process in makers:
        process.join()
    for _ in range(consumers):
        queue.put(None)
    here.join()
    total = got[0] + sum(sums.get() for _ in others)
    wall = time.monotonic() - begin
    if total != ops * (ops - 1) // 2:
        sys.exit("a wrong sum")
    print(wall * 1e9 / ops, asked * (asked - 1) // 2, ops / wall)


main()
