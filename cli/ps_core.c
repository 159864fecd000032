// SPDX-License-Identifier: MIT
//
// A core file is an ELF file whose segments are the memory of the program. By
// default the kernel leaves out what it can find again: pages of files that
// were not written to. A note (NT_FILE) says which files were mapped where, so
// that they can be read from there, if the files are still what they were.
#include "ps_core.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "ps_file.h"

// A range of memory and where its contents are.
struct range {
    uint64_t begin, end; // addresses
    uint64_t offset;     // in the core, or in the file
    const char *name;    // of the file; NULL: the core
};

enum {
    SEGMENTS_MAX = 1 << 21,
    NOTES_MAX = 1 << 20,      // looked at; a thread has about six
    FILES_NOTE_MAX = 1 << 26, // bytes; kernels make 4 MiB at most, or 16
};

struct ps_core {
    struct ps_file file;
    char *names;    // the note that names the mapped files
    unsigned notes; // that were looked at, of all segments
    struct range *dumped, *mapped;
    size_t dumped_count, mapped_count;
    // The mapped file that was read last, for the next look is mostly at the
    // same: a program may have more of them than a process may open.
    struct ps_file last;
    const char *last_name; // NULL: none
    pid_t pid;
};

// Whether the core has all of these bytes.
static bool has(const struct ps_core *core, uint64_t offset, uint64_t size)
{
    return offset <= core->file.size && size <= core->file.size - offset;
}

// Notes -----------------------------------------------------------------------

// "count, page size, then begin, end and page of each; then their names".
static int list_files(struct ps_core *core, size_t size)
{
    uint64_t head[2], entry[3];
    const char *note = core->names;

    if (size < sizeof(head))
        return 0;
    memcpy(head, note, sizeof(head));
    if (head[0] > (size - sizeof(head)) / sizeof(entry))
        return 0;
    const char *name = note + sizeof(head) + head[0] * sizeof(entry);
    const char *end = note + size;
    core->mapped = calloc(head[0] + 1, sizeof(*core->mapped));
    if (!core->mapped)
        return -ENOMEM;
    for (uint64_t i = 0; i < head[0] && memchr(name, 0, (size_t)(end - name));
         i++) {
        memcpy(entry, note + sizeof(head) + i * sizeof(entry), sizeof(entry));
        core->mapped[core->mapped_count++] =
            (struct range){entry[0], entry[1], entry[2] * head[1], name};
        name += strlen(name) + 1;
    }
    return 0;
}

static int take_files(struct ps_core *core, uint64_t offset, size_t size)
{
    if (core->names || size > FILES_NOTE_MAX)
        return 0;
    core->names = malloc(size + 1);
    if (!core->names)
        return -ENOMEM;
    int rc = ps_file_read(&core->file, offset, core->names, size);
    return rc < 0 ? rc : list_files(core, size);
}

static void take_pid(struct ps_core *core, uint64_t offset, size_t size,
                     size_t at)
{
    int32_t pid;

    if (size >= at + sizeof(pid) &&
        ps_file_read(&core->file, offset + at, &pid, sizeof(pid)) == 0)
        core->pid = pid;
}

static size_t padded(size_t n)
{
    return (n + 3) / 4 * 4;
}

// Up to what is looked for: a process of many threads has many notes.
static int take_notes(struct ps_core *core, uint64_t offset, uint64_t size)
{
    // In the kernel's struct elf_prstatus and elf_prpsinfo.
    enum { THREAD_AT = 32, PID_AT = 24 };
    uint64_t end = offset + size;
    bool named = false; // the process: a thread's number will not do better
    Elf64_Nhdr note;
    int rc = 0;

    while (rc == 0 && core->notes < NOTES_MAX && offset + sizeof(note) <= end &&
           !(named && core->mapped_count > 0)) {
        core->notes++;
        rc = ps_file_read(&core->file, offset, &note, sizeof(note));
        uint64_t at = offset + sizeof(note) + padded(note.n_namesz);
        if (rc < 0 || at > end || note.n_descsz > end - at)
            break;
        if (note.n_type == NT_FILE)
            rc = take_files(core, at, note.n_descsz);
        if (note.n_type == NT_PRPSINFO)
            take_pid(core, at, note.n_descsz, PID_AT);
        if (note.n_type == NT_PRSTATUS && core->pid == 0)
            take_pid(core, at, note.n_descsz, THREAD_AT);
        named = named || note.n_type == NT_PRPSINFO;
        offset = at + padded(note.n_descsz);
    }
    return rc;
}

// Segments --------------------------------------------------------------------

// More of them than the head has digits for are counted where the first section
// has its number of something else.
static int count_segments(const struct ps_core *core, const Elf64_Ehdr *head,
                          size_t *count)
{
    Elf64_Shdr first;

    *count = head->e_phnum;
    if (head->e_phnum == PN_XNUM && head->e_shoff != 0) {
        int rc =
            ps_file_read(&core->file, head->e_shoff, &first, sizeof(first));
        if (rc < 0)
            return rc;
        *count = first.sh_info;
    }
    return *count <= SEGMENTS_MAX &&
                   has(core, head->e_phoff, *count * sizeof(Elf64_Phdr))
               ? 0
               : -ENOEXEC;
}

