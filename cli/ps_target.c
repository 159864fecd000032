// SPDX-License-Identifier: MIT
#include "ps_target.h"

#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

enum {
    PIECES_AT_ONCE = 512, // below IOV_MAX
    HEADERS_MAX = 64,
    NOTES_MAX = 1 << 16, // bytes
};

// Memory ----------------------------------------------------------------------

int ps_target_read(const struct ps_target *target, uint64_t address, void *to,
                   size_t size)
{
    struct iovec local = {to, size};
    struct iovec remote = {(void *)(uintptr_t)address, size};
    ssize_t n = process_vm_readv(target->pid, &local, 1, &remote, 1, 0);

    if (n < 0)
        return -errno;
    return (size_t)n == size ? 0 : -EFAULT;
}

// Returns how many of the n pieces (at most PIECES_AT_ONCE) came whole; the
// kernel stops at the first that it cannot read.
static size_t read_some(const struct ps_target *target, struct ps_piece *pieces,
                        size_t n)
{
    struct iovec local[PIECES_AT_ONCE], remote[PIECES_AT_ONCE];
    size_t whole = 0;

    for (size_t i = 0; i < n; i++) {
        local[i] = (struct iovec){pieces[i].to, pieces[i].size};
        remote[i] = (struct iovec){(void *)(uintptr_t)pieces[i].address,
                                   pieces[i].size};
    }
    ssize_t got = process_vm_readv(target->pid, local, n, remote, n, 0);
    while (got > 0 && whole < n && (size_t)got >= pieces[whole].size) {
        got -= (ssize_t)pieces[whole].size;
        pieces[whole++].read = true;
    }
    return whole;
}

void ps_target_read_pieces(const struct ps_target *target,
                           struct ps_piece *pieces, size_t n)
{
    size_t done = 0;

    while (done < n) {
        size_t left = n - done;
        size_t many = left < PIECES_AT_ONCE ? left : PIECES_AT_ONCE;
        size_t whole = read_some(target, pieces + done, many);
        done += whole == many ? whole : whole + 1; // skip the bad one
    }
}

// The root --------------------------------------------------------------------

static int read_root(struct ps_target *target, uint64_t address)
{
    struct wi_root *root = &target->roots[target->count];
    int rc = ps_target_read(target, address, root, sizeof(*root));

    if (rc < 0)
        return rc;
    if (memcmp(root->magic, WI_ROOT_MAGIC, sizeof(root->magic)) != 0)
        return -ENOEXEC;
    if (root->version != WI_ROOT_VERSION || root->size < sizeof(*root)) {
        target->newer = true;
        return -ENOEXEC;
    }
    target->count++;
    return 0;
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

    if (notes && segment->p_memsz <= NOTES_MAX &&
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

    if (ps_target_read(target, start, &head, sizeof(head)) < 0 ||
        memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 ||
        head.e_ident[EI_CLASS] != ELFCLASS64 || head.e_phnum > HEADERS_MAX ||
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

static int search_maps(struct ps_target *target, FILE *maps)
{
    char *line = NULL;
    size_t size = 0;
    uint64_t start, offset;
    char mode[5];
    int rc = -ENOENT;

    while (getline(&line, &size, maps) > 0) {
        if (sscanf(line, "%" SCNx64 "-%*x %4s %" SCNx64, &start, mode,
                   &offset) != 3 ||
            mode[0] != 'r')
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
