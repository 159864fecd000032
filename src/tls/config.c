// SPDX-License-Identifier: MIT
//
// config.c: configurations, and the sessions that a client remembers.
//
// A session of TLS 1.3 comes after the handshake, from a callback in the middle
// of reading; it is kept under the connection's key, and taken out again by the
// next connection, since it should be used once. The table is small; the entry
// that was used longest ago gives way.
#include "tls/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>

#include <weft/error.h>

#include "base/options.h"
#include "os/report.h"

enum { HOST_ROOM = 256 }; // for a name, with the NUL

static int key_index = -1;    // of a connection's key, in its SSL
static int chosen_index = -1; // of the configuration that was chosen for it
static pthread_once_t index_once = PTHREAD_ONCE_INIT;

// Configurations that were given back for good while somebody chose: one of
// them may be what comes out of that.
static pthread_mutex_t choosing_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned choosing; // calls of .choose
static weft_tls *unwanted;

static void free_key(void *parent, void *ptr, CRYPTO_EX_DATA *data, int index,
                     long argl, void *argp)
{
    (void)parent;
    (void)data;
    (void)index;
    (void)argl;
    (void)argp;
    free(ptr);
}

static void free_chosen(void *parent, void *ptr, CRYPTO_EX_DATA *data,
                        int index, long argl, void *argp)
{
    (void)parent;
    (void)data;
    (void)index;
    (void)argl;
    (void)argp;
    weft_tls_unref(ptr);
}

static void make_indices(void)
{
    key_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, free_key);
    chosen_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, free_chosen);
}

// Sessions --------------------------------------------------------------------

static void forget(struct session *s)
{
    free(s->key);
    SSL_SESSION_free(s->session);
    *s = (struct session){0};
}

static struct session *find(weft_tls *tls, const char *key)
{
    for (int i = 0; i < SESSIONS; i++)
        if (tls->sessions[i].key != NULL && !strcmp(tls->sessions[i].key, key))
            return &tls->sessions[i];
    return NULL;
}

static struct session *oldest(weft_tls *tls)
{
    struct session *found = &tls->sessions[0];

    for (int i = 1; i < SESSIONS; i++)
        if (tls->sessions[i].used < found->used)
            found = &tls->sessions[i];
    return found;
}

// The callback for a new session. 1: it is kept, and was our reference.
static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    weft_tls *tls = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    const char *key = SSL_get_ex_data(ssl, key_index);
    char *copy = key != NULL ? strdup(key) : NULL;
    struct session *place;

    if (copy == NULL)
        return 0;
    pthread_mutex_lock(&tls->lock);
    place = find(tls, key);
    if (place == NULL)
        place = oldest(tls);
    forget(place);
    *place = (struct session){copy, session, ++tls->uses};
    pthread_mutex_unlock(&tls->lock);
    return 1;
}

void wi_tls_sessions_use(weft_tls *tls, SSL *ssl, const char *key)
{
    char *copy = strdup(key);
    struct session *place;

    if (copy == NULL || !SSL_set_ex_data(ssl, key_index, copy)) {
        free(copy);
        return;
    }
    pthread_mutex_lock(&tls->lock);
    place = find(tls, key);
    if (place != NULL) {
        SSL_set_session(ssl, place->session);
        forget(place);
    }
    pthread_mutex_unlock(&tls->lock);
}

// Making ----------------------------------------------------------------------

// "h2,http/1.1" as a list of counted names.
static int set_protocols(weft_tls *tls, const char *text)
{
    while (*text != '\0') {
        size_t n = strcspn(text, ",");

        if (n == 0 || n > 255 ||
            tls->protocols_size + 1 + n > sizeof(tls->protocols))
            return -EINVAL;
        tls->protocols[tls->protocols_size] = (unsigned char)n;
        memcpy(tls->protocols + tls->protocols_size + 1, text, n);
        tls->protocols_size += (unsigned)n + 1;
        text += n + (text[n] == ',' && text[n + 1] != '\0');
        if (*text == ',')
            return -EINVAL;
    }
    return 0;
}

