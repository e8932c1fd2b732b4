/* SPDX-License-Identifier: Apache-2.0
 *
 * Values from JSON (RFC 8259) and back. What is parsed may come from anyone: depth is bounded,
 * strings are UTF-8 without NUL, a key may come once, nothing may follow.
 */
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/fd.h"
#include "base/macros.h"
#include "outboard/internal.h"
#include "outboard/text.h"
#include "outboard/xpc.h"

struct parser {
	const char *at, *end;
	unsigned depth;
};

static int parse_value(struct parser *parser, xpc_object_t *ret);

static void skip_space(struct parser *parser)
{
	while (parser->at < parser->end && memchr(" \t\n\r", *parser->at, 4))
		parser->at++;
}

/* The character after the space, if it is @c, is taken. */
static bool take(struct parser *parser, char c)
{
	skip_space(parser);
	if (parser->at == parser->end || *parser->at != c)
		return false;
	parser->at++;
	return true;
}

static bool take_word(struct parser *parser, const char *word)
{
	size_t n = strlen(word);

	if ((size_t)(parser->end - parser->at) < n || memcmp(parser->at, word, n) != 0)
		return false;
	parser->at += n;
	return true;
}

/* ---- Strings ---------------------------------------------------------------------------------- */

static int take_hex(struct parser *parser, unsigned *ret)
{
	unsigned value = 0;

	if (parser->end - parser->at < 4)
		return -EBADMSG;
	for (int i = 0; i < 4; i++) {
		static const char digits[] = "0123456789abcdef0123456789ABCDEF";
		const char *digit = memchr(digits, *parser->at++, sizeof digits - 1);

		if (!digit)
			return -EBADMSG;
		value = value << 4 | (unsigned)((digit - digits) & 15);
	}
	*ret = value;
	return 0;
}

static void put_character(struct text *text, unsigned code)
{
	char utf8[4];
	size_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
	static const unsigned char first[] = { 0, 0, 0xc0, 0xe0, 0xf0 };

	for (size_t i = n; i-- > 1; code >>= 6)
		utf8[i] = (char)(0x80 | (code & 0x3f));
	utf8[0] = (char)(first[n] | code);
	text_put(text, utf8, n);
}

static int parse_unicode(struct parser *parser, struct text *text)
{
	unsigned code, low;
	int r = take_hex(parser, &code);

	if (r < 0)
		return r;
	if (code >= 0xd800 && code < 0xdc00) {
		if (!take_word(parser, "\\u") || take_hex(parser, &low) < 0 || low < 0xdc00 ||
			low > 0xdfff)
			return -EBADMSG;
		code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
	} else if (code == 0 || (code >= 0xdc00 && code < 0xe000)) {
		return -EBADMSG;
	}
	put_character(text, code);
	return 0;
}

static int parse_escape(struct parser *parser, struct text *text)
{
	static const char names[] = "\"\\/bfnrt", characters[] = "\"\\/\b\f\n\r\t";
	const char *name;

	if (parser->at == parser->end)
		return -EBADMSG;
	if (*parser->at == 'u') {
		parser->at++;
		return parse_unicode(parser, text);
	}
	name = memchr(names, *parser->at++, sizeof names - 1);
	if (!name)
		return -EBADMSG;
	text_put(text, &characters[name - names], 1);
	return 0;
}

static int parse_characters(struct parser *parser, struct text *text)
{
	while (parser->at < parser->end && *parser->at != '"') {
		size_t n = utf8_character(parser->at, (size_t)(parser->end - parser->at));
		int r = 0;

		if (n == 0 || (unsigned char)*parser->at < 0x20)
			return -EBADMSG;
		if (*parser->at == '\\') {
			parser->at++;
			r = parse_escape(parser, text);
		} else {
			text_put(text, parser->at, n);
			parser->at += n;
		}
		if (r < 0)
			return r;
	}
	if (parser->at == parser->end)
		return -EBADMSG;
	parser->at++;
	return 0;
}

