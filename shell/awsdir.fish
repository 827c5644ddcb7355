# awsdir in fish (3.4 or newer): the environment that the nearest .awsprofile asks for.
#
# `awsdir init fish` prints `set -g __awsdir_bin …`, `set -g __awsdir_generation_file …` and
# `set -g __awsdir_clock_file …` (its mtime is 1970-01-01T00:00Z), then this file as it stands. Without them, and
# where nobody types, nothing is installed.
#
# All variables are global: a universal one is never touched, only shadowed.

# --- at the prompt ---------------------------------------------------------------------------------------
# fish counts the lines above a command whenever it runs it, so what runs most stands first. Otherwise what costs is the
# number of commands, 25,000 instructions each, and a command substitution is as much as five. Without a dotfile that
# makes 310,000 a prompt, less than in bash (470,000 at the same depth); in a project 750,000, because reading two files
# and the clock, for which fish needs a pipe, are 300,000 by themselves (bash 490,000, zsh 270,000).
# `read -n` reads byte by byte: it is for dotfiles, which may be anybody's and long.

# Is all as it was when __awsdir_settle noted it? In doubt, no: then __awsdir_check looks closer.
function __awsdir_unchanged
    if test "$PWD:$AWSDIR_CEILING" != "$__awsdir_places[1]"
        # From none to none.
        test -n "$__awsdir_places[1]" -a -z "$__awsdir_file"; or return
        __awsdir_survey "$PWD:$AWSDIR_CEILING"
    end
    if test -z "$__awsdir_file"
        not path is -f -- $__awsdir_places[2..]
    else
        test $__awsdir_signs; and return 1
        read -gz -n 4096 __awsdir_seen_content <$__awsdir_file
        read -g __awsdir_seen_generation <$__awsdir_generation_file
        path mtime -R -- $__awsdir_clock_file | read -g __awsdir_now
        test "$__awsdir_seen_generation:$AWS_PROFILE:$AWS_SSO_PROFILE:$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY\
:$AWS_SESSION_TOKEN:$AWS_SECURITY_TOKEN:$AWS_DEFAULT_PROFILE:$__awsdir_seen_content" = "$__awsdir_known" \
            -a "$__awsdir_now" -lt $__awsdir_wake
    end
end

if status is-interactive; and set -q __awsdir_bin
    function __awsdir_prompt --on-event fish_prompt
        __awsdir_unchanged; and return
        __awsdir_check
        __awsdir_render
        __awsdir_settle
    end

    # `cd ../prod; command` must run as prod.
    function __awsdir_cd --on-variable PWD
        __awsdir_unchanged; or __awsdir_check
    end

    # After Ctrl-C in the handler of the prompt, that prompt is still drawn.
    function __awsdir_preexec --on-event fish_preexec
        __awsdir_roll_back
    end
end

# Sets __awsdir_places: $for, then where a dotfile would be, the nearest first. The other arguments are there to be
# local.
function __awsdir_survey --argument-names for a b c d e f g h
    string match -rq $__awsdir_ancestors -- $PWD
    if test -z "$h$AWSDIR_CEILING"
        set -g __awsdir_places "$for" $PWD/.awsprofile $a/.awsprofile $b/.awsprofile $c/.awsprofile $d/.awsprofile \
            $e/.awsprofile $f/.awsprofile $g/.awsprofile $h/.awsprofile
        return
    end
    set -l places $PWD/.awsprofile
    set h $PWD
    while string match -rq $__awsdir_ancestors -- "$h"
        set -a places $a/.awsprofile $b/.awsprofile $c/.awsprofile $d/.awsprofile $e/.awsprofile $f/.awsprofile \
            $g/.awsprofile $h/.awsprofile
    end
    set -l ceilings
    test -n "$AWSDIR_CEILING"; and set ceilings (string split : -- $AWSDIR_CEILING)/.awsprofile
    set -l within
    for place in $places
        set -a within $place
        contains -- $place $ceilings; and break
    end
    set -g __awsdir_places "$for" $within
end

