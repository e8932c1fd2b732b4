#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# lint-style, lint-headers, lint-man, lint-usage and lint-rules find what they are there to find: one bad
# tree or page for each rule, and a good one.
# test-lint.sh LINT-STYLE LINT-HEADERS LINT-MAN LINT-USAGE LINT-RULES
set -u
lint=$1 lint_headers=$2 lint_man=$3 lint_usage=$4 lint_rules=$5 failed=0
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
git -C "$tree" init -q

finds() { # PATTERN FILE TEXT: with TEXT in FILE the linter fails and says PATTERN
	local text
	mkdir -p "$tree/$(dirname "$2")"
	printf '%b' "$3" >"$tree/$2"
	if text=$("$lint" "$tree") || ! grep -qE "$1" <<<"$text"; then
		echo "FAILED: $1 not found in $2: $text"
		failed=1
	fi
	rm "$tree/$2"
}

spdx='/* SPDX-License-Identifier: Apache-2.0 */\n'
finds 'no SPDX' a.c 'int a;\n'
finds 'no SPDX' tool '#!/bin/sh\n'
finds 'two licences' x/bpf/a.c "$spdx"
finds 'under Apache' a.c '/* SPDX-License-Identifier: MIT */\n'
finds 'a.c:2: 81 lines' a.c "$spdx{\n$(printf 'x;\\n%.0s' {1..81})}\n"
finds 'a.c: 801 lines' a.c "$spdx$(printf 'int x;\\n%.0s' {1..800})"
finds 'no goto' a.c "$spdx\tgoto out;\n"
finds 'unfinished' README "TO""DO: all\n"
finds 'no paths' README "see /wo""rk/x\n"

printf '%b' "$spdx{\n$(printf 'x;\\n%.0s' {1..80})}\n" >"$tree/good.c"
if ! text=$("$lint" "$tree"); then
	echo "FAILED: a good tree is refused: $text"
	failed=1
fi

says() { # PATTERN COMMAND...: it fails, and says so; an empty PATTERN: it passes
	local text pattern=$1 status=0
	text=$("${@:2}" 2>/dev/null) || status=1
	if [ $status -ne "$([ -z "$pattern" ]; echo $?)" ] || ! grep -qE -- "$pattern" <<<"$text"; then
		echo "FAILED: '$pattern' and not: $text"
		failed=1
	fi
}

mkdir -p "$tree/include"
header() { # TEXT
	printf '%b' "$1" >"$tree/include/a.h"
}
header "/**\n * a() - b\n * Threads: any\n * Since: 1\n */\nint a(void);\n"
says '' "$lint_headers" "$tree"
header "/* Threads: any. Since: 1 */\n/** a() - b */\nint a(int b,\n\tint c);\n"
says '' "$lint_headers" "$tree"
header "/* Threads: any. Since: 1 */\nint *a(void);\n"
says ':2: a\(\) is not documented' "$lint_headers" "$tree"
header "/** a() - b; since 1 */\nint a(void);\n"
says 'a\(\) says nothing' "$lint_headers" "$tree"

