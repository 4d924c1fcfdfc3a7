# What the emulated machine has in memory: the test programs, the plugins, the tools that tests call
# with their libraries, and the kernel's modules. Sourced by scripts/test-kernels.
# shellcheck shell=bash disable=SC2154 # what it uses is scripts/test-kernels'

# Everything else that tests call is busybox's; not its shell, which prefers its own `ip`.
image_tools=(bridge ip ip6tables ip6tables-legacy ip6tables-legacy-restore ip6tables-legacy-save
    ip6tables-restore ip6tables-save iptables iptables-legacy iptables-legacy-restore
    iptables-legacy-save iptables-restore iptables-save nft nsenter ping setpriv sh strace sysctl tc
    unshare)

# take FOLDER FILE…: copies files to the same path below FOLDER, with the libraries they are linked to.
take() {
    local folder=$1 file libraries
    shift
    for file in "$@"; do
        mapfile -t libraries < <(ldd "$file" 2>/dev/null | grep -o '/[^ ]*' | sort -u)
        cp --parents --dereference --update "$file" "${libraries[@]}" "$folder"
    done
}

# make_root FOLDER: a root folder with the tools in it.
make_root() {
    local name tool
    mkdir -p "$1"/{dev,etc,proc,root,run,sys,tmp,usr/{bin,lib,lib64,sbin},var/lib/cni}
    for name in bin lib lib64 sbin; do ln -s "usr/$name" "$1/$name"; done
    for tool in "${image_tools[@]}"; do
        # One program behind many names stays that.
        tool=$(command -v "$tool")
        name=$(realpath "$tool")
        take "$1" "$name"
        [ -e "$1/$tool" ] || ln -s "$name" "$1/$tool"
    done
    # What iptables loads by name, and the reference plugins, which some tests compare with.
    take "$1" /usr/lib/*-linux-gnu/xtables/*.so /usr/lib/cni/{bandwidth,bridge,firewall,host-local,portmap,tuning}
    cp /etc/protocols "$1/etc"
    printf 'root:x:0:0:root:/root:/bin/sh\n' >"$1/etc/passwd"
    printf 'nameserver 127.0.0.1\n' >"$1/etc/resolv.conf"
    cp "$(command -v busybox)" "$1/usr/bin/busybox"
    for tool in $(busybox --list); do
        [ -e "$1/usr/bin/$tool" ] || [ -e "$1/usr/sbin/$tool" ] || ln -s busybox "$1/usr/bin/$tool"
    done
    # Where the kernel looks for it.
    ln -s ../bin/busybox "$1/usr/sbin/modprobe"
    cp "$root/scripts/kernels/init" "$1/init"
}

# test_programs: builds all test programs, which may have been built already, and prints a line for each: the
# package's folder, the program's name, its path.
test_programs() {
    local package line
    cargo test --locked --no-run --message-format=json --manifest-path "$root/Cargo.toml" \
        --workspace --test '*' |
        while read -r line; do
            [[ $line =~ \"manifest_path\":\"$root/([^\"]*)/Cargo.toml\",\"target\":\{\"kind\":\[\"test\"\] ]] || continue
            package=${BASH_REMATCH[1]}
            [[ $line =~ \"executable\":\"([^\"]*/([^/\"]*)-[0-9a-f]*)\" ]] || continue
            printf '%s %s %s\n' "$package" "${BASH_REMATCH[2]}" "${BASH_REMATCH[1]}"
        done
}

# add_tests FOLDER: the test programs and what they read: golden files, the executables.
add_tests() {
    local place=$1/causeway package name program
    mkdir -p "$place"/{bin,deps}
    for name in "${plugins[@]}"; do strip --strip-debug -o "$place/bin/$name" "$executables/$name"; done
    cp "$root/Cargo.lock" "$place"
    cp -r "$root/testdata" "$place"
    test_programs >"$place/all"
    while read -r package name program; do
        case $package/$name in
        plugins/bandwidth/bandwidth | plugins/bridge/kernel | plugins/bridge/filter | \
            plugins/firewall/firewall | plugins/loopback/loopback | plugins/portmap/portmap | \
            plugins/tuning/tuning | cni-common/netlink) ;;
        *) continue ;;
        esac
        mkdir -p "$place/$package"
        strip --strip-debug -o "$place/deps/$name" "$program"
        printf '%s %s\n' "$package" "$name" >>"$place/programs"
    done <"$place/all"
    rm "$place/all"
    [ "$(wc -l <"$place/programs")" = 8 ] || fail "test programs are missing: $(cat "$place/programs")"
    printf '%s\n' "$@" | tail -n +2 >"$place/arguments"
}

# pack FOLDER NAME: what is there as the kernel unpacks it into memory.
pack() { (cd "$1" && find "$2" -print0 | cpio --quiet --null --create --format=newc --owner=0:0); }
