// SPDX-License-Identifier: MIT
#include "authority.h"

#include "weft_test.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

static char folder[64];
static pid_t owner;
static EVP_PKEY *ca_key;
static X509 *ca;

const char *authority_path(const char *name)
{
    static char paths[8][200];
    static int next;
    char *path = paths[next++ % 8];

    snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
    return path;
}

static void remove_folder(void)
{
    char command[100];

    if (getpid() != owner)
        return;
    snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    if (system(command) != 0)
        fprintf(stderr, "%s stays\n", folder);
}

static void write_key(const char *path, EVP_PKEY *key, const char *password)
{
    FILE *file = fopen(path, "w");

    ck_assert_ptr_nonnull(file);
    ck_assert(PEM_write_PrivateKey(file, key,
                                   password ? EVP_aes_256_cbc() : NULL, NULL, 0,
                                   NULL, (void *)(uintptr_t)password));
    fclose(file);
}

static void append_certificate(const char *path, const char *mode,
                               X509 *certificate)
{
    FILE *file = fopen(path, mode);

    ck_assert_ptr_nonnull(file);
    ck_assert(PEM_write_X509(file, certificate));
    fclose(file);
}

static void write_certificate(const char *path, X509 *certificate)
{
    append_certificate(path, "w", certificate);
}

static void extend(X509 *certificate, X509 *issuer, int what, const char *text)
{
    X509V3_CTX context;
    X509_EXTENSION *extension;

    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &context, what, text);
    ck_assert_ptr_nonnull(extension);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

static X509 *new_certificate(const char *name, EVP_PKEY *key, X509 *issuer,
                             int from, int to)
{
    X509 *made = X509_new();
    X509_NAME *subject = X509_get_subject_name(made);
    static long serial = 1;

    X509_set_version(made, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(made), serial++);
    X509_gmtime_adj(X509_getm_notBefore(made), from * 86400L);
    X509_gmtime_adj(X509_getm_notAfter(made), to * 86400L);
    X509_set_pubkey(made, key);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                               (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(made,
                         issuer ? X509_get_subject_name(issuer) : subject);
    return made;
}

void authority_begin(void)
{
    strcpy(folder, "/tmp/weft_tls_XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    owner = getpid();
    atexit(remove_folder);
    ca_key = EVP_EC_gen("P-256");
    ca = new_certificate("Test Authority", ca_key, NULL, -1, 100);
    extend(ca, ca, NID_basic_constraints, "critical,CA:TRUE");
    extend(ca, ca, NID_key_usage, "critical,keyCertSign,cRLSign");
    ck_assert(X509_sign(ca, ca_key, EVP_sha256()));
    write_certificate(authority_path("ca.pem"), ca);
}

void authority_issue(const char *name, const char *hosts, int from, int to,
                     int alone)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *made = new_certificate(name, key, alone ? NULL : ca, from, to);
    char file[100];

    extend(made, alone ? made : ca, NID_subject_alt_name, hosts);
    ck_assert(X509_sign(made, alone ? key : ca_key, EVP_sha256()));
    snprintf(file, sizeof(file), "%s.pem", name);
    write_certificate(authority_path(file), made);
    snprintf(file, sizeof(file), "%s.key", name);
    write_key(authority_path(file), key, NULL);
    X509_free(made);
    EVP_PKEY_free(key);
}

void authority_issue_far(const char *name, const char *hosts, int links)
{
    EVP_PKEY *keys[1000] = {ca_key};
    X509 *made[1000] = {ca};
    char file[100], between[32];

    ck_assert_int_lt(links + 1, 1000);
    for (int i = 1; i <= links + 1; i++) {
        bool last = i == links + 1;

        snprintf(between, sizeof(between), "Between %d", i);
        keys[i] = EVP_EC_gen("P-256");
        made[i] =
            new_certificate(last ? name : between, keys[i], made[i - 1], -1, 1);
        if (last)
            extend(made[i], made[i - 1], NID_subject_alt_name, hosts);
        else
            extend(made[i], made[i - 1], NID_basic_constraints,
                   "critical,CA:TRUE");
        ck_assert(X509_sign(made[i], keys[i - 1], EVP_sha256()));
    }
    snprintf(file, sizeof(file), "%s.key", name);
    write_key(authority_path(file), keys[links + 1], NULL);
    snprintf(file, sizeof(file), "%s.pem", name);
    for (int i = links + 1; i > 0; i--) {
        append_certificate(authority_path(file), i == links + 1 ? "w" : "a",
                           made[i]);
        X509_free(made[i]);
        EVP_PKEY_free(keys[i]);
    }
}

void authority_encrypt(const char *name, const char *password)
{
    char path[100];
    FILE *file;
    EVP_PKEY *key;

    snprintf(path, sizeof(path), "%s.key", name);
    file = fopen(authority_path(path), "r");
    ck_assert_ptr_nonnull(file);
    key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
    ck_assert_ptr_nonnull(key);
    fclose(file);
    write_key(authority_path(path), key, password);
    EVP_PKEY_free(key);
}
