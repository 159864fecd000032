// SPDX-License-Identifier: MIT
// with: cli/ps.c cli/ps_core.c cli/ps_details.c cli/ps_file.c cli/ps_print.c
// with: cli/ps_records.c cli/ps_symbols.c cli/ps_table.c cli/ps_target.c
// with: cli/json.c cli/options.c cli/plain.c
//
// `weft ps` on a program of Weft, and on its core, in which somebody has
// written what he likes: it says something, and ends with 0 or 1, whatever that
// is.
//
// The program is a child of this one that runs a few tasks and is stopped; the
// core is made here. An input is a list
// of edits to it, which know where the interesting places are; a fuzzer that
// has to find those among some megabytes finds nothing.
//
// Without libFuzzer (WEFT_FUZZ_ALONE): ps [RUNS [SEED]] makes inputs at random,
// each for a process of its own.
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <weft.h>

#include "cli.h"
#include "inspect/root.h"
#include "ps_records.h"

enum {
    SEGMENTS_MAX = 256,
    PART_MAX = 1 << 19,
    OF_FILE_MAX = 1 << 22,
    EDITS_MAX = 24
};

// The program -----------------------------------------------------------------

static struct weft_lock lock;
static int ready;

static int hold(void *arg)
{
    (void)arg;
    WEFT_LOCKED(&lock);
    (void)weft_write(ready, "", 1);
    return weft_sleep(INFINITY);
}

static int want(void *arg)
{
    (void)arg;
    WEFT_LOCKED(&lock);
    return 0;
}

static int rest(void *arg)
{
    return weft_sleep(arg ? 1e9 : INFINITY);
}

WEFT_JOB(long, nap, long, x)
{
    return weft_sleep(INFINITY) + x;
}

static int amain(void *arg)
{
    WEFT_GROUP(g, arg);
    for (int i = 0; i < 5; i++)
        weft_future_unref(weft_task_start(rest, NULL, .name = "rest"));
    weft_future_unref(weft_submit(weft_thread_pool(.workers = 1), nap, 1));
    weft_future_unref(weft_thread_start(rest, &lock, .name = "thread"));
    weft_future_unref(weft_task_start(hold, NULL, .name = "holder"));
    weft_future_unref(weft_task_start(want, NULL));
    weft_future_unref(weft_task_start(want, NULL, .name = "\033[31m"));
    return weft_sleep(INFINITY);
}

// A child that runs it and waits.
static pid_t start_program(void)
{
    int ends[2], rc = 0;
    char byte;

    if (pipe(ends) < 0)
        abort();
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        ready = ends[1];
        _exit(weft_run(amain, &rc) != 0);
    }
    if (pid < 0 || read(ends[0], &byte, 1) != 1)
        abort();
    close(ends[0]);
    close(ends[1]);
    kill(pid, SIGSTOP);
    if (waitpid(pid, NULL, WUNTRACED) != pid)
        abort();
    return pid;
}

// Its core --------------------------------------------------------------------

struct segment {
    uint64_t address, size, offset; // in memory; in the core
};

static struct {
    char *bytes; // as it was made
    size_t size;
    int fd; // a file with the same in it
    char path[64];
    struct segment segments[SEGMENTS_MAX];
    size_t segment_count;
    size_t heads; // bytes before the memory
    uint64_t root, first, chunk, records[64], extras[64];
    size_t record_count;
    struct wi_root_field fields[WI_ROOT_FIELDS];
    pid_t pid; // of the program
    int memory;
} core;

struct note {
    char bytes[1 << 16];
    char names[1 << 15];
    size_t used, name_used;
    uint64_t files;
};

static void note_file(struct note *note, uint64_t begin, uint64_t end,
                      uint64_t offset, const char *name)
{
    uint64_t entry[3] = {begin, end, offset / 4096};
    size_t n = strlen(name) + 1;

    if (note->used + sizeof entry > sizeof note->bytes / 2 ||
        note->name_used + n > sizeof note->names)
        return;
    memcpy(note->bytes + note->used, entry, sizeof entry);
    note->used += sizeof entry;
    memcpy(note->names + note->name_used, name, n);
    note->name_used += n;
    note->files++;
}

// What of a mapping the core has: of code only the beginning, which leads to
// the notes; of data the first part, of that of programs and libraries more,
// also of what the linker has protected; nothing of a sanitizer's shadow.
static uint64_t wanted(uint64_t size, const char *rights, uint64_t offset,
                       bool of_file)
{
    uint64_t most = of_file ? OF_FILE_MAX : PART_MAX;

    if (rights[0] != 'r' || size > (uint64_t)1 << 28)
        return 0;
    if (rights[1] != 'w' && offset == 0)
        most = 4096;
    else if (rights[1] != 'w' && rights[2] == 'x')
        most = 0;
    return size < most ? size : most;
}

