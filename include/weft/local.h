// SPDX-License-Identifier: MIT
//
// local.h: values that belong to a task, or to a thread. C's own thread-locals
// are shared by all tasks of a thread: what one task stores there another one
// finds. A weft_local follows the task.
//
//     static struct weft_local request = {.kind = WEFT_LOCAL_INHERITED};
//     weft_local_set(&request, r);         // this task, and what it starts
//     struct request *r = weft_local_get(&request);
//
// A key is caller storage, valid when zeroed, and stays as long as anybody has
// a value under it: usually static. Values are pointers. When the last holder
// gives a value up (sets another one, or ends), .destroy is called with it, in
// that task or thread; one that ends may use Weft's calls in there.
//
// Threads: any; a key may be used by all at once, since each sees its own
// values. None in a signal handler.
#ifndef WEFT_LOCAL_H
#define WEFT_LOCAL_H

#include <weft/base.h>

// Who has a value of its own.
enum weft_local_kind {
    WEFT_LOCAL_OWN = 0,   // each task, job and plain thread; begins with NULL
    WEFT_LOCAL_INHERITED, // the same, and begins with what its starter has:
                          // tasks, threads, and jobs in the same process
    WEFT_LOCAL_THREAD,    // each OS thread, shared by its tasks
};

struct weft_local {
    enum weft_local_kind kind;
    void (*destroy)(void *value); // NULL: nothing to do
    void *slack[2];
};

WEFT_BEGIN

// The caller's value, NULL if it has none. Blocks: no. Since 0.1.
WEFT_API void *weft_local_get(const struct weft_local *key);

// Sets the caller's value; NULL takes it away. The one that was there is given
// up, unless it is the same. Returns 0 or -ENOMEM (nothing was changed).
// Blocks: no. Since 0.1.
WEFT_API int weft_local_set(const struct weft_local *key, void *value);

WEFT_END

#endif
