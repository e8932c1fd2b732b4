/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows of test-bundle.c: files, links, names and limits; manifest, signature and team.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>
#include "base/fd.h"
#include "base/str.h"
#include "bundle/test-rows.h"

#define EXTENSION_MANIFEST SCENE_EXTENSION "/Contents/_Signature/manifest"
#define RENAMED SCENE_EXTENSIONS "/org.example.app.renamed.systemextension"
#define NO_BUNDLE SCENE_EXTENSIONS "/" SCENE_AGENT ".bundle"
#define DEXT SCENE_EXTENSIONS "/" SCENE_AGENT ".dext"
#define BETWEEN SCENE_EXTENSIONS "/" SCENE_AGENT ".helper.systemextension"
#define MANY SCENE_APP "/Contents/Resources/many"

/* ---- files ------------------------------------------------------------------------------------ */

static void missing_file(void)
{
	scene_take(SCENE_OTHER); /* no link leads to it */
}

static void extra_file(void)
{
	scene_text(SCENE_APP "/Contents/Resources/extra.txt", "");
}

static void changed_byte(void)
{
	scene_text(SCENE_DATA, "same data\n");
}

static void changed_byte_of_nested(void)
{
	size_t bytes;
	const unsigned char *program = scene_program(&bytes);
	unsigned char changed[256];

	assert_in_range(bytes, 1, sizeof changed);
	memcpy(changed, program, bytes);
	changed[bytes - 1] ^= 1;
	scene_file(SCENE_EXTENSION "/Contents/MacOS/main", changed, bytes, 0755);
}

static void changed_mode(void)
{
	scene_file(SCENE_DATA, "some data\n", 10, 0755);
}

/* ---- links and special files ------------------------------------------------------------------ */

static void link_absolute(void)
{
	scene_link(SCENE_LINK, "/etc/hostname");
}

static void link_climbs_out(void)
{
	scene_text("outside.txt", "");
	scene_link(SCENE_LINK, "../../../../outside.txt");
}

/* Where it ends lies inside, the way to it does not. */
static void link_out_and_in(void)
{
	scene_link(SCENE_LINK, "../../../Example.app/Contents/Resources/data.txt");
}

static void link_to_nothing(void)
{
	scene_link(SCENE_LINK, "nothing.txt");
}

static void link_elsewhere_inside(void)
{
	scene_link(SCENE_LINK, "../Info.plist");
}

static void fifo(void)
{
	assert_int_equal(scene_node(SCENE_APP "/Contents/Resources/pipe", S_IFIFO | 0644, 0), 0);
}

static void file_becomes_fifo(void)
{
	assert_int_equal(scene_node(SCENE_DATA, S_IFIFO | 0644, 0), 0);
}

/* ---- the manifest ----------------------------------------------------------------------------- */

/* The extension's manifest with @from, which stands in it once, replaced; signed anew. */
static void rewrite_manifest(const char *from, const char *to)
{
	_cleanup_free_ char *text = NULL, *signature = NULL, *changed = NULL;
	char *at;

	assert_int_equal(file_read_at(scene.root_fd, EXTENSION_MANIFEST, 65536, &text, NULL), 0);
	at = strstr(text, from);
	assert_non_null(at);
	assert_true(
		asprintf(&changed, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from)) > 0);
	assert_int_equal(key_sign(&scene.key, changed, strlen(changed), "test", &signature), 0);
	scene_text(EXTENSION_MANIFEST, changed);
	scene_text(EXTENSION_MANIFEST ".minisig", signature);
}

/* Of an empty file: a line as good as any but for its path. */
#define LINE_OF(path)           \
	"outboard-manifest 1\n" \
	"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 100644 0 " path "\n"

static void manifest_climbs(void)
{
	rewrite_manifest("outboard-manifest 1\n", LINE_OF("../outside"));
}

static void manifest_climbs_inside(void)
{
	rewrite_manifest("outboard-manifest 1\n", LINE_OF("Contents/../outside"));
}

static void manifest_absolute(void)
{
	rewrite_manifest("outboard-manifest 1\n", LINE_OF("/etc/hostname"));
}

static void manifest_without_signature(void)
{
	scene_take(EXTENSION_MANIFEST ".minisig");
}

static void manifest_changed(void)
{
	_cleanup_free_ char *text = NULL;

	assert_int_equal(file_read_at(scene.root_fd, EXTENSION_MANIFEST, 65536, &text, NULL), 0);
	*strstr(text, "endpoint-security") = 'E';
	scene_text(EXTENSION_MANIFEST, text);
}

/* What cannot be read at all is not looked at either, before the signature has said whose it is. */
static void manifest_garbage(void)
{
	scene_text(EXTENSION_MANIFEST, "\n\n{[\"../../x\"");
}

static void manifest_no_manifest(void)
{
	rewrite_manifest("outboard-manifest 1\n", "outboard-manifest 2\n");
}

