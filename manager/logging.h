/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the output of what the manager starts goes.
 */
#ifndef OB_MANAGER_LOGGING_H
#define OB_MANAGER_LOGGING_H

#include "manager/children.h"

/* The descriptor that daemons write their lines to: the caller's. */
int logging_daemon_fd(struct children *children, int *ret_fd);

#endif
