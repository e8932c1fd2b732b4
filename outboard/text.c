/* SPDX-License-Identifier: Apache-2.0
 *
 * Text that grows, see text.h.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "outboard/text.h"

static void reserve(struct text *text, size_t n)
{
	size_t room = text->room ? text->room : 128;
	char *bytes;

	while (room - text->n <= n)
		room *= 2;
	if (room == text->room)
		return;
	bytes = realloc(text->bytes, room);
	if (!bytes) {
		text->error = -ENOMEM;
		return;
	}
	text->bytes = bytes;
	text->room = room;
}

void text_put(struct text *text, const char *bytes, size_t n)
{
	if (!text->error)
		reserve(text, n);
	if (text->error)
		return;
	if (n > 0)
		memcpy(text->bytes + text->n, bytes, n);
	text->n += n;
	text->bytes[text->n] = '\0';
}

void text_printf(struct text *text, const char *format, ...)
{
	char buffer[400];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(buffer, sizeof buffer, format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= sizeof buffer)
		text->error = -EOVERFLOW;
	else
		text_put(text, buffer, (size_t)n);
}

size_t utf8_character(const char *at, size_t n)
{
	const unsigned char *c = (const unsigned char *)at;
	size_t bytes = c[0] < 0x80 ? 1
		: c[0] < 0xc2	   ? 0
		: c[0] < 0xe0	   ? 2
		: c[0] < 0xf0	   ? 3
		: c[0] < 0xf5	   ? 4
				   : 0;

	if (bytes == 0 || bytes > n)
		return 0;
	for (size_t i = 1; i < bytes; i++)
		if ((c[i] & 0xc0) != 0x80)
			return 0;
	/* overlong, surrogates, beyond U+10FFFF: RFC 3629, section 4 */
	if ((c[0] == 0xe0 && c[1] < 0xa0) || (c[0] == 0xed && c[1] > 0x9f) ||
		(c[0] == 0xf0 && c[1] < 0x90) || (c[0] == 0xf4 && c[1] > 0x8f))
		return 0;
	return bytes;
}

void text_put_json_string(struct text *text, const char *string, size_t n)
{
	text_put(text, "\"", 1);
	for (size_t i = 0; i < n;) {
		size_t bytes = utf8_character(string + i, n - i);
		unsigned char c = (unsigned char)string[i];

		if (bytes == 0)
			text_put(text, "\xef\xbf\xbd", 3);
		else if (c == '"' || c == '\\')
			text_printf(text, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			text_printf(text, "\\u%04x", c);
		else
			text_put(text, string + i, bytes);
		i += bytes ? bytes : 1;
	}
	text_put(text, "\"", 1);
}

int text_take(struct text *text, char **ret)
{
	int error;

	text_put(text, "", 0);
	error = text->error;
	if (error < 0)
		text_done(text);
	else
		*ret = text->bytes;
	*text = (struct text){ 0 };
	return error;
}

void text_done(struct text *text)
{
	free(text->bytes);
	*text = (struct text){ 0 };
}
