/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of asking know of each other. All of it belongs to the deciding thread but what is
 * marked.
 */
#ifndef OB_ENDPOINT_ENGINE_ASK_INTERNAL_H
#define OB_ENDPOINT_ENGINE_ASK_INTERNAL_H

#include <elf.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include "endpoint/endpoint-wire.h"
#include "endpoint/engine/ask.h"

#define QUESTIONS_MAX 1024u /* waiting at once; more get the fail mode */
#define SCRIPTS_MAX 64u
#define HEADS_MAX 256u /* files whose first bytes are being read */
#define READERS_MAX 8u
#define READERS_EACH 2u /* for one file system: it must not take them from the others */
#define HEAD_BYTES 256u /* as much of a file as the kernel looks at: BINPRM_BUF_SIZE */

enum { EVENT_EXEC, EVENT_OPEN };
/* What the deciding thread waits for; else: a client's number. */
enum { FROM_GROUP = 1000, FROM_LOOP = 1001, FROM_READER = 1100 };

struct question {
	uint64_t number; /* 0: free */
	int fd;		 /* fanotify's; -1 once it is answered */
	uint32_t event;
	uint64_t asked, waiting;
	bool denied, no_cache;
	bool answered;	/* by somebody, now or before: else there is nothing to compare with */
	uint32_t flags; /* AUTH_OPEN: those that all allow */
	uint64_t deadlines[ES_CLIENTS_MAX];
	uint8_t wrong[ES_CLIENTS_MAX]; /* es_respond_result_t of an answer that decided nothing */
	struct es_verdict_key key;
	uint32_t thread;      /* as fanotify has it */
	uint32_t exec_thread; /* as `execs` has it */
	struct es_exec exec;  /* AUTH_EXEC: what is written down when it is allowed */
	uint32_t value;
};

/* The first file of an execve that the kernel does not run itself. */
struct script {
	uint64_t exec_number; /* 0: free */
	uint64_t used;	      /* when, to take the oldest */
	int fd;
	uint32_t n_heads;
	char heads[4][HEAD_BYTES]; /* first lines, in the order in which they were opened */
	bool is_path[4];	   /* no line: the path of what runs it */
};

struct ask_client {
	int fd; /* ours, of the socket for answers; -1 none */
	int pid_fd;
	uint32_t pid;
	uint32_t added;	    /* the loop: which one of all that came it is */
	uint32_t number;    /* the same, once the order is taken */
	atomic_uint broken; /* the number of the last one that was; read by the loop */
	atomic_uint miss;   /* the loop */
	atomic_ullong counts[ASK_COUNTS]; /* read by the loop */
};

/* Mounts that bear no mark, by their numbers in mountinfo: said already. */
struct unmarked {
	unsigned ids[64];
	size_t n;
};

/* An execve whose file's first bytes are not in memory. */
struct waiting_head {
	int fd; /* fanotify's; -1 free */
	uint32_t thread, device;
	uint64_t deadline; /* CLOCK_MONOTONIC ns */
	bool is_read;	   /* by a reader, just now */
};

struct reader {
	pid_t pid; /* 0 none; without a descriptor it was killed, and may be stuck for ever */
	int fd;
	int head;	 /* that it reads; -1 */
	uint32_t device; /* of what it reads, or is stuck in */
};

struct heads {
	struct waiting_head waiting[HEADS_MAX];
	uint32_t n_waiting;
	struct reader readers[READERS_MAX];
};

struct ask {
	struct ask_settings settings;
	struct es_asking *asking;
	int group_fd, epoll_fd, notice_fds[2], command_fds[2];
	pthread_t thread;
	bool started;
	atomic_uint ordered; /* the loop: orders that lie in the pipe, or have been taken */
	unsigned taken;
	uint32_t adds;		  /* the loop */
	uint64_t marked;	  /* the loop */
	struct unmarked unmarked; /* the loop */
	ask_unmarked_fn *on_unmarked;
	void *on_unmarked_context;

	struct ask_client clients[ES_CLIENTS_MAX];
	uint64_t can_answer; /* a bit a client */
	struct question questions[QUESTIONS_MAX];
	uint32_t next_question, n_questions;
	uint32_t serial, verdict_generation;
	uint16_t
		generation; /* by chance: an answer to an outboard-esd of before is no answer to this one */
	uint64_t clears[8]; /* when the cache was cleared last */
	uint32_t next_clear;
	uint64_t notices_dropped;
	struct heads heads;
	struct script scripts[SCRIPTS_MAX];
	uint64_t script_clock;
};

/* ask.c: every answer that is remembered. The loop. */
void ask_forget_answers(struct ask *ask);

/* ask-exec.c */
struct head {
	bool is_program; /* the kernel runs it itself */
	char line[HEAD_BYTES];
};
void head_set(struct head *ret, char text[static HEAD_BYTES + 1], ssize_t bytes);
/* @magic: of the file system. -EAGAIN: that would have to wait. */
int head_read(int fd, uint64_t magic, struct head *ret);
struct script *script_of(struct ask *ask, uint64_t exec_number);
void script_put(struct ask *ask, uint64_t exec_number, int fd, const struct head *head);
void script_interpreter(struct script *script, int fd);
void script_done(struct script *script);
/* Arguments and environment of the thread that waits into ask->asking, and what check() will compare. */
void exec_read(struct ask *ask, uint32_t thread, const struct script *script, struct es_exec *exec);
int openat2_flags(uint32_t thread, uint64_t how, int32_t *ret);

/* ask-heads.c */
void heads_init(struct heads *heads);
void heads_done(struct heads *heads);
/* ask_exec_with_head() follows, or the fail mode. @fd is taken. -ENOSPC: no room, and it is not taken. */
int heads_put(struct ask *ask, int fd, uint32_t thread, uint32_t device, uint64_t deadline);
void heads_on_reader(struct ask *ask, uint32_t at);
uint64_t heads_expire(struct ask *ask, uint64_t now); /* as questions_expire() */

/* ask.c */
int ask_watch_fd(struct ask *ask, int fd, uint32_t from);
void ask_exec_with_head(struct ask *ask, int fd, uint32_t thread, const struct head *head);
/* A question that there is no room for, or that nobody can be asked. @fd: taken. */
void ask_overflow(struct ask *ask, int fd, uint32_t event);

/* questions.c */
struct question *question_new(struct ask *ask, int fd, uint32_t event);
struct question *question_find(struct ask *ask, uint64_t number);
void question_end_if_done(struct ask *ask, struct question *question);
/* Before it is let go: NOTIFY_EXEC or NOTIFY_OPEN with the result. */
void tell_denied(struct ask *ask, struct question *question);
void question_decide(struct ask *ask, struct question *question, bool denied);
void question_answer(struct ask *ask, struct question *question, uint32_t client, bool denied,
	uint32_t flags, bool cache);
void question_miss(struct ask *ask, struct question *question, uint32_t client);
void ask_raise(struct ask *ask, uint32_t client, enum ask_count count);
void questions_drop_client(struct ask *ask, uint32_t client);
/* When the next deadline is, CLOCK_MONOTONIC ns; UINT64_MAX none. Those that are over are missed. */
uint64_t questions_expire(struct ask *ask, uint64_t now);
uint64_t monotonic_ns(void);
void fanotify_answer(struct ask *ask, int fd, bool denied);
int ask_describe(struct ask *ask, uint32_t thread);

#endif
