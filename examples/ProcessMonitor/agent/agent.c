/* SPDX-License-Identifier: Apache-2.0
 *
 * ProcessMonitor, the extension: writes down every program that starts, lets none start that is on its
 * list, and answers its app. What it writes, every call that fails too, is in `outboardctl log`.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <EndpointSecurity/EndpointSecurity.h>
#include <Outboard/service.h>
#include <bsm/libbsm.h>
#include <os/log.h>

#define SERVICE "org.example.ProcessMonitor.agent.service"
#define LIST "/etc/ProcessMonitor.denied" /* one path a line */
#define DEADLINE_MS 1000 /* no program waits longer for this extension; after that it starts */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char list[65536];
static unsigned long told, seen, lost;

static void failed(const char *call, int error, ob_error_t *why)
{
	os_log_error(OS_LOG_DEFAULT, "%s failed: %s", call,
		why ? ob_error_get_localized_description(why) : strerror(error));
	ob_error_release(why);
}

/* A file that is not there is an empty list; one that cannot be read changes nothing. */
static void reload(void)
{
	const char *root = getenv("OUTBOARD_ROOT"); /* in front of every path, where it is set */
	char path[4096], text[sizeof list] = "";
	ssize_t n;
	int fd;

	snprintf(path, sizeof path, "%s" LIST, root ? root : "");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof text);
	if ((n < 0 && errno != ENOENT) || n == sizeof text) {
		failed(path, n < 0 ? errno : EFBIG, NULL);
	} else {
		pthread_mutex_lock(&lock);
		memcpy(list, text, sizeof list);
		pthread_mutex_unlock(&lock);
	}
	if (fd >= 0)
		close(fd);
}

static bool is_listed(const es_string_token_t *path) /* lock held */
{
	const char *line;
	size_t n;

	for (line = list; *line; line += n + (line[n] == '\n')) {
		n = strcspn(line, "\n");
		if (n > 0 && n == path->length && memcmp(line, path->data, n) == 0)
			return true;
	}
	return false;
}

static void write_down(const char *what, const es_process_t *process)
{
	bool known = process->codesigning_flags != 0; /* a file that is new is not */

	os_log(OS_LOG_DEFAULT, "%s pid=%d ppid=%d gid=%d path=%s cdhash=%.*P%s id=%s team=%s%s",
		what, audit_token_to_pid(process->audit_token), process->ppid,
		(int)audit_token_to_egid(process->audit_token), process->executable->path.data,
		known ? (int)sizeof process->cdhash : 0, process->cdhash, known ? "" : "pending",
		process->signing_id.data, process->team_id.data,
		process->is_platform_binary ? " platform" : "");
}

static void on_event(es_client_t *client, const es_message_t *message, void *context)
{
	const es_process_t *target = message->event.exec.target;
	bool asked = message->action_type == ES_ACTION_TYPE_AUTH, deny;

	pthread_mutex_lock(&lock);
	lost = message->global_seq_num + 1 - ++told;
	seen += !asked;
	deny = is_listed(&target->executable->path);
	pthread_mutex_unlock(&lock);
	if (!asked)
		write_down(message->action.notify.result.auth ? "denied" : "exec", target);
	else if (es_respond_auth_result(
			 client, message, deny ? ES_AUTH_RESULT_DENY : ES_AUTH_RESULT_ALLOW, false))
		failed("es_respond_auth_result", 0, ob_es_client_copy_last_error(client));
}

static void serve(int fd)
{
	const struct timeval patience = { .tv_sec = 1 }; /* with one who says nothing */
	char text[256] = "";

	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) < 0 ||
		recv(fd, text, sizeof text - 1, 0) < 0)
		failed("recv", errno, NULL);
	if (strcmp(text, "reload") == 0)
		reload();
	pthread_mutex_lock(&lock);
	snprintf(text, sizeof text, "version=%s pid=%d seen=%lu lost=%lu", VERSION, (int)getpid(),
		seen, lost);
	pthread_mutex_unlock(&lock);
	if (send(fd, text, strlen(text), MSG_NOSIGNAL) < 0)
		failed("send", errno, NULL);
	close(fd);
}

int main(void)
{
	const es_event_type_t exec[] = { ES_EVENT_TYPE_AUTH_EXEC, ES_EVENT_TYPE_NOTIFY_EXEC };
	es_client_t *client;
	int r, listen_fd, fd;

	reload();
	if (es_new_client_f(&client, NULL, on_event) != ES_NEW_CLIENT_RESULT_SUCCESS)
		failed("es_new_client", 0, ob_es_copy_new_client_error());
	else if (es_set_deadline_max_milliseconds(client, exec, 1, DEADLINE_MS) ||
		es_subscribe(client, exec, 2))
		failed("es_subscribe", 0, ob_es_client_copy_last_error(client));
	else if ((r = ob_service_listen(SERVICE, &listen_fd)) < 0)
		failed("ob_service_listen", -r, NULL);
	else
		while (poll(&(struct pollfd){ .fd = listen_fd, .events = POLLIN }, 1, -1) > 0)
			if ((fd = accept(listen_fd, NULL, NULL)) >= 0)
				serve(fd);
			else
				failed("accept", errno, NULL);
	return 1;
}
