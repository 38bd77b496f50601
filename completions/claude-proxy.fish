# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_claude_proxy_global_optspecs
    string join \n c/config= color= h/help V/version
end

function __fish_claude_proxy_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_claude_proxy_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_claude_proxy_using_subcommand
    set -l cmd (__fish_claude_proxy_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c claude-proxy -n "__fish_claude_proxy_needs_command" -s c -l config -d 'The config file' -r -F
complete -c claude-proxy -n "__fish_claude_proxy_needs_command" -l color -d 'When to colour what is printed; NO_COLOR counts too' -r -f -a "auto\t''
always\t''
never\t''"
complete -c claude-proxy -n "__fish_claude_proxy_needs_command" -s h -l help -d 'Print help'
complete -c claude-proxy -n "__fish_claude_proxy_needs_command" -s V -l version -d 'Print version'
complete -c claude-proxy -n "__fish_claude_proxy_needs_command" -f -a "serve" -d 'Run the proxy and the admin server in the foreground'
complete -c claude-proxy -n "__fish_claude_proxy_needs_command" -f -a "check" -d 'Probe endpoints from the config; needs no running proxy'
complete -c claude-proxy -n "__fish_claude_proxy_needs_command" -f -a "config" -d 'Check, find and show the settings'
complete -c claude-proxy -n "__fish_claude_proxy_needs_command" -f -a "init" -d 'Write a first config.yaml: asks, or --yes; never overwrites'
complete -c claude-proxy -n "__fish_claude_proxy_needs_command" -f -a "env" -d 'Print what Claude Code needs to use this proxy, our own token included'
complete -c claude-proxy -n "__fish_claude_proxy_needs_command" -f -a "completions" -d 'Print the completion script of a shell'
complete -c claude-proxy -n "__fish_claude_proxy_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand serve" -s c -l config -d 'The config file' -r -F
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand serve" -l color -d 'When to colour what is printed; NO_COLOR counts too' -r -f -a "auto\t''
always\t''
never\t''"
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand serve" -s h -l help -d 'Print help'
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand serve" -s V -l version -d 'Print version'
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand check" -s c -l config -d 'The config file' -r -F
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand check" -l color -d 'When to colour what is printed; NO_COLOR counts too' -r -f -a "auto\t''
always\t''
never\t''"
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand check" -l json -d 'Print one JSON object'
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand check" -l no-spend -d 'Ask for nothing that costs money'
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand check" -s h -l help -d 'Print help'
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand check" -s V -l version -d 'Print version'
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand config; and not __fish_seen_subcommand_from check path show schema help" -s c -l config -d 'The config file' -r -F
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand config; and not __fish_seen_subcommand_from check path show schema help" -l color -d 'When to colour what is printed; NO_COLOR counts too' -r -f -a "auto\t''
always\t''
never\t''"
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand config; and not __fish_seen_subcommand_from check path show schema help" -s h -l help -d 'Print help'
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand config; and not __fish_seen_subcommand_from check path show schema help" -s V -l version -d 'Print version'
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand config; and not __fish_seen_subcommand_from check path show schema help" -f -a "check" -d 'Say whether the config can be used, and if not, why'
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand config; and not __fish_seen_subcommand_from check path show schema help" -f -a "path" -d 'Print which file is read; why that one goes to stderr'
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand config; and not __fish_seen_subcommand_from check path show schema help" -f -a "show" -d 'Print the settings in force, defaults filled in, credentials masked'
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand config; and not __fish_seen_subcommand_from check path show schema help" -f -a "schema" -d 'Print the JSON schema of the file, for editors'
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand config; and not __fish_seen_subcommand_from check path show schema help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand config; and __fish_seen_subcommand_from check" -s c -l config -d 'The config file' -r -F
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand config; and __fish_seen_subcommand_from check" -l color -d 'When to colour what is printed; NO_COLOR counts too' -r -f -a "auto\t''
always\t''
never\t''"
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand config; and __fish_seen_subcommand_from check" -l json -d 'Print one JSON object'
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand config; and __fish_seen_subcommand_from check" -s h -l help -d 'Print help'
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand config; and __fish_seen_subcommand_from check" -s V -l version -d 'Print version'
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand config; and __fish_seen_subcommand_from path" -s c -l config -d 'The config file' -r -F
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand config; and __fish_seen_subcommand_from path" -l color -d 'When to colour what is printed; NO_COLOR counts too' -r -f -a "auto\t''
always\t''
never\t''"
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand config; and __fish_seen_subcommand_from path" -l json -d 'Print one JSON object'
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand config; and __fish_seen_subcommand_from path" -s h -l help -d 'Print help'
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand config; and __fish_seen_subcommand_from path" -s V -l version -d 'Print version'
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand config; and __fish_seen_subcommand_from show" -s c -l config -d 'The config file' -r -F
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand config; and __fish_seen_subcommand_from show" -l color -d 'When to colour what is printed; NO_COLOR counts too' -r -f -a "auto\t''
always\t''
never\t''"
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand config; and __fish_seen_subcommand_from show" -l json -d 'Print one JSON object'
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand config; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand config; and __fish_seen_subcommand_from show" -s V -l version -d 'Print version'
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand config; and __fish_seen_subcommand_from schema" -s c -l config -d 'The config file' -r -F
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand config; and __fish_seen_subcommand_from schema" -l color -d 'When to colour what is printed; NO_COLOR counts too' -r -f -a "auto\t''
always\t''
never\t''"
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand config; and __fish_seen_subcommand_from schema" -s h -l help -d 'Print help'
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand config; and __fish_seen_subcommand_from schema" -s V -l version -d 'Print version'
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "check" -d 'Say whether the config can be used, and if not, why'
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "path" -d 'Print which file is read; why that one goes to stderr'
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "show" -d 'Print the settings in force, defaults filled in, credentials masked'
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "schema" -d 'Print the JSON schema of the file, for editors'
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand init" -l url -d 'The endpoint\'s address, without /v1' -r -f
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand init" -l auth-type -d 'How requests to it authenticate' -r -f -a "api_key\t'x-api-key: VALUE'
auth_token\t'Authorization: Bearer VALUE'
passthrough\t'the client\'s own login goes through'"
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand init" -l auth-value -d 'Its key: \'${VARIABLE}\' or file:PATH, or the key itself' -r
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand init" -l port -d 'The port that the proxy listens on; the admin page gets the next one' -r
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand init" -s c -l config -d 'The config file' -r -F
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand init" -l color -d 'When to colour what is printed; NO_COLOR counts too' -r -f -a "auto\t''
always\t''
never\t''"
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand init" -s y -l yes -d 'Ask nothing: take the flags given here, and defaults for the rest'
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand init" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand init" -s V -l version -d 'Print version'
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand env" -l shell -d 'The shell to print for; without it the one that $SHELL names' -r -f -a "sh\t'sh, bash, zsh and their kin'
fish\t''
powershell\t''
cmd\t'for a batch file'"
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand env" -s c -l config -d 'The config file' -r -F
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand env" -l color -d 'When to colour what is printed; NO_COLOR counts too' -r -f -a "auto\t''
always\t''
never\t''"
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand env" -l json -d 'Print one JSON object'
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand env" -l claude-settings -d 'Print the block for Claude Code\'s settings.json'
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand env" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand env" -s V -l version -d 'Print version'
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand completions" -s c -l config -d 'The config file' -r -F
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand completions" -l color -d 'When to colour what is printed; NO_COLOR counts too' -r -f -a "auto\t''
always\t''
never\t''"
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand completions" -s h -l help -d 'Print help'
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand completions" -s V -l version -d 'Print version'
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand help; and not __fish_seen_subcommand_from serve check config init env completions help" -f -a "serve" -d 'Run the proxy and the admin server in the foreground'
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand help; and not __fish_seen_subcommand_from serve check config init env completions help" -f -a "check" -d 'Probe endpoints from the config; needs no running proxy'
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand help; and not __fish_seen_subcommand_from serve check config init env completions help" -f -a "config" -d 'Check, find and show the settings'
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand help; and not __fish_seen_subcommand_from serve check config init env completions help" -f -a "init" -d 'Write a first config.yaml: asks, or --yes; never overwrites'
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand help; and not __fish_seen_subcommand_from serve check config init env completions help" -f -a "env" -d 'Print what Claude Code needs to use this proxy, our own token included'
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand help; and not __fish_seen_subcommand_from serve check config init env completions help" -f -a "completions" -d 'Print the completion script of a shell'
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand help; and not __fish_seen_subcommand_from serve check config init env completions help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand help; and __fish_seen_subcommand_from config" -f -a "check" -d 'Say whether the config can be used, and if not, why'
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand help; and __fish_seen_subcommand_from config" -f -a "path" -d 'Print which file is read; why that one goes to stderr'
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand help; and __fish_seen_subcommand_from config" -f -a "show" -d 'Print the settings in force, defaults filled in, credentials masked'
complete -c claude-proxy -n "__fish_claude_proxy_using_subcommand help; and __fish_seen_subcommand_from config" -f -a "schema" -d 'Print the JSON schema of the file, for editors'
