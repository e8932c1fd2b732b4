/* SPDX-License-Identifier: Apache-2.0
 *
 * A client by es_new_client() and a block that no compiler made: the literal, its descriptor and its
 * helpers as the ABI of blocks has them, by gcc, which knows no blocks. The block is copied once,
 * called with itself for a program that starts, and given up with the client. Needs root, a scope
 * and an outboard-esd.
 * Source: "Block Implementation Specification", clang's documentation, Block-ABI-Apple.
 */
#include <errno.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <EndpointSecurity/EndpointSecurity.h>

#define CHECK(what)                                                                    \
	do {                                                                           \
		if (!(what)) {                                                         \
			fprintf(stderr, "%s:%d: not %s\n", __FILE__, __LINE__, #what); \
			exit(1);                                                       \
		}                                                                      \
	} while (0)

enum { BLOCK_HAS_COPY_DISPOSE = 1 << 25 };

struct captured {
	sem_t seen;
	atomic_int copies, disposals;
	char path[256];
	pid_t pid, wanted;
};

struct block_literal {
	void *isa;
	int flags, reserved;
	void (*invoke)(struct block_literal *, es_client_t *, const es_message_t *);
	const struct block_descriptor {
		unsigned long reserved, size;
		void (*copy)(struct block_literal *to, const struct block_literal *from);
		void (*dispose)(const struct block_literal *block);
	} * descriptor;
	struct captured *captured;
};

extern void *_NSConcreteStackBlock[];
es_new_client_result_t es_new_client(es_client_t **ret, struct block_literal *handler);

static void on_copy(struct block_literal *to, const struct block_literal *from)
{
	from->captured->copies++;
}

static void on_dispose(const struct block_literal *block)
{
	block->captured->disposals++;
}

static void on_message(struct block_literal *self, es_client_t *client, const es_message_t *message)
{
	const es_process_t *target = message->event.exec.target;
	struct captured *captured = self->captured;

	if (audit_token_to_pid(target->audit_token) != captured->wanted)
		return;
	captured->pid = captured->wanted;
	snprintf(captured->path, sizeof captured->path, "%s", target->executable->path.data);
	sem_post(&captured->seen);
}

static es_client_t *new_client(struct captured *captured)
{
	static const struct block_descriptor descriptor = { 0, sizeof(struct block_literal),
		on_copy, on_dispose };
	struct block_literal block = { _NSConcreteStackBlock, BLOCK_HAS_COPY_DISPOSE, 0, on_message,
		&descriptor, captured };
	es_client_t *client = NULL;

	CHECK(es_new_client(&client, &block) == ES_NEW_CLIENT_RESULT_SUCCESS);
	CHECK(captured->copies == 1);
	memset(&block, 0xff, sizeof block); /* it was on the stack */
	return client;
}

static pid_t run(int *ret_go)
{
	int go[2];
	pid_t pid;

	CHECK(pipe(go) == 0);
	pid = fork();
	if (pid == 0) {
		char byte;

		close(go[1]);
		if (read(go[0], &byte, 1) == 1)
			execl("/bin/true", "true", NULL);
		_exit(127);
	}
	close(go[0]);
	*ret_go = go[1];
	return pid;
}

int main(void)
{
	const es_event_type_t event = ES_EVENT_TYPE_NOTIFY_EXEC;
	static struct captured captured;
	char path[4096];
	es_client_t *client;
	struct timespec until;
	int go, status;

	sem_init(&captured.seen, 0, 0);
	CHECK(es_new_client(&client, NULL) == ES_NEW_CLIENT_RESULT_ERR_INVALID_ARGUMENT);
	client = new_client(&captured);
	CHECK(es_subscribe(client, &event, 1) == ES_RETURN_SUCCESS);
	captured.wanted = run(&go); /* before it starts its program */
	CHECK(write(go, "", 1) == 1);
	CHECK(waitpid(captured.wanted, &status, 0) == captured.wanted && status == 0);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 20;
	while (sem_timedwait(&captured.seen, &until) < 0)
		CHECK(errno == EINTR);
	CHECK(captured.pid == captured.wanted);
	CHECK(realpath("/bin/true", path) && strcmp(captured.path, path) == 0);
	CHECK(captured.disposals == 0);
	CHECK(es_delete_client(client) == ES_RETURN_SUCCESS);
	CHECK(captured.copies == 1 && captured.disposals == 1);
	printf("a block by hand: %d %s\n", (int)captured.pid, captured.path);
	return 0;
}
