/* SPDX-License-Identifier: Apache-2.0
 *
 * Of an execve that waits: what the kernel will make of its file, and what it is given. A file that the
 * kernel does not run itself ("#!", binfmt_misc) is a script: its interpreter is what is asked about,
 * with the arguments that it will get.
 */
#include <elf.h>
#include <errno.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/macros.h"
#include "endpoint/engine/ask-internal.h"

/* ---- files ------------------------------------------------------------------------------------ */

static bool is_program(const char *text, ssize_t bytes)
{
	const Elf64_Ehdr *header = (const void *)text; /* e_machine lies where Elf32_Ehdr has it */

	if (bytes < (ssize_t)sizeof(Elf32_Ehdr) || memcmp(text, ELFMAG, SELFMAG) != 0)
		return false;
#if defined(__x86_64__)
	return header->e_machine == EM_X86_64 || header->e_machine == EM_386;
#elif defined(__aarch64__)
	return header->e_machine == EM_AARCH64 || header->e_machine == EM_ARM;
#else
#error "which programs does this machine run?"
#endif
}

void head_set(struct head *ret, char text[static HEAD_BYTES + 1], ssize_t bytes)
{
	char *end;

	ret->line[0] = '\0';
	ret->is_program = is_program(text, bytes);
	if (ret->is_program || bytes < 2 || memcmp(text, "#!", 2) != 0)
		return;
	end = memchr(text, '\n', (size_t)bytes);
	*(end ? end : &text[bytes]) = '\0';
	snprintf(ret->line, sizeof ret->line, "%s", text + 2);
}

/* Not all file systems can read without waiting; of memory alone, none has to. */
int head_read(int fd, uint64_t magic, struct head *ret)
{
	_Alignas(Elf64_Ehdr) char text[HEAD_BYTES + 1];
	const struct iovec all = { .iov_base = text, .iov_len = HEAD_BYTES };
	const bool is_memory = magic == TMPFS_MAGIC || magic == RAMFS_MAGIC;
	ssize_t bytes = preadv2(fd, &all, 1, 0, is_memory ? 0 : RWF_NOWAIT);

	if (bytes < 0 && is_memory)
		bytes = 0;
	if (bytes < 0)
		return -EAGAIN;
	head_set(ret, text, bytes);
	return 0;
}

struct script *script_of(struct ask *ask, uint64_t exec_number)
{
	size_t i;

	for (i = 0; i < SCRIPTS_MAX; i++)
		if (ask->scripts[i].exec_number == exec_number)
			return &ask->scripts[i];
	return NULL;
}

void script_done(struct script *script)
{
	if (script && script->exec_number) {
		script->fd = fd_close(script->fd);
		script->exec_number = 0;
	}
}

/*
 * A file that has no "#!" is run by an interpreter of binfmt_misc's: the file that is opened next. As whose
 * path it is given to it, /proc says; the kernel's list may have another one that leads there.
 */
void script_interpreter(struct script *script, int fd)
{
	uint32_t last = script && script->n_heads ? script->n_heads - 1 : 0;
	char link[32], path[HEAD_BYTES];
	ssize_t length;

	if (!script || !script->n_heads || script->heads[last][0])
		return;
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	length = readlink(link, path, sizeof path);
	if (length <= 0 || length == sizeof path)
		return;
	memcpy(script->heads[last], path, (size_t)length);
	script->heads[last][length] = '\0';
	script->is_path[last] = true;
}

/* @fd is copied. Those whose execve came to nothing go when there is no other room. */
void script_put(struct ask *ask, uint64_t exec_number, int fd, const struct head *head)
{
	struct script *script = script_of(ask, exec_number), *oldest = &ask->scripts[0];
	size_t i;

	for (i = 0; i < SCRIPTS_MAX && !script; i++) {
		if (!ask->scripts[i].exec_number)
			oldest = &ask->scripts[i];
		else if (oldest->exec_number && ask->scripts[i].used < oldest->used)
			oldest = &ask->scripts[i];
	}
	if (!script) {
		script_done(oldest);
		script = oldest;
		script->exec_number = exec_number;
		script->n_heads = 0;
		script->fd = dup(fd);
	}
	script->used = ++ask->script_clock;
	script_interpreter(script, fd);
	if (script->n_heads < ARRAY_SIZE(script->heads)) {
		script->is_path[script->n_heads] = false;
		memcpy(script->heads[script->n_heads++], head->line, HEAD_BYTES);
	}
}

/* ---- memory of the thread --------------------------------------------------------------------- */

/* As many bytes as can be read in a row; the thread waits, so nothing moves but by its siblings. */
static size_t peek(uint32_t thread, uint64_t at, void *to, size_t bytes)
{
	struct iovec mine = { .iov_base = to, .iov_len = bytes };
	struct iovec theirs = { .iov_base = (void *)(uintptr_t)at, .iov_len = bytes };
	ssize_t n = process_vm_readv((pid_t)thread, &mine, 1, &theirs, 1, 0);

	return n < 0 ? 0 : (size_t)n;
}

