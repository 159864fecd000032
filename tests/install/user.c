// SPDX-License-Identifier: MIT
// Also compiled as C++17.
#include <stdio.h>
#include <weft/version.h>

int main(void)
{
    puts(weft_version());
    return 0;
}
