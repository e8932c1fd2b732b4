/* SPDX-License-Identifier: Apache-2.0
 *
 * Copies of blocks for code that is compiled with clang -fblocks. The calls are those of
 * libBlocksRuntime, which the linker adds for a program that has blocks.
 */
#ifndef _BLOCK_H_
#define _BLOCK_H_

#ifdef __cplusplus
extern "C" {
#endif

/* All: any thread. Since: 0.1. Source: Block.h, macOS 10.6; clang's Block-ABI-Apple. */

/** _Block_copy() - the block on the heap, or one more reference to it, yours; NULL: no memory */
void *_Block_copy(const void *block);
/** _Block_release() - give one reference back */
void _Block_release(const void *block);

#ifdef __cplusplus
}
#endif

#define Block_copy(...) ((__typeof(__VA_ARGS__))_Block_copy((const void *)(__VA_ARGS__)))
#define Block_release(...) _Block_release((const void *)(__VA_ARGS__))

#endif
