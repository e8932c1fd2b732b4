/* SPDX-License-Identifier: Apache-2.0
 *
 * ob_error_t: what a daemon said of a refusal, kept for the app.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "outboard/internal.h"

struct ob_error_s {
	atomic_uint n_references;
	struct wire_error wire;
	bool constant;
};

static struct ob_error_s no_memory = {
	.wire = {
		.code = CODE_UNKNOWN,
		.domain = "OSSystemExtensionErrorDomain",
		.stage = "internal",
		.rule = "internal.error",
		.description = "There is no memory to hold the error that came.",
		.recovery = "See 'outboardctl log'; the request can be made again.",
		.evidence = "{}",
	},
	.constant = true,
};

const ob_error_t *error_of_wire(const struct wire_error *wire)
{
	ob_error_t *error = malloc(sizeof *error);

	if (!error)
		return &no_memory;
	atomic_init(&error->n_references, 1);
	error->constant = false;
	error->wire = *wire;
	error->wire.domain[sizeof wire->domain - 1] = '\0';
	error->wire.stage[sizeof wire->stage - 1] = '\0';
	error->wire.rule[sizeof wire->rule - 1] = '\0';
	error->wire.description[sizeof wire->description - 1] = '\0';
	error->wire.recovery[sizeof wire->recovery - 1] = '\0';
	error->wire.evidence[sizeof wire->evidence - 1] = '\0';
	return error;
}

ob_export const char *ob_error_get_domain(const ob_error_t *error)
{
	return error ? error->wire.domain : "";
}

ob_export int ob_error_get_code(const ob_error_t *error)
{
	return error ? error->wire.code : 0;
}

ob_export const char *ob_error_get_localized_description(const ob_error_t *error)
{
	return error ? error->wire.description : "";
}

ob_export const char *ob_error_get_recovery_suggestion(const ob_error_t *error)
{
	return error && error->wire.recovery[0] ? error->wire.recovery : NULL;
}

ob_export const char *ob_error_get_stage(const ob_error_t *error)
{
	return error ? error->wire.stage : "";
}

ob_export const char *ob_error_get_rule(const ob_error_t *error)
{
	return error ? error->wire.rule : "";
}

ob_export const char *ob_error_get_evidence(const ob_error_t *error)
{
	return error && error->wire.evidence[0] ? error->wire.evidence : "{}";
}

ob_export ob_error_t *ob_error_retain(const ob_error_t *error)
{
	ob_error_t *kept = (ob_error_t *)(uintptr_t)error;

	if (kept && !kept->constant)
		atomic_fetch_add_explicit(&kept->n_references, 1, memory_order_relaxed);
	return kept;
}

ob_export ob_error_t *ob_error_release(ob_error_t *error)
{
	if (error && !error->constant &&
		atomic_fetch_sub_explicit(&error->n_references, 1, memory_order_acq_rel) == 1)
		free(error);
	return NULL;
}
