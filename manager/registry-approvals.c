/* SPDX-License-Identifier: Apache-2.0
 *
 * The registry's approvals: what an administrator has said, per (team, identifier, entitlements).
 */
#include <errno.h>
#include "base/str.h"
#include "manager/registry-internal.h"

int registry_put_approval(struct registry *registry, const char *team, const char *identifier,
	const struct registry_approval *approval)
{
	sqlite3_stmt *statement;
	int r = registry_prepare(registry,
		"INSERT INTO approvals (team, identifier, entitlements, denied, by, at_usec)"
		" VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (team, identifier, entitlements)"
		" DO UPDATE SET denied = excluded.denied, by = excluded.by, at_usec = excluded.at_usec",
		&statement);

	if (r < 0)
		return r;
	registry_bind_text(statement, 1, team);
	registry_bind_text(statement, 2, identifier);
	registry_bind_text(statement, 3, approval->entitlements);
	sqlite3_bind_int(statement, 4, approval->denied);
	registry_bind_text(statement, 5, approval->by);
	sqlite3_bind_int64(statement, 6, (int64_t)approval->at_usec);
	return registry_done(statement);
}

static int read_approval(sqlite3_stmt *statement, struct registry_approval *ret)
{
	const char *entitlements = (const char *)sqlite3_column_text(statement, 0);
	const char *by = (const char *)sqlite3_column_text(statement, 2);

	if (!entitlements || !by || STR_PUT(ret->entitlements, entitlements) < 0)
		return -EIO;
	STR_PUT(ret->by, by);
	ret->denied = sqlite3_column_int(statement, 1) != 0;
	ret->at_usec = (uint64_t)sqlite3_column_int64(statement, 3);
	return 0;
}

int registry_each_approval(struct registry *registry, const char *team, const char *identifier,
	int (*each)(void *context, const struct registry_approval *approval), void *context)
{
	_cleanup_statement_ sqlite3_stmt *statement = NULL;
	struct registry_approval approval;
	int code,
		r = registry_prepare(registry,
			"SELECT entitlements, denied, by, at_usec FROM approvals"
			" WHERE team = ? AND identifier = ? ORDER BY at_usec DESC",
			&statement);

	if (r < 0)
		return r;
	registry_bind_text(statement, 1, team);
	registry_bind_text(statement, 2, identifier);
	while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
		r = read_approval(statement, &approval);
		if (r == 0)
			r = each(context, &approval);
		if (r != 0)
			return r;
	}
	return registry_errno(code);
}

int registry_forget_approvals(struct registry *registry, const char *team, const char *identifier)
{
	sqlite3_stmt *statement;
	int r;

	if (!team)
		return registry_run(registry, "DELETE FROM approvals");
	r = registry_prepare(
		registry, "DELETE FROM approvals WHERE team = ? AND identifier = ?", &statement);
	if (r < 0)
		return r;
	registry_bind_text(statement, 1, team);
	registry_bind_text(statement, 2, identifier);
	return registry_done(statement);
}
