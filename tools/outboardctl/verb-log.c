/* SPDX-License-Identifier: Apache-2.0
 *
 * outboardctl log: the lines of daemons and extensions, as outboardd has kept them. outboardd
 * answers with a descriptor from which whole lines of JSON are read to its end, or without end
 * with --follow.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/fd.h"
#include "base/str.h"
#include "tools/lib/control.h"
#include "tools/lib/print.h"
#include "tools/outboardctl/verb.h"

#define LINES_DEFAULT 100

/* "90s", "10m", "2h", "3d" ago, or "2026-11-24", "2026-11-24 10:30", "2026-11-24 10:30:00", local. */
static int parse_since(const char *text, uint64_t now_usec, uint64_t *ret)
{
	static const struct {
		char unit;
		uint64_t seconds;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
	static const char *const forms[] = { "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d" };
	unsigned long long number;
	char *end;

	errno = 0;
	number = strtoull(text, &end, 10);
	for (size_t i = 0; i < ARRAY_SIZE(units) && end != text && errno == 0; i++) {
		if (end[0] != units[i].unit || end[1] != 0 || number > 100 * 365 * 86400ull)
			continue;
		*ret = now_usec - number * units[i].seconds * 1000000;
		return number * units[i].seconds * 1000000 > now_usec ? -EINVAL : 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		struct tm tm = { .tm_isdst = -1 };
		const char *rest = strptime(text, forms[i], &tm);

		if (rest && *rest == 0) {
			*ret = (uint64_t)mktime(&tm) * 1000000;
			return 0;
		}
	}
	return -EINVAL;
}

/* Fields that the line shows in its own way; all others follow as name=value. */
static bool is_plain(const char *name)
{
	static const char *const shown[] = { "t", "source", "from", "level", "id", "object",
		"text" };

	for (size_t i = 0; i < ARRAY_SIZE(shown); i++)
		if (streq(name, shown[i]))
			return false;
	return true;
}

static void print_fields(const json_t *line)
{
	const char *name;
	json_t *value;

	json_object_foreach ((json_t *)line, name, value) {
		_cleanup_free_ char *text = NULL;

		if (!is_plain(name))
			continue;
		text = json_is_string(value) ? strdup(json_string_value(value))
					     : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
		if (text && *text)
			printf(" %s=%s", name, PRINT_CLEAN(text));
	}
}

static void print_line(const char *text)
{
	_cleanup_json_ json_t *line = json_loads(text, 0, NULL);
	char when[32] = "";
	const char *object, *from;
	time_t seconds;
	struct tm tm;

	if (!json_is_object(line)) {
		puts(PRINT_CLEAN(text));
		return;
	}
	seconds = (time_t)json_number_value(json_object_get(line, "t"));
	if (localtime_r(&seconds, &tm))
		strftime(when, sizeof(when), "%b %d %H:%M:%S", &tm);
	object = field_string(line, "object");
	/* A daemon of ours says its name; of an extension outboardd says whose line it is. */
	from = field_string(line, "from");
	printf("%s %s %s: ", when, PRINT_CLEAN(*from ? from : field_string(line, "source")),
		PRINT_CLEAN(field_string(line, "level")));
	if (*object)
		printf("%s: ", PRINT_CLEAN(object));
	printf("%s", PRINT_CLEAN(field_string(line, "text")));
	print_fields(line);
	putchar('\n');
}

static int print_stream(const struct verb *verb, int fd, bool json)
{
	_cleanup_free_ char *line = NULL;
	size_t room = 0;
	FILE *stream = fdopen(fd, "re");
	int r = VERB_DONE;

	if (!stream)
		return verb_failed(verb, "%s", strerror(errno));
	while (getline(&line, &room, stream) >= 0) {
		line[strcspn(line, "\n")] = 0;
		if (json)
			puts(line);
		else
			print_line(line);
		fflush(stdout);
		if (ferror(stdout))
			break;
	}
	if (ferror(stream))
		r = verb_failed(verb, "%s", strerror(errno));
	fclose(stream);
	return r;
}

/* What is stored, then, with --follow, what comes: the latter ends only when outboardd does. */
static int print_streams(const struct verb *verb, sd_bus_message *reply, bool json)
{
	int r = sd_bus_message_enter_container(reply, 'a', "h");
	bool live = false;
	int fd;

	while (r >= 0 && (r = sd_bus_message_read(reply, "h", &fd)) > 0) {
		fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		if (fd < 0)
			return verb_failed(verb, "%s", strerror(errno));
		r = print_stream(verb, fd, json);
		if (r != VERB_DONE)
			return r;
		if (live)
			return verb_failed(
				verb, "outboardd has ended, or this was read too slowly to follow");
		live = true;
	}
	return r < 0 ? verb_failed(verb, "outboardd's answer cannot be read: %s", strerror(-r))
		     : VERB_DONE;
}

int verb_log(const struct verb *verb, int argc, char **argv)
{
	bool json = false, follow = false;
	const char *source = "", *since = NULL, *lines = NULL;
	const struct verb_option options[] = {
		{ .name = "--json", .flag = &json },
		{ .name = "--follow", .flag = &follow },
		{ .name = "--source", .value = &source },
		{ .name = "--since", .value = &since },
		{ .name = "--lines", .value = &lines },
	};
	_cleanup_message_ sd_bus_message *reply = NULL;
	_cleanup_control_ sd_bus *bus = NULL;
	uint64_t since_usec = 0;
	unsigned long n_lines = LINES_DEFAULT;
	char *end = NULL;
	int r;

	r = verb_parse(verb, argc, argv, options, ARRAY_SIZE(options), 0, 0, NULL);
	if (r != 0)
		return r;
	if (since && parse_since(since, print_now_usec(), &since_usec) < 0)
		return verb_usage(verb, "'%s' is no value of --since", since);
	if (lines && ((n_lines = strtoul(lines, &end, 10)) > UINT32_MAX || *end || !*lines))
		return verb_usage(verb, "'%s' is no value of --lines", lines);
	r = control_open(verb, &bus);
	if (r == VERB_DONE)
		r = control_call(verb, bus, "ReadLog", &reply, "stub", source, since_usec,
			(uint32_t)n_lines, (int)follow);
	if (r != VERB_DONE)
		return r;
	return print_streams(verb, reply, json);
}