static void manifest_too_large(void)
{
	size_t bytes = BUNDLE_MANIFEST_BYTES_MAX + 1;
	_cleanup_free_ char *text = calloc(1, bytes);

	assert_non_null(text);
	scene_file(EXTENSION_MANIFEST, text, bytes, 0644);
}

static void signature_malformed(void)
{
	scene_text(EXTENSION_MANIFEST ".minisig", "untrusted comment: signature\n");
}

/* ---- names, teams, entitlements --------------------------------------------------------------- */

static void other_name(void)
{
	scene_rename(SCENE_EXTENSION, RENAMED);
}

static void unknown_team(void)
{
	char path[64];

	snprintf(path, sizeof path, "etc/outboard/teams.d/%s.team", scene.team);
	scene_take(path);
}

/* A registration that cannot be read vouches for nobody. */
static void broken_registration(void)
{
	char path[64];

	snprintf(path, sizeof path, "etc/outboard/teams.d/%s.team", scene.team);
	scene_text(path, "[team]\nkey = none\n");
}

static void revoked_team(void)
{
	char path[64];

	snprintf(path, sizeof path, "etc/outboard/revoked.d/%s", scene.team);
	scene_text(path, "its key was stolen\n");
}

static void revoked_build(void)
{
	_cleanup_fd_ int fd = openat(scene.root_fd, SCENE_EXTENSION, O_RDONLY | O_CLOEXEC);
	char digest[BUNDLE_DIGEST_BYTES], path[128];

	assert_int_equal(bundle_read_digest(fd, SCENE_AGENT ".systemextension", digest), 0);
	snprintf(path, sizeof path, "usr/lib/outboard/revoked.d/%s", digest);
	scene_text(path, "it loses data\n");
}

static void not_granted(void)
{
	scene_team("com.apple.developer.system-extension.install");
}

/* ---- limits and names ------------------------------------------------------------------------- */

static void no_bundle(void)
{
	scene_rename(SCENE_EXTENSION, NO_BUNDLE);
}

static void name_with_control(void)
{
	scene_text(SCENE_APP "/Contents/Resources/two\nlines", "");
}

static void name_no_utf8(void)
{
	scene_text(SCENE_APP "/Contents/Resources/caf\xe9", "");
}

static void too_deep(void)
{
	char path[256] = SCENE_APP "/Contents/Resources";
	unsigned i;

	for (i = 3; i <= BUNDLE_DEPTH_MAX; i++)
		strcat(path, "/d");
	strcat(path, "/file");
	scene_text(path, "");
}

/* Not written, and never read: its size is what counts. */
static void too_large(void)
{
	scene_text(SCENE_OTHER, "");
	assert_int_equal(truncate(scene_path(SCENE_OTHER), (off_t)BUNDLE_BYTES_MAX + 1), 0);
}

/* Links of two files, since a file has 65,000 at most on ext4, and they cost less. */
static void too_many(void)
{
	static const char *const files[] = { MANY "/a", MANY "/b" };
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(files); i++)
		scene_text(files[i], "");
	for (i = 0; i < BUNDLE_FILES_MAX; i++) {
		char name[128];

		snprintf(name, sizeof name, MANY "/%u", i);
		assert_int_equal(linkat(scene.root_fd, files[i % 2], scene.root_fd, name, 0), 0);
	}
}

/* ---- two of one identifier -------------------------------------------------------------------- */

static void twice(void)
{
	scene_extension(DEXT, SCENE_AGENT, "DEXT");
	scene_sign(SCENE_APP, scene_app_entitlements);
}

/* Sorted, this one stands between the two. */
static void twice_with_one_between(void)
{
	scene_extension(BETWEEN, SCENE_AGENT ".helper", "SYSX");
	twice();
}

/* ---- the table -------------------------------------------------------------------------------- */