# Eight ancestors at once, as far as there are so many.
set -g __awsdir_ancestors '(?s)^(?<a>(?<b>(?<c>(?<d>(?<e>(?<f>(?<g>(?<h>.*)'\
'/[^/]*|)/[^/]*|)/[^/]*|)/[^/]*|)/[^/]*|)/[^/]*|)/[^/]*|)/[^/]*\z'

# Loaded again, it looks at everything again.
set -g __awsdir_places

if test -r "$__awsdir_clock_file"; and path mtime -R -- $__awsdir_clock_file >/dev/null 2>&1
    set -g __awsdir_has_times
end

# What the hook may set or unset, and must be able to put back.
set -g __awsdir_managed \
    AWS_PROFILE AWS_REGION AWS_DEFAULT_REGION \
    AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_CREDENTIAL_EXPIRATION \
    AWS_SSO_PROFILE AWS_DEFAULT_PROFILE AWS_SECURITY_TOKEN \
    AWS_VAULT AWSUME_PROFILE AWSU_PROFILE AWSUME_EXPIRATION AWS_SESSION_EXPIRATION \
    AWSDIR

# --- variables -------------------------------------------------------------------------------------------
# __awsdir_{snapshot,before,after}_NAME are copies; before and after differ where a value is ours.

# Are both unset, or both set to the same?
function __awsdir_same --argument-names left right
    if set -qg $left
        set -qg $right; and test "$$left" = "$$right"
    else
        not set -qg $right
    end
end

# Gives $to what $from has, "unset" included.
function __awsdir_copy --argument-names from to
    if set -qg $from
        set -g $to $$from
    else
        set -eg $to
    end
    return 0
end

# Gives the managed variable $name what $from has, exported as it was.
function __awsdir_put --argument-names name from
    __awsdir_copy $from $name
    if set -qg $name
        if contains $name $__awsdir_unexported
            set -gu $name $$name
        else
            set -gx $name $$name
        end
    end
end

# Sets __awsdir_identity: what says who we are, of it what is set. Changed by hand, it is the user's.
function __awsdir_identify
    set -g __awsdir_identity profile=$AWS_PROFILE sso=$AWS_SSO_PROFILE key=$AWS_ACCESS_KEY_ID \
        secret=$AWS_SECRET_ACCESS_KEY token=$AWS_SESSION_TOKEN security=$AWS_SECURITY_TOKEN \
        default=$AWS_DEFAULT_PROFILE
end

# --- looking: builtins only ------------------------------------------------------------------------------

# Sets __awsdir_seen_{file,content,generation}: the dotfile in force, what it holds, the generation.
function __awsdir_look
    set -g __awsdir_seen_file
    set -g __awsdir_seen_content
    set -g __awsdir_seen_generation
    __awsdir_survey ""
    for place in $__awsdir_places[2..]
        if test -f $place
            set __awsdir_seen_file $place
            # A link may lead to what the kernel makes up, which has no size: it need not end, or cannot be read.
            test -r $place -a -s $place; and read -gz -n 4096 __awsdir_seen_content <$place
            break
        end
    end
    test -r "$__awsdir_generation_file"; and read -g __awsdir_seen_generation <$__awsdir_generation_file
end

# Sets __awsdir_now, the time in seconds since 1970; to nothing where fish has no clock (before 3.6).
function __awsdir_clock
    set -g __awsdir_now
    set -q __awsdir_has_times; and path mtime -R -- $__awsdir_clock_file | read -g __awsdir_now
end

# Notes what the next prompts will see where nothing has changed by then; unless an answer is not whole, or nobody could
# tell that it got old.
function __awsdir_settle
    test "$__awsdir_answered$__awsdir_stage$__awsdir_stands_down" = yes -a "$__awsdir_status" != standdown; or return 0
    set -q __awsdir_has_times; or return 0
    if test -n "$__awsdir_file"
        test -n "$__awsdir_generation"; or return 0
        # Of what is no file only a folder has a size, and reading that fails.
        set -g __awsdir_signs ! -s $__awsdir_file -o ! -r $__awsdir_file -o ! -r $__awsdir_generation_file
        for place in $__awsdir_places[2..]
            test $place != $__awsdir_file; or break
            set -a __awsdir_signs -o -f $place
        end
        for watched in $__awsdir_watch_config $__awsdir_watch_token
            set -a __awsdir_signs -o "$watched" -nt $__awsdir_generation_file
        end
        set -g __awsdir_known "$__awsdir_generation:$AWS_PROFILE:$AWS_SSO_PROFILE:$AWS_ACCESS_KEY_ID\
:$AWS_SECRET_ACCESS_KEY:$AWS_SESSION_TOKEN:$AWS_SECURITY_TOKEN:$AWS_DEFAULT_PROFILE:$__awsdir_content"
    end
    set __awsdir_places[1] "$PWD:$AWSDIR_CEILING"
