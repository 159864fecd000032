// SPDX-License-Identifier: MIT
#include "ps_target.h"

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "plain.h"
#include "ps_core.h"
#include "ps_records.h"

enum {
    PIECES_AT_ONCE = 512, // below IOV_MAX
    GAP_MAX = 1024,       // bytes
    RUN_MAX = 1 << 16,    // bytes
    HEADERS_MAX = 64,
    IMAGES_MAX = 4096,
    NOTES_MAX = 1 << 16, // bytes, of a segment,
    NOTES_ALL = 1 << 24, // and of all
};

// Memory ----------------------------------------------------------------------

int ps_target_read(const struct ps_target *target, uint64_t address, void *to,
                   size_t size)
{
    if (target->core)
        return ps_core_read(target->core, address, to, size);
    struct iovec local = {to, size};
    struct iovec remote = {(void *)(uintptr_t)address, size};
    ssize_t n = process_vm_readv(target->pid, &local, 1, &remote, 1, 0);

    if (n < 0)
        return -errno;
    return (size_t)n == size ? 0 : -EFAULT;
}

// Returns how many of the n pieces (at most PIECES_AT_ONCE) came whole; the
// kernel stops at the first that it cannot read.
static size_t read_some(const struct ps_target *target,
                        const struct ps_piece *pieces, size_t n)
{
    struct iovec local[PIECES_AT_ONCE] = {0}, remote[PIECES_AT_ONCE] = {0};
    size_t whole = 0;

    for (size_t i = 0; i < n; i++) {
        local[i] = (struct iovec){pieces[i].to, pieces[i].size};
        remote[i] = (struct iovec){(void *)(uintptr_t)pieces[i].address,
                                   pieces[i].size};
    }
    ssize_t got = process_vm_readv(target->pid, local, n, remote, n, 0);
    while (got > 0 && whole < n && (size_t)got >= pieces[whole].size)
        got -= (ssize_t)pieces[whole++].size;
    return whole;
}

static void read_each(const struct ps_target *target,
                      const struct ps_piece *pieces, size_t n)
{
    size_t done = 0;

    for (; target->core && done < n; done++)
        ps_target_read(target, pieces[done].address, pieces[done].to,
                       pieces[done].size);
    while (done < n) {
        size_t left = n - done;
        size_t many = left < PIECES_AT_ONCE ? left : PIECES_AT_ONCE;
        size_t whole = read_some(target, pieces + done, many);
        done += whole == many ? whole : whole + 1; // skip the bad one
    }
}

static int by_address(const void *a, const void *b)
{
    const struct ps_piece *x = a, *y = b;

    return (x->address > y->address) - (x->address < y->address);
}

// How many of the n pieces lie so close together that reading what is between
// them costs less than reading each; *size: from the first to the last.
static size_t find_run(const struct ps_piece *pieces, size_t n, size_t *size)
{
    size_t i = 0;

    *size = 0;
    for (; i < n; i++) {
        uint64_t begin = pieces[i].address - pieces[0].address;
        if (begin > *size + GAP_MAX || begin + pieces[i].size > RUN_MAX)
            break;
        if (begin + pieces[i].size > *size)
            *size = begin + pieces[i].size;
    }
    return i ? i : 1;
}

static bool read_run(const struct ps_target *target,
                     const struct ps_piece *pieces, size_t n, size_t size,
                     char *buffer)
{
    if (size == 0 ||
        ps_target_read(target, pieces[0].address, buffer, size) < 0)
        return false;
    for (size_t i = 0; i < n; i++)
        memcpy(pieces[i].to, buffer + (pieces[i].address - pieces[0].address),
               pieces[i].size);
    return true;
}

void ps_target_read_pieces(const struct ps_target *target,
                           struct ps_piece *pieces, size_t n)
{
    char *buffer = malloc(RUN_MAX);
    size_t size;

    qsort(pieces, n, sizeof(*pieces), by_address);
    for (size_t i = 0; i < n;) {
        size_t many = find_run(pieces + i, n - i, &size);
        if (!buffer || !read_run(target, pieces + i, many, size, buffer))
            read_each(target, pieces + i, many);
        i += many;
    }
    free(buffer);
}

// The root --------------------------------------------------------------------

// The names are printed, and come from elsewhere. One without an end is never
// printed.
static void make_names_plain(struct wi_root_names *names)
{
    for (size_t i = 0; i < WI_ROOT_NAMES; i++)
        if (memchr(names->name[i], '\0', WI_ROOT_NAME_SIZE))
            make_plain(names->name[i]);
}

// A note that leads to no root is passed over, as are more roots than fit.
static void read_root(struct ps_target *target, uint64_t address)
{
    if (target->count == PS_ROOTS_MAX)
        return;
    struct wi_root *root = &target->roots[target->count];
    if (ps_target_read(target, address, root, sizeof(*root)) < 0 ||
        memcmp(root->magic, WI_ROOT_MAGIC, sizeof(root->magic)) != 0)
        return;
    if (root->version != WI_ROOT_VERSION || root->size < sizeof(*root)) {
        target->newer = true;
        return;
    }
    make_names_plain(&root->phases);
    make_names_plain(&root->kinds);
    make_names_plain(&root->waits);
    target->count++;
}

static size_t align_up(size_t n, size_t to)
{
    return (n + to - 1) / to * to;
}

