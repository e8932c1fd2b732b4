/* SPDX-License-Identifier: Apache-2.0
 *
 * The scene, see test-scene.h. A change is noted as a move: what was there went to the stash beside
 * the bundles, what came has no place that it came from.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>
#include "base/fd.h"
#include "base/str.h"
#include "bundle/sign/sign.h"
#include "bundle/test-scene.h"

#define MOVES_MAX 32

struct scene scene = { .root_fd = -1 };

static struct move {
	char from[PATH_MAX]; /* "": it was made */
	char to[PATH_MAX];
} moves[MOVES_MAX];
static size_t n_moves;

#define ENTITLED(key) "<plist version=\"1.0\"><dict><key>" key "</key><true/></dict></plist>\n"

const char scene_app_entitlements[] = ENTITLED("com.apple.developer.system-extension.install");
const char scene_agent_entitlements[] = ENTITLED("com.apple.developer.endpoint-security.client");

const char *scene_path(const char *path)
{
	static char buffers[4][PATH_MAX];
	static unsigned turn;
	char *buffer = buffers[turn++ % ARRAY_SIZE(buffers)];

	snprintf(buffer, PATH_MAX, "%s/%s", scene.root, path);
	return buffer;
}

/* ---- changes ---------------------------------------------------------------------------------- */

static void note(const char *from, const char *to)
{
	assert_in_range(n_moves, 0, MOVES_MAX - 1);
	STR_PUT(moves[n_moves].from, from);
	STR_PUT(moves[n_moves].to, to);
	n_moves++;
}

void scene_rename(const char *from, const char *to)
{
	note(from, to);
	if (renameat(scene.root_fd, from, scene.root_fd, to) < 0)
		fail_msg("rename of %s: %s", from, strerror(errno));
}

void scene_take(const char *path)
{
	char stash[64];

	snprintf(stash, sizeof stash, "stash/%zu", n_moves);
	scene_rename(path, stash);
}

static bool is_there(const char *path)
{
	return faccessat(scene.root_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* What is there goes; the folders on the way are made, and are what is undone when they are. */
static void make_room(const char *path)
{
	char first[PATH_MAX], folder[PATH_MAX];
	char *slash;

	if (is_there(path))
		scene_take(path);
	STR_PUT(first, path);
	STR_PUT(folder, path);
	while ((slash = strrchr(folder, '/'))) {
		*slash = '\0';
		if (!is_there(folder))
			STR_PUT(first, folder);
	}
	note("", first);
	STR_PUT(folder, scene_path(path));
	*strrchr(folder, '/') = '\0';
	assert_int_equal(mkdir_path(folder, 0755), 0);
}

void scene_file(const char *path, const void *data, size_t bytes, mode_t mode)
{
	_cleanup_fd_ int fd = -1;

	make_room(path);
	fd = openat(scene.root_fd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || fd_write_all(fd, data, bytes) < 0 || fchmod(fd, mode) < 0)
		fail_msg("%s: %s", path, strerror(errno));
}

void scene_text(const char *path, const char *text)
{
	scene_file(path, text, strlen(text), 0644);
}

void scene_link(const char *path, const char *target)
{
	make_room(path);
	assert_int_equal(symlinkat(target, scene.root_fd, path), 0);
}

int scene_node(const char *path, mode_t mode, dev_t device)
{
	make_room(path);
	return mknodat(scene.root_fd, path, mode, device) < 0 ? -errno : 0;
}

static const char *last_name(const char *path)
{
	return strrchr(path, '/') + 1;
}

void scene_sign(const char *bundle, const char *entitlements)
{
	_cleanup_fd_ int fd = openat(scene.root_fd, bundle, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool flat = str_ends(bundle, ".dext");
	char path[PATH_MAX], plist[PATH_MAX];
	struct wire_error error = { 0 };
	const char *names[] = { "manifest", "manifest.minisig" };
	size_t i;

	assert_true(fd >= 0);
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof path, "%.3000s/%s_Signature/%s", bundle,
			flat ? "" : "Contents/", names[i]);
		make_room(path);
	}
	STR_PUT(plist, scene_path("entitlements.plist"));
	if (entitlements)
		assert_int_equal(file_replace_at(scene.root_fd, "entitlements.plist", entitlements,
					 strlen(entitlements), 0644),
			0);
	if (bundle_sign(fd, last_name(bundle), scene_path(bundle), &scene.key,
		    entitlements ? plist : NULL, &error) != 0)
		fail_msg("signing %s: %s", bundle, error.description);
}

void scene_sign_all(void)
{
	scene_sign(SCENE_EXTENSION, scene_agent_entitlements);
	scene_sign(SCENE_APP, scene_app_entitlements);
}

void scene_team(const char *entitlements)
{
	char public[57], path[64], text[1024];

	key_public(&scene.key, public);
	snprintf(path, sizeof path, "etc/outboard/teams.d/%s.team", scene.team);
	snprintf(text, sizeof text, "[team]\nname = Example\nkey = %s\nentitlements = %s\n", public,
		str_or(entitlements,
			"com.apple.developer.system-extension.install "
			"com.apple.developer.endpoint-security.client"));
	scene_text(path, text);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	return remove(path);
}

static int remove_all(const char *path)
{
	return nftw(path, remove_one, 32, FTW_DEPTH | FTW_PHYS);
}

static void undo_move(void)
{
	const struct move *move = &moves[--n_moves];

	if (!move->from[0])
		remove_all(scene_path(move->to));
	else if (renameat(scene.root_fd, move->to, scene.root_fd, move->from) < 0)
		fail_msg("%s does not come back: %s", move->from, strerror(errno));
}

void scene_undo(void)
{
	while (n_moves > 0)
		undo_move();
}

void scene_undo_one(void)
{
	bool made = !moves[n_moves - 1].from[0];

	undo_move();
	if (made && n_moves > 0 && streq(moves[n_moves - 1].from, moves[n_moves].to))
		undo_move();
}

/* ---- parts ------------------------------------------------------------------------------------ */

char *scene_info(const char *identifier, const char *type, const char *executable)
{
	char *text;

	assert_true(
		asprintf(&text,
			"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<plist version=\"1.0\"><dict>\n"
			"<key>CFBundleIdentifier</key><string>%s</string>\n"
			"<key>CFBundlePackageType</key><string>%s</string>\n"
			"<key>CFBundleExecutable</key><string>%s</string>\n"
			"<key>CFBundleVersion</key><string>7</string>\n"
			"<key>NSSystemExtensionUsageDescription</key><string>A test</string>\n"
			"<key>OSBundleUsageDescription</key><string>A test</string>\n"
			"</dict></plist>\n",
			identifier, type, executable) > 0);
	return text;
}

const void *scene_program(size_t *ret_bytes)
{
	static Elf64_Ehdr head = {
		.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
			EV_CURRENT },
		.e_type = ET_DYN,
#if defined(__x86_64__)
		.e_machine = EM_X86_64,
#else
		.e_machine = EM_AARCH64,
#endif
		.e_version = EV_CURRENT
	};

	*ret_bytes = sizeof head;
	return &head;
}