static void add_segment(uint64_t address, uint64_t size)
{
    if (size > 0 && core.segment_count < SEGMENTS_MAX)
        core.segments[core.segment_count++] =
            (struct segment){address, size, 0};
}

// The chunk of records, and the pointer to it, may lie far within a mapping:
// another part begins there.
static void add_part(uint64_t begin, uint64_t end, uint64_t size)
{
    uint64_t first = core.first / 4096 * 4096;
    uint64_t within[] = {core.chunk < first ? core.chunk : first,
                         core.chunk < first ? first : core.chunk};

    for (size_t i = 0; i < 2; i++)
        if (within[i] - begin < end - begin) {
            uint64_t before = within[i] - begin;
            add_segment(begin, size < before ? size : before);
            begin = within[i];
            size = end - begin < PART_MAX ? end - begin : PART_MAX;
        }
    add_segment(begin, size);
}

static void find_chunk(pid_t pid)
{
    static struct ps_target target;

    if (ps_target_open(&target, pid) < 0)
        abort();
    core.first = target.roots[0].chunks;
    if (ps_target_read(&target, core.first, &core.chunk, sizeof core.chunk) < 0)
        abort();
}

static void read_maps(pid_t pid, struct note *note)
{
    char line[4096], rights[8], name[2048];
    uint64_t begin, end, offset;

    snprintf(line, sizeof line, "/proc/%d/maps", (int)pid);
    FILE *maps = fopen(line, "re");
    if (!maps)
        abort();
    while (fgets(line, sizeof line, maps)) {
        name[0] = '\0';
        if (sscanf(line, "%lx-%lx %7s %lx %*s %*s %2047s", &begin, &end, rights,
                   &offset, name) < 4)
            continue;
        if (name[0] == '/')
            note_file(note, begin, end, offset, name);
        if (name[0] != '[' || !strcmp(name, "[heap]"))
            add_part(begin, end,
                     wanted(end - begin, rights, offset, name[0] == '/'));
    }
    fclose(maps);
}

static size_t put_note(char *to, uint32_t type, const void *contents, size_t n)
{
    Elf64_Nhdr head = {5, (uint32_t)n, type};

    memcpy(to, &head, sizeof head);
    memcpy(to + sizeof head, "CORE\0\0\0", 8);
    memcpy(to + sizeof head + 8, contents, n);
    return sizeof head + 8 + (n + 3) / 4 * 4;
}

static void fill_core(pid_t pid, const struct note *note)
{
    static char files[sizeof note->bytes + sizeof note->names + 16];
    uint64_t count[2] = {note->files, 4096};
    char info[64] = {0};
    size_t n = core.segment_count;

    memcpy(files, count, sizeof count);
    memcpy(files + sizeof count, note->bytes, note->used);
    memcpy(files + sizeof count + note->used, note->names, note->name_used);
    memcpy(info + 24, &pid, sizeof pid);
    Elf64_Ehdr *head = (Elf64_Ehdr *)core.bytes;
    Elf64_Phdr *segments = (Elf64_Phdr *)(head + 1);
    *head = (Elf64_Ehdr){.e_type = ET_CORE,
                         .e_phoff = sizeof *head,
                         .e_phentsize = sizeof *segments,
                         .e_phnum = (uint16_t)(n + 1)};
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    Elf64_Ehdr own;
    if (read(fd, &own, sizeof own) != sizeof own)
        abort();
    close(fd);
    memcpy(head->e_ident, own.e_ident, sizeof head->e_ident);
    head->e_machine = own.e_machine;
    size_t notes = sizeof *head + (n + 1) * sizeof *segments, at = notes;
    at += put_note(core.bytes + at, NT_PRPSINFO, info, sizeof info);
    at += put_note(core.bytes + at, NT_FILE, files,
                   sizeof count + note->used + note->name_used);
    segments[0] = (Elf64_Phdr){
        .p_type = PT_NOTE, .p_offset = notes, .p_filesz = at - notes};
    core.heads = at;
    for (size_t i = 0; i < n; i++) {
        struct segment *s = &core.segments[i];
        struct iovec local = {core.bytes + at, s->size};
        struct iovec remote = {(void *)(uintptr_t)s->address, s->size};
        ssize_t got = process_vm_readv(pid, &local, 1, &remote, 1, 0);
        s->offset = at;
        s->size = got > 0 ? (uint64_t)got : 0;
        segments[1 + i] = (Elf64_Phdr){.p_type = PT_LOAD,
                                       .p_vaddr = s->address,
                                       .p_offset = at,
                                       .p_filesz = s->size};
        at += s->size;
    }
    core.size = at;
}

