/* SPDX-License-Identifier: Apache-2.0
 *
 * The deciding thread and its mouth to the loop: see ask.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/fanotify.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/macros.h"
#include "base/wire.h"
#include "endpoint/engine/ask-internal.h"
#include "endpoint/engine/bpf.h"

#define EVENT_BYTES 16384 /* of fanotify at once: each event is a descriptor */
#define ASYNC_RATE_NS 1000000000ull
#define BEAT_NS 250000000ull

enum command { COMMAND_ADD = 1, COMMAND_DROP, COMMAND_FORGET, COMMAND_END };
struct order {
	uint32_t command, client;
	int32_t fd, pid_fd;
	uint32_t pid, number;
};

/* ---- what waits ------------------------------------------------------------------------------- */

int ask_describe(struct ask *ask, uint32_t thread)
{
	struct es_asking *asking = ask->asking;

	asking->found = asking->in_exec = asking->traced = asking->cached = 0;
	asking->told = asking->dropped = 0;
	asking->unmade = 0;
	return bpf_iterate_task(ask->settings.loaded->programs[PROGRAM_describe], thread);
}

static bool miss_denies(const struct ask *ask, uint64_t clients)
{
	for (; clients; clients &= clients - 1)
		if (atomic_load(&ask->clients[__builtin_ctzll(clients)].miss) ==
			ASK_MISS_FAIL_CLOSED)
			return true;
	return false;
}

/*
 * The clients have it, or have answered it before, or nobody was to be told. @question is given back
 * when nobody is asked.
 */
static void after_telling(struct ask *ask, struct question *question)
{
	struct es_asking *asking = ask->asking;
	uint64_t now = monotonic_ns(), clients = asking->told;
	bool denied = (asking->dropped && miss_denies(ask, asking->dropped)) ||
		(asking->unmade && ask->settings.fail_closed);

	question->key = asking->key;
	question->asked = question->waiting = asking->told;
	question->answered = asking->told || asking->cached;
	question->no_cache = asking->file_is_written || asking->dropped ||
		asking->key.actor_inode == 0 || !asking->told ||
		asking->told & ask->settings.control->descending;
	if (asking->cached)
		denied = asking->verdict.denied ||
			(question->event == EVENT_OPEN && question->value & ~asking->verdict.flags);
	for (; clients; clients &= clients - 1) {
		uint32_t client = (uint32_t)__builtin_ctzll(clients);

		question->deadlines[client] = now +
			ask->settings.control->answer_ns[question->event & 1][client];
		ask_raise(ask, client, ASK_ASKED);
	}
	question->denied = denied;
	if (denied || !question->waiting) {
		if (denied)
			tell_denied(ask, question);
		question_decide(ask, question, denied);
	}
	question_end_if_done(ask, question);
}

static uint64_t clients_of(const struct ask *ask, uint32_t event)
{
	return ask->settings.control->subscribed[event] & ask->can_answer;
}

static void set_question(struct ask *ask, struct question *question, uint32_t event)
{
	struct es_asking *asking = ask->asking;

	asking->clients = clients_of(ask, event);
	asking->question = question ? question->number : 0;
	asking->event = event;
	asking->result = 0;
	asking->script_fd = asking->look_fd = -1;
	asking->use_cache = 1;
	asking->generation = ask->verdict_generation;
}

void ask_overflow(struct ask *ask, int fd, uint32_t event)
{
	fanotify_answer(ask, fd,
		ask->settings.fail_closed ||
			/* whose tree it is of is not known */
			miss_denies(
				ask, clients_of(ask, event) & ~ask->settings.control->descending));
}

static void on_open(struct ask *ask, int fd, uint32_t thread)
{
	struct question *question = question_new(ask, fd, EVENT_OPEN);
	struct es_asking *asking = ask->asking;

	if (!question) {
		ask_overflow(ask, fd, EVENT_OPEN);
		return;
	}
	question->thread = thread;
	set_question(ask, question, EVENT_OPEN);
	asking->file_fd = fd;
	asking->value = ES_VALUE_ASK;
	ask_describe(ask, thread);
	if (asking->found && asking->value == ES_VALUE_BEHIND_POINTER) {
		asking->value = ES_VALUE_UNKNOWN;
		if (openat2_flags(thread, asking->call_arguments[2], &asking->value) == 0)
			asking->value = (asking->value & ~3) | ((asking->value & 3) + 1);
		asking->clients = clients_of(ask, EVENT_OPEN);
		ask_describe(ask, thread);
	}
	question->value = (uint32_t)asking->value;
	after_telling(ask, question);
}

