#compdef keystead
# Completion of keystead for zsh: asks keystead itself, which says nothing else.
_keystead() {
    local -a answer values shown
    local line value help
    answer=("${(@f)$(command keystead __complete zsh -- "${(@Q)words[1,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null </dev/null)}")
    if [[ ${answer[1]} == files ]]; then
        _files
        return
    fi
    for line in "${(@)answer[2,-1]}"; do
        value=${line%%$'\t'*}
        [[ -n $value ]] || continue
        help=
        [[ $line == *$'\t'* ]] && help=${line#*$'\t'}
        values+=("$value")
        shown+=("$value${help:+  -- $help}")
    done
    (( ${#values} )) || return 1
    if [[ ${#values} -eq 1 && ${values[1]} == *= ]]; then
        compadd -S '' -l -d shown -a -- values
    else
        compadd -l -d shown -a -- values
    fi
}
if [[ ${funcstack[1]} == _keystead ]]; then
    _keystead "$@"
elif (( $+functions[compdef] )); then
    compdef _keystead keystead
fi
