/* SPDX-License-Identifier: Apache-2.0
 *
 * Property lists from outside, see plist.h.
 */
#include <stdlib.h>
#include <string.h>
#include "base/str.h"
#include "bundle/bundle.h"
#include "bundle/utf8.h"
#include "bundle/worker/plist.h"

static int refuse(enum rule_id rule, const char *path, const char *detail, struct wire_error *error)
{
	rule_error(error, rule, path, detail, NULL);
	return 1;
}

/*
 * The end of what begins at @at, just behind '<', and is no element: a comment, a CDATA section, an
 * instruction, a declaration. NULL: it has none. What looks like a tag in there is text, and must
 * not count: "<!--</a>-->" between two elements would hide every level.
 */
static const char *xml_skip(const char *at, const char *end)
{
	static const struct {
		const char *begin, *end;
	} forms[] = { { "!--", "-->" }, { "![CDATA[", "]]>" }, { "?", "?>" }, { "!", ">" } };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(forms); i++) {
		size_t bytes = strlen(forms[i].begin);
		const char *close;

		if ((size_t)(end - at) < bytes || memcmp(at, forms[i].begin, bytes) != 0)
			continue;
		at += bytes;
		close = memmem(at, (size_t)(end - at), forms[i].end, strlen(forms[i].end));
		return close ? close + strlen(forms[i].end) : NULL;
	}
	return NULL;
}

/* How deep its elements are nested. libplist's parser recurses; this does not. */
static int xml_depth_ok(const char *text, size_t bytes)
{
	const char *at = text, *end = text + bytes;
	size_t depth = 0;

	while (at && (at = memchr(at, '<', (size_t)(end - at))) && ++at < end) {
		if (*at == '!' || *at == '?') {
			at = xml_skip(at, end);
		} else if (*at == '/') {
			depth -= depth > 0;
		} else {
			const char *close = memchr(at, '>', (size_t)(end - at));

			if (!close)
				break;
			if (close[-1] != '/' && ++depth > PLIST_DEPTH_MAX)
				return 0;
		}
	}
	return 1;
}

static uint64_t big_endian(const unsigned char *at, size_t bytes)
{
	uint64_t value = 0;

	while (bytes-- > 0)
		value = value << 8 | *at++;
	return value;
}

struct binary {
	const unsigned char *data;
	size_t bytes; /* without the trailer */
	const unsigned char *table;
	uint64_t n_objects;
	unsigned offset_bytes, reference_bytes;
	unsigned budget;   /* objects that may be looked at: a small file can name one many times */
	enum rule_id rule; /* what it is refused for */
	const char *why;
};

/* The high half of an object's first byte; the low half is a count, or says that one follows. */
enum { OBJECT_ASCII = 0x5, OBJECT_UTF16 = 0x6, OBJECT_ARRAY = 0xa, OBJECT_DICTIONARY = 0xd };
#define COUNT_FOLLOWS 0xf

static bool binary_object_ok(struct binary *binary, uint64_t object, unsigned depth);

static bool because(struct binary *binary, enum rule_id rule, const char *why)
{
	binary->rule = rule;
	binary->why = why;
	return false;
}

static bool children_ok(
	struct binary *binary, const unsigned char *at, uint64_t count, unsigned depth)
{
	uint64_t i;

	if (count > binary->bytes / binary->reference_bytes ||
		(size_t)(binary->data + binary->bytes - at) < count * binary->reference_bytes)
		return because(binary, RULE_INFO_MALFORMED, "it was cut: a collection has no end");
	for (i = 0; i < count; i++)
		if (!binary_object_ok(binary,
			    big_endian(at + i * binary->reference_bytes, binary->reference_bytes),
			    depth + 1))
			return false;
	return true;
}

/* libplist ends the process over a key with a NUL in it, and a value would be read but to there. */
static bool string_ok(
	struct binary *binary, const unsigned char *at, uint64_t count, unsigned unit_bytes)
{
	uint64_t i;

