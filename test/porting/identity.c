/* SPDX-License-Identifier: Apache-2.0
 *
 * As a macOS author asks who somebody is: every accessor of an audit token, code signing flags,
 * entitlements as XPC values, tokens as keys, a client of the descendants.
 */
#include <EndpointSecurity/EndpointSecurity.h>
#include <bsm/libbsm.h>
#include <kern/cs_blobs.h>
#include <mach/machine.h>
#include <mach/message.h>
#include <os/availability.h>
#include <stdio.h>
#include <stdlib.h>
#include <xpc/xpc.h>

static void print_token(audit_token_t token)
{
	uid_t auid, euid, ruid;
	gid_t egid, rgid;
	pid_t pid;
	au_asid_t asid;
	au_tid_t tid;

	audit_token_to_au32(token, &auid, &euid, &egid, &ruid, &rgid, &pid, &asid, &tid);
	printf("auid %u euid %u egid %u ruid %u rgid %u pid %d asid %d version %d %s\n", auid, euid,
		egid, ruid, rgid, pid, asid, audit_token_to_pidversion(token),
		auid == AU_DEFAUDITID ? "no login" : "");
	if (audit_token_to_auid(token) != auid || audit_token_to_euid(token) != euid ||
		audit_token_to_egid(token) != egid || audit_token_to_ruid(token) != ruid ||
		audit_token_to_rgid(token) != rgid || audit_token_to_asid(token) != asid)
		abort();
}

static bool same_process(const audit_token_t *a, const audit_token_t *b)
{
	return memcmp(a, b, sizeof(audit_token_t)) == 0 &&
		audit_token_to_pid(*a) == audit_token_to_pid(*b);
}

static const char *describe(uint32_t flags)
{
	if (flags & CS_PLATFORM_BINARY)
		return "platform";
	if (flags & CS_ADHOC)
		return "ad hoc";
	if ((flags & (CS_SIGNED | CS_VALID)) == (CS_SIGNED | CS_VALID))
		return flags & CS_RUNTIME ? "signed, hardened" : "signed";
	return flags & (CS_HARD | CS_KILL) ? "enforced" : "unsigned";
}

static void print_entitlements(const es_event_exec_t *event)
{
	xpc_object_t entitlements = es_exec_entitlements(event);

	if (entitlements == NULL || xpc_get_type(entitlements) != XPC_TYPE_DICTIONARY)
		return;
	xpc_dictionary_apply(entitlements, ^bool(const char *key, xpc_object_t value) {
	  if (xpc_get_type(value) == XPC_TYPE_BOOL)
		  printf("  %s: %s\n", key, xpc_bool_get_value(value) ? "true" : "false");
	  else if (xpc_get_type(value) == XPC_TYPE_STRING)
		  printf("  %s: %s\n", key, xpc_string_get_string_ptr(value));
	  return true;
	});
	if (xpc_dictionary_get_bool(entitlements, "com.apple.security.get-task-allow"))
		printf("  can be debugged\n");
	xpc_release(entitlements);
}

int main(void)
{
	es_client_t *client;
	es_event_type_t event = ES_EVENT_TYPE_NOTIFY_EXEC;
	uuid_t uuid = { 0 };
	user_addr_t address = 0;
	user_size_t size = sizeof(uuid);
	cpu_type_t cpu = CPU_TYPE_ANY;
	cpu_subtype_t subtype = CPU_SUBTYPE_MASK;
	acl_t acl = NULL;

	if (es_new_descendants_client(&client, ^(es_client_t *c, const es_message_t *msg) {
	      const es_process_t *target = msg->event.exec.target;

	      print_token(target->audit_token);
	      printf("%s %s\n", describe(target->codesigning_flags),
		      same_process(&target->audit_token, &msg->process->audit_token) ? "same"
										     : "new");
	      print_entitlements(&msg->event.exec);
	      es_mute_process(c, &target->audit_token);
	    }) != ES_NEW_CLIENT_RESULT_SUCCESS)
		return EXIT_FAILURE;
	(void)address, (void)size, (void)cpu, (void)subtype, (void)acl;
	return es_subscribe(client, &event, 1) == ES_RETURN_SUCCESS ? EXIT_SUCCESS : EXIT_FAILURE;
}
