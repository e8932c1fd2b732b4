/* SPDX-License-Identifier: Apache-2.0
 *
 * As a macOS author writes a process monitor: blocks, dispatch, retained messages handed to a queue,
 * mach time turned into seconds. It compiles unchanged, with macOS' headers alone.
 */
#include <EndpointSecurity/EndpointSecurity.h>
#include <bsm/libbsm.h>
#include <dispatch/dispatch.h>
#include <kern/cs_blobs.h>
#include <mach/mach_time.h>
#include <os/log.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static os_log_t logger;
static es_client_t *client;

static double seconds(uint64_t ticks)
{
	static mach_timebase_info_data_t base;

	if (base.denom == 0)
		mach_timebase_info(&base);
	return (double)(ticks * base.numer / base.denom) / NSEC_PER_SEC;
}

static void print_hash(const uint8_t *hash)
{
	for (size_t i = 0; i < sizeof(es_cdhash_t); i++)
		printf("%02x", hash[i]);
}

static void print_exec(const es_message_t *msg)
{
	const es_event_exec_t *event = &msg->event.exec;
	const es_process_t *target = event->target;
	char cpu[32] = "other";

	if (event->image_cputype == CPU_TYPE_X86_64)
		snprintf(cpu, sizeof(cpu), "x86_64");
	else if (event->image_cputype == CPU_TYPE_ARM64)
		snprintf(cpu, sizeof(cpu), "arm64");
	printf("%.6f pid %d (v%d) ppid %d uid %u %.*s %s", seconds(msg->mach_time),
		audit_token_to_pid(target->audit_token),
		audit_token_to_pidversion(target->audit_token), target->ppid,
		audit_token_to_euid(target->audit_token), (int)target->executable->path.length,
		target->executable->path.data, cpu);
	for (uint32_t i = 0; i < es_exec_arg_count(event); i++) {
		es_string_token_t arg = es_exec_arg(event, i);

		printf(" %.*s", (int)arg.length, arg.data);
	}
	if (msg->version >= 2 && event->script)
		printf(" script %s", event->script->path.data);
	if (msg->version >= 4)
		for (uint32_t i = 0; i < es_exec_fd_count(event); i++)
			printf(" fd %d", es_exec_fd(event, i)->fd);
	printf(" signed %s team %s flags %#x ", target->signing_id.data, target->team_id.data,
		target->codesigning_flags & CS_VALID);
	print_hash(target->cdhash);
	printf(" modified %ld\n", (long)target->executable->stat.st_mtimespec.tv_sec);
}

int main(int argc, char *argv[])
{
	dispatch_queue_t queue = dispatch_queue_create(
		"com.example.monitor", DISPATCH_QUEUE_SERIAL);
	dispatch_source_t source;
	es_new_client_result_t result;
	es_event_type_t events[] = { ES_EVENT_TYPE_NOTIFY_EXEC, ES_EVENT_TYPE_NOTIFY_FORK,
		ES_EVENT_TYPE_NOTIFY_EXIT };
	__block uint64_t count = 0;

	logger = os_log_create("com.example.monitor", "events");
	result = es_new_client(&client, ^(es_client_t *c, const es_message_t *msg) {
	  es_retain_message(msg);
	  dispatch_async(queue, ^{
	    switch (msg->event_type) {
	    case ES_EVENT_TYPE_NOTIFY_EXEC:
		    print_exec(msg);
		    break;
	    case ES_EVENT_TYPE_NOTIFY_FORK:
		    os_log_debug(logger, "fork %d",
			    audit_token_to_pid(msg->event.fork.child->audit_token));
		    break;
	    default:
		    os_log(logger, "exit %{public}s %d", msg->process->executable->path.data,
			    msg->event.exit.stat);
	    }
	    count++;
	    es_release_message(msg);
	  });
	});
	switch (result) {
	case ES_NEW_CLIENT_RESULT_SUCCESS:
		break;
	case ES_NEW_CLIENT_RESULT_ERR_NOT_ENTITLED:
	case ES_NEW_CLIENT_RESULT_ERR_NOT_PERMITTED:
	case ES_NEW_CLIENT_RESULT_ERR_NOT_PRIVILEGED:
		os_log_error(logger, "not allowed: %d", result);
		return EXIT_FAILURE;
	default:
		os_log_fault(logger, "es_new_client: %d", result);
		return EXIT_FAILURE;
	}
	if (es_subscribe(client, events, sizeof(events) / sizeof(events[0])) != ES_RETURN_SUCCESS)
		return EXIT_FAILURE;
	signal(SIGINT, SIG_IGN);
	source = dispatch_source_create(
		DISPATCH_SOURCE_TYPE_SIGNAL, SIGINT, 0, dispatch_get_main_queue());
	dispatch_source_set_event_handler(source, ^{
	  printf("%llu events\n", (unsigned long long)count);
	  es_unsubscribe_all(client);
	  es_delete_client(client);
	  exit(EXIT_SUCCESS);
	});
	dispatch_resume(source);
	dispatch_main();
}
