# SPDX-License-Identifier: MIT
"""map: OPS WORKERS. See bench/map.c. Executor.map, with processes under the
name map_processes_python. For threads it has no chunks."""
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from support import argument, cpu, reply

if os.path.basename(sys.argv[0]) == "map_processes_python":
    Pool = ProcessPoolExecutor
else:
    Pool = ThreadPoolExecutor


def triple(x):
    return 3 * x


if __name__ == "__main__":
    n = argument(0)
    chunk = n // 1000 + 1
    with Pool(argument(1)) as pool:
        sum(pool.map(triple, range(10), chunksize=chunk))
        begin, used = time.monotonic(), cpu()
        total = sum(pool.map(triple, range(n), chunksize=chunk))
        reply((time.monotonic() - begin) / n * 1e9, total, (cpu() - used) / n)
