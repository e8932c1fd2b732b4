/* SPDX-License-Identifier: Apache-2.0
 *
 * The log call, see log.h. One write(2) a line, so that lines of several threads never mix.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "base/log.h"

static const struct {
	const char *name;
	enum log_level level;
	const char *sentence;
} ids[LOG_ID_MAX_] = {
#define LOG_ID(id, level, sentence) [LOG_##id] = { #id, LOG_LEVEL_##level, sentence },
#include "base/log-ids.def"
#undef LOG_ID
};

static const char *const level_names[] = { "error", "warning", "notice", "info", "debug" };
static const char *log_name = "outboard";
static enum log_level log_max = LOG_LEVEL_INFO;

void log_set_name(const char *daemon)
{
	log_name = daemon;
}

void log_set_level(enum log_level max)
{
	log_max = max;
}

const char *log_number(char buffer[static 24], long long number)
{
	snprintf(buffer, 24, "%lld", number);
	return buffer;
}

const char *log_escape(const char *string, char *buffer, size_t bytes)
{
	size_t at = 0;

	for (; *string; string++) {
		unsigned char c = (unsigned char)*string;
		char piece[8];
		int n;

		if (c == '"' || c == '\\')
			n = snprintf(piece, sizeof piece, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			n = snprintf(piece, sizeof piece, "\\u%04x", c);
		else
			n = snprintf(piece, sizeof piece, "%c", c);
		if (at + (size_t)n >= bytes)
			break;
		memcpy(buffer + at, piece, (size_t)n);
		at += (size_t)n;
	}
	buffer[at] = '\0';
	return buffer;
}

struct line {
	char text[4096];
	size_t bytes;
};

static void ob_printf(2, 3) append(struct line *line, const char *format, ...)
{
	size_t room = sizeof line->text - line->bytes;
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line->text + line->bytes, room, format, args);
	va_end(args);
	/* a field that does not fit is left out whole: the line stays valid JSON */
	if (n > 0 && (size_t)n + 3 < room)
		line->bytes += (size_t)n;
}

static void append_field(struct line *line, const char *name, const char *value)
{
	char escaped[2048];

	append(line, ",\"%s\":\"%s\"", name, log_escape(value, escaped, sizeof escaped));
}

static void log_line(enum log_id id, const char *object, int r, va_list fields)
{
	struct line line = { .bytes = 0 };
	struct timespec now;
	const char *name;

	if (ids[id].level > log_max)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	append(&line, "{\"t\":%lld.%06ld,\"from\":\"%s\",\"level\":\"%s\",\"id\":\"%s\"",
		(long long)now.tv_sec, now.tv_nsec / 1000, log_name, level_names[ids[id].level],
		ids[id].name);
	if (object)
		append_field(&line, "object", object);
	append_field(&line, "text", ids[id].sentence);
	if (r < 0)
		append_field(&line, "error", strerror(-r));
	while ((name = va_arg(fields, const char *))) {
		const char *value = va_arg(fields, const char *);

		append_field(&line, name, value ? value : "");
	}
	line.text[line.bytes++] = '}';
	line.text[line.bytes++] = '\n';
	if (write(STDERR_FILENO, line.text, line.bytes) < 0)
		return; /* there is nobody to tell */
}

void log_event(enum log_id id, const char *object, ...)
{
	va_list fields;

	va_start(fields, object);
	log_line(id, object, 0, fields);
	va_end(fields);
}

void log_failure(enum log_id id, const char *object, int r, ...)
{
	va_list fields;

	va_start(fields, r);
	log_line(id, object, r, fields);
	va_end(fields);
}
