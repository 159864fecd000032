// SPDX-License-Identifier: MIT
//
// job.h: a job is a named function with one argument by value and one result
// by value, which any executor can run: a thread pool calls it, a process pool
// names it to another process.
//
//     WEFT_JOB(long, square, long, x) { return x * x; }
//     WEFT_JOB(struct weft_text, hello) { return weft_text("hello"); }
//
// defines the function `square` and, beside it, the record weft_job_square
// that weft_submit(ex, square, 7) uses. A header shares a job with other
// source files by WEFT_JOB_DECLARE(long, square, long).
#ifndef WEFT_JOB_H
#define WEFT_JOB_H

#include <weft/base.h>

#define WEFT_TEXT_SIZE 256

// Bounded text as a value. One without a NUL at its end loses the last byte on
// its way into a job and out of it.
struct weft_text {
    char s[WEFT_TEXT_SIZE]; // ends with a NUL
};

// Any bytes. As an argument they are copied at submit, and the job may write to
// its copy until it ends; as a result they are the caller's, to be freed by
// weft_bytes_free. In a job, make a result with weft_bytes_new or
// weft_bytes_copy, or hand over memory from malloc.
struct weft_bytes {
    void *data;
    size_t len;
};

// No argument.
struct weft_none {
    char nothing;
};

enum weft_kind { WEFT_PLAIN = 0, WEFT_TEXT = 1, WEFT_BYTES = 2, WEFT_NONE = 3 };

// What Weft knows about a job; made by WEFT_JOB, never by hand.
struct weft_job {
    uint32_t magic;   // WEFT_JOB_MAGIC
    uint32_t version; // of the job's meaning; 0 unless WEFT_JOB_VERSION says so
    const char *name;
    void (*call)(const void *arg, void *result);
    uint32_t arg_size;
    uint32_t result_size;
    uint8_t arg_kind;    // enum weft_kind
    uint8_t result_kind; // enum weft_kind
    uint8_t slack[22];
};

// A job in the list of all jobs; made by WEFT_JOB.
struct weft_job_entry {
    const struct weft_job *job;
    struct weft_job_entry *next;
};
#define WEFT_JOB_MAGIC 0x57454a42u

WEFT_BEGIN

// Bounded text made as by printf; cut at 255 bytes, never inside a UTF-8
// character. The structure has the same name: in C++, too, it is written
// `struct weft_text`. Threads: any. Blocks: no. Since 0.1.
WEFT_API struct weft_text weft_text(const char *format, ...) WEFT_PRINTF(1, 2);

// Room for the len bytes of a job's result, for its body to fill; data is NULL
// (and len 0) if there is no memory or len is 0. The bytes have any value. The
// body returns it, perhaps with a smaller len, or gives it to weft_bytes_free.
// In a worker process a large result that was made there is not copied on its
// way out; the room is the job's own until it ends, is not from malloc (no
// free, no realloc), and a child of fork does not have it. Elsewhere it is from
// malloc. Threads: any. Blocks: no. Since 0.1.
WEFT_API struct weft_bytes weft_bytes_new(size_t len);

// A copy of len bytes in memory from malloc; data is NULL (and len 0) if
// there is no memory or len is 0. Since 0.1.
WEFT_API struct weft_bytes weft_bytes_copy(const void *data, size_t len);

// Frees what came out of a future, and makes it empty. NULL is allowed. Since
// 0.1.
WEFT_API void weft_bytes_free(struct weft_bytes *bytes);

// In a job's body: the job fails with code (negative; a positive one is
// negated, 0 becomes -EINVAL) and a text made as by printf (may be NULL). The
// value that the body then returns is ignored. The first call counts.
// Outside a job: aborts. Since 0.1.
WEFT_API void weft_fail(int code, const char *format, ...) WEFT_PRINTF(2, 3);

// Finds the record of a job by its name among all that the program and its
// loaded libraries contain. NULL if there is none. Since 0.1.
WEFT_API const struct weft_job *weft_job_find(const char *name);

// Called by WEFT_JOB before main, and when a library with jobs is unloaded. Two
// jobs of one name abort the program, since a worker could not tell them
// apart. Since 0.1.
WEFT_API void weft_job_register(struct weft_job_entry *entry);
WEFT_API void weft_job_unregister(struct weft_job_entry *entry);

WEFT_END

#ifndef __cplusplus
#define WEFT_KIND_(type)                                                       \
    _Generic(*(type *)0, struct weft_text                                      \
             : WEFT_TEXT, struct weft_bytes                                    \
             : WEFT_BYTES, struct weft_none                                    \
             : WEFT_NONE, default                                              \
             : WEFT_PLAIN)
#define WEFT_ASSERT_(cond, text) _Static_assert(cond, text)
#define WEFT_EXTERN_
// 5 is the class of pointers in gcc's and clang's typeclass.h.
#define WEFT_IS_POINTER_(type) (__builtin_classify_type(*(type *)0) == 5)
// Whether it is no structure (12) and no union (13).
#define WEFT_IS_SCALAR_(type) (__builtin_classify_type(*(type *)0) < 12)
#else
template <class T> struct weft_kind_of {
    enum { kind = WEFT_PLAIN, pointer = 0 };
};
template <class T> struct weft_kind_of<T *> {
    enum { kind = WEFT_PLAIN, pointer = 1 };
};
template <> struct weft_kind_of<struct weft_text> {
    enum { kind = WEFT_TEXT, pointer = 0 };
};
template <> struct weft_kind_of<struct weft_bytes> {
    enum { kind = WEFT_BYTES, pointer = 0 };
};
template <> struct weft_kind_of<struct weft_none> {
    enum { kind = WEFT_NONE, pointer = 0 };
};
#define WEFT_KIND_(type)         (uint8_t)(weft_kind_of<type>::kind)
#define WEFT_ASSERT_(cond, text) static_assert(cond, text)
#define WEFT_EXTERN_             extern "C"
#define WEFT_IS_POINTER_(type)   (weft_kind_of<type>::pointer)
#endif

