/* SPDX-License-Identifier: Apache-2.0
 *
 * Protocol between an extension's process and outboardd, on the socket "control" that it inherits
 * (OUTBOARD_FDS). liboutboard speaks it; no handshake: the descriptor is the identity.
 */
#ifndef OB_MANAGER_EXTENSION_WIRE_H
#define OB_MANAGER_EXTENSION_WIRE_H

#include "base/wire.h"

enum {
	EXTENSION_READY =
		16, /* no body: the extension is up. Sent once, by the first call that makes it so */
	EXTENSION_IDENTIFY = 17, /* no body, one pidfd: who is that process? answered by IDENTITY */
	EXTENSION_IDENTITY = 18, /* struct extension_identity, reply */
};

struct extension_identity {
	int32_t status; /* 0; -ESRCH gone; -ENOENT not from a bundle: path alone is filled */
	uint32_t entitlement_bits; /* bundle/bundle.h */
	char identifier[256];
	char team[16];
	char digest[65];
	char reserved[7];
	char entitlements[8192]; /* JSON */
	char path[4096];	 /* of the executable */
};

#endif
