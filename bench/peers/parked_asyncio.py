# SPDX-License-Identifier: MIT
# parked: OPS STACK. See bench/parked.c. A coroutine has no stack; STACK is not
# used.
import asyncio
from support import argument, cpu, reply, status

left = 0


async def member(gate):
    global left
    await gate
    left += 1


async def main():
    n = argument(0)
    gate = asyncio.get_running_loop().create_future()
    tasks = [None] * n
    rss, tables, begin = status("VmRSS"), status("VmPTE"), cpu()
    for i in range(n):
        tasks[i] = asyncio.create_task(member(gate))
    await asyncio.sleep(0)
    used = cpu() - begin
    rss, tables = status("VmRSS") - rss, status("VmPTE") - tables
    gate.set_result(None)
    await asyncio.gather(*tasks)
    reply((rss + tables) / n, left, rss / n, tables / n, used / n)


asyncio.run(main())
