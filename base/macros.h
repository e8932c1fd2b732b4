/* SPDX-License-Identifier: Apache-2.0
 *
 * What every file of the tree may assume: scope-bound clean-up, sizes, and the platforms that
 * Outboard runs on. Nothing here depends on anything but the compiler.
 */
#ifndef OB_BASE_MACROS_H
#define OB_BASE_MACROS_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#if !defined(__linux__) || __SIZEOF_POINTER__ != 8 || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "Outboard runs on 64-bit little-endian Linux"
#endif

#define _cleanup_(function) __attribute__((cleanup(function)))
#define ob_export __attribute__((visibility("default")))
#define ob_printf(format_at, args_at) __attribute__((format(printf, format_at, args_at)))

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define MEMBER_SIZE(type, member) sizeof(((type *)0)->member)

#define container_of(pointer, type, member) \
	((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* A cleanup function for a pointer type whose destructor takes NULL and returns NULL. */
#define DEFINE_CLEANUP(type, destructor)                 \
	static inline void destructor##p(type **pointer) \
	{                                                \
		if (*pointer)                            \
			destructor(*pointer);            \
	}

/* Hand the value to the caller and disarm the clean-up that guards it. */
#define TAKE(pointer)                                   \
	({                                              \
		__typeof__(pointer) taken_ = (pointer); \
		(pointer) = NULL;                       \
		taken_;                                 \
	})
#define TAKE_FD(fd)                \
	({                         \
		int taken_ = (fd); \
		(fd) = -1;         \
		taken_;            \
	})

#endif
