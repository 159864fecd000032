# SPDX-License-Identifier: MIT
# What the Python peers need: clocks, arguments, the line that they print.
import resource
import sys
import time

cpu = time.process_time_ns
thread_cpu = time.thread_time_ns
wall = time.perf_counter_ns


def argument(i):
    """The i-th argument: 0 is the number of operations, then the parameters."""
    return int(sys.argv[1 + i])


def reply(value, answer, *more):
    print(value, answer, *more)


def waits():
    """How often a thread gave up its CPU to wait."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw


def status(name):
    """Bytes: VmRSS, VmPTE."""
    with open("/proc/self/status") as text:
        for line in text:
            if line.startswith(name + ":"):
                return int(line.split()[1]) * 1024
    return 0


def check(right):
    if not right:
        sys.exit("not what was to be computed")
