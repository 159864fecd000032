// SPDX-License-Identifier: MIT
// A library with a function for processes, used by a program that is not
// written in C; see host.py.
int whole(void *arg);

int whole(void *arg)
{
    return *(int *)arg;
}
