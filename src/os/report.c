// SPDX-License-Identifier: MIT
#include "os/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "os/write.h"

enum { LINE = 512 };

_Noreturn void wi_panic(const char *function, const void *object,
                        const char *rule)
{
    if (object == NULL)
        wi_report("%s: %s", function, rule);
    else
        wi_report("%s: %p: %s", function, (void *)(uintptr_t)object, rule);
    abort();
}

void wi_report(const char *format, ...)
{
    char line[LINE] = "weft: ";
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line + 6, sizeof line - 7, format, args);
    va_end(args);
    size_t used = 6 + (n < 0 ? 0 : (size_t)n);
    if (used > sizeof line - 2)
        used = sizeof line - 2;
    line[used] = '\n';
    wi_os_write_error(line, used + 1);
}
