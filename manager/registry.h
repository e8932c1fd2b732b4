/* SPDX-License-Identifier: Apache-2.0
 *
 * The registry: registry.db, SQLite in WAL mode with synchronous FULL. What was committed survives a
 * kill and a power cut; what was not never happened. It holds one row a staged copy, the approvals,
 * and a few single values; outboard-registry(5) describes the tables.
 *
 * Every call returns 0 or -errno: -ENOSPC the disk is full, -EEXIST a second active copy of one
 * (team, identifier) was about to be written, -EIO, -ENOMEM. After an error nothing has changed.
 */
#ifndef OB_MANAGER_REGISTRY_H
#define OB_MANAGER_REGISTRY_H

#include <stdbool.h>
#include <stdint.h>
#include "base/macros.h"

struct extension;
struct registry;

enum registry_how {
	REGISTRY_OPENED,
	REGISTRY_CREATED,
	REGISTRY_MOVED_ASIDE, /* the old one could not be read: it is at registry.db.bad-TIME */
};

/*
 * Opens or creates @path and brings it up to our version. -EPROTONOSUPPORT: it was written by a
 * newer Outboard; nothing is touched. *ret_version is what was found, for the message.
 */
int registry_open(
	const char *path, struct registry **ret, enum registry_how *ret_how, int *ret_version);
struct registry *registry_free(struct registry *registry);
DEFINE_CLEANUP(struct registry, registry_free)

#define REGISTRY_VERSION 1

/* Several writes as one. Not nested. commit() that fails has rolled back. */
int registry_begin(struct registry *registry);
int registry_commit(struct registry *registry);
void registry_rollback(struct registry *registry);

int registry_put(struct registry *registry, const struct extension *extension);
int registry_remove(struct registry *registry, const char *id);
/* @fresh gives an empty struct for each row and fills the list; a row that cannot be read is -EIO. */
int registry_load(struct registry *registry, int (*fresh)(void *context, struct extension **ret),
	void *context);

struct registry_approval {
	char entitlements[8192];
	bool denied;
	char by[64];
	uint64_t at_usec;
};
int registry_put_approval(struct registry *registry, const char *team, const char *identifier,
	const struct registry_approval *approval);
/* Calls @each until it returns something else than 0, which is then returned. */
int registry_each_approval(struct registry *registry, const char *team, const char *identifier,
	int (*each)(void *context, const struct registry_approval *approval), void *context);
/* @team NULL: all of them */
int registry_forget_approvals(struct registry *registry, const char *team, const char *identifier);

/* Single values. get: -ENOENT. */
int registry_get(struct registry *registry, const char *key, char *ret, size_t bytes);
int registry_set(struct registry *registry, const char *key, const char *value);
/* A number that was never given before and never will be again. */
int registry_next_child(struct registry *registry, uint64_t *ret);

#endif
