/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by the registry's files: statements, and SQLite's codes as errno.
 */
#ifndef OB_MANAGER_REGISTRY_INTERNAL_H
#define OB_MANAGER_REGISTRY_INTERNAL_H

#include <sqlite3.h>
#include "manager/registry.h"

struct registry {
	sqlite3 *db;
	char *path;
};

int registry_errno(int code);
int registry_prepare(struct registry *registry, const char *sql, sqlite3_stmt **ret);
int registry_run(struct registry *registry, const char *sql);
/* Steps a statement that returns no rows, and finalizes it. */
int registry_done(sqlite3_stmt *statement);
int registry_bind_text(sqlite3_stmt *statement, int at, const char *text);
int registry_migrate(struct registry *registry, int *ret_version);

static inline void registry_statement_done(sqlite3_stmt **statement)
{
	sqlite3_finalize(*statement);
}
#define _cleanup_statement_ _cleanup_(registry_statement_done)

#endif
