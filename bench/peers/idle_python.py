# SPDX-License-Identifier: MIT
"""idle/processes: OPS MS. See bench/idle.c. ProcessPoolExecutor."""
import glob
import os
import time
from concurrent.futures import ProcessPoolExecutor
from support import argument, cpu, reply, waits

JOBS = 100


def same(x):
    return x


def children(pid):
    for path in glob.glob(f"/proc/{pid}/task/*/children"):
        with open(path) as text:
            yield from text.read().split()


def use_of_children(pid):
    """CPU time in ns, and how often a thread was given a CPU."""
    used, wakes = 0, 0
    for child in children(pid):
        for path in glob.glob(f"/proc/{child}/task/*/schedstat"):
            with open(path) as text:
                numbers = [int(n) for n in text.read().split()]
            used += numbers[0]
            wakes += numbers[2]
    return used, wakes


if __name__ == "__main__":
    seconds = argument(1) / 1000
    with ProcessPoolExecutor(2) as pool:
        done = sum(pool.submit(same, 1).result() for _ in range(JOBS))
        time.sleep(seconds / 2)
        before = use_of_children(os.getpid())
        own = cpu(), waits()
        time.sleep(seconds)
        used, wakes = cpu() - own[0], waits() - own[1] - 1
        after = use_of_children(os.getpid())
    reply((used + after[0] - before[0]) / 1000 / seconds, done,
          (wakes + after[1] - before[1]) / seconds)
