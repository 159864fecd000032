// SPDX-License-Identifier: MIT
#include "tour_programs.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <weft.h>

#include "child.h"
#include "progress.h"

// The text of examples/first/NAME.c as it was when this was built.
#define SOURCE(name)                                                           \
    extern const char source_of_##name[];                                      \
    __asm__(".pushsection .rodata\n"                                           \
            ".globl source_of_" #name "\n.hidden source_of_" #name "\n"        \
            "source_of_" #name ":\n"                                           \
            ".incbin \"" WEFT_FIRST_EXAMPLES "/" #name ".c\"\n"                \
            ".byte 0\n"                                                        \
            ".popsection\n");
SOURCE(threading)
SOURCE(multiprocessing)
SOURCE(asyncio)
SOURCE(thread_pool)
SOURCE(process_pool)

static const struct {
    const char *name, *what, *source;
} programs[TOUR_PROGRAMS] = {
    {"threading", "a thread", source_of_threading},
    {"multiprocessing", "a process", source_of_multiprocessing},
    {"asyncio", "a task on an event loop", source_of_asyncio},
    {"thread_pool", "an executor over threads", source_of_thread_pool},
    {"process_pool", "the same over processes", source_of_process_pool},
};

static const char *after_comment(const char *source)
{
    while (!strncmp(source, "//", 2)) {
        const char *end = strchr(source, '\n');
        if (!end)
            break;
        source = end + 1;
    }
    return source;
}

// Beside the tool in a build tree, else where the installation put them.
static int find(char path[PATH_MAX], const char *name)
{
    static const char *const places[] = {"examples", WEFT_EXAMPLES_FROM_BIN};
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

    if (n <= 0)
        return -errno;
    self[n] = '\0';
    *(strrchr(self, '/') + 1) = '\0';
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        int length = snprintf(path, PATH_MAX, "%s%s/%s", self, places[i], name);
        if (length < PATH_MAX && access(path, X_OK) == 0)
            return 0;
    }
    return -ENOENT;
}

static void drop_last_newline(char *text)
{
    size_t length = strlen(text);

    if (length && text[length - 1] == '\n')
        text[length - 1] = '\0';
}

static int run(struct tour_program *program, char *path)
{
    char *const argv[] = {path, NULL};
    const struct child_options options = {.with_errors = true};
    struct child child;
    int rc = child_start(&child, argv, &options);

    if (rc < 0)
        return rc;
    {
        WEFT_TIMEOUT(20);
        rc = (int)child_read_all(&child, program->output, TOUR_OUTPUT_MAX);
    }
    int status = child_end(&child, rc < 0 ? 0 : 5);
    drop_last_newline(program->output);
    return rc < 0 ? rc : status;
}

void tour_program_run(struct tour_program *program, size_t i)
{
    char path[PATH_MAX];
    double start = weft_now();

    program->name = programs[i].name;
    program->what = programs[i].what;
    program->source = after_comment(programs[i].source);
    program->output[0] = '\0';
    program->status = find(path, program->name);
    if (program->status == 0) {
        progress_begin(program->name, 0);
        program->status = run(program, path);
        progress_end();
    }
    program->seconds = weft_now() - start;
}
