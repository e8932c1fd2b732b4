/* SPDX-License-Identifier: Apache-2.0
 *
 * Which program a file is: what the kernel program asks for, and the executables that the manager
 * says are of bundles, go to outboard-identity-worker, one at a time, and its answers into the map
 * that the kernel program looks in. No file is opened here, and nothing is kept: what waits, waits in
 * the kernel's ring; what is known, is known there.
 *
 * Fail mode: a program that cannot be read, or not in time, has no identity and runs all the same. A
 * worker that dies costs the file that it was asked for, so that no file can end one after another.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include "base/fd.h"
#include "base/log.h"
#include "base/paths.h"
#include "base/str.h"
#include "endpoint/daemon/esd.h"
#include "endpoint/identity/identity-wire.h"

#define OPEN_USEC 10000000ull /* of a file system that answers */
#define BYTES_PER_USEC 20u    /* that a slow disk gives */
#define DPKG_FOLDER "/var/lib/dpkg"

/* ---- the worker ------------------------------------------------------------------------------- */

static void stop_worker(struct identities *identities)
{
	identities->answer = sd_event_source_disable_unref(identities->answer);
	identities->fd = fd_close(identities->fd);
	if (identities->pid > 0)
		process_end(identities->pid);
	identities->pid = 0;
}

/*
 * No vfork(2): its exec may be asked about, as anybody's, and then it is this process that has to take
 * the answer.
 */
static int spawn(int socket_fd, pid_t *ret)
{
	char path[PATH_MAX];
	sigset_t none;
	pid_t pid;

	path_program("outboard-identity-worker", path);
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid > 0) {
		*ret = pid;
		return 0;
	}
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/*
	 * Everything else of ours closes by itself, but only once the exec is through, which may wait for
	 * that: without us nobody would be let go as long as this process has fanotify's group.
	 */
	if (dup2(socket_fd, IDENTITY_SOCKET_FD) < 0 ||
		(socket_fd == IDENTITY_SOCKET_FD && fcntl(socket_fd, F_SETFD, 0) < 0) ||
		close_range(IDENTITY_SOCKET_FD + 1, ~0u, 0) < 0)
		_exit(127);
	execl(path, "outboard-identity-worker", (char *)NULL);
	_exit(127);
}

static int on_answer(sd_event_source *source, int fd, uint32_t events, void *context);

static int start_worker(struct esd *esd)
{
	struct identities *identities = &esd->identities;
	int pair[2], r;

	if (identities->fd >= 0)
		return 0;
	r = wire_pair(pair);
	if (r < 0)
		return r;
	identities->fd = pair[0];
	r = spawn(pair[1], &identities->pid);
	fd_close(pair[1]);
	if (r == 0 && fcntl(identities->fd, F_SETFL, O_NONBLOCK) < 0)
		r = -errno;
	if (r == 0)
		r = sd_event_add_io(
			esd->event, &identities->answer, identities->fd, EPOLLIN, on_answer, esd);
	if (r < 0)
		stop_worker(identities);
	return r < 0 ? r : 0;
}

/* ---- from an answer to an identity ------------------------------------------------------------ */

static struct entitled *bundle_of(const struct esd *esd, const struct identity_answer *answer)
{
	struct entitled *at;

	for (at = esd->entitled; at; at = at->next)
		if (!at->withheld && at->is.device == answer->device &&
			at->is.inode == answer->inode && at->is.ctime_ns == answer->key.ctime_ns &&
			at->is.size == answer->key.size)
			return at;
	return NULL;
}

static void sign(struct es_identity *ret, const char *signing_id)
{
	if (STR_PUT(ret->signing_id, signing_id) < 0) {
		/* half a name is somebody else's */
		memset(ret->signing_id, 0, sizeof ret->signing_id);
		return;
	}
	ret->signing_bytes = signing_id[0] ? (uint32_t)strlen(signing_id) + 1 : 0;
}

static void fill_bundle(struct es_identity *ret, const struct broker_entitled *bundle)
{
	ret->is.codesigning_flags = ES_CS_SIGNED | ES_CS_VALID;
	STR_PUT(ret->is.team_id, bundle->team);
	sign(ret, bundle->identifier);
	ret->epoch = 0;
}

/* What a package has put there is its own as long as root alone could have changed it, and has not. */
static void fill_package(struct es_identity *ret, const struct identity_answer *answer)
{
	bool fits = answer->flags & IDENTITY_DIGEST_FITS;

	ret->is.codesigning_flags = ES_CS_SIGNED | (fits ? ES_CS_VALID : 0);
	sign(ret, answer->signing_id);
	if (!fits || answer->uid != 0 || answer->mode & (S_IWGRP | S_IWOTH))
		return;
	ret->is.codesigning_flags |= ES_CS_PLATFORM_BINARY;
	ret->is.is_platform_binary = 1;
}

