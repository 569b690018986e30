# Completion of keystead for PowerShell: asks keystead itself, which says nothing else.
Register-ArgumentCompleter -Native -CommandName keystead -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $words = @()
    $current = ''
    foreach ($element in $commandAst.CommandElements) {
        if ($element.Extent.StartOffset -ge $cursorPosition) { break }
        $word = $element.Extent.Text
        if ($element -is [System.Management.Automation.Language.StringConstantExpressionAst]) {
            $word = $element.Value
        }
        if ($element.Extent.EndOffset -ge $cursorPosition) {
            $current = $word.TrimStart("'", '"')
        } else {
            $words += $word
        }
    }
    # Windows PowerShell drops an empty argument: a cursor behind a blank is a word of its own.
    if ($current -eq '') { $place = 'new' } else { $place = 'within'; $words += $current }
    $answer = @(& keystead __complete powershell $place -- @words 2>$null)
    if ($answer.Count -eq 0) { return }
    if ($answer[0] -eq 'files') {
        [System.Management.Automation.CompletionCompleters]::CompleteFilename($current)
        return
    }
    $answer | Select-Object -Skip 1 | ForEach-Object {
        $value, $help = $_ -split "`t", 2
        if (-not $help) { $help = $value }
        $text = $value
        if ($value -notmatch '^[A-Za-z0-9_./-][A-Za-z0-9_./:=+-]*$') {
            $text = "'" + [System.Management.Automation.Language.CodeGeneration]::EscapeSingleQuotedStringContent($value) + "'"
        }
        [System.Management.Automation.CompletionResult]::new($text, $value, 'ParameterValue', $help)
    }
}
