/* SPDX-License-Identifier: Apache-2.0
 *
 * outboardctl config: each value that outboardd works with, and the file or default it is from.
 */
#include <stdio.h>
#include <string.h>
#include "base/str.h"
#include "tools/lib/control.h"
#include "tools/lib/print.h"
#include "tools/outboardctl/verb.h"

static int config_json(const struct verb *verb, sd_bus_message *reply)
{
	const char *section, *key, *value, *source;
	_cleanup_json_ json_t *all = json_array();

	while (sd_bus_message_read(reply, "(ssss)", &section, &key, &value, &source) > 0)
		json_array_append_new(all,
			json_pack("{s:s, s:s, s:s, s:s}", "section", section, "key", key, "value",
				value, "source", source));
	return print_json(verb, all);
}

static int config_text(sd_bus_message *reply)
{
	const char *section, *key, *value, *source;
	char last[64] = "";

	while (sd_bus_message_read(reply, "(ssss)", &section, &key, &value, &source) > 0) {
		if (!streq(section, last))
			printf("%s[%s]\n", *last ? "\n" : "", PRINT_CLEAN(section));
		snprintf(last, sizeof(last), "%s", section);
		printf("%s = %s  # %s\n", PRINT_CLEAN(key), *value ? PRINT_CLEAN(value) : "",
			PRINT_CLEAN(source));
	}
	return VERB_DONE;
}

int verb_config(const struct verb *verb, int argc, char **argv)
{
	bool json = false;
	const struct verb_option options[] = { { .name = "--json", .flag = &json } };
	_cleanup_message_ sd_bus_message *reply = NULL;
	_cleanup_control_ sd_bus *bus = NULL;
	int r;

	r = verb_parse(verb, argc, argv, options, ARRAY_SIZE(options), 0, 0, NULL);
	if (r == 0)
		r = control_open(verb, &bus);
	if (r == VERB_DONE)
		r = control_call(verb, bus, "GetConfig", &reply, NULL);
	if (r != VERB_DONE)
		return r;
	r = sd_bus_message_enter_container(reply, 'a', "(ssss)");
	if (r < 0)
		return verb_failed(verb, "outboardd's answer cannot be read: %s", strerror(-r));
	return json ? config_json(verb, reply) : config_text(reply);
}