/* Who waits, and where what he wants to run lies. False: nobody has to be asked, and it is answered. */
static bool look_at_exec(struct ask *ask, int fd, uint32_t thread)
{
	struct es_asking *asking = ask->asking;

	set_question(ask, NULL, EVENT_EXEC);
	asking->clients = 0;
	asking->file_fd = -1;
	asking->look_fd = fd;
	ask_describe(ask, thread);
	asking->look_fd = -1;
	if (asking->found && asking->in_exec && asking->exec.verdict == ES_VERDICT_NONE)
		return true;
	fanotify_answer(ask, fd, asking->in_exec && asking->exec.verdict == ES_VERDICT_DENIED);
	return false;
}

/* The first file of an execve that the kernel runs itself is what is asked about, once. */
static void ask_exec(struct ask *ask, int fd, uint32_t thread, const struct head *head)
{
	struct es_asking *asking = ask->asking;
	struct es_exec exec = asking->exec;
	struct question *question;
	struct script *script;

	if (!head->is_program) {
		script_put(ask, exec.number, fd, head);
		fanotify_answer(ask, fd, false);
		return;
	}
	question = question_new(ask, fd, EVENT_EXEC);
	if (!question) {
		ask_overflow(ask, fd, EVENT_EXEC);
		return;
	}
	script = script_of(ask, exec.number);
	script_interpreter(script, fd);
	exec_read(ask, thread, script, &exec);
	set_question(ask, question, EVENT_EXEC);
	asking->file_fd = fd;
	asking->script_fd = script ? script->fd : -1;
	ask_describe(ask, thread);
	question->exec_thread = asking->thread;
	question->thread = thread;
	exec.inode = asking->key.file_inode;
	exec.device = asking->key.file_device;
	question->exec = exec;
	after_telling(ask, question);
	script_done(script);
}

/* Until when the one that waits least would wait. */
static uint64_t first_deadline(const struct ask *ask)
{
	const struct es_control *control = ask->settings.control;
	uint64_t clients = control->subscribed[EVENT_EXEC], least = ASK_DEADLINE_NS;

	for (; clients; clients &= clients - 1) {
		uint64_t answer_ns = control->answer_ns[EVENT_EXEC][__builtin_ctzll(clients)];

		least = answer_ns < least ? answer_ns : least;
	}
	return monotonic_ns() + least;
}

static void on_exec(struct ask *ask, int fd, uint32_t thread)
{
	struct es_asking *asking = ask->asking;
	struct head head;

	if (!look_at_exec(ask, fd, thread))
		return;
	if (head_read(fd, asking->look_magic, &head) == 0)
		ask_exec(ask, fd, thread, &head);
	else if (heads_put(ask, fd, thread, asking->look_device, first_deadline(ask)) < 0)
		ask_overflow(ask, fd, EVENT_EXEC);
}

void ask_exec_with_head(struct ask *ask, int fd, uint32_t thread, const struct head *head)
{
	/* much may have become of it since */
	if (look_at_exec(ask, fd, thread))
		ask_exec(ask, fd, thread, head);
}

static void on_event(struct ask *ask, const struct fanotify_event_metadata *event)
{
	uint32_t thread = (uint32_t)event->pid;

	if (event->fd < 0)
		return; /* the queue was full: who waited was let on by the kernel */
	if (event->mask & FAN_OPEN_EXEC_PERM)
		on_exec(ask, event->fd, thread);
	else if (event->mask & FAN_OPEN_PERM)
		on_open(ask, event->fd, thread);
	else {
		/* written: what was remembered of it is not of this content */
		if (event->mask & FAN_CLOSE_WRITE)
			ask->verdict_generation++;
		close(event->fd);
	}
}

static void on_group(struct ask *ask)
{
	_Alignas(struct fanotify_event_metadata) char buffer[EVENT_BYTES];
	const struct fanotify_event_metadata *at = (void *)buffer;
	ssize_t left = read(ask->group_fd, buffer, sizeof buffer);

	for (; left > 0 && FAN_EVENT_OK(at, left); at = FAN_EVENT_NEXT(at, left))
		on_event(ask, at);
}

/* ---- answers ---------------------------------------------------------------------------------- */

/* At most eight in a second: clearing is asking everybody anew. */
static uint32_t clear_cache(struct ask *ask)
{
	uint64_t now = monotonic_ns(), *oldest = &ask->clears[ask->next_clear];

	if (*oldest && now - *oldest < ASYNC_RATE_NS)
		return ENDPOINT_CLEAR_THROTTLED;
	*oldest = now;
	ask->next_clear = (ask->next_clear + 1) % ARRAY_SIZE(ask->clears);
	ask->verdict_generation++;
	return 0;
}