	if (count > (size_t)(binary->data + binary->bytes - at) / unit_bytes)
		return because(binary, RULE_INFO_MALFORMED, "it was cut: a string has no end");
	for (i = 0; i < count; i++)
		if (big_endian(at + i * unit_bytes, unit_bytes) == 0)
			return because(binary, RULE_INFO_ENCODING, "it holds a NUL");
	return true;
}

/* Where the content of the object at *@at begins, and how many things are in it. */
static bool take_count(struct binary *binary, const unsigned char **at, uint64_t *ret_count)
{
	const unsigned char *end = binary->data + binary->bytes, *count = *at + 1;
	size_t width;

	*ret_count = **at & 0xf;
	*at = count;
	if (*ret_count != COUNT_FOLLOWS)
		return true;
	if (count >= end || *count >> 4 != 1 || (*count & 0xf) > 3)
		return because(binary, RULE_INFO_MALFORMED, "a count in it is none");
	width = 1u << (*count & 0xf);
	if ((size_t)(end - count) < 1 + width)
		return because(binary, RULE_INFO_MALFORMED, "it was cut: a count has no end");
	*ret_count = big_endian(count + 1, width);
	*at = count + 1 + width;
	return true;
}

/* Recursion here is bounded by PLIST_DEPTH_MAX, its work by the budget. */
static bool binary_object_ok(struct binary *binary, uint64_t object, unsigned depth)
{
	const unsigned char *at;
	uint64_t offset, count;
	unsigned type;

	if (depth > PLIST_DEPTH_MAX || binary->budget-- == 0)
		return because(
			binary, RULE_INFO_TOO_DEEP, "it is nested too deeply, or goes in circles");
	if (object >= binary->n_objects)
		return because(binary, RULE_INFO_MALFORMED, "it names an object that is not there");
	offset = big_endian(binary->table + object * binary->offset_bytes, binary->offset_bytes);
	if (offset >= binary->bytes)
		return because(binary, RULE_INFO_MALFORMED, "an object lies behind its end");
	at = binary->data + offset;
	type = *at >> 4;
	if (type != OBJECT_ASCII && type != OBJECT_UTF16 && type != OBJECT_ARRAY &&
		type != OBJECT_DICTIONARY)
		return true;
	if (!take_count(binary, &at, &count))
		return false;
	if (type == OBJECT_ASCII || type == OBJECT_UTF16)
		return string_ok(binary, at, count, type == OBJECT_UTF16 ? 2 : 1);
	if (type == OBJECT_DICTIONARY && count > UINT32_MAX)
		return because(binary, RULE_INFO_MALFORMED, "a dictionary is larger than the file");
	return children_ok(binary, at, type == OBJECT_DICTIONARY ? 2 * count : count, depth);
}

static int check_binary(const char *text, size_t bytes, const char *path, struct wire_error *error)
{
	struct binary binary = { .data = (const unsigned char *)text, .budget = 100000 };
	const char *cut = "its trailer does not fit: it was cut";
	const unsigned char *trailer;
	uint64_t table, root;

	if (bytes < 8 + 32)
		return refuse(RULE_INFO_MALFORMED, path, cut, error);
	trailer = (const unsigned char *)text + bytes - 32;
	binary.bytes = bytes - 32;
	binary.offset_bytes = trailer[6];
	binary.reference_bytes = trailer[7];
	binary.n_objects = big_endian(trailer + 8, 8);
	root = big_endian(trailer + 16, 8);
	table = big_endian(trailer + 24, 8);
	if (binary.offset_bytes < 1 || binary.offset_bytes > 8 || binary.reference_bytes < 1 ||
		binary.reference_bytes > 8 || table > binary.bytes || binary.n_objects > bytes ||
		binary.n_objects * binary.offset_bytes > binary.bytes - table)
		return refuse(RULE_INFO_MALFORMED, path, cut, error);
	binary.table = binary.data + table;
	if (!binary_object_ok(&binary, root, 0))
		return refuse(binary.rule, path, binary.why, error);
	return 0;
}

