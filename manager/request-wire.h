/* SPDX-License-Identifier: Apache-2.0
 *
 * Protocol between a process that includes libSystemExtensions or liboutboard and outboardd, on
 * manager.sock. Wire form: base/wire.h. Order: both sides send WIRE_HELLO; outboardd sends
 * WIRE_NONCE and takes it back (base/peer.h); then everything else.
 *
 * A request is named by the id in the header, chosen by the client, never 0, unique among its open
 * ones. It ends with exactly one of FINISHED and FAILED. When the connection goes, its open
 * requests go; what they have brought about stays.
 */
#ifndef OB_MANAGER_REQUEST_WIRE_H
#define OB_MANAGER_REQUEST_WIRE_H

#include "base/rules.h"
#include "base/wire.h"

enum {
	/* client to outboardd */
	REQUEST_SUBMIT = 16,	     /* struct request_submit */
	REQUEST_REPLACE_ANSWER = 17, /* struct request_replace_answer, id of the request */
	REQUEST_CANCEL = 18,	     /* no body; ends it with RequestCanceled unless it has ended */
	WORKSPACE_OBSERVE = 19, /* struct request_observe: on or off; answered by WIRE_STATUS */

	/* outboardd to client */
	REQUEST_NEEDS_APPROVAL = 32, /* no body */
	REQUEST_REPLACE = 33,	     /* struct request_replace */
	REQUEST_FINISHED = 34,	     /* struct request_finished */
	REQUEST_FAILED = 35,	     /* struct wire_error */
	REQUEST_PROPERTIES =
		36, /* struct request_properties, WIRE_FLAG_MORE on all but the last; then FINISHED */
	WORKSPACE_EVENT = 37, /* struct request_workspace_event */
};

enum request_kind { REQUEST_ACTIVATE = 1, REQUEST_DEACTIVATE = 2, REQUEST_PROPERTIES_OF = 3 };

struct request_submit {
	uint32_t kind;
	uint32_t again; /* 1: an outboardd before this one has been told, and may have done it */
	char identifier[256];
};
static_assert(sizeof(struct request_submit) == 264, "wire");

struct request_replace_answer {
	uint32_t action; /* OS_SYSTEM_EXTENSION_REPLACEMENT_ACTION_*: 0 cancel, 1 replace */
	uint32_t reserved;
};

struct request_finished {
	uint32_t result;       /* 0 completed, 1 will complete after reboot */
	uint32_t n_properties; /* of a properties request: how many were sent before */
};

#define PROPERTIES_ENABLED 0x01u
#define PROPERTIES_AWAITING_USER_APPROVAL 0x02u
#define PROPERTIES_UNINSTALLING 0x04u
#define PROPERTIES_ACTIVE 0x08u
#define PROPERTIES_RUNNING 0x10u /* pid and running_version are set */

struct wire_properties {
	uint32_t flags;
	int32_t pid;
	char identifier[256];
	char version[64];	/* CFBundleVersion */
	char short_version[64]; /* CFBundleShortVersionString */
	char running_version
		[64]; /* "short/version" of what runs, which during an upgrade is another */
	char team[16];
	char digest[65];
	char state[63];	 /* Apple's names: "activated_enabled" */
	char path[4096]; /* of the bundle that this describes */
};
static_assert(sizeof(struct wire_properties) == 4696, "wire");

struct request_replace {
	struct wire_properties existing, extension;
};

struct request_observe {
	uint32_t on;
	uint32_t reserved;
};

enum workspace_event {
	WORKSPACE_WILL_BECOME_ENABLED = 1,
	WORKSPACE_WILL_BECOME_DISABLED = 2,
	WORKSPACE_WILL_BECOME_INACTIVE = 3
};

struct request_workspace_event {
	uint32_t event;
	uint32_t reserved;
	char identifier[256];
	char version[64];
	char short_version[64];
};

#endif
