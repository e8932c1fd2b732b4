/* SPDX-License-Identifier: Apache-2.0
 *
 * Test only: a manager behind the D-Bus server that holds two extensions and one request in plain
 * variables, so that the server and the tools can be tested without a registry, and each call has
 * one visible effect.
 *
 * Extensions: org.example.agent of team EXAMPLETM1, waiting for approval; org.example.filter,
 * running. Approving, denying, enabling and disabling change the state; activating
 * "/opt/Refused.app" is refused by rule internal.error; activating
 * "/opt/Waiting.app" begins a request that stays open; any other app one that completes at once. The broker of
 * Endpoint Security runs in developer mode alone.
 */
#ifndef OB_MANAGER_CONTROL_DOUBLE_H
#define OB_MANAGER_CONTROL_DOUBLE_H

#include <stdbool.h>
#include <sys/types.h>
#include <systemd/sd-bus.h>

#define DOUBLE_AGENT "0b5f1c9e-7a57-4a55-9d5c-6e1b0d9f1a01"
#define DOUBLE_FILTER "0b5f1c9e-7a57-4a55-9d5c-6e1b0d9f1a02"

#define DOUBLE_REPORT                                                                                           \
	"{\"outboard_esd\":{\"pid\":77,\"generation\":1,\"fail_mode\":\"open\",\"sources\":"                    \
	"[\"tracepoints\",\"one more\"]},\"clients\":[{\"name\":\"org.example.filter\",\"pid\":4242,\"uid\":0," \
	"\"state\":\"watching\",\"sent\":9000000001,\"dropped\":3,\"subscriptions\":[\"NOTIFY_EXEC\"],"         \
	"\"muted\":{\"processes\":1,\"paths\":2,\"prefixes\":5,\"target_paths\":4}}],"                          \
	"\"counters\":{\"unasked\":12,\"another\":13},\"events\":["                                             \
	"{\"event\":\"NOTIFY_EXEC\",\"does\":\"tell\",\"available\":true,\"source\":\"a tracepoint\","          \
	"\"imprecise\":\"some of it\",\"reason\":null,\"clients\":1},"                                          \
	"{\"event\":\"AUTH_MMAP\",\"does\":\"ask\",\"available\":false,\"reason\":\"not yet\",\"clients\":0}]," \
	"\"misses\":[{\"when\":1700000000000000,\"client\":\"org.example.filter\",\"pid\":4242,"                \
	"\"event\":\"AUTH_EXEC\",\"path\":\"/bin/x\\u001b[31m\",\"code\":\"no answer\","                        \
	"\"outcome\":\"allowed\"}]}\n"

/* Fork a server on a fresh control.sock under @root; returns when it listens. Its pid, or -errno. */
pid_t double_start(const char *root, bool system_bus);
/* And removes @root. False: it did not end as it should, or had crashed before. */
bool double_stop(pid_t pid, const char *root);

/* A client of that server: a socket, or D-Bus on it with descriptors. -1, NULL. */
int double_connect_raw(const char *root);
sd_bus *double_connect(const char *root);

#endif
