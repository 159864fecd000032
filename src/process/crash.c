// SPDX-License-Identifier: MIT
//
// What the crash page says is the word of a process that was out of its mind:
// it may be garbage. It is printed as numbers only.
#include "process/crash.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <weft/error.h>

#include "os/oom.h"
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

// A frame as somebody else has written it: letters that print, and an end.
static bool copy_frame(struct weft_frame *to, const struct wi_trace_frame *from)
{
    to->pc = from->pc;
    to->offset = from->offset;
    memset(to->module, 0, sizeof to->module);
    for (size_t i = 0; i + 1 < sizeof to->module; i++) {
        char letter = from->module[i];
        if (letter == '\0')
            break;
        to->module[i] = letter > ' ' && letter < 127 ? letter : '?';
    }
    return to->module[0] != '\0';
}

static unsigned copy_frames(struct weft_frame *to, const struct wi_fault *fault)
{
    // acquire: pairs with the release of the signal handler
    uint32_t n = __atomic_load_n(&fault->frame_count, __ATOMIC_ACQUIRE);
    for (uint32_t i = 0; i < n && i < WI_TRACE_FRAMES; i++)
        copy_frame(&to[i], &fault->frames[i]);
    return n < WI_TRACE_FRAMES ? n : WI_TRACE_FRAMES;
}

static void add_frames(struct text *text, const struct wi_fault *fault)
{
    enum { MOST = 4 };
    struct weft_frame frames[WI_TRACE_FRAMES];
    unsigned n = copy_frames(frames, fault);
    for (unsigned i = 0; i < n && i < MOST && frames[i].module[0] != '\0'; i++)
        add(text, "%s%s+0x%llx", i == 0 ? ", in " : " < ", frames[i].module,
            (unsigned long long)frames[i].offset);
}

// Where it happened, if it was a fault of its own.
static void add_fault(struct text *text, const struct wi_fault *fault,
                      pid_t pid)
{
    if (fault->sender != 0 && fault->sender != pid) {
        add(text, " sent by process %d", fault->sender);
        return;
    }
    if (fault->sender == 0)
        add(text, " at address 0x%llx, pc 0x%llx",
            (unsigned long long)fault->address, (unsigned long long)fault->pc);
    add_frames(text, fault);
    if (fault->stack != 0)
        add(text,
            "; its stack of %llu KiB is used up: raise the limit (.limits with "
            "RLIMIT_STACK, or ulimit -s)",
            (unsigned long long)fault->stack >> 10);
    if (fault->used_up)
        add(text, "; it had reached its memory limit");
}

static bool has_fault(const struct wi_words *words)
{
    // acquire: pairs with the release of the signal handler
    return words != NULL &&
           __atomic_load_n(&words->fault.known, __ATOMIC_ACQUIRE);
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
            add_fault(&text, &words->fault, pid);
        return;
    }
    int sig = words->fault.sig;
    add(&text, "died of signal %d (%s)", sig, wi_os_signal_name(sig));
    add_fault(&text, &words->fault, pid);
}

int wi_crash_entry(char text[WI_CRASH_TEXT], const struct wi_os_end *end)
{
    if (end->status != WI_EXIT_VERSION)
        return -WEFT_ENOENTRY;
    snprintf(text, WI_CRASH_TEXT,
             "the program that was executed has another version of Weft");
    return -WEFT_EPROTO;
}

// As data ---------------------------------------------------------------------

static int64_t oom_kills = -1; // that were seen

void wi_crash_begin(void)
{
    // relaxed: a count
    __atomic_store_n(&oom_kills, wi_os_oom_kills(), __ATOMIC_RELAXED);
}

// Whether the kernel has killed somebody of our cgroup since the last look.
static bool saw_oom_kill(void)
{
    int64_t now = wi_os_oom_kills();
    // relaxed: a count
    return now > __atomic_exchange_n(&oom_kills, now, __ATOMIC_RELAXED);
}

static void report_fault(struct weft_crash *crash, const struct wi_fault *fault)
{
    crash->code = fault->code;
    crash->sender = fault->sender;
    crash->thread = fault->thread;
    crash->address = fault->sender == 0 ? fault->address : 0;
    crash->frame_count = copy_frames(crash->frames, fault);
    crash->out_of_memory = fault->used_up;
    if (crash->signal == 0)
        crash->signal = fault->sig;
}

void wi_crash_report(struct weft_crash *crash, pid_t pid,
                     const struct wi_os_end *end, const struct wi_words *words,
                     bool killed)
{
    static const struct wi_os_end unknown = {.how = WI_END_UNKNOWN};
    if (end == NULL)
        end = &unknown;
    *crash = (struct weft_crash){.size = sizeof *crash,
                                 .pid = pid,
                                 .exit_code = -1,
                                 .core = end->core,
                                 .user = end->user,
                                 .system = end->system,
                                 .max_rss = end->max_rss};
    if (end->how == WI_END_EXIT)
        crash->exit_code = end->status;
    if (end->how == WI_END_SIGNAL)
        crash->signal = end->status;
    if (has_fault(words) && end->how != WI_END_EXIT &&
        (crash->signal == 0 || crash->signal == words->fault.sig))
        report_fault(crash, &words->fault);
    if (crash->signal == wi_os_sigkill && !killed)
        crash->out_of_memory = saw_oom_kill();
}

void wi_crash_hint(char text[WI_CRASH_TEXT], const struct weft_crash *crash)
{
    size_t n = strlen(text);
    if (crash->signal == wi_os_sigkill && crash->out_of_memory)
        snprintf(text + n, WI_CRASH_TEXT - n, ", likely for want of memory");
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