/* After its first quote. */
static int parse_text(struct parser *parser, char **ret)
{
	struct text text = { 0 };
	int r = parse_characters(parser, &text);

	if (r < 0) {
		text_done(&text);
		return r;
	}
	return text_take(&text, ret);
}

static int parse_string(struct parser *parser, xpc_object_t *ret)
{
	_cleanup_free_ char *string = NULL;
	int r = parse_text(parser, &string);

	if (r < 0)
		return r;
	*ret = xpc_string_create(string);
	return *ret ? 0 : -ENOMEM;
}

/* ---- Numbers ---------------------------------------------------------------------------------- */

static size_t n_digits(const char *at, const char *end)
{
	size_t n = 0;

	while (at + n < end && at[n] >= '0' && at[n] <= '9')
		n++;
	return n;
}

/* Bytes of the number at the parser's place, by RFC 8259's grammar; 0: none. *ret_whole: no fraction. */
static size_t measure_number(const struct parser *parser, bool *ret_whole)
{
	const char *at = parser->at, *end = parser->end;
	size_t n;

	*ret_whole = true;
	at += *at == '-';
	n = n_digits(at, end);
	if (n == 0 || (n > 1 && *at == '0'))
		return 0;
	at += n;
	if (at < end && *at == '.') {
		*ret_whole = false;
		n = n_digits(++at, end);
		if (n == 0)
			return 0;
		at += n;
	}
	if (at < end && (*at == 'e' || *at == 'E')) {
		*ret_whole = false;
		at++;
		at += at < end && (*at == '+' || *at == '-');
		n = n_digits(at, end);
		if (n == 0)
			return 0;
		at += n;
	}
	return (size_t)(at - parser->at);
}

/* strtod(3) by the C locale, whatever the program has set: a comma is no point here. */
static int parse_double(const char *number, double *ret)
{
	locale_t c = newlocale(LC_ALL_MASK, "C", NULL);

	if (!c)
		return -ENOMEM;
	*ret = strtod_l(number, NULL, c);
	freelocale(c);
	return isfinite(*ret) ? 0 : -EBADMSG;
}

static int parse_number(struct parser *parser, xpc_object_t *ret)
{
	_cleanup_free_ char *number = NULL;
	long long whole;
	double real;
	bool is_whole;
	size_t n = measure_number(parser, &is_whole);
	int r;

	if (n == 0)
		return -EBADMSG;
	number = strndup(parser->at, n);
	if (!number)
		return -ENOMEM;
	parser->at += n;
	errno = 0;
	whole = strtoll(number, NULL, 10);
	if (is_whole && errno == 0) {
		*ret = xpc_int64_create(whole);
		return *ret ? 0 : -ENOMEM;
	}
	errno = 0;
	if (is_whole && *number != '-') {
		uint64_t large = strtoull(number, NULL, 10);

		*ret = errno == 0 ? xpc_uint64_create(large) : NULL;
		if (errno == 0)
			return *ret ? 0 : -ENOMEM;
	}
	r = parse_double(number, &real);
	if (r < 0)
		return r;
	*ret = xpc_double_create(real);
	return *ret ? 0 : -ENOMEM;
}

/* ---- Containers ------------------------------------------------------------------------------- */

static int parse_element(struct parser *parser, xpc_value_t *array)
{
	xpc_object_t value = NULL;
	int r = parse_value(parser, &value);

	if (r < 0)
		return r;
	r = xpc_array_add(array, value);
	xpc_release(value);
	return r;
}