mkdir -p "$tree/base"
rules() { # A-LINE-OF-C A-LINE-OF-C-TEST A-LINE-OF-SHELL-TEST: a tree of the rules a.b and a.c-d
	printf 'RULE(AB, X, "a", "a.b", "%%s",\n\t"y")\nRULE(ACD, X,\n\t"a", "a.c-d", "%%s", "y")\n' >"$tree/base/rules.def"
	printf '%s\n' "$1" >"$tree/base/a.c"
	printf '%s\n' "$2" >"$tree/base/test-a.c"
	printf '%s\n' "$3" >"$tree/base/test-a.sh"
}
rules 'f(RULE_AB); f(RULE_ACD);' 'g(RULE_AB);' 'expect 8 a.c-d'
says '' "$lint_rules" "$tree"
rules 'f(RULE_ACD);' 'g(RULE_AB);' 'expect 8 a.c-d'
says 'nothing is refused by a.b' "$lint_rules" "$tree"
rules 'f(RULE_AB); f(RULE_ACD);' '/* RULE_AB */' 'expect 8 a.c-d'
says 'no test provokes a.b' "$lint_rules" "$tree"
rules 'f(RULE_AB); f(RULE_ACD);' 'g(RULE_AB);' '# a.c-d'
says 'no test provokes a.c-d' "$lint_rules" "$tree"
rules 'f(RULE_AB); f(RULE_ACD);' 'g(RULE_AB);' 'expect 8 a.c-de'
says 'no test provokes a.c-d' "$lint_rules" "$tree"
rm "$tree"/base/*

command -v mandoc >/dev/null || { echo "mandoc is missing" >&2; exit $((failed ? failed : 77)); }

page() { # NAME SYNOPSIS DESCRIPTION: a page of section 1
	mkdir -p "$tree/man"
	printf '.Dd November 24, 2026\n.Dt %s 1\n.Os\n.Sh NAME\n.Nm %s\n.Nd does\n' "${1^^}" "$1"
	printf '.Sh SYNOPSIS\n%b.Sh DESCRIPTION\n%b.Sh EXAMPLES\nNone.\n' "$2" "$3"
}
# The same table of verbs for all: a tool of one verb, and what its page may say of it.
mkdir -p "$tree/man" "$tree/base" "$tree/tools/outboardctl"
cat >"$tree/tool" <<'END'
#!/bin/sh
case $1 in
help) printf 'usage: tool [VERB]\n\n  go WHERE [--fast]   goes\n' ;;
go) echo 'usage: tool go WHERE [--fast]' ;;
esac
END
chmod +x "$tree/tool"
echo 'VERB("go", verb_go, "", "goes")' >"$tree/tools/outboardctl/verbs.def"
synopsis='.Nm tool\n.Cm go\n.Ar where\n.Op Fl Fl fast\n'
verb='.Bl -tag -width Ds\n.It Cm go Ar where\nWith\n.Fl Fl fast\nfaster.\n.El\n'

page tool "$synopsis" "$verb" >"$tree/man/tool.1"
echo 'RULE(A, B, "c", "d", "e", "outboardctl go; see tool(1) and ob_error(7).")' >"$tree/base/rules.def"
says '' "$lint_man" "$tree"
says '' "$lint_usage" "$tree/tool" "$tree/man/tool.1"

page tool "$synopsis" "$verb.Bogus\n" >"$tree/man/tool.1"
says 'unknown macro' "$lint_man" "$tree"
page tool "$synopsis" "$verb.Xr nowhere 3\n" >"$tree/man/tool.1"
says 'names nowhere\(3\)' "$lint_man" "$tree"
page tool "$synopsis" "$verb" >"$tree/man/tool.1"
echo 'RULE(A, B, "c", "d", "e", "See tool(8).")' >"$tree/base/rules.def"
says 'names tool\(8\)' "$lint_man" "$tree"
echo 'RULE(A, B, "c", "d", "e", "outboardctl stay")' >"$tree/base/rules.def"
says 'outboardctl stay' "$lint_man" "$tree"

page tool "${synopsis/fast/slow}" "$verb" >"$tree/man/tool.1"
says 'SYNOPSIS is not' "$lint_usage" "$tree/tool" "$tree/man/tool.1"
page tool "$synopsis" "${verb/faster/faster.\n.Fl Fl slow\nslower}" >"$tree/man/tool.1"
says '> --slow' "$lint_usage" "$tree/tool" "$tree/man/tool.1"
page tool "$synopsis" "${verb/.Fl Fl fast/it is}" >"$tree/man/tool.1"
says '< --fast' "$lint_usage" "$tree/tool" "$tree/man/tool.1"
page tool "$synopsis" "${verb/Cm go/Cm stay}" >"$tree/man/tool.1"
says '> stay' "$lint_usage" "$tree/tool" "$tree/man/tool.1"
exit $failed
