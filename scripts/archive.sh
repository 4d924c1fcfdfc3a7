# Packages of any release of Debian, from the archive that apt on this machine uses, by lists of their own:
# nothing is installed, and the machine's lists stay as they are. Sourced by the scripts beside it.
# shellcheck shell=bash

# archive LABEL: where apt gets what has this label; nothing if it doesn't.
archive() {
    # shellcheck disable=SC2016 # apt's words, not the shell's
    apt-get indextargets --format '$(LABEL) $(REPO_URI)' 'Identifier: Packages' |
        sed -n "s/^$1 //p" | sort -u | head -n 1
}

# know_suite WORK SUITE: has apt know this suite alone, by WORK/apt/settings.
know_suite() {
    write_apt_settings "$1/apt" "$2"
    APT_CONFIG=$1/apt/settings apt-get --quiet=2 update
}

# unpack_package WORK PACKAGE: WORK/unpacked, out of the suite that is known there, and the package in WORK.
unpack_package() {
    (cd "$1" && APT_CONFIG=$1/apt/settings apt-get --quiet=2 download "$2" &&
        dpkg-deb --extract ./*.deb unpacked)
}

# write_apt_settings FOLDER SUITE: settings with which apt knows only this suite, and writes only here.
write_apt_settings() {
    local main security key=/usr/share/keyrings/debian-archive-keyring.gpg
    main=$(archive Debian)
    security=$(archive Debian-Security)
    [ -n "$main" ] || fail "apt on this machine has no Debian archive"
    mkdir -p "$1"/{lists/partial,archives/partial}
    : >"$1/status"
    {
        printf 'deb [arch=amd64 signed-by=%s] %s %s main\n' "$key" "$main" "$2"
        [ -z "$security" ] || printf 'deb [arch=amd64 signed-by=%s] %s %s-security main\n' \
            "$key" "$security" "$2"
    } >"$1/sources.list"
    cat >"$1/settings" <<SETTINGS
APT::Architecture "amd64";
APT::Sandbox::User "";
Acquire::Languages "none";
Dir::Cache "$1";
Dir::Etc::SourceList "$1/sources.list";
Dir::Etc::SourceParts "-";
Dir::State::Lists "$1/lists";
Dir::State::Status "$1/status";
SETTINGS
}
