/* SPDX-License-Identifier: Apache-2.0
 *
 * The walk over a tool's verbs and a verb's options. See verb.h.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include "base/str.h"
#include "tools/lib/verb.h"

static const struct tool *this_tool;

const char *verb_tool_name(void)
{
	return this_tool ? this_tool->name : "outboardctl";
}

static void print_usage(FILE *out, const struct verb *verb)
{
	fprintf(out, "usage: %s %s%s%s\n", verb_tool_name(), verb->name,
		*verb->arguments ? " " : "", verb->arguments);
}

static void ob_printf(2, 0) say(const struct verb *verb, const char *format, va_list args)
{
	fprintf(stderr, "%s %s: ", verb_tool_name(), verb->name);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
}

int verb_usage(const struct verb *verb, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(verb, format, args);
	va_end(args);
	print_usage(stderr, verb);
	return VERB_USAGE;
}

int verb_failed(const struct verb *verb, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(verb, format, args);
	va_end(args);
	return VERB_FAILED;
}

static int verb_help(void)
{
	printf("usage: %s [VERB] [ARGUMENTS]\n", this_tool->name);
	if (this_tool->otherwise)
		printf("Without a verb: %s.\n", this_tool->otherwise);
	putchar('\n');
	for (size_t i = 0; i < this_tool->n_verbs; i++) {
		const struct verb *verb = &this_tool->verbs[i];
		int bytes = printf(
			"  %s%s%s", verb->name, *verb->arguments ? " " : "", verb->arguments);

		if (bytes > 32)
			printf("\n%-34s%s\n", "", verb->help);
		else
			printf("%*s%s\n", 34 - bytes, "", verb->help);
	}
	return VERB_DONE;
}

static const struct verb *verb_find(const char *name)
{
	for (size_t i = 0; i < this_tool->n_verbs; i++)
		if (streq(this_tool->verbs[i].name, name))
			return &this_tool->verbs[i];
	return NULL;
}

/* `show --help` */
static bool asks_for_help(int argc, char **argv)
{
	for (int i = 1; i < argc && !streq(argv[i], "--"); i++)
		if (streq(argv[i], "--help"))
			return true;
	return false;
}

static int verb_run(const char *name, int argc, char **argv)
{
	const struct verb *verb = verb_find(name);
	int r;

	if (!verb) {
		fprintf(stderr, "%s: '%s' is not a verb; '%s help' lists them\n", this_tool->name,
			name, this_tool->name);
		return VERB_USAGE;
	}
	if (asks_for_help(argc, argv)) {
		print_usage(stdout, verb);
		printf("  %s\n", verb->help);
		r = VERB_DONE;
	} else {
		r = verb->run(verb, argc, argv);
	}
	/* A full disk or a closed pipe behind standard output is a failure, not a success. */
	if ((fflush(stdout) != 0 || ferror(stdout)) && r == VERB_DONE)
		r = verb_failed(verb, "cannot write the output: %s", strerror(errno));
	return r;
}

int verb_main(const struct tool *tool, int argc, char **argv)
{
	this_tool = tool;
	if (argc > 1 && (streq(argv[1], "help") || streq(argv[1], "--help")))
		return verb_help();
	if (argc > 1 && streq(argv[1], "--version")) {
		printf("%s %s\n", tool->name, OUTBOARD_VERSION);
		return VERB_DONE;
	}
	if (argc > 1 && argv[1][0] != '-')
		return verb_run(argv[1], argc - 1, argv + 1);
	if (tool->otherwise)
		return verb_run(tool->otherwise, argc, argv);
	if (argc > 1) {
		fprintf(stderr, "%s: '%s' is not a verb; '%s help' lists them\n", tool->name,
			argv[1], tool->name);
		return VERB_USAGE;
	}
	verb_help();
	return VERB_USAGE;
}

static const struct verb_option *option_find(
	const struct verb_option *options, size_t n_options, const char *word)
{
	for (size_t i = 0; i < n_options; i++) {
		size_t n = strlen(options[i].name);

		if (strncmp(word, options[i].name, n) == 0 && (word[n] == 0 || word[n] == '='))
			return &options[i];
	}
	return NULL;
}

/* The value stands behind '=' or is the next word, which is then taken too. */
static int option_take(
	const struct verb *verb, const struct verb_option *option, char **argv, int *at)
{
	const char *equals = strchr(argv[*at], '=');
	const char *value = equals ? equals + 1 : NULL;

	if (option->flag) {
		if (value)
			return verb_usage(verb, "%s takes no value", option->name);
		*option->flag = true;
		return 0;
	}
	if (!value)
		value = argv[*at + 1] ? argv[++*at] : NULL;
	if (!value)
		return verb_usage(verb, "%s needs a value", option->name);
	if (option->take)
		return option->take(option->context, value) < 0
			? verb_usage(verb, "'%s' is no value of %s", value, option->name)
			: 0;
	*option->value = value;
	return 0;
}

int verb_parse(const struct verb *verb, int argc, char **argv, const struct verb_option *options,
	size_t n_options, int min, int max, int *ret_words)
{
	bool only_words = false;
	int n_words = 0;

	for (int i = 1; i < argc; i++) {
		char *word = argv[i];
		const struct verb_option *option;
		int r;

		if (!only_words && streq(word, "--")) {
			only_words = true;
			continue;
		}
		if (only_words || word[0] != '-' || word[1] == 0) {
			if (n_words == max)
				return verb_usage(verb, "what is '%s'?", word);
			argv[++n_words] = word;
			continue;
		}
		option = option_find(options, n_options, word);
		if (!option)
			return verb_usage(verb, "what is '%s'?", word);
		r = option_take(verb, option, argv, &i);
		if (r != 0)
			return r;
	}
	if (n_words < min)
		return verb_usage(verb, "something is missing");
	argv[n_words + 1] = NULL;
	if (ret_words)
		*ret_words = n_words;
	return 0;
}
