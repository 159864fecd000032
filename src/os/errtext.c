// SPDX-License-Identifier: MIT
#include "os/errtext.h"

#include <string.h>

const char *wi_os_error_text(int number)
{
#ifdef __GLIBC__
    // Untranslated and without a buffer, unlike strerror there.
    const char *text = strerrordesc_np(number);
#else
    const char *text = number < 4096 ? strerror(number) : NULL;
#endif
    return text != NULL ? text : "an unknown code";
}
