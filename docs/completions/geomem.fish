# fish completion for geomem-record, geomem-report and geomem-top.
# Options and subcommands are taken from --help, so that this cannot fall behind the commands.

function __geomem_words # COMMAND PATTERN
    $argv[1] --help 2>/dev/null | string match -r --all -- $argv[2] | string trim | sort -u
end

function __geomem_past_dashes
    contains -- -- (commandline -opc)
end

for command in geomem-record geomem-report geomem-top
    complete -c $command -n 'not __geomem_past_dashes; and string match -q -- "-*" (commandline -ct)' -f \
        -a "(__geomem_words $command '--[a-z][a-z-]+')"
    complete -c $command -n __geomem_past_dashes -a '(__fish_complete_subcommand)'
end
complete -c geomem-report -n 'test (count (commandline -opc)) -eq 1' -f -a "(__geomem_words geomem-report '^  [a-z]+ ')"
