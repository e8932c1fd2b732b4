/* SPDX-License-Identifier: Apache-2.0
 *
 * macOS' os_log. A line is one JSON object on standard error, where outboardd takes it from an
 * extension: {"t":…,"level":…,"subsystem":…,"category":…,"text":…}. See os_log(3).
 *
 * Formats are printf's, and Apple's annotations: %{public}s, %{private}s (printed as <private>),
 * %{uuid_t}.16P, %.*P (bytes in hex), %{errno}d, %{bool}d; others, such as %{time_t}d, change nothing.
 * Without an annotation a value is printed: here the log belongs to the administrator. %m is the text
 * of errno.
 *
 * Threads: any. A line is one write(2), cut at 4 KiB. Since: 0.1. Source: os/log.h, macOS 10.12.
 */
#ifndef OS_LOG_H
#define OS_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct os_log_s *os_log_t;

extern struct os_log_s _os_log_default, _os_log_disabled;
#define OS_LOG_DEFAULT (&_os_log_default)
#define OS_LOG_DISABLED (&_os_log_disabled)

typedef uint8_t os_log_type_t;
#define OS_LOG_TYPE_DEFAULT 0x00 /* "notice" */
#define OS_LOG_TYPE_INFO 0x01
#define OS_LOG_TYPE_DEBUG 0x02
#define OS_LOG_TYPE_ERROR 0x10
#define OS_LOG_TYPE_FAULT 0x11

/**
 * os_log_create() - a log for one part of a program
 * @subsystem, @category: copied; they appear in each line
 *
 * One object for each pair, made at the first call, never freed: release has no effect. Without
 * memory it is OS_LOG_DEFAULT.
 */
os_log_t os_log_create(const char *subsystem, const char *category);
/** os_log_type_enabled() - is a line of that type written? info and debug: when OUTBOARD_LOG_LEVEL says so */
bool os_log_type_enabled(os_log_t log, os_log_type_t type);
/** os_retain() - without effect on a log */
void *os_retain(void *object);
/** os_release() - without effect on a log */
void os_release(void *object);

#ifdef __clang__
#define OB_OS_LOG_FORMAT __attribute__((format(os_log, 3, 4)))
#else
#define OB_OS_LOG_FORMAT /* gcc knows printf's formats alone, and would refuse the annotations */
#endif
/** ob_os_log() - what the macros below call */
void ob_os_log(os_log_t log, os_log_type_t type, const char *format, ...) OB_OS_LOG_FORMAT;

/* The arguments are not evaluated when the type is not enabled. */
#define os_log_with_type(log, type, ...)                         \
	__extension__({                                          \
		os_log_t ob_log_ = (log);                        \
		if (os_log_type_enabled(ob_log_, (type)))        \
			ob_os_log(ob_log_, (type), __VA_ARGS__); \
	})
#define os_log(log, ...) os_log_with_type(log, OS_LOG_TYPE_DEFAULT, __VA_ARGS__)
#define os_log_info(log, ...) os_log_with_type(log, OS_LOG_TYPE_INFO, __VA_ARGS__)
#define os_log_debug(log, ...) os_log_with_type(log, OS_LOG_TYPE_DEBUG, __VA_ARGS__)
#define os_log_error(log, ...) os_log_with_type(log, OS_LOG_TYPE_ERROR, __VA_ARGS__)
#define os_log_fault(log, ...) os_log_with_type(log, OS_LOG_TYPE_FAULT, __VA_ARGS__)
#define os_log_info_enabled(log) os_log_type_enabled(log, OS_LOG_TYPE_INFO)
#define os_log_debug_enabled(log) os_log_type_enabled(log, OS_LOG_TYPE_DEBUG)

#ifdef __cplusplus
}
#endif

#endif
