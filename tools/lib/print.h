/* SPDX-License-Identifier: Apache-2.0
 *
 * What tools write: aligned columns for people, one JSON document for programs. Text that came from
 * a bundle or a log is never sent to a terminal raw: control characters become '?'.
 */
#ifndef OB_TOOLS_LIB_PRINT_H
#define OB_TOOLS_LIB_PRINT_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include "tools/lib/verb.h"

/* One document and a newline on standard output. VERB_DONE, or VERB_FAILED when it cannot be made. */
int print_json(const struct verb *verb, const json_t *document);

/* A copy of @text that a terminal can show: no control characters; "-" for NULL and "". */
const char *print_clean(const char *text, char *buffer, size_t bytes);
#define PRINT_CLEAN(text) print_clean((text), (char[512]){ 0 }, 512)

/* Columns as wide as their widest cell; the last one is not padded. Cells are copied and cleaned. */
struct print_table;
struct print_table *print_table_new(size_t n_columns, const char *const *titles);
int print_table_add(struct print_table *table, const char *const *cells);
void print_table_show(const struct print_table *table);
struct print_table *print_table_free(struct print_table *table);
DEFINE_CLEANUP(struct print_table, print_table_free)

/* "3 minutes ago" for microseconds of CLOCK_REALTIME; "-" for 0. @now as a parameter for tests. */
const char *print_ago(uint64_t usec, uint64_t now_usec, char *buffer, size_t bytes);
uint64_t print_now_usec(void);

#endif