end

# Has something other than the dotfile changed since the last answer?
function __awsdir_is_due
    test "$__awsdir_seen_generation" != "$__awsdir_generation"; and return
    set -q __awsdir_has_times; or return
    test "$__awsdir_watch_config" -nt "$__awsdir_generation_file"; and return
    test "$__awsdir_watch_token" -nt "$__awsdir_generation_file"; and return
    test -n "$__awsdir_deadline"; or return
    __awsdir_clock; and test $__awsdir_now -ge $__awsdir_deadline
end

# --- changing --------------------------------------------------------------------------------------------

# Puts back what stood there before. What no longer has our value is theirs: it stays, in this directory.
function __awsdir_restore
    set -l fresh $__awsdir_answered
    set -g __awsdir_answered
    for name in $__awsdir_managed
        set -l before __awsdir_before_$name
        set -l after __awsdir_after_$name
        __awsdir_same $before $after; and continue
        if __awsdir_same $name $after
            __awsdir_put $name $before
        else if test -n "$fresh"
            # Not so when Ctrl-C had stopped the first try: then it may be what we just put back.
            set -ga __awsdir_theirs $name
        end
        __awsdir_copy $before $after
    end
    __awsdir_forget
end

function __awsdir_forget
    set -g __awsdir_status idle
    set -g AWSDIR_SEGMENT
    for name in next deadline inherited watch_config watch_token segment_head segment_tail expires identity \
        identity_given
        set -g __awsdir_$name
    end
end

# Notes what stands before an evaluation.
function __awsdir_take_snapshot
    set -g __awsdir_unexported
    for name in $__awsdir_managed
        __awsdir_copy $name __awsdir_snapshot_$name
        set -qg $name; and not set -qgx $name; and set -a __awsdir_unexported $name
    end
end

# Notes what an evaluation gave.
function __awsdir_take_note
    set -l inherited (string split " " -- $__awsdir_inherited)
    for name in $__awsdir_managed
        contains $name $__awsdir_theirs; and __awsdir_put $name __awsdir_snapshot_$name
        __awsdir_copy __awsdir_snapshot_$name __awsdir_before_$name
        contains $name $inherited; and set -eg __awsdir_before_$name
        __awsdir_copy $name __awsdir_after_$name
    end
    __awsdir_identify
    set -g __awsdir_identity_given $__awsdir_identity
end

# Ctrl-C came in the middle of an evaluation: as if it had not begun.
function __awsdir_roll_back
    test "$__awsdir_stage" = applying; or return
    for name in $__awsdir_managed
        __awsdir_put $name __awsdir_snapshot_$name
        __awsdir_copy __awsdir_snapshot_$name __awsdir_before_$name
        __awsdir_copy __awsdir_snapshot_$name __awsdir_after_$name
    end
    __awsdir_forget
    set -g __awsdir_answered
    set -g __awsdir_stage
end

# The user chose another identity: what is left of ours goes, until another dotfile is in force.
function __awsdir_stand_down
    for name in AWS_PROFILE AWS_SSO_PROFILE AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN \
        AWS_SECURITY_TOKEN AWS_DEFAULT_PROFILE
        __awsdir_same $name __awsdir_after_$name; and continue
        set -g __awsdir_stands_down yes
        __awsdir_restore
        set -g __awsdir_answered yes
        echo "awsdir: `$name` was set by hand; standing down until the next directory" >&2
        return
    end
    # A universal variable, hidden by ours or not ours to judge.
    set -g __awsdir_identity_given $__awsdir_identity
    return 1
end

