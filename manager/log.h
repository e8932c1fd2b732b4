/* SPDX-License-Identifier: Apache-2.0
 *
 * What daemons and extensions say: read from one pipe a source, bounded, kept as JSON lines in
 * PATH_LOG/outboard.jsonl, shown to who follows, and handed to journald where there is one.
 *
 * Nothing of an extension's line is parsed: it becomes the text of a line of ours, which names its
 * source. A source that says too much loses lines, which are counted and told, and is then read
 * more slowly, so that its own writes wait; nobody else's do. A full disk loses lines, counted too.
 */
#ifndef OB_MANAGER_LOG_H
#define OB_MANAGER_LOG_H

#include <stdint.h>
#include <systemd/sd-event.h>
#include "daemon/config.h"

struct log;

/* A line, without its end, has been taken: for those who follow. */
typedef void (*log_taken_t)(void *context, const char *source, const char *line, size_t bytes);

/* @config: borrowed for ever */
int logs_new(sd_event *event, const struct config *config, log_taken_t taken, void *context,
	struct log **ret);
struct log *logs_free(struct log *log);
DEFINE_CLEANUP(struct log, logs_free)

/*
 * Read @fd (taken; made non-blocking) until its end. @source: "outboard" for our own daemons, whose
 * lines are JSON already; else the extension's identifier.
 */
int logs_add(struct log *log, const char *source, int fd);
/* Take what is still in the pipe of that descriptor's source, and close it. */
void logs_drain(struct log *log, const char *source);

/* A memfd at its beginning: the last @lines lines of @source ("" all) since @since_usec. */
int logs_read(
	struct log *log, const char *source, uint64_t since_usec, uint32_t lines, int *ret_fd);

#endif
