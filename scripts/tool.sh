# The operator's tool, as scripts/install puts it below a folder such as /usr: the executable and its conformance
# suite's beside it, the manual pages, those of the plugins too, and its completions for bash, zsh and fish. Sourced
# by scripts/install; does nothing by itself.
# shellcheck shell=bash disable=SC2154 # $tool_prefix, $from, $plugin_pages: the sourcing script's

# tool_parts FOLDER: makes below FOLDER what belongs below the tool's prefix; the tool's pages and completions are
# what it writes itself. Those of the plugins are made of documents, which executables that were built by cargo alone
# have none of beside them.
tool_parts() {
    local share=$1/share
    install -D --mode=0755 --target-directory="$1/bin" "${tools[@]/#/$from/}" &&
        mkdir -p "$share/bash-completion/completions" "$share/$(zsh_folder)" \
            "$share/fish/vendor_completions.d" &&
        "$from/causeway" man "$share/man/man1" &&
        { ! has_plugin_pages ||
            install -D --mode=0644 --target-directory="$share/man/man8" "$plugin_pages"/causeway-*.8; } &&
        "$from/causeway" completions bash >"$share/bash-completion/completions/causeway" &&
        "$from/causeway" completions zsh >"$share/$(zsh_folder)/_causeway" &&
        "$from/causeway" completions fish >"$share/fish/vendor_completions.d/causeway.fish"
}

has_plugin_pages() { compgen -G "$plugin_pages/causeway-*.8" >/dev/null; }

# zsh_folder: where zsh looks below share; Debian's has a folder of its own, and looks for the other one in
# /usr/local only.
zsh_folder() {
    if [ -d "$tool_folder/share/zsh/vendor-completions" ]; then
        printf 'zsh/vendor-completions\n'
    else
        printf 'zsh/site-functions\n'
    fi
}

# tool_documents: the pages and completions that are below the prefix now, of whatever version.
tool_documents() {
    local share=$tool_folder/share file
    for file in "$share"/man/man1/causeway.1 "$share"/man/man1/causeway-*.1 "$share"/man/man8/causeway-*.8 \
        "$share"/bash-completion/completions/causeway "$share"/zsh/{site-functions,vendor-completions}/_causeway \
        "$share"/fish/vendor_completions.d/causeway.fish; do
        if there "$file"; then printf '%s\n' "$file"; fi
    done
}

tool_version() {
    local said
    there "$1" || { printf 'nothing\n' && return; }
    said=$(env -i timeout 10 "$1" -V </dev/null 2>/dev/null) || said="a file that tells no version"
    printf '%s\n' "$said"
}

# What a run puts beside a file of the tool for a moment.
staged_part() { printf '%s/.causeway-new-%s\n' "$(dirname "$1")" "$(basename "$1")"; }

# check_tool: looks at what is there, before anything is touched.
check_tool() {
    local name file documents
    for name in "${tools[@]}"; do
        file=$tool_folder/bin/$name
        there "$file" || continue
        [ ! -d "$file" ] || fail "$file is a folder; nothing was changed"
        is_ours "$file" || fail "$file is not Causeway's; nothing was changed"
    done
    file=$tool_folder/bin/causeway
    ! there "$file" || return 0
    documents=$(tool_documents)
    [ -z "$documents" ] || fail "without $file, ${documents%%$'\n'*} is not Causeway's; nothing was changed"
}

# stage_tool: puts every file beside its place.
stage_tool() {
    local part place
    mkdir -p "$tool_folder/bin" || give_up "$tool_folder/bin can't be made"
    lock_folder "$tool_folder/bin"
    tool_stage=$(mktemp --directory)
    tool_parts "$tool_stage" || give_up "$from/causeway can't write its pages and completions"
    while IFS= read -r part; do
        place=$tool_folder/${part#"$tool_stage"/}
        tool_staged+=("$(staged_part "$place")")
        install -D --mode="$(stat --format=%a "$part")" "$part" "$(staged_part "$place")" ||
            give_up "can't write to $(dirname "$place")"
    done < <(find "$tool_stage" -type f | sort)
}

clean_up_tool() {
    [ ${#tool_staged[@]} = 0 ] || rm -f "${tool_staged[@]}"
    [ -z "$tool_stage" ] || rm -rf "$tool_stage"
}

# put_tool_in_place: the executables last, so that what they are documented by is there when they are.
put_tool_in_place() {
    local document place is_changed=no
    while IFS= read -r document; do
        # A page of a command that there is no more.
        if [ -n "$document" ] && ! there "$(staged_part "$document")"; then
            rm "$document" || give_up "can't remove $document"
            is_changed=yes
        fi
    done < <(tool_documents)
    for document in "${tool_staged[@]}"; do
        place=$(dirname "$document")/${document##*/.causeway-new-}
        [ "$(dirname "$place")" != "$tool_folder/bin" ] || continue
        put_part_in_place "$place"
    done
    if has_plugin_pages; then
        put_executable_in_place causeway ", with its manual pages, those of the plugins, and completions"
    else
        put_executable_in_place causeway ", with its manual pages and completions"
        say "no manual pages of the plugins: there are none in $plugin_pages; scripts/install --build makes them"
    fi
    is_changed=no
    put_executable_in_place causeway-conformance ""
}

# put_executable_in_place NAME WORDS: and says what became of it, with these words unless it is what was there.
put_executable_in_place() {
    local file=$tool_folder/bin/$1 before after
    before=$(tool_version "$file")
    put_part_in_place "$file"
    after=$(tool_version "$file")
    if [ "$is_changed" = no ]; then
        say "$file: $before, unchanged"
    else
        [ "$before" != "$after" ] || after="another build of it"
        say "$file: $before → $after$2"
    fi
}

put_part_in_place() {
    if [ -f "$1" ] && cmp --silent "$1" "$(staged_part "$1")"; then return; fi
    mv --no-target-directory "$(staged_part "$1")" "$1" || give_up "can't replace $1"
    is_changed=yes
}

take_out_tool() {
    local name file before document
    if is_ours "$tool_folder/bin/causeway"; then
        while IFS= read -r document; do
            [ -z "$document" ] || rm "$document" || give_up "can't remove $document"
        done < <(tool_documents)
    fi
    for name in "${tools[@]}"; do
        file=$tool_folder/bin/$name
        before=$(tool_version "$file")
        if ! there "$file"; then
            say "$file: nothing, unchanged"
        elif ! is_ours "$file"; then
            say "$file: $before, another suite's: left alone"
        else
            rm "$file" || give_up "can't remove $file"
            say "$file: $before → nothing"
        fi
    done
}
