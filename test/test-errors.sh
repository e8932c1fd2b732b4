#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Errors 1 to 13, each by an app, a file system or a process as it could exist: the app that asks is
# told the number, the rule, and a sentence that names what it is about; and the same app without
# that one fault is let in. Those that take a longer story are in test-requests.sh (11, 12),
# test-asked.sh (13), test-disks.sh (1, a broken disk and a full one), test-late.sh (what takes too long)
# and test-clients.sh (Endpoint Security). In a scope with users.
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
	until_status "the policy" "policy: +$1"
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

# What an administrator is told by the tool: the sentence of the rule, its name, and what to do.
told() { # WHAT NUMBER RULE SENTENCE VERB...
	local what=$1 number=$2 rule=$3 sentence=$4 said code
	shift 4
	said=$(outboardctl "$@" 2>&1)
	code=$?
	[ $code = 1 ] || fail "$what: exit code" 1 "$code: $said"
	expect "$what" "^outboardctl $1: $sentence.* \\($rule, error $number\\)\$" "$said"
	expect "$what: what to do" '^  ' "$said"
	echo "${said%%$'\n'*}"
	rows=$((rows + 1))
}

done_by_root() { # VERB...: what was refused before is done
	outboardctl "$@" >>"$log" 2>&1 || fail "outboardctl $*" "exit 0" "$(tail -n 1 "$log")"
}

# What dies as soon as it is started is started again and again here, and not given up.
mkdir -p "$OUTBOARD_ROOT/etc/outboard/conf.d"
printf '[extension]\ncrash_limit = 1000\n' >"$OUTBOARD_ROOT/etc/outboard/conf.d/crashes.conf"
outboardd_start
team_start other
other=$(outboardctl team list --json | jq -r '.[0].team')
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
refused "a driver of the same name" twice none 6 bundle.duplicate-identifier "$id"
refused "no category" no_category none 7 info.category "$id"
refused "a changed byte" none changed_byte 8 signature.file-changed agent
refused "a package type of something else" wrong_type none 9 info.package-type Info.plist
refused "an extension of another team" none other_team 8 extension.team "$id"
refused "a service name that is none" bad_service none 9 service.name "$id: the service name ../x"
refused "network extensions" network none 9 category.not-served "$id"
sound "before the policy"

# one that is there already, of this team, and its service
app_install "$opt/first" first 1.0-1 "$agents/agent-silent" NSEndpointSecurityMachServiceName=org.example.taken
outboardctl activate "$opt/first/first.app" org.example.first.agent --wait >>"$log" 2>&1 ||
	fail "the first one" "exit 0" "$(tail -n 1 "$log")"
refused "a service that another one has" a_service none 9 service.taken "org.example.taken"
told "deny what does not wait" 1 approval.not-waiting \
	'org.example.first.agent: it does not wait for approval, it is activated_enabled' deny org.example.first.agent
put none none
expect "deactivate what is not active" "^failed 4 extension.not-active .*$id" \
	"$("$app/Contents/MacOS/app" deactivate $id)"
told "developer mode is off" 13 developer.mode-off 'dev.true: this is for developer mode only' dev run -- /bin/true
told "no app" 1 app.unreadable "$opt: the app cannot be opened: its name does not end in .app" activate "$opt" $id
put none none
outboardctl activate "$app" $id --wait >>"$log" 2>&1 || fail "activate" "exit 0" "$(tail -n 1 "$log")"
put none all_other_team
expect "an identifier that another team has" "^failed 6 extension.identifier-taken .*$id" \
	"$(as-user alice "$app/Contents/MacOS/app" activate $id)"
policy_take "{\"NonRemovableSystemExtensions\": {\"$team\": [\"$id\"]}}"
told "what the policy keeps" 10 policy.non-removable "$id: the policy keeps it" uninstall $id
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

# what waits for approval is neither on nor off; approved, it can be both
put none all_other_team
app_start alice "$app/Contents/MacOS/app" activate $id
app_await '^needs-approval$'
told "enable what waits" 1 state.not-disabled \
	"$id: only what is disabled can be enabled, and it is activated_waiting_for_user" enable $id
told "disable what waits" 1 state.not-enabled \
	"$id: only what is enabled can be disabled, and it is activated_waiting_for_user" disable $id
