//! `completions SHELL`: a script that asks this program, found by its bare name, whenever somebody presses Tab.

use clap_complete::Shell;
use clap_complete::env::Shells;

use super::{CommandError, Exit, print};
use crate::cli::complete::VARIABLE;

const NAME: &str = "claude-proxy";

/// clap's own evaluates the line that is being typed, `$(…)` in it and all; this one passes its words on.
const POWERSHELL: &str = r#"
Register-ArgumentCompleter -Native -CommandName NAME -ScriptBlock {
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

    $env:VARIABLE = "powershell"
    try {
        $results = & NAME "--" @words 2>$null
    } finally {
        Remove-Item Env:\VARIABLE
    }
    foreach ($result in $results) {
        $value, $help = $result.Split("`t", 2)
        if (-not $help) {
            $help = $value
        }
        [System.Management.Automation.CompletionResult]::new($value, $value, 'ParameterValue', $help)
    }
}
"#;

/// clap's own shows no help, and an error in the line when the program is not on the path.
const ELVISH: &str = r#"
use str

set edit:completion:arg-completer[NAME] = { |@words|
    try {
        env VARIABLE=elvish NAME -- $@words 2>/dev/null | from-lines | each { |line|
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
"#;

/// What clap's own script does with an answer that is no folder, and what ours does: no space goes behind an operator.
/// A colon within a value has a backslash; one without begins its help.
const ZSH_OTHERS: (&str, &str) = (
    r#"            else
                other+=("$completion")
            fi
        done
"#,
    r#"            elif [[ "$completion" == *(\\:|=|\>) || "$completion" == *(\\:|=|\>):* ]]; then
                open+=("$completion")
            else
                other+=("$completion")
            fi
        done
        [[ -n $open ]] && _describe -V 'values' open -S ''
"#,
);

const ZSH_LISTS: (&str, &str) = ("local -a other=()\n", "local -a other=()\n        local -a open=()\n");

/// A file on zsh's fpath is itself the function that is called the first time.
const ZSH_AUTOLOADED: &str = r#"
if [[ "$funcstack[1]" == "_claude-proxy" ]]; then
    _clap_dynamic_completer_claude_proxy "$@"
fi
"#;

pub fn run(shell: Shell) -> Result<Exit, CommandError> {
    print(&script(shell)?)?;
    Ok(Exit::Fine)
}

/// The script that `completions/` holds.
///
/// # Errors
/// For a shell that is new to clap.
pub fn script(shell: Shell) -> Result<String, CommandError> {
    Ok(match shell {
        Shell::PowerShell => POWERSHELL.replace("NAME", NAME).replace("VARIABLE", VARIABLE),
        Shell::Elvish => ELVISH.replace("NAME", NAME).replace("VARIABLE", VARIABLE),
        // Without the program on the path, Tab should not print an error into the line. No space goes behind an operator.
        Shell::Bash => registration("bash")?
            .replace(r#" -- "${words[@]}" \"#, r#" -- "${words[@]}" 2>/dev/null \"#)
            .replace("=~ [=/:]$", r"=~ [=/:\>]$"),
        Shell::Zsh => {
            registration("zsh")?.replace(ZSH_OTHERS.0, ZSH_OTHERS.1).replace(ZSH_LISTS.0, ZSH_LISTS.1) + ZSH_AUTOLOADED
        }
        other => registration(&other.to_string())?,
    })
}

fn registration(shell: &str) -> Result<String, CommandError> {
    let unknown = || CommandError::usage("there is no script for this shell", "bash, zsh, fish, powershell or elvish");
    let mut script = Vec::new();
    let shells = Shells::builtins();
    let adapter = shells.completer(shell).ok_or_else(unknown)?;
    adapter.write_registration(VARIABLE, NAME, NAME, NAME, &mut script)?;
    Ok(String::from_utf8_lossy(&script).into_owned())
}
