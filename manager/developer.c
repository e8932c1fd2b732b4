/* SPDX-License-Identifier: Apache-2.0
 *
 * `outboardctl dev run`: a process of root gets the sockets that an extension of the named
 * entitlements would inherit, in developer mode only. It is a client of the broker like any other,
 * as long as it lives.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "manager/manager.h"
#include "manager/registry.h"

#define DEVELOPERS_MAX 8
#define ENDPOINT_ENTITLEMENT "com.apple.developer.endpoint-security.client"

struct developer {
	struct developer *next;
	struct manager *manager;
	uint64_t child;
	int pid_fd;
	struct extension *extension; /* in no list and no row */
	sd_event_source *source;
};

static struct developer *developers;
static unsigned n_developers;

static void developer_end(struct developer *developer)
{
	struct developer **at;

	for (at = &developers; *at; at = &(*at)->next) {
		if (*at != developer)
			continue;
		*at = developer->next;
		n_developers--;
		break;
	}
	broker_drop_client(developer->manager->broker, developer->child);
	sd_event_source_disable_unref(developer->source);
	fd_close(developer->pid_fd);
	extension_free(developer->extension);
	free(developer);
}

static int on_ended(sd_event_source *source, int fd, uint32_t events, void *context)
{
	developer_end(context);
	return 0;
}

static int refuse(
	struct wire_error *error, enum rule_id rule, const char *object, const char *detail)
{
	rule_error(error, rule, object, detail, NULL);
	return 1;
}

static void give(struct control_descriptors *ret, const char *name, int fd)
{
	STR_PUT(ret->names[ret->n], name);
	ret->fds[ret->n++] = fd;
}

/* A copy that exists for its control socket alone; the list must not have it. */
static int make_extension(
	struct developer *developer, const char *identifier, const char *entitlements)
{
	struct extension *extension, **at;
	int r = extension_new(developer->manager, &extension);

	if (r < 0)
		return r;
	for (at = &developer->manager->extensions; *at != extension; at = &(*at)->next)
		;
	*at = extension->next;
	extension->process = PROCESS_UP;
	STR_PUT(extension->info.identifier, identifier);
	STR_PUT(extension->info.entitlements, entitlements);
	developer->extension = extension;
	return 0;
}

static int add_control(struct developer *developer, struct control_descriptors *ret)
{
	int pair[2], r = wire_pair(pair);

	if (r < 0)
		return r;
	developer->extension->control_fd = pair[0];
	give(ret, "control", pair[1]);
	return control_socket_watch(developer->extension);
}

static int add_endpoint(struct developer *developer, pid_t pid, struct control_descriptors *ret)
{
	int pair[2], r = wire_pair(pair);

	if (r < 0)
		return r;
	give(ret, "endpoint", pair[1]);
	broker_add_client(developer->manager->broker, developer->child, pid,
		&developer->extension->info, pair[0]);
	return 0;
}

/* 0, or what is wrong with them. */
static const char *read_entitlements(const char *text, uint32_t *ret_bits)
{
	json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	const char *problem = json_is_object(root) ? NULL : "the entitlements are no JSON object";

	*ret_bits = json_is_true(json_object_get(root, ENDPOINT_ENTITLEMENT))
		? ENTITLEMENT_ENDPOINT_SECURITY_CLIENT
		: 0;
	json_decref(root);
	return problem;
}

static int set_up(struct developer *developer, const char *identifier, const char *entitlements,
	uint32_t bits, pid_t pid, struct control_descriptors *ret)
{
	struct manager *manager = developer->manager;
	int r = registry_next_child(manager->registry, &developer->child);

	if (r == 0)
		r = make_extension(developer, identifier, entitlements);
	if (r < 0)
		return r;
	developer->extension->info.entitlement_bits = bits;
	developer->extension->child = developer->child;
	r = sd_event_add_io(manager->event, &developer->source, developer->pid_fd, EPOLLIN,
		on_ended, developer);
	if (r >= 0)
		r = add_control(developer, ret);
	if (r == 0 && bits)
		r = add_endpoint(developer, pid, ret);
	return r < 0 ? r : 0;
}

int developer_run(struct manager *manager, const char *identifier, const char *entitlements,
	int pid_fd, struct control_descriptors *ret, struct wire_error *error)
{
	struct developer *developer;
	const char *problem;
	uint32_t bits;
	pid_t pid;
	int r;

	if (!manager->developer_mode)
		return refuse(error, RULE_DEVELOPER_MODE_OFF, identifier, "developer mode is off");
	problem = read_entitlements(entitlements, &bits);
	if (!problem && n_developers == DEVELOPERS_MAX)
		problem = "eight of them run already";
	if (problem)
		return refuse(error, RULE_DEVELOPER_RUN, identifier, problem);
	r = pid_of_pidfd(pid_fd, &pid);
	if (r < 0)
		return refuse(error, RULE_DEVELOPER_RUN, identifier, strerror(-r));
	developer = calloc(1, sizeof *developer);
	if (!developer)
		return -ENOMEM;
	developer->manager = manager;
	developer->next = developers;
	developers = developer;
	n_developers++;
	developer->pid_fd = fcntl(pid_fd, F_DUPFD_CLOEXEC, 3);
	r = set_up(developer, identifier, entitlements, bits, pid, ret);
	if (r == 0)
		return 0;
	while (ret->n)
		fd_close(ret->fds[--ret->n]);
	developer_end(developer);
	return r;
}

struct extension *developer_of_child(uint64_t child)
{
	struct developer *developer = developers;

	while (developer && developer->child != child)
		developer = developer->next;
	return developer ? developer->extension : NULL;
}

void developer_free(struct manager *manager)
{
	while (developers)
		developer_end(developers);
}
