/* SPDX-License-Identifier: Apache-2.0
 *
 * The registry by itself: what was written is read back, two active copies cannot be written,
 * transactions are whole, one of a newer version is left alone, one that is broken is put aside, and
 * a full disk changes nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include "base/fd.h"
#include "base/str.h"
#include "manager/manager.h"
#include "manager/registry-internal.h"

static char folder[64], path[96];
static struct manager manager;

static int fresh(void *context, struct extension **ret)
{
	struct extension *extension = calloc(1, sizeof *extension);

	extension->next = manager.extensions;
	manager.extensions = extension;
	*ret = extension;
	return 0;
}

static void forget_all(void)
{
	while (manager.extensions) {
		struct extension *extension = manager.extensions;

		manager.extensions = extension->next;
		free(extension->app_path);
		free(extension);
	}
}

static struct extension *find(const char *id)
{
	struct extension *extension = manager.extensions;

	while (extension && !streq(extension->id, id))
		extension = extension->next;
	assert_non_null(extension);
	return extension;
}

static int set_up(void **state)
{
	snprintf(folder, sizeof folder, "/tmp/outboard-registry-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof path, "%s/registry.db", folder);
	manager = (struct manager){ 0 };
	return 0;
}

static int tear_down(void **state)
{
	char command[160];

	forget_all();
	snprintf(command, sizeof command, "rm -rf %s", folder);
	return system(command);
}

static struct registry *open_it(enum registry_how expected)
{
	struct registry *registry = NULL;
	enum registry_how how;
	int version;

	assert_int_equal(registry_open(path, &registry, &how, &version), 0);
	assert_int_equal(how, expected);
	return registry;
}

static struct extension *make(const char *id, const char *identifier, enum state in, bool slot)
{
	struct extension *extension = NULL;

	assert_int_equal(fresh(NULL, &extension), 0);
	STR_PUT(extension->id, id);
	STR_PUT(extension->info.identifier, identifier);
	STR_PUT(extension->info.team, "TEAMTEAMTE");
	extension->state = in;
	extension->slot = slot;
	return extension;
}

static void what_was_written_is_read_back(void **state)
{
	_cleanup_(registry_freep) struct registry *registry = open_it(REGISTRY_CREATED);
	struct extension *extension = make("id-1", "org.a", STATE_ACTIVATED_ENABLED, true);

	STR_PUT(extension->info.entitlements, "{\"a\":true}");
	STR_PUT(extension->info.service[1], "org.a.service");
	STR_PUT(extension->reason, "because");
	extension->info.n_bytes = 1ull << 40;
	extension->app_inode = UINT64_MAX;
	extension->child = 77;
	extension->pid = 4321;
	extension->wanted = true;
	extension->app_path = strdup("/opt/A B.app");
	assert_int_equal(registry_put(registry, extension), 0);
	registry = registry_free(registry);
	forget_all();

	registry = open_it(REGISTRY_OPENED);
	assert_int_equal(registry_load(registry, fresh, &manager), 0);
	extension = manager.extensions;
	assert_non_null(extension);
	assert_null(extension->next);
	assert_string_equal(extension->id, "id-1");
	assert_string_equal(extension->info.identifier, "org.a");
	assert_string_equal(extension->info.entitlements, "{\"a\":true}");
	assert_string_equal(extension->info.service[1], "org.a.service");
	assert_string_equal(extension->reason, "because");
	assert_string_equal(extension->app_path, "/opt/A B.app");
	assert_null(extension->origin_path);
	assert_int_equal(extension->state, STATE_ACTIVATED_ENABLED);
	assert_true(extension->info.n_bytes == 1ull << 40);
	assert_true(extension->app_inode == UINT64_MAX);
	assert_int_equal(extension->child, 77);
	assert_int_equal(extension->pid, 4321);
	assert_true(extension->wanted && extension->slot);
	assert_false(extension->by_policy);
}

/* Drop the index "one_active" to make this red. */
static void two_active_copies_cannot_be_written(void **state)
{
	_cleanup_(registry_freep) struct registry *registry = open_it(REGISTRY_CREATED);
	struct extension *first = make("id-1", "org.a", STATE_ACTIVATED_ENABLED, true);
	struct extension *second = make("id-2", "org.a", STATE_ACTIVATED_ENABLED, true);
	struct extension *other = make("id-3", "org.b", STATE_ACTIVATED_ENABLED, true);

	assert_int_equal(registry_put(registry, first), 0);
	assert_int_equal(registry_put(registry, second), -EEXIST);
	assert_int_equal(registry_put(registry, other), 0);
	second->slot = false;
	assert_int_equal(registry_put(registry, second), 0);
	/* and an update cannot do what an insert may not, nor take the other's row away */
	second->slot = true;
	assert_int_equal(registry_put(registry, second), -EEXIST);
	forget_all();
	assert_int_equal(registry_load(registry, fresh, &manager), 0);
	find("id-1");
	assert_false(find("id-2")->slot);
	find("id-3");
}

