// SPDX-License-Identifier: MIT
#include <stdio.h>
#include <weft.h>

static int worker(void *arg) { (void)arg; puts("Process working..."); return 0; }
int main(void) { return weft_join(weft_process_start(worker, NULL, 0)); }