// Looks for Weft's note among those of one segment, which lies at `address`.
static void search_notes(struct ps_target *target, uint64_t address,
                         const char *notes, size_t size, size_t align)
{
    size_t at = 0;
    Elf64_Nhdr note;
    int64_t distance;

    while (at + sizeof(note) <= size) {
        memcpy(&note, notes + at, sizeof(note));
        size_t name = at + sizeof(note);
        size_t contents = align_up(name + note.n_namesz, align);
        if (contents > size || note.n_descsz > size - contents)
            return;
        if (note.n_type == WI_ROOT_NOTE_TYPE &&
            note.n_namesz == sizeof(WI_ROOT_NOTE_NAME) &&
            note.n_descsz == sizeof(distance) &&
            !memcmp(notes + name, WI_ROOT_NOTE_NAME, note.n_namesz)) {
            memcpy(&distance, notes + contents, sizeof(distance));
            read_root(target, address + contents + (uint64_t)distance);
        }
        at = align_up(contents + note.n_descsz, align);
    }
}

static void read_notes(struct ps_target *target, uint64_t bias,
                       const Elf64_Phdr *segment)
{
    uint64_t address = bias + segment->p_vaddr;
    char *notes = malloc(NOTES_MAX);

    if (segment->p_memsz <= NOTES_MAX)
        target->notes += segment->p_memsz;
    if (notes && segment->p_memsz <= NOTES_MAX && target->notes <= NOTES_ALL &&
        ps_target_read(target, address, notes, segment->p_memsz) == 0)
        search_notes(target, address, notes, segment->p_memsz,
                     segment->p_align == 8 ? 8 : 4);
    free(notes);
}

// A program or library whose first page is mapped at `start`.
static void search_image(struct ps_target *target, uint64_t start)
{
    Elf64_Ehdr head;
    Elf64_Phdr segments[HEADERS_MAX];
    uint64_t bias = start;

    if (target->images == IMAGES_MAX ||
        ps_target_read(target, start, &head, sizeof(head)) < 0 ||
        memcmp(head.e_ident, ELFMAG, SELFMAG) != 0)
        return;
    target->images++;
    if (head.e_ident[EI_CLASS] != ELFCLASS64 || head.e_phnum > HEADERS_MAX ||
        head.e_phentsize != sizeof(Elf64_Phdr) ||
        ps_target_read(target, start + head.e_phoff, segments,
                       head.e_phnum * sizeof(Elf64_Phdr)) < 0)
        return;
    for (size_t i = 0; i < head.e_phnum; i++)
        if (segments[i].p_type == PT_LOAD && segments[i].p_offset == 0)
            bias = start - segments[i].p_vaddr;
    for (size_t i = 0; i < head.e_phnum; i++)
        if (segments[i].p_type == PT_NOTE && target->count < PS_ROOTS_MAX)
            read_notes(target, bias, &segments[i]);
}

// The first error that says that no reading will do.
static int may_read(const struct ps_target *target, uint64_t address)
{
    char byte;
    int rc = ps_target_read(target, address, &byte, 1);

    return rc == -EPERM || rc == -EACCES || rc == -ESRCH || rc == -ENOSYS ? rc
                                                                          : 0;
}

// A line of /proc/PID/maps: "start-end mode offset ...". Whether it is a range
// that can be read.
static bool read_range(const char *line, uint64_t *start, uint64_t *offset)
{
    char *at;

    *start = strtoull(line, &at, 16);
    if (*at != '-')
        return false;
    at += strcspn(at, " ");
    if (at[0] != ' ' || at[1] != 'r')
        return false;
    at++;
    at += strcspn(at, " ");
    *offset = strtoull(at, NULL, 16);
    return true;
}

static int search_maps(struct ps_target *target, FILE *maps)
{
    char *line = NULL;
    size_t size = 0;
    uint64_t start, offset;
    int rc = -ENOENT;

    while (getline(&line, &size, maps) > 0) {
        if (!read_range(line, &start, &offset))
            continue;
        rc = may_read(target, start);
        if (rc < 0)
            break;
        if (offset == 0)
            search_image(target, start);
    }
    free(line);
    return rc;
}

int ps_target_open(struct ps_target *target, pid_t pid)
{
    char path[64];

    *target = (struct ps_target){.pid = pid};
    snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
    FILE *maps = fopen(path, "re");
    if (!maps)
        return errno == ENOENT ? -ESRCH : errno == EACCES ? -EPERM : -errno;
    int rc = search_maps(target, maps);
    if (rc == -ENOENT && ferror(maps))
        rc = -EPERM;
    fclose(maps);
    if (rc < 0)
        return rc;
    return target->count > 0 ? 0 : -ENOEXEC;
}

static void search_core_image(void *target, uint64_t address)
{
    search_image(target, address);
}

int ps_target_open_core(struct ps_target *target, const char *path)
{
    *target = (struct ps_target){0};
    int rc = ps_core_open(&target->core, path, &target->pid);

    if (rc < 0)
        return rc;
    ps_core_images(target->core, search_core_image, target);
    return target->count > 0 ? 0 : -ENOEXEC;
}

void ps_target_close(struct ps_target *target)
{
    if (target->core)
        ps_core_close(target->core);
    target->core = NULL;
}
