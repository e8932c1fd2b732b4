/* SPDX-License-Identifier: Apache-2.0
 *
 * A command line tool is a table of verbs, and each verb a table of options: this walks both, so
 * that every tool of ours reads its words, names the bad one and exits in the same way.
 */
#ifndef OB_TOOLS_LIB_VERB_H
#define OB_TOOLS_LIB_VERB_H

#include <stdbool.h>
#include <stddef.h>
#include "base/macros.h"

/* What a verb returns is the exit status. Promised in the manual. */
enum { VERB_DONE = 0, VERB_FAILED = 1, VERB_USAGE = 2 };

struct verb {
	const char *name;
	const char *arguments; /* as in the manual's SYNOPSIS: "ID [--json]" */
	const char *help;      /* one line, lower case, no full stop */
	/* argv[0] is the verb's name; the array ends in NULL and is the verb's to reorder */
	int (*run)(const struct verb *verb, int argc, char **argv);
};

struct tool {
	const char *name;
	const struct verb *verbs;
	size_t n_verbs;
	const char *otherwise; /* the verb that no arguments mean; NULL: usage */
};

/* Finds and runs the verb; `help`, `--help` and `--version` are every tool's. The exit status. */
int verb_main(const struct tool *tool, int argc, char **argv);

/* One option of a verb. A flag sets *flag; one with a value sets *value, borrowed from argv. */
struct verb_option {
	const char *name; /* "--json" */
	bool *flag;
	const char **value;			       /* both "--since X" and "--since=X" */
	int (*take)(void *context, const char *value); /* instead of *value: may come repeatedly */
	void *context;
};

/**
 * verb_parse() - take the options out of @argv and count the words that remain
 * @argv:    on success argv[1] to argv[*ret_words] are the words, and *ret_words + 1 is NULL
 * @max:     more words than that are refused, by the first one too many
 * @ret_words: may be NULL
 *
 * Options stand anywhere; "--" ends them. 0, or VERB_USAGE after the bad word was named and the
 * verb's own line of usage printed, never the whole help.
 */
int verb_parse(const struct verb *verb, int argc, char **argv, const struct verb_option *options,
	size_t n_options, int min, int max, int *ret_words);

/* "outboardctl show: what is 'frob'?" and the verb's usage line, on standard error. VERB_USAGE. */
int verb_usage(const struct verb *verb, const char *format, ...) ob_printf(2, 3);
/* "outboardctl show: …" on standard error. VERB_FAILED. */
int verb_failed(const struct verb *verb, const char *format, ...) ob_printf(2, 3);

const char *verb_tool_name(void);

#endif
