/* SPDX-License-Identifier: Apache-2.0
 *
 * The one function of a fuzz target, by libFuzzer's name: feed @data to what it tests. 0 always; what
 * must not be is an abort.
 */
#ifndef OB_FUZZ_FUZZ_H
#define OB_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#endif
