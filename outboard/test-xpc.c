/* SPDX-License-Identifier: Apache-2.0
 *
 * Values: what is put in comes out, what is not there is 0; JSON, good and bad.
 */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include <xpc/xpc.h>
#include "base/fd.h"
#include "base/macros.h"
#include "outboard/internal.h"

static const xpc_uuid_bytes_t uuid = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };

static xpc_object_t full_dictionary(void)
{
	xpc_object_t dictionary = xpc_dictionary_create_empty(), array = xpc_array_create_empty();

	xpc_dictionary_set_bool(dictionary, "bool", true);
	xpc_dictionary_set_int64(dictionary, "int64", INT64_MIN);
	xpc_dictionary_set_uint64(dictionary, "uint64", UINT64_MAX);
	xpc_dictionary_set_double(dictionary, "double", 0.5);
	xpc_dictionary_set_date(dictionary, "date", -5);
	xpc_dictionary_set_data(dictionary, "data", "a\0b", 3);
	xpc_dictionary_set_string(dictionary, "string", "text");
	xpc_dictionary_set_uuid(dictionary, "uuid", uuid);
	xpc_dictionary_set_value(dictionary, "null", xpc_null_create());
	xpc_array_set_string(array, XPC_ARRAY_APPEND, "first");
	xpc_array_set_int64(array, XPC_ARRAY_APPEND, 2);
	xpc_dictionary_set_value(dictionary, "array", array);
	xpc_release(array);
	return dictionary;
}

static void test_dictionary(void **state)
{
	xpc_object_t dictionary = full_dictionary();
	size_t length;

	assert_int_equal(xpc_dictionary_get_count(dictionary), 10);
	assert_true(xpc_dictionary_get_bool(dictionary, "bool"));
	assert_true(xpc_dictionary_get_int64(dictionary, "int64") == INT64_MIN);
	assert_true(xpc_dictionary_get_uint64(dictionary, "uint64") == UINT64_MAX);
	assert_true(xpc_dictionary_get_double(dictionary, "double") == 0.5);
	assert_int_equal(xpc_dictionary_get_date(dictionary, "date"), -5);
	assert_memory_equal(xpc_dictionary_get_data(dictionary, "data", &length), "a\0b", 3);
	assert_int_equal(length, 3);
	assert_string_equal(xpc_dictionary_get_string(dictionary, "string"), "text");
	assert_memory_equal(xpc_dictionary_get_uuid(dictionary, "uuid"), uuid, 16);
	assert_int_equal(xpc_array_get_count(xpc_dictionary_get_array(dictionary, "array")), 2);
	/* another type, another key: nothing */
	assert_int_equal(xpc_dictionary_get_int64(dictionary, "string"), 0);
	assert_null(xpc_dictionary_get_string(dictionary, "int64"));
	assert_null(xpc_dictionary_get_dictionary(dictionary, "array"));
	assert_null(xpc_dictionary_get_value(dictionary, "nothing"));
	assert_true(isnan(xpc_dictionary_get_double(dictionary, "nothing")));
	/* replaced, removed */
	xpc_dictionary_set_string(dictionary, "string", "other");
	assert_string_equal(xpc_dictionary_get_string(dictionary, "string"), "other");
	assert_int_equal(xpc_dictionary_get_count(dictionary), 10);
	xpc_dictionary_set_value(dictionary, "int64", NULL);
	xpc_dictionary_set_value(dictionary, "int64", NULL);
	assert_int_equal(xpc_dictionary_get_count(dictionary), 9);
	assert_null(xpc_dictionary_get_value(dictionary, "int64"));
	assert_string_equal(xpc_dictionary_get_string(dictionary, "string"), "other");
	xpc_release(dictionary);
}

static bool note_key(const char *key, xpc_object_t value, void *context)
{
	strcat(context, key);
	return strcmp(key, "c") != 0;
}

