/* SPDX-License-Identifier: Apache-2.0
 *
 * outboardctl errors: the table of rules, so that a stage or rule seen in a log or a program can be
 * looked up where it was seen. Needs no outboardd.
 */
#include <jansson.h>
#include <stdio.h>
#include "base/rules.h"
#include "base/str.h"
#include "tools/lib/print.h"
#include "tools/outboardctl/verb.h"

/* The sentence as a template: the table's two %s are the object and the detail. */
static void sentence_of(const char *template, char *ret, size_t bytes)
{
	static const char *const words[] = { "OBJECT", "DETAIL" };
	size_t n = 0, word = 0;

	while (*template && n + 1 < bytes) {
		if (template[0] == '%' && template[1] == 's' && word < ARRAY_SIZE(words)) {
			n += (size_t)snprintf(ret + n, bytes - n, "%s", words[word++]);
			n = n < bytes ? n : bytes - 1;
			template += 2;
		} else {
			ret[n++] = *template ++;
		}
	}
	ret[n] = 0;
}

static bool rule_wanted(const struct rule *rule, const char *word)
{
	return !word || streq(rule->rule, word) || streq(rule->stage, word);
}

static json_t *rule_json(const struct rule *rule)
{
	char sentence[1024], recovery[1024];

	sentence_of(rule->sentence, sentence, sizeof(sentence));
	sentence_of(rule->recovery, recovery, sizeof(recovery));
	return json_pack("{s:i, s:s, s:s, s:s, s:s}", "code", rule->code, "stage", rule->stage,
		"rule", rule->rule, "sentence", sentence, "recovery", recovery);
}

static void rule_print(const struct rule *rule)
{
	char sentence[1024], recovery[1024];

	sentence_of(rule->sentence, sentence, sizeof(sentence));
	sentence_of(rule->recovery, recovery, sizeof(recovery));
	printf("%s (error %d)\n    %s\n", rule->rule, rule->code, sentence);
	if (*recovery)
		printf("    %s\n", recovery);
}

int verb_errors(const struct verb *verb, int argc, char **argv)
{
	bool json = false;
	const struct verb_option options[] = { { .name = "--json", .flag = &json } };
	_cleanup_(json_decrefp) json_t *all = NULL;
	size_t n_found = 0;
	int r;

	r = verb_parse(verb, argc, argv, options, ARRAY_SIZE(options), 0, 1, NULL);
	if (r != 0)
		return r;
	all = json_array();
	for (int id = 0; id < RULE_MAX_; id++) {
		const struct rule *rule = rule_get((enum rule_id)id);

		if (!rule_wanted(rule, argv[1]))
			continue;
		n_found++;
		if (json)
			json_array_append_new(all, rule_json(rule));
		else
			rule_print(rule);
	}
	if (n_found == 0)
		return verb_failed(verb, "there is no rule or stage '%s'", argv[1]);
	return json ? print_json(verb, all) : VERB_DONE;
}
