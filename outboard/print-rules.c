/* SPDX-License-Identifier: Apache-2.0
 *
 * Prints the manual page ob_error(7) from the table of rules, so that it cannot say anything else
 * than the daemons.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include "base/macros.h"
#include "base/rules.h"

static const char head[] = ".\\\" SPDX-License-Identifier: Apache-2.0\n"
			   ".\\\" Made from base/rules.def by outboard/print-rules.c.\n"
			   ".Dd November 24, 2026\n"
			   ".Dt OB_ERROR 7\n"
			   ".Os\n"
			   ".Sh NAME\n"
			   ".Nm ob_error\n"
			   ".Nd every way in which Outboard says no\n"
			   ".Sh DESCRIPTION\n"
			   "An error of Outboard has a code, Apple's number in the domain\n"
			   ".Dq OSSystemExtensionErrorDomain ,\n"
			   "and a stage and a rule, which say exactly what refused.\n"
			   "Stages and rules are promised names: none is ever renamed.\n"
			   "Programs read them by\n"
			   ".Xr ob_error 3 ;\n"
			   "tools print them.\n"
			   "In the sentences below\n"
			   ".Ar object\n"
			   "and\n"
			   ".Ar detail\n"
			   "stand for what the error is about.\n";

static const char tail[] = ".Sh SEE ALSO\n"
			   ".Xr ob_error 3\n";

static void put(const char *text, const char *const *arguments)
{
	bool first = true;

	for (; *text; text++) {
		if (text[0] == '%' && text[1] == 's') {
			fputs(*arguments, stdout);
			if (arguments[1])
				arguments++;
			text++;
		} else if (text[0] == '%' && text[1] == '%') {
			putchar('%');
			text++;
		} else if (*text == '\\') {
			fputs("\\e", stdout);
		} else if (first && (*text == '.' || *text == '\'')) {
			printf("\\&%c", *text);
		} else if (text[0] == '.' && text[1] == ' ' && text[2] >= 'A' && text[2] <= 'Z') {
			/* a new sentence is a new line */
			fputs(".\n", stdout);
			text++;
			continue;
		} else {
			putchar(*text);
		}
		first = false;
	}
	putchar('\n');
}

static void print_rule(const struct rule *rule)
{
	static const char *const sentence[] = { "\\fIobject\\fR", "\\fIdetail\\fR", NULL };
	static const char *const recovery[] = { "\\fIobject\\fR", NULL };

	printf(".It Sy %s Pq code %d\n", rule->rule, (int)rule->code);
	put(rule->sentence, sentence);
	if (!rule->recovery || !*rule->recovery)
		return;
	puts(".br");
	put(rule->recovery, recovery);
}

static bool is_first_of_stage(size_t i)
{
	for (size_t before = 0; before < i; before++)
		if (strcmp(rule_get((enum rule_id)before)->stage,
			    rule_get((enum rule_id)i)->stage) == 0)
			return false;
	return true;
}

static void print_stage(size_t from)
{
	const char *stage = rule_get((enum rule_id)from)->stage;

	printf(".Ss Stage \"%s\"\n.Bl -tag -width Ds\n", stage);
	for (size_t i = from; i < RULE_MAX_; i++)
		if (strcmp(rule_get((enum rule_id)i)->stage, stage) == 0)
			print_rule(rule_get((enum rule_id)i));
	puts(".El");
}

int main(void)
{
	fputs(head, stdout);
	for (size_t i = 0; i < RULE_MAX_; i++)
		if (is_first_of_stage(i))
			print_stage(i);
	fputs(tail, stdout);
	return fflush(stdout) || ferror(stdout);
}
