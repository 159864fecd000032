// SPDX-License-Identifier: MIT
//
// Work that computes: the words and the digest of every file. The files were
// read once before, so that hardly anything is left to wait for.
#include "tour_work.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <weft.h>

struct hashed {
    uint64_t bytes, words;
    uint8_t digest[DIGEST_SIZE];
};

static bool is_space(unsigned char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

// A word is a run of bytes that are not white space. *inside: whether the
// bytes before ended in one.
static uint64_t count_words(const unsigned char *at, size_t size, bool *inside)
{
    uint64_t words = 0;
    bool in = *inside;

    for (size_t i = 0; i < size; i++) {
        bool now = !is_space(at[i]);
        words += now && !in;
        in = now;
    }
    *inside = in;
    return words;
}

// As many bytes as the file has now, so that one that grows comes to an end.
static uint64_t bytes_to_take(int fd)
{
    struct stat st;

    if (fstat(fd, &st) < 0 || st.st_size < 0)
        return 0;
    return st.st_size < TOUR_FILE_BYTES ? (uint64_t)st.st_size
                                        : TOUR_FILE_BYTES;
}

static int hash_fd(int fd, struct digest *digest, struct hashed *hashed)
{
    unsigned char buf[16384];
    uint64_t left = bytes_to_take(fd);
    bool inside = false;
    int rc = 0;

    while (left > 0 && rc == 0) {
        ssize_t n = read(fd, buf, left < sizeof(buf) ? left : sizeof(buf));
        if (n <= 0)
            return n < 0 ? -errno : 0;
        hashed->bytes += (size_t)n;
        hashed->words += count_words(buf, (size_t)n, &inside);
        rc = digest_add(digest, buf, (size_t)n);
        left -= (uint64_t)n;
    }
    return rc;
}

// The function that every way of working calls.
static int tour_hash(const char *path, struct hashed *hashed)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

    *hashed = (struct hashed){0};
    if (fd < 0)
        return -errno;
    struct digest *digest = digest_begin();
    int rc = digest ? hash_fd(fd, digest, hashed) : -ENOMEM;
    if (digest) {
        int ended = digest_end(digest, hashed->digest);
        rc = rc < 0 ? rc : ended;
    }
    close(fd);
    return rc;
}

// Who calls it ----------------------------------------------------------------

static void hash_one(struct tour_set *set, size_t i)
{
    const struct tour_files *files = set->context;

    set->codes[i] = tour_hash(files->at[i].path, tour_set_result(set, i));
}

static bool has_changed(const struct tour_set *set, size_t i)
{
    return tour_files_changed(set->context, i);
}

// The argument is the path with its NUL: it has to reach another process.
WEFT_JOB(struct hashed, hash_job, struct weft_bytes, path)
{
    struct hashed hashed;
    int rc = tour_hash(path.data, &hashed);

    if (rc < 0)
        weft_fail(rc, "%s: %s", (char *)path.data, weft_strerror(rc));
    return hashed;
}

// A map returns the first failure, also when it is one of the codes.
static bool is_an_item(const struct tour_set *set, int rc)
{
    for (size_t i = 0; i < set->count; i++)
        if (set->codes[i] == rc)
            return true;
    return false;
}

static int run_pool(struct tour_set *set, weft_executor *ex)
{
    const struct tour_files *files = set->context;
    struct weft_bytes *paths = calloc(set->count, sizeof(*paths));
    struct hashed *results = (void *)set->results;
    int rc = -ENOMEM;

    for (size_t i = 0; paths && i < set->count; i++)
        paths[i] = (struct weft_bytes){files->at[i].path,
                                       strlen(files->at[i].path) + 1};
    if (paths)
        rc = weft_map(ex, hash_job, paths, set->count, results,
                      .codes = set->codes);
    free(paths);
    weft_executor_close(ex);
    return rc < 0 && is_an_item(set, rc) ? 0 : rc;
}

static int run_thread_pool(struct tour_set *set)
{
    return run_pool(set, weft_thread_pool());
}

static int run_process_pool(struct tour_set *set)
{
    return run_pool(set, weft_process_pool());
}

static void run_ways(struct tour_work *work, struct tour_set *set,
                     tour_told *told, void *context)
{
    unsigned cpus = weft_cpu_count();
    const struct tour_plan plans[] = {
        {"one after another", "thread", 1, tour_run_sequence},
        {"threads sharing the files", "thread", cpus, tour_run_threads},
        {"thread pool", "thread", cpus, run_thread_pool},
        {"process pool", "process", cpus, run_process_pool},
        {"tasks on one loop", "thread", 1, tour_run_tasks},
    };

    for (size_t i = 0; i < sizeof(plans) / sizeof(plans[0]); i++)
        told(context, tour_measure(work, set, &plans[i]));
}

// From the results of the first way.
static int sum_up(struct tour_work *work, const struct tour_set *set,
                  struct tour_files *files, struct tour_sums *sums)
{
    const struct hashed *hashed = (const void *)set->first_results;
    struct digest *all = digest_begin();
    int rc = all ? 0 : -ENOMEM;

    sums->words = 0;
    for (size_t i = 0; rc == 0 && i < set->count; i++) {
        if (set->first_codes[i] < 0) {
            tour_files_add_unread(files, files->at[i].path,
                                  set->first_codes[i]);
            continue;
        }
        work->items++;
        work->bytes += hashed[i].bytes;
        sums->words += hashed[i].words;
        rc = digest_add(all, hashed[i].digest, DIGEST_SIZE);
    }
    int ended = all ? digest_end(all, sums->digest) : 0;
    return rc < 0 ? rc : ended;
}

int tour_hash_all(struct tour_work *work, struct tour_files *files,
                  struct tour_sums *sums, tour_told *told, void *context)
{
    struct tour_set set = {.one = hash_one,
                           .excused = has_changed,
                           .may_fail = true,
                           .context = files};
    int rc = tour_set_init(&set, files->count, sizeof(struct hashed));

    if (rc == 0) {
        // libcrypto prepares itself at its first use, for all ways alike.
        hash_one(&set, 0);
        run_ways(work, &set, told, context);
        rc = sum_up(work, &set, files, sums);
    }
    tour_set_fini(&set);
    return rc;
}
