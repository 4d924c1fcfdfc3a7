# What the scripts share: the tools they need, cargo, and a network of one's own to work in.
# Sourced by the scripts beside it and by .ci/run; does nothing by itself.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# An ordinary user's PATH on Debian lacks the folders that ip and nft are in.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

# The executables of the suite: the plugins, and what people call.
# shellcheck disable=SC2034 # the scripts'
plugins=(bandwidth bridge firewall host-local loopback portmap static tuning)
tools=(causeway causeway-conformance)

say() { printf '%s\n' "$@"; }
fail() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}
# help_if_asked ARGUMENT…: with -h or --help among a script's own arguments, prints the script's head and
# ends, before anything is looked for or built.
help_if_asked() {
    local argument
    for argument in "$@"; do
        case $argument in
        --) return 0 ;;
        -h | --help)
            sed -n '2,/^$/s/^# \{0,1\}//p' "${BASH_SOURCE[1]}"
            exit 0
            ;;
        esac
    done
}
is_root() { [ "$(id -u)" = 0 ]; }

# need_tools COMMAND:PACKAGE…: sees to it that every command, or file named by its path, is there. As
# root it installs the packages of those that are missing (Debian), and says so; anyone else is told
# what is missing.
need_tools() {
    local pair missing=() packages=()
    for pair in "$@"; do
        case $pair in
        /*) [ -e "${pair%%:*}" ] && continue ;;
        *) command -v "${pair%%:*}" >/dev/null && continue ;;
        esac
        missing+=("${pair%%:*}")
        packages+=("${pair#*:}")
    done
    [ ${#missing[@]} = 0 ] && return
    if ! is_root || ! command -v apt-get >/dev/null; then
        fail "missing: ${missing[*]} (Debian: sudo apt-get install ${packages[*]})"
    fi
    say "installing, as ${missing[*]} are missing: ${packages[*]}"
    DEBIAN_FRONTEND=noninteractive apt-get -qq update
    DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends "${packages[@]}" \
        >/dev/null
}

# What the tests call besides the plugins.
need_test_tools() {
    need_tools ip:iproute2 ping:iputils-ping nft:nftables iptables:iptables strace:strace \
        sysctl:procps script:bsdutils unshare:util-linux nsenter:util-linux busybox:busybox-static \
        git:git /usr/lib/cni/bridge:containernetworking-plugins
}

# find_cargo: whether there is cargo, also where a login shell would have it.
find_cargo() {
    command -v cargo >/dev/null || PATH=${CARGO_HOME:-$HOME/.cargo}/bin:$PATH
    command -v cargo >/dev/null
}

# Finds cargo, what to link with, and a folder to build in that can be written.
need_cargo() {
    find_cargo || fail "missing: cargo (https://rustup.rs)"
    need_tools cc:gcc /usr/include/stdio.h:libc6-dev \
        /etc/ssl/certs/ca-certificates.crt:ca-certificates
    if [ -z "${CARGO_TARGET_DIR:-}" ] && ! mkdir -p "$root/target" 2>/dev/null ||
        [ -z "${CARGO_TARGET_DIR:-}" ] && [ ! -w "$root/target" ]; then
        export CARGO_TARGET_DIR=${XDG_CACHE_HOME:-$HOME/.cache}/causeway/target
        say "$root/target is not yours to write: building in $CARGO_TARGET_DIR"
    fi
    choose_target
}

# The machine's own target, which links with its C library.
host_target() { rustc -vV | sed -n 's/^host: //p'; }

# has_target TARGET: whether this Rust has the standard library for it.
has_target() { [ -d "$(rustc --print sysroot)/lib/rustlib/$1/lib" ]; }

# Has cargo link with musl, whose programs start in a third of the time that static ones of glibc take
# (docs/decisions/0038-linked-with-musl.md), where this Rust has it or rustup can fetch it; else with
# the machine's C library. A target that the caller chose stays.
choose_target() {
    local musl
    [ -z "${CARGO_BUILD_TARGET:-}" ] || return 0
    musl=$(host_target | sed -n 's/-linux-gnu$/-linux-musl/p')
    [ -n "$musl" ] || return 0
    if ! has_target "$musl" && command -v rustup >/dev/null; then
        say "fetching Rust's standard library for $musl"
        timeout 300 rustup --quiet target add "$musl" >/dev/null 2>&1 || true
    fi
    if has_target "$musl"; then
        export CARGO_BUILD_TARGET=$musl
    else
        say "this Rust has no $musl: linking with the machine's C library, which makes each call slower"
    fi
}

# Where cargo puts what it builds, without the name of the profile.
build_folder() { build_folder_of "${CARGO_BUILD_TARGET:-$(host_target)}"; }
build_folder_of() {
    printf '%s/%s\n' "$(cargo metadata --manifest-path "$root/Cargo.toml" --format-version 1 --no-deps --offline |
        sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')" "$1"
}

# build_release_of TARGET…: builds cargo's targets as releases are; told to leave out the paths of the
# checkout and of cargo's folder.
build_release_of() {
    local paths
    paths="\"--remap-path-prefix=$root=/causeway\""
    paths+=", \"--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo\""
    (cd "$root" && cargo build --release --workspace --locked "$@" \
        --config "target.'cfg(target_os = \"linux\")'.rustflags = [$paths]")
}

# The version of all executables.
version_of_suite() { sed -n 's/^version = "\(.*\)"$/\1/p' "$root/Cargo.toml" | head -n 1; }

# packaging ARGUMENTS…: tools/packaging, which is built for it.
packaging() { (cd "$root" && cargo run --quiet --locked --package packaging -- "$@"); }

# make_manual SECONDS FOLDER: the manual pages of the plugins, which bear the day of that time.
make_manual() { packaging manual "$(date --utc --date="@$1" +%F)" "$2"; }

# Builds the release executables.
build_release() { build_release_of "${plugins[@]/#/--bin=}" "${tools[@]/#/--bin=}"; }

# own_network COMMAND…: runs a command as root of a network and mount namespace of its own, so
# that nothing it does reaches the machine's network. An ordinary user gets there through a user
# namespace.
own_network() {
    if is_root; then
        unshare --net --mount -- "$@"
        return
    fi
    unshare --user --map-root-user true 2>/dev/null || fail \
        "this machine lets no ordinary user make a user namespace: run it as root, or allow them" \
        "(sysctl kernel.unprivileged_userns_clone=1, or kernel.apparmor_restrict_unprivileged_userns=0)"
    unshare --user --map-root-user --net --mount -- "$@"
}

# print_slowest LOG: the ten test programs that took longest, by what each says of itself, and the ten
# longest of the steps in the file CAUSEWAY_STEPS, if there is one. Stable Rust times no single test.
print_slowest() {
    say "" "Slowest test programs:"
    awk '/^ +Running / {
            name = $NF
            gsub(/^.*\/|-[0-9a-f]+\)$/, "", name)
            program = name " (" ($2 == "unittests" ? "unit tests" : $2) ")"
        }
        /^ +Doc-tests / { program = $2 " (documentation)" }
        /^test result:.* finished in / { sub("s$", "", $NF); printf "%8.1f s  %s\n", $NF, program }' "$1" |
        sort --numeric-sort --reverse | sed -n 1,10p
    [ -n "${CAUSEWAY_STEPS:-}" ] || return 0
    say "" "Slowest steps:"
    { cat "$CAUSEWAY_STEPS" && printf '%8d s  %s\n' "$SECONDS" "scripts/${0##*/}"; } |
        sort --numeric-sort --reverse | sed -n 1,10p
}

# print_totals LOG: what cargo test's output adds up to, and which tests could not run.
print_totals() {
    print_slowest "$1"
    if [ -s "$CAUSEWAY_NOT_RUN" ]; then
        say "" "Not run on this machine:"
        sort -u "$CAUSEWAY_NOT_RUN" | sed 's/^not run: /  /'
    fi
    say ""
    awk -v not_run="$(sort -u "$CAUSEWAY_NOT_RUN" | wc -l)" '
        /^test result:/ { passed += $4; failed += $6; programs++ }
        END {
            printf "%d test programs; of the tests that passed, %d could not run\n", programs, not_run
            printf "%d passed, %d failed\n", passed, failed
            exit programs == 0
        }' "$1"
}
