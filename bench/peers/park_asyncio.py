# SPDX-License-Identifier: MIT
# park: OPS. See bench/park.c. An Event for each of two tasks. A twentieth of
# the number; the answer is told as if it were all.
import asyncio
from support import argument, check, cpu, reply

WARM = 1000
turns = 0


async def play(mine, other, n):
    global turns
    for _ in range(n):
        await mine.wait()
        mine.clear()
        turns += 1
        other.set()


async def main():
    global turns
    ops = argument(0) & ~1
    n = ops // 40 + 1
    first, second = asyncio.Event(), asyncio.Event()
    there = asyncio.create_task(play(second, first, WARM + n))
    first.set()
    await play(first, second, WARM)
    turns, begin = 0, cpu()
    await play(first, second, n)
    used = cpu() - begin
    await there
    check(abs(turns - 2 * n) <= 1)
    reply(used / (2 * n), ops)


asyncio.run(main())
