// SPDX-License-Identifier: MIT
// The library in a plugin that is taken out of a program again. What Weft has
// left behind in threads that are not its own still leads into its code.
#include <dlfcn.h>
#include <pthread.h>

#include <weft.h>

#include "weft_test.h"

static pthread_barrier_t both;

// Waits, so that the thread has a record, and ends when the library is closed.
static void *use_and_outlast(void *nap)
{
    int (*const *sleep)(double) = nap;

    (*sleep)(0.001);
    pthread_barrier_wait(&both);
    pthread_barrier_wait(&both);
    return NULL;
}

WEFT_TEST(a_thread_outlasts_the_close_of_the_library)
{
    void *library = dlopen(WEFT_LIBRARY, RTLD_NOW | RTLD_LOCAL);
    int (*sleep)(double);
    pthread_t thread;

    ck_assert_msg(library != NULL, "%s", dlerror());
    *(void **)&sleep = dlsym(library, "weft_sleep");
    ck_assert_ptr_nonnull(sleep);
    ck_assert_int_eq(pthread_barrier_init(&both, NULL, 2), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, use_and_outlast, &sleep), 0);
    pthread_barrier_wait(&both);
    ck_assert_int_eq(dlclose(library), 0);
    pthread_barrier_wait(&both);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
}

WEFT_TEST_MAIN("unload")
