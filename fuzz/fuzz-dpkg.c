/* SPDX-License-Identifier: Apache-2.0
 *
 * A file of dpkg's database, read as each of its three kinds: every path lies in the text, is
 * relative and bounded; and there comes an index of it that opens.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "base/fd.h"
#include "endpoint/identity/index.h"
#include "fuzz/fuzz.h"

struct input {
	const char *text;
	size_t bytes;
};

static void check_path(const struct input *input, const char *path, size_t bytes)
{
	if (path < input->text || path + bytes > input->text + input->bytes || bytes == 0 ||
		bytes > DPKG_PATH_MAX || path[0] == '/' || memchr(path, '\0', bytes) ||
		memchr(path, '\n', bytes))
		abort();
}

static int on_path(void *context, const char *path, size_t bytes, const uint8_t *md5)
{
	check_path(context, path, bytes);
	return 0;
}

static int on_diversion(void *context, const char *from, size_t from_bytes, const char *to,
	size_t to_bytes, const char *package, size_t package_bytes)
{
	const struct input *input = context;

	check_path(input, from, from_bytes);
	check_path(input, to, to_bytes);
	if (package < input->text || package + package_bytes > input->text + input->bytes)
		abort();
	return 0;
}

static void build(const struct input *input)
{
	const struct identity_stamp stamp = { .merged = 0x7f };
	_cleanup_(index_builder_freep) struct index_builder *builder = NULL;
	_cleanup_fd_ int fd = memfd_create("index", MFD_CLOEXEC);
	struct index index;
	int kind;

	if (fd < 0 || index_builder_new(&stamp, &builder) < 0)
		return;
	for (kind = IDENTITY_DIVERSIONS; kind <= IDENTITY_DIGESTS; kind++)
		if (index_add(builder, kind, kind ? "package" : "", input->text, input->bytes) < 0)
			return;
	if (index_write(builder, fd) < 0)
		return;
	if (index_open(fd, &index) < 0)
		abort();
	index_close(&index);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct input input = { (const char *)data, bytes };

	dpkg_read_list(input.text, input.bytes, on_path, &input);
	dpkg_read_md5sums(input.text, input.bytes, on_path, &input);
	dpkg_read_diversions(input.text, input.bytes, on_diversion, &input);
	build(&input);
	return 0;
}
