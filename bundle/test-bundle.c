/* SPDX-License-Identifier: Apache-2.0
 *
 * What is refused, as a table: a sound app and its extension, really signed, are accepted; with
 * exactly one change they are refused by exactly one rule, whose sentence names what it is about;
 * with the change undone they are accepted again. The verdict is the worker's, asked for as outboardd
 * asks for it. Needs no rights: what only root can make is a test by itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <cmocka.h>
#include "base/fd.h"
#include "base/str.h"
#include "bundle/test-scene.h"

#define APP_INFO SCENE_APP "/Contents/Info.plist"
#define EXTENSION_INFO SCENE_EXTENSION "/Contents/Info.plist"
#define EXTENSION_MANIFEST SCENE_EXTENSION "/Contents/_Signature/manifest"
#define RENAMED SCENE_EXTENSIONS "/org.example.app.renamed.systemextension"
#define DEXT SCENE_EXTENSIONS "/" SCENE_AGENT ".dext"
#define BETWEEN SCENE_EXTENSIONS "/" SCENE_AGENT ".helper.systemextension"

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

/* ---- names, teams, entitlements --------------------------------------------------------------- */

static void other_name(void)
{
	scene_rename(SCENE_EXTENSION, RENAMED);
}

static void extension_info(const void *info, size_t bytes)
{
	scene_file(EXTENSION_INFO, info, bytes, 0644);
	scene_sign(SCENE_EXTENSION, scene_agent_entitlements);
}

static void wrong_type(void)
{
	_cleanup_free_ char *info = scene_info(SCENE_AGENT, "APPL", "main");

	extension_info(info, strlen(info));
}

static void wrong_type_of_app(void)
{
	_cleanup_free_ char *info = scene_info("org.example.app", "BNDL", "main");

	scene_text(APP_INFO, info);
	scene_sign(SCENE_APP, scene_app_entitlements);
}

static void unknown_team(void)
{
	char path[64];

	snprintf(path, sizeof path, "etc/outboard/teams.d/%s.team", scene.team);
	scene_take(path);
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

/* ---- property lists --------------------------------------------------------------------------- */

static void plist_of_100_mb(void)
{
	_cleanup_free_ char *info = scene_info(SCENE_AGENT, "SYSX", "main");
	size_t bytes = 100u << 20, head = strlen(info) - strlen("</dict></plist>\n");
	_cleanup_free_ char *large = malloc(bytes + 1);

	assert_non_null(large);
	memset(large, ' ', bytes);
	memcpy(large, info, head);
	memcpy(large + bytes - 16, info + head, 16);
	extension_info(large, bytes);
}

#define LEVELS 10000u

static void plist_deep(void)
{
	static const char begin[] = "<array>", end[] = "</array>";
	_cleanup_free_ char *text = NULL;
	size_t bytes, i;
	FILE *out = open_memstream(&text, &bytes);

	assert_non_null(out);
	fputs("<plist version=\"1.0\"><dict><key>deep</key>", out);
	for (i = 0; i < LEVELS; i++)
		fputs(begin, out);
	for (i = 0; i < LEVELS; i++)
		fputs(end, out);
	fputs("</dict></plist>\n", out);
	assert_int_equal(fclose(out), 0);
	extension_info(text, bytes);
}

static void put_number(FILE *out, uint64_t value, int bytes)
{
	while (bytes-- > 0)
		fputc((int)(value >> 8 * bytes & 0xff), out);
}

/*
 * A binary one: a dictionary of one key, whose value is LEVELS arrays, each in the one before. All
 * that lies in front of the trailer, whose last number says where the table of offsets begins.
 */
static char *binary_plist(size_t levels, size_t *ret_bytes)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, ret_bytes);
	size_t i, table;

	assert_non_null(out);
	fputs("bplist00", out);
	put_number(out, 0xd1, 1);
	put_number(out, 1, 2);
	put_number(out, 2, 2);
	put_number(out, 0x5161, 2);
	for (i = 0; i < levels; i++) {
		put_number(out, i + 1 < levels ? 0xa1 : 0xa0, 1);
		put_number(out, i + 3, i + 1 < levels ? 2 : 0);
	}
	table = (size_t)ftell(out);
	put_number(out, 8, 4);
	put_number(out, 13, 4);
	for (i = 0; i < levels; i++)
		put_number(out, 15 + 3 * i, 4);
	put_number(out, 0x0402, 8);
	put_number(out, levels + 2, 8);
	put_number(out, 0, 8);
	put_number(out, table, 8);
	assert_int_equal(fclose(out), 0);
	return text;
}

