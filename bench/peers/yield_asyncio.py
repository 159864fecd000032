# SPDX-License-Identifier: MIT
# yield: OPS TASKS. See bench/yield.c. A twentieth of the rounds; the answer is
# told as if it were all.
import asyncio
from support import argument, check, cpu, reply

WARM = 3
count = started = before = after = begin = end = 0


async def member(last, tasks, rounds):
    global count, started, before, after, begin, end
    started += 1
    while started < tasks:
        await asyncio.sleep(0)
    for _ in range(WARM):
        await asyncio.sleep(0)
    if last:
        before, begin = count, cpu()
    for _ in range(rounds):
        count += 1
        await asyncio.sleep(0)
    if last:
        end, after = cpu(), count
    for _ in range(WARM):
        await asyncio.sleep(0)


async def main():
    ops, tasks = argument(0), argument(1)
    all_rounds = ops // tasks
    rounds = all_rounds // 20 + 1
    await asyncio.gather(*(member(i == tasks - 1, tasks, rounds)
                           for i in range(tasks)))
    check(count == tasks * rounds)
    n = after - before
    reply((end - begin) / n, tasks * all_rounds, n / count)


asyncio.run(main())
