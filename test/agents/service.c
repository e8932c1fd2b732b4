/* SPDX-License-Identifier: Apache-2.0
 *
 * An extension that answers its service: "version" with the one that it was compiled as, anything
 * else with its pid, and writes down that it was asked. One caller after the other, in order, so that a test can tell who answered.
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <Outboard/service.h>

int main(void)
{
	char question[64], text[64];
	int listen_fd, fd;
	ssize_t n;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (ob_service_listen(SERVICE, &listen_fd) < 0)
		return 1;
	while (poll(&(struct pollfd){ .fd = listen_fd, .events = POLLIN }, 1, -1) >= 0) {
		fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
		while ((n = recv(fd, question, sizeof question - 1, 0)) > 0) {
			question[n] = '\0';
			printf("asked %s\n", question);
			snprintf(text, sizeof text, "%d", (int)getpid());
			if (strcmp(question, "version") == 0)
				snprintf(text, sizeof text, "%s", VERSION);
			send(fd, text, strlen(text), MSG_NOSIGNAL);
		}
		close(fd);
	}
	return 1;
}
