
use builtin;
use str;

set edit:completion:arg-completer[claude-proxy] = {|@words|
    fn spaces {|n|
        builtin:repeat $n ' ' | str:join ''
    }
    fn cand {|text desc|
        edit:complex-candidate $text &display=$text' '(spaces (- 14 (wcswidth $text)))$desc
    }
    var command = 'claude-proxy'
    for word $words[1..-1] {
        if (str:has-prefix $word '-') {
            break
        }
        set command = $command';'$word
    }
    var completions = [
        &'claude-proxy'= {
            cand -c 'The config file'
            cand --config 'The config file'
            cand --color 'When to colour what is printed; NO_COLOR counts too'
            cand -h 'Print help'
            cand --help 'Print help'
            cand -V 'Print version'
            cand --version 'Print version'
            cand serve 'Run the proxy and the admin server in the foreground'
            cand check 'Probe endpoints from the config; needs no running proxy'
            cand config 'Check, find and show the settings'
            cand init 'Write a first config.yaml: asks, or --yes; never overwrites'
            cand env 'Print what Claude Code needs to use this proxy, our own token included'
            cand completions 'Print the completion script of a shell'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'claude-proxy;serve'= {
            cand -c 'The config file'
            cand --config 'The config file'
            cand --color 'When to colour what is printed; NO_COLOR counts too'
            cand -h 'Print help'
            cand --help 'Print help'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'claude-proxy;check'= {
            cand -c 'The config file'
            cand --config 'The config file'
            cand --color 'When to colour what is printed; NO_COLOR counts too'
            cand --json 'Print one JSON object'
            cand --no-spend 'Ask for nothing that costs money'
            cand -h 'Print help'
            cand --help 'Print help'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'claude-proxy;config'= {
            cand -c 'The config file'
            cand --config 'The config file'
            cand --color 'When to colour what is printed; NO_COLOR counts too'
            cand -h 'Print help'
            cand --help 'Print help'
            cand -V 'Print version'
            cand --version 'Print version'
            cand check 'Say whether the config can be used, and if not, why'
            cand path 'Print which file is read; why that one goes to stderr'
            cand show 'Print the settings in force, defaults filled in, credentials masked'
            cand schema 'Print the JSON schema of the file, for editors'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'claude-proxy;config;check'= {
            cand -c 'The config file'
            cand --config 'The config file'
            cand --color 'When to colour what is printed; NO_COLOR counts too'
            cand --json 'Print one JSON object'
            cand -h 'Print help'
            cand --help 'Print help'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'claude-proxy;config;path'= {
            cand -c 'The config file'
            cand --config 'The config file'
            cand --color 'When to colour what is printed; NO_COLOR counts too'
            cand --json 'Print one JSON object'
            cand -h 'Print help'
            cand --help 'Print help'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'claude-proxy;config;show'= {
            cand -c 'The config file'
            cand --config 'The config file'
            cand --color 'When to colour what is printed; NO_COLOR counts too'
            cand --json 'Print one JSON object'
            cand -h 'Print help'
            cand --help 'Print help'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'claude-proxy;config;schema'= {
            cand -c 'The config file'
            cand --config 'The config file'
            cand --color 'When to colour what is printed; NO_COLOR counts too'
            cand -h 'Print help'
            cand --help 'Print help'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'claude-proxy;config;help'= {
            cand check 'Say whether the config can be used, and if not, why'
            cand path 'Print which file is read; why that one goes to stderr'
            cand show 'Print the settings in force, defaults filled in, credentials masked'
            cand schema 'Print the JSON schema of the file, for editors'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'claude-proxy;config;help;check'= {
        }
        &'claude-proxy;config;help;path'= {
        }
        &'claude-proxy;config;help;show'= {
        }
        &'claude-proxy;config;help;schema'= {
        }
        &'claude-proxy;config;help;help'= {
        }
        &'claude-proxy;init'= {
            cand --url 'The endpoint''s address, without /v1'
            cand --auth-type 'How requests to it authenticate'
            cand --auth-value 'Its key: ''${VARIABLE}'' or file:PATH, or the key itself'
            cand --port 'The port that the proxy listens on; the admin page gets the next one'
            cand -c 'The config file'
            cand --config 'The config file'
            cand --color 'When to colour what is printed; NO_COLOR counts too'
            cand -y 'Ask nothing: take the flags given here, and defaults for the rest'
            cand --yes 'Ask nothing: take the flags given here, and defaults for the rest'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'claude-proxy;env'= {
            cand --shell 'The shell to print for; without it the one that $SHELL names'
            cand -c 'The config file'
            cand --config 'The config file'
            cand --color 'When to colour what is printed; NO_COLOR counts too'
            cand --json 'Print one JSON object'
            cand --claude-settings 'Print the block for Claude Code''s settings.json'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'claude-proxy;completions'= {
            cand -c 'The config file'
            cand --config 'The config file'
            cand --color 'When to colour what is printed; NO_COLOR counts too'
            cand -h 'Print help'
            cand --help 'Print help'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'claude-proxy;help'= {
            cand serve 'Run the proxy and the admin server in the foreground'
            cand check 'Probe endpoints from the config; needs no running proxy'
            cand config 'Check, find and show the settings'
            cand init 'Write a first config.yaml: asks, or --yes; never overwrites'
            cand env 'Print what Claude Code needs to use this proxy, our own token included'
            cand completions 'Print the completion script of a shell'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'claude-proxy;help;serve'= {
        }
        &'claude-proxy;help;check'= {
        }
        &'claude-proxy;help;config'= {
            cand check 'Say whether the config can be used, and if not, why'
            cand path 'Print which file is read; why that one goes to stderr'
            cand show 'Print the settings in force, defaults filled in, credentials masked'
            cand schema 'Print the JSON schema of the file, for editors'
        }
        &'claude-proxy;help;config;check'= {
        }
        &'claude-proxy;help;config;path'= {
        }
        &'claude-proxy;help;config;show'= {
        }
        &'claude-proxy;help;config;schema'= {
        }
        &'claude-proxy;help;init'= {
        }
        &'claude-proxy;help;env'= {
        }
        &'claude-proxy;help;completions'= {
        }
        &'claude-proxy;help;help'= {
        }
    ]
    $completions[$command]
}
