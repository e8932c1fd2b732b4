/* SPDX-License-Identifier: Apache-2.0
 *
 * The registry's rows, see registry.h. One table of columns makes the statements and moves the
 * values, in both directions.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/str.h"
#include "manager/manager.h"
#include "manager/registry-internal.h"

enum kind { KIND_FIELD, KIND_STRING, KIND_U32, KIND_I32, KIND_U64, KIND_BOOL, KIND_STATE };

static const struct column {
	const char *name;
	enum kind kind;
	size_t offset, bytes;
} columns[] = {
#define COLUMN(name, kind, member)                                \
	{ #name, KIND_##kind, offsetof(struct extension, member), \
		MEMBER_SIZE(struct extension, member) },
#include "manager/registry-columns.def"
#undef COLUMN
};

static const void *member_of(const struct extension *extension, const struct column *column)
{
	return (const char *)extension + column->offset;
}

static int bind_number(
	sqlite3_stmt *statement, int at, const struct column *column, const void *member)
{
	int64_t value = 0;

	if (column->kind == KIND_BOOL)
		value = *(const bool *)member;
	else if (column->kind == KIND_I32)
		value = *(const int32_t *)member;
	else if (column->kind == KIND_U32)
		value = *(const uint32_t *)member;
	else
		value = (int64_t) * (const uint64_t *)member;
	return registry_errno(sqlite3_bind_int64(statement, at, value));
}

static int bind_column(
	sqlite3_stmt *statement, int at, const struct column *column, const void *member)
{
	switch (column->kind) {
	case KIND_FIELD:
		return registry_bind_text(statement, at, member);
	case KIND_STRING:
		return registry_bind_text(statement, at, *(char *const *)member);
	case KIND_STATE:
		return registry_bind_text(
			statement, at, state_get(*(const uint32_t *)member)->name);
	default:
		return bind_number(statement, at, column, member);
	}
}

/* INSERT OR REPLACE would delete another copy that holds the slot: an upsert does not. */
static void put_statement(char *sql, size_t bytes)
{
	size_t i, at = 0;

	at += (size_t)snprintf(sql + at, bytes - at, "INSERT INTO extensions (id");
	for (i = 0; i < ARRAY_SIZE(columns); i++)
		at += (size_t)snprintf(sql + at, bytes - at, ", %s", columns[i].name);
	at += (size_t)snprintf(sql + at, bytes - at, ") VALUES (?");
	for (i = 0; i < ARRAY_SIZE(columns); i++)
		at += (size_t)snprintf(sql + at, bytes - at, ", ?");
	at += (size_t)snprintf(sql + at, bytes - at, ") ON CONFLICT (id) DO UPDATE SET ");
	for (i = 0; i < ARRAY_SIZE(columns); i++)
		at += (size_t)snprintf(sql + at, bytes - at, "%s%s = excluded.%s", i ? ", " : "",
			columns[i].name, columns[i].name);
}

int registry_put(struct registry *registry, const struct extension *extension)
{
	sqlite3_stmt *statement;
	char sql[4096];
	size_t i;
	int r;

	put_statement(sql, sizeof sql);
	r = registry_prepare(registry, sql, &statement);
	if (r < 0)
		return r;
	r = registry_bind_text(statement, 1, extension->id);
	for (i = 0; r == 0 && i < ARRAY_SIZE(columns); i++)
		r = bind_column(
			statement, (int)i + 2, &columns[i], member_of(extension, &columns[i]));
	if (r < 0) {
		sqlite3_finalize(statement);
		return r;
	}
	return registry_done(statement);
}

int registry_remove(struct registry *registry, const char *id)
{
	sqlite3_stmt *statement;
	int r = registry_prepare(registry, "DELETE FROM extensions WHERE id = ?", &statement);

	if (r < 0)
		return r;
	registry_bind_text(statement, 1, id);
	return registry_done(statement);
}

