/* SPDX-License-Identifier: Apache-2.0
 *
 * The writer of JSON lines. See jsonl.h.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "base/macros.h"
#include "bundle/utf8.h"
#include "tools/eslogger/jsonl.h"

#include <unistd.h>

static void write_out(struct jsonl *json)
{
	size_t at = 0;

	while (json->error == 0 && at < json->n) {
		ssize_t n = write(json->fd, json->bytes + at, json->n - at);

		if (n >= 0)
			at += (size_t)n;
		else if (errno != EINTR)
			json->error = -errno;
	}
	json->n = 0;
}

static void put(struct jsonl *json, const char *bytes, size_t n)
{
	while (n > 0) {
		size_t room = JSONL_BUFFER_BYTES - json->n, part = n < room ? n : room;

		memcpy(json->bytes + json->n, bytes, part);
		json->n += part;
		bytes += part;
		n -= part;
		if (n > 0 && json->fd < 0)
			return;
		if (n > 0)
			write_out(json);
	}
}

/* A value begins: behind another one there is a comma. */
static void begin(struct jsonl *json)
{
	if (json->comma)
		put(json, ",", 1);
	json->comma = true;
}

void jsonl_init(struct jsonl *json, int fd)
{
	json->fd = fd;
	json->error = 0;
	json->comma = false;
	json->n = 0;
}

int jsonl_end_line(struct jsonl *json)
{
	json->comma = false;
	if (json->fd < 0) {
		json->bytes[json->n] = '\0';
		json->n = 0;
		return 0;
	}
	put(json, "\n", 1);
	write_out(json);
	return json->error;
}

void jsonl_open(struct jsonl *json, char bracket)
{
	begin(json);
	put(json, &bracket, 1);
	json->comma = false;
}

void jsonl_close(struct jsonl *json, char bracket)
{
	put(json, &bracket, 1);
	json->comma = true;
}

void jsonl_key(struct jsonl *json, const char *key)
{
	begin(json);
	put(json, "\"", 1);
	put(json, key, strlen(key));
	put(json, "\":", 2);
	json->comma = false;
}

static void word(struct jsonl *json, const char *text)
{
	begin(json);
	put(json, text, strlen(text));
}

void jsonl_null(struct jsonl *json)
{
	word(json, "null");
}

void jsonl_bool(struct jsonl *json, bool value)
{
	word(json, value ? "true" : "false");
}

void jsonl_signed(struct jsonl *json, int64_t value)
{
	char text[24];

	snprintf(text, sizeof text, "%lld", (long long)value);
	word(json, text);
}

void jsonl_unsigned(struct jsonl *json, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof text, "%llu", (unsigned long long)value);
	word(json, text);
}

/* One byte that cannot stand as it is. */
static void put_escaped(struct jsonl *json, unsigned char byte)
{
	static const char
		letters[] = "\"\"\\\\\nn\tt\rr\bb\ff"; /* byte, letter, byte, letter, ... */
	char text[8];

	for (size_t i = 0; i + 1 < sizeof letters; i += 2) {
		if ((unsigned char)letters[i] == byte) {
			text[0] = '\\';
			text[1] = letters[i + 1];
			put(json, text, 2);
			return;
		}
	}
	if (byte < 0x20)
		put(json, text, (size_t)snprintf(text, sizeof text, "\\u%04x", byte));
	else
		put(json, "\xef\xbf\xbd", 3);
}

void jsonl_string(struct jsonl *json, const char *data, size_t length)
{
	size_t from = 0, at = 0;

	begin(json);
	put(json, "\"", 1);
	while (at < length) {
		unsigned char byte = (unsigned char)data[at];
		size_t n = byte < 0x20 || byte == '"' || byte == '\\'
			? 0
			: utf8_length((const unsigned char *)data + at, length - at);

		if (n == 0) {
			put(json, data + from, at - from);
			put_escaped(json, byte);
			from = at + 1;
		}
		at += n ? n : 1;
	}
	put(json, data + from, at - from);
	put(json, "\"", 1);
}

void jsonl_hex(struct jsonl *json, const uint8_t *data, size_t bytes)
{
	begin(json);
	put(json, "\"", 1);
	for (size_t i = 0; i < bytes; i++) {
		char text[4];

		put(json, text, (size_t)snprintf(text, sizeof text, "%02X", data[i]));
	}
	put(json, "\"", 1);
}

void jsonl_time(struct jsonl *json, time_t seconds, long nanoseconds, int digits)
{
	struct tm tm;
	char text[96];

	if (!gmtime_r(&seconds, &tm)) {
		jsonl_null(json);
		return;
	}
	snprintf(text, sizeof text, "\"%04d-%02d-%02dT%02d:%02d:%02d.%0*ldZ\"", tm.tm_year + 1900,
		tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, digits,
		digits == 6 ? nanoseconds / 1000 : nanoseconds);
	word(json, text);
}
