// SPDX-License-Identifier: MIT
// The words of a queue in an arena after a participant has gone mad: opening,
// putting and getting stay within the ring. (Who holds a lock is believed:
// these words are left alone.)
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <weft.h>

#include "shared/queue.h"

static void spoil(struct wi_shared_queue *s, const uint8_t *data, size_t size)
{
    // Triples: which 4 bytes, and what is added to them.
    for (size_t i = 0; i + 5 <= size; i += 5) {
        size_t at = data[i] % (sizeof *s / 4) * 4;
        uint32_t word, add;
        memcpy(&word, (char *)s + at, 4);
        memcpy(&add, data + i + 1, 4);
        word += add;
        memcpy((char *)s + at, &word, 4);
    }
    s->put.lock.word = s->get.lock.word = 0;
}

static void use(weft_queue *q, bool records)
{
    char item[256] = {0};
    for (int i = 0; i < 4; i++) {
        if (records) {
            weft_queue_put_bytes(q, item, (size_t)i * 7, .nowait = true);
            weft_queue_get_bytes(q, item, sizeof item, .nowait = true);
        } else {
            weft_queue_try_put(q, item);
            weft_queue_try_get(q, item);
            weft_queue_get_n(q, item, 8, .nowait = true);
        }
    }
    weft_queue_size(q);
    weft_queue_full(q);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    weft_arena *a;
    if (size < 1 || weft_arena_new(1 << 20, &a) < 0)
        return 0;
    bool records = data[0] & 1;
    weft_queue *q = records
                        ? weft_queue_new(.arena = a, .bytes = 256)
                        : weft_queue_new(.arena = a, .item = 8, .maxsize = 5);
    struct weft_arena_ref ref = weft_queue_ref(q);
    struct wi_shared_queue *s = weft_arena_at(a, ref.at);
    if (data[0] & 2) // before it is opened, or after
        spoil(s, data + 1, size - 1);
    weft_queue *other = weft_queue_open(ref);
    // What stands there may be of the other kind by now: that is refused.
    bool opened = s->item == (records ? 0 : 8);
    if (!(data[0] & 2))
        spoil(s, data + 1, size - 1);
    if (opened || !(data[0] & 2))
        use(other, records);
    use(q, records);
    weft_queue_free(other);
    weft_queue_free(q);
    weft_arena_close(a);
    return 0;
}
