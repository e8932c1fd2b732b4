/* SPDX-License-Identifier: Apache-2.0
 *
 * libEndpointSecurity: what its files know of each other.
 *
 * A client has one socket, for questions and answers, and one ring, for messages. Both are watched
 * by its queue; whoever asks a question on another thread holds `lock` until the answer is there, or
 * five seconds have passed, thirty where outboard-esd is only beginning. The handler runs on the queue alone, and without the lock.
 */
#ifndef OB_ENDPOINT_LIB_LIB_H
#define OB_ENDPOINT_LIB_LIB_H

#include <pthread.h>
#include <stdatomic.h>
#include <EndpointSecurity/EndpointSecurity.h>
#include "base/wire.h"
#include "endpoint/endpoint-wire.h"
#include "endpoint/lib/mute-set.h"
#include "endpoint/lib/ring.h"
#include "endpoint/record.h"
#include "outboard/internal.h"

/* What the last outboard-esd that let a client of this process in had; before, all that there are. */
extern atomic_uint sources_seen;

/* Numbers of a client's messages, and what is known of lost ones: see sequence.c. */
struct sequence_row {
	uint64_t taken, dropped;
	uint64_t dropped_before; /* until the ring that is read now was begun */
};
struct sequence {
	struct sequence_row all, types[ES_EVENTS_MAX];
};

/* Records in the order of the ring, each once: seq_num and global_seq_num of its message. */
void sequence_number(
	struct sequence *sequence, const struct es_record *record, es_message_t *message);
/* One that cannot be told: its number is left out. */
void sequence_pass(struct sequence *sequence);
/* A new ring, which counts from zero. Nobody knows how many were lost between: a gap of one says so. */
void sequence_restart(
	struct sequence *sequence, const uint64_t subscribed[static ES_EVENTS_MAX / 64]);

/* A process with what it points to. */
struct box_process {
	es_process_t process;
	es_file_t executable, tty;
	char tty_path[32];
};

#define BOX_TOKENS 16
/* A message with all that it points to: built over a record that lies in the ring. */
struct box {
	es_message_t message;
	struct box_process actor, target;
	es_file_t file, second;
	es_statfs_t statfs;
	es_thread_t thread;
	es_fd_t descriptors[ES_DESCRIPTORS_MAX];
	uint32_t n_descriptors;
	const char *blobs[ES_BLOBS];
	uint32_t blob_bytes[ES_BLOBS];
	/* those that point into the record: they move with it */
	es_string_token_t *tokens[BOX_TOKENS];
	es_token_t *hashes[2];
	uint32_t n_tokens, n_hashes;
	atomic_uint references;
	atomic_uint answered;	   /* AUTH */
	const es_client_t *client; /* whose message it is: compared, never followed */
	void *copy;		   /* of the record, once it is kept */
	const struct es_record *record;
	uint32_t mark; /* BOX_MARK: es_retain_message() is handed one of these */
};
#define BOX_MARK 0x6f62657au

/* 0, or -EPROTO: what lies there is no record of this version. */
int box_fill(struct box *box, const void *record, size_t bytes);
struct box *box_new(void);
struct box *box_unref(struct box *box);
bool box_is_kept(const struct box *box);	 /* somebody holds it beside the caller */
struct box *box_of(const es_message_t *message); /* NULL: not one of ours */
int box_fill_event(struct box *box);		 /* events.c: message.event; 0 or -EPROTO */
void box_set_token(struct box *box, es_string_token_t *token, enum es_blob blob);
void box_fill_file(
	struct box *box, es_file_t *ret, const struct es_record_file *file, enum es_blob blob);
void box_fill_process(struct box *box, struct box_process *ret,
	const struct es_record_process *process, enum es_blob path, enum es_blob signing_id);

enum client_kind { CLIENT_OF_ALL, CLIENT_OF_DESCENDANTS };

struct es_client_s {
	enum client_kind kind;
	pid_t pid; /* after fork() the client is another process' */
	pthread_mutex_t lock;
	ob_queue_t *queue, *own_queue;
	ob_es_handler_function_t handler;
	void *context, *block;
	pthread_t handler_thread;
	atomic_bool in_handler, ended;
	atomic_uint references; /* posts that have not run, and the owner */

	int fd;
	bool inherited;	 /* the socket: the broker's end outlives outboard-esd */
	bool restarting; /* what is behind the socket is new and does not know this client yet */
	struct queue_source *socket_source, *ring_source;
	struct ring ring;
	unsigned ring_number;	  /* another one for each ring that it has had */
	struct sequence sequence; /* on the queue */
	struct box *box;
	uint64_t last_id;
	uint64_t subscribed[ES_EVENTS_MAX / 64], can_watch[ES_EVENTS_MAX / 64];
	struct mute_set mutes;
	uint32_t sources; /* enum source, as outboard-esd has them */
	bool ready_told;
	unsigned pause_ms;

	atomic_ullong delivered, malformed, restarts;
	pthread_mutex_t answer_lock; /* the socket for answers, and whose turn it is */
	int answer_fd;
	struct endpoint_deadlines deadlines;
	uint32_t shortest_ms[2]; /* of a client of descendants: no deadline is set below that */
	ob_error_t *last_error;
	struct wire_packet packet;
};

/* connection.c; all but the first two with the lock held */
int connection_open(
	es_client_t *client, es_new_client_result_t *ret_result, struct wire_error *error);
void connection_readable(void *client);
int connection_subscribe(es_client_t *client, const uint64_t events[static ES_EVENTS_MAX / 64]);
/* A question, and its answer of exactly @type and @bytes, in client->packet. */
int connection_ask(es_client_t *client, uint16_t question, const void *body, size_t body_bytes,
	uint16_t type, size_t bytes);
int connection_count(es_client_t *client, struct endpoint_counters *ret);
int connection_deadlines(es_client_t *client, const struct endpoint_deadlines *deadlines);
void connection_close(es_client_t *client);
void connection_lost(es_client_t *client);
/* -ESTALE was the answer: RESTARTED came instead. The socket is good, what is behind it is new. */
void connection_restarted(es_client_t *client);

/* mute.c; lock held. All that is muted, to an outboard-esd that knows of nothing. */
int mute_send_all(es_client_t *client);

/* client.c */
int client_watch(es_client_t *client); /* socket and ring on the queue */
#define CLIENT_BATCH 256 /* messages in a row before others on the queue have their turn */
/* On the queue, without the lock: up to @most messages that lie in the ring; how many it were. */
unsigned client_tell(es_client_t *client, unsigned most);
/* The same with all that lies in the ring. The client may be ended then. */
void client_drain(es_client_t *client);
void client_ref(es_client_t *client);
void client_unref(void *client);
/* Lock held. What ob_es_client_copy_last_error() says from now on; always ES_RETURN_ERROR. */
es_return_t client_fail(
	es_client_t *client, enum rule_id rule, const char *object, const char *detail);
/* The same for a client that does not come to be, which is freed. Returns @result. */
es_new_client_result_t client_fail_new(
	es_client_t *client, es_new_client_result_t result, const struct wire_error *error);

#endif
