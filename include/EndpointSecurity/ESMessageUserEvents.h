/* SPDX-License-Identifier: Apache-2.0
 *
 * What belongs to the events that programs report, logins and the like, which macOS has had since
 * version 13: es_events_t points to them. This version reports none; EndpointSecurity(7).
 */
#ifndef ENDPOINT_SECURITY_ES_MESSAGE_USER_EVENTS_H
#define ENDPOINT_SECURITY_ES_MESSAGE_USER_EVENTS_H

#include <EndpointSecurity/ESMessageCore.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
	es_process_t *instigator; /* or NULL */
	es_string_token_t record_type;
	es_string_token_t record_name;
	es_string_token_t node_name;
	es_string_token_t db_path;
	audit_token_t instigator_token;
} es_event_authentication_od_t;

typedef struct {
	es_process_t *instigator; /* or NULL */
	es_touchid_mode_t touchid_mode;
	bool has_uid;
	union {
		uid_t uid;
	} uid;
	audit_token_t instigator_token;
} es_event_authentication_touchid_t;

typedef struct {
	es_process_t *instigator; /* or NULL */
	es_string_token_t pubkey_hash;
	es_string_token_t token_id;
	es_string_token_t kerberos_principal;
	audit_token_t instigator_token;
} es_event_authentication_token_t;

typedef struct {
	es_string_token_t username;
	es_auto_unlock_type_t type;
} es_event_authentication_auto_unlock_t;

typedef struct {
	bool success;
	es_authentication_type_t type;
	union {
		es_event_authentication_od_t *od;
		es_event_authentication_touchid_t *touchid;
		es_event_authentication_token_t *token;
		es_event_authentication_auto_unlock_t *auto_unlock;
	} data;
} es_event_authentication_t;

typedef struct {
	es_string_token_t signature_version;
	es_string_token_t malware_identifier;
	es_string_token_t incident_identifier;
	es_string_token_t detected_path;
	es_string_token_t detected_executable;
} es_event_xp_malware_detected_t;

typedef struct {
	es_string_token_t signature_version;
	es_string_token_t malware_identifier;
	es_string_token_t incident_identifier;
	es_string_token_t action_type;
	bool success;
	es_string_token_t result_description;
	es_string_token_t remediated_path;
	audit_token_t *remediated_process_audit_token; /* or NULL */
} es_event_xp_malware_remediated_t;

typedef struct {
	es_string_token_t username;
	es_graphical_session_id_t graphical_session_id;
} es_event_lw_session_login_t;

typedef struct {
	es_string_token_t username;
	es_graphical_session_id_t graphical_session_id;
} es_event_lw_session_logout_t;

typedef struct {
	es_string_token_t username;
	es_graphical_session_id_t graphical_session_id;
} es_event_lw_session_lock_t;

typedef struct {
	es_string_token_t username;
	es_graphical_session_id_t graphical_session_id;
} es_event_lw_session_unlock_t;

typedef struct {
	bool success;
	es_address_type_t source_address_type;
	es_string_token_t source_address;
	es_string_token_t viewer_appleid;
	es_string_token_t authentication_type;
	es_string_token_t authentication_username;
	es_string_token_t session_username;
	bool existing_session;
	es_graphical_session_id_t graphical_session_id;
} es_event_screensharing_attach_t;

typedef struct {
	es_address_type_t source_address_type;
	es_string_token_t source_address;
	es_string_token_t viewer_appleid;
	es_graphical_session_id_t graphical_session_id;
} es_event_screensharing_detach_t;

typedef struct {
	bool success;
	es_openssh_login_result_type_t result_type;
	es_address_type_t source_address_type;
	es_string_token_t source_address;
	es_string_token_t username;
	bool has_uid;
	union {
		uid_t uid;
	} uid;
} es_event_openssh_login_t;

typedef struct {
	es_address_type_t source_address_type;
	es_string_token_t source_address;
	es_string_token_t username;
	uid_t uid;
} es_event_openssh_logout_t;

typedef struct {
	bool success;
	es_string_token_t failure_message;
	es_string_token_t username;
	bool has_uid;
	union {
		uid_t uid;
	} uid;
} es_event_login_login_t;

typedef struct {
	es_string_token_t username;
	uid_t uid;
} es_event_login_logout_t;

typedef struct {
	es_btm_item_type_t item_type;
	bool legacy;
	bool managed;
	uid_t uid;
	es_string_token_t item_url;
	es_string_token_t app_url;
} es_btm_launch_item_t;

