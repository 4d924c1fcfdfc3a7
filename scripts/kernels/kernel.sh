# A Debian kernel and its modules, in a cache folder. Sourced by scripts/test-kernels. Nothing is
# installed: the packages come from the archive that apt on this machine uses, by lists of their own,
# and are only unpacked.
# shellcheck shell=bash

kernel_cache=${XDG_CACHE_HOME:-$HOME/.cache}/causeway-kernels

# suite_of SERIES: the Debian release that has kernels of this series.
suite_of() {
    case $1 in
    5.10) printf 'bullseye\n' ;;
    6.1) printf 'bookworm\n' ;;
    6.12) printf 'trixie\n' ;;
    *) fail "no Debian release is known here for kernel $1 (one of: 5.10 6.1 6.12)" ;;
    esac
}

# get_kernel SERIES: makes $kernel_cache/SERIES with the files `vmlinuz`, `version` and the modules
# that may be needed, unpacked, in `lib/modules`. What is there already is taken as it is.
get_kernel() {
    local place=$kernel_cache/$1 work package
    [ -e "$place/version" ] && return
    say "fetching kernel $1 from Debian"
    mkdir -p "$kernel_cache"
    work=$(mktemp --directory "$kernel_cache/fetching.XXXX")
    know_suite "$work" "$(suite_of "$1")"
    package=$(APT_CONFIG=$work/apt/settings apt-cache depends linux-image-cloud-amd64 |
        sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
    [ -n "$package" ] || fail "no linux-image-cloud-amd64 for kernel $1"
    unpack_package "$work" "$package"
    pick_from_package "$work" "${package#linux-image-}"
    rm -rf "$place"
    mv "$work/picked" "$place"
    rm -rf "$work"
}

# pick_from_package FOLDER VERSION: FOLDER/picked out of FOLDER/unpacked.
pick_from_package() {
    local modules picked=$1/picked/lib/modules/$2
    modules=$(find "$1/unpacked" -type d -path "*/modules/$2/kernel")
    mkdir -p "$picked/kernel/drivers/net"
    cp "$1/unpacked/boot/vmlinuz-$2" "$1/picked/vmlinuz"
    cp -r "$modules"/{net,lib,crypto,arch} "$picked/kernel"
    cp "$modules"/drivers/net/*.ko* "$picked/kernel/drivers/net"
    cp "${modules%/kernel}"/modules.{builtin,order}* "$picked"
    # So that the emulated machine needn't.
    find "$picked" -name '*.ko.xz' -exec xz --decompress {} +
    depmod --basedir "$1/picked" "$2"
    printf '%s\n' "$2" >"$1/picked/version"
}
