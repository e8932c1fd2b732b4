/* SPDX-License-Identifier: Apache-2.0
 *
 * As a macOS author writes a file monitor: what is opened with which flags, created, renamed, and
 * mounted how.
 */
#include <EndpointSecurity/EndpointSecurity.h>
#include <dispatch/dispatch.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

static const struct {
	uint64_t flag;
	const char *name;
} mount_flags[] = {
	{ MNT_RDONLY, "read-only" },
	{ MNT_SYNCHRONOUS, "synchronous" },
	{ MNT_NOEXEC, "noexec" },
	{ MNT_NOSUID, "nosuid" },
	{ MNT_NODEV, "nodev" },
	{ MNT_UNION, "union" },
	{ MNT_ASYNC, "asynchronous" },
	{ MNT_EXPORTED, "exported" },
	{ MNT_QUOTA, "quota" },
	{ MNT_QUARANTINE, "quarantine" },
	{ MNT_LOCAL, "local" },
	{ MNT_ROOTFS, "root" },
	{ MNT_DOVOLFS, "volfs" },
	{ MNT_IGNORE_OWNERSHIP, "noowners" },
	{ MNT_DONTBROWSE, "nobrowse" },
	{ MNT_AUTOMOUNTED, "automounted" },
	{ MNT_JOURNALED, "journaled" },
	{ MNT_REMOVABLE, "removable" },
	{ MNT_NOATIME, "noatime" },
};

static void print_mount(const es_event_mount_t *event)
{
	printf("mount %s on %s type %s owner %u fsid %d:%d", event->statfs->f_mntfromname,
		event->statfs->f_mntonname, event->statfs->f_fstypename, event->statfs->f_owner,
		event->statfs->f_fsid.val[0], event->statfs->f_fsid.val[1]);
	for (size_t i = 0; i < sizeof(mount_flags) / sizeof(mount_flags[0]); i++)
		if (event->statfs->f_flags & mount_flags[i].flag)
			printf(" %s", mount_flags[i].name);
	printf(" %s\n", event->disposition == ES_MOUNT_DISPOSITION_NETWORK ? "network" : "");
}

static void print_stat(const struct stat *st)
{
	printf(" mode %o size %lld modified %ld.%09ld", st->st_mode, (long long)st->st_size,
		st->st_mtimespec.tv_sec, st->st_mtimespec.tv_nsec);
}

static void print_create(const es_event_create_t *event)
{
	if (event->destination_type == ES_DESTINATION_TYPE_EXISTING_FILE)
		printf("create %s\n", event->destination.existing_file->path.data);
	else
		printf("create %s/%s mode %o%s\n", event->destination.new_path.dir->path.data,
			event->destination.new_path.filename.data, event->destination.new_path.mode,
			event->acl != NULL ? " with acl" : "");
}

int main(int argc, const char *argv[])
{
	es_client_t *client = NULL;
	bool subscribed[ES_EVENT_TYPE_LAST] = { false };
	es_event_type_t events[] = { ES_EVENT_TYPE_NOTIFY_OPEN, ES_EVENT_TYPE_NOTIFY_CLOSE,
		ES_EVENT_TYPE_NOTIFY_CREATE, ES_EVENT_TYPE_NOTIFY_RENAME,
		ES_EVENT_TYPE_NOTIFY_MOUNT, ES_EVENT_TYPE_NOTIFY_SETATTRLIST };
	es_event_type_t *list = NULL;
	es_muted_paths_t *paths = NULL;
	size_t n = 0;
	es_handler_block_t handler = ^(es_client_t *c, const es_message_t *message) {
	  switch (message->event_type) {
	  case ES_EVENT_TYPE_NOTIFY_OPEN:
		  printf("open %s%s%s%s", message->event.open.file->path.data,
			  message->event.open.fflag & FREAD ? " read" : "",
			  message->event.open.fflag & FWRITE ? " write" : "",
			  message->event.open.fflag & FAPPEND ? " append" : "");
		  print_stat(&message->event.open.file->stat);
		  putchar('\n');
		  break;
	  case ES_EVENT_TYPE_NOTIFY_CLOSE:
		  if (message->event.close.modified)
			  printf("modified %s\n", message->event.close.target->path.data);
		  break;
	  case ES_EVENT_TYPE_NOTIFY_CREATE:
		  print_create(&message->event.create);
		  break;
	  case ES_EVENT_TYPE_NOTIFY_MOUNT:
		  print_mount(&message->event.mount);
		  break;
	  case ES_EVENT_TYPE_NOTIFY_SETATTRLIST: {
		  struct attrlist attributes = message->event.setattrlist.attrlist;

		  printf("attributes %x %x\n", attributes.commonattr, attributes.fileattr);
		  break;
	  }
	  default:
		  break;
	  }
	};

	if (es_new_client(&client, handler) != ES_NEW_CLIENT_RESULT_SUCCESS)
		return EXIT_FAILURE;
	es_mute_path(client, "/private/var/log", ES_MUTE_PATH_TYPE_TARGET_PREFIX);
	es_mute_path_prefix(client, "/usr/libexec");
	if (es_muted_paths_events(client, &paths) == ES_RETURN_SUCCESS) {
		for (size_t i = 0; i < paths->count; i++)
			printf("muted %s\n", paths->paths[i].path.data);
		es_release_muted_paths(paths);
	}
	if (es_subscribe(client, events, sizeof(events) / sizeof(*events)) != ES_RETURN_SUCCESS)
		return EXIT_FAILURE;
	if (es_subscriptions(client, &n, &list) == ES_RETURN_SUCCESS)
		for (size_t i = 0; i < n; i++)
			subscribed[list[i]] = true;
	free(list);
	dispatch_main();
}
