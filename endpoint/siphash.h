/* SPDX-License-Identifier: Apache-2.0
 *
 * SipHash with 128 bits of output (Aumasson, Bernstein: "SipHash: a fast short-input PRF", and the
 * authors' siphash.c for the double output), for the compiler for BPF and for the daemon alike. A
 * path is known to the kernel program by this hash alone, so whoever could make two paths of one hash
 * could hide behind a muted one: hence a keyed function that was made against just that, a key that is
 * drawn at each start and never leaves daemon and kernel, and 128 bits, of which nobody is ever told
 * whether they were hit. One round a word and three at the end, as the authors offer where speed
 * counts.
 */
#ifndef OB_ENDPOINT_SIPHASH_H
#define OB_ENDPOINT_SIPHASH_H

#define SIPHASH_ROUNDS 1
#define SIPHASH_END_ROUNDS 3

#define SIPHASH_TURN(x, n) ((x) << (n) | (x) >> (64 - (n)))

/* Plain variables, since a program for BPF keeps them in registers. */
struct siphash {
	uint64_t a, b, c, d;
};

static inline __attribute__((always_inline)) void siphash_rounds(struct siphash *at, int rounds)
{
	int i;

#pragma GCC unroll 4
	for (i = 0; i < rounds; i++) {
		at->a += at->b;
		at->b = SIPHASH_TURN(at->b, 13) ^ at->a;
		at->a = SIPHASH_TURN(at->a, 32);
		at->c += at->d;
		at->d = SIPHASH_TURN(at->d, 16) ^ at->c;
		at->a += at->d;
		at->d = SIPHASH_TURN(at->d, 21) ^ at->a;
		at->c += at->b;
		at->b = SIPHASH_TURN(at->b, 17) ^ at->c;
		at->c = SIPHASH_TURN(at->c, 32);
	}
}

static inline __attribute__((always_inline)) void siphash_begin(
	struct siphash *at, uint64_t key_low, uint64_t key_high)
{
	at->a = 0x736f6d6570736575ull ^ key_low;
	at->b = 0x646f72616e646f6dull ^ key_high ^ 0xee;
	at->c = 0x6c7967656e657261ull ^ key_low;
	at->d = 0x7465646279746573ull ^ key_high;
}

/* Eight bytes, the first one lowest. */
static inline __attribute__((always_inline)) void siphash_word(
	struct siphash *at, uint64_t word, int rounds)
{
	at->d ^= word;
	siphash_rounds(at, rounds);
	at->a ^= word;
}

/* @tail: the last bytes % 8, the first one lowest; @bytes: of the whole. What was begun is used up. */
static inline __attribute__((always_inline)) void siphash_end(struct siphash *at, uint64_t tail,
	uint64_t bytes, int rounds, int end_rounds, uint64_t ret[2])
{
	siphash_word(at, tail | bytes << 56, rounds);
	at->c ^= 0xee;
	siphash_rounds(at, end_rounds);
	ret[0] = at->a ^ at->b ^ at->c ^ at->d;
	at->b ^= 0xdd;
	siphash_rounds(at, end_rounds);
	ret[1] = at->a ^ at->b ^ at->c ^ at->d;
}

#endif
