#!/bin/sh
# The IPAM plugin that the plugins under test delegate to: it records each call beside itself, answers with
# the address that its configuration names, and fails while there is a file `fail-COMMAND`. It is called
# thousands of times, and so calls hardly any program itself.
here=${0%/*}
input=
while IFS= read -r line || [ -n "$line" ]; do input="$input$line "; done
printf '%s' "$input" >"$here/$$.stdin"
env >"$here/$$.env"
printf '%s %s\n' "$CNI_COMMAND" "$$" >>"$here/calls"
echo "conformance-ipam: $CNI_COMMAND" >&2

# value KEY: sets `value` to the text of the last key of this name; empty where there is none.
value() {
    value=
    case $input in *"\"$1\""*) ;; *) return ;; esac
    value=${input##*"\"$1\""}
    value=${value#*\"}
    value=${value%%\"*}
}
value cniVersion
version=$value
if [ -e "$here/fail-$CNI_COMMAND" ]; then
    printf '{"cniVersion":"%s","code":11,"msg":"refused by conformance-ipam"}\n' "$version"
    exit 1
fi
case $CNI_COMMAND in
VERSION)
    printf '{"cniVersion":"%s","supportedVersions":["0.3.0","0.3.1","0.4.0","1.0.0","1.1.0"]}\n' "$version"
    ;;
ADD)
    value address
    family=
    case $version in 0.*) family='"version":"4",' ;; esac
    printf '{"cniVersion":"%s","ips":[{%s"address":"%s","gateway":"10.77.0.1"}],' "$version" "$family" \
        "$value"
    printf '"routes":[{"dst":"0.0.0.0/0","gw":"10.77.0.1"}],"dns":{"nameservers":["192.0.2.53"]}}\n'
    ;;
esac