void identity_fill(struct esd *esd, const struct identity_answer *answer, struct es_identity *ret)
{
	struct entitled *bundle = bundle_of(esd, answer);

	memset(ret, 0, sizeof *ret);
	ret->epoch = engine_identity_epoch(esd->engine);
	if (answer->status < 0)
		return;
	ret->is.state = ES_IDENTITY_KNOWN;
	memcpy(ret->is.cdhash_full, answer->sha256, sizeof ret->is.cdhash_full);
	if (bundle) {
		fill_bundle(ret, &bundle->is);
		bundle->key = answer->key;
	} else if (answer->signing_id[0]) {
		fill_package(ret, answer);
	} else {
		ret->is.codesigning_flags = ES_CS_ADHOC;
	}
}

static void put(struct esd *esd, const struct identity_answer *answer)
{
	struct es_identity identity;

	/* it is not the file any more that was run: whoever runs this one asks again */
	if (answer->status == -ESTALE) {
		engine_identity_drop(esd->engine, &answer->key);
		return;
	}
	identity_fill(esd, answer, &identity);
	engine_identity_put(esd->engine, &answer->key, &identity);
}

/* ---- one question at a time ------------------------------------------------------------------- */

static struct entitled *next_entitled(const struct esd *esd)
{
	struct entitled *at;

	for (at = esd->entitled; at; at = at->next)
		if (at->fd >= 0)
			return at;
	return NULL;
}

static void answered(struct esd *esd)
{
	struct identities *identities = &esd->identities;

	if (identities->asked == ASKED_WANTED)
		ring_pass(&identities->ring);
	identities->asked = ASKED_NOTHING;
	identities->tried = false;
	sd_event_source_set_enabled(identities->deadline, SD_EVENT_OFF);
}

/*
 * A worker that is gone may have died of something else than this file: it is asked for once more, of
 * a new one. What waits in the ring is there still.
 */
static bool try_again(struct identities *identities, int r)
{
	if (identities->tried || identities->asked != ASKED_WANTED ||
		(r != -EPIPE && r != -ECONNRESET))
		return false;
	identities->tried = true;
	stop_worker(identities);
	identities->asked = ASKED_NOTHING;
	sd_event_source_set_enabled(identities->deadline, SD_EVENT_OFF);
	return true;
}

/* It is not known which program it is, and why is in the log or in the worker's own. */
static void give_up(struct esd *esd, int r)
{
	struct identities *identities = &esd->identities;
	const struct identity_answer answer = { .status = r == -EPIPE ? -EIO : r,
		.key = identities->key };

	if (try_again(identities, r))
		return;
	if (!identities->failing)
		log_failure(LOG_IDENTITY_FAILED, "outboard-identity-worker", r, NULL);
	identities->failing = true; /* once, until it works again */
	stop_worker(identities);
	if (identities->asked == ASKED_WANTED)
		put(esd, &answer);
	answered(esd);
}

static void set_deadline(struct esd *esd, uint64_t bytes)
{
	uint64_t now;

	sd_event_now(esd->event, CLOCK_MONOTONIC, &now);
	sd_event_source_set_time(
		esd->identities.deadline, now + OPEN_USEC + bytes / BYTES_PER_USEC);
	sd_event_source_set_enabled(esd->identities.deadline, SD_EVENT_ONESHOT);
}

static int ask_file(struct esd *esd, struct entitled *entitled)
{
	int fd = TAKE_FD(entitled->fd), r;

	esd->identities.asked = ASKED_FILE;
	esd->identities.key = (struct es_identity_key){ .size = entitled->is.size };
	set_deadline(esd, entitled->is.size);
	r = start_worker(esd);
	if (r == 0)
		r = wire_send(esd->identities.fd, IDENTITY_FILE, 0, 0, NULL, 0, &fd, 1);
	fd_close(fd);
	return r;
}

static int ask_wanted(struct esd *esd, const struct es_wanted *wanted)
{
	int r;

	esd->identities.asked = ASKED_WANTED;
	esd->identities.key = wanted->key;
	set_deadline(esd, wanted->key.size);
	r = start_worker(esd);
	return r < 0 ? r : WIRE_SEND(esd->identities.fd, IDENTITY_WANTED, 0, wanted);
}

