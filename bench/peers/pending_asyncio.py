# SPDX-License-Identifier: MIT
# pending: OPS. See bench/pending.c. A tenth of the number; the answer is told
# as if it were all.
import asyncio
from support import argument, check, cpu, reply, status

total = 0


async def add(i):
    global total
    total += i


async def main():
    ops = argument(0)
    n = ops // 10 + 1
    tasks = [None] * n
    rss, tables, begin = status("VmRSS"), status("VmPTE"), cpu()
    for i in range(n):
        tasks[i] = asyncio.create_task(add(i))
    start = cpu() - begin
    rss, tables = status("VmRSS") - rss, status("VmPTE") - tables
    begin = cpu()
    await asyncio.gather(*tasks)
    ran = cpu() - begin
    check(total == n * (n - 1) // 2)
    reply((rss + tables) / n, ops * (ops - 1) // 2, rss / n, tables / n,
          start / n, ran / n)


asyncio.run(main())
