#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Errors 1 to 13, each by an app, a file system or a process as it could exist: the app that asks is
# told the number, the rule, and a sentence that names what it is about; and the same app without
# that one fault is let in. Those that take a longer story are in test-requests.sh (11, 12),
# test-asked.sh (13) and test-disks.sh (1, a broken disk and a full one). In a scope with users.
# test-errors.sh BUILD
set -u
build=$1
# shellcheck source=test/lib/outboardd.sh
. "$(dirname "$(realpath "$0")")/lib/outboardd.sh"
agents=$build/test/agents opt=$OUTBOARD_ROOT/opt
name=errors id=org.example.errors.agent
inside=Contents/Library/SystemExtensions
extension=$inside/$id.systemextension
info=$extension/Contents/Info.plist
rows=0

# Each fault is done to the app $made/errors.app before it is signed, or to $app, where it lies signed.
none() { :; }
no_install() { printf '<plist version="1.0"><dict/></plist>\n' >"$work/made/$name.entitlements"; }
no_identifier() { sed -i '/CFBundleIdentifier/d' "$work/made/$name.app/$info"; }
wrong_type() { sed -i 's/SYSX/BNDL/' "$work/made/$name.app/$info"; }
no_category() { printf '<plist version="1.0"><dict/></plist>\n' >"$work/made/$name.agent.entitlements"; }
twice() {
	local driver=$work/made/$name.app/$inside/$id.dext
	cp -r "$work/made/$name.app/$extension" "$driver"
	sed -i -e 's/SYSX/DEXT/' -e 's/NSSystemExtensionUsage/OSBundleUsage/' "$driver/Contents/Info.plist"
	printf '%s\n' '<plist version="1.0"><dict><key>com.apple.developer.driverkit</key><true/></dict></plist>' \
		>"$work/driver.entitlements"
	sign "$driver" "$work/driver.entitlements"
}
in_a_home() {
	mkdir -p /tmp/home/alice/Applications
	mv "$app" /tmp/home/alice/Applications/
	app=/tmp/home/alice/Applications/$name.app
}
other_name() {
	mv "$app/$extension" "$app/$inside/org.example.other.systemextension"
	sign "$app" "$work/made/$name.entitlements"
}
changed_byte() { printf x >>"$app/$extension/Contents/MacOS/agent"; }
policy_exclusive() {
	printf '{"AllowUserOverrides": false}\n' >"$work/policy"
	mv "$work/policy" "$OUTBOARD_ROOT/etc/outboard/policy.d/exclusive.json"
	mv "$OUTBOARD_ROOT/etc/outboard/policy.d/allowed-$team.json" "$work/allowed"
}
policy_back() {
	mv "$work/allowed" "$OUTBOARD_ROOT/etc/outboard/policy.d/allowed-$team.json"
	rm -f "$OUTBOARD_ROOT/etc/outboard/policy.d/exclusive.json"
}

put() { # BEFORE AFTER: a signed app with that fault; sets app
	"$source_top/test/agents/make-app" "$work/made" $name 1.0-1 "$app_program" "$agents/agent-silent" ||
		fail "make-app" "an app" "see above"
	"$1"
	app_sign "$work/made" $name
	mkdir -p "$opt"
	rm -rf "$opt/$name.app" "/tmp/home/alice/Applications/$name.app"
	mv "$work/made/$name.app" "$opt/"
	app=$opt/$name.app
	"$2"
}

sound() { # WHAT: the same app without the fault is let in
	put none none
	expect "$1: without it" '^finished 0$' "$(as-user alice "$app/Contents/MacOS/app" activate $id)"
	app_uninstall $id
}

refused() { # WHAT BEFORE AFTER NUMBER RULE OBJECT [IDENTIFIER]
	local said
	put "$2" "$3"
	said=$(as-user alice "$app/Contents/MacOS/app" activate "${7-$id}")
	expect "$1" "^failed $4 $5 .*$6" "$said"
	expect "$1: nobody is asked" '^needs-approval$' "$said" not
	expect "$1: nothing runs" '^$' "$(running_pid $id)"
	[ -z "$(property $id active | grep true)" ] || fail "$1" "nothing active" "an active copy"
	echo "$said"
	rows=$((rows + 1))
}

outboardd_start
team_start errors
team=$(outboardctl team list --json | jq -r '.[0].team')
policy_allow "$team"

refused "the app may not install" no_install none 2 request.entitlement "$name.app"
refused "the app lies in a home" none in_a_home 3 app.location "$name.app"
refused "no such extension" none none 4 extension.not-found nonesuch org.example.nonesuch
refused "a folder of another name" none other_name 4 bundle.directory-name org.example.other.systemextension \
	org.example.other
refused "an identifier that is none" none none 5 request.identifier 'no identifier' 'not an identifier'
refused "no identifier in Info.plist" no_identifier none 5 info.identifier-missing Info.plist
refused "a driver of the same name" twice none 6 '(extension.twice|bundle.duplicate-identifier)' "$id"
refused "no category" no_category none 7 info.category "$id"
refused "a changed byte" none changed_byte 8 signature.file-changed agent
refused "a package type of something else" wrong_type none 9 info.package-type Info.plist
sound "before the policy"

put none policy_exclusive
refused "a policy that names others" none none 10 policy.not-allowed "$id"
policy_back
sound "afterwards"

outboardd_stop
echo "$rows rows"
