// SPDX-License-Identifier: MIT
//
// What the crash page says is the word of a process that was out of its mind:
// it may be garbage. It is printed as numbers only.
#include "process/crash.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "process/capture.h"

struct text {
    char *at;
    size_t left;
};

static void add(struct text *text, const char *format, ...) WEFT_PRINTF(2, 3);

static void add(struct text *text, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text->at, text->left, format, args);
    va_end(args);
    size_t used = n < 0 ? 0 : (size_t)n;
    if (used >= text->left)
        used = text->left > 0 ? text->left - 1 : 0;
    text->at += used;
    text->left -= used;
}

// Where it happened, if it was a fault of its own.
static void add_fault(struct text *text, const struct wi_fault *fault)
{
    if (fault->sender != 0) {
        add(text, " sent by process %d", fault->sender);
        return;
    }
    add(text, " at address 0x%llx, pc 0x%llx",
        (unsigned long long)fault->address, (unsigned long long)fault->pc);
}

static bool has_fault(const struct wi_words *words)
{
    // acquire: pairs with the release of the signal handler
    return words != NULL &&
           __atomic_load_n(&words->fault.written, __ATOMIC_ACQUIRE);
}

static void add_end(struct text *text, const struct wi_os_end *end)
{
    switch (end->how) {
    case WI_END_SIGNAL:
        add(text, "died of signal %d (%s)%s", end->status,
            wi_os_signal_name(end->status), end->core ? ", core dumped" : "");
        break;
    case WI_END_EXIT:
        add(text, "ended with exit status %d before it gave a result",
            end->status);
        break;
    default:
        add(text, "ended; the program reaps its children, so nobody knows how");
    }
}

void wi_crash_text(char out[WI_CRASH_TEXT], const char *what, pid_t pid,
                   const struct wi_os_end *end, const struct wi_words *words)
{
    struct text text = {out, WI_CRASH_TEXT};
    bool known = end != NULL && end->how != WI_END_UNKNOWN;
    add(&text, "%s: process %d ", what, (int)pid);
    if (known || !has_fault(words)) {
        if (end != NULL)
            add_end(&text, end);
        else
            add(&text, "died");
        if (known && end->how == WI_END_SIGNAL && has_fault(words) &&
            words->fault.sig == end->status)
            add_fault(&text, &words->fault);
        return;
    }
    int sig = words->fault.sig;
    add(&text, "died of signal %d (%s)", sig, wi_os_signal_name(sig));
    add_fault(&text, &words->fault);
}

void wi_crash_quote(char text[WI_CRASH_TEXT], struct wi_capture captures[2])
{
    char line[WI_CAPTURE_LINE] = "";
    size_t n = strlen(text);
    for (int i = 1; i >= 0 && line[0] == '\0'; i--)
        if (captures[i].size > 0)
            wi_capture_line(&captures[i], line);
    if (line[0] != '\0')
        snprintf(text + n, WI_CRASH_TEXT - n, "; it wrote \"%s\"", line);
}