static void plist_deep_binary(void)
{
	size_t bytes;
	_cleanup_free_ char *text = binary_plist(LEVELS, &bytes);

	extension_info(text, bytes);
}

static void plist_cut_binary(void)
{
	size_t bytes;
	_cleanup_free_ char *text = binary_plist(3, &bytes);

	extension_info(text, bytes - 5);
}

static void plist_cut(void)
{
	_cleanup_free_ char *info = scene_info(SCENE_AGENT, "SYSX", "main");

	extension_info(info, strlen(info) / 2);
}

/* All that libplist needs is there. */
static void plist_cut_at_its_end(void)
{
	_cleanup_free_ char *info = scene_info(SCENE_AGENT, "SYSX", "main");

	extension_info(info, strlen(info) - strlen("</plist>\n"));
}

static void plist_empty(void)
{
	extension_info("", 0);
}

static void plist_no_utf8(void)
{
	_cleanup_free_ char *info = scene_info(SCENE_AGENT, "SYSX", "main");

	*strstr(info, "A test") = (char)0xc0;
	extension_info(info, strlen(info));
}

/* In a value that nobody asks for. */
static void plist_no_utf8_elsewhere(void)
{
	_cleanup_free_ char *info = scene_info(SCENE_AGENT, "SYSX", "main");
	char *at = strstr(info, "OSBundleUsageDescription");

	*strstr(at, "A test") = (char)0xc0;
	extension_info(info, strlen(info));
}

/* ---- two of one identifier -------------------------------------------------------------------- */

static void second_bundle(const char *bundle, const char *identifier, const char *type)
{
	_cleanup_free_ char *info = scene_info(identifier, type, "main");
	bool flat = str_ends(bundle, ".dext");
	size_t bytes;
	const void *program = scene_program(&bytes);
	char path[PATH_MAX];

	snprintf(path, sizeof path, "%s/%sInfo.plist", bundle, flat ? "" : "Contents/");
	scene_text(path, info);
	snprintf(path, sizeof path, "%s/%smain", bundle, flat ? "" : "Contents/MacOS/");
	scene_file(path, program, bytes, 0755);
	scene_sign(bundle, NULL);
}

static void twice(void)
{
	second_bundle(DEXT, SCENE_AGENT, "DEXT");
	scene_sign(SCENE_APP, scene_app_entitlements);
}

/* Sorted, this one stands between the two. */
static void twice_with_one_between(void)
{
	second_bundle(BETWEEN, SCENE_AGENT ".helper", "SYSX");
	twice();
}

/* ---- the table -------------------------------------------------------------------------------- */

static const struct row {
	const char *name;
	const char *bundle; /* that is judged */
	void (*change)(void);
	enum rule_id rule;
	const char *object;  /* that the sentence names */
	const char *changed; /* that is judged after the change; NULL: the same */
} rows[] = {
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
	{ "folder that is not the identifier", SCENE_EXTENSION, other_name,
		RULE_BUNDLE_DIRECTORY_NAME, RENAMED, RENAMED },
	{ "wrong package type", SCENE_EXTENSION, wrong_type, RULE_INFO_PACKAGE_TYPE,
		EXTENSION_INFO },
	{ "wrong package type of an app", SCENE_APP, wrong_type_of_app, RULE_INFO_PACKAGE_TYPE,
		APP_INFO },
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
	{ "plist of 100 MB", SCENE_EXTENSION, plist_of_100_mb, RULE_INFO_TOO_LARGE,
		EXTENSION_INFO },
	{ "plist nested 10,000 deep", SCENE_EXTENSION, plist_deep, RULE_INFO_TOO_DEEP,
		EXTENSION_INFO },
	{ "binary plist nested 10,000 deep", SCENE_EXTENSION, plist_deep_binary, RULE_INFO_TOO_DEEP,
		EXTENSION_INFO },
	{ "cut plist", SCENE_EXTENSION, plist_cut, RULE_INFO_MALFORMED, EXTENSION_INFO },
	{ "plist without its last line", SCENE_EXTENSION, plist_cut_at_its_end, RULE_INFO_MALFORMED,
		EXTENSION_INFO },
	{ "cut binary plist", SCENE_EXTENSION, plist_cut_binary, RULE_INFO_MALFORMED,
		EXTENSION_INFO },
	{ "empty plist", SCENE_EXTENSION, plist_empty, RULE_INFO_MALFORMED, EXTENSION_INFO },
	{ "invalid UTF-8", SCENE_EXTENSION, plist_no_utf8, RULE_INFO_ENCODING, EXTENSION_INFO },
	{ "invalid UTF-8 where nobody looks", SCENE_EXTENSION, plist_no_utf8_elsewhere,
		RULE_INFO_ENCODING, EXTENSION_INFO },
	{ "one identifier twice", SCENE_APP, twice, RULE_BUNDLE_DUPLICATE_IDENTIFIER, SCENE_AGENT },
	{ "one identifier twice, another between", SCENE_APP, twice_with_one_between,
		RULE_BUNDLE_DUPLICATE_IDENTIFIER, SCENE_AGENT " occurs" },
};

