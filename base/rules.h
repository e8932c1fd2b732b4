/* SPDX-License-Identifier: Apache-2.0
 *
 * Every way in which Outboard says no: one table of rules, from which daemons make their errors,
 * tools print them and the manual page ob_error(7) is generated. Stage and rule are promised names.
 */
#ifndef OB_BASE_RULES_H
#define OB_BASE_RULES_H

#include <stdint.h>
#include "base/macros.h"

/* OSSystemExtensionErrorCode, Apple's numbers; public twins in SystemExtensions.h. */
enum rule_code {
	CODE_UNKNOWN = 1,
	CODE_MISSING_ENTITLEMENT = 2,
	CODE_UNSUPPORTED_PARENT_BUNDLE_LOCATION = 3,
	CODE_EXTENSION_NOT_FOUND = 4,
	CODE_EXTENSION_MISSING_IDENTIFIER = 5,
	CODE_DUPLICATE_EXTENSION_IDENTIFIER = 6,
	CODE_UNKNOWN_EXTENSION_CATEGORY = 7,
	CODE_CODE_SIGNATURE_INVALID = 8,
	CODE_VALIDATION_FAILED = 9,
	CODE_FORBIDDEN_BY_SYSTEM_POLICY = 10,
	CODE_REQUEST_CANCELED = 11,
	CODE_REQUEST_SUPERSEDED = 12,
	CODE_AUTHORIZATION_REQUIRED = 13,
};

enum rule_id {
#define RULE(id, code, stage, rule, sentence, recovery) RULE_##id,
#include "base/rules.def"
#undef RULE
	RULE_MAX_
};

struct rule {
	enum rule_code code;
	const char *stage;    /* "signature" */
	const char *rule;     /* "signature.file-changed" */
	const char *sentence; /* one %s: the object; then one more %s: the detail */
	const char *recovery; /* what to do; the object stands where it has a %s */
};

const struct rule *rule_get(enum rule_id id);

/* An error on the wire, made from a rule. Fixed width: every protocol that carries one carries this. */
struct wire_error {
	int32_t code; /* enum rule_code */
	uint32_t reserved;
	char domain[64];
	char stage[32];
	char rule[64];
	char description[1024];
	char recovery[512];
	char evidence[2048]; /* JSON object */
};

/*
 * @object: what it is about, named in the sentence; @detail: the other value of the sentence
 * @evidence: JSON object, or NULL for {"object":…,"detail":…}
 */
void rule_error(struct wire_error *ret, enum rule_id id, const char *object, const char *detail,
	const char *evidence);

#endif