static void make_core(pid_t pid)
{
    static struct note note;
    size_t room = sizeof note;

    find_chunk(pid);
    read_maps(pid, &note);
    for (size_t i = 0; i < core.segment_count; i++)
        room += core.segments[i].size + sizeof(Elf64_Phdr);
    core.bytes = calloc(1, room);
    if (!core.bytes)
        abort();
    fill_core(pid, &note);
    core.fd = memfd_create("core", MFD_CLOEXEC);
    snprintf(core.path, sizeof core.path, "/proc/self/fd/%d", core.fd);
    if (pwrite(core.fd, core.bytes, core.size, 0) != (ssize_t)core.size)
        abort();
}

// Where its records are, as the tool itself sees them.
static void find_places(void)
{
    static struct ps_target target;
    struct ps_table table;

    int rc = ps_target_open_core(&target, core.path);
    if (rc == 0)
        rc = ps_table_read(&table, &target);
    if (rc < 0 || table.count < 8 || table.cut) {
        fprintf(stderr, "%zu roots, %zu records%s: %s\n", target.count,
                rc < 0 ? 0 : table.count, rc < 0 || table.cut ? ", cut" : "",
                weft_error_name(rc));
        abort();
    }
    for (size_t i = 0; i < table.count && core.record_count < 64; i++) {
        core.records[core.record_count] = table.rows[i].address;
        core.extras[core.record_count++] = table.rows[i].extra;
    }
    for (size_t i = 0; i < core.segment_count && !core.root; i++) {
        const struct segment *s = &core.segments[i];
        for (size_t at = 0; at + sizeof(struct wi_root) <= s->size; at += 8)
            if (!memcmp(core.bytes + s->offset + at, target.roots, 64))
                core.root = s->address + at;
    }
    memcpy(core.fields, target.roots[0].fields, sizeof core.fields);
    ps_table_free(&table);
    ps_target_close(&target);
}

static void make_ready(void)
{
    char path[64];

    core.pid = start_program();
    make_core(core.pid);
    find_places();
    snprintf(path, sizeof path, "/proc/%d/mem", (int)core.pid);
    core.memory = open(path, O_RDWR | O_CLOEXEC);
    if (core.memory < 0)
        abort();
}

// Edits -----------------------------------------------------------------------

struct edit {
    uint8_t place, width, how, index;
    uint32_t offset;
    uint64_t value;
};

// An offset in the core, or its end.
static uint64_t to_offset(uint64_t address)
{
    for (size_t i = 0; i < core.segment_count; i++)
        if (address - core.segments[i].address < core.segments[i].size)
            return address - core.segments[i].address + core.segments[i].offset;
    return core.size;
}

// A field that the root tells of, of a structure at an address.
static uint64_t field_of(unsigned in, uint32_t pick, uint64_t address)
{
    const struct wi_root_field *fields = core.fields;
    uint32_t n = 0;

    for (unsigned round = 0; round < 2; round++)
        for (size_t i = 0; i < WI_ROOT_FIELDS && fields[i].name[0]; i++)
            if (fields[i].in == in && n++ == pick % 16)
                return to_offset(address + fields[i].offset);
    return to_offset(address);
}

static uint64_t in_root(size_t at)
{
    return to_offset(core.root + at);
}

static uint64_t place_of(const struct edit *e)
{
    static const size_t names[] = {offsetof(struct wi_root, phases),
                                   offsetof(struct wi_root, kinds),
                                   offsetof(struct wi_root, waits)};
    size_t i = e->index % core.record_count;
    uint32_t offset = e->offset;

    switch (e->place % 12) {
    case 0: // anywhere
        return offset % core.size;
    case 1: // headers and notes
        return offset % core.heads;
    case 2:
        return in_root(offset % sizeof(struct wi_root));
    case 3: // its numbers
        return in_root(offsetof(struct wi_root, version) + offset % 14 * 4);
    case 4:
        return in_root(offsetof(struct wi_root, owned_waits) + offset % 3 * 4);
    case 5: // how many names there are, and a name
        return in_root(names[offset % 3]);
    case 6:
        return in_root(names[offset % 3] + 4 +
                       e->index % WI_ROOT_NAMES * WI_ROOT_NAME_SIZE);
    case 7: // where a field lies, and how wide it is
        return in_root(offsetof(struct wi_root, fields) +
                       e->index % 16 * sizeof(struct wi_root_field) +
                       WI_ROOT_NAME_SIZE + offset % 4 * 2);
    case 8:
        return field_of(WI_ROOT_CHUNK, offset, core.chunk);
    case 9:
    case 10:
        return field_of(WI_ROOT_RECORD, offset, core.records[i]);
    default:
        return field_of(WI_ROOT_EXTRA, offset, core.extras[i]);
    }
}