static void test_row(void **state)
{
	const struct row *row = *state;

	scene_accepts(row->bundle);
	row->change();
	scene_refuses(row->changed ? row->changed : row->bundle, row->rule, row->object);
	scene_undo();
	scene_accepts(row->bundle);
}

/* ---- what only root makes, and what is allowed ------------------------------------------------ */

static void test_device(void **state)
{
	scene_accepts(SCENE_APP);
	if (scene_node(SCENE_DATA, S_IFCHR | 0644, makedev(1, 3)) < 0) {
		scene_undo();
		print_message("a device needs root, and a place that allows one\n");
		skip();
	}
	scene_refuses(SCENE_APP, RULE_BUNDLE_SPECIAL_FILE, SCENE_DATA);
	scene_undo();
	scene_accepts(SCENE_APP);
}

/* The scene's own link leads to a file; so may one to a folder, and one across folders. */
static void test_links_inside(void **state)
{
	static const char *const targets[] = { "../Resources", "../Info.plist", "./data.txt",
		"../../Contents/MacOS" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(targets); i++) {
		scene_link(SCENE_LINK, targets[i]);
		scene_sign(SCENE_APP, scene_app_entitlements);
		scene_accepts(SCENE_APP);
		scene_undo();
	}
	scene_accepts(SCENE_APP);
}

/* A second extension of another identifier is no second one of this, however alike they are. */
static void test_neighbours(void **state)
{
	second_bundle(BETWEEN, SCENE_AGENT ".helper", "SYSX");
	second_bundle(SCENE_EXTENSIONS "/" SCENE_AGENT "2.dext", SCENE_AGENT "2", "DEXT");
	scene_sign(SCENE_APP, scene_app_entitlements);
	scene_accepts(SCENE_APP);
	scene_undo();
}

/* What is nested as deep as may be, and as long: the limit is where the manual says. */
static void test_plist_that_is_allowed(void **state)
{
	_cleanup_free_ char *info = scene_info(SCENE_AGENT, "SYSX", "main");
	size_t bytes = BUNDLE_PLIST_BYTES_MAX, head = strlen(info) - strlen("</dict></plist>\n");
	_cleanup_free_ char *large = malloc(bytes + 1);

	assert_non_null(large);
	memset(large, ' ', bytes + 1);
	memcpy(large, info, head);
	memcpy(large + bytes - 16, info + head, 16);
	extension_info(large, bytes);
	scene_accepts(SCENE_EXTENSION);
	large[bytes] = '\n';
	extension_info(large, bytes + 1);
	scene_refuses(SCENE_EXTENSION, RULE_INFO_TOO_LARGE, EXTENSION_INFO);
	scene_undo();
}

static int undo(void **state)
{
	scene_undo(); /* of a test that has failed on the way */
	return 0;
}

int main(void)
{
	static struct CMUnitTest tests[ARRAY_SIZE(rows) + 4] = {
		cmocka_unit_test_teardown(test_device, undo),
		cmocka_unit_test_teardown(test_links_inside, undo),
		cmocka_unit_test_teardown(test_neighbours, undo),
		cmocka_unit_test_teardown(test_plist_that_is_allowed, undo),
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++)
		tests[4 + i] = (struct CMUnitTest){ .name = rows[i].name,
			.test_func = test_row,
			.teardown_func = undo,
			.initial_state = (void *)(uintptr_t)&rows[i] };
	return cmocka_run_group_tests(tests, scene_begin, scene_end);
}
