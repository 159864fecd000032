// SPDX-License-Identifier: MIT
//
// How a child begins. It is the program itself, started anew: its loader and
// constructors run, then weft_main_hook takes over, and the program's main
// never runs. Constructors that take over by themselves were rejected: which
// one comes last is not fixed, least of all under LTO.
//
// A child is known by three things together: WEFT_WORKER in its environment
// holds its own process id, so what it starts in turn is not taken for a child;
// descriptor 3 is a file that begins with our magic; the program does not run
// with more rights than its user (secure_getenv). With the variable alone it
// ends at the hook, and does not run main.
//
// The parent must know before it starts a child that the child will reach the
// hook and not its main. It knows that because the hook has run in its own
// main, from the same place: the program calls it at the top of main, or was
// linked with --wrap=main and the archive libweft_entry.a, whose __wrap_main
// calls it. Otherwise nothing is started and the start fails with
// -WEFT_ENOENTRY: so in a program that calls neither, in a plugin, under an
// interpreter, and in a constructor. For a .program the parent cannot know;
// one that ends without having reached the hook is reported with the same
// code.
//
// The parent's death: the kernel kills the child when the parent's launcher
// thread ends, which lives as long as the process. The request was made before
// exec; it is repeated here, since exec of a privileged program drops it, and
// then the parent's pidfd tells whether it came too late.
#include <weft/process.h>

#include <stdlib.h>

#include "future/fork.h"
#include "os/backtrace.h"
#include "os/memfd.h"
#include "os/process.h"
#include "os/report.h"
#include "process/boot.h"
#include "sched/task.h"

static bool entered;         // the hook has run
static bool preloaded;       // this is a copy of a process that has
static int known;            // 0 unknown, 1 no worker, 2 a worker
static struct wi_boot *boot; // of this process, if it is a child
static uint32_t depth;       // processes above this one

static _Noreturn void refuse_with(int status, const char *why)
{
    wi_report("a child process cannot start: %s", why);
    wi_os_exit_now(status);
}

static _Noreturn void refuse(const char *why)
{
    refuse_with(127, why);
}

// Whether the mark is that of this process.
static bool is_mine(const char *mark)
{
    return mark[0] == 'a' || // "any": see launch.c
           strtol(mark, NULL, 10) == wi_os_pid();
}

static bool has_boot(void)
{
    uint64_t magic = 0;
    return wi_os_memfd_read(WI_BOOT_FD, 0, &magic, sizeof magic) == 0 &&
           magic == WI_BOOT_MAGIC;
}

static bool look(void)
{
    const char *mark = secure_getenv(WI_WORKER_MARK);
    return mark != NULL && is_mine(mark) && has_boot();
}

bool weft_is_worker(void)
{
    // relaxed: races write the same value
    int value = __atomic_load_n(&known, __ATOMIC_RELAXED);
    if (value == 0) {
        value = look() ? 2 : 1;
        __atomic_store_n(&known, value, __ATOMIC_RELAXED);
    }
    return value == 2;
}

bool wi_entry_ready(void)
{
    // relaxed: main has run the hook before it started any thread
    return __atomic_load_n(&entered, __ATOMIC_RELAXED);
}

struct wi_boot *wi_entry_boot(void)
{
    return boot;
}

uint32_t wi_entry_depth(void)
{
    return depth;
}

bool wi_entry_preloaded(void)
{
    return preloaded;
}

static struct wi_boot *open_boot(void)
{
    struct wi_boot head;
    void *map;
    if (wi_os_memfd_read(WI_BOOT_FD, 0, &head, sizeof head) < 0 ||
        head.version != WI_BOOT_VERSION)
        refuse_with(WI_EXIT_VERSION, "the parent has another version of Weft");
    if (wi_os_memfd_map(WI_BOOT_FD, head.map_size, &map) < 0)
        refuse("no memory for its rings");
    return map;
}

static void stay_with_parent(void)
{
    int rc = wi_os_die_with_parent(boot->parent);
    bool told = wi_os_close_on_exec(WI_PARENT_FD);
    if (told ? wi_os_pidfd_ended(WI_PARENT_FD) : rc < 0)
        wi_os_exit_now(127);
}

static _Noreturn void run_child(void)
{
    boot = open_boot();
    depth = boot->depth;
    stay_with_parent();
    wi_os_close_on_exec(WI_BOOT_FD);
    wi_os_close_on_exec(WI_BELL_FD);
    wi_os_unsetenv(WI_WORKER_MARK);
    wi_task_number_from((uint64_t)wi_os_pid() << WI_ID_BITS);
    if (boot->name[0] != '\0')
        wi_os_set_name(boot->name);
    struct wi_words *words = wi_boot_words(boot);
    bool worker = boot->kind == WI_BOOT_WORKER;
    if (worker)
        wi_os_be_victim();
    if (!preloaded) // the zygote has noted them
        wi_os_backtrace_prepare();
    wi_os_fault_install(&words->fault, worker ? WI_BELL_FD : -1);
    int at = worker ? wi_os_life_hold(words->life) : -1;
    words->life_at = at < 0 ? -1 : at;
    wi_boot_reach(boot, WI_STAGE_HOOKED);
    if (boot->kind == WI_BOOT_ZYGOTE)
        wi_zygote_main(boot);
    if (worker)
        wi_worker_main(boot);
    wi_process_main(boot);
}

_Noreturn void wi_entry_reborn(int at, bool is_preloaded)
{
    if (!is_preloaded) // a zygote has done that before
        wi_fork_refresh();
    wi_boot_at = at;
    preloaded = is_preloaded;
    entered = true;
    known = 2;
    run_child();
}

void weft_main_hook(void)
{
    // relaxed: see wi_entry_ready
    bool again = __atomic_exchange_n(&entered, true, __ATOMIC_RELAXED);
    if (again)
        return;
    if (weft_is_worker())
        run_child();
    // With half of the marks this is a child in a way that was not foreseen,
    // and to run main a second time would be the worst of all.
    if (secure_getenv(WI_WORKER_MARK) != NULL)
        refuse("it has lost its ties to its parent");
}