// WEFT_JOB(result, name) { body }           no argument
// WEFT_JOB(result, name, type, arg) { body }
#define WEFT_JOB(...) WEFT_JOB_VERSION(0, __VA_ARGS__)

// The same with a number, for a job that means something else than the one of
// this name did before. Where its workers are another build (.program, an
// upgrade), a job is found by name, and runs only if number, sizes and kinds
// are the same: -WEFT_ENOJOB.
#define WEFT_JOB_VERSION(number, ...)                                          \
    WEFT_JOB_PICK_(__VA_ARGS__, WEFT_JOB_4_, WEFT_JOB_3_, WEFT_JOB_2_, )       \
    (number, __VA_ARGS__)
#define WEFT_JOB_PICK_(a, b, c, d, name, ...) name

#define WEFT_JOB_2_(number, result, name)                                      \
    static result name(void);                                                  \
    WEFT_JOB_TYPES_(result, name, struct weft_none)                            \
    static void weft_call_##name(const void *in, void *out)                    \
    {                                                                          \
        (void)in;                                                              \
        *(result *)out = name();                                               \
    }                                                                          \
    WEFT_JOB_RECORD_(number, result, name, struct weft_none)                   \
    static result name(void)

#define WEFT_JOB_4_(number, result, name, type, arg)                           \
    WEFT_ASSERT_(!WEFT_IS_POINTER_(type),                                      \
                 "a job's argument may run in another process: pass a value, " \
                 "struct weft_text or struct weft_bytes, not a pointer");      \
    static result name(type arg);                                              \
    WEFT_JOB_TYPES_(result, name, type)                                        \
    static void weft_call_##name(const void *in, void *out)                    \
    {                                                                          \
        *(result *)out = name(*(const type *)in);                              \
    }                                                                          \
    WEFT_JOB_RECORD_(number, result, name, type)                               \
    static result name(type arg)

#define WEFT_JOB_TYPES_(result, name, type)                                    \
    WEFT_ASSERT_(!WEFT_IS_POINTER_(result),                                    \
                 "a job's result may come from another process: return a "     \
                 "value, struct weft_text or struct weft_bytes");              \
    typedef result weft_result_of_##name;                                      \
    typedef type weft_arg_of_##name;

#define WEFT_JOB_RECORD_(number, result, job_name, type)                       \
    WEFT_EXTERN_ const struct weft_job weft_job_##job_name;                    \
    const struct weft_job weft_job_##job_name = {                              \
        WEFT_JOB_MAGIC,       (number),           #job_name,                   \
        weft_call_##job_name, sizeof(type),       sizeof(result),              \
        WEFT_KIND_(type),     WEFT_KIND_(result), {0}};                        \
    static struct weft_job_entry weft_job_entry_##job_name = {                 \
        &weft_job_##job_name, NULL};                                           \
    __attribute__((constructor)) static void weft_job_in_##job_name(void)      \
    {                                                                          \
        weft_job_register(&weft_job_entry_##job_name);                         \
    }                                                                          \
    __attribute__((destructor)) static void weft_job_out_##job_name(void)      \
    {                                                                          \
        weft_job_unregister(&weft_job_entry_##job_name);                       \
    }

#ifndef __cplusplus
// The argument of a job, from a value, or from the members of a structure. When
// they do not fit, compilers show the line on which they come together.
#define WEFT_JOB_ARG_(job, ...)                                                \
    (WEFT_JOB_TAKES_(job, sizeof(#__VA_ARGS__) > 1),                           \
     __extension__(&(const weft_arg_of_##job){                                 \
         __VA_ARGS__ /* a whole structure: by weft_..._struct() */}))
#define WEFT_JOB_TAKES_(job, given)                                            \
    (void)sizeof(struct {                                                      \
        WEFT_ASSERT_(!(given) || WEFT_KIND_(weft_arg_of_##job) != WEFT_NONE,   \
                     "this job takes no argument");                            \
        WEFT_ASSERT_((given) || !WEFT_IS_SCALAR_(weft_arg_of_##job),           \
                     "this job takes an argument");                            \
        char some;                                                             \
    })
// A structure as it is: the one element of an array, as it may be a constant.
#define WEFT_JOB_WHOLE_(job, value) ((const weft_arg_of_##job[1]){(value)})
#endif

// In a header: the job is defined by WEFT_JOB in some other source file.
#define WEFT_JOB_DECLARE(...)                                                  \
    WEFT_JOB_PICK_(__VA_ARGS__, , WEFT_DECLARE_3_, WEFT_DECLARE_2_, )          \
    (__VA_ARGS__)
#define WEFT_DECLARE_2_(result, name)                                          \
    WEFT_DECLARE_3_(result, name, struct weft_none)
#define WEFT_DECLARE_3_(result, name, type)                                    \
    WEFT_JOB_TYPES_(result, name, type)                                        \
    WEFT_EXTERN_ const struct weft_job weft_job_##name

#endif
