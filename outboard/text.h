/* SPDX-License-Identifier: Apache-2.0
 *
 * Text that grows. The first failure is kept, and what comes after it is dropped.
 */
#ifndef OB_OUTBOARD_TEXT_H
#define OB_OUTBOARD_TEXT_H

#include <stddef.h>
#include "base/macros.h"

struct text {
	char *bytes; /* NUL-terminated once something was put */
	size_t n, room;
	int error; /* 0 or -errno */
};

void text_put(struct text *text, const char *bytes, size_t n);
void text_printf(struct text *text, const char *format, ...) ob_printf(2, 3);
/* A JSON string with its quotes. What is not UTF-8 becomes U+FFFD, so that the line stays JSON. */
void text_put_json_string(struct text *text, const char *string, size_t n);
/* 0: *ret is the caller's; or the error. */
int text_take(struct text *text, char **ret);
void text_done(struct text *text);

/* Bytes of the UTF-8 character at @at, 0: it is none. No surrogates, nothing overlong. */
size_t utf8_character(const char *at, size_t n);

#endif
