/* SPDX-License-Identifier: Apache-2.0
 *
 * Policy files: how several add up, each rule both ways, and that a file which is not valid lets
 * nothing new in.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/fd.h"
#include "bundle/bundle.h"
#include "manager/policy.h"

#define ES BUNDLE_CATEGORY_ENDPOINT_SECURITY
#define NE BUNDLE_CATEGORY_NETWORK_EXTENSION

static char folder[64], second[80];

static int set_up(void **state)
{
	snprintf(folder, sizeof folder, "/tmp/outboard-policy-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(second, sizeof second, "%s/second", folder);
	return 0;
}

static int tear_down(void **state)
{
	char command[160];

	snprintf(command, sizeof command, "rm -rf %s", folder);
	return system(command);
}

static void put(const char *in, const char *name, const char *text)
{
	char path[200];

	mkdir(in, 0755);
	snprintf(path, sizeof path, "%s/%s", in, name);
	_cleanup_fd_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
}

static struct policy *load(void)
{
	const char *const folders[] = { folder, second, NULL };
	struct policy *policy = NULL;

	assert_int_equal(policy_load(folders, &policy), 0);
	return policy;
}

static enum policy_verdict verdict(const char *team, const char *identifier, uint32_t categories)
{
	_cleanup_(policy_freep) struct policy *policy = load();

	return policy_get(policy, team, identifier, categories);
}

static void without_files_an_administrator_is_asked(void **state)
{
	assert_int_equal(verdict("TEAM", "org.a", ES), POLICY_ASK);
	assert_int_equal(verdict("", "org.a", ES), POLICY_ASK);
}

static void a_team_is_allowed_whole(void **state)
{
	put(folder, "a.json", "{\"AllowedTeamIdentifiers\":[\"TEAM\"]}");
	assert_int_equal(verdict("TEAM", "org.a", ES), POLICY_ALLOWED);
	assert_int_equal(verdict("OTHER", "org.a", ES), POLICY_ASK);
}

static void an_unsigned_one_is_in_no_policy(void **state)
{
	put(folder, "a.json", "{\"AllowedTeamIdentifiers\":[\"\"]}");
	assert_int_equal(verdict("", "org.a", ES), POLICY_ASK);
}

static void one_extension_is_allowed(void **state)
{
	put(folder, "a.json", "{\"AllowedSystemExtensions\":{\"TEAM\":[\"org.a\"]}}");
	assert_int_equal(verdict("TEAM", "org.a", ES), POLICY_ALLOWED);
	assert_int_equal(verdict("TEAM", "org.b", ES), POLICY_ASK);
}

static void overrides_hold_only_if_every_file_says_so(void **state)
{
	put(folder, "a.json", "{\"AllowUserOverrides\":true}");
	assert_int_equal(verdict("TEAM", "org.a", ES), POLICY_ASK);
	put(second, "b.json", "{\"AllowUserOverrides\":false}");
	assert_int_equal(verdict("TEAM", "org.a", ES), POLICY_OVERRIDES_OFF);
	put(folder, "c.json", "{\"AllowedSystemExtensions\":{\"TEAM\":[\"org.a\"]}}");
	assert_int_equal(verdict("TEAM", "org.a", ES), POLICY_ALLOWED);
	assert_int_equal(verdict("TEAM", "org.b", ES), POLICY_OVERRIDES_OFF);
}

static void everything_else_is_a_union(void **state)
{
	put(folder, "a.json", "{\"AllowedSystemExtensions\":{\"TEAM\":[\"org.a\"]}}");
	put(second, "b.json", "{\"AllowedSystemExtensions\":{\"TEAM\":[\"org.b\"]}}");
	assert_int_equal(verdict("TEAM", "org.a", ES), POLICY_ALLOWED);
	assert_int_equal(verdict("TEAM", "org.b", ES), POLICY_ALLOWED);
}

static void kinds_are_bounded_for_a_team_that_has_a_list(void **state)
{
	put(folder, "a.json",
		"{\"AllowedTeamIdentifiers\":[\"TEAM\",\"FREE\"],"
		"\"AllowedSystemExtensionTypes\":{\"TEAM\":[\"EndpointSecurityExtension\"]}}");
	assert_int_equal(verdict("TEAM", "org.a", ES), POLICY_ALLOWED);
	assert_int_equal(verdict("TEAM", "org.a", NE), POLICY_TYPE_NOT_ALLOWED);
	assert_int_equal(verdict("TEAM", "org.a", ES | NE), POLICY_TYPE_NOT_ALLOWED);
	assert_int_equal(verdict("FREE", "org.a", NE), POLICY_ALLOWED);
	put(second, "b.json",
		"{\"AllowedSystemExtensionTypes\":{\"TEAM\":[\"NetworkExtension\"]}}");
	assert_int_equal(verdict("TEAM", "org.a", ES | NE), POLICY_ALLOWED);
}

static void removal_has_three_lists(void **state)
{
	put(folder, "a.json",
		"{\"RemovableSystemExtensions\":{\"T\":[\"org.r\",\"org.u\"]},"
		"\"NonRemovableSystemExtensions\":{\"T\":[\"org.n\"]},"
		"\"NonRemovableFromUISystemExtensions\":{\"T\":[\"org.u\"]}}");
	_cleanup_(policy_freep) struct policy *policy = load();

	assert_null(policy_problem(policy));
	assert_true(policy_is_removable(policy, "T", "org.r"));
	assert_false(policy_is_removable(policy, "T", "org.n"));
	assert_false(policy_is_removable(policy, "X", "org.r"));
	assert_true(policy_is_non_removable(policy, "T", "org.n"));
	assert_false(policy_is_non_removable(policy, "T", "org.u"));
	assert_true(policy_is_kept_from_ui(policy, "T", "org.u"));
	assert_true(policy_is_kept_from_ui(policy, "T", "org.n"));
	assert_false(policy_is_kept_from_ui(policy, "T", "org.r"));
}

static void what_is_not_valid_lets_nothing_in(void **state)
{
	static const char *const bad[] = {
		"",
		"[]",
		"{",
		"{\"AllowUserOverrides\":1}",
		"{\"AllowUserOverride\":true}",
		"{\"AllowedTeamIdentifiers\":\"TEAM\"}",
		"{\"AllowedTeamIdentifiers\":[1]}",
		"{\"AllowedSystemExtensions\":[\"org.a\"]}",
		"{\"AllowedSystemExtensions\":{\"TEAM\":\"org.a\"}}",
		"{\"AllowUserOverrides\":true,\"AllowUserOverrides\":false}",
		"{\"AllowedTeamIdentifiers\":[\"T\"],\"AllowedSystemExtensions\":{\"T\":[\"a\"]}}",
		("{\"RemovableSystemExtensions\":{\"T\":[\"a\"]},"
		 "\"NonRemovableSystemExtensions\":{\"T\":[\"a\"]}}"),
	};
	size_t i;

	put(folder, "allows.json", "{\"AllowedTeamIdentifiers\":[\"TEAM\"]}");
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		put(folder, "bad.json", bad[i]);
		_cleanup_(policy_freep) struct policy *policy = load();

		if (!policy_problem(policy))
			fail_msg("this is taken for a policy: %s", bad[i]);
		assert_int_equal(policy_get(policy, "TEAM", "org.a", ES), POLICY_INVALID);
	}
	put(folder, "bad.json", "{}");
	assert_int_equal(verdict("TEAM", "org.a", ES), POLICY_ALLOWED);
}

static void other_files_are_no_policies(void **state)
{
	put(folder, "readme.txt", "hello");
	put(folder, ".hidden.json", "hello");
	put(folder, "a.json.dpkg-new", "hello");
	assert_int_equal(verdict("TEAM", "org.a", ES), POLICY_ASK);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(without_files_an_administrator_is_asked),
		TEST(a_team_is_allowed_whole),
		TEST(an_unsigned_one_is_in_no_policy),
		TEST(one_extension_is_allowed),
		TEST(overrides_hold_only_if_every_file_says_so),
		TEST(everything_else_is_a_union),
		TEST(kinds_are_bounded_for_a_team_that_has_a_list),
		TEST(removal_has_three_lists),
		TEST(what_is_not_valid_lets_nothing_in),
		TEST(other_files_are_no_policies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