// The server's choice: its own preferred protocol that the client has too. No
// protocol in common ends the handshake.
static int choose_protocol(SSL *ssl, const unsigned char **out,
                           unsigned char *out_size, const unsigned char *in,
                           unsigned in_size, void *arg)
{
    const weft_tls *tls = arg;
    unsigned char *chosen;

    (void)ssl;
    if (SSL_select_next_proto(&chosen, out_size, tls->protocols,
                              tls->protocols_size, in,
                              in_size) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

// The name in a client's extension, which has this one form: the length of the
// list, the kind of its only name, and that name with its length. False: it has
// another. RFC 6066, 3.
static bool read_name(const unsigned char *list, size_t size,
                      char name[HOST_ROOM])
{
    size_t length = size > 5 ? size - 5 : 0;

    if (length == 0 || length >= HOST_ROOM ||
        (size_t)(list[0] << 8 | list[1]) != length + 3 ||
        list[2] != TLSEXT_NAMETYPE_host_name ||
        (size_t)(list[3] << 8 | list[4]) != length ||
        memchr(list + 5, '\0', length) != NULL)
        return false;
    memcpy(name, list + 5, length);
    name[length] = '\0';
    return true;
}

// The ends of those that nobody has chosen. Under the lock.
static weft_tls *take_unwanted(void)
{
    weft_tls *over = NULL, *next;

    for (weft_tls *tls = unwanted; tls != NULL; tls = next) {
        next = tls->next;
        tls->unwanted = false;
        // relaxed: only under the lock is it 0, or more again
        if (__atomic_load_n(&tls->refs, __ATOMIC_RELAXED) > 0)
            continue;
        tls->next = over;
        over = tls;
    }
    unwanted = NULL;
    return over;
}

static void end(weft_tls *tls)
{
    for (int i = 0; i < SESSIONS; i++)
        forget(&tls->sessions[i]);
    SSL_CTX_free(tls->context);
    pthread_mutex_destroy(&tls->lock);
    free(tls);
}

// A reference to what the program chooses. Another thread may give that back
// before we have it (new certificates), so nothing ends meanwhile.
static weft_tls *choose(const weft_tls *tls, const char *name)
{
    weft_tls *chosen, *over = NULL;

    pthread_mutex_lock(&choosing_lock);
    choosing++;
    pthread_mutex_unlock(&choosing_lock);
    chosen = tls->choose(name, tls->arg);
    pthread_mutex_lock(&choosing_lock);
    if (chosen != NULL)
        wi_tls_ref(chosen);
    if (--choosing == 0)
        over = take_unwanted();
    pthread_mutex_unlock(&choosing_lock);
    while (over != NULL) {
        weft_tls *next = over->next;

        end(over);
        over = next;
    }
    return chosen;
}

// The connection has it to its end: OpenSSL's own reference keeps the context
// only, whose callbacks want all of it. False: no memory.
static bool keep_chosen(SSL *ssl, weft_tls *chosen)
{
    weft_tls *before = SSL_get_ex_data(ssl, chosen_index);

    if (!SSL_set_ex_data(ssl, chosen_index, chosen)) {
        weft_tls_unref(chosen);
        return false;
    }
    weft_tls_unref(before);
    return true;
}

// At the client's first word, before anything is made of it: later the session
// that it wants to go on with would have been looked for in the wrong place.
// OpenSSL gives the connection the other's certificate and the name of its
// sessions, but not what it asks of its clients.
static int choose_host(SSL *ssl, int *alert, void *arg)
{
    weft_tls *tls = arg, *chosen;
    const unsigned char *list;
    char name[HOST_ROOM] = "";
    size_t size;

    *alert = SSL_AD_DECODE_ERROR;
    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &list, &size) &&
        !read_name(list, size, name))
        return SSL_CLIENT_HELLO_ERROR;
    *alert = SSL_AD_UNRECOGNIZED_NAME;
    chosen = choose(tls, name);
    if (chosen == NULL || !keep_chosen(ssl, chosen) ||
        SSL_set_SSL_CTX(ssl, chosen->context) == NULL)
        return SSL_CLIENT_HELLO_ERROR;
    SSL_set_verify(ssl, SSL_CTX_get_verify_mode(chosen->context), NULL);
    return SSL_CLIENT_HELLO_SUCCESS;
}

// Tells the client that its name is known, and has it kept with the session.
static int welcome_host(SSL *ssl, int *alert, void *arg)
{
    (void)ssl;
    (void)alert;
    (void)arg;
    return SSL_TLSEXT_ERR_OK;
}