static int parse_member(struct parser *parser, xpc_value_t *dictionary)
{
	_cleanup_free_ char *key = NULL;
	xpc_object_t value = NULL;
	int r;

	if (!take(parser, '"'))
		return -EBADMSG;
	r = parse_text(parser, &key);
	if (r < 0)
		return r;
	if (!take(parser, ':') || xpc_dictionary_get_value(dictionary, key))
		return -EBADMSG;
	r = parse_value(parser, &value);
	if (r < 0)
		return r;
	r = xpc_dictionary_put(dictionary, key, value);
	xpc_release(value);
	return r;
}

/* After the bracket. */
static int parse_container(struct parser *parser, enum xpc_kind kind, char close,
	int (*parse)(struct parser *parser, xpc_value_t *container), xpc_object_t *ret)
{
	xpc_value_t *container;
	int r = 0;

	if (parser->depth == XPC_JSON_DEPTH)
		return -E2BIG;
	container = xpc_value_new(kind);
	if (!container)
		return -ENOMEM;
	parser->depth++;
	if (!take(parser, close)) {
		do {
			r = parse(parser, container);
		} while (r == 0 && take(parser, ','));
		if (r == 0 && !take(parser, close))
			r = -EBADMSG;
	}
	parser->depth--;
	if (r == 0)
		*ret = container;
	else
		xpc_release(container);
	return r;
}

static int parse_value(struct parser *parser, xpc_object_t *ret)
{
	if (take(parser, '{'))
		return parse_container(parser, XPC_DICTIONARY, '}', parse_member, ret);
	if (take(parser, '['))
		return parse_container(parser, XPC_ARRAY, ']', parse_element, ret);
	if (take(parser, '"'))
		return parse_string(parser, ret);
	if (take_word(parser, "true"))
		*ret = XPC_BOOL_TRUE;
	else if (take_word(parser, "false"))
		*ret = XPC_BOOL_FALSE;
	else if (take_word(parser, "null"))
		*ret = xpc_null_create();
	else if (parser->at < parser->end)
		return parse_number(parser, ret);
	else
		return -EBADMSG;
	return 0;
}

int xpc_of_json(const char *json, size_t bytes, xpc_object_t *ret)
{
	struct parser parser = { .at = json, .end = json + bytes };
	xpc_object_t value = NULL;
	int r = parse_value(&parser, &value);

	if (r < 0)
		return r;
	skip_space(&parser);
	if (parser.at != parser.end) {
		xpc_release(value);
		return -EBADMSG;
	}
	*ret = value;
	return 0;
}

/* ---- Back ------------------------------------------------------------------------------------- */

static void write_hex(struct text *text, const void *bytes, size_t n)
{
	const unsigned char *at = bytes;

	for (size_t i = 0; i < n; i++)
		text_printf(text, "%02x", at[i]);
}

static void write_uuid(struct text *text, const uint8_t uuid[16])
{
	static const size_t groups[] = { 4, 2, 2, 2, 6 };
	size_t at = 0;

	for (size_t i = 0; i < ARRAY_SIZE(groups); at += groups[i++]) {
		if (i > 0)
			text_put(text, "-", 1);
		write_hex(text, uuid + at, groups[i]);
	}
}

static void write_double(struct text *text, double real)
{
	char buffer[40], *comma;

	/* JSON has no other numbers */
	if (!isfinite(real)) {
		text_put(text, "null", 4);
		return;
	}
	snprintf(buffer, sizeof buffer, "%.17g", real);
	comma = strchr(buffer, ',');
	if (comma)
		*comma = '.';
	if (!strpbrk(buffer, ".e"))
		strcat(buffer, ".0");
	text_put(text, buffer, strlen(buffer));
}

static void write_json(struct text *text, const xpc_value_t *value);

static void write_array(struct text *text, const xpc_value_t *array)
{
	text_put(text, "[", 1);
	for (size_t i = 0; i < array->n_values; i++) {
		if (i > 0)
			text_put(text, ",", 1);
		write_json(text, array->values[i]);
	}
	text_put(text, "]", 1);
}