static int check_xml(const char *text, size_t bytes, const char *path, struct wire_error *error)
{
	if (utf8_good_bytes(text, bytes) != bytes)
		return refuse(RULE_INFO_ENCODING, path, "it holds bytes that are no UTF-8", error);
	if (memchr(text, '\0', bytes))
		return refuse(RULE_INFO_ENCODING, path, "it holds a NUL", error);
	/* entities can grow without bound; no property list needs one of its own */
	if (memmem(text, bytes, "<!ENTITY", 8))
		return refuse(RULE_INFO_MALFORMED, path, "it declares entities", error);
	if (!xml_depth_ok(text, bytes))
		return refuse(RULE_INFO_TOO_DEEP, path, "more than 32 levels", error);
	if (!memmem(text, bytes, "</plist>", 8))
		return refuse(RULE_INFO_MALFORMED, path,
			"its end, </plist>, is missing: it was cut", error);
	return 0;
}

int plist_read(
	const char *text, size_t bytes, const char *path, plist_t *ret, struct wire_error *error)
{
	bool binary = bytes >= 8 && memcmp(text, "bplist00", 8) == 0;
	plist_t root = NULL;
	int r;

	if (bytes > BUNDLE_PLIST_BYTES_MAX)
		return refuse(RULE_INFO_TOO_LARGE, path, "more than 1 MiB", error);
	r = binary ? check_binary(text, bytes, path, error) : check_xml(text, bytes, path, error);
	if (r != 0)
		return r;
	if (binary)
		plist_from_bin(text, (uint32_t)bytes, &root);
	else
		plist_from_xml(text, (uint32_t)bytes, &root);
	if (!root)
		return refuse(RULE_INFO_MALFORMED, path, "it is neither XML nor binary", error);
	if (plist_get_node_type(root) != PLIST_DICT) {
		plist_free(root);
		return refuse(RULE_INFO_MALFORMED, path, "its top is no dictionary", error);
	}
	*ret = root;
	return 0;
}

static json_t *json_of_array(plist_t node)
{
	json_t *array = json_array();
	uint32_t i, n = plist_array_get_size(node);

	for (i = 0; array && i < n; i++) {
		json_t *value = plist_to_json_value(plist_array_get_item(node, i));

		if (!value || json_array_append_new(array, value) < 0) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

static json_t *json_of_dictionary(plist_t node)
{
	json_t *object = json_object();
	plist_dict_iter iterator = NULL;
	bool ok = object != NULL;

	plist_dict_new_iter(node, &iterator);
	while (ok) {
		char *key = NULL;
		plist_t value = NULL;
		json_t *json;

		plist_dict_next_item(node, iterator, &key, &value);
		if (!key)
			break;
		json = plist_to_json_value(value);
		ok = json && json_object_set_new(object, key, json) == 0;
		free(key);
	}
	free(iterator);
	if (!ok) {
		json_decref(object);
		return NULL;
	}
	return object;
}

json_t *plist_to_json_value(plist_t node)
{
	uint64_t number;
	double real;
	uint8_t truth;

	switch (plist_get_node_type(node)) {
	case PLIST_BOOLEAN:
		plist_get_bool_val(node, &truth);
		return json_boolean(truth);
	case PLIST_UINT:
		plist_get_uint_val(node, &number);
		return json_integer((json_int_t)number);
	case PLIST_REAL:
		plist_get_real_val(node, &real);
		return json_real(real);
	case PLIST_STRING:
		return json_string(plist_get_string_ptr(node, NULL));
	case PLIST_ARRAY:
		return json_of_array(node);
	case PLIST_DICT:
		return json_of_dictionary(node);
	default:
		return NULL;
	}
}
