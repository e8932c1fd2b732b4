/* SPDX-License-Identifier: Apache-2.0
 *
 * os_log: printf's formats with Apple's annotations, one line of JSON on standard error.
 *
 * A format is walked once; each conversion is handed alone to snprintf(3), without its annotation,
 * so that what libc knows of flags, widths and sizes need not be known here.
 */
#include <errno.h>
#include <os/log.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/macros.h"
#include "outboard/text.h"

#define LINE_MAX_BYTES 4096

struct os_log_s {
	struct os_log_s *next;
	char *subsystem, *category;
	bool disabled;
};

ob_export struct os_log_s _os_log_default;
ob_export struct os_log_s _os_log_disabled = { .disabled = true };

static struct os_log_s *logs;
static pthread_mutex_t logs_lock = PTHREAD_MUTEX_INITIALIZER;

static struct os_log_s *find(const char *subsystem, const char *category)
{
	struct os_log_s *log = logs;

	while (log && (strcmp(log->subsystem, subsystem) || strcmp(log->category, category)))
		log = log->next;
	return log;
}

static struct os_log_s *add(const char *subsystem, const char *category)
{
	struct os_log_s *log = calloc(1, sizeof *log);

	if (!log)
		return NULL;
	log->subsystem = strdup(subsystem);
	log->category = strdup(category);
	if (!log->subsystem || !log->category) {
		free(log->subsystem);
		free(log->category);
		free(log);
		return NULL;
	}
	log->next = logs;
	logs = log;
	return log;
}

ob_export os_log_t os_log_create(const char *subsystem, const char *category)
{
	struct os_log_s *log;

	if (!subsystem || !category)
		return OS_LOG_DEFAULT;
	pthread_mutex_lock(&logs_lock);
	log = find(subsystem, category);
	if (!log)
		log = add(subsystem, category);
	pthread_mutex_unlock(&logs_lock);
	return log ? log : OS_LOG_DEFAULT;
}

ob_export void *os_retain(void *object)
{
	return object;
}

ob_export void os_release(void *object)
{
}

/* ---- Types ------------------------------------------------------------------------------------ */

static const struct {
	os_log_type_t type;
	const char *level; /* as in base/log.h */
	bool always;
} types[] = {
	{ OS_LOG_TYPE_DEFAULT, "notice", true },
	{ OS_LOG_TYPE_INFO, "info", false },
	{ OS_LOG_TYPE_DEBUG, "debug", false },
	{ OS_LOG_TYPE_ERROR, "error", true },
	{ OS_LOG_TYPE_FAULT, "fault", true },
};

static pthread_once_t level_once = PTHREAD_ONCE_INIT;
static bool with_info, with_debug;

static void read_level(void)
{
	const char *level = secure_getenv("OUTBOARD_LOG_LEVEL");

	with_debug = level && strcmp(level, "debug") == 0;
	with_info = with_debug || (level && strcmp(level, "info") == 0);
}

ob_export bool os_log_type_enabled(os_log_t log, os_log_type_t type)
{
	if (!log || log->disabled)
		return false;
	pthread_once(&level_once, read_level);
	if (type == OS_LOG_TYPE_INFO)
		return with_info;
	return type != OS_LOG_TYPE_DEBUG || with_debug;
}

static const char *level_of(os_log_type_t type)
{
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (types[i].type == type)
			return types[i].level;
	return "notice";
}

/* ---- Formats ---------------------------------------------------------------------------------- */

/* On 64-bit Linux long, long long, size_t, intmax_t and ptrdiff_t are passed alike. */
enum size { SIZE_INT, SIZE_LONG, SIZE_LONG_DOUBLE };

struct conversion {
	const char *annotation; /* the inside of {...}; not terminated */
	size_t n_annotation;
	char flags[8];
	int width, precision; /* -1 none */
	char length[3];
	enum size size;
	char letter;
};

static bool is_annotated(const struct conversion *conversion, const char *word)
{
	const char *found = conversion->annotation
		? memmem(conversion->annotation, conversion->n_annotation, word, strlen(word))
		: NULL;

	return found != NULL;
}

static const char *read_number(const char *at, va_list *args, int *ret)
{
	if (*at == '*') {
		*ret = va_arg(*args, int);
		return at + 1;
	}
	for (*ret = 0; *at >= '0' && *at <= '9'; at++)
		*ret = *ret < 100000 ? *ret * 10 + (*at - '0') : *ret;
	return at;
}

