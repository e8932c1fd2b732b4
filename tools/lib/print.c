/* SPDX-License-Identifier: Apache-2.0
 *
 * Columns, JSON and times as the tools write them. See print.h.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/str.h"
#include "tools/lib/print.h"

int print_json(const struct verb *verb, const json_t *document)
{
	if (!document || json_dumpf(document, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY) < 0)
		return verb_failed(verb, "cannot write JSON: %s", strerror(errno ? errno : ENOMEM));
	putchar('\n');
	return VERB_DONE;
}

const char *print_clean(const char *text, char *buffer, size_t bytes)
{
	size_t n = 0;

	if (!text || !*text)
		text = "-";
	for (; *text && n + 1 < bytes; text++) {
		unsigned char c = (unsigned char)*text;
		/* C1 controls, as UTF-8, move a terminal's cursor as well as C0 ones do. */
		bool c1 = c == 0xc2 && (unsigned char)text[1] >= 0x80 &&
			(unsigned char)text[1] < 0xa0;

		buffer[n++] = c < 0x20 || c == 0x7f || c1 ? '?' : (char)c;
		if (c1)
			text++;
	}
	buffer[n] = 0;
	return buffer;
}

struct print_table {
	size_t n_columns, n_rows;
	char ***rows;
};

struct print_table *print_table_free(struct print_table *table)
{
	if (!table)
		return NULL;
	for (size_t row = 0; row < table->n_rows; row++) {
		for (size_t i = 0; i < table->n_columns; i++)
			free(table->rows[row][i]);
		free(table->rows[row]);
	}
	free(table->rows);
	free(table);
	return NULL;
}

struct print_table *print_table_new(size_t n_columns, const char *const *titles)
{
	struct print_table *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	table->n_columns = n_columns;
	if (titles && print_table_add(table, titles) < 0)
		return print_table_free(table);
	return table;
}

int print_table_add(struct print_table *table, const char *const *cells)
{
	char ***rows = reallocarray(table->rows, table->n_rows + 1, sizeof(*rows));
	char **row;

	if (!rows)
		return -ENOMEM;
	table->rows = rows;
	row = calloc(table->n_columns, sizeof(*row));
	if (!row)
		return -ENOMEM;
	table->rows[table->n_rows++] = row;
	for (size_t i = 0; i < table->n_columns; i++) {
		char clean[4096];

		row[i] = strdup(print_clean(cells[i], clean, sizeof(clean)));
		if (!row[i])
			return -ENOMEM;
	}
	return 0;
}

/* Columns count characters, not bytes: names are UTF-8. */
static size_t width_of(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

static size_t column_width(const struct print_table *table, size_t column)
{
	size_t widest = 0;

	for (size_t row = 0; row < table->n_rows; row++) {
		size_t width = table->rows[row][column] ? width_of(table->rows[row][column]) : 0;

		widest = width > widest ? width : widest;
	}
	return widest;
}

void print_table_show(const struct print_table *table)
{
	for (size_t row = 0; row < table->n_rows; row++) {
		for (size_t i = 0; i < table->n_columns; i++) {
			const char *cell = str_or(table->rows[row][i], "-");
			size_t pad = column_width(table, i) - width_of(cell);

			if (i + 1 == table->n_columns)
				printf("%s\n", cell);
			else
				printf("%s%*s  ", cell, (int)pad, "");
		}
	}
}

uint64_t print_now_usec(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

const char *print_ago(uint64_t usec, uint64_t now_usec, char *buffer, size_t bytes)
{
	static const struct {
		uint64_t seconds;
		const char *name;
	} units[] = { { 86400, "day" }, { 3600, "hour" }, { 60, "minute" }, { 1, "second" } };
	uint64_t seconds = now_usec > usec ? (now_usec - usec) / 1000000 : 0;

	if (usec == 0)
		return "-";
	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		uint64_t n = seconds / units[i].seconds;

		if (n == 0)
			continue;
		snprintf(buffer, bytes, "%llu %s%s ago", (unsigned long long)n, units[i].name,
			n == 1 ? "" : "s");
		return buffer;
	}
	return "just now";
}
