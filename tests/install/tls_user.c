// SPDX-License-Identifier: MIT
#include <stdio.h>
#include <weft.h>
#include <weft/tls.h>

int main(void)
{
    weft_tls *tls;
    int rc = weft_tls_client(&tls, .unverified = true);

    if (rc < 0)
        return 1;
    weft_tls_unref(tls);
    puts(weft_version());
    return 0;
}
