/* SPDX-License-Identifier: Apache-2.0
 *
 * eslogger: events as JSON lines, as macOS' tool of that name prints them, for the scripts that
 * read it. NOTIFY events only: whoever watches holds nobody.
 *
 * All runs on the main queue, in one thread: the handler encodes the message where it lies in the
 * ring, into a buffer that is there from the start, and writes it out before the next one.
 */
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <os/log.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/macros.h"
#include "base/str.h"
#include "tools/eslogger/encode.h"

enum { DONE = 0, FAILED = 1, USAGE = 2 };
enum { GROUP_MAX = 256 };

static struct options {
	bool oslog, list;
	const char *subsystem, *category;
} options = { .subsystem = "com.apple.eslogger", .category = "events" };

static struct {
	struct jsonl json;
	os_log_t log; /* NULL: standard output */
	pid_t group_id, group[GROUP_MAX];
	size_t n_group;
	bool mute_failed;
} this;

/* ---- Whom it must not hear -------------------------------------------------------------------- */

static bool is_of_group(const char *number)
{
	char *end;
	pid_t pid = (pid_t)strtol(number, &end, 10);

	return pid > 0 && *end == '\0' && getpgid(pid) == this.group_id;
}

/*
 * What reads the output is in the group of who writes it, and would feed it: those that are in the
 * group now are muted, as on macOS. Whatever they start is told.
 */
static void find_group(void)
{
	DIR *proc = opendir("/proc");
	const struct dirent *entry;

	this.group_id = getpgrp();
	while (proc && this.n_group < GROUP_MAX && (entry = readdir(proc)))
		if (is_of_group(entry->d_name))
			this.group[this.n_group++] = (pid_t)atoi(entry->d_name);
	if (proc)
		closedir(proc);
}

static bool is_ours(const es_process_t *process)
{
	pid_t pid = audit_token_to_pid(process->audit_token);

	for (size_t i = 0; process->group_id == this.group_id && i < this.n_group; i++)
		if (this.group[i] == pid)
			return true;
	return false;
}

static void print_reason(ob_error_t *error)
{
	const char *mend = ob_error_get_recovery_suggestion(error);

	fprintf(stderr, "%s\n",
		error ? ob_error_get_localized_description(error) : "no reason is known");
	if (mend)
		fprintf(stderr, "eslogger: %s\n", mend);
	ob_error_release(error);
}

/* Its token is taken from its own message: an exec since then has changed it. */
static void mute(es_client_t *client, const es_process_t *process)
{
	if (es_mute_process(client, &process->audit_token) == ES_RETURN_SUCCESS || this.mute_failed)
		return;
	this.mute_failed = true;
	fprintf(stderr, "eslogger: its own process group cannot be muted, and is left out here: ");
	print_reason(ob_es_client_copy_last_error(client));
}

/* ---- Events ----------------------------------------------------------------------------------- */

static void on_message(es_client_t *client, const es_message_t *message, void *context)
{
	if (is_ours(message->process)) {
		mute(client, message->process);
		return;
	}
	encode_message(&this.json, message);
	if (jsonl_end_line(&this.json) < 0)
		ob_queue_stop(ob_queue_main()); /* the rest comes to nobody */
	else if (this.log)
		os_log(this.log, "%{public}s", this.json.bytes);
}

static const char *const results[] = {
#define RESULT(name) [ES_NEW_CLIENT_RESULT_##name] = "ES_NEW_CLIENT_RESULT_" #name
	RESULT(ERR_INVALID_ARGUMENT),
	RESULT(ERR_INTERNAL),
	RESULT(ERR_NOT_ENTITLED),
	RESULT(ERR_NOT_PERMITTED),
	RESULT(ERR_NOT_PRIVILEGED),
	RESULT(ERR_TOO_MANY_CLIENTS),
};

static int tell(void)
{
	int error = this.json.error;

	if (error == 0 || error == -EPIPE) /* who has read enough has not failed */
		return DONE;
	fprintf(stderr, "eslogger: cannot write the output: %s\n", strerror(-error));
	return FAILED;
}

