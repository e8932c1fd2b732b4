/* SPDX-License-Identifier: Apache-2.0
 *
 * The typed calls of a container, once for arrays and once for dictionaries: ACCESS(verb) is the
 * name, PLACE the parameter that says where, AT the argument. Included twice, so it has no guard.
 */
#define SETTER(type, parameters, made)                                                          \
	ob_export void ACCESS(set_##type)(xpc_object_t container, PLACE, PARAMETERS parameters) \
	{                                                                                       \
		xpc_object_t value = made;                                                      \
                                                                                                \
		if (value)                                                                      \
			ACCESS(set_value)(container, AT, value);                                \
		xpc_release(value);                                                             \
	}
#define PARAMETERS(...) __VA_ARGS__
#define GETTER(returns, type, got)                                          \
	ob_export returns ACCESS(get_##type)(xpc_object_t container, PLACE) \
	{                                                                   \
		return got(ACCESS(get_value)(container, AT));               \
	}

SETTER(bool, (bool boolean), xpc_bool_create(boolean))
SETTER(int64, (int64_t number), xpc_int64_create(number))
SETTER(uint64, (uint64_t number), xpc_uint64_create(number))
SETTER(double, (double number), xpc_double_create(number))
SETTER(date, (int64_t date), xpc_date_create(date))
SETTER(data, (const void *bytes, size_t length), xpc_data_create(bytes, length))
SETTER(string, (const char *string), xpc_string_create(string))
SETTER(uuid, (const xpc_uuid_bytes_t uuid), xpc_uuid_create(uuid))
SETTER(fd, (int fd), xpc_fd_create(fd))

GETTER(bool, bool, xpc_bool_get_value)
GETTER(int64_t, int64, xpc_int64_get_value)
GETTER(uint64_t, uint64, xpc_uint64_get_value)
GETTER(double, double, xpc_double_get_value)
GETTER(int64_t, date, xpc_date_get_value)
GETTER(const char *, string, xpc_string_get_string_ptr)
GETTER(const uint8_t *, uuid, xpc_uuid_get_bytes)

ob_export const void *ACCESS(get_data)(xpc_object_t container, PLACE, size_t *ret_length)
{
	xpc_object_t value = ACCESS(get_value)(container, AT);

	if (ret_length)
		*ret_length = xpc_data_get_length(value);
	return xpc_data_get_bytes_ptr(value);
}

ob_export int ACCESS(dup_fd)(xpc_object_t container, PLACE)
{
	return xpc_fd_dup(ACCESS(get_value)(container, AT));
}

ob_export xpc_object_t ACCESS(get_array)(xpc_object_t container, PLACE)
{
	return xpc_value_of(ACCESS(get_value)(container, AT), XPC_ARRAY);
}

ob_export xpc_object_t ACCESS(get_dictionary)(xpc_object_t container, PLACE)
{
	return xpc_value_of(ACCESS(get_value)(container, AT), XPC_DICTIONARY);
}

#undef SETTER
#undef GETTER
#undef PARAMETERS
