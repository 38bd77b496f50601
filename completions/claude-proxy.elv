
use str

set edit:completion:arg-completer[claude-proxy] = { |@words|
    try {
        env CLAUDE_PROXY_COMPLETE=elvish claude-proxy -- $@words 2>/dev/null | from-lines | each { |line|
            var value @help = (str:split "\t" $line)
            if (> (count $help) 0) {
                edit:complex-candidate $value &display=$value"  ("$help[0]")"
            } else {
                put $value
            }
        }
    } catch error {
        nop
    }
}
