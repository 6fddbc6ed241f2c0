# bash completion for geomem-record, geomem-report and geomem-top.
# Options and subcommands are taken from --help, so that this cannot fall behind the commands.

_geomem_words() { # COMMAND PATTERN: the words of COMMAND --help that match
    "$1" --help 2>/dev/null | grep -oE -- "$2" | tr -d ' ' | sort -u
}

_geomem() {
    local command=$1 cur=${COMP_WORDS[COMP_CWORD]} i
    COMPREPLY=()

    # After "--" comes another program with completions of its own.
    for ((i = 1; i < COMP_CWORD; i++)); do
        if [[ ${COMP_WORDS[i]} == -- ]]; then
            if declare -F _command_offset >/dev/null; then
                _command_offset $((i + 1))
            else
                mapfile -t COMPREPLY < <(compgen -c -f -- "$cur")
            fi
            return
        fi
    done

    if [[ $cur == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_geomem_words "$command" '--[a-z][a-z-]+')" -- "$cur")
        return
    fi
    if [[ ${command##*/} == geomem-report && $COMP_CWORD -eq 1 ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_geomem_words "$command" '^  [a-z]+ ')" -- "$cur")
        return
    fi
    mapfile -t COMPREPLY < <(compgen -f -X '!*.geomem' -- "$cur"; compgen -d -- "$cur")
}
complete -o filenames -F _geomem geomem-record geomem-report geomem-top
