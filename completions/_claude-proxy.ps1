
Register-ArgumentCompleter -Native -CommandName claude-proxy -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)

    $words = @(foreach ($element in $commandAst.CommandElements) {
        $extent = $element.Extent
        if ($extent.StartOffset -lt $cursorPosition) {
            $extent.Text.Substring(0, [math]::Min($extent.Text.Length, $cursorPosition - $extent.StartOffset))
        }
    })
    if ($wordToComplete -eq "") {
        $words += ""
    }

    $env:CLAUDE_PROXY_COMPLETE = "powershell"
    try {
        $results = & claude-proxy "--" @words 2>$null
    } finally {
        Remove-Item Env:\CLAUDE_PROXY_COMPLETE
    }
    foreach ($result in $results) {
        $value, $help = $result.Split("`t", 2)
        if (-not $help) {
            $help = $value
        }
        [System.Management.Automation.CompletionResult]::new($value, $value, 'ParameterValue', $help)
    }
}