# Asks the binary and takes its answer. No answer, or half of one, means nothing to set.
function __awsdir_ask
    # A question cut short by Ctrl-C is asked once more, not for ever.
    if test "$__awsdir_stage" = asking
        set -g __awsdir_stage insisting
    else
        set -g __awsdir_stage asking
    end
    set -g __awsdir_answered yes
    set -l answer
    if test -x "$__awsdir_bin"
        set answer "$($__awsdir_bin hook fish --said="$__awsdir_said" $argv </dev/null)"; or set answer
    end
    if string match -rq '(^|\n): awsdir-end\z' -- $answer
        __awsdir_take_snapshot
        set -g __awsdir_stage applying
        eval $answer
        __awsdir_take_note
    end
    set -g __awsdir_stage
end

# Looks at everything, and follows what changed.
function __awsdir_check
    set -g __awsdir_places
    test "$__awsdir_status" = standdown; and return
    __awsdir_roll_back
    test "$__awsdir_stage" = asking; and set -g __awsdir_answered
    __awsdir_look
    if test -n "$__awsdir_answered" -a "$__awsdir_seen_file" = "$__awsdir_file"
        test -n "$__awsdir_stands_down"; and return
        if test "$__awsdir_status" = active
            __awsdir_identify
            test "$__awsdir_identity" != "$__awsdir_identity_given"; and __awsdir_stand_down; and return
        end
        test "$__awsdir_seen_content" = "$__awsdir_content"; and not __awsdir_is_due; and return
    end

    # The old goes first: whatever interrupts from here on, no role credentials of another place remain.
    __awsdir_restore
    if test "$__awsdir_seen_file" != "$__awsdir_file"
        set -g __awsdir_theirs
        set -g __awsdir_stands_down
    end
    set -l began $__awsdir_began
    set -g __awsdir_began yes
    set -g __awsdir_file $__awsdir_seen_file
    set -g __awsdir_content $__awsdir_seen_content
    set -g __awsdir_generation $__awsdir_seen_generation
    if test -z "$__awsdir_file"; and begin
            test -n "$began"; or test -z "$AWSDIR"
        end
        set -g __awsdir_answered yes
        set -g __awsdir_stage
        return
    end
    __awsdir_ask
    if test "$__awsdir_next" = refresh; and test -t 0; and test -t 2
        $__awsdir_bin refresh >&2
        __awsdir_restore
        __awsdir_ask --refreshed
    end
end

# --- the segment -----------------------------------------------------------------------------------------

# Sets AWSDIR_SEGMENT, e.g. "read-only 42m", and __awsdir_wake: when it will read otherwise, or something is due.
function __awsdir_render
    set -g __awsdir_wake 9999999999
    test -n "$__awsdir_deadline"; and set __awsdir_wake $__awsdir_deadline
    set -l left
    __awsdir_clock
    if test -n "$__awsdir_expires" -a -n "$__awsdir_now"
        set left (math $__awsdir_expires - $__awsdir_now)
        set -l until $__awsdir_expires
        test $left -ge 60; and set until (math $__awsdir_now + $left % 60 + 1)
        test $left -gt 0 -a $until -lt $__awsdir_wake; and set __awsdir_wake $until
        if test $left -ge 3600
            set left (printf '%dh%02dm' (math -s0 $left / 3600) (math -s0 $left % 3600 / 60))
        else if test $left -ge 60
            set left (math -s0 $left / 60)m
        else if test $left -gt 0
            set left '<1m'
        else
            set left expired
        end
    end
    set -g AWSDIR_SEGMENT
    test -n "$__awsdir_segment_head"; and set AWSDIR_SEGMENT "$__awsdir_segment_head$left$__awsdir_segment_tail"
    return 0
end

# Writes the segment. $AWSDIR_SEGMENT has it as of the last prompt.
function awsdir_prompt
    test -n "$__awsdir_segment_head"; or return 0
    # Anew where an answer has come since then, and where the text changes with time.
    __awsdir_clock
    test -n "$AWSDIR_SEGMENT" -a -n "$__awsdir_now" -a "$__awsdir_now" -lt "$__awsdir_wake"; or __awsdir_render
    printf %s "$AWSDIR_SEGMENT"
end
