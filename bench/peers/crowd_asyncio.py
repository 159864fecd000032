# SPDX-License-Identifier: MIT
# crowd: OPS TASKS. See bench/crowd.c. Each waits on a future of its own.
import asyncio
from support import argument, cpu, reply, status

left = 0


async def live(gates):
    global left
    gate = asyncio.get_running_loop().create_future()
    gates.append(gate)
    await gate
    left += 1


def memory():
    return status("VmRSS") + status("VmPTE")


async def come_and_go(n, weigh):
    gates, weight = [], memory() if weigh else 0
    tasks = [asyncio.create_task(live(gates)) for _ in range(n)]
    while len(gates) < n:
        await asyncio.sleep(0)
    if weigh:
        weight = memory() - weight
    for gate in gates:
        gate.set_result(None)
    await asyncio.gather(*tasks)
    return weight


async def main():
    ops, n = argument(0), argument(1)
    begin = cpu()
    weight = await come_and_go(n, True)
    for _ in range(1, ops // n):
        await come_and_go(n, False)
    reply((cpu() - begin) / ops, left, weight / n)


asyncio.run(main())
