/* SPDX-License-Identifier: Apache-2.0
 *
 * What `outboardctl endpoint` shows: clients, counters, what can be watched, deadlines missed, as one JSON
 * document in a sealed memfd. Made when somebody asks, from what is counted anyway; it goes to a socket
 * that the manager has made for the one who asks, so that neither it nor this process waits for a reader.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/str.h"
#include "bundle/utf8.h"
#include "endpoint/daemon/esd.h"

/* ---- JSON ------------------------------------------------------------------------------------- */

struct report {
	FILE *file;
	bool more; /* something stands before in the same object or list */
};

static void put_string(FILE *file, const char *text)
{
	const size_t bytes = strlen(text);
	size_t at = 0, n;

	fputc('"', file);
	for (; at < bytes; at += n) {
		unsigned char c = (unsigned char)text[at];

		n = utf8_length((const unsigned char *)text + at, bytes - at);
		if (n == 0) { /* a path may be anything */
			fputs("\\ufffd", file);
			n = 1;
		} else if (c < 0x20 || c == 0x7f) {
			fprintf(file, "\\u%04x", c);
		} else {
			if (c == '"' || c == '\\')
				fputc('\\', file);
			fwrite(text + at, 1, n, file);
		}
	}
	fputc('"', file);
}

/* What stands before a value; @name: NULL in a list. */
static void next(struct report *report, const char *name)
{
	if (report->more)
		fputc(',', report->file);
	report->more = true;
	if (name) {
		put_string(report->file, name);
		fputc(':', report->file);
	}
}

static void begin(struct report *report, const char *name, char bracket)
{
	next(report, name);
	fputc(bracket, report->file);
	report->more = false;
}

static void end(struct report *report, char bracket)
{
	fputc(bracket, report->file);
	report->more = true;
}

static void put_text(struct report *report, const char *name, const char *text)
{
	next(report, name);
	if (text)
		put_string(report->file, text);
	else
		fputs("null", report->file);
}

static void put_number(struct report *report, const char *name, uint64_t number)
{
	next(report, name);
	fprintf(report->file, "%" PRIu64, number);
}

static void put_flag(struct report *report, const char *name, bool flag)
{
	next(report, name);
	fputs(flag ? "true" : "false", report->file);
}

/* ---- outboard-esd itself ---------------------------------------------------------------------- */

static void put_broker(struct report *report, const struct esd *esd)
{
	static const struct {
		uint32_t source;
		const char *name;
	} sources[] = { { SOURCE_TRACEPOINT, "tracepoints" }, { SOURCE_TRAMPOLINE, "trampolines" },
		{ SOURCE_SYSCALL_EXIT, "system calls" }, { SOURCE_FANOTIFY, "fanotify" },
		{ SOURCE_ASK, "fanotify permission events" } };
	size_t i;

	begin(report, "outboard_esd", '{');
	put_number(report, "pid", (uint64_t)getpid());
	put_number(report, "generation", esd->generation);
	put_text(report, "fail_mode", esd->fail_closed ? "closed" : "open");
	begin(report, "sources", '[');
	for (i = 0; i < ARRAY_SIZE(sources); i++)
		if (engine_sources(esd->engine) & sources[i].source)
			put_text(report, NULL, sources[i].name);
	end(report, ']');
	end(report, '}');
}

/* ---- clients ---------------------------------------------------------------------------------- */

static uint64_t uid_of(const struct connection *connection)
{
	char path[32], line[256];
	unsigned uid = 0;
	FILE *status;

	if (!connection->handed)
		return connection->peer.uid;
	snprintf(path, sizeof path, "/proc/%d/status", (int)connection->child_pid);
	status = fopen(path, "re");
	while (status && fgets(line, sizeof line, status))
		if (sscanf(line, "Uid: %u", &uid) == 1)
			break;
	if (status)
		fclose(status);
	return uid;
}

static bool is_any(const uint64_t events[static ES_EVENTS_MAX / 64])
{
	return events[0] | events[1] | events[2] | events[3];
}

static const char *state_of(const struct connection *connection, const struct engine_client *is)
{
	if (connection->slot < 0)
		return connection->phase == PHASE_PROVE ? "arriving" : "no client yet";
	if (is->waiting)
		return "asked";
	return is_any(is->subscribed) ? "watching" : "subscribed to nothing";
}

