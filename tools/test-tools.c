/* SPDX-License-Identifier: Apache-2.0
 *
 * The tools as a person or a script meets them: run as programs, against the server with a double
 * behind it, and without any server. Output that is promised is compared to the byte.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <cmocka.h>
#include "base/fd.h"
#include "base/str.h"
#include "manager/control-double.h"

static char root[64];
static pid_t server;
static char *out;

static int make_root(void **state)
{
	snprintf(root, sizeof(root), "/tmp/ob-tools-XXXXXX");
	if (!mkdtemp(root) || chmod(root, 0755) < 0)
		return -1;
	return setenv("OUTBOARD_ROOT", root, 1);
}

static int setup(void **state)
{
	if (make_root(state) < 0)
		return -1;
	server = double_start(root, false);
	return server < 0 ? -1 : 0;
}

static int remove_root(void **state)
{
	char command[128];

	free(TAKE(out));
	snprintf(command, sizeof(command), "rm -rf '%s'", root);
	return system(command);
}

static int teardown(void **state)
{
	bool ended = double_stop(server, root);

	return remove_root(state) == 0 && ended ? 0 : -1;
}

/* Runs a shell line with $CTL and $SX, both outputs in @out. Its exit status. */
static int run(const char *line)
{
	FILE *pipe = popen(line, "re");
	size_t room = 0, n = 0;
	int c;

	free(TAKE(out));
	assert_non_null(pipe);
	while ((c = fgetc(pipe)) != EOF) {
		if (n + 1 >= room) {
			room = room ? 2 * room : 4096;
			out = realloc(out, room);
			assert_non_null(out);
		}
		out[n++] = (char)c;
	}
	if (!out)
		out = strdup("");
	else
		out[n] = 0;
	return WEXITSTATUS(pclose(pipe));
}

static void expect(int status, const char *line, const char *text)
{
	int got = run(line);

	if (got != status || (text && !strstr(out, text)))
		fail_msg("%s: status %d, not %d; or no '%s' in:\n%s", line, got, status,
			text ? text : "", out);
}

static json_t *run_json(const char *line)
{
	json_t *json;

	assert_int_equal(run(line), 0);
	json = json_loads(out, JSON_DECODE_ANY, NULL);
	if (!json)
		fail_msg("%s: not JSON: %s", line, out);
	return json;
}

static void need_root(void)
{
	if (geteuid() != 0) {
		print_message("needs root: only root may change things\n");
		skip();
	}
}

/* Red when a tab, a count, an asterisk or a state is elsewhere than Apple has it. */
static void test_the_list_is_apples(void **state)
{
	char *golden;
	size_t bytes;

	assert_int_equal(file_read_at(AT_FDCWD, GOLDEN "/list.txt", 1 << 16, &golden, &bytes), 0);
	assert_int_equal(run("$SX list"), 0);
	assert_string_equal(out, golden);
	free(golden);
	assert_int_equal(
		file_read_at(AT_FDCWD, GOLDEN "/list-network.txt", 1 << 16, &golden, &bytes), 0);
	assert_int_equal(run("$SX list network_extension"), 0);
	assert_string_equal(out, golden);
	assert_int_equal(run("$SX list com.apple.system_extension.network_extension"), 0);
	assert_string_equal(out, golden);
	free(golden);
}

/* Red without the check of the category's name, and when 0 rows print a heading. */
static void test_the_list_of_nothing(void **state)
{
	expect(2, "$SX list endpoint 2>&1", "'endpoint' is not a category");
	assert_int_equal(run("$SX list driver_extension"), 0);
	assert_string_equal(out, "0 extension(s)\n");
}

