#!/bin/sh
# Stands in the plugin folder under a plugin's name: runs that plugin and keeps what it was asked and
# what it answered. Files and order: see plugins.rs.
folder=$(mktemp -d "/run/test/calls/$(date +%s.%N)-XXXXXX") || exit 1
env >"$folder/environment"
cat >"$folder/stdin"
"/run/test/plugins/${0##*/}" <"$folder/stdin" >"$folder/stdout" 2>"$folder/stderr"
status=$?
printf '%s %s\n' "${0##*/}" "$status" >"$folder/status"
cat "$folder/stdout"
cat "$folder/stderr" >&2
exit "$status"
