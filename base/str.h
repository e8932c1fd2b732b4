/* SPDX-License-Identifier: Apache-2.0
 *
 * Strings in fixed-width fields, as the wire carries them: bounded, NUL-terminated, zero-padded.
 */
#ifndef OB_BASE_STR_H
#define OB_BASE_STR_H

#include <errno.h>
#include <stdbool.h>
#include <string.h>

static inline bool streq(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

static inline const char *str_or(const char *string, const char *otherwise)
{
	return string ? string : otherwise;
}

static inline bool str_starts(const char *string, const char *prefix)
{
	return strncmp(string, prefix, strlen(prefix)) == 0;
}

static inline bool str_ends(const char *string, const char *suffix)
{
	size_t bytes = strlen(string), tail = strlen(suffix);

	return bytes >= tail && streq(string + bytes - tail, suffix);
}

/* What is left of @text without blanks at its ends; the last ones are cut off in it. */
static inline char *str_trim(char *text)
{
	size_t bytes;

	text += strspn(text, " \t\r");
	bytes = strlen(text);
	while (bytes && strchr(" \t\r", text[bytes - 1]))
		text[--bytes] = '\0';
	return text;
}

/* Copy into a field of @bytes, padding with zeros. -ENAMETOOLONG: cut, and still terminated. */
static inline int str_put(char *field, size_t bytes, const char *string)
{
	size_t n = strlen(string);
	int r = 0;

	if (n >= bytes) {
		n = bytes - 1;
		r = -ENAMETOOLONG;
	}
	memcpy(field, string, n);
	memset(field + n, 0, bytes - n);
	return r;
}
#define STR_PUT(field, string)                              \
	({                                                  \
		__typeof__(field) *field_ = &(field);       \
		str_put(*field_, sizeof *field_, (string)); \
	})

/* Is the field terminated? Everything that comes from a peer is asked this before it is read. */
static inline bool str_field_ok(const char *field, size_t bytes)
{
	return memchr(field, 0, bytes) != NULL;
}
#define STR_FIELD_OK(field) str_field_ok((field), sizeof(field))

#endif
