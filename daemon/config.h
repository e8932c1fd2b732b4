/* SPDX-License-Identifier: Apache-2.0
 *
 * /etc/outboard/outboard.conf, then the *.conf of conf.d: `[section] key = value`, one table of keys for all
 * daemons (config-keys.def). A file that is not valid is refused whole, with file, line and what is
 * allowed; nothing starts on half a configuration.
 */
#ifndef OB_DAEMON_CONFIG_H
#define OB_DAEMON_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include "base/macros.h"

#define CONFIG_VALUE_BYTES 1024

enum config_type {
	CONFIG_TEXT,   /* anything */
	CONFIG_PATHS,  /* absolute paths, separated by blanks */
	CONFIG_BOOL,   /* yes, no */
	CONFIG_NUMBER, /* min to max */
	CONFIG_BYTES,  /* the same with K, M, G */
	CONFIG_WORD,   /* one word of the list in `allowed` */
	CONFIG_WORDS,  /* words of the list in `allowed`, separated by blanks */
};

enum config_id {
#define CONFIG_KEY(id, section, key, type, fallback, min, max, allowed, help) CONFIG_##id,
#include "daemon/config-keys.def"
#undef CONFIG_KEY
	CONFIG_MAX_
};

struct config;

/* -EINVAL: @problem says file, line, what is wrong and what is allowed. No file at all is valid. */
int config_load(struct config **ret, char problem[static 1024]);
struct config *config_free(struct config *config);
DEFINE_CLEANUP(struct config, config_free)

const char *config_text(const struct config *config, enum config_id id);
uint64_t config_number(const struct config *config, enum config_id id);
bool config_bool(const struct config *config, enum config_id id);

/* For `outboardctl config`: the key, what holds, and "default" or "FILE:LINE". */
void config_describe(const struct config *config, enum config_id id, const char **ret_section,
	const char **ret_key, const char **ret_value, const char **ret_source);
const char *config_help(enum config_id id);

#endif
