/* SPDX-License-Identifier: Apache-2.0
 *
 * What daemons and extensions say, see log.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include "base/fd.h"
#include "base/log.h"
#include "base/paths.h"
#include "base/str.h"
#include "manager/log.h"

#define LINE_BYTES 2048	  /* a longer line is several */
#define READ_BYTES 65536  /* of one source at a time */
#define PAUSE_USEC 50000  /* how long a source that says too much is not read */
#define TELL_USEC 1000000 /* losses are told once in */
#define READ_LINES_MAX 10000u
#define FILE_NAME "outboard.jsonl"
#define JOURNAL_SOCKET "/run/systemd/journal/socket"

struct source {
	struct source *next;
	struct log *log;
	char name[256];
	int fd;
	sd_event_source *io, *timer;
	char line[LINE_BYTES];
	size_t bytes;
	double lines_left, bytes_left; /* of the bucket */
	uint64_t filled_usec, told_usec;
	uint64_t dropped;
};

struct log {
	sd_event *event;
	const struct config *config;
	log_taken_t taken;
	void *context;
	struct source *sources;
	int fd, journal_fd;
	uint64_t file_bytes;
	uint64_t not_written; /* lines that the disk did not take */
};

static uint64_t clock_usec(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* ---- the file --------------------------------------------------------------------------------- */

static const char *file_path(unsigned number, char buffer[static PATH_MAX])
{
	char name[64];

	snprintf(name, sizeof name, number ? FILE_NAME ".%u" : FILE_NAME, number);
	return path_get(PATH_LOG, name, buffer);
}

static int open_file(struct log *log)
{
	char path[PATH_MAX];
	struct stat status;

	log->fd = fd_close(log->fd);
	log->fd = open(
		file_path(0, path), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (log->fd < 0 || fstat(log->fd, &status) < 0)
		return -errno;
	log->file_bytes = (uint64_t)status.st_size;
	return 0;
}

static void put_aside(struct log *log)
{
	char from[PATH_MAX], to[PATH_MAX];
	unsigned n = (unsigned)config_number(log->config, CONFIG_LOG_FILES);

	for (; n > 1; n--)
		rename(file_path(n - 2, from), file_path(n - 1, to));
	if (config_number(log->config, CONFIG_LOG_FILES) == 1)
		unlink(file_path(0, from));
	open_file(log);
}

/* Lines that nobody could write show as a gap, in front of the first one that is written again. */
static bool write_gap(struct log *log)
{
	char line[160];
	uint64_t now = clock_usec(CLOCK_REALTIME);
	int bytes = snprintf(line, sizeof line,
		"{\"source\":\"outboard\",\"t\":%llu.%06u,\"level\":\"warning\",\"id\":\"LOG_GAP\","
		"\"text\":\"%llu lines lost: the disk did not take them\"}\n",
		(unsigned long long)(now / 1000000), (unsigned)(now % 1000000),
		(unsigned long long)log->not_written);
	ssize_t n = write(log->fd, line, (size_t)bytes);

	if (n == bytes) {
		log->file_bytes += (uint64_t)bytes;
		log->not_written = 0;
		return true;
	}
	if (n > 0)
		(void)!ftruncate(log->fd, (off_t)log->file_bytes);
	return false;
}

/* One write a line; what was written in part, because the disk is full, is taken back. */
static void write_line(struct log *log, const char *line, size_t bytes)
{
	ssize_t n;

	if (log->file_bytes + bytes > config_number(log->config, CONFIG_LOG_FILE))
		put_aside(log);
	if (log->fd < 0 && open_file(log) < 0) {
		log->not_written++;
		return;
	}
	if (log->not_written && !write_gap(log)) {
		log->not_written++;
		return;
	}
	n = write(log->fd, line, bytes);
	if (n == (ssize_t)bytes) {
		log->file_bytes += bytes;
		return;
	}
	log->not_written++;
	if (n > 0)
		(void)!ftruncate(log->fd, (off_t)log->file_bytes);
}

/* ---- journald --------------------------------------------------------------------------------- */

/* Its native protocol, one datagram, never waited for: a journal that hangs loses its copy. */
static void tell_journal(struct log *log, const char *source, const char *line, size_t bytes)
{
	static const struct sockaddr_un address = { .sun_family = AF_UNIX,
		.sun_path = JOURNAL_SOCKET };
	char text[LINE_BYTES * 3];
	int n;

	if (log->journal_fd < 0)
		return;
	n = snprintf(text, sizeof text,
		"SYSLOG_IDENTIFIER=outboard\nOUTBOARD_SOURCE=%s\nMESSAGE=%.*s\n", source,
		(int)bytes, line);
	if (n > 0 && n < (int)sizeof text)
		(void)!sendto(log->journal_fd, text, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL,
			(const struct sockaddr *)&address, sizeof address);
}

/* ---- lines ------------------------------------------------------------------------------------ */

/* @line ends in a newline. */
static void take_line(struct log *log, const char *source, const char *line, size_t bytes)
{
	write_line(log, line, bytes);
	tell_journal(log, source, line, bytes - 1);
	log->taken(log->context, source, line, bytes - 1);
}

static void take_text(struct log *log, const char *source, const char *level, const char *text)
{
	char line[LINE_BYTES * 6 + 512], escaped[LINE_BYTES * 6 + 8], name[600];
	uint64_t now = clock_usec(CLOCK_REALTIME);
	int n;

	n = snprintf(line, sizeof line,
		"{\"source\":\"%s\",\"t\":%llu.%06u,\"level\":\"%s\",\"text\":\"%s\"}\n",
		log_escape(source, name, sizeof name), (unsigned long long)(now / 1000000),
		(unsigned)(now % 1000000), level, log_escape(text, escaped, sizeof escaped));
	if (n > 0 && n < (int)sizeof line)
		take_line(log, source, line, (size_t)n);
}

/* JSON may hold UTF-8 only; what is none becomes '?', byte by byte. */
static void make_utf8(char *text)
{
	unsigned char *at = (unsigned char *)text;

	while (*at) {
		size_t i,
			tail = *at < 0x80	    ? 0
			: *at >= 0xc2 && *at < 0xe0 ? 1
			: *at >= 0xe0 && *at < 0xf0 ? 2
			: *at >= 0xf0 && *at < 0xf5 ? 3
						    : 9;

		for (i = 1; tail != 9 && i <= tail; i++)
			if ((at[i] & 0xc0) != 0x80)
				tail = 9;
		/* overlong forms, surrogates, beyond U+10FFFF */
		if ((*at == 0xe0 && at[1] < 0xa0) || (*at == 0xed && at[1] > 0x9f) ||
			(*at == 0xf0 && at[1] < 0x90) || (*at == 0xf4 && at[1] > 0x8f))
			tail = 9;
		if (tail == 9)
			*at = '?', tail = 0;
		at += tail + 1;
	}
}

/* Our daemons' lines are JSON of log.c's making: only the source is put in front. */
static void take_ours(struct log *log, const char *source, char *text)
{
	char line[LINE_BYTES + 64];
	int n;

	if (!str_starts(text, "{\"t\":") || !str_ends(text, "}")) {
		take_text(log, source, "notice", text);
		return;
	}
	n = snprintf(line, sizeof line, "{\"source\":\"%s\",%s\n", source, text + 1);
	if (n > 0 && n < (int)sizeof line)
		take_line(log, source, line, (size_t)n);
}

static void fill_bucket(struct source *source)
{
	double lines = (double)config_number(source->log->config, CONFIG_LOG_LINES);
	double rate = (double)config_number(source->log->config, CONFIG_LOG_RATE);
	uint64_t now = clock_usec(CLOCK_MONOTONIC);
	double seconds = (double)(now - source->filled_usec) / 1e6;

	source->filled_usec = now;
	source->lines_left += lines * seconds;
	source->bytes_left += rate * seconds;
	if (source->lines_left > lines)
		source->lines_left = lines;
	if (source->bytes_left > rate)
		source->bytes_left = rate;
}

static void tell_dropped(struct source *source)
{
	uint64_t now = clock_usec(CLOCK_MONOTONIC);
	char text[128];

	if (source->dropped == 0 || now - source->told_usec < TELL_USEC)
		return;
	snprintf(text, sizeof text, "%llu lines dropped: it says more than [log] allows",
		(unsigned long long)source->dropped);
	source->told_usec = now;
	source->dropped = 0;
	take_text(source->log, source->name, "warning", text);
}

static void end_line(struct source *source)
{
	size_t bytes = source->bytes;

	source->line[bytes] = '\0';
	source->bytes = 0;
	if (bytes == 0)
		return;
	if (streq(source->name, "outboard")) {
		take_ours(source->log, source->name, source->line);
		return;
	}
	if (source->lines_left < 1 || source->bytes_left < (double)bytes) {
		source->dropped++;
		return;
	}
	source->lines_left -= 1;
	source->bytes_left -= (double)bytes;
	make_utf8(source->line);
	take_text(source->log, source->name, "info", source->line);
}

static void take_bytes(struct source *source, const char *data, size_t bytes)
{
	size_t i;

	for (i = 0; i < bytes; i++) {
		if (data[i] == '\n' || data[i] == '\0' || source->bytes == LINE_BYTES - 1)
			end_line(source);
		if (data[i] != '\n' && data[i] != '\0')
			source->line[source->bytes++] = data[i];
	}
}

/* ---- sources ---------------------------------------------------------------------------------- */

static struct source *source_free(struct source *source)
{
	struct source **at;

	for (at = &source->log->sources; *at; at = &(*at)->next) {
		if (*at == source) {
			*at = source->next;
			break;
		}
	}
	sd_event_source_disable_unref(source->io);
	sd_event_source_disable_unref(source->timer);
	fd_close(source->fd);
	free(source);
	return NULL;
}

/* False: it has ended. */
static bool read_some(struct source *source)
{
	static char buffer[READ_BYTES];
	ssize_t n = read(source->fd, buffer, sizeof buffer);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	fill_bucket(source);
	take_bytes(source, buffer, (size_t)n);
	tell_dropped(source);
	return n > 0;
}

static int on_pause_over(sd_event_source *timer, uint64_t usec, void *context)
{
	struct source *source = context;

	fill_bucket(source);
	tell_dropped(source);
	return sd_event_source_set_enabled(source->io, SD_EVENT_ON);
}

static int on_readable(sd_event_source *io, int fd, uint32_t events, void *context)
{
	struct source *source = context;
	uint64_t dropped = source->dropped;

	if (!read_some(source)) {
		end_line(source);
		source_free(source);
		return 0;
	}
	if (source->dropped > dropped) {
		/* its own writes wait now, and we do not spin for its sake */
		sd_event_source_set_enabled(io, SD_EVENT_OFF);
		sd_event_source_set_time_relative(source->timer, PAUSE_USEC);
		sd_event_source_set_enabled(source->timer, SD_EVENT_ONESHOT);
	}
	return 0;
}

int logs_add(struct log *log, const char *name, int fd)
{
	struct source *source = calloc(1, sizeof *source);
	int r;

	if (!source) {
		fd_close(fd);
		return -ENOMEM;
	}
	*source = (struct source){ .log = log, .fd = fd, .next = log->sources };
	STR_PUT(source->name, name);
	log->sources = source;
	source->filled_usec = clock_usec(CLOCK_MONOTONIC);
	source->lines_left = (double)config_number(log->config, CONFIG_LOG_LINES);
	source->bytes_left = (double)config_number(log->config, CONFIG_LOG_RATE);
	r = fcntl(fd, F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
	if (r == 0)
		r = sd_event_add_io(log->event, &source->io, fd, EPOLLIN, on_readable, source);
	if (r >= 0)
		r = sd_event_add_time_relative(
			log->event, &source->timer, CLOCK_MONOTONIC, 0, 0, on_pause_over, source);
	if (r >= 0)
		r = sd_event_source_set_enabled(source->timer, SD_EVENT_OFF);
	if (r < 0) {
		source_free(source);
		return r;
	}
	sd_event_source_set_priority(source->io, SD_EVENT_PRIORITY_IDLE);
	return 0;
}

void logs_drain(struct log *log, const char *name)
{
	struct source *source, *next;

	for (source = log->sources; source; source = next) {
		unsigned rounds = 0;
		int waiting = 1;

		next = source->next;
		if (!streq(source->name, name))
			continue;
		/* what a pipe can hold and no more: somebody may still be writing */
		while (rounds++ < 16 && waiting > 0 && read_some(source))
			if (ioctl(source->fd, FIONREAD, &waiting) < 0)
				break;
		end_line(source);
		source_free(source);
	}
}

/* ---- the whole -------------------------------------------------------------------------------- */

int logs_new(sd_event *event, const struct config *config, log_taken_t taken, void *context,
	struct log **ret)
{
	_cleanup_(logs_freep) struct log *log = calloc(1, sizeof *log);

	if (!log)
		return -ENOMEM;
	*log = (struct log){ .event = sd_event_ref(event),
		.config = config,
		.taken = taken,
		.context = context,
		.fd = -1,
		.journal_fd = -1 };
	open_file(log); /* what cannot be opened now is tried again with each line */
	if (access(JOURNAL_SOCKET, W_OK) == 0)
		log->journal_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	*ret = TAKE(log);
	return 0;
}

struct log *logs_free(struct log *log)
{
	if (!log)
		return NULL;
	while (log->sources)
		source_free(log->sources);
	fd_close(log->fd);
	fd_close(log->journal_fd);
	sd_event_unref(log->event);
	free(log);
	return NULL;
}

/* ---- reading back ----------------------------------------------------------------------------- */

struct kept {
	char **lines; /* the last ones, a ring */
	uint32_t n_max;
	uint64_t n;
};

static bool is_wanted(const char *line, const char *source, uint64_t since_usec)
{
	char start[600], escaped[560];
	const char *at;
	double t;

	if (source[0]) {
		snprintf(start, sizeof start, "{\"source\":\"%s\",",
			log_escape(source, escaped, sizeof escaped));
		if (!str_starts(line, start))
			return false;
	}
	at = strstr(line, "\"t\":");
	t = at ? strtod(at + 4, NULL) : 0;
	return (uint64_t)(t * 1e6) >= since_usec;
}

static void keep_file(struct kept *kept, unsigned number, const char *source, uint64_t since_usec)
{
	char path[PATH_MAX];
	FILE *file = fopen(file_path(number, path), "re");
	_cleanup_free_ char *line = NULL;
	size_t room = 0;

	while (file && getline(&line, &room, file) > 0) {
		char **place = &kept->lines[kept->n % kept->n_max];

		if (!is_wanted(line, source, since_usec))
			continue;
		free(*place);
		*place = strdup(line);
		kept->n++;
	}
	if (file)
		fclose(file);
}

int logs_read(struct log *log, const char *source, uint64_t since_usec, uint32_t lines, int *ret_fd)
{
	struct kept kept = { .n_max = lines == 0 || lines > READ_LINES_MAX ? READ_LINES_MAX
									   : lines };
	_cleanup_fd_ int fd = memfd_create("log", MFD_CLOEXEC);
	unsigned number = (unsigned)config_number(log->config, CONFIG_LOG_FILES);
	uint64_t i;
	int r = 0;

	kept.lines = calloc(kept.n_max, sizeof *kept.lines);
	if (fd < 0 || !kept.lines) {
		free(kept.lines);
		return fd < 0 ? -errno : -ENOMEM;
	}
	while (number-- > 0)
		keep_file(&kept, number, source, since_usec);
	for (i = kept.n > kept.n_max ? kept.n - kept.n_max : 0; i < kept.n && r == 0; i++) {
		const char *line = kept.lines[i % kept.n_max];

		r = line ? fd_write_all(fd, line, strlen(line)) : -ENOMEM;
	}
	for (i = 0; i < kept.n_max; i++)
		free(kept.lines[i]);
	free(kept.lines);
	if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
		r = -errno;
	if (r == 0)
		*ret_fd = TAKE_FD(fd);
	return r;
}
