// SPDX-License-Identifier: MIT
//
// thread.h: OS threads, as the scheduler and weft_thread_start need them.
#ifndef WI_OS_THREAD_H
#define WI_OS_THREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct wi_os_thread {
    uintptr_t handle;
};

struct wi_os_thread_options {
    const char *name;     // or NULL; cut at 15 bytes
    size_t stack_size;    // 0: the default
    const unsigned *cpus; // NULL: inherit
    size_t cpu_count;
    const uint64_t *blocked; // the signals it blocks: bit n-1 for signal n;
                             // NULL: inherit
    bool service; // runs nothing of the user's: a copy of this process can do
                  // without it
};

// The CPUs of threads that belong together.
struct wi_os_cpus {
    unsigned *list; // NULL: those of whoever starts one
    size_t count;
    bool one_each; // the n-th thread has the n-th of them, over and over
};

// Notes where the thread of this number may run; below 0: on any of them.
static inline void wi_os_thread_place(struct wi_os_thread_options *options,
                                      const struct wi_os_cpus *cpus,
                                      int64_t number)
{
    bool one = cpus->one_each && number >= 0;
    if (cpus->list == NULL)
        return;
    options->cpus = cpus->list + (one ? (size_t)number % cpus->count : 0);
    options->cpu_count = one ? 1 : cpus->count;
}

size_t wi_os_thread_stack(size_t asked); // bytes; asked 0: the default

// Starts fn(arg) in a joinable thread. Returns 0 or a negative code.
int wi_os_thread_start(struct wi_os_thread *thread, void (*fn)(void *),
                       void *arg, const struct wi_os_thread_options *options);
// How many threads of this process are services, and whether the caller is one.
unsigned wi_os_thread_services(void);
bool wi_os_thread_is_service(void);

void wi_os_thread_join(struct wi_os_thread *thread);
struct wi_os_thread wi_os_thread_self(void); // for who joins the caller
void wi_os_thread_detach(struct wi_os_thread *thread);
pid_t wi_os_thread_id(void);                 // the kernel's id of the caller
uint64_t wi_os_thread_blocked_signals(void); // of the caller
void wi_os_thread_yield(void);
void wi_os_thread_set_name(const char *name); // of the caller; cut at 15 bytes
void wi_os_thread_get_name(char name[16]);    // of the caller

// What to call when a watched thread ends; set once, before main.
void wi_os_thread_exit_function(void (*fn)(void *));

// Watches the calling thread: its end calls the function with this value.
void wi_os_thread_watch_exit(void *value);

// The caller's own stack: lowest address and size. 0 or a negative code.
int wi_os_stack_bounds(void **low, size_t *size);

#endif