static int read_text(const char *text, const struct column *column, void *member)
{
	int state;

	if (column->kind == KIND_STRING) {
		*(char **)member = text ? strdup(text) : NULL;
		return text && !*(char **)member ? -ENOMEM : 0;
	}
	if (!text)
		return -EIO;
	if (column->kind == KIND_FIELD)
		return str_put(member, column->bytes, text) < 0 ? -EIO : 0;
	state = state_of_name(text);
	if (state < 0)
		return -EIO;
	*(uint32_t *)member = (uint32_t)state;
	return 0;
}

static int read_column(sqlite3_stmt *statement, int at, const struct column *column, void *member)
{
	switch (column->kind) {
	case KIND_BOOL:
		*(bool *)member = sqlite3_column_int(statement, at) != 0;
		return 0;
	case KIND_I32:
		*(int32_t *)member = sqlite3_column_int(statement, at);
		return 0;
	case KIND_U32:
		*(uint32_t *)member = (uint32_t)sqlite3_column_int64(statement, at);
		return 0;
	case KIND_U64:
		*(uint64_t *)member = (uint64_t)sqlite3_column_int64(statement, at);
		return 0;
	default:
		return read_text((const char *)sqlite3_column_text(statement, at), column, member);
	}
}

static int read_row(sqlite3_stmt *statement, struct extension *extension)
{
	const char *id = (const char *)sqlite3_column_text(statement, 0);
	size_t i;
	int r = id && STR_PUT(extension->id, id) == 0 ? 0 : -EIO;

	for (i = 0; r == 0 && i < ARRAY_SIZE(columns); i++)
		r = read_column(
			statement, (int)i + 1, &columns[i], (char *)extension + columns[i].offset);
	return r;
}

int registry_load(struct registry *registry, int (*fresh)(void *context, struct extension **ret),
	void *context)
{
	_cleanup_statement_ sqlite3_stmt *statement = NULL;
	char sql[2048] = "SELECT id";
	size_t i, at = strlen(sql);
	int code, r;

	for (i = 0; i < ARRAY_SIZE(columns); i++)
		at += (size_t)snprintf(sql + at, sizeof sql - at, ", %s", columns[i].name);
	snprintf(sql + at, sizeof sql - at, " FROM extensions ORDER BY since_usec, id");
	r = registry_prepare(registry, sql, &statement);
	while (r == 0 && (code = sqlite3_step(statement)) == SQLITE_ROW) {
		struct extension *extension = NULL;

		r = fresh(context, &extension);
		if (r == 0)
			r = read_row(statement, extension);
	}
	return r < 0 ? r : registry_errno(code);
}

int registry_get(struct registry *registry, const char *key, char *ret, size_t bytes)
{
	_cleanup_statement_ sqlite3_stmt *statement = NULL;
	int r = registry_prepare(
		registry, "SELECT value FROM single_values WHERE key = ?", &statement);
	int code;

	if (r < 0)
		return r;
	registry_bind_text(statement, 1, key);
	code = sqlite3_step(statement);
	if (code != SQLITE_ROW)
		return code == SQLITE_DONE ? -ENOENT : registry_errno(code);
	return str_put(ret, bytes, str_or((const char *)sqlite3_column_text(statement, 0), ""));
}

int registry_set(struct registry *registry, const char *key, const char *value)
{
	sqlite3_stmt *statement;
	int r = registry_prepare(registry,
		"INSERT INTO single_values (key, value) VALUES (?, ?)"
		" ON CONFLICT (key) DO UPDATE SET value = excluded.value",
		&statement);

	if (r < 0)
		return r;
	registry_bind_text(statement, 1, key);
	registry_bind_text(statement, 2, value);
	return registry_done(statement);
}

int registry_next_child(struct registry *registry, uint64_t *ret)
{
	char text[32];
	/* after a lost registry the numbers of those that still run are not given again */
	uint64_t next = (uint64_t)time(NULL) * 1000;
	int r = registry_get(registry, "next_child", text, sizeof text);

	if (r == 0)
		next = strtoull(text, NULL, 10);
	else if (r != -ENOENT)
		return r;
	snprintf(text, sizeof text, "%" PRIu64, next + 1);
	r = registry_set(registry, "next_child", text);
	if (r == 0)
		*ret = next;
	return r;
}
