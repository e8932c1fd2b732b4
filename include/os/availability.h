/* SPDX-License-Identifier: Apache-2.0
 *
 * macOS' marks of availability. They say nothing here, and are there so that code which carries them
 * compiles. Source: os/availability.h, macOS 10.12.
 */
#ifndef OS_AVAILABILITY_H
#define OS_AVAILABILITY_H

#ifndef API_AVAILABLE
#define API_AVAILABLE(...)
#define API_UNAVAILABLE(...)
#define API_DEPRECATED(...)
#define API_DEPRECATED_WITH_REPLACEMENT(...)
#define API_AVAILABLE_BEGIN(...)
#define API_AVAILABLE_END
#define API_UNAVAILABLE_BEGIN(...)
#define API_UNAVAILABLE_END
#endif

#endif