static const struct {
	const char *length;
	enum size size;
} sizes[] = {
	{ "hh", SIZE_INT },
	{ "ll", SIZE_LONG },
	{ "h", SIZE_INT },
	{ "l", SIZE_LONG },
	{ "q", SIZE_LONG },
	{ "j", SIZE_LONG },
	{ "z", SIZE_LONG },
	{ "t", SIZE_LONG },
	{ "L", SIZE_LONG_DOUBLE },
};

static const char *read_length(const char *at, struct conversion *conversion)
{
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		size_t n = strlen(sizes[i].length);

		if (strncmp(at, sizes[i].length, n) == 0) {
			memcpy(conversion->length, sizes[i].length, n + 1);
			conversion->size = sizes[i].size;
			return at + n;
		}
	}
	return at;
}

/* After the %. NULL: the format ends in it. */
static const char *read_conversion(const char *at, va_list *args, struct conversion *ret)
{
	const char *end;
	size_t n = 0;

	*ret = (struct conversion){ .width = -1, .precision = -1 };
	if (*at == '{') {
		end = strchr(at, '}');
		if (!end)
			return NULL;
		ret->annotation = at + 1;
		ret->n_annotation = (size_t)(end - at - 1);
		at = end + 1;
	}
	for (; *at && strchr("-+ #0'", *at); at++)
		if (n < sizeof ret->flags - 1)
			ret->flags[n++] = *at;
	if (*at == '*' || (*at >= '1' && *at <= '9'))
		at = read_number(at, args, &ret->width);
	if (*at == '.')
		at = read_number(at + 1, args, &ret->precision);
	at = read_length(at, ret);
	ret->letter = *at;
	return *at ? at + 1 : NULL;
}

