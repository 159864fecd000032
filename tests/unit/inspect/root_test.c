// SPDX-License-Identifier: MIT
//
// A reader that knows only the root finds every record where it is.
#include <string.h>

#include <weft/task.h>

#include "inspect/root.h"
#include "sched/task.h"
#include "weft_test.h"

extern struct wi_root wi_root;

static uint64_t get(unsigned in, const char *name, const void *from)
{
    for (int i = 0; i < WI_ROOT_FIELDS && wi_root.fields[i].name[0]; i++) {
        const struct wi_root_field *field = &wi_root.fields[i];
        uint64_t value = 0;
        if (field->in != in || strcmp(field->name, name) != 0)
            continue;
        memcpy(&value, (const char *)from + field->offset, field->width);
        return value;
    }
    ck_abort_msg("no field %s", name);
}

static const char *record_at(const char *chunk, uint64_t i)
{
    return chunk + wi_root.chunk_begin + i * wi_root.record_size;
}

static const char *first_chunk(void)
{
    return *(char **)(uintptr_t)wi_root.chunks;
}

static const char *next_chunk(const char *chunk)
{
    return (char *)(uintptr_t)get(WI_ROOT_CHUNK, "next", chunk);
}

WEFT_TEST(tells_what_it_is)
{
    ck_assert_int_eq(memcmp(wi_root.magic, WI_ROOT_MAGIC, 8), 0);
    ck_assert_uint_eq(wi_root.version, WI_ROOT_VERSION);
    ck_assert_uint_eq(wi_root.size, sizeof(wi_root));
}

struct seen {
    const char *chunk;
    uint64_t i, records;
};

static void see(struct wi_task *t, void *arg)
{
    struct seen *seen = arg;

    ck_assert_ptr_nonnull(seen->chunk);
    ck_assert_ptr_eq(record_at(seen->chunk, seen->i), (char *)t);
    seen->records++;
    if (++seen->i == get(WI_ROOT_CHUNK, "count", seen->chunk)) {
        seen->chunk = next_chunk(seen->chunk);
        seen->i = 0;
    }
}

WEFT_TEST(leads_to_every_record)
{
    for (int i = 0; i < 1000; i++)
        ck_assert_ptr_nonnull(wi_task_new(WI_KIND_TASK, WI_RUNNING, 1));
    struct seen seen = {.chunk = first_chunk()};
    wi_task_each(see, &seen);
    ck_assert_uint_ge(seen.records, 1000);
    ck_assert_ptr_null(seen.chunk);
}

WEFT_TEST(describes_a_record)
{
    struct wi_task *t = wi_task_new(WI_KIND_PROMISE, WI_RUNNING, 1);

    ck_assert(wi_task_set_name(t, "the name"));
    t->wait_kind = WI_WAIT_READ;
    t->wait_object = (void *)(uintptr_t)5;
    t->code = -7;
    ck_assert_uint_eq(get(WI_ROOT_RECORD, "id", t), t->id);
    uint64_t phase = get(WI_ROOT_RECORD, "state", t) & wi_root.phase_mask;
    ck_assert_str_eq(wi_root.phases.name[phase], "running");
    uint64_t kind = get(WI_ROOT_RECORD, "kind", t);
    ck_assert_str_eq(wi_root.kinds.name[kind], "promise");
    uint64_t wait = get(WI_ROOT_RECORD, "wait_kind", t);
    ck_assert_str_eq(wi_root.waits.name[wait], "read");
    ck_assert_uint_eq(get(WI_ROOT_RECORD, "wait_object", t), 5);
    ck_assert_int_eq((int32_t)get(WI_ROOT_RECORD, "code", t), -7);
    const char *extra = (char *)(uintptr_t)get(WI_ROOT_RECORD, "extra", t);
    for (int i = 0; i < WI_ROOT_FIELDS; i++)
        if (wi_root.fields[i].in == WI_ROOT_EXTRA &&
            !strcmp(wi_root.fields[i].name, "name"))
            ck_assert_str_eq(extra + wi_root.fields[i].offset, "the name");
}

WEFT_TEST(follows_a_hint)
{
    struct wi_task *t = wi_task_new(WI_KIND_TASK, WI_RUNNING, 1);
    uint64_t hint = wi_hint_of(t);

    ck_assert_uint_eq(hint & ((1ull << wi_root.hint_bits) - 1), (uintptr_t)t);
    ck_assert_uint_eq(hint >> wi_root.hint_bits,
                      (uint32_t)get(WI_ROOT_RECORD, "state", t) >>
                          wi_root.generation);
}

WEFT_TEST(has_a_name_for_every_value)
{
    for (unsigned i = 0; i < wi_root.phases.count; i++)
        ck_assert_str_ne(wi_root.phases.name[i], "");
    for (unsigned i = 1; i < wi_root.kinds.count; i++)
        ck_assert_str_ne(wi_root.kinds.name[i], "");
    for (unsigned i = 1; i < wi_root.waits.count; i++)
        ck_assert_str_ne(wi_root.waits.name[i], "");
}

WEFT_TEST_MAIN("root")