/* es_respond_result_t */
enum {
	RESPOND_SUCCESS,
	RESPOND_INVALID,
	RESPOND_INTERNAL,
	RESPOND_NOT_FOUND,
	RESPOND_DUPLICATE,
	RESPOND_EVENT_TYPE
};

/* It goes on waiting; who does not look at what its call returned misses the deadline. */
static uint32_t answered_wrong(
	struct ask *ask, struct question *question, uint32_t client, uint32_t result)
{
	question->wrong[client] = (uint8_t)result;
	ask_raise(ask, client, ASK_WRONG);
	return result;
}

static uint32_t take_answer(struct ask *ask, uint32_t client, const struct endpoint_answer *answer)
{
	struct question *question = question_find(ask, answer->question);
	bool flags = answer->kind == ENDPOINT_ANSWER_FLAGS, denied;

	if (answer->kind == ENDPOINT_ANSWER_CLEAR_CACHE)
		return clear_cache(ask);
	if (!question || !(question->asked & 1ull << client))
		return RESPOND_NOT_FOUND;
	if (!(question->waiting & 1ull << client))
		return RESPOND_DUPLICATE;
	if (flags != (question->event == EVENT_OPEN))
		return answered_wrong(ask, question, client, RESPOND_EVENT_TYPE);
	if (!flags && answer->value > 1)
		return answered_wrong(ask, question, client, RESPOND_INVALID);
	ask_raise(ask, client, ASK_ANSWERED);
	denied = flags ? (question->value & ~answer->value) != 0 : answer->value != 0;
	if (denied && question->fd >= 0)
		tell_denied(ask, question);
	question_answer(ask, question, client, denied, flags ? answer->value : UINT32_MAX,
		answer->cache != 0);
	return RESPOND_SUCCESS;
}

static void drop_client(struct ask *ask, uint32_t client)
{
	struct ask_client *one = &ask->clients[client];
	const int map = ask->settings.loaded->maps[MAP_client_processes];
	uint64_t bits = 0;

	if (one->fd < 0)
		return;
	questions_drop_client(ask, client);
	/* one process may be several clients */
	bpf_map_get(map, &one->pid, &bits);
	bits &= ~(1ull << client);
	if (bits)
		bpf_map_put(map, &one->pid, &bits, BPF_ANY);
	else
		bpf_map_drop(map, &one->pid);
	ask->can_answer &= ~(1ull << client);
	one->fd = fd_close(one->fd); /* epoll forgets it */
	one->pid_fd = fd_close(one->pid_fd);
}

/* The loop ends the rest of it. */
static void break_client(struct ask *ask, uint32_t client)
{
	const struct ask_notice notice = { .client = client, .event = ASK_BROKEN };

	drop_client(ask, client);
	atomic_store(&ask->clients[client].broken, ask->clients[client].number);
	/* where there is no room another one lies already, at which the loop looks at all */
	if (write(ask->notice_fds[1], &notice, sizeof notice) < 0) {
	}
}

