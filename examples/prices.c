// SPDX-License-Identifier: MIT
//
// prices: messages between two machines. Both sides show a certificate of the
// same authority, or nothing is said.
//
//     prices FILE AUTHORITY               serves; FILE has certificate and key
//     prices FILE AUTHORITY HOST PORT     asks
#include <stdio.h>
#include <weft.h>
#include <weft/tls.h>

#include "port.h"

static int serve(const char *own, const char *authority)
{
    struct weft_address address;
    weft_connection_listener *l;
    weft_connection *c;
    char name[64], why[200];
    ssize_t n;
    int rc = weft_tls_connection_listen("localhost", 0, &l, .certificate = own,
                                        .authorities = authority, .why = why,
                                        .why_size = sizeof(why));

    if (rc < 0) {
        fprintf(stderr, "prices: %s\n", why);
        return rc;
    }
    weft_tls_connection_address(l, &address);
    printf("listening on port %d\n", weft_address_port(&address));
    fflush(stdout);
    while ((rc = weft_connection_accept(l, &c)) == 0) {
        while ((n = weft_connection_receive(c, name, sizeof(name))) > 0) {
            double price = 1.25 * (double)n; // by the letter
            weft_connection_send(c, &price, sizeof(price));
        }
        weft_connection_close(c);
    }
    weft_connection_listener_close(l);
    return rc;
}

static int ask(const char *own, const char *authority, const char *host,
               uint16_t port)
{
    weft_connection *c;
    char why[200];
    double price;
    int rc = weft_tls_connection_open(host, port, &c, .certificate = own,
                                      .authorities = authority, .why = why,
                                      .why_size = sizeof(why));

    if (rc < 0) {
        fprintf(stderr, "prices: %s: %s\n", weft_error_name(rc), why);
        return rc;
    }
    rc = weft_connection_send(c, "pear", 4);
    if (rc == 0)
        rc = (int)weft_connection_receive(c, &price, sizeof(price));
    if (rc > 0)
        printf("a pear is %.2f\n", price);
    weft_connection_close(c);
    return rc;
}

int main(int argc, char **argv)
{
    if (argc != 3 && argc != 5) {
        fprintf(stderr, "usage: prices FILE AUTHORITY [HOST PORT]\n");
        return 2;
    }
    return (argc == 3 ? serve(argv[1], argv[2])
                      : ask(argv[1], argv[2], argv[3], port_of(argv[4]))) < 0;
}
