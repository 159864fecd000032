// SPDX-License-Identifier: MIT
//
// ps_broken MODE: a program whose root or records make no sense, each MODE in
// another way. Prints "ready" and waits.
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "inspect/root.h"

struct chunk {
    struct chunk *next;
    uint32_t count;
    char head[52];
    char records[4096];
};

static struct chunk chunks[3];
static struct chunk *first = chunks;

extern struct wi_root wi_root;
__attribute__((used)) struct wi_root wi_root = {
    .magic = {'W', 'E', 'F', 'T', 'R', 'O', 'O', 'T'},
    .version = WI_ROOT_VERSION,
    .size = sizeof(struct wi_root),
    .chunks = (uintptr_t)&first,
    .chunk_begin = 64,
    .record_size = 64,
    .phase_mask = 3,
    .hint_bits = 48,
    .generation = 16,
    .fields = {{"next", WI_ROOT_CHUNK, 8, 0},
               {"count", WI_ROOT_CHUNK, 4, 8},
               {"id", WI_ROOT_RECORD, 8, 0},
               {"state", WI_ROOT_RECORD, 4, 8},
               {"kind", WI_ROOT_RECORD, 8, 60},       // beyond the record
               {"wait_kind", WI_ROOT_RECORD, 200, 0}, // wider than a number
               {"extra", WI_ROOT_RECORD, 8, 16},      // a wild pointer
               {"name", WI_ROOT_EXTRA, 32, 4000}},
    .phases = {.count = 400},
    .kinds = {.count = 9},
};

// More copies of Weft than anybody has; they are there in mode 10.
#define ROOTS     64
#define ROOT_SIZE 2400 // as a number, for the assembler
_Static_assert(sizeof(struct wi_root) == ROOT_SIZE, "of another size");
#define TEXT_(x) #x
#define TEXT(x)  TEXT_(x)
extern struct wi_root wi_roots[ROOTS];
struct wi_root wi_roots[ROOTS];

// The first note leads to wi_root, the others to one of wi_roots each.
__asm__(".macro weft_note root\n"
        ".balign 4\n"
        ".long 5\n"
        ".long 8\n"
        ".long 1\n"
        ".asciz \"Weft\"\n"
        ".balign 4\n"
        ".quad \\root - .\n"
        ".endm\n"
        ".pushsection .note.weft, \"a\", %note\n"
        "weft_note wi_root\n"
        ".set at, 0\n"
        ".rept " TEXT(ROOTS) "\n"
                             "weft_note wi_roots+at\n"
                             ".set at, at + " TEXT(ROOT_SIZE) "\n"
                                                              ".endr\n"
                                                              ".popsection\n");

// Thousands of programs, each with as many notes as are looked at. None of them
// leads to a root.
static void map_notes(void)
{
    enum { HEADERS = 64, NOTES_AT = 4096, NOTES = 1 << 16, IMAGES = 3000 };
    static struct {
        Elf64_Ehdr head;
        Elf64_Phdr segments[HEADERS];
    } image;
    struct {
        Elf64_Nhdr note;
        char name[8];
        uint32_t distance[2];
    } note = {{5, 8, WI_ROOT_NOTE_TYPE}, WI_ROOT_NOTE_NAME, {0, 0}};
    int fd = memfd_create("images", 0);

    memcpy(image.head.e_ident, ELFMAG, SELFMAG);
    image.head.e_ident[EI_CLASS] = ELFCLASS64;
    image.head.e_phoff = sizeof(image.head);
    image.head.e_phentsize = sizeof(Elf64_Phdr);
    image.head.e_phnum = HEADERS;
    for (int i = 0; i < HEADERS; i++)
        image.segments[i] = (Elf64_Phdr){
            .p_type = PT_NOTE, .p_vaddr = NOTES_AT, .p_memsz = NOTES};
    if (pwrite(fd, &image, sizeof(image), 0) < 0)
        abort();
    for (size_t at = 0; at + sizeof(note) <= NOTES; at += sizeof(note))
        if (pwrite(fd, &note, sizeof(note), NOTES_AT + (off_t)at) < 0)
            abort();
    if (ftruncate(fd, NOTES_AT + NOTES) < 0)
        abort();
    for (int i = 0; i < IMAGES; i++)
        mmap(NULL, NOTES_AT + NOTES, PROT_READ, MAP_SHARED, fd, 0);
}

static void spoil(int mode)
{
    if (mode != 0) // in mode 0 the chain has no end
        chunks[2].next = NULL;
    if (mode == 1)
        chunks[0].count = 0x7fffffff;
    if (mode == 2)
        wi_root.record_size = 0;
    if (mode == 3)
        wi_root.chunk_begin = 1000000;
    if (mode == 4)
        first = (struct chunk *)16;
    if (mode == 5)
        memset(wi_root.phases.name, 'A', sizeof(wi_root.phases.name));
    if (mode == 6)
        chunks[2].next = (struct chunk *)-1;
    if (mode == 7)
        wi_root.record_size = 1;
    if (mode == 8)
        wi_root.hint_bits = 0;
    if (mode == 8)
        wi_root.tag_bits = wi_root.generation = wi_root.one_tags = ~0u;
    if (mode == 9)
        wi_root.version++;
    for (int i = 0; mode == 10 && i < ROOTS; i++)
        wi_roots[i] = wi_root;
    if (mode == 11) { // colours, and worse, as names
        wi_root.phases.count = 32;
        wi_root.kinds.count = 32;
        for (int i = 0; i < 32; i++) {
            strcpy(wi_root.phases.name[i], "\033[31mred");
            strcpy(wi_root.kinds.name[i], "\302\233K\r\n");
        }
    }
    if (mode == 12) // records that begin within those of another chunk
        chunks[0].next = (struct chunk *)((char *)&chunks[0] + 4096);
    if (mode == 13)
        map_notes();
}

int main(int argc, char **argv)
{
    for (int i = 0; i < 3; i++) {
        chunks[i].next = &chunks[(i + 1) % 3];
        chunks[i].count = 64;
        memset(chunks[i].records, 0xff, sizeof(chunks[i].records));
    }
    spoil(argc > 1 ? atoi(argv[1]) : 0);
    puts("ready");
    fflush(stdout);
    pause();
    return 0;
}
