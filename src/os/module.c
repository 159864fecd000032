// SPDX-License-Identifier: MIT
//
// A build is told by the GNU build-id note. Names are of no use: the program is
// "" to glibc and "/proc/self/exe" to a static musl. A program linked with
// --build-id=none is told by a hash of its program headers, which the sizes and
// places of all its segments are part of.
//
// In a program that is not position independent the address of a library's
// function is the program's own jump stub: the module is then the program,
// which is right in the other process too.
#include "os/module.h"

#include <elf.h>
#include <link.h>
#include <stddef.h>
#include <string.h>

static const uint64_t fnv_basis = 0xcbf29ce484222325, fnv_prime = 0x100000001b3;

static uint64_t hash(uint64_t h, const void *data, size_t size)
{
    const unsigned char *at = data;
    for (size_t i = 0; i < size; i++)
        h = (h ^ at[i]) * fnv_prime;
    return h;
}

static void hash_headers(const struct dl_phdr_info *info,
                         struct wi_build *build)
{
    uint64_t h = fnv_basis;
    for (int i = 0; i < info->dlpi_phnum; i++)
        h = hash(h, &info->dlpi_phdr[i], sizeof info->dlpi_phdr[i]);
    build->size = sizeof h;
    memcpy(build->id, &h, sizeof h);
}

static size_t align_note(size_t size)
{
    return (size + 3) & ~(size_t)3;
}

// Looks for the build-id among the notes of one segment.
static bool find_note(const char *at, size_t size, struct wi_build *build)
{
    const char *end = at + size;
    // The last one's padding may lie beyond the end.
    while (end - at >= (ptrdiff_t)sizeof(ElfW(Nhdr))) {
        const ElfW(Nhdr) *note = (const void *)at;
        const char *name = at + sizeof *note;
        const char *data = name + align_note(note->n_namesz);
        if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4 &&
            memcmp(name, "GNU", 4) == 0 && note->n_descsz > 0) {
            build->size =
                (uint8_t)(note->n_descsz < WI_BUILD_ID ? note->n_descsz
                                                       : WI_BUILD_ID);
            memcpy(build->id, data, build->size);
            return true;
        }
        at = data + align_note(note->n_descsz);
    }
    return false;
}

static void build_of(const struct dl_phdr_info *info, struct wi_build *build)
{
    memset(build, 0, sizeof *build);
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        if (p->p_type == PT_NOTE && p->p_align <= 4 &&
            find_note((const char *)(info->dlpi_addr + p->p_vaddr), p->p_memsz,
                      build))
            return;
    }
    hash_headers(info, build);
}

// Whether size bytes at address lie in one loaded segment with these flags.
static bool covers(const struct dl_phdr_info *info, uintptr_t address,
                   size_t size, unsigned flags)
{
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        uintptr_t start = info->dlpi_addr + p->p_vaddr;
        if (p->p_type == PT_LOAD && (p->p_flags & flags) == flags &&
            address >= start && address - start < p->p_memsz &&
            size <= p->p_memsz - (address - start))
            return true;
    }
    return false;
}

struct at_search {
    uintptr_t address;
    struct wi_os_module *module;
};

static int match_address(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    struct at_search *search = arg;
    if (!covers(info, search->address, 1, 0))
        return 0;
    build_of(info, &search->module->build);
    search->module->base = info->dlpi_addr;
    return 1;
}

bool wi_os_module_at(const void *address, struct wi_os_module *module)
{
    struct at_search search = {(uintptr_t)address, module};
    return dl_iterate_phdr(match_address, &search) != 0;
}

struct place_search {
    const struct wi_build *build;
    uint64_t offset;
    size_t size;
    unsigned flags;
    void *place;
};

static int match_build(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    struct place_search *search = arg;
    struct wi_build build;
    build_of(info, &build);
    if (memcmp(&build, search->build, sizeof build) != 0)
        return 0;
    uintptr_t address = info->dlpi_addr + (uintptr_t)search->offset;
    if (covers(info, address, search->size, search->flags))
        search->place = (void *)address;
    return 1;
}

void *wi_os_module_place(const struct wi_build *build, uint64_t offset,
                         size_t size, bool code)
{
    struct place_search search = {build, offset, size,
                                  code ? PF_R | PF_X : PF_R, NULL};
    dl_iterate_phdr(match_build, &search);
    return search.place;
}

// Thread-local variables ------------------------------------------------------

static size_t locals;

static int add_locals(struct dl_phdr_info *info, size_t size, void *sum)
{
    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        if (p->p_type == PT_TLS)
            *(size_t *)sum += p->p_memsz + p->p_align;
    }
    return 0;
}

// Before main, when no other thread can have the loader's lock.
__attribute__((constructor)) static void count_locals(void)
{
    dl_iterate_phdr(add_locals, &locals);
}

size_t wi_os_module_locals(void)
{
    return locals;
}