int openat2_flags(uint32_t thread, uint64_t how, int32_t *ret)
{
	uint64_t flags;

	if (peek(thread, how, &flags, sizeof flags) != sizeof flags)
		return -EFAULT;
	*ret = (int32_t)flags;
	return 0;
}

/* A string, page by page since the next one may not be there. False: it is not whole. */
static bool peek_string(uint32_t thread, uint64_t at, char *to, size_t room, size_t *ret_bytes)
{
	size_t have = 0;

	while (have < room) {
		size_t step = 4096 - (at + have) % 4096, n;
		const char *nul;

		if (step > room - have)
			step = room - have;
		n = peek(thread, at + have, to + have, step);
		nul = n ? memchr(to + have, '\0', n) : NULL;
		if (nul) {
			*ret_bytes = (size_t)(nul - to) + 1;
			return true;
		}
		if (n != step)
			return false;
		have += n;
	}
	*ret_bytes = have;
	return false;
}

/* The strings of a vector from number @skip on, one after the other. False: there are more. */
static bool peek_vector(uint32_t thread, uint64_t at, bool compat, uint32_t skip, char *to,
	size_t room, size_t *ret_bytes)
{
	const size_t width = compat ? 4 : 8;
	size_t have = 0, bytes = 0;
	uint32_t i;

	*ret_bytes = 0;
	for (i = 0; at; i++) {
		uint64_t pointer = 0;

		if (peek(thread, at + i * width, &pointer, width) != width)
			return false;
		if (pointer == 0)
			break;
		if (i < skip)
			continue;
		if (!peek_string(thread, pointer, to + have, room - have, &bytes)) {
			*ret_bytes = have;
			return false;
		}
		have += bytes;
		*ret_bytes = have;
	}
	return true;
}

static uint64_t hash_of(const char *text, size_t bytes)
{
	uint64_t hash = ES_HASH_BEGIN;
	size_t at;

	for (at = 0; at < bytes; at += 8) {
		uint64_t word = 0;

		memcpy(&word, text + at, bytes - at < 8 ? bytes - at : 8);
		hash = (hash ^ word) * ES_HASH_FACTOR;
	}
	return hash;
}

/* ---- what a script's interpreter is given ----------------------------------------------------- */

struct words {
	char *text;
	size_t bytes, room;
};

static void add_word(struct words *words, const char *word, size_t bytes)
{
	if (bytes + 1 > words->room - words->bytes)
		return;
	memcpy(words->text + words->bytes, word, bytes);
	words->text[words->bytes + bytes] = '\0';
	words->bytes += bytes + 1;
}

/* "#!" NAME [ARGUMENT]: one argument, with what spaces are in it, as binfmt_script takes it. */
static void add_line(struct words *words, const char *line)
{
	size_t bytes;

	line += strspn(line, " \t");
	bytes = strcspn(line, " \t");
	add_word(words, line, bytes);
	line += bytes;
	line += strspn(line, " \t");
	bytes = strlen(line);
	while (bytes && (line[bytes - 1] == ' ' || line[bytes - 1] == '\t'))
		bytes--;
	if (bytes)
		add_word(words, line, bytes);
}

/*
 * The last line opened comes first; each takes the place of the first argument of what was before:
 * interpreter, its argument, the script as it was called, and the arguments but their first.
 */
static void add_script(struct words *words, const struct script *script, const char *called)
{
	uint32_t i;

	for (i = script->n_heads; i-- > 0;) {
		if (script->is_path[i])
			add_word(words, script->heads[i], strlen(script->heads[i]));
		else if (script->heads[i][0])
			add_line(words, script->heads[i]);
	}
	add_word(words, called, strlen(called));
}

void exec_read(struct ask *ask, uint32_t thread, const struct script *script, struct es_exec *exec)
{
	struct es_asking *asking = ask->asking;
	struct words words = { .text = asking->arguments, .room = ES_BLOB_BYTES - 2 };
	char called[1024] = "";
	size_t bytes;
	bool whole;

	if (script) {
		peek_string(thread, exec->filename, called, sizeof called - 1, &bytes);
		add_script(&words, script, called);
	}
	whole = peek_vector(thread, exec->arguments, exec->compat, script != NULL,
		words.text + words.bytes, words.room - words.bytes, &bytes);
	exec->argument_hash = hash_of(words.text + words.bytes, bytes);
	exec->argument_bytes = script && !whole ? 0 : (uint32_t)bytes;
	exec->from_the_end = script != NULL;
	words.bytes += bytes;
	asking->argument_whole = (uint32_t)words.bytes + !whole;
	asking->argument_bytes = words.bytes ? (uint32_t)words.bytes + 1 : 0;
	asking->arguments[words.bytes] = '\0';

	whole = peek_vector(thread, exec->environment, exec->compat, 0, asking->environment,
		ES_BLOB_BYTES - 2, &bytes);
	exec->environment_hash = hash_of(asking->environment, bytes);
	exec->environment_bytes = (uint32_t)bytes;
	asking->environment_whole = (uint32_t)bytes + !whole;
	asking->environment_bytes = bytes ? (uint32_t)bytes + 1 : 0;
	asking->environment[bytes] = '\0';
}
