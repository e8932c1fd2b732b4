/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside outboardd's manager: what its files know of each other. One process, one event loop, no
 * threads. Everything that must survive is in the registry first and in these structs second: a
 * function that changes something writes, then acts, so that the manager may be killed at each line
 * and the next one finds out what was meant (reconcile.c).
 */
#ifndef OB_MANAGER_MANAGER_H
#define OB_MANAGER_MANAGER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <systemd/sd-event.h>
#include "base/peer.h"
#include "base/rules.h"
#include "bundle/bundle.h"
#include "daemon/cgroup.h"
#include "daemon/config.h"
#include "manager/children.h"
#include "manager/control.h"
#include "manager/policy.h"
#include "manager/request-wire.h"
#include "manager/state.h"

#define ID_BYTES 37
#define REASON_BYTES 256

struct broker;
struct log;
struct manager;
struct registry;
struct watch;

enum process { PROCESS_NONE, PROCESS_STARTING, PROCESS_UP, PROCESS_STOPPING, PROCESS_KILLED };

/* One staged copy. Above the line: a row of the registry. */
struct extension {
	struct extension *next;
	struct manager *manager;

	char id[ID_BYTES];
	struct bundle_info info;
	uint32_t state; /* enum state */
	char reason[REASON_BYTES];
	bool wanted;	   /* somebody with the right to say so wants it to run */
	bool slot;	   /* the one active copy of its (team, identifier) */
	bool by_policy;	   /* allowed by policy alone, and goes with it */
	bool switched_off; /* by an administrator: an app that asks again has it asked again */
	char *origin_path, *app_path;
	char *app_mount; /* the mount that held the app: not there is not deleted */
	uint64_t app_device, app_inode;
	uint64_t child, start_time;
	int32_t pid;
	uint32_t restarts;
	char *last_error;
	char last_exit[64];
	uint64_t since_usec; /* CLOCK_REALTIME */
	uint64_t approved_at_usec;
	char approved_by[64];
	char boot_id[40];			  /* of the state that waits for the next boot */
	char refused_digest[BUNDLE_DIGEST_BYTES]; /* its app's delegate did not want that one */

	/* ------ of this manager's life only */
	enum process process;
	uint64_t deadline_usec; /* CLOCK_MONOTONIC; 0 none */
	uint64_t timer_usec;	/* what the process waits for: up, next start, kill; 0 nothing */
	uint64_t started_usec;
	uint64_t window_usec; /* when the count of deaths began */
	unsigned n_deaths, quick_deaths;
	uint64_t exec_device, exec_inode, exec_ctime_ns, exec_bytes;
	int control_fd;
	sd_event_source *control_source, *cgroup_source;
	bool entitled;	      /* the broker knows its executable */
	unsigned check_tries; /* watch.c */
	uint64_t check_usec;
	bool gone_once;
};

/* Kinds of our own, which end where an app is verified; the bus does not show them. */
#define REQUEST_OBSERVE 100  /* may this client be an observer? */
#define REQUEST_IDENTIFY 101 /* who has called that extension? identity.c */

enum request_origin {
	ORIGIN_APP,	 /* a process asks through the library */
	ORIGIN_ROOT,	 /* the administrator asks over the bus, which is an approval */
	ORIGIN_UPDATE,	 /* the app on disk has changed */
	ORIGIN_RECOVERY, /* the registry was lost: recover.c */
};

enum request_step {
	STEP_QUEUED,
	STEP_APP,	  /* the app is verified */
	STEP_STAGING,	  /* the extension is copied */
	STEP_VALIDATING,  /* the copy is verified */
	STEP_REPLACEMENT, /* the delegate is asked */
	STEP_APPROVAL,
	STEP_STARTING,
	STEP_STOPPING,
	STEP_MAX_
};

struct client;

struct request {
	struct request *next;
	struct manager *manager;
	uint64_t number; /* of this manager's: the bus shows it */
	uint32_t kind;	 /* enum request_kind, or REQUEST_OBSERVE */
	enum request_origin origin;
	enum request_step step;
	struct client *client; /* NULL: nobody listens */
	uint64_t client_id;    /* header.id of the wire */
	uint32_t uid, pid;
	uint64_t since_usec;
	char identifier[BUNDLE_IDENTIFIER_BYTES];
	char *app_path;
	int app_fd, source_fd;
	uint64_t app_device, app_inode;
	char name[BUNDLE_IDENTIFIER_BYTES + 32]; /* "ID.systemextension" */
	char digest[BUNDLE_DIGEST_BYTES];
	char team[BUNDLE_TEAM_BYTES];
	bool replace_agreed;
	bool again;		     /* an outboardd before this one was asked for it, too */
	uint32_t n_properties;	     /* sent so far */
	struct extension *extension; /* the copy that it brings about or waits for */
	bool owns;		     /* that copy exists for this request alone */
	struct bundle_job *job;
	sd_event_source *job_source, *job_timer;
	int copy_fd;
	pid_t copy_pid;
	struct question *question; /* of REQUEST_IDENTIFY */
};