/* Red when a promised field of --json is renamed, or a document inside is left a string. */
static void test_json_has_what_is_promised(void **state)
{
	static const char *const fields[] = { "id", "identifier", "team", "team_name", "version",
		"short_version", "name", "usage", "categories", "digest", "entitlements",
		"origin_path", "app_path", "staged_path", "state", "reason", "since", "wanted",
		"active", "enabled", "awaiting_approval", "uninstalling", "approved_by",
		"approved_at", "running", "pid", "running_version", "restarts", "last_exit",
		"last_error", "path" };
	json_t *list = run_json("$CTL list --json"), *filter, *status;

	assert_int_equal(json_array_size(list), 2);
	filter = json_array_get(list, 1);
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		if (!json_object_get(filter, fields[i]))
			fail_msg("no field %s", fields[i]);
	assert_int_equal(json_object_size(filter), ARRAY_SIZE(fields));
	assert_int_equal(json_integer_value(json_object_get(filter, "pid")), 4242);
	assert_true(json_is_true(json_object_get(filter, "running")));
	assert_true(json_is_object(json_object_get(filter, "entitlements")));
	assert_true(json_is_object(json_object_get(filter, "last_error")));
	assert_true(json_is_null(json_object_get(json_array_get(list, 0), "last_error")));
	json_decref(list);
	status = run_json("$CTL --json");
	assert_true(json_is_object(json_object_get(status, "manager")));
	assert_int_equal(json_array_size(json_object_get(status, "extensions")), 2);
	assert_true(json_is_array(json_object_get(status, "requests")));
	json_decref(status);
	json_decref(run_json("$SX list --json"));
	json_decref(run_json("$CTL config --json"));
	json_decref(run_json("$CTL errors --json"));
	json_decref(run_json("$CTL developer --json"));
}

