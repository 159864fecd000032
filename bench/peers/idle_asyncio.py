# SPDX-License-Identifier: MIT
# idle: OPS MS. See bench/idle.c.
import asyncio
from support import argument, cpu, reply, waits

count = 0


async def member(gate):
    global count
    count += 1
    await gate


async def main():
    ms = argument(1)
    gate = asyncio.get_running_loop().create_future()
    tasks = [asyncio.create_task(member(gate)) for _ in range(1000)]
    await asyncio.sleep(ms / 2000)
    before, begin = waits(), cpu()
    await asyncio.sleep(ms / 1000)
    used = cpu() - begin
    reply(used / ms, count, (waits() - before - 1) * 1000 / ms)
    gate.set_result(None)
    await asyncio.gather(*tasks)


asyncio.run(main())
