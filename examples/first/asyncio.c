// SPDX-License-Identifier: MIT
#include <stdio.h>
#include <weft.h>

static int amain(void *arg)
{ (void)arg; weft_sleep(1); puts("Asyncio task completed"); return 0; }
int main(void) { return weft_run(amain, NULL); }
