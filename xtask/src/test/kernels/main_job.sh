# The main job, with each plugin for a vault on this machine, in both placements: one line each, and
# an exit code that says whether all was well.
at=/opt/keystead
wrong=0

# Says what was expected and what came, and that something is wrong.
expect() {
    if [ "$2" != "$3" ]; then
        echo "  $1: \"$3\" and not \"$2\""
        problem=1
    fi
}

job() {
    plugin=$1 placement=$2 kind=$3
    shift 3
    problem=0
    export HOME="$home/$plugin-$placement"
    mkdir -p "$HOME" && cd "$HOME" || return 1
    keystead="$at/bin/keystead --no-input"
    $keystead plugin install --yes --quiet "$at/plugins/libkeystead_plugin_$plugin.so"
    expect install 0 $?
    if [ "$placement" = in-process ]; then
        $keystead plugin trust --yes --quiet --danger-in-process "$plugin"
        expect trust 0 $?
    fi
    $keystead vault register --yes --quiet job --plugin "$kind" --placement "$placement" "$@"
    expect register 0 $?
    printf 'correct horse' | $keystead set greeting --stdin --quiet
    expect set 0 $?
    expect get 'correct horse' "$($keystead get greeting)"
    expect list greeting "$($keystead list | cut -f 1)"
    $keystead remove greeting --quiet
    expect remove 0 $?
    $keystead get greeting >/dev/null 2>&1
    expect 'get what is not there' 3 $?
    [ $problem = 0 ] && echo "ok: $plugin $placement" || echo "FAILED: $plugin $placement"
    wrong=$((wrong + problem))
}

home=$HOME
for placement in isolated in-process; do
    job memory $placement memory --param "file=$home/memory-$placement/kept/file"
    job store $placement store --param "path=$home/store-$placement/kept" \
        --param "key-file=$home/store-$placement/key"
    job files $placement files:read-write --param "folder=$home/files-$placement/kept"
done
exit $wrong
