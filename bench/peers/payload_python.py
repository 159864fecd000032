# SPDX-License-Identifier: MIT
"""payload: OPS BYTES. See bench/payload.c. concurrent.futures."""
import time
from concurrent.futures import ProcessPoolExecutor
from support import argument, reply

PAGE = 4096
WARM = 2


def look_at(data):
    return sum(data[::PAGE])


if __name__ == "__main__":
    ops, size = argument(0), argument(1)
    data = b"\x01" * size
    with ProcessPoolExecutor(1) as pool:
        for _ in range(WARM):
            pool.submit(look_at, data).result()
        total, begin = 0, time.monotonic()
        for _ in range(ops):
            total += pool.submit(look_at, data).result()
        each = (time.monotonic() - begin) / ops * 1e6
        reply(each, total, size / each)
