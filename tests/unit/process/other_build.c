// SPDX-License-Identifier: MIT
// A program that build_test starts in place of itself: another build, with jobs
// of the same names, of which one is another job by now.
#include <weft.h>

#include "build.h"

WEFT_JOB(long, as_ever, long, x)
{
    return x + OTHER;
}

WEFT_JOB(long, longer, long, x)
{
    return x;
}

WEFT_JOB_VERSION(2, long, revised, long, x)
{
    return x;
}

int main(void)
{
    weft_main_hook();
    return 9;
}