static void write_dictionary(struct text *text, const xpc_value_t *dictionary)
{
	text_put(text, "{", 1);
	for (size_t i = 0; i < dictionary->n_entries; i++) {
		const struct xpc_entry *entry = &dictionary->entries[i];

		if (i > 0)
			text_put(text, ",", 1);
		text_put_json_string(text, entry->key, strlen(entry->key));
		text_put(text, ":", 1);
		write_json(text, entry->value);
	}
	text_put(text, "}", 1);
}

static void write_json(struct text *text, const xpc_value_t *value)
{
	switch (value->kind) {
	case XPC_NULL:
		text_put(text, "null", 4);
		break;
	case XPC_BOOL:
		text_printf(text, "%s", value->boolean ? "true" : "false");
		break;
	case XPC_INT64:
	case XPC_DATE:
		text_printf(text, "%lld", (long long)value->number);
		break;
	case XPC_UINT64:
		text_printf(text, "%llu", (unsigned long long)value->unsigned_number);
		break;
	case XPC_DOUBLE:
		write_double(text, value->real);
		break;
	case XPC_STRING:
		text_put_json_string(text, value->bytes, value->n_bytes);
		break;
	case XPC_DATA:
	case XPC_UUID:
		text_put(text, "\"", 1);
		if (value->kind == XPC_DATA)
			write_hex(text, value->bytes, value->n_bytes);
		else
			write_uuid(text, value->uuid);
		text_put(text, "\"", 1);
		break;
	case XPC_ARRAY:
		write_array(text, value);
		break;
	case XPC_DICTIONARY:
		write_dictionary(text, value);
		break;
	default:
		text->error = -EOPNOTSUPP;
	}
}

int xpc_to_json(xpc_object_t value, char **ret)
{
	struct text text = { 0 };

	if (!value)
		return -EINVAL;
	write_json(&text, value);
	return text_take(&text, ret);
}

/* ---- Description ------------------------------------------------------------------------------ */

static void describe(struct text *text, const xpc_value_t *value, unsigned depth);

static void describe_line(
	struct text *text, const char *key, size_t index, const xpc_value_t *value, unsigned depth)
{
	for (unsigned i = 0; i < depth; i++)
		text_put(text, "\t", 1);
	if (key)
		text_put_json_string(text, key, strlen(key));
	else
		text_printf(text, "%zu", index);
	text_put(text, " => ", 4);
	describe(text, value, depth);
	text_put(text, "\n", 1);
}

static void describe_members(struct text *text, const xpc_value_t *value, unsigned depth)
{
	bool array = value->kind == XPC_ARRAY;
	size_t n = array ? value->n_values : value->n_entries;

	text_printf(text, " count = %zu, contents =\n", n);
	for (unsigned i = 0; i < depth; i++)
		text_put(text, "\t", 1);
	text_put(text, "{\n", 2);
	for (size_t i = 0; i < n; i++)
		describe_line(text, array ? NULL : value->entries[i].key, i,
			array ? value->values[i] : value->entries[i].value, depth + 1);
	for (unsigned i = 0; i < depth; i++)
		text_put(text, "\t", 1);
	text_put(text, "}", 1);
}

static void describe(struct text *text, const xpc_value_t *value, unsigned depth)
{
	text_printf(text, "<%s:", xpc_type_get_name(xpc_get_type((xpc_object_t)(uintptr_t)value)));
	if (value->kind == XPC_ARRAY || value->kind == XPC_DICTIONARY) {
		describe_members(text, value, depth);
	} else if (value->kind == XPC_FD) {
		text_printf(text, " %d", value->fd);
	} else {
		text_put(text, " ", 1);
		write_json(text, value);
	}
	text_put(text, ">", 1);
}

ob_export char *xpc_copy_description(xpc_object_t object)
{
	struct text text = { 0 };
	char *description = NULL;

	if (!object)
		return NULL;
	describe(&text, object, 0);
	return text_take(&text, &description) < 0 ? NULL : description;
}
