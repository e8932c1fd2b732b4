/* SPDX-License-Identifier: Apache-2.0
 *
 * What lies in a ring, as a record: it is taken or it is not, and what is taken can be read to the
 * last byte, kept, and read again when the ring has gone on.
 */
#include <stdlib.h>
#include <string.h>
#include "endpoint/lib/lib.h"
#include "fuzz/fuzz.h"

static volatile unsigned sum; /* so that what is read is not optimized away */

static void read_token(es_string_token_t token)
{
	size_t i;

	for (i = 0; i <= token.length; i++) /* with its NUL */
		sum += (unsigned char)token.data[i];
	if (token.data[token.length] != '\0')
		abort();
}

static void read_process(const es_process_t *process)
{
	read_token(process->executable->path);
	read_token(process->signing_id);
	read_token(process->team_id);
}

static void read_message(const es_message_t *message)
{
	const es_event_exec_t *exec = &message->event.exec;
	uint32_t i, n;

	read_process(message->process);
	if (message->event_type == ES_EVENT_TYPE_NOTIFY_FORK)
		read_process(message->event.fork.child);
	if (message->event_type != ES_EVENT_TYPE_NOTIFY_EXEC)
		return;
	read_process(exec->target);
	read_token(exec->cwd->path);
	for (i = 0, n = es_exec_arg_count(exec); i <= n; i++)
		read_token(es_exec_arg(exec, i));
	for (i = 0, n = es_exec_env_count(exec); i <= n; i++)
		read_token(es_exec_env(exec, i));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct box *box = box_new();
	char *ring = malloc(bytes ? bytes : 1); /* exactly as large: a step beyond is seen */

	if (!box || !ring)
		abort();
	memcpy(ring, data, bytes);
	if (box_fill(box, ring, bytes) == 0) {
		read_message(&box->message);
		es_retain_message(&box->message);
		memset(ring, 0xff, bytes);
		read_message(&box->message);
		es_release_message(&box->message);
	}
	free(ring);
	box_unref(box);
	return 0;
}
