/* SPDX-License-Identifier: Apache-2.0
 *
 * outboard-launch: started by outboardd in an extension's place. It reads what it is to become from
 * the sealed memory file "spec", confines itself, and runs the extension's own executable. Whatever
 * fails is one line in the log that names the step, and exit status 126.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "manager/launch/confine.h"

static const struct step {
	const char *name;
	int (*take)(const struct launch_spec *spec);
} steps[] = {
	/* cgroupfs is read-only afterwards */
	{ "join its cgroup", confine_cgroups },
	{ "arrange its file system", confine_files },
	{ "set its limits", confine_limits },
	/* last: everything above needs the rights that go here */
	{ "drop its rights", confine_rights },
};

/* It is ours, and still it is looked at: what follows has every right, and counts on its bounds. */
static bool is_whole(const struct launch_spec *spec)
{
	bool ok = spec->version == LAUNCH_SPEC_VERSION && spec->n_groups <= LAUNCH_GROUPS_MAX &&
		spec->n_write_paths <= LAUNCH_PATHS_MAX && spec->n_keep_paths <= LAUNCH_PATHS_MAX &&
		STR_FIELD_OK(spec->identifier) && STR_FIELD_OK(spec->executable) &&
		STR_FIELD_OK(spec->bundle) && STR_FIELD_OK(spec->hidden) &&
		STR_FIELD_OK(spec->state_folder);
	size_t i;

	for (i = 0; i < LAUNCH_PATHS_MAX; i++)
		ok = ok && STR_FIELD_OK(spec->write_paths[i]) && STR_FIELD_OK(spec->keep_paths[i]);
	for (i = 0; i < LAUNCH_GROUPS_MAX; i++)
		ok = ok && STR_FIELD_OK(spec->cgroup_procs[i]);
	return ok;
}

static int read_spec(struct launch_spec *ret)
{
	int fd = fd_inherited("spec");
	const void *data;
	size_t bytes;
	int r;

	if (fd < 0)
		return fd;
	r = memfd_map_sealed(fd, sizeof *ret, &data, &bytes);
	if (r < 0)
		return r;
	if (bytes == sizeof *ret)
		memcpy(ret, data, sizeof *ret);
	munmap((void *)(uintptr_t)data, bytes);
	return bytes == sizeof *ret && is_whole(ret) ? 0 : -EPROTO;
}

/*
 * The extension's descriptors by name, without the spec, which ends here. They alone stay open:
 * everything else that was opened on the way is close-on-exec.
 */
static void hand_on(char *buffer, size_t bytes)
{
	const char *at = str_or(getenv("OUTBOARD_FDS"), "");
	size_t used = 0;

	buffer[0] = '\0';
	while (*at) {
		size_t length = strcspn(at, ",");
		const char *equals = memchr(at, '=', length);

		if (equals && !str_starts(at, "spec=")) {
			fcntl(atoi(equals + 1), F_SETFD, 0);
			used += (size_t)snprintf(buffer + used, bytes - used, "%s%.*s",
				used ? "," : "", (int)length, at);
		}
		at += length + (at[length] == ',');
	}
}

static int run(const struct launch_spec *spec)
{
	char root[PATH_MAX + 16], fds[1400], identifier[300];
	char *const argv[] = { (char *)(uintptr_t)spec->executable, NULL };
	char *environment[6] = { NULL };
	size_t n = 0;
	int number;

	strcpy(fds, "OUTBOARD_FDS=");
	hand_on(fds + strlen(fds), sizeof fds - strlen(fds));
	snprintf(identifier, sizeof identifier, "OUTBOARD_EXTENSION=%s", spec->identifier);
	environment[n++] = (char[]){
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	};
	environment[n++] = (char[]){ "LANG=C.UTF-8" };
	environment[n++] = fds;
	environment[n++] = identifier;
	if (getenv("OUTBOARD_ROOT")) {
		snprintf(root, sizeof root, "OUTBOARD_ROOT=%s", getenv("OUTBOARD_ROOT"));
		environment[n++] = root;
	}
	for (number = 1; number < NSIG; number++)
		signal(number, SIG_DFL);
	execve(spec->executable, argv, environment);
	return -errno;
}

int main(void)
{
	static struct launch_spec spec;
	size_t i;
	int r = read_spec(&spec);

	log_set_name("outboard-launch");
	if (r < 0) {
		log_failure(LOG_LAUNCH_FAILED, NULL, r, "step", "read what to become", NULL);
		return LAUNCH_FAILED_STATUS;
	}
	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		r = steps[i].take(&spec);
		if (r < 0) {
			log_failure(
				LOG_LAUNCH_FAILED, spec.identifier, r, "step", steps[i].name, NULL);
			return LAUNCH_FAILED_STATUS;
		}
	}
	r = run(&spec);
	log_failure(LOG_LAUNCH_FAILED, spec.identifier, r, "step", "run its executable", "path",
		spec.executable, NULL);
	return LAUNCH_FAILED_STATUS;
}
