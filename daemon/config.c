/* SPDX-License-Identifier: Apache-2.0
 *
 * The configuration, see config.h.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/fd.h"
#include "base/paths.h"
#include "base/str.h"
#include "daemon/config.h"

#define FILE_BYTES_MAX (1u << 20)
#define SOURCE_BYTES 256 /* FILE:LINE, the path cut where it is longer */

static const struct key {
	const char *section, *key;
	enum config_type type;
	const char *fallback;
	long long min, max;
	const char *allowed, *help;
} keys[CONFIG_MAX_] = {
#define CONFIG_KEY(id, section, key, type, fallback, min, max, allowed, help) \
	[CONFIG_##id] = { section, key, type, fallback, min, max, allowed, help },
#include "daemon/config-keys.def"
#undef CONFIG_KEY
};

struct value {
	char text[CONFIG_VALUE_BYTES];
	uint64_t number;
	char source[SOURCE_BYTES];
};

struct config {
	struct value values[CONFIG_MAX_];
};

static int read_number(const struct key *key, const char *text, uint64_t *ret)
{
	static const char units[] = "KMG";
	char *end;
	long long number;

	errno = 0;
	number = strtoll(text, &end, 10);
	if (errno || end == text || number < 0)
		return -EINVAL;
	if (key->type == CONFIG_BYTES && *end) {
		const char *unit = strchr(units, *end);

		if (!unit || number > LLONG_MAX >> 30)
			return -EINVAL;
		number <<= 10 * (unit - units + 1);
		end++;
	}
	if (*end || number < key->min || number > key->max)
		return -EINVAL;
	*ret = (uint64_t)number;
	return 0;
}

static bool is_one_of(const char *word, size_t bytes, const char *allowed)
{
	while (*allowed) {
		size_t length = strcspn(allowed, " ");

		if (length == bytes && memcmp(word, allowed, length) == 0)
			return true;
		allowed += length + (allowed[length] == ' ');
	}
	return false;
}

static int check_words(const struct key *key, const char *text)
{
	while (*text) {
		size_t length = strcspn(text, " ");

		if (length && key->type == CONFIG_PATHS && text[0] != '/')
			return -EINVAL;
		if (length && key->allowed && !is_one_of(text, length, key->allowed))
			return -EINVAL;
		text += length + (text[length] == ' ');
	}
	return 0;
}

static int set_value(struct config *config, int id, const char *text, const char *source)
{
	const struct key *key = &keys[id];
	struct value *value = &config->values[id];
	uint64_t number = 0;
	int r = 0;

	if (key->type == CONFIG_BOOL) {
		number = streq(text, "yes");
		r = number || streq(text, "no") ? 0 : -EINVAL;
	} else if (key->type == CONFIG_NUMBER || key->type == CONFIG_BYTES) {
		r = read_number(key, text, &number);
	} else if (key->type == CONFIG_WORD) {
		r = is_one_of(text, strlen(text), key->allowed) ? 0 : -EINVAL;
	} else {
		r = check_words(key, text);
	}
	if (r == 0 && str_put(value->text, sizeof value->text, text) < 0)
		r = -EINVAL;
	if (r < 0)
		return r;
	value->number = number;
	str_put(value->source, sizeof value->source, source);
	return 0;
}

/* What may stand there, for the one who wrote something else. */
static void say_allowed(const struct key *key, char *buffer, size_t bytes)
{
	static const char *const kinds[] = { [CONFIG_TEXT] = "at most 1023 bytes",
		[CONFIG_PATHS] = "absolute paths, separated by blanks",
		[CONFIG_BOOL] = "yes or no" };

	if (key->type == CONFIG_WORD)
		snprintf(buffer, bytes, "one of: %s", key->allowed);
	else if (key->type == CONFIG_WORDS)
		snprintf(buffer, bytes, "words of: %s", key->allowed);
	else if (key->type == CONFIG_NUMBER || key->type == CONFIG_BYTES)
		snprintf(buffer, bytes, "a number from %lld to %lld%s", key->min, key->max,
			key->type == CONFIG_BYTES ? ", with K, M or G behind it" : "");
	else
		snprintf(buffer, bytes, "%s", kinds[key->type]);
}

static int find_key(const char *section, const char *name)
{
	int i;

	for (i = 0; i < CONFIG_MAX_; i++)
		if (streq(keys[i].section, section) && streq(keys[i].key, name))
			return i;
	return -1;
}

static int take_line(struct config *config, char section[static 64], char *line, const char *source,
	char problem[static 1024])
{
	char *text = str_trim(line), *equals, *name;
	char allowed[512];
	size_t bytes = strlen(text);
	int id;

	if (*text == '\0' || *text == '#' || *text == ';')
		return 0;
	if (*text == '[') {
		if (bytes < 3 || bytes > 64 || text[bytes - 1] != ']') {
			snprintf(problem, 1024, "%.255s: '%.200s' is no [section]", source, text);
			return -EINVAL;
		}
		snprintf(section, 64, "%.*s", (int)bytes - 2, text + 1);
		return 0;
	}
	equals = strchr(text, '=');
	if (!equals) {
		snprintf(problem, 1024, "%.255s: '%.200s' is no 'key = value'", source, text);
		return -EINVAL;
	}
	*equals = '\0';
	name = str_trim(text);
	id = find_key(section, name);
	if (id < 0) {
		snprintf(problem, 1024,
			"%.255s: section [%s] has no key '%.200s'; see outboard.conf(5)", source,
			section, name);
		return -EINVAL;
	}
	if (set_value(config, id, str_trim(equals + 1), source) == 0)
		return 0;
	say_allowed(&keys[id], allowed, sizeof allowed);
	snprintf(problem, 1024, "%.255s: %.64s = '%.200s' is not allowed: %.400s", source, name,
		str_trim(equals + 1), allowed);
	return -EINVAL;
}

static int take_file(struct config *config, const char *path, char problem[static 1024])
{
	_cleanup_free_ char *text = NULL;
	char source[SOURCE_BYTES], section[64] = "";
	char *line, *next;
	size_t bytes;
	int n = 0, r = file_read_at(AT_FDCWD, path, FILE_BYTES_MAX, &text, &bytes);

	if (r == -ENOENT)
		return 0;
	if (r == 0 && strlen(text) != bytes)
		r = -EILSEQ;
	if (r < 0) {
		snprintf(problem, 1024, "%.700s: cannot be read: %s", path, strerror(-r));
		return r == -EILSEQ || r == -EFBIG ? -EINVAL : r;
	}
	for (line = text; line && r == 0; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		snprintf(source, sizeof source, "%.240s:%d", path, ++n);
		r = take_line(config, section, line, source, problem);
	}
	return r;
}

static int is_conf(const struct dirent *entry)
{
	return entry->d_name[0] != '.' && str_ends(entry->d_name, ".conf");
}

static int take_folder(struct config *config, const char *folder, char problem[static 1024])
{
	struct dirent **entries;
	int i, r = 0, n = scandir(folder, &entries, is_conf, alphasort);

	if (n < 0)
		return errno == ENOENT ? 0 : -errno;
	for (i = 0; i < n; i++) {
		char path[PATH_MAX];

		if (r == 0 &&
			snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name) < PATH_MAX)
			r = take_file(config, path, problem);
		free(entries[i]);
	}
	free(entries);
	return r;
}

