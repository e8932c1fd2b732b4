/* SPDX-License-Identifier: Apache-2.0
 *
 * macOS' clock that does not jump: here CLOCK_MONOTONIC in nanoseconds, so the timebase is 1/1.
 */
#ifndef MACH_MACH_TIME_H
#define MACH_MACH_TIME_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef KERN_SUCCESS
typedef int kern_return_t;
#define KERN_SUCCESS 0
#define KERN_INVALID_ARGUMENT 4
#endif

struct mach_timebase_info {
	uint32_t numer;
	uint32_t denom;
};
typedef struct mach_timebase_info *mach_timebase_info_t;
typedef struct mach_timebase_info mach_timebase_info_data_t;

/*
 * All: any thread. Since: 0.1. Source: mach/mach_time.h, macOS 10.0; continuous: 10.12.
 */

/** mach_absolute_time() - nanoseconds that the machine has been up, not counting sleep */
uint64_t mach_absolute_time(void);
/** mach_continuous_time() - nanoseconds since boot, sleep included (CLOCK_BOOTTIME) */
uint64_t mach_continuous_time(void);
/** mach_approximate_time() - as mach_absolute_time(), at the kernel's tick, cheaper */
uint64_t mach_approximate_time(void);
/** mach_timebase_info() - always 1/1; KERN_INVALID_ARGUMENT for NULL */
kern_return_t mach_timebase_info(mach_timebase_info_t info);

#ifdef __cplusplus
}
#endif

#endif