/* The next question, or sleep until there is one. */
static void go_on(struct esd *esd)
{
	struct identities *identities = &esd->identities;

	while (identities->asked == ASKED_NOTHING) {
		struct entitled *entitled = next_entitled(esd);
		const struct es_wanted *wanted;
		size_t bytes;
		int r;

		if (entitled) {
			r = ask_file(esd, entitled);
		} else {
			wanted = ring_next(&identities->ring, &bytes);
			if (!wanted)
				break;
			r = ask_wanted(esd, wanted);
		}
		if (r < 0)
			give_up(esd, r);
	}
	/* the ring is readable all the time while one waits in it */
	sd_event_source_set_enabled(identities->wanted,
		identities->asked == ASKED_NOTHING ? SD_EVENT_ON : SD_EVENT_OFF);
}

static int on_wanted(sd_event_source *source, int fd, uint32_t events, void *context)
{
	go_on(context);
	return 0;
}

static int on_late(sd_event_source *source, uint64_t usec, void *context)
{
	give_up(context, -ETIMEDOUT);
	go_on(context);
	return 0;
}

static int take(struct esd *esd, const struct wire_packet *packet)
{
	const struct identity_answer *answer = (const void *)packet->body;
	struct identities *identities = &esd->identities;

	if (packet->header.type == IDENTITY_IDLE && packet->body_bytes == 0) {
		if (identities->asked == ASKED_NOTHING)
			stop_worker(identities);
		return 0;
	}
	if (packet->header.type == IDENTITY_BUSY && packet->body_bytes == 0 &&
		identities->asked != ASKED_NOTHING) {
		set_deadline(esd, identities->key.size);
		return 0;
	}
	if (packet->header.type != IDENTITY_ANSWER || packet->body_bytes != sizeof *answer ||
		identities->asked == ASKED_NOTHING || answer->status > 0 ||
		!STR_FIELD_OK(answer->signing_id))
		return -EPROTO;
	if (identities->asked == ASKED_WANTED &&
		memcmp(&answer->key, &identities->key, sizeof answer->key) != 0)
		return -EPROTO;
	if (identities->asked == ASKED_WANTED || answer->status == 0)
		put(esd, answer);
	identities->failing = false;
	answered(esd);
	return 0;
}

static int on_answer(sd_event_source *source, int fd, uint32_t events, void *context)
{
	struct esd *esd = context;
	int r = wire_receive(fd, &esd->packet, MSG_DONTWAIT);

	if (r == -EAGAIN)
		return 0;
	if (r == 0)
		r = take(esd, &esd->packet);
	wire_packet_done(&esd->packet);
	if (r < 0)
		give_up(esd, r);
	go_on(esd);
	return 0;
}

/* ---- what changes ----------------------------------------------------------------------------- */

/* dpkg(1) replaces these two by rename when it is done with a run. */
static int on_dpkg(sd_event_source *source, const struct inotify_event *event, void *context)
{
	const struct esd *esd = context;

	if (event->mask & IN_Q_OVERFLOW ||
		(event->len && (streq(event->name, "status") || streq(event->name, "diversions"))))
		engine_identity_renew(esd->engine);
	return 0;
}

void identity_entitled(struct esd *esd)
{
	if (esd->identities.ring.producer)
		go_on(esd);
}

/* Whoever runs the file from now on is asked for anew. */
void identity_unentitled(struct esd *esd, const struct entitled *entitled)
{
	if (entitled->key.inode)
		engine_identity_drop(esd->engine, &entitled->key);
}

/* ---- the whole -------------------------------------------------------------------------------- */

int identity_open(struct esd *esd)
{
	struct identities *identities = &esd->identities;
	int fd = fcntl(engine_wanted_fd(esd->engine), F_DUPFD_CLOEXEC, 3), r;

	if (fd < 0)
		return -errno;
	r = ring_map(&identities->ring, fd, -1, ES_WANTED_RING_BYTES);
	if (r == 0)
		r = sd_event_add_io(esd->event, &identities->wanted, fd, EPOLLIN, on_wanted, esd);
	if (r >= 0)
		r = sd_event_add_time(esd->event, &identities->deadline, CLOCK_MONOTONIC, 0,
			1000000, on_late, esd);
	if (r >= 0)
		r = sd_event_source_set_enabled(identities->deadline, SD_EVENT_OFF);
	if (r < 0)
		return r;
	/* no such folder: no packages, whose coming would be a surprise */
	sd_event_add_inotify(
		esd->event, &identities->packages, DPKG_FOLDER, IN_MOVED_TO, on_dpkg, esd);
	go_on(esd);
	return 0;
}

void identity_close(struct esd *esd)
{
	struct identities *identities = &esd->identities;

	stop_worker(identities);
	identities->wanted = sd_event_source_disable_unref(identities->wanted);
	identities->deadline = sd_event_source_disable_unref(identities->deadline);
	identities->packages = sd_event_source_disable_unref(identities->packages);
	ring_done(&identities->ring);
}