typedef struct {
	es_process_t *instigator; /* or NULL */
	es_process_t *app;	  /* or NULL */
	es_btm_launch_item_t *item;
	es_string_token_t executable_path;
	audit_token_t *instigator_token; /* or NULL */
	audit_token_t *app_token;	 /* or NULL */
} es_event_btm_launch_item_add_t;

typedef struct {
	es_process_t *instigator; /* or NULL */
	es_process_t *app;	  /* or NULL */
	es_btm_launch_item_t *item;
	audit_token_t *instigator_token; /* or NULL */
	audit_token_t *app_token;	 /* or NULL */
} es_event_btm_launch_item_remove_t;

typedef struct {
	es_string_token_t identifier;
	es_string_token_t uuid;
	es_profile_source_t install_source;
	es_string_token_t organization;
	es_string_token_t display_name;
	es_string_token_t scope;
} es_profile_t;

typedef struct {
	es_process_t *instigator; /* or NULL */
	bool is_update;
	es_profile_t *profile;
	audit_token_t instigator_token;
} es_event_profile_add_t;

typedef struct {
	es_process_t *instigator; /* or NULL */
	es_profile_t *profile;
	audit_token_t instigator_token;
} es_event_profile_remove_t;

typedef struct {
	bool success;
	es_string_token_t failure_message;
	uid_t from_uid;
	es_string_token_t from_username;
	bool has_to_uid;
	union {
		uid_t uid;
	} to_uid;
	es_string_token_t to_username;
	es_string_token_t shell;
	size_t argc;
	es_string_token_t *argv; /* or NULL */
	size_t env_count;
	es_string_token_t *env; /* or NULL */
} es_event_su_t;

typedef struct {
	es_string_token_t plugin_name;
	es_sudo_plugin_type_t plugin_type;
	es_string_token_t failure_message;
} es_sudo_reject_info_t;

typedef struct {
	bool success;
	es_sudo_reject_info_t *reject_info; /* or NULL */
	bool has_from_uid;
	union {
		uid_t uid;
	} from_uid;
	es_string_token_t from_username;
	bool has_to_uid;
	union {
		uid_t uid;
	} to_uid;
	es_string_token_t to_username;
	es_string_token_t command;
} es_event_sudo_t;

typedef struct {
	es_process_t *instigator; /* or NULL */
	es_process_t *petitioner; /* or NULL */
	uint32_t flags;
	size_t right_count;
	es_string_token_t *rights; /* or NULL */
	audit_token_t instigator_token;
	audit_token_t petitioner_token;
} es_event_authorization_petition_t;

typedef struct {
	es_string_token_t right_name;
	es_authorization_rule_class_t rule_class;
	bool granted;
} es_authorization_result_t;

typedef struct {
	es_process_t *instigator; /* or NULL */
	es_process_t *petitioner; /* or NULL */
	int return_code;
	size_t result_count;
	es_authorization_result_t *results; /* or NULL */
	audit_token_t instigator_token;
	audit_token_t petitioner_token;
} es_event_authorization_judgement_t;

typedef struct {
	es_od_member_type_t member_type;
	union {
		uuid_t uuid;
		es_string_token_t name;
	} member_value;
} es_od_member_id_t;

typedef struct {
	es_od_member_type_t member_type;
	size_t member_count;
	union {
		uuid_t *uuids;
		es_string_token_t *names;
	} member_array;
} es_od_member_id_array_t;

typedef struct {
	es_process_t *instigator; /* or NULL */
	int error_code;
	es_string_token_t group_name;
	es_od_member_id_t *member;
	es_string_token_t node_name;
	es_string_token_t db_path;
	audit_token_t instigator_token;
} es_event_od_group_add_t;

typedef struct {
	es_process_t *instigator; /* or NULL */
	int error_code;
	es_string_token_t group_name;
	es_od_member_id_t *member;
	es_string_token_t node_name;
	es_string_token_t db_path;
	audit_token_t instigator_token;
} es_event_od_group_remove_t;

typedef struct {
	es_process_t *instigator; /* or NULL */
	int error_code;
	es_string_token_t group_name;
	es_od_member_id_array_t *members;
	es_string_token_t node_name;
	es_string_token_t db_path;
	audit_token_t instigator_token;
} es_event_od_group_set_t;

typedef struct {
	es_process_t *instigator; /* or NULL */
	int error_code;
	es_od_account_type_t account_type;
	es_string_token_t account_name;
	es_string_token_t node_name;
	es_string_token_t db_path;
	audit_token_t instigator_token;
} es_event_od_modify_password_t;

