// SPDX-License-Identifier: MIT
//
// The manager that comes ready-made: dictionaries, lists and counters by name.
// Its methods get one struct weft_bytes: a head, the object's name, the key,
// and the value.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <weft/error.h>
#include <weft/manager.h>

#include "os/report.h"

enum { FIRST_BUCKETS = 16 };

// Values ----------------------------------------------------------------------

struct value {
    char *bytes;
    size_t size;
};

// A dictionary: entries hang in buckets by their key, and stand in `order`.
struct entry {
    struct entry *next;
    uint64_t hash;
    size_t key_size;
    struct value value;
    char key[];
};

struct dict {
    struct entry **buckets;
    size_t bucket_count; // a power of two, or 0
    struct entry **order;
    size_t count, room;
};

struct list {
    struct value *values;
    size_t count, room;
};

struct named {
    struct named *next;
    struct dict dict;
    struct list list;
    int64_t counter;
    size_t size;
    char name[];
};

struct store {
    struct named *first; // few: names of the program
};

static uint64_t hash_of(const char *key, size_t size)
{
    uint64_t hash = 0xcbf29ce484222325u; // FNV-1a
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ (unsigned char)key[i]) * 0x100000001b3u;
    return hash;
}

static bool value_set(struct value *v, const void *bytes, size_t size)
{
    char *copy = malloc(size > 0 ? size : 1);
    if (copy == NULL)
        return false;
    if (size > 0)
        memcpy(copy, bytes, size);
    free(v->bytes);
    *v = (struct value){copy, size};
    return true;
}

// Room for one more of `size` bytes each.
static bool make_room(void **array, size_t count, size_t *room, size_t size)
{
    if (count < *room)
        return true;
    size_t more = *room > 0 ? 2 * *room : 8;
    void *wider = realloc(*array, more * size);
    if (wider == NULL)
        return false;
    *array = wider;
    *room = more;
    return true;
}

// Dictionaries ----------------------------------------------------------------

static struct entry **find(struct dict *d, const char *key, size_t size)
{
    uint64_t hash = hash_of(key, size);
    struct entry **at = &d->buckets[hash & (d->bucket_count - 1)];
    while (*at != NULL && ((*at)->hash != hash || (*at)->key_size != size ||
                           memcmp((*at)->key, key, size) != 0))
        at = &(*at)->next;
    return at;
}

// As many buckets as entries, or more.
static bool widen(struct dict *d)
{
    if (d->count < d->bucket_count)
        return true;
    size_t n = d->bucket_count > 0 ? 2 * d->bucket_count : FIRST_BUCKETS;
    struct entry **buckets = calloc(n, sizeof(struct entry *));
    if (buckets == NULL)
        return false;
    for (size_t i = 0; i < d->count; i++) {
        struct entry *e = d->order[i];
        e->next = buckets[e->hash & (n - 1)];
        buckets[e->hash & (n - 1)] = e;
    }
    free(d->buckets);
    d->buckets = buckets;
    d->bucket_count = n;
    return true;
}

static struct entry *entry_new(struct dict *d, const char *key, size_t size)
{
    if (!widen(d) || !make_room((void **)&d->order, d->count, &d->room,
                                sizeof(struct entry *)))
        return NULL;
    struct entry *e = calloc(1, sizeof *e + size);
    if (e == NULL)
        return NULL;
    e->hash = hash_of(key, size);
    e->key_size = size;
    memcpy(e->key, key, size);
    struct entry **bucket = &d->buckets[e->hash & (d->bucket_count - 1)];
    e->next = *bucket;
    *bucket = e;
    d->order[d->count++] = e;
    return e;
}

static int dict_set(struct dict *d, const char *key, size_t key_size,
                    const void *value, size_t size)
{
    struct entry *e = d->bucket_count > 0 ? *find(d, key, key_size) : NULL;
    bool fresh = e == NULL;
    if (fresh)
        e = entry_new(d, key, key_size);
    if (e == NULL || !value_set(&e->value, value, size))
        return -ENOMEM; // a fresh one has the empty value then
    return fresh;
}

