/* SPDX-License-Identifier: Apache-2.0
 *
 * outboardctl endpoint: who watches this machine, what was lost and missed, what can be watched. outboard-esd
 * says it itself, as one JSON document: outboardd only makes the connection, and waits for nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include "base/fd.h"
#include "base/str.h"
#include "base/wire.h"
#include "tools/lib/control.h"
#include "tools/lib/print.h"
#include "tools/outboardctl/verb.h"

#define ANSWER_MSEC 5000
#define REPORT_BYTES_MAX (16u << 20)

/* ---- asking ----------------------------------------------------------------------------------- */

static json_t *read_document(int fd)
{
	const void *text;
	json_t *document;
	size_t bytes;

	if (memfd_map_sealed(fd, REPORT_BYTES_MAX, &text, &bytes) < 0)
		return NULL;
	document = json_loadb(text, bytes, 0, NULL);
	munmap((void *)(uintptr_t)text, bytes);
	return document;
}

static int await_report(const struct verb *verb, int fd, json_t **ret)
{
	static struct wire_packet packet;
	struct pollfd answer = { .fd = fd, .events = POLLIN };
	_cleanup_fd_ int memory_fd = -1;
	int r = poll(&answer, 1, ANSWER_MSEC);

	if (r == 0)
		return verb_failed(verb,
			"outboard-esd does not answer: it is stopped, or busy for longer than %d seconds",
			ANSWER_MSEC / 1000);
	r = r < 0 ? -errno : wire_receive(fd, &packet, 0);
	if (r == -EPIPE || r == -ECONNRESET)
		return verb_failed(verb, "outboard-esd has ended while it was asked; ask again");
	if (r == 0)
		memory_fd = wire_take_fd(&packet, 0);
	wire_packet_done(&packet);
	*ret = memory_fd < 0 ? NULL : read_document(memory_fd);
	return *ret ? VERB_DONE : verb_failed(verb, "outboard-esd's answer cannot be read");
}

static int ask(const struct verb *verb, json_t **ret)
{
	_cleanup_message_ sd_bus_message *reply = NULL;
	_cleanup_control_ sd_bus *bus = NULL;
	int fd, r = control_open(verb, &bus);

	if (r == VERB_DONE)
		r = control_call(verb, bus, "ReadEndpoint", &reply, NULL);
	if (r != VERB_DONE)
		return r;
	r = sd_bus_message_read(reply, "h", &fd); /* the reply's */
	return r < 0 ? verb_failed(verb, "outboardd's answer cannot be read: %s", strerror(-r))
		     : await_report(verb, fd, ret);
}

/* ---- for people ------------------------------------------------------------------------------- */

static const char *number_of(const json_t *object, const char *name, char buffer[static 24])
{
	snprintf(buffer, 24, "%lld", field_number(object, name));
	return buffer;
}
#define NUMBER(object, name) number_of((object), (name), (char[24]){ 0 })

static const char *list_of(const json_t *list, const char *between, char *buffer, size_t bytes)
{
	json_t *item;
	size_t i, n = 0;

	buffer[0] = 0;
	json_array_foreach ((json_t *)list, i, item) {
		int r = snprintf(buffer + n, bytes - n, "%s%s", i ? between : "",
			str_or(json_string_value(item), ""));

		n = (size_t)r < bytes - n ? n + (size_t)r : bytes - 1;
	}
	return buffer;
}

static const char *mutes_of(const json_t *client, char *buffer, size_t bytes)
{
	const json_t *muted = json_object_get(client, "muted");

	snprintf(buffer, bytes, "%lld/%lld/%lld%s", field_number(muted, "processes"),
		field_number(muted, "paths") + field_number(muted, "prefixes"),
		field_number(muted, "target_paths") + field_number(muted, "target_prefixes"),
		json_array_size(json_object_get(client, "inverted")) ? " inverted" : "");
	return buffer;
}

static void show_head(const json_t *report)
{
	const json_t *esd = json_object_get(report, "outboard_esd");
	char sources[256];

	printf("outboard-esd, pid %lld: %s; fail mode %s\n\n", field_number(esd, "pid"),
		list_of(json_object_get(esd, "sources"), ", ", sources, sizeof(sources)),
		field_string(esd, "fail_mode"));
}

static void show_clients(const json_t *clients)
{
	static const char *const titles[] = { "CLIENT", "PID", "UID", "STATE", "SENT", "DROPPED",
		"ASKED", "ANSWERED", "MISSED", "MUTED", "SUBSCRIPTIONS" };
	_cleanup_(print_table_freep) struct print_table *table = print_table_new(
		ARRAY_SIZE(titles), titles);
	json_t *client;
	size_t i;

	if (json_array_size(clients) == 0) {
		puts("no client");
		return;
	}
	json_array_foreach ((json_t *)clients, i, client) {
		char events[4096], muted[96];
		const char *cells[] = {
			field_string(client, "name"),
			NUMBER(client, "pid"),
			NUMBER(client, "uid"),
			field_string(client, "state"),
			NUMBER(client, "sent"),
			NUMBER(client, "dropped"),
			NUMBER(client, "asked"),
			NUMBER(client, "answered"),
			NUMBER(client, "deadline_misses"),
			mutes_of(client, muted, sizeof(muted)),
			list_of(json_object_get(client, "subscriptions"), " ", events,
				sizeof(events)),
		};

		print_table_add(table, cells);
	}
	print_table_show(table);
	puts("(muted: processes/executables/targets)");
}

