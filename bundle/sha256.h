/* SPDX-License-Identifier: Apache-2.0
 *
 * SHA-256 (FIPS 180-4) of something small, for processes that do not link OpenSSL: outboardd asks
 * for the digest of one manifest. What hashes whole bundles is the worker, with OpenSSL.
 */
#ifndef OB_BUNDLE_SHA256_H
#define OB_BUNDLE_SHA256_H

#include <stddef.h>

#define SHA256_BYTES 32

void sha256(const void *data, size_t bytes, unsigned char ret[static SHA256_BYTES]);

#endif