static uint64_t value_of(const struct edit *e)
{
    switch (e->how % 8) {
    case 0:
        return e->value;
    case 1:
        return e->value % 64;
    case 2:
        return 0 - e->value % 4096;
    case 3:
        return 1ull << e->value % 64;
    case 4: // another record, or between two
        return core.records[e->value % core.record_count] +
               (e->value >> 8) % 16 * 8;
    case 5:
        return core.chunk + e->value % 512;
    case 6: // memory of the program
        return core.segments[e->value % core.segment_count].address +
               (e->value >> 16) % PART_MAX;
    default:
        return core.root + e->value % sizeof(struct wi_root);
    }
}

// Writes to the core, and into the program.
static void put(uint64_t at, const void *bytes, size_t size)
{
    if (at + size > core.size)
        return;
    if (pwrite(core.fd, bytes, size, (off_t)at) < 0)
        abort();
    for (size_t i = 0; i < core.segment_count; i++) {
        const struct segment *s = &core.segments[i];
        if (at - s->offset < s->size && at - s->offset + size <= s->size)
            (void)!pwrite(core.memory, bytes, size,
                          (off_t)(s->address + (at - s->offset)));
    }
}

static void undo(const struct edit *edits, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t at = place_of(&edits[i]);
        put(at, core.bytes + at, 1u << edits[i].width % 4);
    }
}

// Whether the core was cut.
static bool apply(const struct edit *edits, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t at = place_of(&edits[i]), value = value_of(&edits[i]);
        size_t width = 1u << edits[i].width % 4;
        if (edits[i].width >= 254)
            return ftruncate(core.fd, (off_t)at) == 0;
        put(at, &value, width);
    }
    return false;
}

// The tool --------------------------------------------------------------------

int cli_usage(const char *command, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fprintf(stderr, "weft %s: ", command);
    vfprintf(stderr, format, args);
    va_end(args);
    return CLI_USAGE;
}

static void look(char *what, bool json, int said)
{
    char *arguments[] = {"ps", "--all", json ? "--json" : "--all", what, NULL};
    struct stat st;

    optind = 0;
    int code = cmd_ps(4, arguments);
    fflush(stdout);
    fflush(stderr);
    if ((code != CLI_OK && code != CLI_FAILED) || fstat(said, &st) < 0 ||
        st.st_size == 0)
        abort();
}

// With its output in a file that it has to itself.
static void look_aside(char *what, bool json)
{
    int said = memfd_create("said", MFD_CLOEXEC);
    int out = dup(1), err = dup(2);

    fflush(stdout);
    dup2(said, 1);
    dup2(said, 2);
    look(what, json, said);
    dup2(out, 1);
    dup2(err, 2);
    close(out);
    close(err);
    close(said);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct edit edits[EDITS_MAX];
    char pid[16];
    size_t n =
        size / sizeof *edits < EDITS_MAX ? size / sizeof *edits : EDITS_MAX;

    if (!core.bytes)
        make_ready();
    memcpy(edits, data, n * sizeof *edits);
    bool cut = apply(edits, n), json = size & 1;
    look_aside(core.path, json);
    if (cut && pwrite(core.fd, core.bytes, core.size, 0) < 0)
        abort();
    snprintf(pid, sizeof pid, "%d", (int)core.pid);
    look_aside(pid, json);
    undo(edits, n);
    return 0;
}

#ifdef WEFT_FUZZ_ALONE
static uint64_t next(uint64_t *seed)
{
    uint64_t x = *seed += 0x9e3779b97f4a7c15u;

    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static void run_one(uint64_t seed)
{
    uint64_t words[EDITS_MAX * sizeof(struct edit) / sizeof(uint64_t)];

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        words[i] = next(&seed);
    size_t n = 1 + next(&seed) % 12;
    LLVMFuzzerTestOneInput((const uint8_t *)words,
                           n * sizeof(struct edit) + next(&seed) % 2);
}

int main(int argc, char **argv)
{
    unsigned long runs = argc > 1 ? strtoul(argv[1], NULL, 0) : 200;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : (uint64_t)getpid();
    bool good = true;

    make_ready();
    printf("a core of %zu bytes, %lu runs, seed %lu\n", core.size, runs, seed);
    for (unsigned long i = 0; i < runs && good; i++) {
        int status;
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
            alarm(30);
            run_one(seed + i);
            _exit(0);
        }
        if (pid < 0 || waitpid(pid, &status, 0) != pid)
            abort();
        good = status == 0;
        if (!good)
            printf("status %#x by: ps 1 %lu\n", (unsigned)status, seed + i);
    }
    return !good;
}
#endif
