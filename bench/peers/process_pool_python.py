# SPDX-License-Identifier: MIT
"""What process_pool asks, asked of concurrent.futures.ProcessPoolExecutor."""
import collections
import os
import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor

WINDOW = 2000
MAX_ROUNDS = 20000
WARM = 20


def triple(x):
    return 3 * x


def cpu():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return (usage.ru_utime + usage.ru_stime) * 1e9


def stream(pool, n):
    """n jobs, at most WINDOW of them under way; the sum of their results."""
    window = collections.deque()
    total = 0
    for i in range(n):
        if len(window) == WINDOW:
            total += window.popleft().result()
        window.append(pool.submit(triple, i))
    while window:
        total += window.popleft().result()
    return total


def jobs(ops, workers):
    with ProcessPoolExecutor(workers) as pool:
        stream(pool, WINDOW)
        used, begin = cpu(), time.monotonic()
        total = stream(pool, ops)
        wall = (time.monotonic() - begin) * 1e9 / ops
        print(wall, total, 1e9 / wall, (cpu() - used) / ops)


def trips(ops, gap_us, pinned):
    if pinned:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    n = min(ops, MAX_ROUNDS)
    walls, total = [], 0
    with ProcessPoolExecutor(1) as pool:
        for i in range(n + WARM):
            begin = time.monotonic()
            got = pool.submit(triple, i).result()
            if i >= WARM:
                walls.append((time.monotonic() - begin) * 1e6)
                total += got
            if gap_us:
                time.sleep(gap_us / 1e6)
    walls.sort()
    print(walls[n // 2], total, walls[0], walls[n * 9 // 10],
          walls[n * 99 // 100])


if __name__ == "__main__":
    arguments = [int(x) for x in sys.argv[1:]]
    if os.path.basename(sys.argv[0]) == "process_trip_python":
        trips(*arguments[:3])
    else:
        jobs(*arguments[:2])
