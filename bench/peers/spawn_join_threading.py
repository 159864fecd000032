# SPDX-License-Identifier: MIT
# spawn_join: OPS. See bench/spawn_join.c. A thread for each, joined at once. A
# hundredth of the number; the answer is told as if it were all.
import threading
from support import argument, check, cpu, reply

results = [0]


def child(i):
    results[0] = i & 255


def loop(n):
    total = 0
    for i in range(n):
        t = threading.Thread(target=child, args=(i,))
        t.start()
        t.join()
        total += results[0]
    return total


ops = argument(0)
n = ops // 100 + 1
loop(n // 10)
begin = cpu()
total = loop(n)
used = cpu() - begin
check(total == sum(i & 255 for i in range(n)))
reply(used / n, sum(i & 255 for i in range(ops)))
