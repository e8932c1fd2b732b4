/* SPDX-License-Identifier: Apache-2.0
 *
 * Where macOS has audit_token_t. There are no Mach messages here.
 */
#ifndef MACH_MESSAGE_H
#define MACH_MESSAGE_H

#include <bsm/libbsm.h>

#endif
