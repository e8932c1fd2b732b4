/* SPDX-License-Identifier: Apache-2.0
 *
 * macOS' numbers of processors: es_event_exec_t.image_cputype. Source: mach/machine.h, macOS 10.0.
 */
#ifndef MACH_MACHINE_H
#define MACH_MACHINE_H

typedef int cpu_type_t;
typedef int cpu_subtype_t;

#define CPU_ARCH_MASK 0xff000000
#define CPU_ARCH_ABI64 0x01000000
#define CPU_TYPE_ANY ((cpu_type_t)-1)
#define CPU_TYPE_X86 ((cpu_type_t)7)
#define CPU_TYPE_I386 CPU_TYPE_X86
#define CPU_TYPE_X86_64 (CPU_TYPE_X86 | CPU_ARCH_ABI64)
#define CPU_TYPE_ARM ((cpu_type_t)12)
#define CPU_TYPE_ARM64 (CPU_TYPE_ARM | CPU_ARCH_ABI64)

#define CPU_SUBTYPE_MASK 0xff000000
#define CPU_SUBTYPE_ANY ((cpu_subtype_t)-1)
#define CPU_SUBTYPE_X86_64_ALL ((cpu_subtype_t)3)
#define CPU_SUBTYPE_ARM64_ALL ((cpu_subtype_t)0)

#endif
