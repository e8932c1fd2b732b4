/* SPDX-License-Identifier: Apache-2.0
 *
 * One log call for every daemon. A line is one JSON object on standard error, which outboardd
 * reads, bounds per source, stores and passes on: {"t":…,"level":…,"id":…,"object":…,"text":…,…}.
 * Libraries never log, and no decision path does: there a counter is raised, and logged later.
 */
#ifndef OB_BASE_LOG_H
#define OB_BASE_LOG_H

#include "base/macros.h"

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_NOTICE,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG
};

/*
 * @id:     a row of base/log-ids.def, such as LOG_EXTENSION_STARTED: it has the level and the sentence
 * @object: what it is about: an identifier, a path, a peer; NULL none
 * @...:    pairs of (name, value) strings, ended by NULL; values are escaped
 */
enum log_id {
#define LOG_ID(id, level, sentence) LOG_##id,
#include "base/log-ids.def"
#undef LOG_ID
	LOG_ID_MAX_
};

void log_event(enum log_id id, const char *object, ...) __attribute__((sentinel));
/* The same with the text of an error: adds "error":"strerror(-@r)". */
void log_failure(enum log_id id, const char *object, int r, ...) __attribute__((sentinel));

void log_set_name(const char *daemon); /* "from" in each line; a static string */
void log_set_level(enum log_level max);

/* A number as a value of the call above, in a buffer that lives until the end of the statement. */
#define LOG_NUMBER(number) log_number((char[24]){ 0 }, (long long)(number))
const char *log_number(char buffer[static 24], long long number);

/* Escape @string into @buffer as the inside of a JSON string; cut at its end, never in an escape. */
const char *log_escape(const char *string, char *buffer, size_t bytes);

#endif
