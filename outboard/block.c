/* SPDX-License-Identifier: Apache-2.0
 *
 * Blocks by their ABI, without a compiler that knows them: a block's third word is the function to
 * call with the block itself. The runtime is the program's; a program without one has no blocks.
 * Source: "Block Implementation Specification", clang's documentation, Block-ABI-Apple.
 */
#include <time.h>
#include "outboard/dispatch.h"

void *_Block_copy(const void *block) __attribute__((weak));
void _Block_release(const void *block) __attribute__((weak));

void *block_copy(const void *block)
{
	if (!_Block_copy)
		__builtin_trap();
	return _Block_copy(block);
}

void block_release(const void *block)
{
	if (_Block_release)
		_Block_release(block);
}

void *block_copy_wait(const void *block)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	void *copy;

	while (!(copy = block_copy(block)))
		nanosleep(&pause, NULL);
	return copy;
}

void block_call(void *block)
{
	BLOCK_INVOKE(block, void (*)(void *))(block);
}

void block_destroy(void *block)
{
	block_release(block);
}