static int dict_remove(struct dict *d, const char *key, size_t key_size)
{
    struct entry **at = d->bucket_count > 0 ? find(d, key, key_size) : NULL;
    if (at == NULL || *at == NULL)
        return -ENOENT;
    struct entry *e = *at;
    size_t place = 0;
    while (d->order[place] != e)
        place++;
    *at = e->next;
    d->count--;
    memmove(&d->order[place], &d->order[place + 1],
            (d->count - place) * sizeof d->order[0]);
    free(e->value.bytes);
    free(e);
    return 0;
}

// What methods get ------------------------------------------------------------

struct head {
    uint32_t name_size, key_size;
    int64_t number;
};

struct parts {
    struct named *object;
    const char *key, *value;
    size_t key_size, value_size;
    int64_t number;
};

static struct named *object_of(struct store *store, const char *name,
                               size_t size)
{
    struct named *o = store->first;
    while (o != NULL && (o->size != size || memcmp(o->name, name, size) != 0))
        o = o->next;
    if (o != NULL)
        return o;
    o = calloc(1, sizeof *o + size);
    if (o == NULL)
        return NULL;
    memcpy(o->name, name, size);
    o->size = size;
    o->next = store->first;
    return store->first = o;
}

// Takes the bytes apart; false: the method has failed.
static bool take_apart(struct weft_bytes in, struct parts *p)
{
    struct head h;
    struct store *store = weft_manager_state();
    if (store == NULL || in.len < sizeof h) {
        weft_fail(-EINVAL, "this is a method of weft_manager_store");
        return false;
    }
    memcpy(&h, in.data, sizeof h);
    size_t rest = in.len - sizeof h;
    if (h.name_size > rest || h.key_size > rest - h.name_size) {
        weft_fail(-WEFT_EPROTO, NULL);
        return false;
    }
    const char *name = (const char *)in.data + sizeof h;
    *p = (struct parts){object_of(store, name, h.name_size), name + h.name_size,
                        name + h.name_size + h.key_size,     h.key_size,
                        rest - h.name_size - h.key_size,     h.number};
    if (p->object == NULL)
        weft_fail(-ENOMEM, NULL);
    return p->object != NULL;
}

static struct weft_bytes copy_out(const struct value *v)
{
    struct weft_bytes out = weft_bytes_copy(v->bytes, v->size);
    if (out.len < v->size)
        weft_fail(-ENOMEM, NULL);
    return out;
}

WEFT_JOB(int64_t, weft_store_dict_set, struct weft_bytes, in)
{
    struct parts p;
    if (!take_apart(in, &p))
        return 0;
    int rc =
        dict_set(&p.object->dict, p.key, p.key_size, p.value, p.value_size);
    if (rc < 0)
        weft_fail(rc, NULL);
    return rc;
}

WEFT_JOB(struct weft_bytes, weft_store_dict_get, struct weft_bytes, in)
{
    struct parts p;
    if (take_apart(in, &p)) {
        struct dict *d = &p.object->dict;
        struct entry *e =
            d->bucket_count > 0 ? *find(d, p.key, p.key_size) : NULL;
        if (e != NULL)
            return copy_out(&e->value);
        weft_fail(-ENOENT, "there is no such key");
    }
    return (struct weft_bytes){NULL, 0};
}

WEFT_JOB(int64_t, weft_store_dict_remove, struct weft_bytes, in)
{
    struct parts p;
    if (take_apart(in, &p)) {
        int rc = dict_remove(&p.object->dict, p.key, p.key_size);
        if (rc < 0)
            weft_fail(rc, "there is no such key");
    }
    return 0;
}

WEFT_JOB(struct weft_bytes, weft_store_dict_key, struct weft_bytes, in)
{
    struct parts p;
    if (take_apart(in, &p)) {
        struct dict *d = &p.object->dict;
        if (p.number >= 0 && (uint64_t)p.number < d->count) {
            struct entry *e = d->order[p.number];
            return weft_bytes_copy(e->key, e->key_size);
        }
        weft_fail(-ENOENT, "there are not so many keys");
    }
    return (struct weft_bytes){NULL, 0};
}

