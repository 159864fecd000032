// SPDX-License-Identifier: MIT
//
// manager.h: state that lives in one process and is used from many. A manager
// is a process that holds the state; its methods are jobs, which find it by
// weft_manager_state; a call is a future. Python's multiprocessing.Manager.
//
//     static void *bank_new(const void *arg, size_t size)
//     { return calloc(1, sizeof(struct bank)); }
//     WEFT_JOB(long, deposit, long, amount)
//     { struct bank *b = weft_manager_state(); return b->sum += amount; }
//
//     weft_manager *m = weft_manager_start(bank_new, NULL, 0);
//     weft_result(weft_manager_call(m, deposit, 5), &sum);
//
// Methods run one after the other, in the order in which calls arrive; those of
// one client in its order. Any number of clients, in any process of the user:
// weft_manager_ref gives a value that may travel, weft_manager_open makes a
// client of it.
//
// When the manager's process dies, calls under way fail with -WEFT_ECRASHED;
// with .restart it is started again with a fresh state, for the calls that
// follow. When the process that started it ends, it ends. A client is one of
// the process that has made it: a child of fork opens its own, and gets
// -WEFT_EFORKED from its parent's.
#ifndef WEFT_MANAGER_H
#define WEFT_MANAGER_H

#include <weft/arena.h>
#include <weft/base.h>
#include <weft/future.h>
#include <weft/job.h>

typedef struct weft_manager weft_manager;

// Makes the state, in the manager's process, from the bytes given at the start;
// NULL: it cannot.
typedef void *weft_manager_init(const void *arg, size_t size);

struct weft_manager_options {
    size_t size;
    const char *name;          // copied; shown by `weft ps`
    void (*fini)(void *state); // at the end in order: weft_manager_close
    unsigned restart;          // how often at most, after a crash; 0: never
};

// A manager as a value, which may travel to other processes.
struct weft_manager_ref {
    uint64_t id[2];
};

WEFT_BEGIN

// Starts a manager. Never NULL: a start that failed fails each call with the
// reason. Blocks: no. Threads: any. Since 0.1.
WEFT_API weft_manager *
weft_manager_start_with(weft_manager_init *init, const void *arg, size_t size,
                        const struct weft_manager_options *options);

// A client of a manager that another process has started. Never NULL.
// Since 0.1.
WEFT_API weft_manager *weft_manager_open(struct weft_manager_ref ref);
WEFT_API struct weft_manager_ref weft_manager_ref(weft_manager *m);

// Ends a client: calls under way fail with -WEFT_EJOBCANCELED. In the process
// that started the manager also ends that, after what it has got; waits for
// it. One that takes more than 5 seconds for that is canceled. Nobody may be in
// a call on m, nor in a callback of one. NULL is allowed. Returns 0 or the code
// with which its process ended. Since 0.1.
WEFT_API int weft_manager_close(weft_manager *m);

// Calls a method. The macro weft_manager_call(m, job, value...) fills in the
// record; a structure that the caller has goes by weft_manager_call_struct(m,
// job, value). A call that is canceled may still run. Never NULL. Blocks: the
// caller only, while the manager is far behind. Threads: any. Errors: a failed
// future with -WEFT_ECRASHED (the manager has died, or has been closed),
// -WEFT_ENOJOB, -WEFT_ENOENTRY, -WEFT_EBROKEN (no state could be made),
// -ENOMEM, -ECANCELED, -ETIMEDOUT, and what the method fails with. Since 0.1.
WEFT_API weft_future *weft_manager_call_job(weft_manager *m,
                                            const struct weft_job *job,
                                            const void *arg);

// In a method: the state. Elsewhere NULL. Since 0.1.
WEFT_API void *weft_manager_state(void);

// A manager of dictionaries, lists and counters, each with a name; they are
// there, empty, from the first use. What they hold are bytes. Since 0.1.
WEFT_API weft_manager *
weft_manager_store_with(const struct weft_manager_options *options);

// The calls for these, to the end of this part. They block the caller only, may
// be made by any thread, and return 0 or more, or a negative code: one of
// weft_manager_call, or -ENOENT (no such key or index). A struct weft_bytes
// that comes out is the caller's: weft_bytes_free.

