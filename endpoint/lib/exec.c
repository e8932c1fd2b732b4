/* SPDX-License-Identifier: Apache-2.0
 *
 * What a program is started with: arguments, environment, descriptors.
 */
#include <string.h>
#include "endpoint/lib/lib.h"

static const char nothing[] = "";

static const struct box *box_of_exec(const es_event_exec_t *event)
{
	return box_of(container_of((es_event_exec_t *)(uintptr_t)event, es_message_t, event.exec));
}

/* The string at *at, which moves behind it: each ends with a NUL before the last, which is ours. */
static bool next_string(const char **at, const char *end, es_string_token_t *ret)
{
	const char *nul = end > *at ? (const char *)memchr(*at, '\0', (size_t)(end - *at)) : NULL;

	if (!nul)
		return false; /* a last one that was cut is none */
	*ret = (es_string_token_t){ (size_t)(nul - *at), *at };
	*at = nul + 1;
	return true;
}

/* The string number @index, or how many there are. */
static uint32_t walk_strings(
	const es_event_exec_t *event, enum es_blob blob, uint32_t index, es_string_token_t *ret)
{
	const struct box *box = box_of_exec(event);
	es_string_token_t token;
	const char *at, *end;
	uint32_t n = 0;

	if (!box || box->blob_bytes[blob] == 0)
		return 0;
	at = box->blobs[blob];
	end = at + box->blob_bytes[blob] - 1;
	while (next_string(&at, end, &token)) {
		if (n++ == index) {
			*ret = token;
			break;
		}
	}
	return n;
}

static uint32_t count_strings(const es_event_exec_t *event, enum es_blob blob)
{
	return walk_strings(event, blob, UINT32_MAX, NULL);
}

static es_string_token_t string_at(const es_event_exec_t *event, enum es_blob blob, uint32_t index)
{
	es_string_token_t token = { 0, nothing };

	walk_strings(event, blob, index, &token);
	return token;
}

ob_export uint32_t es_exec_arg_count(const es_event_exec_t *event)
{
	return count_strings(event, ES_BLOB_ARGUMENTS);
}

ob_export es_string_token_t es_exec_arg(const es_event_exec_t *event, uint32_t index)
{
	return string_at(event, ES_BLOB_ARGUMENTS, index);
}

ob_export uint32_t es_exec_env_count(const es_event_exec_t *event)
{
	return count_strings(event, ES_BLOB_ENVIRONMENT);
}

ob_export es_string_token_t es_exec_env(const es_event_exec_t *event, uint32_t index)
{
	return string_at(event, ES_BLOB_ENVIRONMENT, index);
}

ob_export uint32_t es_exec_fd_count(const es_event_exec_t *event)
{
	const struct box *box = box_of_exec(event);

	return box ? box->n_descriptors : 0;
}

ob_export const es_fd_t *es_exec_fd(const es_event_exec_t *event, uint32_t index)
{
	const struct box *box = box_of_exec(event);

	return box && index < box->n_descriptors ? &box->descriptors[index] : NULL;
}

ob_export xpc_object_t es_exec_entitlements(const es_event_exec_t *event)
{
	return NULL;
}
