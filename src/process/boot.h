// SPDX-License-Identifier: MIT
//
// boot.h: what a child process is told at its start, and what it tells of its
// life: two pages of a memfd that the child finds as descriptor 3. The first
// page is written by the parent before the start and only read afterwards; the
// parent believes nothing that stands there later. The second page is the
// child's; the parent takes it for what it is: words of a process that may
// have gone mad.
//
// A worker of a pool has its rings behind these pages: ring.h.
#ifndef WI_PROCESS_BOOT_H
#define WI_PROCESS_BOOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "os/fault.h"
#include "os/launch.h"
#include "os/life.h"
#include "os/sandbox.h"
#include "os/settings.h"
#include "process/name.h"

// The descriptors of a child. They follow WI_LAUNCH_FD, but not in a copy of
// the parent, whose own are there.
extern int wi_boot_at;
#define WI_BOOT_FD   wi_boot_at       // the memfd
#define WI_PARENT_FD (wi_boot_at + 1) // a pidfd of the parent
#define WI_BELL_FD                                                             \
    (wi_boot_at + 2)      // a worker's bell, which the parent
                          // hears; a zygote's socket
enum { WI_BOOT_FDS = 3 }; // behind them those of the options

#define WI_BOOT_MAGIC   0x746f6f6274666577u // "weftboot"
#define WI_BOOT_VERSION 3u
#define WI_WORKER_MARK  "WEFT_WORKER" // in the environment: the child's pid

// The exit status of a child that does not understand its memory.
enum { WI_EXIT_VERSION = 125 };

enum wi_boot_kind {
    WI_BOOT_PROCESS = 1, // runs one function: process.c
    WI_BOOT_WORKER,      // runs jobs: worker.c
    WI_BOOT_ZYGOTE,      // becomes others: zygote_main.c
};

// A worker numbers its futures from its process id shifted by this, so that an
// id says whose it is.
enum { WI_ID_BITS = 40 };

enum { WI_PROCESS_DEPTH = 16 }; // processes within processes

struct wi_boot {
    uint64_t magic;
    uint32_t version;
    uint32_t kind;             // enum wi_boot_kind
    uint64_t map_size;         // bytes to map
    int32_t parent;            // its process id
    uint32_t depth;            // 1 for a child of the first process
    uint64_t executor;         // a worker: the id of its pool
    uint64_t width;            // of that pool
    uint64_t arg_at, arg_size; // the argument's place in the file
    uint64_t texts_size;       // behind it: see wi_boot_add_texts
    uint32_t has_cwd, has_env;
    struct wi_name preload;   // runs before all else, unless a zygote has
    struct wi_name body;      // the function; a worker: the initializer
    struct wi_name finalizer; // of a worker
    char name[32];
    uint32_t fd_count; // descriptors that the options have given
    uint32_t parcels;  // a worker: one more follows, parcel.h
    struct wi_settings settings;
    struct wi_sandbox sandbox;
    // The one thing here that is written later, by the parent: it wants the
    // child to end.
    uint32_t asked;
};

// How far a child has come; it only grows.
enum wi_stage {
    WI_STAGE_NONE,    // has not reached the hook
    WI_STAGE_HOOKED,  // weft_main_hook has taken over
    WI_STAGE_STARTED, // the function or the initializer is about to run
    WI_STAGE_READY,   // a worker takes jobs
    WI_STAGE_DONE,    // the function has returned `code`; a worker: it cannot
                      // start, or its finalizer has failed; `code` and `text`
                      // say why
};

struct wi_words {
    uint32_t stage; // release by the child, acquire by the parent
    int32_t code;   // before DONE
    char text[192]; // before DONE; may lack its NUL
    struct wi_fault fault;
    uint32_t began;       // the function has begun
    uint32_t born;        // written by the kernel: the process that a zygote
                          // has made for this memory
    uint64_t result_size; // bytes behind the argument; before DONE
    int32_t life_at;      // offset of the life word in life[], before HOOKED
    _Alignas(16) char life[WI_LIFE_SIZE];
};

enum { WI_BOOT_PAGE = 4096, WI_BOOT_PAGES = 2 * WI_BOOT_PAGE };
_Static_assert(sizeof(struct wi_boot) <= WI_BOOT_PAGE, "one page");
_Static_assert(sizeof(struct wi_words) <= WI_BOOT_PAGE, "one page");

static inline struct wi_words *wi_boot_words(struct wi_boot *boot)
{
    return (struct wi_words *)((char *)boot + WI_BOOT_PAGE);
}

// How far the child of this memory has come.
static inline uint32_t wi_boot_stage(struct wi_boot *boot)
{
    // acquire: pairs with the release in wi_boot_reach
    return __atomic_load_n(&wi_boot_words(boot)->stage, __ATOMIC_ACQUIRE);
}

// Where in the file the result's bytes begin.
static inline uint64_t wi_boot_result_at(const struct wi_boot *boot)
{
    return (boot->arg_at + boot->arg_size + boot->texts_size + 4095) / 4096 *
           4096;
}

// The child: has come so far.
static inline void wi_boot_reach(struct wi_boot *boot, uint32_t stage)
{
    // release: pairs with the acquire in wi_boot_stage
    __atomic_store_n(&wi_boot_words(boot)->stage, stage, __ATOMIC_RELEASE);
}

// Makes the memory of a child: map_size mapped bytes and behind them the
// argument. *boot is filled in but for kind and body. Returns the memfd or a
// negative code.
int wi_boot_new(size_t map_size, const void *arg, size_t arg_size,
                const char *name, struct wi_boot **boot);
void wi_boot_free(struct wi_boot *boot, size_t map_size, int fd);

// Puts the working directory and the environment (NULL: none) behind the
// argument, for a child that no exec gives them to. 0 or a negative code.
int wi_boot_add_texts(struct wi_boot *boot, int fd, const char *cwd,
                      const char *const *env);

// The child: goes there and takes them. 0, or a negative code with *what.
int wi_boot_take_texts(const struct wi_boot *boot, const char **what);

// The child: runs the preload function, if it has not run. 0 or its code.
int wi_boot_preload(const struct wi_boot *boot);

// The child: the argument in memory from malloc, NULL if there is none. false:
// no memory.
bool wi_boot_arg(const struct wi_boot *boot, void **arg);

// Whether weft_main_hook has run in this process, or a child could not start
// this program as its own.
bool wi_entry_ready(void);

// The memory of this process, if it is a child; else NULL.
struct wi_boot *wi_entry_boot(void);

// How many processes there are above this one.
uint32_t wi_entry_depth(void);

// Says why the child cannot do what it was started for, and ends it.
_Noreturn void wi_boot_cannot(struct wi_boot *boot, int code, const char *what);

// What the hook calls in a child; neither returns.
_Noreturn void wi_process_main(struct wi_boot *boot);
_Noreturn void wi_worker_main(struct wi_boot *boot);
_Noreturn void wi_zygote_main(struct wi_boot *boot);

// In a copy of a process, whose descriptors from `at` on are those of a child:
// goes on as that child. preloaded: the preload function has run.
_Noreturn void wi_entry_reborn(int at, bool preloaded);
bool wi_entry_preloaded(void);

#endif
