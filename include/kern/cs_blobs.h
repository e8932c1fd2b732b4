/* SPDX-License-Identifier: Apache-2.0
 *
 * macOS' flags of a signed program: es_process_t.codesigning_flags. Which of them are set here is in
 * EndpointSecurity(7). Source: kern/cs_blobs.h, macOS 10.15.
 */
#ifndef KERN_CS_BLOBS_H
#define KERN_CS_BLOBS_H

#define CS_VALID 0x00000001
#define CS_ADHOC 0x00000002
#define CS_GET_TASK_ALLOW 0x00000004
#define CS_INSTALLER 0x00000008
#define CS_HARD 0x00000100
#define CS_KILL 0x00000200
#define CS_CHECK_EXPIRATION 0x00000400
#define CS_RESTRICT 0x00000800
#define CS_ENFORCEMENT 0x00001000
#define CS_REQUIRE_LV 0x00002000
#define CS_RUNTIME 0x00010000
#define CS_KILLED 0x01000000
#define CS_PLATFORM_BINARY 0x04000000
#define CS_DEBUGGED 0x10000000
#define CS_SIGNED 0x20000000

#endif
