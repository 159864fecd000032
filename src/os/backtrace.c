// SPDX-License-Identifier: MIT
//
// The frames come from the compiler's unwinder, which reads the tables that
// each module has for exceptions: C code has them, too, on the CPUs that Weft
// knows. The shared library has an unwinder of its own in it, so that nothing
// must be loaded when it is too late; a program that is linked with the static
// library has one if it is of C++ or has asked for it. Without one the chain of
// frame pointers is followed as far as it is one, which it is only in code that
// was compiled so. glibc's loader finds a module's tables without a lock since
// 2.35.
//
// The names of the modules are written down before, since the loader's list
// must not be walked from a handler; for an address in none of them the kernel
// is asked (mapped.h).
#include "os/backtrace.h"

#include <errno.h>
#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>
#include <unwind.h>

#include "os/mapped.h"

#pragma weak _Unwind_Backtrace
#pragma weak _Unwind_GetIP

enum { RANGES = 128 };

struct range {
    uintptr_t low, high, base;
    char name[WI_TRACE_MODULE];
};

static struct range ranges[RANGES];
static unsigned range_count; // release, after the ranges

static void name_range(struct range *range, const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    if (*name == '\0') // the program
        name = program_invocation_short_name;
    strncpy(range->name, name, sizeof range->name - 1);
    range->name[sizeof range->name - 1] = '\0';
}

static int note_module(struct dl_phdr_info *info, size_t size, void *arg)
{
    unsigned *n = arg;
    (void)size;
    for (int i = 0; i < info->dlpi_phnum && *n < RANGES; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        if (p->p_type != PT_LOAD || !(p->p_flags & PF_X))
            continue;
        struct range *range = &ranges[(*n)++];
        range->base = info->dlpi_addr;
        range->low = info->dlpi_addr + p->p_vaddr;
        range->high = range->low + p->p_memsz;
        name_range(range, info->dlpi_name);
    }
    return 0;
}

void wi_os_backtrace_prepare(void)
{
    unsigned n = 0;
    // relaxed: a crash meanwhile finds none
    __atomic_store_n(&range_count, 0, __ATOMIC_RELAXED);
    dl_iterate_phdr(note_module, &n);
    // release: pairs with find
    __atomic_store_n(&range_count, n, __ATOMIC_RELEASE);
}

static const struct range *find(uintptr_t pc)
{
    // acquire: pairs with wi_os_backtrace_prepare
    unsigned n = __atomic_load_n(&range_count, __ATOMIC_ACQUIRE);
    for (unsigned i = 0; i < n; i++)
        if (pc >= ranges[i].low && pc < ranges[i].high)
            return &ranges[i];
    return NULL;
}

struct walk {
    struct wi_trace_frame *frames;
    uint32_t *count;
    uint32_t n;
    uintptr_t pc; // of the fault
    bool found;   // the handler's own frames are past
};

static void add(struct walk *w, uintptr_t pc)
{
    struct wi_trace_frame *frame = &w->frames[w->n++];
    const struct range *range = find(pc);
    frame->pc = pc;
    if (range != NULL) {
        frame->offset = pc - range->base;
        memcpy(frame->module, range->name, sizeof frame->module);
    } else {
        wi_os_mapped(pc, frame->module, sizeof frame->module, &frame->offset);
    }
    // release: pairs with the acquire of who reads the report
    __atomic_store_n(w->count, w->n, __ATOMIC_RELEASE);
}

static _Unwind_Reason_Code visit(struct _Unwind_Context *context, void *arg)
{
    struct walk *w = arg;
    uintptr_t pc = _Unwind_GetIP(context);
    if (pc == 0 || w->n == WI_TRACE_FRAMES)
        return _URC_END_OF_STACK;
    if (w->found)
        add(w, pc);
    w->found |= pc == w->pc;
    return _URC_NO_REASON;
}

// Two words at fp: that of the caller, and where it goes on. Not by a load,
// for there may be anything.
static bool read_words(uintptr_t fp, uintptr_t words[2])
{
    const size_t size = 2 * sizeof *words;
    struct iovec to = {words, size}, from = {(void *)fp, size};
    return process_vm_readv(getpid(), &to, 1, &from, 1, 0) == (ssize_t)size;
}

static void follow_pointers(struct walk *w, uintptr_t fp)
{
    uintptr_t words[2];
    while (w->n < WI_TRACE_FRAMES && fp % sizeof fp == 0 &&
           read_words(fp, words) && find(words[1]) != NULL) {
        add(w, words[1]);
        if (words[0] <= fp) // the stack grows down
            return;
        fp = words[0];
    }
}

void wi_os_backtrace(uint64_t pc, uint64_t fp, struct wi_trace_frame *frames,
                     uint32_t *count)
{
    struct walk w = {.frames = frames, .count = count, .pc = (uintptr_t)pc};
    add(&w, w.pc);
    if (_Unwind_Backtrace != NULL && _Unwind_GetIP != NULL)
        _Unwind_Backtrace(visit, &w);
    if (w.n == 1)
        follow_pointers(&w, (uintptr_t)fp);
}