// How many keys (number 0) or elements (1) it has.
WEFT_JOB(int64_t, weft_store_size, struct weft_bytes, in)
{
    struct parts p;
    if (!take_apart(in, &p))
        return 0;
    return (int64_t)(p.number == 0 ? p.object->dict.count
                                   : p.object->list.count);
}

// Lists -----------------------------------------------------------------------

WEFT_JOB(int64_t, weft_store_list_append, struct weft_bytes, in)
{
    struct parts p;
    if (!take_apart(in, &p))
        return 0;
    struct list *l = &p.object->list;
    struct value v = {NULL, 0};
    if (!make_room((void **)&l->values, l->count, &l->room, sizeof v) ||
        !value_set(&v, p.value, p.value_size)) {
        weft_fail(-ENOMEM, NULL);
        return 0;
    }
    l->values[l->count++] = v;
    return (int64_t)l->count;
}

// The index of an element; false: the method has failed.
static bool index_of(const struct list *l, int64_t number, size_t *index)
{
    int64_t i = number < 0 ? number + (int64_t)l->count : number;
    bool there = i >= 0 && (uint64_t)i < l->count;
    if (!there)
        weft_fail(-ENOENT, "the list has %zu elements", l->count);
    *index = (size_t)i;
    return there;
}

WEFT_JOB(struct weft_bytes, weft_store_list_get, struct weft_bytes, in)
{
    struct parts p;
    size_t i;
    if (take_apart(in, &p) && index_of(&p.object->list, p.number, &i))
        return copy_out(&p.object->list.values[i]);
    return (struct weft_bytes){NULL, 0};
}

WEFT_JOB(struct weft_bytes, weft_store_list_pop, struct weft_bytes, in)
{
    struct parts p;
    size_t i;
    if (!take_apart(in, &p) || !index_of(&p.object->list, p.number, &i))
        return (struct weft_bytes){NULL, 0};
    struct list *l = &p.object->list;
    struct value v = l->values[i]; // its memory goes out
    l->count--;
    memmove(&l->values[i], &l->values[i + 1], (l->count - i) * sizeof v);
    return (struct weft_bytes){v.bytes, v.size};
}

WEFT_JOB(int64_t, weft_store_count, struct weft_bytes, in)
{
    struct parts p;
    if (!take_apart(in, &p))
        return 0;
    // Any client may send any number: it wraps.
    uint64_t sum = (uint64_t)p.object->counter + (uint64_t)p.number;
    return p.object->counter = (int64_t)sum;
}

// The calls -------------------------------------------------------------------

static void *store_new(const void *arg, size_t size)
{
    (void)arg;
    (void)size;
    return calloc(1, sizeof(struct store));
}

weft_manager *weft_manager_store_with(const struct weft_manager_options *o)
{
    return weft_manager_start_with(store_new, NULL, 0, o);
}

struct ask {
    const char *name, *key;
    const void *value;
    size_t size;
    int64_t number;
};

static weft_future *ask(const char *function, weft_manager *m,
                        const struct weft_job *job, const struct ask *a)
{
    wi_require_in(function, a->name != NULL, m, "a name is needed");
    struct head h = {(uint32_t)strlen(a->name),
                     a->key != NULL ? (uint32_t)strlen(a->key) : 0, a->number};
    struct weft_bytes in = {
        malloc(sizeof h + h.name_size + h.key_size + a->size), 0};
    if (in.data == NULL)
        return NULL;
    char *at = in.data;
    memcpy(at, &h, sizeof h);
    memcpy(at += sizeof h, a->name, h.name_size);
    at += h.name_size;
    if (h.key_size > 0)
        memcpy(at, a->key, h.key_size);
    if (a->size > 0)
        memcpy(at + h.key_size, a->value, a->size);
    in.len = sizeof h + h.name_size + h.key_size + a->size;
    weft_future *f = weft_manager_call_job(m, job, &in);
    free(in.data);
    return f;
}