static void on_answer(struct ask *ask, uint32_t client)
{
	struct endpoint_answer answer;
	struct endpoint_answered answered = { 0 };
	ssize_t bytes = recv(
		ask->clients[client].fd, &answer, sizeof answer, MSG_DONTWAIT | MSG_TRUNC);

	if (bytes < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (bytes == 0 || (bytes < 0 && errno == ECONNRESET)) {
		drop_client(ask, client); /* it has said its last answer */
		return;
	}
	if (bytes != sizeof answer || answer.kind > ENDPOINT_ANSWER_CLEAR_CACHE) {
		break_client(ask, client);
		return;
	}
	answered.question = answer.question;
	answered.result = take_answer(ask, client, &answer);
	/* one that does not read its results is none that anybody waits for */
	if (send(ask->clients[client].fd, &answered, sizeof answered, MSG_DONTWAIT | MSG_NOSIGNAL) <
		0)
		break_client(ask, client);
}

/* ---- the thread ------------------------------------------------------------------------------- */

int ask_watch_fd(struct ask *ask, int fd, uint32_t from)
{
	struct epoll_event event = { .events = EPOLLIN, .data = { .u32 = from } };

	return epoll_ctl(ask->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static void clear_counts(struct ask_client *one)
{
	size_t i;

	for (i = 0; i < ASK_COUNTS; i++)
		atomic_store(&one->counts[i], 0);
}

static void add_client(struct ask *ask, const struct order *order)
{
	struct ask_client *one = &ask->clients[order->client];
	const int map = ask->settings.loaded->maps[MAP_client_processes];
	uint64_t bits = 0;

	drop_client(ask, order->client);
	clear_counts(one); /* what the one before it left open was counted as over just now */
	one->fd = order->fd;
	one->pid_fd = order->pid_fd;
	one->pid = order->pid;
	one->number = order->number;
	bpf_map_get(map, &one->pid, &bits);
	bits |= 1ull << order->client;
	bpf_map_put(map, &one->pid, &bits, BPF_ANY);
	ask_watch_fd(ask, one->fd, order->client);
	ask->can_answer |= 1ull << order->client;
	ask->verdict_generation++; /* a new client has not said yes to anything */
}

/* False: the end. */
static bool on_order(struct ask *ask)
{
	struct order order;

	if (read(ask->command_fds[0], &order, sizeof order) != sizeof order)
		return true;
	ask->taken++;
	if (order.command == COMMAND_ADD)
		add_client(ask, &order);
	else if (order.command == COMMAND_DROP)
		drop_client(ask, order.client);
	else if (order.command == COMMAND_FORGET)
		ask->verdict_generation++;
	return order.command != COMMAND_END;
}

/* What is over is missed; how long to wait for the next that is, in ms. Else for ever. */
static int expire(struct ask *ask)
{
	uint64_t now = monotonic_ns(), next = questions_expire(ask, now),
		 head = heads_expire(ask, now);
	const bool owes = ask->n_questions || ask->heads.n_waiting;

	/* while somebody is held, it is shown that he is not forgotten */
	pulse_beat(ask->settings.pulse, owes);
	next = head < next ? head : next;
	if (!owes)
		return -1;
	now = monotonic_ns();
	if (next > now + BEAT_NS)
		next = now + BEAT_NS;
	return next <= now ? 0 : (int)((next - now) / 1000000 + 1);
}

static void *decide(void *data)
{
	struct ask *ask = data;
	bool going = true;

	while (going) {
		struct epoll_event event;
		int n = epoll_wait(ask->epoll_fd, &event, 1, expire(ask));

		pulse_beat(ask->settings.pulse, true);
		/* what the loop said before anybody asked holds for whoever asks */
		while (going && atomic_load(&ask->ordered) != ask->taken)
			going = on_order(ask);
		if (n != 1)
			continue;
		if (event.data.u32 == FROM_GROUP)
			on_group(ask);
		else if (event.data.u32 >= FROM_READER)
			heads_on_reader(ask, event.data.u32 - FROM_READER);
		else if (event.data.u32 < ES_CLIENTS_MAX)
			on_answer(ask, event.data.u32);
	}
	return NULL;
}

/* ---- the loop --------------------------------------------------------------------------------- */

static int order(struct ask *ask, const struct order *order)
{
	if (write(ask->command_fds[1], order, sizeof *order) != sizeof *order)
		return -errno;
	atomic_fetch_add(&ask->ordered, 1);
	return 0;
}

int ask_add_client(struct ask *ask, uint32_t client, int32_t pid, int pid_fd, int *ret_fd)
{
	struct order add = { .command = COMMAND_ADD, .client = client, .pid = (uint32_t)pid };
	int pair[2], r = wire_pair(pair), i;

	if (r < 0)
		return r;
	for (i = 0; i < 2; i++)
		ask->settings.control->answer_ns[i][client] = ASK_DEADLINE_NS;
	atomic_store(&ask->clients[client].miss, ASK_MISS_FAIL_OPEN);
	clear_counts(&ask->clients[client]);
	add.fd = pair[0];
	add.pid_fd = pid_fd >= 0 ? fcntl(pid_fd, F_DUPFD_CLOEXEC, 3) : -1;
	add.number = ask->clients[client].added = ++ask->adds;
	r = order(ask, &add);
	if (r < 0) {
		fd_close(pair[0]);
		fd_close(pair[1]);
		fd_close(add.pid_fd);
		return r;
	}
	*ret_fd = pair[1];
	return 0;
}

void ask_drop_client(struct ask *ask, uint32_t client)
{
	order(ask, &(struct order){ .command = COMMAND_DROP, .client = client });
}

void ask_set_miss(struct ask *ask, uint32_t client, enum ask_miss miss)
{
	atomic_store(&ask->clients[client].miss, miss);
}

bool ask_is_broken(const struct ask *ask, uint32_t client)
{
	const struct ask_client *one = &ask->clients[client];

	return one->added && atomic_load(&one->broken) == one->added;
}

enum ask_miss ask_get_miss(const struct ask *ask, uint32_t client)
{
	return atomic_load(&ask->clients[client].miss);
}

uint64_t ask_count(const struct ask *ask, uint32_t client, enum ask_count count)
{
	return atomic_load(&ask->clients[client].counts[count]);
}

int ask_group_fd(const struct ask *ask)
{
	return ask->group_fd;
}

int ask_notice_fd(const struct ask *ask)
{
	return ask->notice_fds[0];
}

int ask_next_notice(struct ask *ask, struct ask_notice *ret)
{
	return read(ask->notice_fds[0], ret, sizeof *ret) == sizeof *ret ? 0 : -EAGAIN;
}

void ask_forget_answers(struct ask *ask)
{
	order(ask, &(struct order){ .command = COMMAND_FORGET });
}

/* What is given must be there: with a word that is none of it nobody would be asked, silently. */
static int look_at_filesystems(const struct ask *ask)
{
	const char *const *path = ask->settings.filesystems;

	for (; path && *path; path++)
		if (access(*path, F_OK) < 0)
			return -errno;
	return 0;
}

static int open_all(struct ask *ask)
{
	const struct loaded *loaded = ask->settings.loaded;
	const size_t bytes = (sizeof *ask->asking + 4095) & ~4095ul;
	int r;

	ask->asking = mmap(
		NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, loaded->maps[MAP_asking], 0);
	if (ask->asking == MAP_FAILED) {
		ask->asking = NULL;
		return -errno;
	}
	ask->group_fd = fanotify_init(FAN_CLASS_CONTENT | FAN_REPORT_TID | FAN_CLOEXEC |
			FAN_NONBLOCK | FAN_UNLIMITED_QUEUE | FAN_UNLIMITED_MARKS,
		O_RDONLY | O_LARGEFILE | O_CLOEXEC | O_NONBLOCK);
	if (ask->group_fd < 0)
		return -errno;
	ask->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	r = ask->epoll_fd < 0 ? -errno : pulse_add_queue(ask->settings.pulse, ask->group_fd);
	if (r == 0)
		r = look_at_filesystems(ask);
	if (r == 0 && pipe2(ask->notice_fds, O_CLOEXEC | O_NONBLOCK) < 0)
		r = -errno;
	if (r == 0 && pipe2(ask->command_fds, O_CLOEXEC) < 0)
		r = -errno;
	if (r == 0)
		r = ask_watch_fd(ask, ask->group_fd, FROM_GROUP);
	return r == 0 ? ask_watch_fd(ask, ask->command_fds[0], FROM_LOOP) : r;
}

int ask_new(const struct ask_settings *settings, struct ask **ret)
{
	struct ask *ask = calloc(1, sizeof *ask);
	size_t i;
	int r;

	if (!ask)
		return -ENOMEM;
	ask->settings = *settings;
	if (getrandom(&ask->generation, sizeof ask->generation, 0) < 0)
		ask->generation = (uint16_t)getpid();
	ask->group_fd = ask->epoll_fd = -1;
	ask->notice_fds[0] = ask->notice_fds[1] = ask->command_fds[0] = ask->command_fds[1] = -1;
	for (i = 0; i < ES_CLIENTS_MAX; i++)
		ask->clients[i].fd = ask->clients[i].pid_fd = -1;
	heads_init(&ask->heads);
	r = open_all(ask);
	if (r == 0) {
		r = -pthread_create(&ask->thread, NULL, decide, ask);
		ask->started = r == 0;
		if (ask->started)
			pthread_setname_np(ask->thread, "decide");
	}
	if (r < 0) {
		ask_free(ask);
		return r;
	}
	*ret = ask;
	return 0;
}

struct ask *ask_free(struct ask *ask)
{
	size_t i;

	if (!ask)
		return NULL;
	if (ask->started && order(ask, &(struct order){ .command = COMMAND_END }) == 0)
		pthread_join(ask->thread, NULL);
	/* whoever still waits is let on by the kernel */
	fd_close(ask->group_fd);
	for (i = 0; i < ES_CLIENTS_MAX; i++) {
		fd_close(ask->clients[i].fd);
		fd_close(ask->clients[i].pid_fd);
	}
	heads_done(&ask->heads);
	for (i = 0; i < SCRIPTS_MAX; i++)
		script_done(&ask->scripts[i]);
	for (i = 0; i < 2; i++) {
		fd_close(ask->notice_fds[i]);
		fd_close(ask->command_fds[i]);
	}
	fd_close(ask->epoll_fd);
	if (ask->asking)
		munmap(ask->asking, (sizeof *ask->asking + 4095) & ~4095ul);
	free(ask);
	return NULL;
}
