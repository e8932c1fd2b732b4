/* SPDX-License-Identifier: Apache-2.0
 *
 * A writer of JSON lines into one buffer that is there from the start. It is ours and not jansson's
 * because an event would cost jansson some three hundred allocations, of which the JSON of none is
 * ever looked at here. What is put is always JSON: what is not UTF-8 becomes U+FFFD.
 */
#ifndef OB_TOOLS_ESLOGGER_JSONL_H
#define OB_TOOLS_ESLOGGER_JSONL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define JSONL_BUFFER_BYTES 65536

struct jsonl {
	int fd;	   /* a full buffer goes there; -1: what does not fit is cut */
	int error; /* 0 or -errno of the first write that failed; nothing is written after it */
	bool comma;
	size_t n;
	char bytes[JSONL_BUFFER_BYTES + 1];
};

void jsonl_init(struct jsonl *json, int fd);
/* The line is complete: its newline, and all of it written. Without a descriptor it is terminated by NUL. */
int jsonl_end_line(struct jsonl *json);

void jsonl_open(struct jsonl *json, char bracket); /* '{' or '[' */
void jsonl_close(struct jsonl *json, char bracket);
void jsonl_key(struct jsonl *json, const char *key); /* a constant that needs no escape */
void jsonl_null(struct jsonl *json);
void jsonl_bool(struct jsonl *json, bool value);
void jsonl_signed(struct jsonl *json, int64_t value);
void jsonl_unsigned(struct jsonl *json, uint64_t value);
void jsonl_string(struct jsonl *json, const char *data, size_t length);
void jsonl_hex(struct jsonl *json, const uint8_t *data, size_t bytes); /* upper case, as Apple's */
/* RFC 3339 in UTC, with @digits digits of the second: 9 or 6. */
void jsonl_time(struct jsonl *json, time_t seconds, long nanoseconds, int digits);

#endif
