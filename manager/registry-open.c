/* SPDX-License-Identifier: Apache-2.0
 *
 * The registry, opened: its form, its migrations, and what is done with one that cannot be read.
 *
 * A full disk or an I/O error is no reason to put a registry aside; a file that SQLite calls corrupt
 * or no database is. Facts: sqlite.org/rescode.html, sqlite.org/pragma.html#pragma_synchronous.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/str.h"
#include "manager/registry-internal.h"

#define CACHE_KIB 256

/* migrations[n] takes version n to n + 1. One is never changed once it was released. */
static const char *const migrations[REGISTRY_VERSION] = {
	"CREATE TABLE extensions ("
	" id TEXT PRIMARY KEY NOT NULL, team TEXT NOT NULL, identifier TEXT NOT NULL,"
	" version TEXT NOT NULL, short_version TEXT NOT NULL, name TEXT NOT NULL,"
	" executable TEXT NOT NULL, usage TEXT NOT NULL, service_0 TEXT NOT NULL,"
	" service_1 TEXT NOT NULL, team_name TEXT NOT NULL, digest TEXT NOT NULL,"
	" entitlements TEXT NOT NULL, kind INTEGER NOT NULL, categories INTEGER NOT NULL,"
	" entitlement_bits INTEGER NOT NULL, flags INTEGER NOT NULL, n_files INTEGER NOT NULL,"
	" n_bytes INTEGER NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL,"
	" wanted INTEGER NOT NULL, slot INTEGER NOT NULL, by_policy INTEGER NOT NULL,"
	" origin_path TEXT, app_path TEXT, app_mount TEXT, app_device INTEGER NOT NULL,"
	" app_inode INTEGER NOT NULL, child INTEGER NOT NULL, start_time INTEGER NOT NULL,"
	" pid INTEGER NOT NULL, restarts INTEGER NOT NULL, last_error TEXT,"
	" last_exit TEXT NOT NULL, since_usec INTEGER NOT NULL,"
	" approved_at_usec INTEGER NOT NULL, approved_by TEXT NOT NULL, boot_id TEXT NOT NULL,"
	" refused_digest TEXT NOT NULL, switched_off INTEGER NOT NULL"
	") WITHOUT ROWID;"
	/* the key invariant: at most one active copy of an extension */
	"CREATE UNIQUE INDEX one_active ON extensions (team, identifier) WHERE slot = 1;"
	"CREATE TABLE approvals ("
	" team TEXT NOT NULL, identifier TEXT NOT NULL, entitlements TEXT NOT NULL,"
	" denied INTEGER NOT NULL, by TEXT NOT NULL, at_usec INTEGER NOT NULL,"
	" PRIMARY KEY (team, identifier, entitlements)) WITHOUT ROWID;"
	"CREATE TABLE single_values (key TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL) WITHOUT ROWID;",
};

static const struct {
	int code, error;
} codes[] = {
	{ SQLITE_FULL, -ENOSPC },
	{ SQLITE_NOMEM, -ENOMEM },
	{ SQLITE_CONSTRAINT, -EEXIST },
	{ SQLITE_READONLY, -EROFS },
	{ SQLITE_BUSY, -EBUSY },
	{ SQLITE_LOCKED, -EBUSY },
	{ SQLITE_CANTOPEN, -EACCES },
	{ SQLITE_PERM, -EACCES },
	{ SQLITE_CORRUPT, -EUCLEAN },
	{ SQLITE_NOTADB, -EUCLEAN },
	{ SQLITE_TOOBIG, -E2BIG },
};

int registry_errno(int code)
{
	size_t i;

	if (code == SQLITE_OK || code == SQLITE_DONE || code == SQLITE_ROW)
		return 0;
	for (i = 0; i < ARRAY_SIZE(codes); i++)
		if ((code & 0xff) == codes[i].code)
			return codes[i].error;
	return -EIO;
}

int registry_prepare(struct registry *registry, const char *sql, sqlite3_stmt **ret)
{
	return registry_errno(sqlite3_prepare_v2(registry->db, sql, -1, ret, NULL));
}

int registry_run(struct registry *registry, const char *sql)
{
	return registry_errno(sqlite3_exec(registry->db, sql, NULL, NULL, NULL));
}

int registry_done(sqlite3_stmt *statement)
{
	int code = sqlite3_step(statement);

	sqlite3_finalize(statement);
	return registry_errno(code);
}

int registry_bind_text(sqlite3_stmt *statement, int at, const char *text)
{
	return registry_errno(sqlite3_bind_text(statement, at, text, -1, SQLITE_TRANSIENT));
}

int registry_begin(struct registry *registry)
{
	return registry_run(registry, "BEGIN IMMEDIATE");
}

