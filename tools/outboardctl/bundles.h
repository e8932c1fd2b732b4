/* SPDX-License-Identifier: Apache-2.0
 *
 * What the verbs about bundles have in common: they work without outboardd.
 */
#ifndef OB_TOOLS_OUTBOARDCTL_BUNDLES_H
#define OB_TOOLS_OUTBOARDCTL_BUNDLES_H

#include "bundle/bundle.h"
#include "bundle/sign/key.h"
#include "tools/lib/verb.h"

/* Open "path/X.app/": its descriptor and its own name. VERB_FAILED with a message. */
int bundles_open(const struct verb *verb, const char *path, int *ret_fd, char ret_name[static 256]);

/* For struct verb_option: the number of a descriptor, into the int that is the context. -EINVAL. */
int bundles_take_fd(void *context, const char *value);
/* The key in @path; asks for the passphrase on the terminal, or reads it from @passphrase_fd, -1: none. */
int bundles_key(
	const struct verb *verb, const char *path, int passphrase_fd, struct secret_key *ret);
/* One line from the terminal, unseen, or from the descriptor. Yours: overwrite and free(3). NULL: none. */
char *bundles_passphrase(const char *prompt, int passphrase_fd);

/* A refusal: sentence, rule, and how to mend it; or its JSON. VERB_FAILED. */
int bundles_refused(const struct verb *verb, const struct wire_error *error, bool json);

#endif