/* What each counter counts, for whoever has not read the manual. */
static const struct {
	const char *name, *words;
} counter_words[] = {
	{ "clients", "clients that there are" },
	{ "sent", "messages that they got" },
	{ "dropped", "messages for which their rings had no room" },
	{ "asked", "questions that they got" },
	{ "answered", "questions that they have answered" },
	{ "wrong_answers", "answers that decided nothing" },
	{ "open_questions", "questions that wait for an answer now" },
	{ "deadline_misses", "questions that were not answered in time" },
	{ "unasked", "programs that nobody could be asked about" },
	{ "exchanged", "programs that were killed, not being what was allowed" },
	{ "unmade", "events that there was no room to make in" },
	{ "without_process", "events of a process of which nothing could be kept" },
	{ "not_muted", "paths too deep to be looked up among the mutes" },
};

static const char *words_of(const char *counter)
{
	for (size_t i = 0; i < ARRAY_SIZE(counter_words); i++)
		if (streq(counter, counter_words[i].name))
			return counter_words[i].words;
	return counter;
}

static void show_counters(const json_t *counters)
{
	const char *name;
	json_t *value;

	json_object_foreach ((json_t *)counters, name, value)
		printf("%-16s %12lld  %s\n", PRINT_CLEAN(name),
			(long long)json_integer_value(value), PRINT_CLEAN(words_of(name)));
}

/* Those that can be watched, with what is imprecise; then the others by their reason. */
static void show_available(const json_t *events)
{
	json_t *event;
	size_t i;

	json_array_foreach ((json_t *)events, i, event) {
		const char *imprecise = field_string(event, "imprecise");

		if (!field_true(event, "available"))
			continue;
		printf("%-24s %-5s %s", PRINT_CLEAN(field_string(event, "event")),
			field_string(event, "does"), PRINT_CLEAN(field_string(event, "source")));
		if (field_number(event, "clients"))
			printf(" (%lld client%s)", field_number(event, "clients"),
				field_number(event, "clients") == 1 ? "" : "s");
		putchar('\n');
		if (*imprecise)
			printf("%-30s %s\n", "", PRINT_CLEAN(imprecise));
	}
}

static void show_reason(const json_t *events, const char *reason)
{
	json_t *event;
	size_t i, column = 80;

	printf("\n%s:", PRINT_CLEAN(reason));
	json_array_foreach ((json_t *)events, i, event) {
		const char *name = field_string(event, "event");

		if (!streq(field_string(event, "reason"), reason))
			continue;
		if (column + strlen(name) > 78) {
			printf("\n   ");
			column = 3;
		}
		column += (size_t)printf(" %s", PRINT_CLEAN(name));
	}
	putchar('\n');
}

static void show_events(const json_t *events)
{
	_cleanup_json_ json_t *shown = json_object();
	json_t *event;
	size_t i;

	show_available(events);
	json_array_foreach ((json_t *)events, i, event) {
		const char *reason = field_string(event, "reason");

		if (!*reason || json_object_get(shown, reason))
			continue;
		json_object_set_new(shown, reason, json_true());
		show_reason(events, reason);
	}
}

static void show_misses(const json_t *misses)
{
	uint64_t now = print_now_usec();
	json_t *miss;
	size_t i;

	if (json_array_size(misses) == 0) {
		puts("no deadline was missed");
		return;
	}
	json_array_foreach ((json_t *)misses, i, miss) {
		char when[64];

		printf("%s: %s, pid %lld: %s %s\n    %s; %s\n",
			print_ago((uint64_t)field_number(miss, "when"), now, when, sizeof(when)),
			PRINT_CLEAN(field_string(miss, "client")), field_number(miss, "pid"),
			PRINT_CLEAN(field_string(miss, "event")),
			PRINT_CLEAN(field_string(miss, "path")),
			PRINT_CLEAN(field_string(miss, "code")),
			PRINT_CLEAN(field_string(miss, "outcome")));
	}
}

static const struct {
	const char *name; /* also of the document's member */
	void (*show)(const json_t *part);
	bool at_once; /* shown when nothing is named */
} parts[] = {
	{ "clients", show_clients, true },
	{ "counters", show_counters, true },
	{ "events", show_events, false },
	{ "misses", show_misses, true },
};

static int show(const struct verb *verb, const json_t *report, const char *word, bool json)
{
	bool first = true;

	if (json)
		return print_json(verb, word ? json_object_get(report, word) : report);
	if (!word)
		show_head(report);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		if (word ? !streq(word, parts[i].name) : !parts[i].at_once)
			continue;
		if (!first)
			putchar('\n');
		first = false;
		parts[i].show(json_object_get(report, parts[i].name));
	}
	return VERB_DONE;
}

int verb_endpoint(const struct verb *verb, int argc, char **argv)
{
	bool json = false, known = false;
	const struct verb_option options[] = { { .name = "--json", .flag = &json } };
	_cleanup_json_ json_t *report = NULL;
	int r;

	r = verb_parse(verb, argc, argv, options, ARRAY_SIZE(options), 0, 1, NULL);
	if (r != 0)
		return r;
	for (size_t i = 0; argv[1] && i < ARRAY_SIZE(parts); i++)
		known |= streq(argv[1], parts[i].name);
	if (argv[1] && !known)
		return verb_usage(verb, "what is '%s'?", argv[1]);
	r = ask(verb, &report);
	return r == VERB_DONE ? show(verb, report, argv[1], json) : r;
}