struct manager {
	sd_event *event;
	struct config *config;
	struct registry *registry;
	struct children *children;
	struct control *control;
	struct log *log;
	struct policy *policy;
	struct broker *broker;
	struct watch *watch;
	struct cgroup_tree cgroups;
	bool has_cgroups, developer_mode, ending, registry_was_lost;
	char boot_id[40];
	uint64_t last_request;
	uint64_t sweep_usec, sweep_wait_usec; /* cgroups that nobody knows; 0: none */
	struct extension *extensions;
	struct request *requests;
	struct client *clients;
	unsigned n_clients;
	sd_event_source *listen_source, *timer, *later;
};

/* ---- schedule.c: time, and the one timer of the manager ------------------------------------------- */

uint64_t now_usec(void);      /* CLOCK_MONOTONIC */
uint64_t now_real_usec(void); /* CLOCK_REALTIME */
int schedule_new(struct manager *manager);
void manager_arm(struct manager *manager); /* after any *_usec of an extension has changed */

/* ---- extension.c: the list, in memory --------------------------------------------------------- */

int extension_new(struct manager *manager, struct extension **ret);
struct extension *extension_free(struct extension *extension); /* out of the list, too */
DEFINE_CLEANUP(struct extension, extension_free)
struct extension *extension_of_id(struct manager *manager, const char *id);
struct extension *extension_of_child(struct manager *manager, uint64_t child);
/* The copy that has the slot of (@team, @identifier), or NULL. */
struct extension *extension_active(
	struct manager *manager, const char *team, const char *identifier);
/* Any other copy of the same extension that is not being removed: the active one first. */
struct extension *extension_other(struct manager *manager, const struct extension *extension);
bool extension_same(const struct extension *a, const struct extension *b); /* (team, identifier) */
void extension_fill(const struct extension *extension, struct wire_properties *ret);
void extension_set_error(struct extension *extension, const struct wire_error *error);
int replace_string(char **string, const char *with); /* strdup into it */

/* ---- transition.c ----------------------------------------------------------------------------- */

struct transition {
	struct extension *extension;
	enum state to;
	const char *reason; /* NULL: "" */
};

/*
 * The only way in which a state changes: all of them or none, in one transaction; what else has
 * changed in the structs is written with it. The one that gives up a slot comes before the one that
 * takes it. Then logs, tells the bus and the observers, and sets deadlines.
 * -EPERM: the table does not have that transition; -ENOSPC and others from the registry: unchanged.
 */
int transition_all(struct manager *manager, const struct transition *transitions, size_t n);
int transition_to(struct extension *extension, enum state to, const char *reason);
/* Write what has changed beside the state, and tell the bus. */
int extension_write(struct extension *extension);
/*
 * Take the copy away, which has no process any more: row, staged files and struct go from the loop,
 * never within a call. Its requests fail with @error, or, without one, end as remove.c has it.
 */
int extension_discard(
	struct extension *extension, const char *reason, const struct wire_error *error);
void extensions_remove_discarded(struct manager *manager);
void transition_deadline(struct extension *extension); /* its state has lasted too long */

/* ---- approval.c ------------------------------------------------------------------------------- */

enum approval { APPROVAL_NONE, APPROVAL_GIVEN, APPROVAL_DENIED };
enum approval approval_get(struct extension *extension);
int approval_put(struct extension *extension, enum approval approval, uint32_t uid);

int approval_approve(struct extension *extension, uint32_t uid, struct wire_error *error);
int approval_deny(struct extension *extension, uint32_t uid, struct wire_error *error);
int approval_enable(struct extension *extension, uint32_t uid, struct wire_error *error);
int approval_disable(struct extension *extension, uint32_t uid, struct wire_error *error);
/* The policy has changed: complete what it allows now, take away what it alone had allowed. */
void approval_policy_changed(struct manager *manager);
void policy_reload(struct manager *manager); /* read the files again, and that */

/* ---- activate.c, decide.c, remove.c: the requests ------------------------------------------- */