/* What libc is given for it: the same without the annotation. */
static void make_format(const struct conversion *conversion, char *buffer, size_t bytes)
{
	int width = conversion->width < -1 ? -conversion->width : conversion->width;
	int n = snprintf(
		buffer, bytes, "%%%s%s", conversion->width < -1 ? "-" : "", conversion->flags);

	if (width >= 0)
		n += snprintf(buffer + n, bytes - (size_t)n, "%d", width > 1000 ? 1000 : width);
	if (conversion->precision >= 0)
		n += snprintf(buffer + n, bytes - (size_t)n, ".%d",
			conversion->precision > LINE_MAX_BYTES ? LINE_MAX_BYTES
							       : conversion->precision);
	snprintf(buffer + n, bytes - (size_t)n, "%s%c", conversion->length, conversion->letter);
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"

static int print_integer(char *out, size_t bytes, const char *format,
	const struct conversion *conversion, va_list *args)
{
	int value;

	if (conversion->size != SIZE_INT)
		return snprintf(out, bytes, format, va_arg(*args, long));
	value = va_arg(*args, int);
	if (is_annotated(conversion, "errno") || is_annotated(conversion, "darwin.errno"))
		return snprintf(out, bytes, "%s", strerrordesc_np(value) ?: "Unknown error");
	if (is_annotated(conversion, "bool") || is_annotated(conversion, "BOOL"))
		return snprintf(out, bytes, "%s", value ? "true" : "false");
	return snprintf(out, bytes, format, value);
}

static int print_real(char *out, size_t bytes, const char *format,
	const struct conversion *conversion, va_list *args)
{
	if (conversion->size == SIZE_LONG_DOUBLE)
		return snprintf(out, bytes, format, va_arg(*args, long double));
	return snprintf(out, bytes, format, va_arg(*args, double));
}

static int print_string(char *out, size_t bytes, const char *format,
	const struct conversion *conversion, va_list *args)
{
	const void *string = va_arg(*args, const void *);

	if (conversion->letter == 's' && !string)
		string = "(null)";
	return snprintf(out, bytes, format, string);
}

#pragma GCC diagnostic pop

/* %.nP: n bytes, in hex or as what the annotation says. */
static int print_bytes(char *out, size_t bytes, const char *format,
	const struct conversion *conversion, va_list *args)
{
	const unsigned char *data = va_arg(*args, const void *);
	bool uuid = is_annotated(conversion, "uuid_t") && conversion->precision == 16;
	size_t at = 0;

	for (int i = 0; data && i < conversion->precision && at + 4 < bytes; i++) {
		if (uuid && (i == 4 || i == 6 || i == 8 || i == 10))
			out[at++] = '-';
		at += (size_t)snprintf(out + at, bytes - at, "%02x", data[i]);
	}
	out[at] = '\0';
	return (int)at;
}

/* Objects of Objective-C and CoreFoundation do not exist here. */
static int print_object(char *out, size_t bytes, const char *format,
	const struct conversion *conversion, va_list *args)
{
	(void)va_arg(*args, void *);
	return snprintf(out, bytes, "<object>");
}

static const struct {
	const char *letters;
	int (*print)(char *out, size_t bytes, const char *format,
		const struct conversion *conversion, va_list *args);
} printers[] = {
	{ "diouxXc", print_integer },
	{ "aAeEfFgG", print_real },
	{ "sp", print_string },
	{ "P", print_bytes },
	{ "@", print_object },
};

/* False: a letter that is not known, so that the size of its argument is not either. */
static bool print(struct text *text, const struct conversion *conversion, va_list *args)
{
	char format[64], out[LINE_MAX_BYTES];

	make_format(conversion, format, sizeof format);
	for (size_t i = 0; i < ARRAY_SIZE(printers); i++) {
		if (!strchr(printers[i].letters, conversion->letter))
			continue;
		if (printers[i].print(out, sizeof out, format, conversion, args) < 0)
			out[0] = '\0';
		if (is_annotated(conversion, "private") || is_annotated(conversion, "sensitive"))
			strcpy(out, "<private>");
		text_put(text, out, strlen(out));
		return true;
	}
	return false;
}

static void put_formatted(struct text *text, const char *at, va_list *args, int error)
{
	struct conversion conversion;
	const char *next, *reason = strerrordesc_np(error);

	for (; *at; at = next) {
		next = strchrnul(at, '%');
		text_put(text, at, (size_t)(next - at));
		if (!*next)
			break;
		next = read_conversion(next + 1, args, &conversion);
		if (!next)
			break;
		if (conversion.letter == '%')
			text_put(text, "%", 1);
		else if (conversion.letter == 'm')
			text_put(text, reason ? reason : "?", reason ? strlen(reason) : 1);
		else if (!print(text, &conversion, args)) {
			/* nothing after it can be read */
			text_put(text, "<%?>", 4);
			break;
		}
	}
}

/* ---- Lines ------------------------------------------------------------------------------------ */

static void put_field(struct text *line, const char *name, const char *value, size_t n)
{
	text_printf(line, ",\"%s\":", name);
	text_put_json_string(line, value, n);
}

static void put_line(
	struct text *line, os_log_t log, os_log_type_t type, const char *message, size_t n)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	text_printf(line, "{\"t\":%lld.%06ld,\"level\":\"%s\"", (long long)now.tv_sec,
		now.tv_nsec / 1000, level_of(type));
	if (log->subsystem) {
		put_field(line, "subsystem", log->subsystem, strnlen(log->subsystem, 128));
		put_field(line, "category", log->category, strnlen(log->category, 128));
	}
	put_field(line, "text", message, n);
	text_put(line, "}\n", 2);
}

/*
 * Not longer than what a pipe takes whole, pipe(7), so that lines of several threads never mix: the
 * message is cut, in a character's middle if need be, since what is no UTF-8 is replaced.
 */
static void write_line(os_log_t log, os_log_type_t type, const struct text *message)
{
	struct text line = { 0 };
	size_t n = message->n < LINE_MAX_BYTES ? message->n : LINE_MAX_BYTES;

	put_line(&line, log, type, message->bytes ? message->bytes : "", n);
	while (line.error == 0 && line.n > LINE_MAX_BYTES && n > 0) {
		n -= n / 8 + 1;
		line.n = 0;
		put_line(&line, log, type, message->bytes, n);
	}
	if (line.error == 0 && write(STDERR_FILENO, line.bytes, line.n) < 0)
		line.error = -errno; /* there is nobody to tell */
	text_done(&line);
}

ob_export void ob_os_log(os_log_t log, os_log_type_t type, const char *format, ...)
{
	int error = errno;
	struct text message = { 0 };
	va_list args;

	va_start(args, format);
	put_formatted(&message, format, &args, error);
	va_end(args);
	if (message.error == 0)
		write_line(log, type, &message);
	text_done(&message);
	errno = error;
}
