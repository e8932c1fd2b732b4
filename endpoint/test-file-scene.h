/* SPDX-License-Identifier: Apache-2.0
 *
 * Events of files, end to end: each act is made by a second thread of a process whose ids all differ,
 * which writes down what is to be told of it, by stat(2) and by what the act was given; the test then
 * holds what was told against that.
 */
#ifndef OB_ENDPOINT_TEST_FILE_SCENE_H
#define OB_ENDPOINT_TEST_FILE_SCENE_H

#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <EndpointSecurity/EndpointSecurity.h>
#include <bsm/libbsm.h>
#include "endpoint/test-scene.h"

#define EXPECTED 64

enum { RUID = 2001, EUID = 2002, RGID = 3003, EGID = 3004, LOGIN = 5005 };

/* What the actor expects of each message, in order; written by it. */
struct expected {
	es_event_type_t type;
	char path[PATH_MAX + 256], second_path[PATH_MAX], name[NAME_MAX + 1];
	struct stat file, second;
	int fflag;
	bool modified, mapped, existing, cut;
};
struct shared {
	atomic_uint n;
	struct expected all[EXPECTED];
	pid_t pid, group, session;
	struct statvfs mounted;
	struct statfs kind;
};
extern struct shared *shared;

#define N_TYPES 7
extern const es_event_type_t types[N_TYPES];
extern const es_message_t *got[EXPECTED];
extern atomic_uint n_got;
extern _Atomic(pid_t) actor;
extern char root[128]; /* a file system of the test's own */
extern bool closes;    /* CLOSE is told here; */
extern bool plain;     /* without trampolines: modified is what was open for writing */

/* False: it skips. @only_plain: by the sources that need no trampolines. */
bool files_begin(const char *test, bool only_plain);
void files_end(void);

void on_message(es_client_t *client, const es_message_t *message, void *context);
es_client_t *client_of(
	ob_es_handler_function_t handler, const es_event_type_t *events, unsigned n_events);
es_client_t *new_client(void); /* of all types */

/* ---- in the actor ------------------------------------------------------------------------------ */

/* In a child: an assertion of cmocka's would go on in there with the parent's tests. */
#define must(what)                                                                    \
	do {                                                                          \
		if (!(what)) {                                                        \
			fprintf(stderr, "actor, line %d: %s: %m\n", __LINE__, #what); \
			_exit(1);                                                     \
		}                                                                     \
	} while (0)

struct expected *expect(es_event_type_t type, const char *path);
void expect_in_root(struct expected *at);
void expect_create(const char *path);
int open_file(const char *path, int flags, mode_t mode);
struct expected *close_file(int fd, const char *path, bool modified);
void remove_file(const char *path, int (*how)(const char *path));
void rename_file(const char *from, const char *to);

/* ---- in the test ------------------------------------------------------------------------------- */

/* Its ids are set before the parent goes on, which then waits for what is told of it. */
pid_t run_actor(void (*prepare)(void), void (*act)(void));
void compare_event(const es_message_t *message, const struct expected *at, unsigned row);
void compare_all(void);

#endif
