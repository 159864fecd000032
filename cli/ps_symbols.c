// SPDX-License-Identifier: MIT
//
// The mapping that an address lies in names a file; the file's segments tell
// the address in the file's own numbering, and its symbols the function. The
// file may be anybody's: how much of it is looked at is bounded.
#include "ps_symbols.h"

#include <elf.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "ps_core.h"
#include "ps_file.h"

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

// A file that is looked into.
struct image {
    struct ps_file file;
    Elf64_Ehdr head;
    uint64_t *looks; // into it and others
};

// What a broken program or core makes a caller look at: symbols, with a file as
// so many of them, and with a call of the system as some.
enum { LOOKS_MAX = 1 << 27, LOOKS_OF_FILE = 1 << 12, LOOKS_OF_CALL = 1 << 6 };

static bool look(struct image *image, uint64_t offset, void *to, size_t size)
{
    *image->looks += LOOKS_OF_CALL;
    return *image->looks <= LOOKS_MAX &&
           ps_file_read(&image->file, offset, to, size) == 0;
}

// Element i of a table; false: it is not in the file.
static bool look_in_table(struct image *image, uint64_t table, uint64_t i,
                          void *to, size_t size)
{
    return table <= image->file.size && i <= image->file.size / size &&
           look(image, table + i * size, to, size);
}

static bool open_image(const struct ps_target *target, const char *path,
                       struct image *image)
{
    char inside[PATH_MAX + 64] = "";
    Elf64_Ehdr *head = &image->head;
    if (!target->core) // as the process sees it, which may be in a container
        snprintf(inside, sizeof inside, "/proc/%d/root", (int)target->pid);
    snprintf(inside + strlen(inside), sizeof inside - strlen(inside), "%s",
             path);
    if (ps_file_open(&image->file, inside) < 0)
        return false;
    if (look(image, 0, head, sizeof *head) &&
        memcmp(head->e_ident, ELFMAG, SELFMAG) == 0 &&
        head->e_ident[EI_CLASS] == ELFCLASS64)
        return true;
    ps_file_close(&image->file);
    return false;
}

// The address that the file's own tables have for an offset in it.
static bool to_address(struct image *image, uint64_t offset, uint64_t *address)
{
    Elf64_Phdr p;
    for (unsigned i = 0;
         i < image->head.e_phnum &&
         look_in_table(image, image->head.e_phoff, i, &p, sizeof p);
         i++) {
        if (p.p_type != PT_LOAD || offset < p.p_offset ||
            offset - p.p_offset >= p.p_filesz)
            continue;
        *address = offset - p.p_offset + p.p_vaddr;
        return true;
    }
    return false;
}

// The name of a function, as far as there is room and it goes.
static bool take_name(struct image *image, const Elf64_Shdr *strings,
                      uint64_t at, char *text, size_t size)
{
    static const char call[] = "()";
    uint64_t left = at < strings->sh_size ? strings->sh_size - at : 0;
    size_t room = size - sizeof call;
    if (strings->sh_offset > image->file.size ||
        at > image->file.size - strings->sh_offset)
        return false;
    uint64_t from = strings->sh_offset + at;
    if (left > image->file.size - from)
        left = image->file.size - from;
    if (left < room)
        room = left;
    if (room == 0 || !look(image, from, text, room))
        return false;
    memcpy(text + strnlen(text, room), call, sizeof call);
    return true;
}

// The function of the address among the n symbols at an offset.
static bool find_in_table(struct image *image, uint64_t offset, uint64_t n,
                          uint64_t address, Elf64_Sym *found)
{
    enum { BLOCK = 512 };
    static Elf64_Sym block[BLOCK];
    for (uint64_t i = 0, many; i < n; i += many) {
        many = n - i < BLOCK ? n - i : BLOCK;
        *image->looks += many;
        if (!look(image, offset + i * sizeof *block, block,
                  many * sizeof *block))
            return false;
        for (uint64_t k = 0; k < many; k++)
            if (ELF64_ST_TYPE(block[k].st_info) == STT_FUNC &&
                address >= block[k].st_value &&
                address - block[k].st_value < block[k].st_size) {
                *found = block[k];
                return true;
            }
    }
    return false;
}

// In the table of all symbols, or in that of the exported ones.
static bool find_symbol(struct image *image, uint64_t address, char *text,
                        size_t size)
{
    const Elf64_Ehdr *head = &image->head;
    Elf64_Shdr table, strings;
    Elf64_Sym found;
    for (unsigned i = 0;
         i < head->e_shnum &&
         look_in_table(image, head->e_shoff, i, &table, sizeof table);
         i++) {
        if ((table.sh_type == SHT_SYMTAB || table.sh_type == SHT_DYNSYM) &&
            table.sh_link < head->e_shnum &&
            find_in_table(image, table.sh_offset, table.sh_size / sizeof found,
                          address, &found) &&
            look_in_table(image, head->e_shoff, table.sh_link, &strings,
                          sizeof strings) &&
            take_name(image, &strings, found.st_name, text, size))
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
    bool known =
        to_address(&image, address - mapping.begin + mapping.offset, &inside);
    if (known && !find_symbol(&image, inside, text, size))
        snprintf(text, size, "%s+0x%" PRIx64, strrchr(mapping.path, '/') + 1,
                 inside);
    ps_file_close(&image.file);
    return known;
}
