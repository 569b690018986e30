# Completion of keystead for fish: asks keystead itself, which says nothing else.
function __keystead_complete
    set -l before (commandline --current-process --tokenize --cut-at-cursor)
    set -l typed (commandline --current-token --cut-at-cursor)
    set -l current (string unescape -- "$typed" 2>/dev/null)
    or set current (string trim --left --chars="'\"" -- "$typed")
    set -l answer (command keystead __complete fish -- $before "$current" 2>/dev/null </dev/null)
    if test "$answer[1]" = files
        __fish_complete_path "$current"
    else if test (count $answer) -gt 1
        printf '%s\n' $answer[2..-1]
    end
end
complete --command keystead --no-files --keep-order --arguments '(__keystead_complete)'
