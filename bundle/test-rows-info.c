/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows of test-bundle.c: Info.plist as a property list and by its keys, the program that it names, and
 * what the extension is entitled to.
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

#define APP_INFO SCENE_APP "/Contents/Info.plist"
#define EXTENSION_INFO SCENE_EXTENSION "/Contents/Info.plist"
#define PROGRAM SCENE_EXTENSION "/Contents/MacOS/main"

void extension_info(const void *info, size_t bytes)
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

/* ---- keys ------------------------------------------------------------------------------------- */

/* The extension's own Info.plist with @from, which stands in it once, replaced. */
static void edit_info(const char *from, const char *to)
{
	_cleanup_free_ char *info = scene_info(SCENE_AGENT, "SYSX", "main"), *changed = NULL;
	char *at = strstr(info, from);

	assert_non_null(at);
	assert_true(
		asprintf(&changed, "%.*s%s%s", (int)(at - info), info, to, at + strlen(from)) > 0);
	extension_info(changed, strlen(changed));
}

static void no_info(void)
{
	scene_take(EXTENSION_INFO);
	scene_sign(SCENE_EXTENSION, scene_agent_entitlements);
}

static void wrong_value_type(void)
{
	edit_info("<string>7</string>", "<integer>7</integer>");
}

static void executable_elsewhere(void)
{
	edit_info("<string>main</string>", "<string>../main</string>");
}

static void no_identifier(void)
{
	edit_info("CFBundleIdentifier", "CFBundleIdentity");
}

static void bad_identifier(void)
{
	edit_info(SCENE_AGENT, "org.example..agent");
}

static void bad_version(void)
{
	edit_info("<string>7</string>", "<string>seven</string>");
}

static void no_usage(void)
{
	edit_info("NSSystemExtensionUsageDescription", "NSUsageDescription");
}

static void no_executable(void)
{
	edit_info("<string>main</string>", "<string>other</string>");
}

/* ---- the program ------------------------------------------------------------------------------ */

static void program_is_text(void)
{
	scene_file(PROGRAM, "#!/bin/sh\n", 10, 0755);
	scene_sign(SCENE_EXTENSION, scene_agent_entitlements);
}

static void program_not_executable(void)
{
	size_t bytes;
	const void *program = scene_program(&bytes);

	scene_file(PROGRAM, program, bytes, 0644);
	scene_sign(SCENE_EXTENSION, scene_agent_entitlements);
}

/* ---- entitlements ----------------------------------------------------------------------------- */

static void entitlement_of_another_type(void)
{
	scene_sign(SCENE_EXTENSION,
		"<plist version=\"1.0\"><dict><key>com.apple.developer.endpoint-security.client</key>"
		"<string>yes</string></dict></plist>\n");
}

static void no_category(void)
{
	scene_sign(SCENE_EXTENSION, NULL);
}

static void category_without_its_right(void)
{
	edit_info("<key>CFBundleVersion",
		"<key>NSEndpointSecurityEarlyBoot</key><true/>"
		"<key>CFBundleVersion");
	scene_sign(SCENE_EXTENSION, NULL);
}

/* ---- the table -------------------------------------------------------------------------------- */

static const struct row rows[] = {
	{ "wrong package type", SCENE_EXTENSION, wrong_type, RULE_INFO_PACKAGE_TYPE,
		EXTENSION_INFO },
	{ "wrong package type of an app", SCENE_APP, wrong_type_of_app, RULE_INFO_PACKAGE_TYPE,
		APP_INFO },
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
	{ "no Info.plist", SCENE_EXTENSION, no_info, RULE_INFO_MISSING, SCENE_EXTENSION },
	{ "value of the wrong type", SCENE_EXTENSION, wrong_value_type, RULE_INFO_TYPE,
		EXTENSION_INFO },
	{ "executable elsewhere", SCENE_EXTENSION, executable_elsewhere, RULE_INFO_VALUE,
		EXTENSION_INFO },
	{ "no identifier", SCENE_EXTENSION, no_identifier, RULE_INFO_IDENTIFIER_MISSING,
		EXTENSION_INFO },
	{ "bad identifier", SCENE_EXTENSION, bad_identifier, RULE_INFO_IDENTIFIER, EXTENSION_INFO },
	{ "bad version", SCENE_EXTENSION, bad_version, RULE_INFO_VERSION, EXTENSION_INFO },
	{ "no usage description", SCENE_EXTENSION, no_usage, RULE_INFO_USAGE_MISSING,
		EXTENSION_INFO },
	{ "no executable", SCENE_EXTENSION, no_executable, RULE_EXECUTABLE_MISSING,
		SCENE_EXTENSION },
	{ "executable that is text", SCENE_EXTENSION, program_is_text, RULE_EXECUTABLE_FORM,
		PROGRAM },
	{ "executable that is not executable", SCENE_EXTENSION, program_not_executable,
		RULE_EXECUTABLE_FORM, PROGRAM },
	{ "entitlement of another type", SCENE_EXTENSION, entitlement_of_another_type,
		RULE_ENTITLEMENTS_MALFORMED, SCENE_EXTENSION },
	{ "no category", SCENE_EXTENSION, no_category, RULE_INFO_CATEGORY, SCENE_EXTENSION },
	{ "category without its right", SCENE_EXTENSION, category_without_its_right,
		RULE_ENTITLEMENTS_REQUIRED, SCENE_EXTENSION },
};

const struct row_table info_rows = { rows, ARRAY_SIZE(rows) };
