/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of rules, see rules.h.
 */
#include <stdio.h>
#include "base/log.h"
#include "base/rules.h"
#include "base/str.h"

static const struct rule rules[RULE_MAX_] = {
#define RULE(id, code, stage, rule, sentence, recovery) \
	[RULE_##id] = { CODE_##code, stage, rule, sentence, recovery },
#include "base/rules.def"
#undef RULE
};

const struct rule *rule_get(enum rule_id id)
{
	return &rules[id];
}

/* Fill @format's %s with @values in order: the table's own formats, but not the compiler's to check. */
static void fill(char *buffer, size_t bytes, const char *format, const char *const values[2])
{
	size_t at = 0, used = 0;

	for (; *format && at + 1 < bytes; format++) {
		if (format[0] == '%' && format[1] == 's') {
			const char *value = used < 2 ? values[used++] : "";
			int n = snprintf(buffer + at, bytes - at, "%s", value);

			at = at + (size_t)n < bytes ? at + (size_t)n : bytes - 1;
			format++;
		} else {
			buffer[at++] = *format;
		}
	}
	buffer[at] = '\0';
}

void rule_error(struct wire_error *ret, enum rule_id id, const char *object, const char *detail,
	const char *evidence)
{
	const char *const values[2] = { str_or(object, "the request"),
		str_or(detail, "no more is known") };
	char first[900], second[900];

	*ret = (struct wire_error){ .code = rules[id].code };
	STR_PUT(ret->domain, "OSSystemExtensionErrorDomain");
	STR_PUT(ret->stage, rules[id].stage);
	STR_PUT(ret->rule, rules[id].rule);
	fill(ret->description, sizeof ret->description, rules[id].sentence, values);
	fill(ret->recovery, sizeof ret->recovery, rules[id].recovery, values);
	if (evidence)
		STR_PUT(ret->evidence, evidence);
	else
		snprintf(ret->evidence, sizeof ret->evidence,
			"{\"object\":\"%s\",\"detail\":\"%s\"}",
			log_escape(values[0], first, sizeof first),
			log_escape(values[1], second, sizeof second));
}
