/* SPDX-License-Identifier: Apache-2.0
 *
 * The one line that a service tells its service manager, without a library: sd_notify(3)'s
 * datagram to NOTIFY_SOCKET. Nothing happens where nobody asked for it.
 */
#ifndef OB_DAEMON_NOTIFY_H
#define OB_DAEMON_NOTIFY_H

void notify_system(const char *state); /* "READY=1" */

#endif