static int watch(const es_event_type_t *events, uint32_t n_events)
{
	es_client_t *client = NULL;
	es_new_client_result_t result;
	int status = FAILED;

	signal(SIGPIPE, SIG_IGN);
	find_group();
	jsonl_init(&this.json, options.oslog ? -1 : STDOUT_FILENO);
	if (options.oslog)
		this.log = os_log_create(options.subsystem, options.category);
	result = ob_es_new_client_on_queue_f(&client, ob_queue_main(), NULL, on_message);
	if (result != ES_NEW_CLIENT_RESULT_SUCCESS) {
		fprintf(stderr, "eslogger: %s: ",
			result < ARRAY_SIZE(results) ? results[result] : "es_new_client failed");
		print_reason(ob_es_copy_new_client_error());
		return FAILED;
	}
	if (es_subscribe(client, events, n_events) == ES_RETURN_SUCCESS) {
		ob_queue_run(ob_queue_main());
		status = tell();
	} else {
		fprintf(stderr, "eslogger: ES_RETURN_ERROR: ");
		print_reason(ob_es_client_copy_last_error(client));
	}
	es_delete_client(client);
	return status;
}

/* ---- Words ------------------------------------------------------------------------------------ */

static const char
	usage_text[] = "usage: eslogger [--oslog] [--format json] [--oslog-subsystem subsystem]"
		       " [--oslog-category category] event ...\n"
		       "       eslogger --list-events\n";

static int usage(const char *what, const char *word)
{
	fprintf(stderr, "eslogger: %s '%s'\n%s", what, word, usage_text);
	return USAGE;
}

static int list_events(void)
{
	const char *name;

	for (size_t i = 0; (name = event_name(i)); i++)
		puts(name);
	if (fflush(stdout) == 0)
		return DONE;
	fprintf(stderr, "eslogger: cannot write the output: %s\n", strerror(errno));
	return FAILED;
}

/* -1: go on. */
static int parse(int argc, char **argv)
{
	enum { OSLOG, FORMAT, SUBSYSTEM, CATEGORY, LIST, HELP, VERSION };
	static const struct option words[] = {
		{ "oslog", no_argument, NULL, OSLOG },
		{ "format", required_argument, NULL, FORMAT },
		{ "oslog-subsystem", required_argument, NULL, SUBSYSTEM },
		{ "oslog-category", required_argument, NULL, CATEGORY },
		{ "list-events", no_argument, NULL, LIST },
		{ "help", no_argument, NULL, HELP },
		{ "version", no_argument, NULL, VERSION },
		{ 0 },
	};
	int word;

	opterr = 0;
	while ((word = getopt_long(argc, argv, ":", words, NULL)) != -1) {
		switch (word) {
		case OSLOG:
			options.oslog = true;
			break;
		case FORMAT:
			if (!streq(optarg, "json"))
				return usage("the only format is json, not", optarg);
			break;
		case SUBSYSTEM:
			options.subsystem = optarg;
			break;
		case CATEGORY:
			options.category = optarg;
			break;
		case LIST:
			options.list = true;
			break;
		case HELP:
			fputs(usage_text, stdout);
			return DONE;
		case VERSION:
			printf("eslogger %s\n", OUTBOARD_VERSION);
			return DONE;
		case ':':
			return usage("a value is missing behind", argv[optind - 1]);
		default:
			return usage("there is no option", argv[optind - 1]);
		}
	}
	return -1;
}

int main(int argc, char **argv)
{
	es_event_type_t events[ES_EVENT_TYPE_LAST];
	uint32_t n_events = 0;
	int status = parse(argc, argv);

	if (status >= 0)
		return status;
	if (options.list)
		return argc > optind ? usage("--list-events takes no", argv[optind])
				     : list_events();
	if (argc == optind)
		return usage("which events?", "eslogger --list-events");
	for (int i = optind; i < argc; i++) {
		es_event_type_t event = event_by_name(argv[i]);

		if (event == ES_EVENT_TYPE_LAST)
			return usage("there is no event", argv[i]);
		if (n_events < ARRAY_SIZE(events)) /* more words than that name one twice */
			events[n_events++] = event;
	}
	return watch(events, n_events);
}