// A file that cannot be opened is the system's error, with its name.
static int check_file(const char *path, char *why, size_t size)
{
    if (path == NULL || access(path, R_OK) == 0)
        return 0;
    int code = -errno;
    snprintf(why, size, "%s: %s", path, weft_strerror(code));
    return code;
}

static int bad_file(const char *path, char *why, size_t size)
{
    char text[200];

    wi_tls_error(NULL, text, sizeof(text));
    snprintf(why, size, "%s: %s", path, text);
    return -WEFT_ECERT;
}

struct secret {
    const char *password;
    bool wanted; // a file was encrypted
};

// OpenSSL asks for a password here; left alone it would ask the terminal, and a
// service would hang at its start.
static int tell_password(char *buf, int size, int writing, void *arg)
{
    struct secret *secret = arg;
    size_t length;

    (void)writing;
    if (secret == NULL)
        return -1;
    secret->wanted = true;
    length = secret->password != NULL ? strlen(secret->password) : 0;
    if (length == 0 || length > (size_t)size)
        return -1;
    memcpy(buf, secret->password, length);
    return (int)length;
}

static int bad_key(const char *path, const struct secret *secret, char *why,
                   size_t size)
{
    int rc = bad_file(path, why, size);

    if (secret->wanted)
        snprintf(why, size, "%s: the key is encrypted, and %s", path,
                 secret->password == NULL ? "there is no .password for it"
                                          : "not with this .password");
    return rc;
}

static int load_key(SSL_CTX *context, const char *key, const char *password,
                    char *why, size_t size)
{
    struct secret secret = {password, false};
    int loaded;

    SSL_CTX_set_default_passwd_cb_userdata(context, &secret);
    loaded = SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM);
    SSL_CTX_set_default_passwd_cb_userdata(context, NULL);
    if (loaded != 1)
        return bad_key(key, &secret, why, size);
    if (SSL_CTX_check_private_key(context) != 1)
        return bad_file(key, why, size);
    return 0;
}

static int load_own(SSL_CTX *context, const struct weft_tls_options *options,
                    char *why, size_t size)
{
    const char *certificate = options->certificate, *key = options->key;
    int rc = check_file(certificate, why, size);

    if (rc == 0)
        rc = check_file(key, why, size);
    if (rc < 0 || certificate == NULL)
        return rc;
    SSL_CTX_set_default_passwd_cb(context, tell_password);
    if (SSL_CTX_use_certificate_chain_file(context, certificate) != 1)
        return bad_file(certificate, why, size);
    return load_key(context, key != NULL ? key : certificate, options->password,
                    why, size);
}

static int load_trust(weft_tls *tls, const char *authorities, char *why,
                      size_t size)
{
    bool ask = tls->server ? authorities != NULL : !tls->unverified;
    int rc = check_file(authorities, why, size);

    if (rc < 0)
        return rc;
    if (authorities != NULL &&
        SSL_CTX_load_verify_file(tls->context, authorities) != 1)
        return bad_file(authorities, why, size);
    if (authorities == NULL && !tls->server)
        SSL_CTX_set_default_verify_paths(tls->context);
    if (authorities != NULL && tls->server)
        SSL_CTX_set_client_CA_list(tls->context,
                                   SSL_load_client_CA_file(authorities));
    SSL_CTX_set_verify(tls->context,
                       ask ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT
                           : SSL_VERIFY_NONE,
                       NULL);
    return 0;
}

static void set_callbacks(weft_tls *tls)
{
    static uint64_t last;
    SSL_CTX *context = tls->context;
    uint64_t number;

    SSL_CTX_set_app_data(context, tls);
    if (!tls->server) {
        SSL_CTX_set_session_cache_mode(
            context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
        SSL_CTX_sess_set_new_cb(context, keep_session);
        if (tls->protocols_size > 0)
            SSL_CTX_set_alpn_protos(context, tls->protocols,
                                    tls->protocols_size);
        return;
    }
    // Its sessions are no other's, which may ask more of its clients.
    // relaxed: a number of its own is all that is wanted
    number = __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED);
    SSL_CTX_set_session_id_context(context, (const unsigned char *)&number,
                                   sizeof(number));
    if (tls->protocols_size > 0)
        SSL_CTX_set_alpn_select_cb(context, choose_protocol, tls);
    if (tls->choose != NULL) {
        SSL_CTX_set_client_hello_cb(context, choose_host, tls);
        SSL_CTX_set_tlsext_servername_callback(context, welcome_host);
    }
}

