/* SPDX-License-Identifier: Apache-2.0
 *
 * XPC dictionaries: entries in the order in which they came, and a table of hashes over them, so
 * that one of many keys, which may come from a stranger, is still found at once. The hash is seeded
 * by the address of a variable: keys that collide cannot be chosen beforehand.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/macros.h"
#include "outboard/internal.h"
#include "outboard/xpc.h"

bool xpc_dictionary_apply(xpc_object_t xdict, void *applier);

static const char seed;

static size_t hash_key(const char *key)
{
	size_t hash = (size_t)&seed * 0x9e3779b97f4a7c15u;

	for (; *key; key++) {
		hash = (hash ^ (unsigned char)*key) * 0xff51afd7ed558ccdu;
		hash ^= hash >> 32;
	}
	return hash;
}

/* Where it is in the table, or where it would be. */
static size_t probe(const xpc_value_t *dictionary, const char *key, size_t hash)
{
	size_t mask = dictionary->index_room - 1, at = hash & mask;

	for (; dictionary->index[at]; at = (at + 1) & mask) {
		const struct xpc_entry *entry = &dictionary->entries[dictionary->index[at] - 1];

		if (entry->hash == hash && strcmp(entry->key, key) == 0)
			break;
	}
	return at;
}

static struct xpc_entry *find(const xpc_value_t *dictionary, const char *key)
{
	size_t at;

	if (dictionary->n_entries == 0)
		return NULL;
	at = probe(dictionary, key, hash_key(key));
	return dictionary->index[at] ? &dictionary->entries[dictionary->index[at] - 1] : NULL;
}

static void fill_index(xpc_value_t *dictionary)
{
	size_t mask = dictionary->index_room - 1, at;

	memset(dictionary->index, 0, dictionary->index_room * sizeof *dictionary->index);
	for (size_t i = 0; i < dictionary->n_entries; i++) {
		for (at = dictionary->entries[i].hash & mask; dictionary->index[at];)
			at = (at + 1) & mask;
		dictionary->index[at] = (uint32_t)i + 1;
	}
}

static int grow(xpc_value_t *dictionary)
{
	size_t room = dictionary->entries_room ? dictionary->entries_room * 2 : 8;
	void *entries, *index;

	if (dictionary->n_entries < dictionary->entries_room)
		return 0;
	if (room > UINT32_MAX / 2)
		return -ENOMEM;
	entries = reallocarray(dictionary->entries, room, sizeof *dictionary->entries);
	if (!entries)
		return -ENOMEM;
	dictionary->entries = entries;
	index = calloc(room * 2, sizeof *dictionary->index);
	if (!index)
		return -ENOMEM;
	free(dictionary->index);
	dictionary->index = index;
	dictionary->index_room = room * 2;
	dictionary->entries_room = room;
	fill_index(dictionary);
	return 0;
}

int xpc_dictionary_put(xpc_value_t *dictionary, const char *key, xpc_object_t value)
{
	struct xpc_entry *entry;
	xpc_object_t before;
	int r;

	if (!key || !value || value == dictionary)
		return -EINVAL;
	entry = find(dictionary, key);
	if (entry) {
		before = entry->value;
		entry->value = xpc_retain(value);
		xpc_release(before);
		return 0;
	}
	r = grow(dictionary);
	if (r < 0)
		return r;
	entry = &dictionary->entries[dictionary->n_entries];
	entry->key = strdup(key);
	if (!entry->key)
		return -ENOMEM;
	entry->hash = hash_key(key);
	entry->value = xpc_retain(value);
	dictionary->index[probe(dictionary, key, entry->hash)] = (uint32_t)++dictionary->n_entries;
	return 0;
}

static void take_out(xpc_value_t *dictionary, const char *key)
{
	struct xpc_entry *entry = find(dictionary, key), gone;
	size_t after;

	if (!entry)
		return;
	gone = *entry;
	after = dictionary->n_entries - (size_t)(entry - dictionary->entries) - 1;
	memmove(entry, entry + 1, after * sizeof *entry);
	dictionary->n_entries--;
	fill_index(dictionary);
	free(gone.key);
	xpc_release(gone.value);
}

void xpc_dictionary_clear(xpc_value_t *dictionary)
{
	while (dictionary->n_entries > 0) {
		struct xpc_entry *entry = &dictionary->entries[--dictionary->n_entries];

		free(entry->key);
		xpc_release(entry->value);
	}
	free(dictionary->entries);
	free(dictionary->index);
}

ob_export xpc_object_t xpc_dictionary_create(
	const char *const *keys, const xpc_object_t *values, size_t count)
{
	xpc_value_t *dictionary = xpc_value_new(XPC_DICTIONARY);
	int r = dictionary ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < count; i++)
		r = xpc_dictionary_put(dictionary, keys[i], values[i]);
	if (r == 0)
		return dictionary;
	xpc_release(dictionary);
	return NULL;
}

ob_export xpc_object_t xpc_dictionary_create_empty(void)
{
	return xpc_value_new(XPC_DICTIONARY);
}

ob_export size_t xpc_dictionary_get_count(xpc_object_t xdict)
{
	xpc_value_t *dictionary = xpc_value_of(xdict, XPC_DICTIONARY);

	return dictionary ? dictionary->n_entries : 0;
}

ob_export xpc_object_t xpc_dictionary_get_value(xpc_object_t xdict, const char *key)
{
	xpc_value_t *dictionary = xpc_value_of(xdict, XPC_DICTIONARY);
	struct xpc_entry *entry = dictionary && key ? find(dictionary, key) : NULL;

	return entry ? entry->value : NULL;
}

ob_export void xpc_dictionary_set_value(xpc_object_t xdict, const char *key, xpc_object_t value)
{
	xpc_value_t *dictionary = xpc_value_of(xdict, XPC_DICTIONARY);

	if (!dictionary || !key)
		return;
	if (value)
		xpc_dictionary_put(dictionary, key, value);
	else
		take_out(dictionary, key);
}

ob_export bool xpc_dictionary_apply_f(xpc_object_t xdict, void *context,
	bool (*applier)(const char *key, xpc_object_t value, void *context))
{
	xpc_value_t *dictionary = xpc_value_of(xdict, XPC_DICTIONARY);

	for (size_t i = 0; dictionary && i < dictionary->n_entries; i++)
		if (!applier(dictionary->entries[i].key, dictionary->entries[i].value, context))
			return false;
	return true;
}

static bool apply_block(const char *key, xpc_object_t value, void *block)
{
	return BLOCK_INVOKE(block, bool (*)(void *, const char *, xpc_object_t))(block, key, value);
}

ob_export bool xpc_dictionary_apply(xpc_object_t xdict, void *applier)
{
	return xpc_dictionary_apply_f(xdict, applier, apply_block);
}

#define ACCESS(verb) xpc_dictionary_##verb
#define PLACE const char *key
#define AT key
#include "outboard/xpc-accessors.h"
