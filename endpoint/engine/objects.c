/* SPDX-License-Identifier: Apache-2.0
 *
 * The kernel's programs as the compiler made them: megabytes of generated text, which no analyser is to
 * read (test/lint-deep), and so nothing else is in here.
 */
#include "endpoint/engine/engine.h"
#include "endpoint/engine/load.h"
#include "ask.skel.h"
#include "file-close.skel.h"
#include "file-names.skel.h"
#include "file-plain.skel.h"
#include "file-trampoline.skel.h"
#include "process.skel.h"

const struct object_row object_rows[OBJECTS] = {
#define OBJECT(id, name_, source_) \
	[OBJECT_##id] = { .source = (source_), .bytes = name_##_bpf__elf_bytes },
#include "endpoint/engine/programs.def"
};
