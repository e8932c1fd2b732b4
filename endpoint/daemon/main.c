/* SPDX-License-Identifier: Apache-2.0
 *
 * outboard-esd, the Endpoint Security broker. Started by outboardd with "listen" and "manager"; or,
 * for development, alone: --standalone --listen PATH [--scope CGROUP]. outboard-esd(8).
 *
 * Fail mode. Dead, it holds nobody: the kernel lets on what was asked about. Stopped or stuck, it is
 * ended by outboardd two seconds after somebody began to wait for it (base/pulse.h). What is in a
 * client's ring is read by the client, what the kernel finds no program for is missing, and the client
 * sees that outboard-esd was replaced. What nobody can be asked about: [endpoint] fail_mode.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/fd.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/pulse.h"
#include "daemon/config.h"
#include "endpoint/daemon/esd.h"

static struct esd esd = {
	.listen_fd = -1, .manager_fd = -1, .generation = 1, .identities = IDENTITIES_NONE
};

#define FILESYSTEMS_MAX 64
static const char *filesystems[FILESYSTEMS_MAX + 1];
static size_t n_filesystems;
static struct pulse pulse = PULSE_NONE;
static struct engine_settings settings = { .pulse = &pulse };

static const struct option options[] = {
	{ "standalone", no_argument, NULL, 's' },
	{ "listen", required_argument, NULL, 'l' },
	{ "scope", required_argument, NULL, 'c' },
	{ "scope-filesystem", required_argument, NULL, 'f' },
	{ 0 },
};

static int usage(void)
{
	fprintf(stderr,
		"usage: outboard-esd [--standalone --listen PATH] [--scope CGROUP]\n"
		"                    [--scope-filesystem PATH]...\n"
		"It is started by outboardd; --standalone is for development, and lets any program of root in.\n");
	return 2;
}

static int open_scope(const char *path, int *ret_fd)
{
	int fd;

	*ret_fd = -1;
	if (!path || !*path)
		return 0;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		int r = -errno;

		log_failure(LOG_ENDPOINT_SCOPE, path, r, NULL);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

static int open_sockets(const char *listen_path)
{
	if (esd.standalone) {
		esd.listen_fd = wire_listen(listen_path, 0666, 64);
		esd.developer_mode = esd.settled = true;
		return esd.listen_fd < 0 ? esd.listen_fd : 0;
	}
	esd.listen_fd = fd_inherited("listen");
	esd.manager_fd = fd_inherited("manager");
	if (pulse_inherit(&pulse) == -EBADF)
		return -EBADF;
	return esd.listen_fd < 0 ? esd.listen_fd : esd.manager_fd < 0 ? esd.manager_fd : 0;
}

/* Paths, with spaces between them; more than there is room for are refused where they are opened. */
static void add_filesystems(const char *words)
{
	char *copy = strdup(words), *word, *rest = copy;

	while (copy && (word = strsep(&rest, " ")))
		if (*word && n_filesystems < FILESYSTEMS_MAX)
			filesystems[n_filesystems++] = strdup(word);
	free(copy);
}

/* The words of [endpoint] sources; config.c has looked at each. */
static uint32_t sources_of(const char *words)
{
	static const struct {
		const char *word;
		uint32_t sources;
	} table[] = {
		{ "auto", SOURCES_ALL },
		{ "trampolines",
			SOURCE_TRACEPOINT | SOURCE_TRAMPOLINE | SOURCE_FANOTIFY | SOURCE_ASK },
		{ "plain", SOURCE_TRACEPOINT | SOURCES_PLAIN | SOURCE_FANOTIFY | SOURCE_ASK },
	};
	uint32_t sources = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(table); i++)
		if (strstr(words, table[i].word))
			sources |= table[i].sources;
	return sources ? sources : SOURCES_ALL;
}

static int begin(const char *scope)
{
	_cleanup_fd_ int scope_fd = -1;
	char problem[256];
	int r = open_scope(scope, &scope_fd);

	if (r < 0) {
		manager_tell_failure(&esd, "the cgroup that bounds what is seen cannot be opened");
		return r;
	}
	settings.scope_fd = scope_fd;
	r = engine_new(&settings, &esd.engine, problem);
	if (r < 0) {
		char detail[512];

		snprintf(detail, sizeof detail, "%s%s%s", strerror(-r), problem[0] ? ": " : "",
			problem);
		manager_tell_failure(&esd, detail);
		return r;
	}
	r = asking_open(&esd);
	if (r >= 0)
		r = identity_open(&esd);
	if (r >= 0)
		r = listener_open(&esd);
	if (r >= 0 && esd.manager_fd >= 0)
		r = manager_open(&esd);
	return r;
}

static void end(void)
{
	while (esd.connections)
		connection_free(esd.connections);
	while (esd.entitled) {
		struct entitled *first = esd.entitled;

		esd.entitled = first->next;
		entitled_free(first);
	}
	sd_event_source_disable_unref(esd.misses_timer);
	watching_close(&esd);
	identity_close(&esd);
	engine_free(esd.engine);
	sd_event_unref(esd.event);
}

static int run(const char *scope)
{
	sigset_t signals;
	int r;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	r = sd_event_default(&esd.event);
	if (r >= 0)
		r = sd_event_add_signal(esd.event, NULL, SIGTERM, NULL, NULL);
	if (r >= 0)
		r = sd_event_add_signal(esd.event, NULL, SIGINT, NULL, NULL);
	if (r >= 0)
		r = begin(scope);
	if (r >= 0 && esd.standalone)
		printf("ready\n"), fflush(stdout);
	if (r >= 0)
		r = sd_event_loop(esd.event);
	end();
	return r < 0 ? 1 : r;
}

int main(int argc, char **argv)
{
	_cleanup_(config_freep) struct config *config = NULL;
	const char *listen_path = NULL, *scope = NULL;
	char problem[1024];
	int option, r;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 's')
			esd.standalone = true;
		else if (option == 'l')
			listen_path = optarg;
		else if (option == 'c')
			scope = optarg;
		else if (option == 'f')
			add_filesystems(optarg);
		else
			return usage();
	}
	if (optind != argc || esd.standalone != (listen_path != NULL))
		return usage();
	log_set_name("outboard-esd");
	r = open_sockets(listen_path);
	if (r < 0) {
		fprintf(stderr, "outboard-esd: no socket to serve: %s\n", strerror(-r));
		return usage();
	}
	r = config_load(&config, problem);
	if (r < 0) {
		log_event(LOG_CONFIG_BAD, NULL, "problem", problem, NULL);
		manager_tell_failure(&esd, problem);
		return 1;
	}
	settings.sources = sources_of(config_text(config, CONFIG_ENDPOINT_SOURCES));
	add_filesystems(config_text(config, CONFIG_ENDPOINT_FILESYSTEMS));
	settings.filesystems = n_filesystems ? filesystems : NULL;
	esd.fail_closed = settings.fail_closed = strcmp(config_text(
								config, CONFIG_ENDPOINT_FAIL_MODE),
							 "closed") == 0;
	return run(scope ? scope : config_text(config, CONFIG_ENDPOINT_SCOPE));
}