static void test_many_keys(void **state)
{
	xpc_object_t dictionary = xpc_dictionary_create_empty();
	char key[16], order[16] = "";

	for (int i = 0; i < 5000; i++) {
		snprintf(key, sizeof key, "key-%d", i);
		xpc_dictionary_set_int64(dictionary, key, i);
	}
	for (int i = 0; i < 5000; i += 3) {
		snprintf(key, sizeof key, "key-%d", i);
		xpc_dictionary_set_value(dictionary, key, NULL);
	}
	for (int i = 0; i < 5000; i++) {
		snprintf(key, sizeof key, "key-%d", i);
		assert_int_equal(xpc_dictionary_get_int64(dictionary, key), i % 3 ? i : 0);
	}
	xpc_release(dictionary);
	dictionary = xpc_dictionary_create_empty();
	xpc_dictionary_set_bool(dictionary, "b", true);
	xpc_dictionary_set_bool(dictionary, "a", true);
	xpc_dictionary_set_bool(dictionary, "c", true);
	xpc_dictionary_set_bool(dictionary, "d", true);
	/* in their order, until told to stop */
	assert_false(xpc_dictionary_apply_f(dictionary, order, note_key));
	assert_string_equal(order, "bac");
	xpc_release(dictionary);
}

static void test_array(void **state)
{
	xpc_object_t array = xpc_array_create_empty(), inner;

	for (int i = 0; i < 100; i++)
		xpc_array_set_int64(array, XPC_ARRAY_APPEND, i);
	xpc_array_set_string(array, 5, "five");
	xpc_array_set_string(array, 100, "out of bounds");
	assert_int_equal(xpc_array_get_count(array), 100);
	assert_string_equal(xpc_array_get_string(array, 5), "five");
	assert_int_equal(xpc_array_get_int64(array, 99), 99);
	assert_null(xpc_array_get_value(array, 100));
	/* an array in itself would never go */
	xpc_array_append_value(array, array);
	assert_int_equal(xpc_array_get_count(array), 100);
	inner = xpc_array_create(&array, 1);
	xpc_release(array);
	assert_int_equal(xpc_array_get_count(xpc_array_get_array(inner, 0)), 100);
	xpc_release(inner);
	assert_null(xpc_array_get_value(NULL, 0));
	assert_int_equal(xpc_array_get_count(XPC_BOOL_TRUE), 0);
}

static void test_equal_and_copy(void **state)
{
	xpc_object_t a = full_dictionary(), b = full_dictionary(), copy = xpc_copy(a);

	assert_true(xpc_equal(a, b));
	assert_true(xpc_equal(a, copy));
	assert_int_equal(xpc_hash(a), xpc_hash(b));
	/* the copy is one of its own, in depth */
	xpc_array_set_int64(xpc_dictionary_get_array(copy, "array"), 1, 3);
	assert_false(xpc_equal(a, copy));
	assert_true(xpc_equal(a, b));
	xpc_dictionary_set_value(b, "null", NULL);
	assert_false(xpc_equal(a, b));
	assert_false(xpc_equal(a, NULL));
	assert_true(xpc_equal(xpc_bool_create(true), XPC_BOOL_TRUE));
	xpc_release(a);
	xpc_release(b);
	xpc_release(copy);
}

static void test_types(void **state)
{
	xpc_object_t number = xpc_uint64_create(5),
		     text = xpc_string_create_with_format("%d-%s", 5, "x");

	assert_ptr_equal(xpc_get_type(number), XPC_TYPE_UINT64);
	assert_ptr_equal(xpc_get_type(xpc_null_create()), XPC_TYPE_NULL);
	assert_null(xpc_get_type(NULL));
	assert_string_equal(xpc_type_get_name(XPC_TYPE_DICTIONARY), "dictionary");
	assert_string_equal(xpc_string_get_string_ptr(text), "5-x");
	assert_int_equal(xpc_string_get_length(text), 3);
	/* constants go on for ever */
	xpc_release(XPC_BOOL_TRUE);
	xpc_release(XPC_BOOL_TRUE);
	assert_true(xpc_bool_get_value(XPC_BOOL_TRUE));
	assert_ptr_equal(xpc_retain(number), number);
	xpc_release(number);
	assert_int_equal(xpc_uint64_get_value(number), 5);
	xpc_release(number);
	xpc_release(text);
	xpc_release(NULL);
}

static void test_descriptor(void **state)
{
	xpc_object_t value;
	struct stat a, b;
	int fds[2], fd;

	assert_int_equal(pipe(fds), 0);
	value = xpc_fd_create(fds[0]);
	fd = xpc_fd_dup(value);
	assert_int_equal(fstat(fd, &a), 0);
	assert_int_equal(fstat(fds[0], &b), 0);
	assert_true(a.st_ino == b.st_ino);
	assert_null(xpc_fd_create(-1));
	assert_int_equal(xpc_fd_dup(XPC_BOOL_TRUE), -1);
	xpc_release(value);
	close(fd);
	close(fds[0]);
	close(fds[1]);
}

