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
bad_service() { sed -i 's,</dict></plist>,<key>NSEndpointSecurityMachServiceName</key><string>../x</string>&,' "$work/made/$name.app/$info"; }
a_service() { sed -i 's,</dict></plist>,<key>NSEndpointSecurityMachServiceName</key><string>org.example.taken</string>&,' "$work/made/$name.app/$info"; }
network() {
	printf '%s%s\n' '<plist version="1.0"><dict><key>com.apple.developer.networking.networkextension</key>' \
		'<array><string>content-filter-provider-systemextension</string></array></dict></plist>' \
		>"$work/made/$name.agent.entitlements"
}
other_team() { # signs the extension, and the app as before
	local key=$team_key
	team_key=$work/other.key
	sign "$app/$extension" "$work/made/$name.agent.entitlements"
	team_key=$key
	sign "$app" "$work/made/$name.entitlements"
}
all_other_team() {
	local key=$team_key
	team_key=$work/other.key
	app_sign_at "$app"
	team_key=$key
}
app_sign_at() {
	sign "$1/$extension" "$work/made/$name.agent.entitlements"
	sign "$1" "$work/made/$name.entitlements"
}
policy_put() { # TEXT
	printf '%s\n' "$1" >"$work/policy"
	mv "$work/policy" "$OUTBOARD_ROOT/etc/outboard/policy.d/more.json"
}
# A policy is read some time after it was written, and status says only whether it is valid: so one that
# is not comes first, and then the right one.
policy_take() { # TEXT
	policy_put '{"AllowedTeamIdentifiers": 7}'
	policy_await '.*more.json'
	[ -z "$1" ] || policy_put "$1"
	[ -n "$1" ] || rm "$OUTBOARD_ROOT/etc/outboard/policy.d/more.json"
	policy_await 'valid$'
}
policy_await() { # WHAT
	local deadline=$((SECONDS + wait_s)) change
	[ -v monitor_fd ] || monitor_start
	until outboardctl status 2>>"$log" | grep -qE "policy: +$1"; do
		[ $SECONDS -lt $deadline ] || fail "the policy" "$1" "$(outboardctl status | grep policy)"
		read -r -t 1 -u "$monitor_fd" change
	done
}
policy_exclusive() {
	mv "$OUTBOARD_ROOT/etc/outboard/policy.d/allowed-$team.json" "$work/allowed"
	policy_take '{"AllowUserOverrides": false}'
}
policy_back() {
	mv "$work/allowed" "$OUTBOARD_ROOT/etc/outboard/policy.d/allowed-$team.json"
	policy_take ''
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

# What an administrator is told by the tool: the sentence of the rule, and what to do.
told() { # WHAT SENTENCE VERB...
	local what=$1 sentence=$2 said code
	shift 2
	said=$(outboardctl "$@" 2>&1)
	code=$?
	[ $code = 1 ] || fail "$what: exit code" 1 "$code: $said"
	expect "$what" "$sentence" "$said"
	expect "$what: what to do" '^  ' "$said"
	echo "${said%%$'\n'*}"
	rows=$((rows + 1))
}

outboardd_start
team_start other
team_start errors
team=$(outboardctl team list --json | jq -r '.[] | select(.name == "errors") | .team')
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
refused "an extension of another team" none other_team 8 extension.team "$id"
refused "a service name that is none" bad_service none 9 '(service.name|info.value)' '(Info.plist|x)'
refused "network extensions" network none 9 category.not-served "$id"
sound "before the policy"

# one that is there already, of this team, and its service
app_install "$opt/first" first 1.0-1 "$agents/agent-silent" NSEndpointSecurityMachServiceName=org.example.taken
outboardctl activate "$opt/first/first.app" org.example.first.agent --wait >>"$log" 2>&1 ||
	fail "the first one" "exit 0" "$(tail -n 1 "$log")"
refused "a service that another one has" a_service none 9 service.taken "org.example.taken"
told "deny what does not wait" 'org.example.first.agent: it does not wait for approval' deny org.example.first.agent
put none none
expect "deactivate what is not active" "^failed 4 extension.not-active .*$id" \
	"$("$app/Contents/MacOS/app" deactivate $id)"
told "developer mode is off" 'dev.true: this is for developer mode only' dev run -- /bin/true
put none none
outboardctl activate "$app" $id --wait >>"$log" 2>&1 || fail "activate" "exit 0" "$(tail -n 1 "$log")"
put none all_other_team
expect "an identifier that another team has" "^failed 6 extension.identifier-taken .*$id" \
	"$(as-user alice "$app/Contents/MacOS/app" activate $id)"
policy_take "{\"NonRemovableSystemExtensions\": {\"$team\": [\"$id\"]}}"
told "what the policy keeps" "$id: the policy keeps it" uninstall $id
policy_take ''
app_uninstall $id
app_uninstall org.example.first.agent
sound "without the first one"
policy_take "{\"AllowedSystemExtensionTypes\": {\"$team\": [\"DriverExtension\"]}}"
refused "a kind that the policy leaves out" none none 10 policy.type "$id"
policy_put '{"AllowedTeamIdentifiers": 7}'
policy_await '.*more.json'
refused "a policy that is not valid" none none 10 policy.invalid "$id"
policy_take ''
sound "without that policy"

policy_exclusive
refused "a policy that names others" none none 10 policy.not-allowed "$id"
policy_back
sound "afterwards"

outboardd_stop
echo "$rows rows"