static int set_up(weft_tls *tls, const struct weft_tls_options *options,
                  char *why, size_t size)
{
    int rc = 0;

    tls->context =
        SSL_CTX_new(tls->server ? TLS_server_method() : TLS_client_method());
    if (tls->context == NULL)
        return wi_tls_error(NULL, why, size);
    SSL_CTX_set_min_proto_version(tls->context, TLS1_2_VERSION);
    SSL_CTX_set_options(tls->context, SSL_OP_NO_RENEGOTIATION |
                                          SSL_OP_NO_COMPRESSION |
                                          SSL_OP_CIPHER_SERVER_PREFERENCE);
    // The buffers of a connection that is idle are given back.
    SSL_CTX_set_mode(tls->context, SSL_MODE_RELEASE_BUFFERS |
                                       SSL_MODE_ENABLE_PARTIAL_WRITE |
                                       SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (options->protocols != NULL)
        rc = set_protocols(tls, options->protocols);
    if (rc < 0)
        snprintf(why, size, "the list of protocols is malformed");
    if (rc == 0)
        rc = load_own(tls->context, options, why, size);
    if (rc == 0)
        rc = load_trust(tls, options->authorities, why, size);
    if (rc == 0)
        set_callbacks(tls);
    return rc;
}

static int make(weft_tls **made, const struct weft_tls_options *options,
                bool server, char *why, size_t size)
{
    char unused[1];
    weft_tls *tls;
    int rc;

    pthread_once(&index_once, make_indices);
    tls = calloc(1, sizeof(*tls));
    if (tls == NULL)
        return -ENOMEM;
    ERR_clear_error();
    pthread_mutex_init(&tls->lock, NULL);
    tls->refs = 1;
    tls->server = server;
    tls->unverified = options->unverified;
    tls->choose = options->choose;
    tls->arg = options->arg;
    rc = set_up(tls, options, why != NULL && size > 0 ? why : unused,
                why != NULL && size > 0 ? size : sizeof(unused));
    if (rc == 0)
        *made = tls;
    else
        weft_tls_unref(tls);
    return rc;
}

int weft_tls_client_with(weft_tls **tls, const struct weft_tls_options *options,
                         char *why, size_t why_size)
{
    wi_need(tls);
    WI_OPTIONS(options);
    int saved = errno, rc;

    wi_tls_no_reason(why, why_size);
    rc = make(tls, options, false, why, why_size);
    errno = saved;
    return rc < 0 ? wi_tls_explain(why, why_size, rc, NULL) : 0;
}

int weft_tls_server_with(weft_tls **tls, const struct weft_tls_options *options,
                         char *why, size_t why_size)
{
    wi_need(tls);
    WI_OPTIONS(options);
    int saved = errno, rc;

    wi_tls_no_reason(why, why_size);
    if (options->certificate == NULL && options->choose == NULL)
        return wi_tls_explain(why, why_size, -EINVAL,
                              "a server needs a certificate");
    rc = make(tls, options, true, why, why_size);
    errno = saved;
    return rc < 0 ? wi_tls_explain(why, why_size, rc, NULL) : 0;
}

void wi_tls_ref(weft_tls *tls)
{
    // relaxed: who has a reference may make another
    __atomic_add_fetch(&tls->refs, 1, __ATOMIC_RELAXED);
}

void weft_tls_unref(weft_tls *tls)
{
    bool over;

    if (tls == NULL)
        return;
    // relaxed: the exchange says whether it was right
    unsigned refs = __atomic_load_n(&tls->refs, __ATOMIC_RELAXED);
    // release: pairs with the acquire of the last one
    while (refs > 1)
        if (__atomic_compare_exchange_n(&tls->refs, &refs, refs - 1, true,
                                        __ATOMIC_RELEASE, __ATOMIC_RELAXED))
            return;
    pthread_mutex_lock(&choosing_lock);
    // acq_rel: the last one sees what the others have done
    over = __atomic_sub_fetch(&tls->refs, 1, __ATOMIC_ACQ_REL) == 0;
    if (over && choosing > 0) {
        over = false;
        if (!tls->unwanted) {
            tls->unwanted = true;
            tls->next = unwanted;
            unwanted = tls;
        }
    }
    pthread_mutex_unlock(&choosing_lock);
    if (over)
        end(tls);
}
