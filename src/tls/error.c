// SPDX-License-Identifier: MIT
#include "tls/config.h"

#include <errno.h>
#include <stdio.h>

#include <openssl/err.h>
#include <openssl/x509_vfy.h>

#include <weft/error.h>

static int certificate_code(long result)
{
    switch (result) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return -WEFT_ECERTEXPIRED;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return -WEFT_ECERTHOST;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_UNTRUSTED:
    case X509_V_ERR_CERT_REJECTED:
        return -WEFT_ECERTUNTRUSTED;
    default:
        return -WEFT_ECERT;
    }
}

// The first error of the list; the later ones say where it was noticed.
static int first_error(unsigned long error, char *why, size_t size)
{
    if (ERR_SYSTEM_ERROR(error)) {
        int code = ERR_GET_REASON(error);

        snprintf(why, size, "%s", weft_strerror(code));
        return code > 0 ? -code : -WEFT_ETLS;
    }
    if (error != 0) {
        const char *reason = ERR_reason_error_string(error);

        snprintf(why, size, "%s", reason ? reason : "unknown error");
    } else {
        snprintf(why, size, "the peer broke the connection off");
    }
    if (ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE)
        return -ENOMEM;
    if (ERR_GET_LIB(error) == ERR_LIB_SSL &&
        ERR_GET_REASON(error) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
        return -WEFT_EENDED;
    return -WEFT_ETLS;
}

int wi_tls_error(const SSL *ssl, char *why, size_t size)
{
    unsigned long error = ERR_peek_error();
    long verify = ssl ? SSL_get_verify_result(ssl) : X509_V_OK;
    char unused[1];
    int code;

    if (why == NULL || size == 0) {
        why = unused;
        size = sizeof(unused);
    }
    if (verify != X509_V_OK && (SSL_get_verify_mode(ssl) & SSL_VERIFY_PEER) &&
        ERR_GET_REASON(error) == SSL_R_CERTIFICATE_VERIFY_FAILED) {
        snprintf(why, size, "the certificate of the peer: %s",
                 X509_verify_cert_error_string(verify));
        code = certificate_code(verify);
    } else {
        code = first_error(error, why, size);
    }
    ERR_clear_error();
    return code;
}

void wi_tls_no_reason(char *why, size_t size)
{
    if (why != NULL && size > 0)
        why[0] = '\0';
}

int wi_tls_explain(char *why, size_t size, int code, const char *text)
{
    if (why != NULL && size > 0 && why[0] == '\0')
        snprintf(why, size, "%s", text != NULL ? text : weft_strerror(code));
    return code;
}
