/* SPDX-License-Identifier: Apache-2.0
 *
 * What belongs to each event that a kernel reports: those that es_events_t holds by value. Apple's
 * fields in Apple's order. Which of them this version reports: EndpointSecurity(7).
 */
#ifndef ENDPOINT_SECURITY_ES_MESSAGE_EVENTS_H
#define ENDPOINT_SECURITY_ES_MESSAGE_EVENTS_H

#include <EndpointSecurity/ESMessageCore.h>

#ifdef __cplusplus
extern "C" {
#endif

/* target: after the program was exchanged; message.process: before it. Arguments: es_exec_arg(). */
typedef struct {
	es_process_t *target;
	es_string_token_t dyld_exec_path; /* empty */
	union {
		uint8_t reserved[64];
		struct {
			es_file_t *script; /* of "#!" and its like; or NULL */
			es_file_t *cwd;
			int last_fd; /* the highest open descriptor; -1: none, or not known */
			cpu_type_t image_cputype;
			cpu_subtype_t image_cpusubtype;
		};
	};
} es_event_exec_t;

typedef struct {
	es_process_t *child;
	uint8_t reserved[64];
} es_event_fork_t;

typedef struct {
	int stat; /* as wait(2) has it */
	uint8_t reserved[64];
} es_event_exit_t;

typedef struct {
	int32_t fflag; /* FREAD, FWRITE and so on, not O_RDONLY */
	es_file_t *file;
	uint8_t reserved[64];
} es_event_open_t;

typedef struct {
	es_string_token_t identifier;
	uint8_t reserved[64];
} es_event_kextload_t;

typedef struct {
	es_string_token_t identifier;
	uint8_t reserved[64];
} es_event_kextunload_t;

typedef struct {
	es_file_t *target;
	es_file_t *parent_dir;
	uint8_t reserved[64];
} es_event_unlink_t;

typedef struct {
	int32_t protection;
	int32_t max_protection;
	int32_t flags;
	uint64_t file_pos;
	es_file_t *source;
	uint8_t reserved[64];
} es_event_mmap_t;

typedef struct {
	es_file_t *source;
	es_file_t *target_dir;
	es_string_token_t target_filename;
	uint8_t reserved[64];
} es_event_link_t;

typedef struct {
	es_statfs_t *statfs;
	es_mount_disposition_t disposition;
	uint8_t reserved[60];
} es_event_mount_t;

typedef struct {
	es_statfs_t *statfs;
	uint8_t reserved[64];
} es_event_unmount_t;

typedef struct {
	es_statfs_t *statfs;
	uint64_t remount_flags;
	es_mount_disposition_t disposition;
	uint8_t reserved[52];
} es_event_remount_t;

typedef struct {
	int32_t protection;
	user_addr_t address;
	user_size_t size;
	uint8_t reserved[64];
} es_event_mprotect_t;

typedef struct {
	int sig;
	es_process_t *target;
	es_process_t *instigator; /* who asked for it; or NULL */
	uint8_t reserved[56];
} es_event_signal_t;

typedef struct {
	es_file_t *source;
	es_destination_type_t destination_type;
	union {
		es_file_t *existing_file;
		struct {
			es_file_t *dir;
			es_string_token_t filename;
		} new_path;
	} destination;
	uint8_t reserved[64];
} es_event_rename_t;

typedef struct {
	es_destination_type_t destination_type;
	union {
		es_file_t *existing_file;
		struct {
			es_file_t *dir;
			es_string_token_t filename;
			mode_t mode;
		} new_path;
	} destination;
	uint8_t reserved2[16];
	union {
		uint8_t reserved[48];
		struct {
			acl_t acl; /* or NULL */
		};
	};
} es_event_create_t;

typedef struct {
	es_file_t *target;
	es_string_token_t extattr;
	uint8_t reserved[64];
} es_event_setextattr_t;

typedef struct {
	es_file_t *target;
	es_string_token_t extattr;
	uint8_t reserved[64];
} es_event_getextattr_t;

typedef struct {
	es_file_t *target;
	es_string_token_t extattr;
	uint8_t reserved[64];
} es_event_deleteextattr_t;

typedef struct {
	es_file_t *target;
	uint8_t reserved[64];
} es_event_listextattr_t;

typedef struct {
	mode_t mode; /* the new one: target->stat has the old one */
	es_file_t *target;
	uint8_t reserved[64];
} es_event_setmode_t;

typedef struct {
	uint32_t flags;
	es_file_t *target;
	uint8_t reserved[64];
} es_event_setflags_t;

typedef struct {
	uid_t uid;
	gid_t gid;
	es_file_t *target;
	uint8_t reserved[64];
} es_event_setowner_t;

typedef struct {
	bool modified; /* by write(2) and its like */
	es_file_t *target;
	union {
		uint8_t reserved[64];
		struct {
			bool was_mapped_writable;
		};
	};
} es_event_close_t;

typedef struct {
	es_file_t *file1;
	es_file_t *file2;
	uint8_t reserved[64];
} es_event_exchangedata_t;

typedef struct {
	es_file_t *target;
	uint8_t reserved[64];
} es_event_write_t;

typedef struct {
	es_file_t *target;
	uint8_t reserved[64];
} es_event_truncate_t;

typedef struct {
	es_file_t *target;
	uint8_t reserved[64];
} es_event_chdir_t;

typedef struct {
	es_file_t *target;
	uint8_t reserved[64];
} es_event_stat_t;

typedef struct {
	es_file_t *target;
	uint8_t reserved[64];
} es_event_chroot_t;

typedef struct {
	es_file_t *target;
	uint8_t reserved[64];
} es_event_readdir_t;

typedef struct {
	es_file_t *target;
	uint8_t reserved[64];
} es_event_fsgetpath_t;

typedef struct {
	es_file_t *target;
	uint8_t reserved[64];
} es_event_dup_t;

typedef struct {
	uint32_t user_client_type;
	es_string_token_t user_client_class;
	uint64_t parent_registry_id;
	es_string_token_t parent_path;
	uint8_t reserved[40];
} es_event_iokit_open_t;

typedef struct {
	es_process_t *target;
	es_get_task_type_t type;
	uint8_t reserved[60];
} es_event_get_task_t;

typedef struct {
	es_process_t *target;
	es_get_task_type_t type;
	uint8_t reserved[60];
} es_event_get_task_read_t;

typedef struct {
	es_process_t *target;
	es_get_task_type_t type;
	uint8_t reserved[60];
} es_event_get_task_inspect_t;

typedef struct {
	es_process_t *target;
	es_get_task_type_t type;
	uint8_t reserved[60];
} es_event_get_task_name_t;

typedef struct {
	struct attrlist attrlist;
	es_file_t *target;
	uint8_t reserved[64];
} es_event_getattrlist_t;

typedef struct {
	struct attrlist attrlist;
	es_file_t *target;
	uint8_t reserved[64];
} es_event_setattrlist_t;

typedef struct {
	struct attrlist attrlist;
	es_file_t *target;
	uint8_t reserved[64];
} es_event_searchfs_t;

typedef struct {
	es_file_t *source;
	es_string_token_t target_path;
	uint8_t reserved[64];
} es_event_file_provider_update_t;

typedef struct {
	es_process_t *instigator; /* or NULL */
	es_file_t *source;
	es_file_t *target;
	audit_token_t instigator_token;
	uint8_t reserved[32];
} es_event_file_provider_materialize_t;

typedef struct {
	es_file_t *source;
	uint8_t reserved[64];
} es_event_readlink_t;

typedef struct {
	es_file_t *source_dir;
	es_string_token_t relative_target; /* as the process wrote it: not to be trusted */
	uint8_t reserved[64];
} es_event_lookup_t;

typedef struct {
	int32_t mode;
	es_file_t *target;
	uint8_t reserved[64];
} es_event_access_t;

typedef struct {
	es_file_t *target;
	struct timespec atime;
	struct timespec mtime;
	uint8_t reserved[64];
} es_event_utimes_t;

typedef struct {
	es_file_t *source;
	es_file_t *target_dir;
	es_string_token_t target_name;
	uint8_t reserved[64];
} es_event_clone_t;

typedef struct {
	es_file_t *source;
	es_file_t *target_file; /* that was there before; or NULL */
	es_file_t *target_dir;
	es_string_token_t target_name;
	mode_t mode;
	int32_t flags;
	uint8_t reserved[56];
} es_event_copyfile_t;

typedef struct {
	es_file_t *target;
	int32_t cmd;
	uint8_t reserved[64];
} es_event_fcntl_t;

typedef struct {
	uint8_t reserved[64];
} es_event_settime_t;

typedef struct {
	uint8_t reserved[64];
} es_event_cs_invalidated_t;

typedef struct {
	es_file_t *dir;
	es_string_token_t filename;
	mode_t mode;
	uint8_t reserved[64];
} es_event_uipc_bind_t;

typedef struct {
	es_file_t *file;
	int domain;
	int type;
	int protocol;
	uint8_t reserved[64];
} es_event_uipc_connect_t;

typedef struct {
	es_file_t *target;
	es_set_or_clear_t set_or_clear;
	union {
		acl_t set;
	} acl;
	uint8_t reserved[64];
} es_event_setacl_t;

typedef struct {
	dev_t dev;
	uint8_t reserved[64];
} es_event_pty_grant_t;

typedef struct {
	dev_t dev;
	uint8_t reserved[64];
} es_event_pty_close_t;

typedef struct {
	es_process_t *target; /* or NULL */
	es_proc_check_type_t type;
	int flavor;
	uint8_t reserved[64];
} es_event_proc_check_t;

typedef struct {
	es_process_t *target; /* or NULL */
	es_proc_suspend_resume_type_t type;
	uint8_t reserved[64];
} es_event_proc_suspend_resume_t;

typedef struct {
	es_process_t *target;
	uint8_t reserved[64];
} es_event_trace_t;

typedef struct {
	es_process_t *target;
	es_thread_state_t *thread_state; /* or NULL */
	uint8_t reserved[64];
} es_event_remote_thread_create_t;

typedef struct {
	uid_t uid;
	uint8_t reserved[64];
} es_event_setuid_t;

typedef struct {
	uid_t gid; /* a gid: the type is Apple's */
	uint8_t reserved[64];
} es_event_setgid_t;

typedef struct {
	uid_t euid;
	uint8_t reserved[64];
} es_event_seteuid_t;

typedef struct {
	uid_t egid;
	uint8_t reserved[64];
} es_event_setegid_t;

typedef struct {
	uid_t ruid;
	uid_t euid;
	uint8_t reserved[64];
} es_event_setreuid_t;

typedef struct {
	uid_t rgid;
	uid_t egid;
	uint8_t reserved[64];
} es_event_setregid_t;

#ifdef __cplusplus
}
#endif

#endif
