/* SPDX-License-Identifier: Apache-2.0
 *
 * The layouts of a bundle, see layout.h; and what can be said of a bundle by its names alone.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "base/fd.h"
#include "base/str.h"
#include "bundle/layout.h"
#include "bundle/sha256.h"
#include "bundle/utf8.h"

#define DEEP(kind, suffix, type)                                               \
	{                                                                      \
		kind, suffix, type, "Contents/Info.plist", "Contents/MacOS/",  \
			"Contents/_Signature", "Contents/_Signature/manifest", \
			"Contents/_Signature/manifest.minisig"                 \
	}

static const struct layout layouts[] = {
	[BUNDLE_APP] = DEEP(BUNDLE_APP, ".app", "APPL"),
	[BUNDLE_SYSX] = DEEP(BUNDLE_SYSX, ".systemextension", "SYSX"),
	[BUNDLE_DEXT] = { BUNDLE_DEXT, ".dext", "DEXT", "Info.plist", "", "_Signature",
		"_Signature/manifest", "_Signature/manifest.minisig" },
};

const struct layout *layout_of(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(layouts); i++)
		if (str_ends(name, layouts[i].suffix) && !streq(name, layouts[i].suffix))
			return &layouts[i];
	return NULL;
}

const struct layout *layout_of_kind(uint32_t kind)
{
	return kind < ARRAY_SIZE(layouts) ? &layouts[kind] : NULL;
}

size_t layout_identifier_bytes(const struct layout *layout, const char *name)
{
	return strlen(name) - strlen(layout->suffix);
}

static bool identifier_character(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		c == '-' || c == '.';
}

bool layout_identifier_ok(const char *identifier)
{
	size_t bytes = strlen(identifier), i;

	if (bytes == 0 || bytes >= BUNDLE_IDENTIFIER_BYTES || identifier[0] == '.' ||
		identifier[bytes - 1] == '.')
		return false;
	for (i = 0; i < bytes; i++)
		if (!identifier_character(identifier[i]) ||
			(identifier[i] == '.' && identifier[i + 1] == '.'))
			return false;
	return true;
}

static bool part_ok(const char *part, size_t bytes)
{
	return bytes > 0 && bytes <= NAME_MAX && !(bytes == 1 && part[0] == '.') &&
		!(bytes == 2 && part[0] == '.' && part[1] == '.');
}

bool layout_path_ok(const char *path, size_t bytes)
{
	size_t begin = 0, i;

	if (bytes == 0 || bytes >= PATH_MAX || utf8_good_bytes(path, bytes) != bytes)
		return false;
	for (i = 0; i <= bytes; i++) {
		if (i < bytes && ((unsigned char)path[i] < 0x20 || path[i] == 0x7f))
			return false;
		if (i < bytes && path[i] != '/')
			continue;
		if (!part_ok(path + begin, i - begin))
			return false;
		begin = i + 1;
	}
	return true;
}

uint32_t layout_mode(uint32_t mode)
{
	return S_IFREG | (mode & S_IXUSR ? 0755 : 0644);
}

int bundle_read_digest(int dir_fd, const char *name, char ret[static BUNDLE_DIGEST_BYTES])
{
	const struct layout *layout = layout_of(name);
	_cleanup_free_ char *manifest = NULL;
	unsigned char digest[SHA256_BYTES];
	size_t bytes, i;
	int r;

	if (!layout)
		return -EINVAL;
	r = file_read_at(dir_fd, layout->manifest, BUNDLE_MANIFEST_BYTES_MAX, &manifest, &bytes);
	if (r < 0)
		return r;
	sha256(manifest, bytes, digest);
	for (i = 0; i < SHA256_BYTES; i++)
		snprintf(ret + 2 * i, 3, "%02x", digest[i]);
	return 0;
}

int bundle_app_of_executable(const char *executable, char ret[static PATH_MAX])
{
	static const char inside[] = "/Contents/MacOS/";
	size_t bytes = strlen(executable);
	const char *at;

	if (bytes >= PATH_MAX)
		return -ENAMETOOLONG;
	/* the outermost app: an app inside another one is a part of it */
	for (at = executable; (at = strstr(at, inside)); at++) {
		memcpy(ret, executable, (size_t)(at - executable));
		ret[at - executable] = '\0';
		if (str_ends(ret, ".app") && !str_ends(ret, "/.app"))
			return 0;
	}
	return -ENOENT;
}
