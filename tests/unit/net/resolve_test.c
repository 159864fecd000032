// SPDX-License-Identifier: MIT
#include "net_test.h"

#include <netinet/in.h>

KIT_BOTH(numbers_and_names)
{
    struct weft_address list[8];
    char text[64];

    kit_assert_code(weft_resolve("127.0.0.1", 80, list, 8), 1);
    weft_address_text(&list[0], text, sizeof(text));
    ck_assert_str_eq(text, "127.0.0.1:80");
    kit_assert_code(weft_resolve("::1", 80, list, 8), 1);
    kit_assert_code(weft_resolve("::1", 80, list, 8, .family = AF_INET),
                    -WEFT_ENOHOST);
    ssize_t n = weft_resolve("localhost", 443, list, 8, .family = AF_INET);
    ck_assert_int_ge(n, 1);
    weft_address_text(&list[0], text, sizeof(text));
    ck_assert_msg(strstr(text, "127.") == text && strstr(text, ":443"), "%s",
                  text);
    // with no room there is still an answer
    ck_assert_int_ge(weft_resolve("localhost", 1, NULL, 0), 1);
    ck_assert_int_ge(weft_resolve(NULL, 1, list, 8, .passive = true), 1);
}

KIT_BOTH(names_that_cannot_be)
{
    struct weft_address list[1];
    char name[400];

    memset(name, 'a', sizeof(name));
    for (size_t i = 50; i < sizeof(name); i += 50)
        name[i] = '.';
    name[254] = '\0';
    kit_assert_code(weft_resolve(name, 1, list, 1), -ENAMETOOLONG);
    memset(name, 'a', 64);
    name[64] = '\0';
    kit_assert_code(weft_resolve(name, 1, list, 1), -ENAMETOOLONG);
    strcpy(name + 64, ".example.");
    kit_assert_code(weft_resolve(name, 1, list, 1), -ENAMETOOLONG);
    kit_assert_code(weft_resolve("", 1, list, 1), -EINVAL);
    weft_stream *s;
    kit_assert_code(weft_tcp_connect(name, 1, &s), -ENAMETOOLONG);
}

// "invalid" is a domain that never exists (RFC 6761). A machine without a name
// server cannot know.
KIT_BOTH(names_that_are_not, .timeout = 60)
{
    struct weft_address list[1];
    ssize_t n = weft_resolve("host.invalid", 1, list, 1);

    ck_assert_msg(n == -WEFT_ENOHOST || n == -WEFT_ERESOLVE, "%s",
                  weft_error_name((int)n));
}

KIT_BOTH(a_deadline_and_a_cancel)
{
    struct weft_address list[1];

    {
        WEFT_TIMEOUT(0);
        kit_assert_code(weft_resolve("127.0.0.1", 1, list, 1), -ETIMEDOUT);
        kit_assert_code(weft_resolve("localhost", 1, list, 1), -ETIMEDOUT);
    }
    for (int i = 0; i < 200; i++) { // some before, some after the answer
        WEFT_TIMEOUT(i * 1e-6);
        ssize_t n = weft_resolve("localhost", 1, list, 1);
        ck_assert_msg(n >= 1 || n == -ETIMEDOUT, "%s", weft_error_name((int)n));
    }
}

static int look_up(void *arg)
{
    struct weft_address list[1];
    ssize_t n = weft_resolve("localhost", 1, list, 1, .family = AF_INET);

    (void)arg;
    return n < 0 ? (int)n : 0;
}

KIT_BOTH(many_at_once)
{
    enum { MANY = 100 };
    weft_future *tasks[MANY];

    for (int i = 0; i < MANY; i++)
        tasks[i] = weft_task_start(look_up, NULL);
    for (int i = 0; i < MANY; i++)
        kit_assert_code(weft_join(tasks[i]), 0);
}

KIT_BOTH(addresses_to_names)
{
    struct weft_address address;
    char host[1025];

    kit_assert_code(weft_address_parse(&address, "127.0.0.1", 0), 0);
    int rc = weft_resolve_name(&address, host, sizeof(host));
    if (rc == 0) {
        ck_assert_str_ne(host, "");
        kit_assert_code(weft_resolve_name(&address, host, 1), -ENAMETOOLONG);
    } else {
        ck_assert_msg(rc == -WEFT_ENOHOST || rc == -WEFT_ERESOLVE, "%s",
                      weft_error_name(rc));
    }
}

WEFT_TEST_MAIN("resolve")