// Sets a key of a dictionary. Returns 1 if it is new, 0 if it had a value.
// Since 0.1.
WEFT_API int weft_dict_set(weft_manager *m, const char *dict, const char *key,
                           const void *value, size_t size);
// A copy of a key's value. Since 0.1.
WEFT_API int weft_dict_get(weft_manager *m, const char *dict, const char *key,
                           struct weft_bytes *value);
// Removes a key. Since 0.1.
WEFT_API int weft_dict_remove(weft_manager *m, const char *dict,
                              const char *key);
// How many keys it has. Since 0.1.
WEFT_API ssize_t weft_dict_size(weft_manager *m, const char *dict);
// The key at a place from 0 on, in the order of their first use; a removed key
// moves the later ones. One of more than 255 bytes gives -WEFT_ETOOBIG, with
// the first 255 of them in *key. Since 0.1.
WEFT_API int weft_dict_key(weft_manager *m, const char *dict, size_t place,
                           struct weft_text *key);

// Adds an element at the end of a list. Returns how many it has now. Since 0.1.
WEFT_API ssize_t weft_list_append(weft_manager *m, const char *list,
                                  const void *value, size_t size);
// A copy of the element at an index; a negative one counts from the end.
// Since 0.1.
WEFT_API int weft_list_get(weft_manager *m, const char *list, ssize_t index,
                           struct weft_bytes *value);
// The same, and takes the element out of the list. Since 0.1.
WEFT_API int weft_list_pop(weft_manager *m, const char *list, ssize_t index,
                           struct weft_bytes *value);
// How many elements it has. Since 0.1.
WEFT_API ssize_t weft_list_size(weft_manager *m, const char *list);

// Adds n to a counter, which begins with 0 and wraps around, and stores the new
// value at *value (value may be NULL). Since 0.1.
WEFT_API int weft_count(weft_manager *m, const char *counter, int64_t n,
                        int64_t *value);

WEFT_END

#ifndef __cplusplus
#define weft_manager_start(init, arg, ...)                                     \
    WEFT_MANAGER_START_((init), (arg), __VA_ARGS__, )
#define WEFT_MANAGER_START_(init, arg, bytes, ...)                             \
    weft_manager_start_with(init, arg, (bytes),                                \
                            WEFT_OPTIONS(weft_manager_options, __VA_ARGS__))
#define weft_manager_store(...)                                                \
    weft_manager_store_with(WEFT_OPTIONS(weft_manager_options, __VA_ARGS__))
// weft_manager_call(m, job) or (m, job, value) or (m, job, .x = 1, .y = 2)
#define weft_manager_call(m, ...) WEFT_MANAGER_CALL_((m), __VA_ARGS__, )
#define WEFT_MANAGER_CALL_(m, job, ...)                                        \
    weft_manager_call_job(m, &weft_job_##job, WEFT_JOB_ARG_(job, __VA_ARGS__))
// The same when the argument is a structure and the caller has one.
#define weft_manager_call_struct(m, job, value)                                \
    weft_manager_call_job((m), &weft_job_##job, WEFT_JOB_WHOLE_(job, value))
#else
inline weft_manager *weft_manager_start(weft_manager_init *init,
                                        const void *arg, size_t size,
                                        weft_manager_options o = {})
{
    o.size = sizeof o;
    return weft_manager_start_with(init, arg, size, &o);
}
inline weft_manager *weft_manager_store(weft_manager_options o = {})
{
    o.size = sizeof o;
    return weft_manager_store_with(&o);
}
template <class T>
inline weft_future *weft_manager_call_value(weft_manager *m,
                                            const weft_job *job, const T &value)
{
    return weft_manager_call_job(m, job, &value);
}
#define weft_manager_call(m, ...) WEFT_MANAGER_CALL_((m), __VA_ARGS__, )
#define WEFT_MANAGER_CALL_(m, job, ...)                                        \
    weft_manager_call_value(m, &weft_job_##job, weft_arg_of_##job{__VA_ARGS__})
#define weft_manager_call_struct(m, job, value)                                \
    weft_manager_call_value((m), &weft_job_##job, weft_arg_of_##job(value))
#endif

#endif
