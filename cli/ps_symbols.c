// SPDX-License-Identifier: MIT
//
// The mapping that an address lies in names a file; the file's segments tell
// the address in the file's own numbering, and its symbols the function. The
// file may be anybody's: all that it says is checked against its size.
#include "ps_symbols.h"

#include <elf.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ps_core.h"

struct mapping {
    uint64_t begin, end, offset;
    char path[PATH_MAX];
};

// The executable mapping of a file that the address lies in.
static bool find_mapping(pid_t pid, uint64_t address, struct mapping *found)
{
    char path[64], line[PATH_MAX + 128], rights[5];
    bool is = false;
    snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    FILE *maps = fopen(path, "re");
    while (maps != NULL && !is && fgets(line, sizeof line, maps) != NULL) {
        int name = 0;
        line[strcspn(line, "\n")] = '\0';
        is = sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %*s %*s %n",
                    &found->begin, &found->end, rights, &found->offset,
                    &name) == 4 &&
             name > 0 && line[name] == '/' && rights[2] == 'x' &&
             address >= found->begin && address < found->end;
        if (is)
            snprintf(found->path, sizeof found->path, "%s", line + name);
    }
    if (maps != NULL)
        fclose(maps);
    return is;
}

static bool find_in_core(const struct ps_core *core, uint64_t address,
                         struct mapping *found)
{
    const char *path =
        ps_core_file(core, address, &found->begin, &found->offset);
    if (path == NULL || path[0] != '/')
        return false;
    snprintf(found->path, sizeof found->path, "%s", path);
    return true;
}

// A file in memory.
struct image {
    const char *bytes;
    size_t size;
    uint64_t *looks; // into it and others
};

static bool open_image(const struct ps_target *target, const char *path,
                       struct image *image)
{
    char inside[PATH_MAX + 64] = "";
    struct stat stat;
    if (!target->core) // as the process sees it, which may be in a container
        snprintf(inside, sizeof inside, "/proc/%d/root", (int)target->pid);
    snprintf(inside + strlen(inside), sizeof inside - strlen(inside), "%s",
             path);
    int fd = ps_open_plain(inside, &stat);
    if (fd < 0)
        return false;
    void *bytes = MAP_FAILED;
    if (stat.st_size > 0)
        bytes = mmap(NULL, (size_t)stat.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (bytes == MAP_FAILED)
        return false;
    image->bytes = bytes;
    image->size = (size_t)stat.st_size;
    return true;
}

// n elements at an offset, or NULL: they are not all in the file.
static const void *at(const struct image *image, uint64_t offset, uint64_t n,
                      size_t size)
{
    if (offset > image->size || n > (image->size - offset) / size)
        return NULL;
    return image->bytes + offset;
}

static const Elf64_Ehdr *head_of(const struct image *image)
{
    const Elf64_Ehdr *head = at(image, 0, 1, sizeof *head);
    return head != NULL && memcmp(head->e_ident, ELFMAG, SELFMAG) == 0 &&
                   head->e_ident[EI_CLASS] == ELFCLASS64
               ? head
               : NULL;
}

// The address that the file's own tables have for an offset in it.
static bool to_address(const struct image *image, const Elf64_Ehdr *head,
                       uint64_t offset, uint64_t *address)
{
    const char *table =
        at(image, head->e_phoff, head->e_phnum, sizeof(Elf64_Phdr));
    for (unsigned i = 0; table != NULL && i < head->e_phnum; i++) {
        Elf64_Phdr p;
        memcpy(&p, table + i * sizeof p, sizeof p);
        if (p.p_type != PT_LOAD || offset < p.p_offset ||
            offset - p.p_offset >= p.p_filesz)
            continue;
        *address = offset - p.p_offset + p.p_vaddr;
        return true;
    }
    return false;
}

// What a broken program or core makes a caller look at: symbols, with a file as
// so many of them.
enum { LOOKS_MAX = 1 << 27, LOOKS_OF_FILE = 1 << 12 };

static bool find_in_table(const struct image *image, const Elf64_Shdr *symbols,
                          const Elf64_Shdr *strings, uint64_t address,
                          char *text, size_t size)
{
    uint64_t n = symbols->sh_size / sizeof(Elf64_Sym);
    const char *table = at(image, symbols->sh_offset, n, sizeof(Elf64_Sym));
    const char *names = at(image, strings->sh_offset, strings->sh_size, 1);
    ++*image->looks;
    for (uint64_t i = 0; table != NULL && names != NULL && i < n; i++) {
        if (++*image->looks > LOOKS_MAX)
            return false;
        Elf64_Sym s;
        memcpy(&s, table + i * sizeof s, sizeof s);
        if (ELF64_ST_TYPE(s.st_info) != STT_FUNC || address < s.st_value ||
            address - s.st_value >= s.st_size || s.st_name >= strings->sh_size)
            continue;
        snprintf(text, size, "%.*s()",
                 (int)strnlen(names + s.st_name, strings->sh_size - s.st_name),
                 names + s.st_name);
        return true;
    }
    return false;
}

// In the table of all symbols, or in that of the exported ones.
static bool find_symbol(const struct image *image, const Elf64_Ehdr *head,
                        uint64_t address, char *text, size_t size)
{
    const char *table =
        at(image, head->e_shoff, head->e_shnum, sizeof(Elf64_Shdr));
    for (unsigned i = 0; table != NULL && i < head->e_shnum; i++) {
        Elf64_Shdr symbols, strings;
        memcpy(&symbols, table + i * sizeof symbols, sizeof symbols);
        if ((symbols.sh_type != SHT_SYMTAB && symbols.sh_type != SHT_DYNSYM) ||
            symbols.sh_link >= head->e_shnum)
            continue;
        memcpy(&strings, table + symbols.sh_link * sizeof strings,
               sizeof strings);
        if (find_in_table(image, &symbols, &strings, address, text, size))
            return true;
    }
    return false;
}

bool ps_symbol(const struct ps_target *target, uint64_t address, char *text,
               size_t size, uint64_t *looks)
{
    static struct mapping mapping;
    struct image image = {.looks = looks};
    uint64_t inside;
    *looks += LOOKS_OF_FILE;
    if (*looks > LOOKS_MAX)
        return false;
    bool found = target->core ? find_in_core(target->core, address, &mapping)
                              : find_mapping(target->pid, address, &mapping);
    if (!found || !open_image(target, mapping.path, &image))
        return false;
    const Elf64_Ehdr *head = head_of(&image);
    bool known = head != NULL &&
                 to_address(&image, head,
                            address - mapping.begin + mapping.offset, &inside);
    if (known && !find_symbol(&image, head, inside, text, size))
        snprintf(text, size, "%s+0x%" PRIx64, strrchr(mapping.path, '/') + 1,
                 inside);
    munmap((void *)(uintptr_t)image.bytes, image.size);
    return known;
}
