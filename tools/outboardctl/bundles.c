/* SPDX-License-Identifier: Apache-2.0
 *
 * What the verbs about bundles have in common, see bundles.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include "base/fd.h"
#include "base/str.h"
#include "tools/lib/print.h"
#include "tools/outboardctl/bundles.h"

int bundles_open(const struct verb *verb, const char *path, int *ret_fd, char ret_name[static 256])
{
	char whole[PATH_MAX];
	int fd;

	if (!realpath(path, whole))
		return verb_failed(verb, "%s: %s", path, strerror(errno));
	if (str_put(ret_name, 256, basename(whole)) < 0)
		return verb_failed(verb, "%s: its name is too long", path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return verb_failed(verb, "%s: %s", path, strerror(errno));
	*ret_fd = fd;
	return VERB_DONE;
}

static char *read_line(int fd)
{
	char buffer[1024];
	size_t n = 0;

	while (n < sizeof buffer - 1 && read(fd, buffer + n, 1) == 1 && buffer[n] != '\n')
		n++;
	buffer[n] = '\0';
	return strdup(buffer);
}

int bundles_take_fd(void *context, const char *value)
{
	char *end;
	unsigned long fd;

	if (*value < '0' || *value > '9')
		return -EINVAL;
	fd = strtoul(value, &end, 10);
	if (*end || fd > INT_MAX)
		return -EINVAL;
	*(int *)context = (int)fd;
	return 0;
}

char *bundles_passphrase(const char *prompt, int passphrase_fd)
{
	struct termios before, quiet;
	char *line;
	int fd;

	if (passphrase_fd >= 0)
		return read_line(passphrase_fd);
	fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return NULL;
	dprintf(fd, "%s", prompt);
	tcgetattr(fd, &before);
	quiet = before;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	tcsetattr(fd, TCSAFLUSH, &quiet);
	line = read_line(fd);
	tcsetattr(fd, TCSAFLUSH, &before);
	dprintf(fd, "\n");
	fd_close(fd);
	return line;
}

int bundles_key(
	const struct verb *verb, const char *path, int passphrase_fd, struct secret_key *ret)
{
	int r = key_read(path, NULL, ret);

	if (r == -EKEYREJECTED) {
		char *passphrase = bundles_passphrase("Passphrase of the key: ", passphrase_fd);

		if (!passphrase)
			return verb_failed(verb,
				"%s is encrypted, and there is no terminal to ask on: use --passphrase-fd",
				path);
		r = key_read(path, passphrase, ret);
		explicit_bzero(passphrase, strlen(passphrase));
		free(passphrase);
	}
	if (r == -EACCES)
		return verb_failed(verb, "%s: that is not its passphrase", path);
	if (r == -EBADMSG)
		return verb_failed(verb, "%s is no secret key in minisign's format", path);
	return r < 0 ? verb_failed(verb, "%s: %s", path, strerror(-r)) : VERB_DONE;
}

int bundles_refused(const struct verb *verb, const struct wire_error *error, bool json)
{
	json_t *document;

	if (!json) {
		fprintf(stderr, "%s %s: %s [%s]\n%s\n", verb_tool_name(), verb->name,
			PRINT_CLEAN(error->description), error->rule, PRINT_CLEAN(error->recovery));
		return VERB_FAILED;
	}
	document = json_pack("{s:b, s:i, s:s, s:s, s:s, s:s}", "accepted", 0, "code",
		(int)error->code, "stage", error->stage, "rule", error->rule, "description",
		error->description, "recovery", error->recovery);
	print_json(verb, document);
	json_decref(document);
	return VERB_FAILED;
}