static void put_mutes(struct report *report, const struct engine_client *is)
{
	static const char *const kinds[ES_MUTE_KINDS] = { "prefixes", "paths", "target_prefixes",
		"target_paths", "processes" };
	static const char *const inversions[ES_INVERSIONS] = { "processes", "paths", "targets" };
	uint32_t i;

	begin(report, "muted", '{');
	for (i = 0; i < ES_MUTE_KINDS; i++)
		put_number(report, kinds[i], is->mutes[i]);
	end(report, '}');
	begin(report, "inverted", '[');
	for (i = 0; i < ES_INVERSIONS; i++)
		if (is->inverted & 1u << i)
			put_text(report, NULL, inversions[i]);
	end(report, ']');
}

static void put_asking(struct report *report, const struct engine_client *is)
{
	static const char *const modes[] = { [ASK_MISS_KILL] = "kill",
		[ASK_MISS_FAIL_OPEN] = "fail open",
		[ASK_MISS_FAIL_CLOSED] = "fail closed" };

	put_number(report, "asked", is->asked);
	put_number(report, "answered", is->answered);
	put_number(report, "wrong_answers", is->wrong);
	put_number(report, "open_questions", is->waiting);
	put_number(report, "deadline_misses", is->missed);
	put_text(report, "miss_mode",
		is->miss_mode < ARRAY_SIZE(modes) ? modes[is->miss_mode] : "unknown");
	begin(report, "deadline_milliseconds", '{');
	put_number(report, capability_name(0), is->deadline_ms[0]);
	put_number(report, capability_name(1), is->deadline_ms[1]);
	end(report, '}');
}

static void put_events_of(struct report *report, const struct engine_client *is)
{
	uint32_t i;

	begin(report, "subscriptions", '[');
	for (i = 0; i < ES_EVENTS_MAX; i++)
		if (is->subscribed[i / 64] & 1ull << i % 64)
			put_text(report, NULL, capability_name(i));
	end(report, ']');
	begin(report, "dropped_of_event", '{');
	for (i = 0; i < ES_EVENTS_MAX; i++)
		if (is->dropped_of_type[i] && capability_name(i))
			put_number(report, capability_name(i), is->dropped_of_type[i]);
	end(report, '}');
}

static void put_client(
	struct report *report, const struct esd *esd, const struct connection *connection)
{
	struct engine_client is = { 0 };

	if (connection->slot >= 0)
		engine_look(esd->engine, (uint32_t)connection->slot, &is);
	begin(report, NULL, '{');
	put_text(report, "name", connection->name[0] ? connection->name : NULL);
	put_number(report, "pid",
		(uint64_t)(connection->handed ? connection->child_pid : connection->peer.pid));
	put_number(report, "uid", uid_of(connection));
	put_flag(report, "extension", connection->handed);
	put_text(report, "state", state_of(connection, &is));
	put_number(report, "ring_bytes", is.ring_bytes);
	put_number(report, "sent", is.sent);
	put_number(report, "dropped", is.dropped);
	put_events_of(report, &is);
	put_asking(report, &is);
	put_mutes(report, &is);
	end(report, '}');
}

static void put_clients(struct report *report, const struct esd *esd)
{
	const struct connection *at;

	begin(report, "clients", '[');
	for (at = esd->connections; at; at = at->next)
		put_client(report, esd, at);
	end(report, ']');
}

/* ---- counters --------------------------------------------------------------------------------- */