int config_load(struct config **ret, char problem[static 1024])
{
	_cleanup_(config_freep) struct config *config = calloc(1, sizeof *config);
	char path[PATH_MAX];
	int i, r;

	problem[0] = '\0';
	if (!config)
		return -ENOMEM;
	for (i = 0; i < CONFIG_MAX_; i++) {
		r = set_value(config, i, keys[i].fallback, "default");
		assert(r == 0);
	}
	r = take_file(config, path_get(PATH_CONFIG, "outboard.conf", path), problem);
	if (r == 0)
		r = take_folder(config, path_get(PATH_CONFIG, "conf.d", path), problem);
	if (r < 0)
		return r;
	*ret = TAKE(config);
	return 0;
}

struct config *config_free(struct config *config)
{
	free(config);
	return NULL;
}

const char *config_text(const struct config *config, enum config_id id)
{
	return config->values[id].text;
}

uint64_t config_number(const struct config *config, enum config_id id)
{
	return config->values[id].number;
}

bool config_bool(const struct config *config, enum config_id id)
{
	return config->values[id].number != 0;
}

void config_describe(const struct config *config, enum config_id id, const char **ret_section,
	const char **ret_key, const char **ret_value, const char **ret_source)
{
	*ret_section = keys[id].section;
	*ret_key = keys[id].key;
	*ret_value = config->values[id].text;
	*ret_source = config->values[id].source;
}

const char *config_help(enum config_id id)
{
	return keys[id].help;
}
