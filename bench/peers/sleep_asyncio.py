# SPDX-License-Identifier: MIT
# sleep: OPS US. See bench/sleep.c.
import asyncio
from support import argument, cpu, reply, wall


async def main():
    n, us = argument(0), argument(1)
    late = []
    await asyncio.sleep(us / 1e6)
    begin_cpu = cpu()
    for _ in range(n):
        begin = wall()
        await asyncio.sleep(us / 1e6)
        late.append((wall() - begin) / 1000 - us)
    used = (cpu() - begin_cpu) / n / 1000
    late.sort()
    reply(late[n // 2], sum(x >= 0 for x in late), late[0], late[n * 99 // 100], used)


asyncio.run(main())