static int take_segment(struct ps_core *core, Elf64_Phdr segment)
{
    // A core whose end is missing still has its beginning.
    if (!has(core, segment.p_offset, 0))
        return 0;
    if (segment.p_filesz > core->file.size - segment.p_offset)
        segment.p_filesz = core->file.size - segment.p_offset;
    if (segment.p_type == PT_LOAD && segment.p_filesz > 0)
        core->dumped[core->dumped_count++] =
            (struct range){segment.p_vaddr, segment.p_vaddr + segment.p_filesz,
                           segment.p_offset, NULL};
    return segment.p_type == PT_NOTE
               ? take_notes(core, segment.p_offset, segment.p_filesz)
               : 0;
}

static int take_segments(struct ps_core *core, const Elf64_Ehdr *head)
{
    size_t count;
    int rc = count_segments(core, head, &count);

    if (rc < 0)
        return rc;
    Elf64_Phdr *segments = calloc(count + 1, sizeof(*segments));
    core->dumped = calloc(count + 1, sizeof(*core->dumped));
    rc = segments && core->dumped
             ? ps_file_read(&core->file, head->e_phoff, segments,
                            count * sizeof(*segments))
             : -ENOMEM;
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = take_segment(core, segments[i]);
    free(segments);
    return rc;
}

static int by_begin(const void *a, const void *b)
{
    const struct range *x = a, *y = b;
    return (x->begin > y->begin) - (x->begin < y->begin);
}

static int take_core(struct ps_core *core)
{
    struct ps_file tool;
    Elf64_Ehdr head, own;
    bool known = ps_file_open(&tool, "/proc/self/exe") == 0 &&
                 ps_file_read(&tool, 0, &own, sizeof(own)) == 0;

    ps_file_close(&tool);
    if (ps_file_read(&core->file, 0, &head, sizeof(head)) < 0 ||
        memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 ||
        head.e_ident[EI_CLASS] != ELFCLASS64 || head.e_type != ET_CORE ||
        (known && head.e_machine != own.e_machine) ||
        head.e_phentsize != sizeof(Elf64_Phdr))
        return -ENOEXEC;
    int rc = take_segments(core, &head);
    if (rc == 0)
        qsort(core->dumped, core->dumped_count, sizeof(*core->dumped),
              by_begin);
    if (rc == 0 && core->mapped)
        qsort(core->mapped, core->mapped_count, sizeof(*core->mapped),
              by_begin);
    return rc;
}

int ps_core_open(struct ps_core **out, const char *path, pid_t *pid)
{
    struct ps_core *core = calloc(1, sizeof(*core));

    if (!core)
        return -ENOMEM;
    core->last.fd = -1;
    int rc = ps_file_open(&core->file, path);
    if (rc == 0)
        rc = take_core(core);
    if (rc < 0) {
        ps_core_close(core);
        return rc;
    }
    *pid = core->pid;
    *out = core;
    return 0;
}

void ps_core_close(struct ps_core *core)
{
    ps_file_close(&core->last);
    ps_file_close(&core->file);
    free(core->names);
    free(core->dumped);
    free(core->mapped);
    free(core);
}

// Reading ---------------------------------------------------------------------

// The range that has the address, or NULL.
static const struct range *find(const struct range *ranges, size_t n,
                                uint64_t address)
{
    size_t low = 0, high = n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ranges[middle].end <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low < n && ranges[low].begin <= address ? &ranges[low] : NULL;
}

// The mapped file of that name; NULL: it cannot be read.
static const struct ps_file *mapped_file(struct ps_core *core, const char *name)
{
    if (core->last_name == NULL || strcmp(core->last_name, name) != 0) {
        ps_file_close(&core->last);
        core->last_name = name;
        if (name[0] == '/')
            ps_file_open(&core->last, name);
    }
    return core->last.fd >= 0 ? &core->last : NULL;
}

// As much of it as lies in one range; 0: it is nowhere.
static size_t read_part(struct ps_core *core, uint64_t address, char *to,
                        size_t size)
{
    const struct range *range = find(core->dumped, core->dumped_count, address);

    if (!range)
        range = find(core->mapped, core->mapped_count, address);
    if (!range)
        return 0;
    uint64_t offset = range->offset + (address - range->begin);
    if (size > range->end - address)
        size = range->end - address;
    const struct ps_file *file =
        range->name ? mapped_file(core, range->name) : &core->file;
    return file && ps_file_read(file, offset, to, size) == 0 ? size : 0;
}

int ps_core_read(struct ps_core *core, uint64_t address, void *to, size_t size)
{
    char *at = to;

    while (size > 0) {
        size_t n = read_part(core, address, at, size);
        if (n == 0)
            return -EFAULT;
        address += n;
        at += n;
        size -= n;
    }
    return 0;
}

const char *ps_core_file(const struct ps_core *core, uint64_t address,
                         uint64_t *begin, uint64_t *offset)
{
    const struct range *range = find(core->mapped, core->mapped_count, address);

    if (!range)
        return NULL;
    *begin = range->begin;
    *offset = range->offset;
    return range->name;
}

void ps_core_images(struct ps_core *core,
                    void (*fn)(void *arg, uint64_t address), void *arg)
{
    // Without the note: whatever is dumped and begins like an image.
    for (size_t i = 0; core->mapped_count == 0 && i < core->dumped_count; i++) {
        const struct range *range = &core->dumped[i];
        char magic[SELFMAG];
        if (range->end - range->begin > SELFMAG &&
            ps_file_read(&core->file, range->offset, magic, SELFMAG) == 0 &&
            !memcmp(magic, ELFMAG, SELFMAG))
            fn(arg, range->begin);
    }
    for (size_t i = 0; i < core->mapped_count; i++)
        if (core->mapped[i].offset == 0)
            fn(arg, core->mapped[i].begin);
}