static void a_transaction_is_whole_or_nothing(void **state)
{
	_cleanup_(registry_freep) struct registry *registry = open_it(REGISTRY_CREATED);
	struct extension *first = make("id-1", "org.a", STATE_ACTIVATED_ENABLED, true);
	struct extension *second = make("id-2", "org.a", STATE_ACTIVATED_ENABLED, true);

	assert_int_equal(registry_begin(registry), 0);
	assert_int_equal(registry_put(registry, first), 0);
	assert_int_equal(registry_put(registry, second), -EEXIST);
	registry_rollback(registry);
	forget_all();
	assert_int_equal(registry_load(registry, fresh, &manager), 0);
	assert_null(manager.extensions);
}

static void numbers_are_never_given_twice(void **state)
{
	struct registry *registry = open_it(REGISTRY_CREATED);
	uint64_t a, b, c;

	assert_int_equal(registry_next_child(registry, &a), 0);
	assert_int_equal(registry_next_child(registry, &b), 0);
	registry_free(registry);
	registry = open_it(REGISTRY_OPENED);
	assert_int_equal(registry_next_child(registry, &c), 0);
	registry_free(registry);
	assert_true(a < b && b < c);
}

static int take_first(void *context, const struct registry_approval *approval)
{
	*(struct registry_approval *)context = *approval;
	return 1;
}

static void the_last_word_on_approval_counts(void **state)
{
	_cleanup_(registry_freep) struct registry *registry = open_it(REGISTRY_CREATED);
	struct registry_approval approval = { .entitlements = "{}", .by = "root", .at_usec = 1 };
	struct registry_approval found;

	assert_int_equal(registry_put_approval(registry, "T", "org.a", &approval), 0);
	approval.denied = true;
	approval.at_usec = 2;
	assert_int_equal(registry_put_approval(registry, "T", "org.a", &approval), 0);
	assert_int_equal(registry_each_approval(registry, "T", "org.a", take_first, &found), 1);
	assert_true(found.denied);
	assert_int_equal(registry_each_approval(registry, "T", "org.b", take_first, &found), 0);
	assert_int_equal(registry_forget_approvals(registry, "T", "org.a"), 0);
	assert_int_equal(registry_each_approval(registry, "T", "org.a", take_first, &found), 0);
}

static void a_newer_one_is_left_alone(void **state)
{
	struct registry *registry = open_it(REGISTRY_CREATED);
	enum registry_how how;
	int version = 0;

	assert_int_equal(registry_set(registry, "boot_id", "x"), 0);
	assert_int_equal(registry_run(registry, "PRAGMA user_version = 99"), 0);
	registry_free(registry);
	assert_int_equal(registry_open(path, &registry, &how, &version), -EPROTONOSUPPORT);
	assert_int_equal(version, 99);
	assert_int_equal(access(path, F_OK), 0);
}

static void put_garbage(const char *text)
{
	_cleanup_fd_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
}

static int count_put_aside(void)
{
	char command[160], text[16] = "";
	FILE *file;

	snprintf(command, sizeof command, "ls %s | grep -c 'registry.db.bad-[0-9]*$'", folder);
	file = popen(command, "r");
	assert_non_null(fgets(text, sizeof text, file));
	pclose(file);
	return atoi(text);
}

static void a_broken_one_is_put_aside(void **state)
{
	struct registry *registry;

	put_garbage("this is no database, and it is long enough that nobody takes it for an empty "
		    "one: a header of SQLite has one hundred bytes at the least, it says.");
	registry = open_it(REGISTRY_MOVED_ASIDE);
	assert_int_equal(registry_set(registry, "boot_id", "x"), 0);
	registry_free(registry);
	assert_int_equal(count_put_aside(), 1);
	registry_free(open_it(REGISTRY_OPENED));
}

/* In a process of its own, whose files may not grow: SQLite meets EFBIG as it would meet ENOSPC. */
static void a_full_disk_changes_nothing(void **state)
{
	struct registry *registry = open_it(REGISTRY_CREATED);
	struct extension *extension = make("id-1", "org.a", STATE_ACTIVATED_DISABLED, true);
	pid_t pid;
	int status;

	assert_int_equal(registry_put(registry, extension), 0);
	registry_free(registry);
	pid = fork();
	if (pid == 0) {
		const struct rlimit none = { 4096, 4096 };
		struct registry *full;
		enum registry_how how;
		int version, r;

		signal(SIGXFSZ, SIG_IGN);
		if (registry_open(path, &full, &how, &version) < 0)
			_exit(2);
		setrlimit(RLIMIT_FSIZE, &none);
		extension->state = STATE_ACTIVATED_ENABLING;
		r = registry_begin(full);
		if (r == 0)
			r = registry_put(full, extension);
		if (r == 0)
			r = registry_commit(full);
		else
			registry_rollback(full);
		_exit(r < 0 ? 0 : 1);
	}
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
	forget_all();
	registry = open_it(REGISTRY_OPENED);
	assert_int_equal(registry_load(registry, fresh, &manager), 0);
	assert_int_equal(manager.extensions->state, STATE_ACTIVATED_DISABLED);
	registry_free(registry);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(what_was_written_is_read_back),
		TEST(two_active_copies_cannot_be_written),
		TEST(a_transaction_is_whole_or_nothing),
		TEST(numbers_are_never_given_twice),
		TEST(the_last_word_on_approval_counts),
		TEST(a_newer_one_is_left_alone),
		TEST(a_broken_one_is_put_aside),
		TEST(a_full_disk_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
