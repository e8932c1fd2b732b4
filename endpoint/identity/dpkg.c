/* SPDX-License-Identifier: Apache-2.0
 *
 * See dpkg.h. Every line is bounded by its text, and no line is more than a path and a digest.
 */
#include <stdbool.h>
#include <string.h>
#include "endpoint/identity/dpkg.h"

struct lines {
	const char *at, *end;
};

struct line {
	const char *at;
	size_t bytes;
};

/* A last line without its end is none: the file was cut. */
static bool next(struct lines *lines, struct line *ret)
{
	const char *end = lines->at < lines->end
		? memchr(lines->at, '\n', (size_t)(lines->end - lines->at))
		: NULL;

	if (!end)
		return false;
	*ret = (struct line){ lines->at, (size_t)(end - lines->at) };
	lines->at = end + 1;
	return true;
}

/* Without "/", "./" or "//" in front; false: no path of a file. */
static bool to_path(struct line *line)
{
	while (line->bytes &&
		(line->at[0] == '/' ||
			(line->bytes > 1 && line->at[0] == '.' && line->at[1] == '/'))) {
		line->at++;
		line->bytes--;
	}
	return line->bytes > 0 && line->bytes <= DPKG_PATH_MAX &&
		!(line->bytes == 1 && line->at[0] == '.') && !memchr(line->at, '\0', line->bytes);
}

int dpkg_read_list(const char *text, size_t bytes, dpkg_path take, void *context)
{
	struct lines lines = { text, text + bytes };
	struct line line;
	int r = 0;

	while (r == 0 && next(&lines, &line))
		if (to_path(&line))
			r = take(context, line.at, line.bytes, NULL);
	return r;
}

static int hex(char digit)
{
	return digit >= '0' && digit <= '9'    ? digit - '0'
		: digit >= 'a' && digit <= 'f' ? digit - 'a' + 10
					       : -1;
}

static bool to_md5(const char *text, uint8_t ret[static DPKG_MD5_BYTES])
{
	int i;

	for (i = 0; i < DPKG_MD5_BYTES; i++) {
		int high = hex(text[2 * i]), low = high < 0 ? -1 : hex(text[2 * i + 1]);

		if (low < 0)
			return false;
		ret[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

/* "7a52c94ace40d9c052cf40f3541637c3  bin/true", or " *" for the two blanks. */
int dpkg_read_md5sums(const char *text, size_t bytes, dpkg_path take, void *context)
{
	const size_t head = 2 * DPKG_MD5_BYTES + 2;
	struct lines lines = { text, text + bytes };
	uint8_t md5[DPKG_MD5_BYTES];
	struct line line;
	int r = 0;

	while (r == 0 && next(&lines, &line)) {
		if (line.bytes <= head || line.at[head - 2] != ' ' ||
			(line.at[head - 1] != ' ' && line.at[head - 1] != '*') ||
			!to_md5(line.at, md5))
			continue;
		line.at += head;
		line.bytes -= head;
		if (to_path(&line))
			r = take(context, line.at, line.bytes, md5);
	}
	return r;
}

/* Three lines each: the path, where it goes to, whose own file stays (":" nobody's). */
int dpkg_read_diversions(const char *text, size_t bytes, dpkg_diversion take, void *context)
{
	struct lines lines = { text, text + bytes };
	struct line from, to, package;
	int r = 0;

	while (r == 0 && next(&lines, &from) && next(&lines, &to) && next(&lines, &package)) {
		if (package.bytes == 1 && package.at[0] == ':')
			package.bytes = 0;
		if (to_path(&from) && to_path(&to))
			r = take(context, from.at, from.bytes, to.at, to.bytes, package.at,
				package.bytes);
	}
	return r;
}