typedef struct {
	es_process_t *instigator; /* or NULL */
	int error_code;
	es_string_token_t user_name;
	es_string_token_t node_name;
	es_string_token_t db_path;
	audit_token_t instigator_token;
} es_event_od_disable_user_t;

typedef struct {
	es_process_t *instigator; /* or NULL */
	int error_code;
	es_string_token_t user_name;
	es_string_token_t node_name;
	es_string_token_t db_path;
	audit_token_t instigator_token;
} es_event_od_enable_user_t;

typedef struct {
	es_process_t *instigator; /* or NULL */
	int error_code;
	es_od_record_type_t record_type;
	es_string_token_t record_name;
	es_string_token_t attribute_name;
	es_string_token_t attribute_value;
	es_string_token_t node_name;
	es_string_token_t db_path;
	audit_token_t instigator_token;
} es_event_od_attribute_value_add_t;

typedef struct {
	es_process_t *instigator; /* or NULL */
	int error_code;
	es_od_record_type_t record_type;
	es_string_token_t record_name;
	es_string_token_t attribute_name;
	es_string_token_t attribute_value;
	es_string_token_t node_name;
	es_string_token_t db_path;
	audit_token_t instigator_token;
} es_event_od_attribute_value_remove_t;

typedef struct {
	es_process_t *instigator; /* or NULL */
	int error_code;
	es_od_record_type_t record_type;
	es_string_token_t record_name;
	es_string_token_t attribute_name;
	size_t attribute_value_count;
	es_string_token_t *attribute_values; /* or NULL */
	es_string_token_t node_name;
	es_string_token_t db_path;
	audit_token_t instigator_token;
} es_event_od_attribute_set_t;

typedef struct {
	es_process_t *instigator; /* or NULL */
	int error_code;
	es_string_token_t user_name;
	es_string_token_t node_name;
	es_string_token_t db_path;
	audit_token_t instigator_token;
} es_event_od_create_user_t;

typedef struct {
	es_process_t *instigator; /* or NULL */
	int error_code;
	es_string_token_t group_name;
	es_string_token_t node_name;
	es_string_token_t db_path;
	audit_token_t instigator_token;
} es_event_od_create_group_t;

typedef struct {
	es_process_t *instigator; /* or NULL */
	int error_code;
	es_string_token_t user_name;
	es_string_token_t node_name;
	es_string_token_t db_path;
	audit_token_t instigator_token;
} es_event_od_delete_user_t;

typedef struct {
	es_process_t *instigator; /* or NULL */
	int error_code;
	es_string_token_t group_name;
	es_string_token_t node_name;
	es_string_token_t db_path;
	audit_token_t instigator_token;
} es_event_od_delete_group_t;

typedef struct {
	es_string_token_t service_name;
	es_xpc_domain_type_t service_domain_type;
} es_event_xpc_connect_t;

typedef struct {
	es_cdhash_t cdhash;
	es_string_token_t signing_id;
	es_string_token_t team_id;
} es_signed_file_info_t;

typedef struct {
	es_gatekeeper_user_override_file_type_t file_type;
	union {
		es_string_token_t file_path;
		es_file_t *file;
	} file;
	es_sha256_t *sha256;		     /* or NULL */
	es_signed_file_info_t *signing_info; /* or NULL */
} es_event_gatekeeper_user_override_t;

typedef struct {
	es_string_token_t service;
	es_string_token_t identity;
	es_tcc_identity_type_t identity_type;
	es_tcc_event_type_t update_type;
	audit_token_t instigator_token;
	es_process_t *instigator;	  /* or NULL */
	audit_token_t *responsible_token; /* or NULL */
	es_process_t *responsible;	  /* or NULL */
	es_tcc_authorization_right_t right;
	es_tcc_authorization_reason_t reason;
} es_event_tcc_modify_t;

typedef struct {
	es_string_token_t team_id;
	es_string_token_t signing_id;
} es_lightweight_code_requirement_t;

typedef struct {
	es_process_t *instigator; /* or NULL */
	audit_token_t instigator_token;
	es_string_token_t service_name;
} es_event_bootstrap_check_in_t;

typedef struct {
	es_process_t *instigator; /* or NULL */
	audit_token_t instigator_token;
	es_string_token_t service_name;
	es_bootstrap_target_type_t target_type;
	union {
		struct {
			es_process_t *target; /* or NULL */
			audit_token_t target_token;
			es_string_token_t job_label;
		} process;
		struct {
			es_string_token_t job_label;
			es_lightweight_code_requirement_t *lwcr; /* or NULL */
		} job;
	} target;
} es_event_bootstrap_look_up_t;

#ifdef __cplusplus
}
#endif

#endif
