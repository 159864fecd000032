# SPDX-License-Identifier: MIT
# submit_result: OPS GAP. See bench/submit_result.c. concurrent.futures.
import os
import time
from concurrent.futures import ThreadPoolExecutor
from support import argument, cpu, reply, wall

WARM = 20
n, gap = argument(0), argument(1) / 1e6
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
walls, answer, used = [], 0, 0


def triple(x):
    return 3 * x


with ThreadPoolExecutor(1) as pool:
    for i in range(n + WARM):
        cpu_begin, begin = cpu(), wall()
        got = pool.submit(triple, i).result()
        end = wall()
        if i >= WARM:
            walls.append(end - begin)
            used += cpu() - cpu_begin
            answer += got
        time.sleep(gap)
walls.sort()
reply(walls[n // 2] / 1000, answer, walls[0] / 1000,
      walls[n * 9 // 10] / 1000, walls[n * 99 // 100] / 1000, used / n / 1000)