static void make_bundle(const char *bundle, const char *identifier, const char *type)
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
}

void scene_extension(const char *bundle, const char *identifier, const char *type)
{
	make_bundle(bundle, identifier, type);
	scene_sign(bundle, NULL);
}

void scene_set_key(const struct secret_key *key)
{
	char public[57];

	scene.key = *key;
	key_public(key, public);
	assert_int_equal(key_team_id(public, scene.team), 0);
}

int scene_begin(void **state)
{
	struct secret_key key;

	STR_PUT(scene.root, "/tmp/test-bundle-XXXXXX");
	if (!mkdtemp(scene.root) || setenv("OUTBOARD_ROOT", scene.root, 1) < 0 ||
		key_generate(&key) < 0)
		return -1;
	scene.root_fd = open(scene.root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (scene.root_fd < 0 || mkdirat(scene.root_fd, "stash", 0755) < 0)
		return -1;
	scene_set_key(&key);
	make_bundle(SCENE_APP, "org.example.app", "APPL");
	scene_text(SCENE_DATA, "some data\n");
	scene_text(SCENE_OTHER, "more data\n");
	scene_link(SCENE_LINK, "data.txt");
	make_bundle(SCENE_EXTENSION, SCENE_AGENT, "SYSX");
	scene_sign_all();
	scene_team(NULL);
	n_moves = 0; /* this is how it is: nothing to undo */
	return 0;
}

int scene_end(void **state)
{
	n_moves = 0;
	scene.root_fd = fd_close(scene.root_fd);
	key_forget(&scene.key);
	return remove_all(scene.root);
}

/* ---- the verdict ------------------------------------------------------------------------------ */

int scene_judge(const char *bundle, struct bundle_info *ret, struct wire_error *ret_error)
{
	_cleanup_fd_ int fd = openat(scene.root_fd, bundle, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_(bundle_job_freep) struct bundle_job *job = NULL;
	int verdict = -EINVAL, r;

	if (fd < 0)
		return -errno;
	r = bundle_job_new(fd, last_name(bundle), scene_path(bundle), 0, &job);
	if (r < 0 || !job)
		return r;
	while ((r = bundle_job_process(job, &verdict, ret, ret_error)) == -EAGAIN) {
		struct pollfd poll_fd = { .fd = bundle_job_get_fd(job), .events = POLLIN };

		poll(&poll_fd, 1, -1);
	}
	return r < 0 ? r : verdict;
}

void scene_accepts(const char *bundle)
{
	static struct bundle_info info;
	static struct wire_error error;
	int r = scene_judge(bundle, &info, &error);

	if (r != 0)
		fail_msg("%s is not accepted: %d %s: %s", bundle, r, error.rule, error.description);
}

void scene_refuses(const char *bundle, enum rule_id rule, const char *object)
{
	static struct bundle_info info;
	static struct wire_error error;
	const struct rule *expected = rule_get(rule);
	int r = scene_judge(bundle, &info, &error);

	if (r != 1)
		fail_msg("%s: %d and not refused by %s", bundle, r, expected->rule);
	if (!streq(error.rule, expected->rule) || error.code != (int)expected->code)
		fail_msg("%s is refused by %s and not by %s: %s", bundle, error.rule,
			expected->rule, error.description);
	if (!strstr(error.description, object))
		fail_msg("%s: the error does not name %s: %s", expected->rule, object,
			error.description);
	assert_string_not_equal(error.recovery, "");
}