static int64_t ask_number(const char *function, weft_manager *m,
                          const struct weft_job *job, const struct ask *a)
{
    int64_t number = 0;
    weft_future *f = ask(function, m, job, a);
    int rc = f != NULL ? weft_result(f, &number) : -ENOMEM;
    return rc < 0 ? rc : number;
}

static int ask_bytes(const char *function, weft_manager *m,
                     const struct weft_job *job, const struct ask *a,
                     struct weft_bytes *out)
{
    weft_future *f = ask(function, m, job, a);
    return f != NULL ? weft_result(f, out) : -ENOMEM;
}

int weft_dict_set(weft_manager *m, const char *dict, const char *key,
                  const void *value, size_t size)
{
    wi_need(m);
    wi_need(key);
    wi_need_some(value, size);
    return (int)ask_number(__func__, m, &weft_job_weft_store_dict_set,
                           &(struct ask){dict, key, value, size, 0});
}

int weft_dict_get(weft_manager *m, const char *dict, const char *key,
                  struct weft_bytes *value)
{
    wi_need(m);
    wi_need(key);
    wi_need(value);
    return ask_bytes(__func__, m, &weft_job_weft_store_dict_get,
                     &(struct ask){.name = dict, .key = key}, value);
}

int weft_dict_remove(weft_manager *m, const char *dict, const char *key)
{
    wi_need(m);
    wi_need(key);
    return (int)ask_number(__func__, m, &weft_job_weft_store_dict_remove,
                           &(struct ask){.name = dict, .key = key});
}

ssize_t weft_dict_size(weft_manager *m, const char *dict)
{
    wi_need(m);
    return (ssize_t)ask_number(__func__, m, &weft_job_weft_store_size,
                               &(struct ask){.name = dict});
}

int weft_dict_key(weft_manager *m, const char *dict, size_t place,
                  struct weft_text *key)
{
    wi_need(m);
    wi_need(key);
    struct weft_bytes bytes;
    int rc = ask_bytes(__func__, m, &weft_job_weft_store_dict_key,
                       &(struct ask){.name = dict, .number = (int64_t)place},
                       &bytes);
    if (rc < 0)
        return rc;
    *key = weft_text("%.*s", (int)bytes.len, (const char *)bytes.data);
    bool whole = bytes.len < sizeof key->s;
    weft_bytes_free(&bytes);
    return whole ? 0 : -WEFT_ETOOBIG;
}

ssize_t weft_list_append(weft_manager *m, const char *list, const void *value,
                         size_t size)
{
    wi_need(m);
    wi_need_some(value, size);
    return (ssize_t)ask_number(
        __func__, m, &weft_job_weft_store_list_append,
        &(struct ask){.name = list, .value = value, .size = size});
}

int weft_list_get(weft_manager *m, const char *list, ssize_t index,
                  struct weft_bytes *value)
{
    wi_need(m);
    wi_need(value);
    return ask_bytes(__func__, m, &weft_job_weft_store_list_get,
                     &(struct ask){.name = list, .number = index}, value);
}

int weft_list_pop(weft_manager *m, const char *list, ssize_t index,
                  struct weft_bytes *value)
{
    wi_need(m);
    wi_need(value);
    return ask_bytes(__func__, m, &weft_job_weft_store_list_pop,
                     &(struct ask){.name = list, .number = index}, value);
}

ssize_t weft_list_size(weft_manager *m, const char *list)
{
    wi_need(m);
    return (ssize_t)ask_number(__func__, m, &weft_job_weft_store_size,
                               &(struct ask){.name = list, .number = 1});
}

int weft_count(weft_manager *m, const char *counter, int64_t n, int64_t *value)
{
    wi_need(m);
    int64_t number = 0;
    weft_future *f = ask(__func__, m, &weft_job_weft_store_count,
                         &(struct ask){.name = counter, .number = n});
    int rc = f != NULL ? weft_result(f, &number) : -ENOMEM;
    if (rc >= 0 && value != NULL)
        *value = number;
    return rc;
}
