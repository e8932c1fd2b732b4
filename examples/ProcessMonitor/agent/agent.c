/* SPDX-License-Identifier: Apache-2.0
 *
 * ProcessMonitor, the extension: writes down every program that starts, and answers its app. It is
 * started, kept running and replaced by outboardd; what it prints is in `outboardctl log`.
 */
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <EndpointSecurity/EndpointSecurity.h>
#include <Outboard/service.h>

#define SERVICE "org.example.ProcessMonitor.agent.service"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned long count;
static char last[4096] = "none";

static void on_event(es_client_t *client, const es_message_t *message, void *context)
{
	const es_process_t *target = message->event.exec.target;

	pthread_mutex_lock(&lock);
	count++;
	snprintf(last, sizeof last, "pid=%d ppid=%d path=%s",
		audit_token_to_pid(target->audit_token), target->ppid,
		target->executable->path.data);
	puts(last);
	pthread_mutex_unlock(&lock);
}

static void answer(const char *question, char *text, size_t size)
{
	pthread_mutex_lock(&lock);
	if (strcmp(question, "count") == 0)
		snprintf(text, size, "%lu", count);
	else if (strcmp(question, "last") == 0)
		snprintf(text, size, "%s", last);
	else if (strcmp(question, "pid") == 0)
		snprintf(text, size, "%d", (int)getpid());
	else
		snprintf(text, size, "%s", strcmp(question, "version") == 0 ? VERSION : "what?");
	pthread_mutex_unlock(&lock);
}

/* A thread for each caller, so that one who says nothing keeps nobody waiting. */
static void *serve(void *data)
{
	int fd = (int)(intptr_t)data;
	char question[64], text[4096];
	ssize_t n;

	pthread_detach(pthread_self());
	while ((n = recv(fd, question, sizeof question - 1, 0)) > 0) {
		question[n] = '\0';
		answer(question, text, sizeof text);
		if (send(fd, text, strlen(text), MSG_NOSIGNAL) < 0)
			break;
	}
	close(fd);
	return NULL;
}

int main(void)
{
	const es_event_type_t events[] = { ES_EVENT_TYPE_NOTIFY_EXEC };
	es_client_t *client;
	pthread_t thread;
	int listen_fd, fd;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (es_new_client_f(&client, NULL, on_event) != ES_NEW_CLIENT_RESULT_SUCCESS ||
		es_subscribe(client, events, 1) != ES_RETURN_SUCCESS ||
		ob_service_listen(SERVICE, &listen_fd) < 0) {
		fprintf(stderr, "no events, or no service: not started by outboardd?\n");
		return 1;
	}
	while (poll(&(struct pollfd){ .fd = listen_fd, .events = POLLIN }, 1, -1) >= 0) {
		fd = accept(listen_fd, NULL, NULL);
		if (fd >= 0 && pthread_create(&thread, NULL, serve, (void *)(intptr_t)fd) != 0)
			close(fd);
	}
	return 1;
}
