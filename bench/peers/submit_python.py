# SPDX-License-Identifier: MIT
# submit: OPS WORKERS. See bench/submit.c. concurrent.futures; a fiftieth of
# the number, the answer is told as if it were all.
from concurrent.futures import ThreadPoolExecutor
from support import argument, check, cpu, reply, thread_cpu, wall

ops, workers = argument(0), argument(1)
n = min(ops, 10000)
bursts = ops // n // 50 + 1
expected = 3 * n * (n - 1) // 2


def triple(x):
    return 3 * x


def burst(pool):
    begin = thread_cpu()
    futures = [pool.submit(triple, i) for i in range(n)]
    used = thread_cpu() - begin
    check(sum(f.result() for f in futures) == expected)
    return used


with ThreadPoolExecutor(workers) as pool:
    burst(pool)
    used, begin, start = 0, cpu(), wall()
    for _ in range(bursts):
        used += burst(pool)
    jobs = bursts * n
    reply(used / jobs, expected * (ops // n), (cpu() - begin) / jobs,
          (wall() - start) / jobs)
