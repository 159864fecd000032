// SPDX-License-Identifier: MIT
//
// A core file is an ELF file whose segments are the memory of the program. By
// default the kernel leaves out what it can find again: pages of files that
// were not written to. A note (NT_FILE) says which files were mapped where, so
// that they can be read from there, if the files are still what they were.
#include "ps_core.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

// A range of memory and where its contents are.
struct range {
    uint64_t begin, end; // addresses
    uint64_t offset;     // in the core, or in the file
    const char *name;    // of the file; NULL: the core
    int fd; // of the file; NOT_OPEN, or a negative code: it cannot be opened
};

enum { NOT_OPEN = INT_MIN };

struct ps_core {
    const char *bytes; // the whole file
    size_t size;
    struct range *dumped, *mapped;
    size_t dumped_count, mapped_count;
    pid_t pid;
};

// Whether the core has all of these bytes.
static bool has(const struct ps_core *core, uint64_t offset, uint64_t size)
{
    return offset <= core->size && size <= core->size - offset;
}

// The open of a FIFO would wait for its other end, that of a device may do
// anything.
int ps_open_plain(const char *path, struct stat *st)
{
    if (stat(path, st) < 0)
        return -errno;
    if (!S_ISREG(st->st_mode))
        return -ENOEXEC;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return -errno;
    if (fstat(fd, st) == 0 && S_ISREG(st->st_mode))
        return fd;
    close(fd);
    return -ENOEXEC;
}