static const struct row rows[] = {
	{ "missing file", SCENE_APP, missing_file, RULE_FILE_MISSING, SCENE_OTHER },
	{ "extra file", SCENE_APP, extra_file, RULE_FILE_EXTRA,
		SCENE_APP "/Contents/Resources/extra.txt" },
	{ "changed byte", SCENE_APP, changed_byte, RULE_FILE_CHANGED, SCENE_DATA },
	{ "changed byte of an extension, in its app", SCENE_APP, changed_byte_of_nested,
		RULE_FILE_CHANGED, SCENE_EXTENSION "/Contents/MacOS/main" },
	{ "changed byte of an extension", SCENE_EXTENSION, changed_byte_of_nested,
		RULE_FILE_CHANGED, SCENE_EXTENSION "/Contents/MacOS/main" },
	{ "changed mode", SCENE_APP, changed_mode, RULE_MODE_CHANGED, SCENE_DATA },
	{ "absolute link", SCENE_APP, link_absolute, RULE_BUNDLE_LINK_OUT, SCENE_LINK },
	{ "link out of the bundle", SCENE_APP, link_climbs_out, RULE_BUNDLE_LINK_OUT, SCENE_LINK },
	{ "link out and in again", SCENE_APP, link_out_and_in, RULE_BUNDLE_LINK_OUT, SCENE_LINK },
	{ "link to nothing", SCENE_APP, link_to_nothing, RULE_BUNDLE_LINK_OUT, SCENE_LINK },
	{ "link inside that was signed otherwise", SCENE_APP, link_elsewhere_inside,
		RULE_FILE_CHANGED, SCENE_LINK },
	{ "fifo", SCENE_APP, fifo, RULE_BUNDLE_SPECIAL_FILE, SCENE_APP "/Contents/Resources/pipe" },
	{ "fifo in a file's place", SCENE_APP, file_becomes_fifo, RULE_BUNDLE_SPECIAL_FILE,
		SCENE_DATA },
	{ "'..' before a manifest's path", SCENE_EXTENSION, manifest_climbs, RULE_MANIFEST_PATH,
		"../outside" },
	{ "'..' in a manifest's path", SCENE_EXTENSION, manifest_climbs_inside, RULE_MANIFEST_PATH,
		"Contents/../outside" },
	{ "absolute path in a manifest", SCENE_EXTENSION, manifest_absolute, RULE_MANIFEST_PATH,
		"/etc/hostname" },
	{ "no signature", SCENE_EXTENSION, manifest_without_signature, RULE_SIGNATURE_MISSING,
		SCENE_EXTENSION },
	{ "changed manifest", SCENE_EXTENSION, manifest_changed, RULE_SIGNATURE_INVALID,
		EXTENSION_MANIFEST },
	{ "garbage for a manifest", SCENE_EXTENSION, manifest_garbage, RULE_SIGNATURE_INVALID,
		EXTENSION_MANIFEST },
	{ "folder that is not the identifier", SCENE_EXTENSION, other_name,
		RULE_BUNDLE_DIRECTORY_NAME, RENAMED, RENAMED },
	{ "unknown team", SCENE_EXTENSION, unknown_team, RULE_TEAM_UNKNOWN, SCENE_EXTENSION },
	{ "revoked team", SCENE_EXTENSION, revoked_team, RULE_TEAM_REVOKED, SCENE_EXTENSION },
	{ "revoked team: the reason", SCENE_APP, revoked_team, RULE_TEAM_REVOKED,
		"its key was stolen" },
	{ "revoked build", SCENE_EXTENSION, revoked_build, RULE_TEAM_DIGEST_REVOKED,
		SCENE_EXTENSION },
	{ "entitlement that its team may not grant", SCENE_EXTENSION, not_granted,
		RULE_ENTITLEMENTS_NOT_GRANTED, SCENE_EXTENSION },
	{ "entitlement: its name", SCENE_EXTENSION, not_granted, RULE_ENTITLEMENTS_NOT_GRANTED,
		"com.apple.developer.endpoint-security.client" },
	{ "one identifier twice", SCENE_APP, twice, RULE_BUNDLE_DUPLICATE_IDENTIFIER, SCENE_AGENT },
	{ "one identifier twice, another between", SCENE_APP, twice_with_one_between,
		RULE_BUNDLE_DUPLICATE_IDENTIFIER, SCENE_AGENT " occurs" },
	{ "no bundle by its name", SCENE_EXTENSION, no_bundle, RULE_BUNDLE_KIND, NO_BUNDLE,
		NO_BUNDLE },
	{ "line feed in a name", SCENE_APP, name_with_control, RULE_BUNDLE_FILE_NAME,
		SCENE_APP "/Contents/Resources/two?lines" },
	{ "name that is not UTF-8", SCENE_APP, name_no_utf8, RULE_BUNDLE_FILE_NAME,
		SCENE_APP "/Contents/Resources/caf?" },
	{ "folders too deep", SCENE_APP, too_deep, RULE_BUNDLE_TOO_DEEP,
		SCENE_APP "/Contents/Resources/d/d" },
	{ "more than 4 GiB", SCENE_APP, too_large, RULE_BUNDLE_TOO_LARGE, SCENE_APP },
	{ "more than 65,536 files", SCENE_APP, too_many, RULE_BUNDLE_TOO_MANY_FILES, SCENE_APP },
	{ "no manifest of this form", SCENE_EXTENSION, manifest_no_manifest,
		RULE_MANIFEST_MALFORMED, EXTENSION_MANIFEST },
	{ "manifest of more than 16 MiB", SCENE_EXTENSION, manifest_too_large,
		RULE_MANIFEST_TOO_LARGE, EXTENSION_MANIFEST },
	{ "no signature of this form", SCENE_EXTENSION, signature_malformed,
		RULE_SIGNATURE_MALFORMED, EXTENSION_MANIFEST ".minisig" },
	{ "broken registration", SCENE_EXTENSION, broken_registration, RULE_TEAM_UNKNOWN,
		SCENE_EXTENSION },
};

const struct row_table tree_rows = { rows, ARRAY_SIZE(rows) };
