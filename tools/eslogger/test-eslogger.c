/* SPDX-License-Identifier: Apache-2.0
 *
 * The encoder, by messages that are made by hand: every event of the API has its object with every
 * key and its own values, as jansson reads them, and whatever bytes a string has the line is JSON.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <jansson.h>
#include "base/macros.h"
#include "base/str.h"
#include "tools/eslogger/encode.h"

/* ---- What events are made of ------------------------------------------------------------------ */

#define S(text)                          \
	{                                \
		sizeof(text) - 1, (text) \
	}
#define T(n)                                                                             \
	{                                                                                \
		{                                                                        \
			100 + n, 200 + n, 300 + n, 400 + n, 500 + n, n, 600 + n, 700 + n \
		}                                                                        \
	}
#define F(n) (&files[n])
#define P(n) (&processes[n])
#define TP(n) (&tokens[n])

#define FILE_AT(n)                                               \
	{                                                        \
		.path = S("/file/" #n), .path_truncated = n % 2, \
		.stat = {                                        \
			.st_dev = 10 + n,                        \
			.st_ino = 20 + n,                        \
			.st_mode = 30 + n,                       \
			.st_nlink = 40 + n,                      \
			.st_uid = 50 + n,                        \
			.st_gid = 60 + n,                        \
			.st_rdev = 70 + n,                       \
			.st_size = 80 + n,                       \
			.st_blocks = 90 + n,                     \
			.st_blksize = 110 + n,                   \
			.st_atim = { 1000000000 + n, 120 + n },  \
			.st_mtim = { 1100000000 + n, 130 + n },  \
			.st_ctim = { 1200000000 + n, 140 + n },  \
		},                                               \
	}
static es_file_t files[] = { FILE_AT(0), FILE_AT(1), FILE_AT(2), FILE_AT(3), FILE_AT(4),
	FILE_AT(5) };
static audit_token_t tokens[] = { T(0), T(1), T(2), T(3), T(4) };

#define PROCESS_AT(n)                                                                              \
	{                                                                                          \
		.audit_token = T(n), .parent_audit_token = T(1##n), .ppid = n,                     \
		.responsible_audit_token = T(2##n), .original_ppid = 30 + n, .group_id = 40 + n,   \
		.session_id = 50 + n, .codesigning_flags = 60 + n, .is_platform_binary = n % 2,    \
		.is_es_client = !(n % 2), .cdhash = { 0xab, n }, .signing_id = S("org." #n),       \
		.team_id = S("TEAM" #n), .executable = &files[n], .tty = n % 2 ? &files[0] : NULL, \
		.start_time = { 1300000000 + n, 70 + n }, .cs_validation_category = n,             \
	}
static es_process_t processes[] = { PROCESS_AT(0), PROCESS_AT(1), PROCESS_AT(2), PROCESS_AT(3),
	PROCESS_AT(4), PROCESS_AT(5) };

static es_string_token_t words[] = { S("one"), S("two") };
static es_event_authentication_od_t od = { P(1), S("a"), S("b"), S("c"), S("d"), T(2) };
static es_event_authentication_touchid_t touchid = { NULL, 1, true, { 501 }, T(3) };
static es_event_authentication_token_t smartcard = { P(4), S("a"), S("b"), { 0, NULL }, T(5) };
static es_event_authentication_auto_unlock_t unlock = { S("a"), ES_AUTO_UNLOCK_AUTH_PROMPT };
static es_authorization_result_t judged[] = { { S("a"), 1, true }, { S("b"), 4, false } };
static es_lightweight_code_requirement_t requirement = { S("c"), S("d") };
static es_btm_launch_item_t launch_item = { ES_BTM_ITEM_TYPE_AGENT, true, false, 502, S("a"),
	S("b") };
static es_sha256_t sha256 = { 1, 2, 3 };
static es_signed_file_info_t signing_info = { { 0xab }, S("b"), { 0, NULL } };
static es_od_member_id_t named_member = { ES_OD_MEMBER_TYPE_USER_NAME, { .name = S("e") } };
#define UUID                                                            \
	{                                                               \
		1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0xf0 \
	}
static es_od_member_id_t numbered_member = { ES_OD_MEMBER_TYPE_USER_UUID, { .uuid = UUID } };
static uuid_t uuids[] = { UUID };
static es_od_member_id_array_t named_members = { ES_OD_MEMBER_TYPE_USER_NAME, 2,
	{ .names = words } };
static es_od_member_id_array_t numbered_members = { ES_OD_MEMBER_TYPE_GROUP_UUID, 1,
	{ .uuids = uuids } };
static es_profile_t profile = { S("p"), S("q"), ES_PROFILE_SOURCE_INSTALL, S("r"), S("s"), S("t") };
#define PROFILE                                                               \
	"{'identifier':'p','uuid':'q','install_source':1,'organization':'r'," \
	"'display_name':'s','scope':'t'}"
static es_sudo_reject_info_t reject = { S("a"), ES_SUDO_PLUGIN_TYPE_POLICY, S("b") };
static es_thread_state_t thread_state = { 6, { 0, NULL } };
static es_statfs_t mounted = { 1, -2, 3, 4, 5, 6, 7, { { -8, 9 } }, 10, 11, 12, 13, "ext4", "/mnt",
	"/dev/vda", 14, { 0 } };
#define STATFS                                                                          \
	"{'f_bsize':1,'f_iosize':-2,'f_blocks':3,'f_bfree':4,'f_bavail':5,'f_files':6," \
	"'f_ffree':7,'f_owner':10,'f_type':11,'f_flags':12,'f_fssubtype':13,"           \
	"'f_flags_ext':14,'f_fsid':[-8,9],'f_fstypename':'ext4','f_mntonname':'/mnt',"  \
	"'f_mntfromname':'/dev/vda'}"
#define OD                                                                           \
	.instigator = P(1), .error_code = 5, .node_name = S("c"), .db_path = S("d"), \
	.instigator_token = T(2)
#define OD_JSON(key, value)                                               \
	"{'instigator':'process:1','error_code':5,'" key "':'" value "'," \
	"'node_name':'c','db_path':'d','instigator_token':'token:2'}"

/* What the library says of a program that starts. */
static es_string_token_t arguments[] = { S("a"), S("b c") }, variables[] = { S("A=b") };
static es_string_token_t *argument = arguments; /* the test of strings has others */
static uint32_t n_arguments = 2;
static const es_fd_t descriptors[] = { { 0, 1, { { 0 } } }, { 1, 6, { { 77 } } } };

uint32_t es_exec_arg_count(const es_event_exec_t *event)
{
	return n_arguments;
}
uint32_t es_exec_env_count(const es_event_exec_t *event)
{
	return 1;
}
es_string_token_t es_exec_arg(const es_event_exec_t *event, uint32_t index)
{
	return argument[index];
}
es_string_token_t es_exec_env(const es_event_exec_t *event, uint32_t index)
{
	return variables[index];
}
uint32_t es_exec_fd_count(const es_event_exec_t *event)
{
	return ARRAY_SIZE(descriptors);
}
const es_fd_t *es_exec_fd(const es_event_exec_t *event, uint32_t index)
{
	return &descriptors[index];
}

/* ---- Every event ------------------------------------------------------------------------------ */

static const struct test_case {
	es_event_type_t type;
	const char *name, *json;
	const void *event;
	size_t bytes; /* 0: the message points to it */
} cases[] = {
#define CASE(NUMBER, name, json, ...)                                                        \
	{ ES_EVENT_TYPE_NOTIFY_##NUMBER, #name, json, &(es_event_##name##_t){ __VA_ARGS__ }, \
		sizeof(es_event_##name##_t) },
#define CASE_POINTER(NUMBER, name, json, ...) \
	{ ES_EVENT_TYPE_NOTIFY_##NUMBER, #name, json, &(es_event_##name##_t){ __VA_ARGS__ }, 0 },
#include "tools/eslogger/test-events.def"
};

static struct jsonl json;

static json_t *encode(const es_message_t *message)
{
	json_error_t error;
	json_t *ret;

	jsonl_init(&json, -1);
	encode_message(&json, message);
	jsonl_end_line(&json);
	ret = json_loads(json.bytes, JSON_REJECT_DUPLICATES, &error);
	if (!ret)
		fail_msg("%s at %d: %s", error.text, error.position, json.bytes);
	return ret;
}

static json_t *expected(const char *text)
{
	char *copy = strdup(text), *at;
	json_error_t error;
	json_t *ret;

	for (at = copy; (at = strchr(at, '\''));)
		*at = '"';
	ret = json_loads(copy, JSON_REJECT_DUPLICATES, &error);
	if (!ret)
		fail_msg("%s at %d: %s", error.text, error.position, copy);
	free(copy);
	return ret;
}

static void assert_json(const char *what, json_t *seen, json_t *wanted)
{
	if (!json_equal(seen, wanted))
		fail_msg("%s\nseen:   %s\nwanted: %s", what,
			json_dumps(seen, JSON_SORT_KEYS | JSON_ENCODE_ANY),
			json_dumps(wanted, JSON_SORT_KEYS | JSON_ENCODE_ANY));
	json_decref(wanted);
}

static json_t *reduce(json_t *value);

static json_t *short_form(json_t *object)
{
	json_t *path = json_object_get(object, "path");
	json_t *ppid = json_object_get(object, "original_ppid");
	json_t *version = json_object_get(object, "pidversion");

	if (path && json_object_get(object, "stat"))
		return json_sprintf("file:%s", strrchr(json_string_value(path), '/') + 1);
	if (ppid && json_object_get(object, "audit_token"))
		return json_sprintf("process:%d", (int)json_integer_value(ppid) - 30);
	if (version)
		return json_sprintf("token:%d", (int)json_integer_value(version) - 700);
	return NULL;
}

/* A new value with files, processes and tokens in their short form. */
static json_t *reduce(json_t *value)
{
	json_t *ret, *part;
	const char *key;
	size_t i;

	if (json_is_array(value)) {
		ret = json_array();
		json_array_foreach (value, i, part)
			json_array_append_new(ret, reduce(part));
		return ret;
	}
	if (!json_is_object(value))
		return json_incref(value);
	ret = short_form(value);
	if (ret)
		return ret;
	ret = json_object();
	json_object_foreach (value, key, part)
		json_object_set_new(ret, key, reduce(part));
	return ret;
}

static es_message_t message_of(const struct test_case *test_case)
{
	es_message_t ret = { .version = 11,
		.event_type = test_case->type,
		.process = P(1),
		.action_type = ES_ACTION_TYPE_NOTIFY };

	if (test_case->bytes)
		memcpy(&ret.event, test_case->event, test_case->bytes);
	else
		memcpy(&ret.event, &test_case->event, sizeof test_case->event);
	return ret;
}

static void test_every_event(void **state)
{
	bool has[ES_EVENT_TYPE_LAST] = { false };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		es_message_t message = message_of(&cases[i]);
		json_t *whole = encode(&message), *event = json_object_get(whole, "event"),
		       *reduced;

		assert_int_equal(
			json_integer_value(json_object_get(whole, "event_type")), cases[i].type);
		assert_int_equal(json_object_size(event), 1);
		assert_non_null(json_object_get(event, cases[i].name));
		reduced = reduce(json_object_get(event, cases[i].name));
		assert_json(cases[i].name, reduced, expected(cases[i].json));
		json_decref(reduced);
		json_decref(whole);
		has[cases[i].type] = true;
	}
	for (size_t i = 0; event_name(i); i++)
		if (!has[event_by_name(event_name(i))])
			fail_msg("no case for %s", event_name(i));
}

/* Of every NOTIFY event of the API, and of nothing else, there is a name, in the alphabet's order. */
static void test_every_name(void **state)
{
	static const struct {
		es_event_type_t type;
		const char *name;
	} all[] = {
#define EVENT(number, name) { number, #name },
#include "endpoint/lib/event-names.def"
#undef EVENT
	};
	size_t n = 0, n_names = 0;

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		char name[64] = "";

		for (size_t k = 0; all[i].name[k]; k++)
			name[k] = (char)tolower(all[i].name[k]);
		assert_int_equal(event_by_name(name), ES_EVENT_TYPE_LAST);
		if (!str_starts(name, "notify_"))
			continue;
		if (event_by_name(name + 7) != all[i].type)
			fail_msg("%s is no event of the tool", all[i].name);
		n++;
	}
	for (; event_name(n_names); n_names++)
		assert_true(
			n_names == 0 || strcmp(event_name(n_names - 1), event_name(n_names)) < 0);
	assert_int_equal(n_names, n);
}

/* ---- The message and its parts, whole --------------------------------------------------------- */

#define TOKEN_JSON(n)                                                                       \
	"{'auid':1" n ",'euid':2" n ",'egid':3" n ",'ruid':4" n ",'rgid':5" n ",'asid':6" n \
	",'pidversion':7" n ",'pid':"
#define FILE_1                                                                          \
	"{'path':'/file/1','path_truncated':true,'stat':{'st_dev':11,'st_ino':21,"      \
	"'st_mode':31,'st_nlink':41,'st_uid':51,'st_gid':61,'st_rdev':71,'st_size':81," \
	"'st_blocks':91,'st_blksize':111,'st_flags':0,'st_gen':0,"                      \
	"'st_atimespec':'2001-09-09T01:46:41.000000121Z',"                              \
	"'st_mtimespec':'2004-11-09T11:33:21.000000131Z',"                              \
	"'st_ctimespec':'2008-01-10T21:20:01.000000141Z',"                              \
	"'st_birthtimespec':'1970-01-01T00:00:00.000000000Z'}}"
#define FILE_0                                                                          \
	"{'path':'/file/0','path_truncated':false,'stat':{'st_dev':10,'st_ino':20,"     \
	"'st_mode':30,'st_nlink':40,'st_uid':50,'st_gid':60,'st_rdev':70,'st_size':80," \
	"'st_blocks':90,'st_blksize':110,'st_flags':0,'st_gen':0,"                      \
	"'st_atimespec':'2001-09-09T01:46:40.000000120Z',"                              \
	"'st_mtimespec':'2004-11-09T11:33:20.000000130Z',"                              \
	"'st_ctimespec':'2008-01-10T21:20:00.000000140Z',"                              \
	"'st_birthtimespec':'1970-01-01T00:00:00.000000000Z'}}"
#define PROCESS_1                                                                                                                   \
	"{'audit_token':" TOKEN_JSON("01") "1},'parent_audit_token':" TOKEN_JSON("11") "11},'responsible_audit_token':" TOKEN_JSON( \
		"21") "21},'ppid':1,"                                                                                               \
		      "'original_ppid':31,'group_id':41,'session_id':51,'codesigning_flags':61,"                                    \
		      "'is_platform_binary':true,'is_es_client':false,"                                                             \
		      "'cdhash':'AB01000000000000000000000000000000000000','cdhash_full':null,"                                     \
		      "'signing_id':'org.1','team_id':'TEAM1','executable':" FILE_1                                                 \
		      ",'tty':" FILE_0                                                                                              \
		      ",'start_time':'2011-03-13T07:06:41.000071Z','cs_validation_category':1}"

static es_message_t exit_message(void)
{
	return (es_message_t){ .version = 11,
		.time = { 1400000000, 5 },
		.mach_time = 6,
		.deadline = 7,
		.process = P(1),
		.seq_num = 8,
		.action_type = ES_ACTION_TYPE_NOTIFY,
		.event_type = ES_EVENT_TYPE_NOTIFY_EXIT,
		.event.exit.stat = 9,
		.global_seq_num = UINT64_MAX >> 1 };
}

static void test_whole_message(void **state)
{
	es_message_t message = exit_message();
	es_thread_t thread = { 12 };
	json_t *seen;

	message.thread = &thread;
	seen = encode(&message);
	assert_json("message", seen,
		expected("{'schema_version':1,'version':11,'time':'2014-05-13T16:53:20.000000005Z',"
			 "'mach_time':6,'event_type':15,'action_type':1,"
			 "'action':{'result':{'result_type':0,'result':{'auth':0}}},"
			 "'process':" PROCESS_1 ",'thread':{'thread_id':12},'seq_num':8,"
			 "'global_seq_num':9223372036854775807,'event':{'exit':{'stat':9}}}"));
	json_decref(seen);
}

static void test_what_may_be_absent(void **state)
{
	es_process_t process = { .executable = F(1),
		.signing_id = S(""),
		.cdhash_full = { 2, (const uint8_t *)"\x0f\xf0" } };
	es_message_t message = exit_message();
	json_t *seen, *part;

	message.process = &process;
	message.action.notify = (es_result_t){ ES_RESULT_TYPE_FLAGS, { .flags = 3 } };
	seen = encode(&message);
	assert_true(json_is_null(json_object_get(seen, "thread")));
	part = json_object_get(seen, "process");
	assert_true(json_is_null(json_object_get(part, "signing_id")));
	assert_true(json_is_null(json_object_get(part, "team_id")));
	assert_true(json_is_null(json_object_get(part, "tty")));
	assert_string_equal(json_string_value(json_object_get(part, "cdhash_full")), "0FF0");
	assert_json("action", json_object_get(seen, "action"),
		expected("{'result':{'result_type':1,'result':{'flags':3}}}"));
	json_decref(seen);
}

/* ---- Strings ---------------------------------------------------------------------------------- */

/* What was put, and what is read; what is no UTF-8 is U+FFFD, byte by byte. */
static void test_strings(void **state)
{
#define BAD "\xef\xbf\xbd"
	static const struct {
		es_string_token_t put;
		const char *read;
	} rows[] = {
		{ S("a\"b\\c/d"), "a\"b\\c/d" },
		{ S("\n\t\r\b\f\x01\x1f\x7f"), "\n\t\r\b\f\x01\x1f\x7f" },
		{ S("\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80"),
			"\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80" },
		{ S("a\xff"
		    "b\xc3"),
			"a" BAD "b" BAD },
		{ S("\xc0\xaf"), BAD BAD },		    /* overlong */
		{ S("\xed\xa0\x80"), BAD BAD BAD },	    /* half a surrogate */
		{ S("\xf4\x90\x80\x80"), BAD BAD BAD BAD }, /* above the last character */
		{ S("\xe2\x82"), BAD BAD },		    /* cut */
		{ S(""), "" },
		{ { 0, NULL }, "" },
		{ { 5, NULL }, "" },
	};
	const struct test_case *exec = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (cases[i].type == ES_EVENT_TYPE_NOTIFY_EXEC)
			exec = &cases[i];
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		es_message_t message = message_of(exec);
		es_string_token_t token = rows[i].put;
		json_t *whole;

		argument = &token;
		n_arguments = 1;
		whole = encode(&message);
		assert_string_equal(
			json_string_value(json_array_get(
				json_object_get(
					json_object_get(json_object_get(whole, "event"), "exec"),
					"args"),
				0)),
			rows[i].read);
		json_decref(whole);
	}
	argument = arguments;
	n_arguments = 2;
}

/* A NUL inside is what JSON says it is: jansson refuses it unless it is told to take it. */
static void test_nul_inside(void **state)
{
	jsonl_init(&json, -1);
	jsonl_string(&json, "a\0b", 3);
	jsonl_end_line(&json);
	assert_string_equal(json.bytes, "\"a\\u0000b\"");
}

/* A line that is longer than the buffer comes out whole, and the next one after it. */
static void test_long_line(void **state)
{
	enum { BYTES = 3 * JSONL_BUFFER_BYTES + 17 };
	char path[] = "/tmp/test-eslogger-XXXXXX", *text = malloc(BYTES + 1);
	int fd = mkstemp(path);
	json_error_t error;
	json_t *line;
	FILE *file;

	assert_true(fd >= 0 && text);
	unlink(path);
	for (size_t i = 0; i < BYTES; i++)
		text[i] = i % 61 == 0 ? '\n' : (char)('a' + i % 26);
	text[BYTES] = '\0';
	jsonl_init(&json, fd);
	for (int i = 0; i < 2; i++) {
		jsonl_open(&json, '[');
		jsonl_string(&json, text, BYTES);
		jsonl_unsigned(&json, (unsigned)i);
		jsonl_close(&json, ']');
		assert_int_equal(jsonl_end_line(&json), 0);
	}
	lseek(fd, 0, SEEK_SET);
	file = fdopen(fd, "r");
	for (int i = 0; i < 2; i++) {
		line = json_loadf(file, JSON_DISABLE_EOF_CHECK, &error);
		assert_non_null(line);
		assert_string_equal(json_string_value(json_array_get(line, 0)), text);
		assert_int_equal(json_integer_value(json_array_get(line, 1)), i);
		assert_int_equal(fgetc(file), '\n');
		json_decref(line);
	}
	assert_int_equal(fgetc(file), EOF);
	fclose(file);
	free(text);
}

static void test_nobody_reads(void **state)
{
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

	jsonl_init(&json, fd);
	jsonl_null(&json);
	assert_int_equal(jsonl_end_line(&json), -ENOSPC);
	jsonl_null(&json);
	assert_int_equal(jsonl_end_line(&json), -ENOSPC); /* it stays so */
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_event),
		cmocka_unit_test(test_every_name),
		cmocka_unit_test(test_whole_message),
		cmocka_unit_test(test_what_may_be_absent),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_nul_inside),
		cmocka_unit_test(test_long_line),
		cmocka_unit_test(test_nobody_reads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