static int map_file(struct ps_core *core, const char *path)
{
    struct stat st;
    int fd = ps_open_plain(path, &st);

    if (fd < 0)
        return fd;
    int rc = st.st_size == 0 ? -ENOEXEC : 0;
    if (rc == 0) {
        core->size = (size_t)st.st_size;
        core->bytes = mmap(NULL, core->size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (core->bytes == MAP_FAILED) {
            core->bytes = NULL;
            rc = -errno;
        }
    }
    close(fd);
    return rc;
}

// Notes -----------------------------------------------------------------------

// "count, page size, then begin, end and page of each; then their names".
static int take_files(struct ps_core *core, const char *note, size_t size)
{
    uint64_t head[2], entry[3];

    if (size < sizeof(head))
        return 0;
    memcpy(head, note, sizeof(head));
    if (head[0] > (size - sizeof(head)) / sizeof(entry) || core->mapped)
        return 0;
    const char *name = note + sizeof(head) + head[0] * sizeof(entry);
    const char *end = note + size;
    core->mapped = calloc(head[0] + 1, sizeof(*core->mapped));
    if (!core->mapped)
        return -ENOMEM;
    for (uint64_t i = 0; i < head[0] && memchr(name, 0, (size_t)(end - name));
         i++) {
        memcpy(entry, note + sizeof(head) + i * sizeof(entry), sizeof(entry));
        core->mapped[core->mapped_count++] = (struct range){
            entry[0], entry[1], entry[2] * head[1], name, NOT_OPEN};
        name += strlen(name) + 1;
    }
    return 0;
}

static void take_pid(struct ps_core *core, const char *note, size_t size,
                     size_t at)
{
    int32_t pid;

    if (size < at + sizeof(pid))
        return;
    memcpy(&pid, note + at, sizeof(pid));
    core->pid = pid;
}

static size_t padded(size_t n)
{
    return (n + 3) / 4 * 4;
}

static int take_notes(struct ps_core *core, uint64_t offset, uint64_t size)
{
    // In the kernel's struct elf_prstatus and elf_prpsinfo.
    enum { THREAD_AT = 32, PID_AT = 24 };
    uint64_t end = offset + size;
    Elf64_Nhdr note;
    int rc = 0;

    while (rc == 0 && offset + sizeof(note) <= end) {
        memcpy(&note, core->bytes + offset, sizeof(note));
        uint64_t at = offset + sizeof(note) + padded(note.n_namesz);
        if (at > end || note.n_descsz > end - at)
            break;
        if (note.n_type == NT_FILE)
            rc = take_files(core, core->bytes + at, note.n_descsz);
        if (note.n_type == NT_PRPSINFO)
            take_pid(core, core->bytes + at, note.n_descsz, PID_AT);
        if (note.n_type == NT_PRSTATUS && core->pid == 0)
            take_pid(core, core->bytes + at, note.n_descsz, THREAD_AT);
        offset = at + padded(note.n_descsz);
    }
    return rc;
}

// Segments --------------------------------------------------------------------

static int take_segments(struct ps_core *core, const Elf64_Ehdr *head)
{
    Elf64_Phdr segment;
    int rc = 0;

    core->dumped = calloc(head->e_phnum + 1u, sizeof(*core->dumped));
    if (!core->dumped)
        return -ENOMEM;
    for (size_t i = 0; rc == 0 && i < head->e_phnum; i++) {
        memcpy(&segment, core->bytes + head->e_phoff + i * sizeof(segment),
               sizeof(segment));
        // A core whose end is missing still has its beginning.
        if (!has(core, segment.p_offset, 0))
            continue;
        if (segment.p_filesz > core->size - segment.p_offset)
            segment.p_filesz = core->size - segment.p_offset;
        if (segment.p_type == PT_NOTE)
            rc = take_notes(core, segment.p_offset, segment.p_filesz);
        if (segment.p_type == PT_LOAD && segment.p_filesz > 0)
            core->dumped[core->dumped_count++] = (struct range){
                segment.p_vaddr, segment.p_vaddr + segment.p_filesz,
                segment.p_offset, NULL, NOT_OPEN};
    }
    return rc;
}

static int by_begin(const void *a, const void *b)
{
    const struct range *x = a, *y = b;
    return (x->begin > y->begin) - (x->begin < y->begin);
}

static int take_core(struct ps_core *core)
{
    Elf64_Ehdr head, own;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    bool known = fd >= 0 && read(fd, &own, sizeof(own)) == sizeof(own);

    if (fd >= 0)
        close(fd);
    if (!has(core, 0, sizeof(head)))
        return -ENOEXEC;
    memcpy(&head, core->bytes, sizeof(head));
    if (memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 ||
        head.e_ident[EI_CLASS] != ELFCLASS64 || head.e_type != ET_CORE ||
        (known && head.e_machine != own.e_machine) ||
        head.e_phentsize != sizeof(Elf64_Phdr) ||
        !has(core, head.e_phoff, head.e_phnum * sizeof(Elf64_Phdr)))
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
    int rc = map_file(core, path);
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
    for (size_t i = 0; i < core->mapped_count; i++)
        if (core->mapped[i].fd >= 0)
            close(core->mapped[i].fd);
    if (core->bytes)
        munmap((void *)core->bytes, core->size);
    free(core->dumped);
    free(core->mapped);
    free(core);
}

// Reading ---------------------------------------------------------------------

// The range that has the address, or NULL.
static struct range *find(struct range *ranges, size_t n, uint64_t address)
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

static bool read_file(struct range *range, uint64_t offset, void *to,
                      size_t size)
{
    struct stat st;

    if (range->fd == NOT_OPEN)
        range->fd =
            range->name[0] == '/' ? ps_open_plain(range->name, &st) : -ENOENT;
    return range->fd >= 0 &&
           pread(range->fd, to, size, (off_t)offset) == (ssize_t)size;
}

// As much of it as lies in one range; 0: it is nowhere.
static size_t read_part(const struct ps_core *core, uint64_t address, char *to,
                        size_t size)
{
    struct range *range = find(core->dumped, core->dumped_count, address);

    if (!range)
        range = find(core->mapped, core->mapped_count, address);
    if (!range)
        return 0;
    uint64_t offset = range->offset + (address - range->begin);
    if (size > range->end - address)
        size = range->end - address;
    if (range->name)
        return read_file(range, offset, to, size) ? size : 0;
    memcpy(to, core->bytes + offset, size);
    return size;
}

int ps_core_read(const struct ps_core *core, uint64_t address, void *to,
                 size_t size)
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

void ps_core_images(const struct ps_core *core,
                    void (*fn)(void *arg, uint64_t address), void *arg)
{
    // Without the note: whatever is dumped and begins like an image.
    for (size_t i = 0; core->mapped_count == 0 && i < core->dumped_count; i++) {
        const struct range *range = &core->dumped[i];
        if (range->end - range->begin > SELFMAG &&
            !memcmp(core->bytes + range->offset, ELFMAG, SELFMAG))
            fn(arg, range->begin);
    }
    for (size_t i = 0; i < core->mapped_count; i++)
        if (core->mapped[i].offset == 0)
            fn(arg, core->mapped[i].begin);
}