done_by_root approve $id --yes
app_await '^finished 0$'
app_ended 0
done_by_root disable $id
until_property "it can be disabled" $id state '^activated_disabled$'
done_by_root enable $id
until_property "it can be enabled" $id state '^activated_enabled$'
app_uninstall $id

# a registration that cannot be used vouches for nobody
registration=$OUTBOARD_ROOT/etc/outboard/teams.d/$other.team
cp "$registration" "$work/registration"
echo 'colour = red' >>"$registration"
said=$(outboardctl team list --json | jq -r --arg team "$other" '.[] | select(.team == $team) | .state + ": " + .reason')
expect "team.file" "^unusable: the registration $other.team cannot be used: .*name, key, entitlements" "$said"
rows=$((rows + 1))
refused "an extension of that team" none all_other_team 8 team.unknown "$name.app"
cp "$work/registration" "$registration"
expect "team.file: without it" "^trusted" "$(outboardctl team list --json |
	jq -r --arg team "$other" '.[] | select(.team == $team) | .state')"

# a second one of that name comes into an app that was found to be sound
put none none
expect "before it" '^finished 0$' "$(as-user alice "$app/Contents/MacOS/app" activate $id)"
cp -r "$app/$extension" "$app/$inside/$id.dext"
expect "a second one" "^failed 6 extension.twice $id: the app holds two bundles of that name" \
	"$(as-user alice "$app/Contents/MacOS/app" activate $id)"
rm -r "$app/$inside/$id.dext"
expect "after it" '^finished 0$' "$(as-user alice "$app/Contents/MacOS/app" activate $id)"
app_uninstall $id
rows=$((rows + 1))

# started again and again, its request is open: an administrator, or the policy, ends that
id=org.example.looping.agent app=$opt/looping.app/Contents/MacOS/app
app_install "$opt" looping 1.0-1 "$agents/agent-crash"
enabling() {
	app_start alice "$app" activate $id
	until_property "it does not come up" $id state '^activated_enabling$'
}
enabling
done_by_root disable $id
app_await "^failed 13 state.disabled $id: it was disabled meanwhile by root"
app_ended 1
app_uninstall $id
enabling
rm "$OUTBOARD_ROOT/etc/outboard/policy.d/allowed-$team.json"
app_await "^failed 12 state.removed $id: the version that was asked for is gone: the policy that allowed it is gone"
app_ended 1
until_property "it is gone" $id state '^$'
app_install "$opt" looping 1.0-2 "$agents/agent-silent"
policy_allow "$team"
policy_take ''
expect "one that comes up, allowed again" '^finished 0$' "$(as-user alice "$app" activate $id)"
app_uninstall $id
rows=$((rows + 2))

# nine at once
done_by_root developer on
mkfifo "$work/hold" "$work/begun"
exec {hold}<>"$work/hold" {begun}<>"$work/begun"
runs=()
for _ in {1..8}; do
	outboardctl dev run -- sh -c 'echo begun; read -r _' <"$work/hold" >"$work/begun" 2>>"$log" {hold}>&- {begun}>&- &
	runs+=($!)
	read -r -t $wait_s -u "$begun" || fail "dev run" "a program that runs" "$(tail -n 1 "$log")"
done
told "a ninth one" 9 developer.run 'dev.true: it cannot be run as an extension: eight of them run already' dev run -- /bin/true
echo >&"$hold"
wait -n "${runs[@]}"
done_by_root dev run -- /bin/true
exec {hold}>&-
wait "${runs[@]}"
done_by_root developer off

# a program of ours is missing: that is no fault of the app
outboardd_stop
mkdir "$work/libexec"
ln -s "$OUTBOARD_LIBEXEC"/* "$work/libexec"
rm "$work/libexec/outboard-bundle-worker"
worker=$OUTBOARD_LIBEXEC/outboard-bundle-worker OUTBOARD_LIBEXEC=$work/libexec
outboardd_start
id=org.example.$name.agent
refused "no worker" none none 1 internal.error "$id: .*: its app cannot be verified: No such file"
ln -s "$worker" "$work/libexec"
sound "with the worker"

outboardd_stop
echo "$rows rows"
