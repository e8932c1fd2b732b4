/* SPDX-License-Identifier: Apache-2.0
 *
 * Is it UTF-8? Names and texts of a bundle are refused when they are not, by whoever meets them
 * first: no two parts of the system may read one name differently.
 */
#ifndef OB_BUNDLE_UTF8_H
#define OB_BUNDLE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of the character at @at, which has @bytes left; 0: overlong, surrogate, cut or no UTF-8. */
static inline size_t utf8_length(const unsigned char *at, size_t bytes)
{
	/* per length: bits of the first byte, and the smallest character that needs that length */
	static const struct {
		unsigned char mask, value;
		uint32_t smallest;
	} forms[] = { { 0x80, 0x00, 0 }, { 0xe0, 0xc0, 0x80 }, { 0xf0, 0xe0, 0x800 },
		{ 0xf8, 0xf0, 0x10000 } };

	for (size_t n = 0; n < 4; n++) {
		uint32_t character;

		if ((at[0] & forms[n].mask) != forms[n].value)
			continue;
		if (n + 1 > bytes)
			return 0;
		character = (uint32_t)(at[0] & ~forms[n].mask);
		for (size_t i = 1; i <= n; i++) {
			if ((at[i] & 0xc0) != 0x80)
				return 0;
			character = character << 6 | (at[i] & 0x3f);
		}
		if (character < forms[n].smallest || character > 0x10ffff ||
			(character >= 0xd800 && character <= 0xdfff))
			return 0;
		return n + 1;
	}
	return 0;
}

/* Where the first byte is that is none; @bytes when all are well. */
static inline size_t utf8_good_bytes(const char *text, size_t bytes)
{
	size_t at = 0;

	while (at < bytes) {
		size_t n = utf8_length((const unsigned char *)text + at, bytes - at);

		if (n == 0)
			break;
		at += n;
	}
	return at;
}

#endif
