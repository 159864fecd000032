# SPDX-License-Identifier: MIT
# spawn_join: OPS. See bench/spawn_join.c. A task for each, awaited at once. A
# twentieth of the number; the answer is told as if it were all.
import asyncio
from support import argument, check, cpu, reply


async def child(i):
    return i & 255


async def loop(n):
    total = 0
    for i in range(n):
        total += await asyncio.create_task(child(i))
    return total


async def main():
    ops = argument(0)
    n = ops // 20 + 1
    await loop(n // 10)
    begin = cpu()
    total = await loop(n)
    used = cpu() - begin
    check(total == sum(i & 255 for i in range(n)))
    reply(used / n, sum(i & 255 for i in range(ops)))


asyncio.run(main())