/* Each row: red without the check that says it. */
static void test_bad_words_are_named(void **state)
{
	static const struct {
		const char *line, *text;
	} rows[] = {
		{ "$CTL frob 2>&1", "'frob' is not a verb" },
		{ "$CTL list --frob 2>&1", "what is '--frob'?" },
		{ "$CTL list frob 2>&1", "what is 'frob'?" },
		{ "$CTL list --json=1 2>&1", "--json takes no value" },
		{ "$CTL show 2>&1", "something is missing" },
		{ "$CTL show 2>&1", "usage: outboardctl show EXTENSION [--json]" },
		{ "$CTL log --since 2>&1", "--since needs a value" },
		{ "$CTL log --since yesterday 2>&1", "'yesterday' is no value of --since" },
		{ "$CTL log --lines=-x 2>&1", "'-x' is no value of --lines" },
		{ "$CTL enable --wait x 2>&1", "what is '--wait'?" },
		{ "$CTL developer perhaps 2>&1", "what is 'perhaps'?" },
		{ "$CTL endpoint perhaps 2>&1", "what is 'perhaps'?" },
		{ "$CTL dev walk x 2>&1", "what is 'walk'?" },
		{ "$CTL dev run --entitlement x={ -- true 2>&1", "'x={' is no value of" },
		{ "$SX uninstall EXAMPLETM1 2>&1", "something is missing" },
		{ "$SX developer perhaps 2>&1", "what is 'perhaps'?" },
		{ "$SX 2>&1", "usage: systemextensionsctl" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		expect(2, rows[i].line, rows[i].text);
}

/* Red when a verb says nothing, or success, without outboardd. */
static void test_without_outboardd_each_verb_says_so(void **state)
{
	static const char *const lines[] = { "$CTL", "$CTL status", "$CTL list", "$CTL show x",
		"$CTL activate / x", "$CTL deactivate x", "$CTL approve x", "$CTL deny x",
		"$CTL enable x", "$CTL disable x", "$CTL uninstall x", "$CTL reset --yes",
		"$CTL gc", "$CTL developer", "$CTL dev run -- true", "$CTL log", "$CTL monitor",
		"$CTL config", "$CTL endpoint", "$CTL endpoint misses", "$SX list", "$SX developer",
		"$SX reset", "$SX gc", "$SX uninstall a b" };
	char line[64];

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		snprintf(line, sizeof(line), "%s 2>&1", lines[i]);
		expect(1, line, "outboardd is not running");
		assert_non_null(strstr(out, "systemctl start outboardd"));
	}
	expect(0, "$CTL errors internal.error", "internal.error (error 1)");
	expect(1, "$CTL errors no.such 2>&1", "no rule or stage 'no.such'");
	expect(0, "$CTL help", "approve EXTENSION [--yes]");
	expect(0, "$CTL show --help", "usage: outboardctl show EXTENSION [--json]");
	expect(0, "$CTL --version", "outboardctl ");
	expect(1, "$CTL errors >/dev/full 2>&1 || { r=$?; $CTL errors 2>&1 >/dev/full; exit $r; }",
		"cannot write the output");
}

/* Red when a part is shown under another word, or text of others reaches the terminal as it is. */
static void test_endpoint_shows_what_the_broker_says(void **state)
{
	static const struct {
		const char *line, *text;
	} rows[] = {
		{ "$CTL endpoint clients",
			"org.example.filter  4242  0    watching  9000000001  3" },
		{ "$CTL endpoint clients", "1/7/4" },
		{ "$CTL endpoint counters",
			"unasked                    12  programs that nobody could be asked about" },
		{ "$CTL endpoint counters", "another                    13  another" },
		{ "$CTL endpoint events", "tell  a tracepoint (1 client)" },
		{ "$CTL endpoint events", "  some of it" },
		{ "$CTL endpoint events", "not yet:\n    AUTH_MMAP" },
		{ "$CTL endpoint misses",
			"org.example.filter, pid 4242: AUTH_EXEC /bin/x?[31m\n"
			"    no answer; allowed" },
		{ "$CTL endpoint", "outboard-esd, pid 77: tracepoints, one more; fail mode open" },
	};
	json_t *json;

	need_root();
	expect(1, "$CTL endpoint 2>&1",
		"outboard-esd cannot be asked: not running: no client (endpoint.not-running");
	expect(0, "$CTL developer on", NULL);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		expect(0, rows[i].line, rows[i].text);
	json = run_json("$CTL endpoint --json");
	assert_int_equal(json_object_size(json), 5);
	json_decref(json);
	json = run_json("$CTL endpoint misses --json");
	assert_string_equal(
		json_string_value(json_object_get(json_array_get(json, 0), "code")), "no answer");
	json_decref(json);
}

/* Red when approve leaves out who, what or why, or approves without a yes. */
static void test_approve_says_what_it_allows(void **state)
{
	need_root();
	expect(1, "$CTL approve org.example.agent </dev/null 2>&1",
		"--yes approves without asking");
	assert_non_null(strstr(out, "Example Agent, version 1.2/34"));
	assert_non_null(strstr(out, "signed by   Example Ltd. (team EXAMPLETM1)"));
	assert_non_null(strstr(out, "Watches programs for the example."));
	assert_non_null(strstr(out, "see every program, file and process event"));
	assert_non_null(strstr(out, "org.example.other"));
	expect(0, "$CTL show org.example.agent", "activated_waiting_for_user");
	expect(0, "$CTL approve --yes EXAMPLETM1/org.example.agent", NULL);
	expect(0, "$CTL show org.example.agent", "activated_enabled");
	expect(1, "$CTL approve org.example.agent </dev/null 2>&1", "does not wait for approval");
}

/* Red when a verb calls another method than its own. */
static void test_each_verb_does_its_own(void **state)
{
	need_root();
	expect(0, "$CTL disable org.example.filter && $CTL list", "activated disabled");
	expect(0, "$CTL enable org.example.filter && $CTL list", "activated enabled");
	expect(0, "$CTL deny " DOUBLE_AGENT " && $CTL show org.example.agent", "denied 0");
	expect(0, "$CTL activate / org.example.agent --wait 2>&1", "completed");
	expect(0, "$CTL deactivate org.example.filter --wait 2>&1", "completed");
	expect(0, "$CTL developer on && $CTL developer", "developer mode is on");
	expect(0, "$SX developer off && $SX developer", "Developer mode is off");
	expect(0, "$CTL gc", "1 removed");
	expect(0, "$SX gc", "Successfully cleaned up");
	expect(0, "$SX uninstall EXAMPLETM1 org.example.filter && $SX list", "1 extension(s)");
	expect(1, "$SX uninstall - org.example.agent 2>&1", "there is none");
	expect(1, "$CTL show org.example.filter 2>&1",
		"there is no extension 'org.example.filter'");
	expect(1, "$CTL reset </dev/null 2>&1", "--yes resets without asking");
	expect(0, "$CTL reset --yes && $CTL list", "no extensions");
}

/* Red when a refusal loses its sentence or its remedy on the way to the terminal. */
static void test_a_refusal_is_said_with_its_remedy(void **state)
{
	char line[256];

	need_root();
	/* The double refuses /opt/Refused.app; the tool asks for paths that exist. */
	snprintf(line, sizeof(line), "mkdir -p %s/opt && $CTL uninstall nobody.there 2>&1", root);
	expect(1, line, "there is no extension 'nobody.there'");
	expect(1, "$SX uninstall NOTEAM org.example.agent 2>&1", "an error of its own");
	assert_non_null(strstr(out, "See 'outboardctl log'"));
}

/* Red when another user's change is allowed, or refused without saying why. */
static void test_others_are_told_why_not(void **state)
{
	need_root();
	expect(0, "setpriv --reuid 65534 --regid 65534 --clear-groups $CTL list",
		"org.example.agent");
	expect(1,
		"setpriv --reuid 65534 --regid 65534 --clear-groups $CTL disable org.example.filter 2>&1",
		"Disable is for root only; this is user 65534");
}

/* Red when a terminal gets an escape that a log line carries, or a line is lost. */
static void test_the_log_is_shown(void **state)
{
	need_root();
	expect(0, "TZ=UTC $CTL log --since 2h --lines 5",
		"Nov 14 22:13:20 outboardd info: started pid=1\n");
	assert_non_null(strstr(out, "not JSON ?[31m\n"));
	expect(0, "$CTL log --json", "\033[31m");
}

/* Red when the program starts without its descriptors, loses its status, or runs although refused. */
static void test_dev_run(void **state)
{
	need_root();
	expect(1, "$CTL dev run -- echo ran 2>&1", "developer mode is off");
	assert_null(strstr(out, "ran"));
	assert_int_equal(run("$CTL developer on"), 0);
	/* 5 is the folder that ls itself has open: nothing more was inherited. */
	expect(7,
		"$CTL dev run --entitlement a --entitlement b='[1]' -- "
		"sh -c 'echo $OUTBOARD_FDS; cat /proc/self/fd/3; echo; cat /proc/self/fd/4; ls /proc/self/fd; exit 7'",
		"control=3,endpoint=4\n{\"a\":true,\"b\":[1]}\ndev.sh0\n1\n2\n3\n4\n5\n");
	assert_null(strstr(out, "6\n"));
	expect(0, "$CTL dev run --identifier org.example.fresh -- cat /proc/self/fd/4",
		"org.example.fresh");
	expect(127, "$CTL dev run -- /no/such/program 2>&1", "No such file");
	expect(128 + 9, "$CTL dev run -- sh -c 'kill -9 $$' 2>&1", "signal 9");
}

/* Red when the descriptors do not reach a program that a debugger starts. */
static void test_dev_run_under_a_debugger(void **state)
{
	need_root();
	if (run("command -v gdb") != 0) {
		print_message("needs gdb\n");
		skip();
	}
	assert_int_equal(run("$CTL developer on"), 0);
	expect(0,
		"$CTL dev run --entitlement a -- gdb -nx -batch -ex run --args "
		"sh -c 'echo $OUTBOARD_FDS; cat /proc/self/fd/3' 2>&1",
		"control=3,endpoint=4\n");
	assert_non_null(strstr(out, "{\"a\":true}"));
}

/* Red when a change, a new object or an end is not printed. */
static void test_monitor_prints_changes(void **state)
{
	need_root();
	expect(0,
		"$CTL monitor --json >$OUTBOARD_ROOT/seen & p=$!; "
		"until $CTL disable org.example.filter && $CTL enable org.example.filter && "
		"grep -q activated_disabled $OUTBOARD_ROOT/seen; do :; done; "
		"$CTL activate / org.example.agent --wait; "
		"until grep -q '\"event\":\"ended\"' $OUTBOARD_ROOT/seen; do :; done; "
		"kill $p; cat $OUTBOARD_ROOT/seen",
		"\"event\":\"changed\"");
	assert_non_null(strstr(out, "\"event\":\"added\""));
	assert_non_null(strstr(out, "\"result\":\"completed\""));
}

/* Red when team writes, or list shows, anything else than what a verdict is given by. */
static void test_teams(void **state)
{
	json_t *list;
	const char *id;
	char line[256];

	expect(0, "$CTL team generate 'One Ltd.' $OUTBOARD_ROOT/key --entitlements a,b", NULL);
	expect(0, "stat -c %a $OUTBOARD_ROOT/key", "600");
	expect(1, "$CTL team generate x $OUTBOARD_ROOT/key 2>&1", "never overwritten");
	list = run_json("$CTL team list --json");
	assert_int_equal(json_array_size(list), 1);
	id = json_string_value(json_object_get(json_array_get(list, 0), "team"));
	assert_non_null(id);
	setenv("TEAM", id, 1);
	json_decref(list);
	expect(0, "$CTL team", "trusted  One Ltd.  a,b");

	/* the same key again: its registration is replaced */
	expect(0, "$CTL team add $OUTBOARD_ROOT/key.pub --name Two", getenv("TEAM"));
	expect(0, "$CTL team list", "trusted  Two   *");
	expect(1, "$CTL team add $OUTBOARD_ROOT/key 2>&1", "no public key");

	/* a name that revokes nothing is refused, not written */
	expect(2, "$CTL team revoke $(echo $TEAM | tr A-Z a-z) 2>&1", "neither a team nor");
	expect(2, "$CTL team revoke 2222211118 2>&1", "neither a team nor");
	expect(2, "$CTL team revoke $TEAM --reason \"$(printf 'a\\nb')\" 2>&1", "one line");
	expect(0, "$CTL team list", "trusted");
	expect(0, "$CTL team revoke $TEAM --reason stolen && $CTL team list", "revoked  Two   *");
	assert_non_null(strstr(out, "stolen"));
	snprintf(line, sizeof(line), "$CTL team revoke %064d && $CTL team list", 7);
	expect(0, line, "00007  revoked");

	/* what outboardd does not take is not shown as if it did */
	expect(0,
		"rm $OUTBOARD_ROOT/etc/outboard/revoked.d/* && cd $OUTBOARD_ROOT/etc/outboard/teams.d && "
		"mkdir -p $OUTBOARD_ROOT/usr/lib/outboard/teams.d && "
		"cp $TEAM.team $OUTBOARD_ROOT/usr/lib/outboard/teams.d && echo colour = red >>$TEAM.team && "
		"$CTL team list",
		"unusable");
	assert_null(strstr(out, "trusted"));
	expect(0,
		"ln -sf /dev/null $OUTBOARD_ROOT/etc/outboard/teams.d/$TEAM.team && $CTL team list",
		"removed");
	assert_null(strstr(out, "trusted"));
	expect(0, "rm $OUTBOARD_ROOT/etc/outboard/teams.d/$TEAM.team && $CTL team list", "trusted");
}

/* Red when a passphrase is read from another descriptor than the one that was named. */
static void test_a_passphrase_comes_by_a_descriptor(void **state)
{
	expect(2, "$CTL team generate x $OUTBOARD_ROOT/key --passphrase-fd x </dev/null 2>&1",
		"'x' is no value of --passphrase-fd");
	expect(0,
		"cd $OUTBOARD_ROOT && echo secret >pass && mkdir -p a.app/Contents && "
		"$CTL team generate x key --passphrase-fd 7 7<pass </dev/null",
		NULL);
	expect(0, "cd $OUTBOARD_ROOT && $CTL sign --key key --passphrase-fd 8 a.app 8<pass",
		"a.app: signed");
	expect(0, "cat $OUTBOARD_ROOT/a.app/Contents/_Signature/manifest", "entitlements {}");
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_the_list_is_apples),
		TEST(test_the_list_of_nothing),
		TEST(test_json_has_what_is_promised),
		TEST(test_bad_words_are_named),
		cmocka_unit_test_setup_teardown(
			test_without_outboardd_each_verb_says_so, make_root, remove_root),
		TEST(test_endpoint_shows_what_the_broker_says),
		TEST(test_approve_says_what_it_allows),
		TEST(test_each_verb_does_its_own),
		TEST(test_a_refusal_is_said_with_its_remedy),
		TEST(test_others_are_told_why_not),
		TEST(test_the_log_is_shown),
		TEST(test_dev_run),
		TEST(test_dev_run_under_a_debugger),
		TEST(test_monitor_prints_changes),
		cmocka_unit_test_setup_teardown(test_teams, make_root, remove_root),
		cmocka_unit_test_setup_teardown(
			test_a_passphrase_comes_by_a_descriptor, make_root, remove_root),
	};

	setenv("CTL", OUTBOARDCTL, 1);
	setenv("SX", SYSTEMEXTENSIONSCTL, 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
