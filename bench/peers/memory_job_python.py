# SPDX-License-Identifier: MIT
"""memory: OPS HOLD. See bench/memory.c. concurrent.futures, with threads or,
under the name memory_process_python, with processes."""
import os
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from support import argument, reply, status


def triple(x):
    return 3 * x


def measure(pool, n, futures):
    """Submits n jobs to a pool that is held, and says what that took."""
    rss, tables = status("VmRSS"), status("VmPTE")
    for i in range(n):
        futures[i] = pool.submit(triple, i)
    return (status("VmRSS") - rss) / n, (status("VmPTE") - tables) / n


if __name__ == "__main__":
    n, hold = argument(0), argument(1) / 1000
    futures = [None] * n
    processes = os.path.basename(sys.argv[0]) == "memory_process_python"
    gate = threading.Event()
    with (ProcessPoolExecutor if processes else ThreadPoolExecutor)(1) as pool:
        pool.submit(triple, 1).result()
        if processes:
            pool.submit(time.sleep, hold)
        else:
            pool.submit(gate.wait)
        rss, tables = measure(pool, n, futures)
        gate.set()
        total = sum(future.result() for future in futures)
        reply(rss + tables, total, rss, tables)