void activate_begin(struct request *request);
int activate_open_app(struct request *request, const char *path); /* or it has failed */
void activate_app_verified(struct request *request, const struct bundle_info *app);
void activate_staged(struct request *request);	  /* the copy is there: verify it */
void activate_validated(struct request *request); /* the copy is good: decide */
void activate_next(struct manager *manager);	  /* those that wait for a place */
/* That copy is there already. 0: the request has ended or waits; -EAGAIN: it is to be made anew. */
int activate_same(struct request *request, struct extension *extension);
void activate_decide(struct request *request);
/* The extension may run: make it the active copy, by start, upgrade or at the next boot. */
int activate_go(struct extension *extension);
/* The same at the boot for which it has waited: none of its processes is left. */
int activate_after_reboot(struct extension *extension);

void remove_begin(struct request *request);
/* All copies of that (team, identifier): stop, remove. Number of copies. */
unsigned remove_all(
	struct manager *manager, const char *team, const char *identifier, const char *reason);
int remove_one(struct extension *extension, const char *reason);

/* ---- request.c -------------------------------------------------------------------------------- */

int request_new(struct manager *manager, uint32_t kind, enum request_origin origin,
	const char *identifier, struct request **ret);
void request_step(struct request *request, enum request_step step);
void request_finish(struct request *request, uint32_t result);
void request_fail(struct request *request, const struct wire_error *error);
void request_fail_rule(
	struct request *request, enum rule_id rule, const char *object, const char *detail);
void request_refuse_errno(struct request *request, int r, const char *what);
/* Nobody waits for it any more: what is half done goes, what waits for approval stays. */
void request_abandon(struct request *request);
void request_attach(struct request *request, struct extension *extension);
/* All requests that wait for that copy. */
void requests_finish(struct extension *extension, uint32_t result);
void requests_fail(struct extension *extension, const struct wire_error *error);
void requests_need_approval(struct extension *extension);
void requests_removed(struct extension *extension);
struct request *request_of_number(struct manager *manager, uint64_t number);
const char *request_step_name(enum request_step step);
const char *request_kind_name(uint32_t kind);

/* ---- client.c: manager.sock ------------------------------------------------------------------- */

int clients_listen(struct manager *manager, int listen_fd);
void clients_free(struct manager *manager);
int client_send(struct client *client, uint16_t type, uint16_t flags, uint64_t id, const void *body,
	size_t bytes);
void client_request_gone(struct request *request);
void client_observe(struct client *client, uint64_t id, bool on, int status);
int client_find_app(struct client *client, char ret[static 4096], struct stat *ret_executable);
void clients_workspace_event(struct extension *extension, enum workspace_event event);

/* ---- app.c: apps, where they lie, whether they are what they claim ---------------------------- */

/* 0: lies in an allowed place, or developer mode; 1: refused. */
int app_check_location(struct manager *manager, const char *path, struct wire_error *error);
/* Each folder in which apps may lie, as configured; stops at something else than 0. */
int app_each_folder(struct manager *manager,
	int (*each)(void *context, const char *folder, size_t bytes), void *context);
/*
 * Verify the app of the request (app_fd, app_path): activate_app_verified() or request_fail(), at
 * once when nothing has changed since the last time.
 */
void app_verify(struct request *request);

/*
 * judge.c. Begin the verdict on the bundle that @fd is open on; 0 or -errno. @on_verdict, with the
 * request as its context, calls judge_end(): what was found, borrowed until the next verdict; NULL: not
 * yet, or the request has been refused, with @problem for a trouble of Outboard's own.
 */
int judge_begin(struct request *request, int fd, const char *name, const char *path,
	sd_event_io_handler_t on_verdict);
const struct bundle_info *judge_end(struct request *request, const char *problem);

/* The verified app whose executable that is, or NULL. */
const struct bundle_info *app_of_executable(const struct stat *executable);
void apps_forget(void);
void mount_of_path(const char *path, char *buffer, size_t bytes); /* one line: which mount it is */

/* ---- staging.c -------------------------------------------------------------------------------- */

const char *staging_path(const struct extension *extension, char buffer[static 4096]);
const char *staging_folder(const char *id, char buffer[static 4096]);
void staging_copy(struct request *request); /* then activate_staged() or request_fail() */
void staging_cancel(struct request *request);
int staging_verify(struct request *request); /* then activate_validated() or request_fail() */
int staging_remove(const char *id);
void staging_remove_strangers(struct manager *manager);
int staging_open(const struct extension *extension); /* the bundle's folder */
int staging_open_executable(const struct extension *extension);
int staging_look(struct extension *extension); /* fills exec_*; -ENOENT: it is not there */

/* ---- supervise.c, launch.c -------------------------------------------------------------------- */

