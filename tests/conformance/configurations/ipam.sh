#!/bin/sh
# The IPAM plugin that the plugins under test delegate to: it records each call beside itself, answers with
# the address that its configuration names, and fails while there is a file `fail-COMMAND`.
here=${0%/*}
input=$(cat)
printf '%s' "$input" >"$here/$$.stdin"
env | grep -E '^(CNI_|TRACEPARENT=)' | sort >"$here/$$.env"
printf '%s %s\n' "$CNI_COMMAND" "$$" >>"$here/calls"
echo "conformance-ipam: $CNI_COMMAND" >&2

value() { printf '%s' "$input" | sed -n "s/.*\"$1\" *: *\"\([^\"]*\)\".*/\1/p"; }
version=$(value cniVersion)
if [ -e "$here/fail-$CNI_COMMAND" ]; then
    printf '{"cniVersion":"%s","code":11,"msg":"refused by conformance-ipam"}\n' "$version"
    exit 1
fi
case $CNI_COMMAND in
VERSION)
    printf '{"cniVersion":"%s","supportedVersions":["0.3.0","0.3.1","0.4.0","1.0.0","1.1.0"]}\n' "$version"
    ;;
ADD)
    family=
    case $version in 0.*) family='"version":"4",' ;; esac
    printf '{"cniVersion":"%s","ips":[{%s"address":"%s","gateway":"10.77.0.1"}],' "$version" "$family" \
        "$(value address)"
    printf '"routes":[{"dst":"0.0.0.0/0","gw":"10.77.0.1"}],"dns":{"nameservers":["192.0.2.53"]}}\n'
    ;;
esac