static void test_data(void **state)
{
	xpc_object_t data = xpc_data_create("hello", 5);
	char buffer[8] = "";

	assert_int_equal(xpc_data_get_bytes(data, buffer, 1, 3), 3);
	assert_string_equal(buffer, "ell");
	assert_int_equal(xpc_data_get_bytes(data, buffer, 3, 100), 2);
	assert_int_equal(xpc_data_get_bytes(data, buffer, 5, 1), 0);
	assert_int_equal(xpc_data_get_bytes(data, buffer, SIZE_MAX, 1), 0);
	xpc_release(data);
}

static const struct {
	const char *json, *back; /* NULL: the same */
} good[] = {
	{ "{}", NULL },
	{ " [ ] ", "[]" },
	{ "[1,-1,0,9223372036854775807,-9223372036854775808]", NULL },
	{ "[9223372036854775808,18446744073709551615]", NULL },
	{ "[18446744073709551616]", "[1.8446744073709552e+19]" },
	{ "[0.5,1e2,-0.25E-1]", "[0.5,100.0,-0.025000000000000001]" },
	{ "{\"a\":{\"b\":[true,false,null]},\"c\":\"d\"}", NULL },
	{ "\"\\u0041\\u00e9\\u20ac\\ud83d\\ude00\\n\\/\"",
		"\"A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\\u000a/\"" },
	{ "\"\xc3\xa9\"", NULL },
};

static void test_json(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		_cleanup_free_ char *back = NULL;
		xpc_object_t value;

		assert_int_equal(xpc_of_json(good[i].json, strlen(good[i].json), &value), 0);
		assert_int_equal(xpc_to_json(value, &back), 0);
		assert_string_equal(back, good[i].back ? good[i].back : good[i].json);
		xpc_release(value);
	}
}

static const char *const bad[] = { "", " ", "{", "}", "[", "[1", "[1,", "[1,]", "[,1]", "{\"a\"}",
	"{\"a\":}", "{\"a\":1,}", "{a:1}", "{\"a\":1,\"a\":2}", "01", "-", "+1", "1.", ".5", "1e",
	"1e+", "1e999", "nul", "truth", "tru", "\"", "\"a", "\"\\\"", "\"\\x\"", "\"\\u12\"",
	"\"\\u0000\"", "\"\\ud800\"", "\"\\ud800\\u0041\"", "\"\\udc00\"", "\"\x01\"", "\"\xff\"",
	"\"\xc0\x80\"", "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"", "\"\xe2\x82\"", "1 2", "{} x",
	"NaN", "Infinity" };

static void test_bad_json(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		xpc_object_t value = NULL;

		if (xpc_of_json(bad[i], strlen(bad[i]), &value) != -EBADMSG)
			fail_msg("%s was not refused", bad[i]);
		assert_null(value);
	}
}

/* As deep as is allowed, and one deeper. */
static void test_depth(void **state)
{
	char json[2 * XPC_JSON_DEPTH + 3];
	xpc_object_t value;

	memset(json, '[', XPC_JSON_DEPTH);
	memset(json + XPC_JSON_DEPTH, ']', XPC_JSON_DEPTH);
	assert_int_equal(xpc_of_json(json, 2 * XPC_JSON_DEPTH, &value), 0);
	xpc_release(value);
	memset(json, '[', XPC_JSON_DEPTH + 1);
	assert_int_equal(xpc_of_json(json, XPC_JSON_DEPTH + 1, &value), -E2BIG);
}

static void test_json_of_others(void **state)
{
	xpc_object_t value = full_dictionary(), fd;
	_cleanup_free_ char *json = NULL, *description = NULL, *none = NULL;

	assert_int_equal(xpc_to_json(value, &json), 0);
	assert_non_null(strstr(json, "\"data\":\"610062\""));
	assert_non_null(strstr(json, "\"uuid\":\"01020304-0506-0708-090a-0b0c0d0e0f10\""));
	description = xpc_copy_description(value);
	assert_non_null(strstr(description, "\"string\" => <string: \"text\">"));
	fd = xpc_fd_create(0);
	xpc_dictionary_set_value(value, "fd", fd);
	xpc_release(fd);
	assert_int_equal(xpc_to_json(value, &none), -EOPNOTSUPP);
	xpc_release(value);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dictionary),
		cmocka_unit_test(test_many_keys),
		cmocka_unit_test(test_array),
		cmocka_unit_test(test_equal_and_copy),
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_descriptor),
		cmocka_unit_test(test_data),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_bad_json),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_json_of_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
