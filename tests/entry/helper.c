// SPDX-License-Identifier: MIT
// The .program of host.py: it has the same library, and the entry.
int whole(void *arg);

int main(void)
{
    int code = 0;
    return whole(&code) + 1; // never runs in a child
}