int registry_commit(struct registry *registry)
{
	int r = registry_run(registry, "COMMIT");

	if (r < 0)
		registry_rollback(registry);
	return r;
}

void registry_rollback(struct registry *registry)
{
	/* after SQLITE_FULL and others the transaction may have ended by itself */
	if (!sqlite3_get_autocommit(registry->db))
		registry_run(registry, "ROLLBACK");
}

static int get_number(struct registry *registry, const char *sql, int *ret)
{
	_cleanup_statement_ sqlite3_stmt *statement = NULL;
	int r = registry_prepare(registry, sql, &statement);
	int code;

	if (r < 0)
		return r;
	code = sqlite3_step(statement);
	if (code != SQLITE_ROW)
		return code == SQLITE_DONE ? -EUCLEAN : registry_errno(code);
	*ret = sqlite3_column_int(statement, 0);
	return 0;
}

int registry_migrate(struct registry *registry, int *ret_version)
{
	char text[64];
	int version = 0, r;

	r = get_number(registry, "PRAGMA user_version", &version);
	if (r < 0)
		return r;
	*ret_version = version;
	if (version > REGISTRY_VERSION)
		return -EPROTONOSUPPORT;
	for (; version < REGISTRY_VERSION; version++) {
		r = registry_begin(registry);
		if (r < 0)
			return r;
		snprintf(text, sizeof text, "PRAGMA user_version = %d", version + 1);
		r = registry_run(registry, migrations[version]);
		if (r == 0)
			r = registry_run(registry, text);
		if (r < 0) {
			registry_rollback(registry);
			return r;
		}
		r = registry_commit(registry);
		if (r < 0)
			return r;
	}
	return 0;
}

static int is_whole(struct registry *registry)
{
	_cleanup_statement_ sqlite3_stmt *statement = NULL;
	int r = registry_prepare(registry, "PRAGMA quick_check(1)", &statement);
	int code;

	if (r < 0)
		return r;
	code = sqlite3_step(statement);
	if (code != SQLITE_ROW)
		return code == SQLITE_DONE ? -EUCLEAN : registry_errno(code);
	return streq((const char *)sqlite3_column_text(statement, 0), "ok") ? 0 : -EUCLEAN;
}

static int open_once(const char *path, struct registry **ret, int *ret_version)
{
	_cleanup_(registry_freep) struct registry *registry = calloc(1, sizeof *registry);
	char text[64];
	int r;

	if (!registry)
		return -ENOMEM;
	registry->path = strdup(path);
	if (!registry->path)
		return -ENOMEM;
	r = registry_errno(sqlite3_open_v2(path, &registry->db,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
			SQLITE_OPEN_NOFOLLOW,
		NULL));
	if (r < 0)
		return r;
	sqlite3_busy_timeout(registry->db, 2000);
	snprintf(text, sizeof text, "PRAGMA cache_size = -%d", CACHE_KIB);
	r = registry_run(registry, text);
	if (r == 0)
		r = is_whole(registry);
	if (r == 0)
		r = registry_run(registry,
			"PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
			"PRAGMA wal_autocheckpoint = 64;");
	if (r == 0)
		r = registry_migrate(registry, ret_version);
	if (r < 0)
		return r;
	*ret = TAKE(registry);
	return 0;
}

static int move_aside(const char *path)
{
	static const char *const tails[] = { "-wal", "-shm", "" };
	char from[4096], to[4096 + 64];
	long now = (long)time(NULL);
	size_t i;

	/* the database last: as long as it is there, the next try finds it and does this again */
	for (i = 0; i < ARRAY_SIZE(tails); i++) {
		snprintf(from, sizeof from, "%s%s", path, tails[i]);
		snprintf(to, sizeof to, "%s.bad-%ld%s", path, now, tails[i]);
		if (rename(from, to) < 0 && errno != ENOENT)
			return -errno;
	}
	return 0;
}

int registry_open(
	const char *path, struct registry **ret, enum registry_how *ret_how, int *ret_version)
{
	enum registry_how how = access(path, F_OK) < 0 ? REGISTRY_CREATED : REGISTRY_OPENED;
	int r = open_once(path, ret, ret_version);

	if (r == -EUCLEAN) {
		r = move_aside(path);
		if (r < 0)
			return r;
		how = REGISTRY_MOVED_ASIDE;
		r = open_once(path, ret, ret_version);
	}
	if (r == 0)
		*ret_how = how;
	return r;
}

struct registry *registry_free(struct registry *registry)
{
	if (!registry)
		return NULL;
	sqlite3_close(registry->db);
	free(registry->path);
	free(registry);
	return NULL;
}
