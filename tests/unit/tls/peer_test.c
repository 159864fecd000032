// SPDX-License-Identifier: MIT
//
// Who the two sides are: keys that are encrypted, and what each is told of the
// other's certificate.
#include "link.h"

#include <openssl/x509.h>

static void has(const char *why, const char *part)
{
    ck_assert_msg(strstr(why, part) != NULL, "no \"%s\" in: %s", part, why);
}

static int try_key(weft_tls **tls, const char *password, char *why, size_t size)
{
    const struct weft_tls_options options = {
        .size = sizeof(options),
        .certificate = authority_path("server.pem"),
        .key = authority_path("server.key"),
        .password = password,
    };

    return weft_tls_server_with(tls, &options, why, size);
}

KIT_TASK(an_encrypted_key_needs_its_password)
{
    static const char *const wrong[] = {NULL, "", "open", "open sesame "};
    char why[300];
    weft_tls *server;

    authority_begin();
    authority_issue("server", "DNS:here.test", -1, 10, 0);
    authority_encrypt("server", "open sesame");
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        kit_assert_code(try_key(&server, wrong[i], why, sizeof(why)),
                        -WEFT_ECERT);
        has(why, "server.key");
        has(why, "encrypted");
        has(why, i == 0 ? "there is no .password" : "not with this");
    }
    kit_assert_code(try_key(&server, "open sesame", why, sizeof(why)), 0);
    weft_tls *client = client_config();
    struct link l;
    connect_in_memory(&l, client, server, "here.test");
    ck_assert_msg(l.code == 0, "%s", l.why);
    close_link(&l);
    weft_tls_unref(client);
    weft_tls_unref(server);
}

// A password too long for OpenSSL is not cut.
KIT_TASK(a_password_is_used_whole_or_not)
{
    char why[300], longest[4096];
    weft_tls *server;

    authority_begin();
    authority_issue("server", "DNS:here.test", -1, 10, 0);
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    authority_encrypt("server", "open sesame");
    kit_assert_code(try_key(&server, longest, why, sizeof(why)), -WEFT_ECERT);
    has(why, "not with this");
}

static void check_peer(weft_stream *s, const char *name)
{
    struct weft_tls_info info = {.size = sizeof(info)}, again = info;
    const unsigned char *at;

    kit_assert_code(weft_tls_info(s, &info), 0);
    ck_assert_str_eq(info.peer, name);
    if (*name == '\0') {
        ck_assert_ptr_null(info.certificate);
        ck_assert_uint_eq(info.certificate_size, 0);
        return;
    }
    at = info.certificate;
    X509 *shown = d2i_X509(NULL, &at, (long)info.certificate_size);
    ck_assert_ptr_nonnull(shown);
    ck_assert_ptr_eq(at,
                     (const char *)info.certificate + info.certificate_size);
    X509_free(shown);
    // texts live as long as the stream: a second look gives the same
    kit_assert_code(weft_tls_info(s, &again), 0);
    ck_assert_ptr_eq(again.peer, info.peer);
    ck_assert_ptr_eq(again.certificate, info.certificate);
}

KIT_BOTH(each_side_is_told_who_the_other_is, .timeout = 20)
{
    struct link l;

    authority_begin();
    authority_issue("server", "DNS:here.test", -1, 10, 0);
    authority_issue("M\xc3\xbcller,O=Bank", "DNS:there.test", -1, 10, 0);
    weft_tls *server = mutual_config(true, "server");
    weft_tls *client = mutual_config(false, "M\xc3\xbcller,O=Bank");
    for (int i = 0; i < 2; i++) { // the second time an earlier session goes on
        connect_in_memory(&l, client, server, "here.test");
        ck_assert_msg(l.code == 0, "%s", l.why);
        say(l.server.stream, "x"); // after the tickets
        hear(l.client, "x");
        check_peer(l.client, "CN=server");
        check_peer(l.server.stream, "CN=M\xc3\xbcller\\,O=Bank");
        close_link(&l);
    }
    weft_tls_unref(client);
    weft_tls_unref(server);
}

KIT_TASK(who_shows_nothing_is_nobody)
{
    struct link l;
    struct weft_tls_info old = {
        .size = offsetof(struct weft_tls_info, peer),
        .peer = "mine",
    };

    authority_begin();
    authority_issue("server", "DNS:here.test", -1, 10, 0);
    weft_tls *client = client_config(), *server = server_config("server");
    connect_in_memory(&l, client, server, "here.test");
    ck_assert_msg(l.code == 0, "%s", l.why);
    check_peer(l.server.stream, "");
    kit_assert_code(weft_tls_info(l.client, &old), 0);
    ck_assert_str_eq(old.peer, "mine"); // who does not know of it
    close_link(&l);
    weft_tls_unref(client);
    weft_tls_unref(server);
}

WEFT_TEST_MAIN("tls.peer")
