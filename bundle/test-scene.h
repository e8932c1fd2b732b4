/* SPDX-License-Identifier: Apache-2.0
 *
 * What tests of bundles stand in: an OUTBOARD_ROOT in a temporary folder, a team, and a sound app
 * with one extension, both really signed. A test changes it by the calls below, each of which can be
 * undone, so that what was refused for one change is seen to be accepted without it.
 */
#ifndef OB_BUNDLE_TEST_SCENE_H
#define OB_BUNDLE_TEST_SCENE_H

#include <limits.h>
#include <sys/types.h>
#include "bundle/bundle.h"
#include "bundle/sign/key.h"

/* Paths below the scene's root. */
#define SCENE_APP "opt/Example.app"
#define SCENE_AGENT "org.example.app.agent"
#define SCENE_EXTENSIONS SCENE_APP "/Contents/Library/SystemExtensions"
#define SCENE_EXTENSION SCENE_EXTENSIONS "/" SCENE_AGENT ".systemextension"
#define SCENE_DATA SCENE_APP "/Contents/Resources/data.txt"
#define SCENE_OTHER SCENE_APP "/Contents/Resources/other.txt"
#define SCENE_LINK SCENE_APP "/Contents/Resources/link"

struct scene {
	char root[64]; /* what OUTBOARD_ROOT is */
	int root_fd;
	struct secret_key key;
	char team[11];
};

extern struct scene scene;

/* cmocka's: of a group. The end fails when the scene's root cannot be removed. */
int scene_begin(void **state);
int scene_end(void **state);

/* An absolute path of one below the root, in one of a few buffers that take turns. */
const char *scene_path(const char *path);

/* ---- changes, undone in reverse; each fails the test when it cannot be made ------------------- */

void scene_take(const char *path); /* away, be it a file or a folder */
void scene_rename(const char *from, const char *to);
void scene_file(const char *path, const void *data, size_t bytes, mode_t mode);
void scene_text(const char *path, const char *text);
void scene_link(const char *path, const char *target);
/* -errno where this user, or this place, may have none. */
int scene_node(const char *path, mode_t mode, dev_t device);
/* Both files of the signature, with the scene's key: @bundle's @entitlements are a plist's text or NULL. */
void scene_sign(const char *bundle, const char *entitlements);
void scene_sign_all(void); /* the extension, then the app, with what each is entitled to */
/* One more extension, or driver when its folder ends in .dext: whole, signed, entitled to nothing. */
void scene_extension(const char *bundle, const char *identifier, const char *type);
/* The team's file, with what it may grant; NULL: what the scene needs. */
void scene_team(const char *entitlements);
void scene_undo(void);
void scene_undo_one(void); /* the last call alone, when it made one file */
/* Whose signatures are made and whose team is registered from now on; not undone. */
void scene_set_key(const struct secret_key *key);

/* ---- parts ------------------------------------------------------------------------------------ */

/* Info.plist of a bundle; printf(3)'s values are its identifier, its type and its executable. */
char *scene_info(const char *identifier, const char *type, const char *executable);
extern const char scene_app_entitlements[], scene_agent_entitlements[];
/* The head of a program for this machine, which is what the verdict looks at. */
const void *scene_program(size_t *ret_bytes);

/* ---- the verdict ------------------------------------------------------------------------------ */

/* As an event loop asks for it, by the job: 0, 1, -errno. */
int scene_judge(const char *bundle, struct bundle_info *ret, struct wire_error *ret_error);
void scene_accepts(const char *bundle);
/* By that rule, and its sentence holds @object. */
void scene_refuses(const char *bundle, enum rule_id rule, const char *object);

#endif