void supervise_start(struct extension *extension);
void supervise_stop(struct extension *extension);
void supervise_adopt(struct extension *extension); /* at the start of the manager */
void supervise_timer(struct extension *extension);
void supervise_ended(void *context, uint64_t child, int code, int status);
void supervise_ready(struct extension *extension);
void supervise_stopped(struct extension *extension); /* nothing of it runs any more */
void supervise_forget_deaths(struct extension *extension);
/* The old copy of an upgrade, stopped and kept until the new one is up; NULL. */
struct extension *supervise_find_parked(const struct extension *extension);
void supervise_insist(struct extension *extension); /* kill what is left, and look again */

int launch_extension(struct extension *extension);
/* The parent's child that is in its cgroup, whatever the row says: fills child, pid, start_time. */
bool launch_find(struct extension *extension);
void launch_attach(struct extension *extension); /* the sockets of one that runs already */
void launch_detach(struct extension *extension); /* it has ended */
const char *launch_cgroup(const struct extension *extension, char buffer[static 64]);

/* ---- service.c: listening sockets that outlive the extension ---------------------------------- */

/* 0; 1 refused: taken by another extension, or no name of a socket */
int service_check(struct extension *extension, struct wire_error *error);
int service_open(struct extension *extension);
void service_close(struct extension *extension);
void services_remove_strangers(struct manager *manager);

/* ---- broker.c --------------------------------------------------------------------------------- */

int broker_new(struct manager *manager, struct broker **ret);
struct broker *broker_free(struct broker *broker);
void broker_add_client(struct broker *broker, uint64_t child, int32_t pid,
	const struct bundle_info *info, int fd); /* taken: the broker's end */
void broker_drop_client(struct broker *broker, uint64_t child);
void broker_entitle(struct broker *broker, struct extension *extension, bool on);
/* Before it is started: who it is, so that its first exec says so; no right goes with that. */
void broker_introduce(struct broker *broker, struct extension *extension);
/* Its state is another: where that is one in which nobody has allowed it, its executable is told why not. */
void broker_withhold(struct broker *broker, struct extension *extension);
void broker_settings_changed(struct broker *broker);
bool broker_ended(struct broker *broker, uint64_t child, int code, int status);
void broker_begin(struct broker *broker); /* reconciled: adopt or start */
const char *broker_state(const struct broker *broker, char buffer[static 256]);
#define BROKER_MISSES_BYTES 1600
/* Deadlines that clients have missed, as a sentence; NULL none. */
const char *broker_misses(const struct broker *broker, char buffer[static BROKER_MISSES_BYTES]);
/*
 * A socket on which outboard-esd answers whoever has it, with BROKER_REPORTED. Nothing is waited for. 1: it
 * cannot be asked, @why says why not.
 */
int broker_report(struct broker *broker, int *ret_fd, char why[static 256]);

/* ---- identity.c, developer.c ------------------------------------------------------------------ */

int control_socket_watch(struct extension *extension); /* READY and IDENTIFY on control_fd */
/* The app of REQUEST_IDENTIFY is verified, or cannot be: answer, and forget the question. */
void identity_answer(struct request *request);
int pid_of_pidfd(int pid_fd, pid_t *ret); /* -ESRCH: gone */
int developer_run(struct manager *manager, const char *identifier, const char *entitlements,
	int pid_fd, struct control_descriptors *ret, struct wire_error *error);
struct extension *developer_of_child(uint64_t child); /* in no list */
void developer_free(struct manager *manager);

/* ---- watch.c ---------------------------------------------------------------------------------- */

int watch_new(struct manager *manager, struct watch **ret);
struct watch *watch_free(struct watch *watch);
DEFINE_CLEANUP(struct watch, watch_free)
void watch_renew(struct watch *watch); /* which folders: after a copy came or went */
/* watch-apps.c */
#define WATCH_SETTLE_USEC (1 * 1000000ull)		      /* after the last change on disk */
void watch_check_all(struct manager *manager, uint64_t usec); /* all of them, that much later */
void watch_check(struct extension *extension);		      /* look at its app now */
void watch_check_again(struct extension *extension); /* an update that could not be taken */
bool watch_app_is_gone(struct extension *extension); /* deleted; not: unmounted */

/* ---- facade.c, reconcile.c, recover.c -------------------------------------------------------------------- */

extern struct control_manager manager_control;
int reconcile(struct manager *manager);
void reconcile_sweep(struct manager *manager); /* what no row knows goes */
/* Its cgroups: again at sweep_usec, until all are gone. */
void reconcile_sweep_cgroups(struct manager *manager);
void recover_begin(struct manager *manager);
void recover_validated(struct request *request);
void recover_ended(struct manager *manager); /* one of its requests has ended */

#endif
