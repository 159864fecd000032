// SPDX-License-Identifier: MIT
//
// authority.h: certificates for tests, made by OpenSSL when they are needed:
// an authority, and what it has signed, as files in a folder that is removed at
// the end of the case's process.
#ifndef AUTHORITY_H
#define AUTHORITY_H

// Makes the folder and in it ca.pem. Files are named by what is asked for.
void authority_begin(void);

// The path of a file in the folder; of the last eight calls.
const char *authority_path(const char *name);

// Makes NAME.pem (certificate) and NAME.key for the host names in `hosts`
// ("DNS:a,IP:127.0.0.1"), valid from `from` to `to` days from now, signed by
// the authority, or by itself if `alone`.
void authority_issue(const char *name, const char *hosts, int from, int to,
                     int alone);

// The same with `links` authorities between it and the one that is trusted; all
// of them stand in NAME.pem.
void authority_issue_far(const char *name, const char *hosts, int links);

// Encrypts NAME.key.
void authority_encrypt(const char *name, const char *password);

#endif