/* Of the clients that are there; what is of nobody's since outboard-esd was started. */
static void put_counters(struct report *report, const struct esd *esd)
{
	struct engine_client is, all = { 0 };
	struct engine_totals totals;
	uint32_t i;

	for (i = 0; i < ES_CLIENTS_MAX; i++) {
		if (!esd->slots[i])
			continue;
		engine_look(esd->engine, i, &is);
		all.sent += is.sent;
		all.dropped += is.dropped;
		all.asked += is.asked;
		all.answered += is.answered;
		all.wrong += is.wrong;
		all.waiting += is.waiting;
	}
	engine_total(esd->engine, &totals);
	begin(report, "counters", '{');
	put_number(report, "clients", esd->n_clients);
	put_number(report, "sent", all.sent);
	put_number(report, "dropped", all.dropped);
	put_number(report, "asked", all.asked);
	put_number(report, "answered", all.answered);
	put_number(report, "wrong_answers", all.wrong);
	put_number(report, "open_questions", all.waiting);
	put_number(report, "deadline_misses", esd->n_misses + esd->n_unsaid);
	put_number(report, "unasked", totals.unasked);
	put_number(report, "exchanged", totals.exchanged);
	put_number(report, "unmade", totals.unmade);
	put_number(report, "without_process", totals.unstored);
	put_number(report, "not_muted", totals.unmuted);
	end(report, '}');
}

/* ---- what can be watched ---------------------------------------------------------------------- */

static void put_event(struct report *report, uint32_t event, uint32_t sources, uint64_t clients)
{
	const struct capability *capability = capability_of(event, sources);

	begin(report, NULL, '{');
	put_text(report, "event", capability_name(event));
	put_number(report, "number", event);
	put_text(report, "does", capability_asks(event) ? "ask" : "tell");
	put_flag(report, "available", capability != NULL);
	put_text(report, "source", capability ? capability->by : NULL);
	put_text(report, "imprecise", capability ? capability->imprecise : NULL);
	put_text(report, "reason", capability_reason(event, sources));
	put_number(report, "clients", (uint64_t)__builtin_popcountll(clients));
	end(report, '}');
}

static void put_events(struct report *report, const struct esd *esd)
{
	struct engine_totals totals;
	uint32_t i;

	engine_total(esd->engine, &totals);
	begin(report, "events", '[');
	for (i = 0; i < ES_EVENTS_MAX; i++)
		if (capability_name(i) && strncmp(capability_name(i), "RESERVED", 8) != 0)
			put_event(report, i, engine_sources(esd->engine), totals.subscribed[i]);
	end(report, ']');
}

/* ---- deadlines missed ------------------------------------------------------------------------- */

static void put_miss(struct report *report, const struct miss *miss)
{
	begin(report, NULL, '{');
	put_number(report, "when", miss->usec);
	put_text(report, "client", miss->client);
	put_number(report, "pid", (uint64_t)miss->pid);
	put_text(report, "event", capability_name(miss->is.event));
	put_text(report, "path", miss->is.path);
	put_text(report, "code", miss_code(miss));
	put_text(report, "outcome", miss_outcome(miss));
	end(report, '}');
}

static void put_misses(struct report *report, const struct esd *esd)
{
	uint64_t n = esd->n_misses > MISSES_KEPT ? esd->n_misses - MISSES_KEPT : 0;

	begin(report, "misses", '[');
	for (; n < esd->n_misses; n++)
		put_miss(report, &esd->misses[n % MISSES_KEPT]);
	end(report, ']');
}

/* ---- on its way ------------------------------------------------------------------------------- */

static int write_report(const struct esd *esd, int fd)
{
	struct report report = { .file = fdopen(fd, "w") };
	bool failed;

	if (!report.file) {
		fd_close(fd);
		return -errno;
	}
	begin(&report, NULL, '{');
	put_broker(&report, esd);
	put_clients(&report, esd);
	put_counters(&report, esd);
	put_events(&report, esd);
	put_misses(&report, esd);
	end(&report, '}');
	fputc('\n', report.file);
	failed = ferror(report.file);
	return fclose(report.file) < 0 || failed ? -EIO : 0;
}

void report_send(struct esd *esd, int fd)
{
	_cleanup_fd_ int socket_fd = fd;
	_cleanup_fd_ int memory_fd = memfd_create("report", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int copy = memory_fd < 0 ? -1 : fcntl(memory_fd, F_DUPFD_CLOEXEC, 3);

	/* whoever waits finds the end of the socket */
	if (copy < 0 || write_report(esd, copy) < 0)
		return;
	if (fcntl(memory_fd, F_ADD_SEALS,
		    F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0)
		return;
	fcntl(socket_fd, F_SETFL, O_NONBLOCK);
	wire_send(socket_fd, BROKER_REPORTED, 0, 0, NULL, 0, &memory_fd, 1);
}
