# shellcheck shell=bash
# awsdir in bash (3.2 or newer): the environment that the nearest .awsprofile asks for.
#
# `awsdir init bash` prints `__awsdir_bin=…` and `__awsdir_generation_file=…` (with --no-cd also
# `__awsdir_no_cd=1`), then this file as it stands. Without them, and where nobody types, nothing is installed.
#
# shellcheck disable=SC2250 # braces only where needed
# shellcheck disable=SC2292 # [[ ]] would heed the user's nocasematch where it compares strings
# shellcheck disable=SC2016 # backticks in messages are meant
# shellcheck disable=SC2154 # most variables are set by the evaluated answer, or not yet (nounset is off in here)

# Aliases would be expanded in the functions while they are read; allexport would export them.
\shopt -q expand_aliases && __awsdir_aliases=on
\shopt -u expand_aliases
[ -o allexport ] && __awsdir_allexport=on
set +a
export -n __awsdir_bin __awsdir_generation_file __awsdir_no_cd

# Looked at before nounset is known to be off; and a hook that is loaded again looks at everything again.
__awsdir_options=${__awsdir_options-} __awsdir_known=''

# What the hook may set or unset, and must be able to put back.
__awsdir_managed=(
  AWS_PROFILE AWS_REGION AWS_DEFAULT_REGION
  AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_CREDENTIAL_EXPIRATION
  AWS_SSO_PROFILE AWS_DEFAULT_PROFILE AWS_SECURITY_TOKEN
  AWS_VAULT AWSUME_PROFILE AWSU_PROFILE AWSUME_EXPIRATION AWS_SESSION_EXPIRATION
  AWSDIR
)

# --- variables: a state is "=value", or "" for unset -----------------------------------------------------
# __awsdir_{snapshot,before,after} hold states in the order above; before and after differ where a value is ours.

# Gives the variable $1 the state $2. Fails where it is read-only.
__awsdir_put() {
  if [ -z "$2" ]; then
    unset -v "$1"
  else
    export "$1$2" || return
    if __awsdir_has "$__awsdir_unexported" "$1"; then export -n "${1?}"; fi
  fi
}

# Is $2 a word of $1?
__awsdir_has() {
  local words=" $1 "
  [ "${words#*" $2 "}" != "$words" ]
}

# --- looking: builtins only ------------------------------------------------------------------------------
# Where nothing changed, this is all that a prompt runs, therefore in one function of few commands: bash copies a
# function whole whenever it calls it, and a command costs more than what is in it. [ ] costs five times a [[ ]]. After
# Enter the two files that are read take a third of the time: a redirection is ten system calls.

# Sets __awsdir_seen_{file,content,generation}: the dotfile in force, what it holds, the generation; and __awsdir_who if
# there is one: who the environment says we are. Of the token that has the length, because a token is long, and worth
# nothing without the key that it came with. Not in quotes, which for long strings cost more than all the rest.
# Is all that, and the time, as __awsdir_settle noted it? In doubt, no: then __awsdir_check looks closer.
__awsdir_look() {
  [[ $-$1 != *[aekuvxET]* ]] || return # not without __awsdir_quietly
  __awsdir_seen_file=${PWD%/} __awsdir_seen_content='' __awsdir_seen_generation='' __awsdir_ceiling=:$AWSDIR_CEILING:
  # Up to the root, which is empty here, or to a ceiling.
  until [[ -f $__awsdir_seen_file/.awsprofile || -z $__awsdir_seen_file ||
    -n $AWSDIR_CEILING && -z ${__awsdir_ceiling##*":$__awsdir_seen_file:"*} ]]; do
    __awsdir_seen_file=${__awsdir_seen_file%/*}
  done
  if [[ -f $__awsdir_seen_file/.awsprofile ]]; then
    __awsdir_seen_file+=/.awsprofile
    # A link may lead to what the kernel makes up, which has no size: it need not end, or cannot be read.
    [[ ! -r $__awsdir_seen_file || ! -s $__awsdir_seen_file ]] ||
      IFS= read -r -d '' -n 4096 __awsdir_seen_content <"$__awsdir_seen_file"
    [[ ! -r $__awsdir_generation_file ]] || IFS= read -r __awsdir_seen_generation <"$__awsdir_generation_file"
    __awsdir_who=$AWS_PROFILE:$AWS_SSO_PROFILE:$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY:${#AWS_SESSION_TOKEN} \
      __awsdir_who+=:$AWS_SECURITY_TOKEN:$AWS_DEFAULT_PROFILE
    [[ -n $EPOCHSECONDS ]] || __awsdir_clock
    # Not under nocasematch, which [[ ]] heeds.
    # shellcheck disable=SC2050
    [[ a != A && $__awsdir_wake -gt ${EPOCHSECONDS:-$__awsdir_now} &&
      $__awsdir_since -le ${EPOCHSECONDS:-$__awsdir_now} &&
      $__awsdir_seen_file:$__awsdir_seen_generation:$__awsdir_who:$__awsdir_seen_content = "$__awsdir_known" &&
      ! $__awsdir_watch_config -nt $__awsdir_generation_file && ! $__awsdir_watch_token -nt $__awsdir_generation_file ]]
  else
    __awsdir_seen_file='' __awsdir_who=''
    [[ $__awsdir_known = ::: ]]
  fi
}

# Notes what the next prompts will see where nothing has changed by then. $1 is when the segment will read otherwise.
# Nothing is noted where an answer is not whole, or where nobody could tell that it got old.
__awsdir_settle() {
  [[ $__awsdir_answered$__awsdir_stage$__awsdir_stands_down = yes && $__awsdir_status != standdown ]] || return 0
  [[ -z $__awsdir_file || -n $__awsdir_generation ]] || return 0
  __awsdir_wake=${__awsdir_deadline:-9999999999}
  [[ -z $1 || $1 -ge $__awsdir_wake ]] || __awsdir_wake=$1
  __awsdir_clock
  __awsdir_since=$__awsdir_now # a clock that is set back makes nothing last longer
  __awsdir_known=$__awsdir_file:$__awsdir_generation:$__awsdir_who:$__awsdir_content
}

# Sets __awsdir_now, in seconds since 1970.
__awsdir_clock() {
  __awsdir_now=${EPOCHSECONDS-}
  if [[ -z $__awsdir_now ]] && ! printf -v __awsdir_now '%(%s)T' -1 2>/dev/null; then
    __awsdir_now=$((SECONDS + __awsdir_clock_offset))
  fi
}

# Has something other than the dotfile changed since the last answer?
__awsdir_is_due() {
  # Everything is newer than a file that is missing.
  [ "$__awsdir_seen_generation" != "$__awsdir_generation" ] ||
    { [ -n "$__awsdir_seen_generation" ] && [ "$__awsdir_watch_config" -nt "$__awsdir_generation_file" ]; } ||
    { [ -n "$__awsdir_seen_generation" ] && [ "$__awsdir_watch_token" -nt "$__awsdir_generation_file" ]; } ||
    { [ -n "$__awsdir_deadline" ] && __awsdir_clock && [ "$__awsdir_now" -ge "$__awsdir_deadline" ]; }
}

# --- changing --------------------------------------------------------------------------------------------

# Puts back what stood there before. What no longer has our value is the user's: it stays, in this directory.
__awsdir_restore() {
  local i name fresh=$__awsdir_answered
  __awsdir_answered=''
  for i in "${!__awsdir_after[@]}"; do
    [ "${__awsdir_before[i]}" != "${__awsdir_after[i]}" ] || continue
    name=${__awsdir_managed[i]}
    if [ "${!name+=${!name}}" = "${__awsdir_after[i]}" ]; then
      __awsdir_put "$name" "${__awsdir_before[i]}"
    elif [ -n "$fresh" ]; then
      # Not so when Ctrl-C had stopped the first try: then it may be what we just put back.
      __awsdir_theirs="$__awsdir_theirs $name"
    fi
    __awsdir_after[i]=${__awsdir_before[i]}
  done 2>/dev/null # read-only by now: nothing can be done
  __awsdir_forget
}

__awsdir_forget() {
  __awsdir_after=() __awsdir_before=()
  __awsdir_status=idle __awsdir_next='' __awsdir_deadline='' __awsdir_inherited=''
  __awsdir_watch_config='' __awsdir_watch_token='' __awsdir_identity=''
  __awsdir_segment_head='' __awsdir_segment_tail='' __awsdir_expires='' AWSDIR_SEGMENT=''
}

# Sets name to the first variable that is read-only: a global that is so cannot be shadowed either.
__awsdir_find_readonly() {
  for name in "${__awsdir_managed[@]}"; do
    local "$name" || return 0
  done
  return 1
}

# Notes what stands before an evaluation. Fails, and says so, where a variable could not be changed.
__awsdir_take_snapshot() {
  local name
  if __awsdir_find_readonly 2>/dev/null; then
    [ "$name" = "$__awsdir_told" ] || printf 'awsdir: `%s` is read-only in this shell; nothing is set\n' "$name" >&2
    __awsdir_told=$name
    return 1
  fi
  __awsdir_snapshot=() __awsdir_unexported=''
  for name in "${__awsdir_managed[@]}"; do
    __awsdir_snapshot+=("${!name+=${!name}}")
    # Before 4.4 only a process could tell; there, what was set was exported.
    if [ -n "${!name+x}" ] && [ "${BASH_VERSINFO[0]}${BASH_VERSINFO[1]}" -ge 44 ]; then
      [[ ${!name@a} == *x* ]] || __awsdir_unexported="$__awsdir_unexported $name"
    fi
  done
}

# Notes what an evaluation gave.
__awsdir_take_note() {
  local i name
  for i in "${!__awsdir_managed[@]}"; do
    name=${__awsdir_managed[i]} __awsdir_before[i]=${__awsdir_snapshot[i]}
    if [ -n "$__awsdir_theirs" ] && __awsdir_has "$__awsdir_theirs" "$name"; then
      __awsdir_put "$name" "${__awsdir_snapshot[i]}"
    fi
    if [ -n "$__awsdir_inherited" ] && __awsdir_has "$__awsdir_inherited" "$name"; then
      __awsdir_before[i]=''
    fi
    __awsdir_after[i]="${!name+=${!name}}"
  done
  __awsdir_look # nothing, if the dotfile went away this very moment
  __awsdir_identity=$__awsdir_who
}

# Ctrl-C came in the middle of an evaluation: as if it had not begun.
__awsdir_roll_back() {
  local i
  for i in "${!__awsdir_snapshot[@]}"; do
    __awsdir_put "${__awsdir_managed[i]}" "${__awsdir_snapshot[i]}"
  done
  __awsdir_forget
  __awsdir_answered='' __awsdir_stage=''
}

# The identity was changed by hand, so it is the user's: what is left of ours goes, until the next directory.
__awsdir_stand_down() {
  local i name who='AWS_PROFILE AWS_SSO_PROFILE AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY'
  who="$who AWS_SESSION_TOKEN AWS_SECURITY_TOKEN AWS_DEFAULT_PROFILE"
  for i in "${!__awsdir_after[@]}"; do
    name=${__awsdir_managed[i]}
    [ "${!name+=${!name}}" = "${__awsdir_after[i]}" ] || ! __awsdir_has "$who" "$name" || break
  done
  __awsdir_stands_down=yes
  __awsdir_restore
  __awsdir_answered=yes
  printf 'awsdir: `%s` was set by hand; standing down until the next directory\n' "$name" >&2
}

# Asks the binary and takes its answer. No answer, or half of one, means nothing to set.
__awsdir_ask() {
  local answer=''
  # A question cut short by Ctrl-C is asked once more, not for ever.
  if [ "$__awsdir_stage" = asking ]; then __awsdir_stage=insisting; else __awsdir_stage=asking; fi
  __awsdir_answered=yes
  if [ -x "$__awsdir_bin" ]; then
    answer=$(exec "$__awsdir_bin" hook bash --said="$__awsdir_said" "$@" </dev/null) || answer=''
  fi
  if [ "${answer##*$'\n'}" = ': awsdir-end' ] && __awsdir_take_snapshot; then
    __awsdir_stage=applying
    eval "$answer"
    __awsdir_take_note
  fi
  __awsdir_stage=''
}

# Looks at everything, and follows what changed.
__awsdir_check() {
  local began=$__awsdir_began
  __awsdir_known=''
  [ "$__awsdir_status" != standdown ] || return 0
  if [ "$__awsdir_stage" = applying ]; then __awsdir_roll_back; fi
  if [ "$__awsdir_stage" = asking ]; then __awsdir_answered=''; fi
  __awsdir_look
  if [ -n "$__awsdir_answered" ] && [ "$__awsdir_seen_file" = "$__awsdir_file" ]; then
    [ -z "$__awsdir_stands_down" ] || return 0
    if [ "$__awsdir_status" = active ] && [ "$__awsdir_who" != "${__awsdir_identity:-$__awsdir_who}" ]; then
      __awsdir_stand_down
      return 0
    fi
    [ "$__awsdir_seen_content" != "$__awsdir_content" ] || __awsdir_is_due || return 0
  fi

  # The old goes first: whatever interrupts from here on, no role credentials of another place remain.
  __awsdir_restore
  [ "$__awsdir_seen_file" = "$__awsdir_file" ] || __awsdir_theirs='' __awsdir_stands_down=''
  __awsdir_file=$__awsdir_seen_file __awsdir_content=$__awsdir_seen_content
  __awsdir_generation=$__awsdir_seen_generation __awsdir_began=yes
  if [ -z "$__awsdir_file" ] && { [ -n "$began" ] || [ -z "$AWSDIR" ]; }; then
    __awsdir_answered=yes __awsdir_stage=''
    return 0
  fi
  __awsdir_ask
  if [ "$__awsdir_next" = refresh ] && [ -t 0 ] && [ -t 2 ]; then
    "$__awsdir_bin" refresh >&2
    __awsdir_restore
    __awsdir_ask --refreshed
  fi
}

# --- the segment -----------------------------------------------------------------------------------------

# Sets segment, e.g. "read-only 42m", and until: from when on it reads otherwise.
__awsdir_render() {
  local left=''
  until=''
  if [ -n "${__awsdir_expires-}" ]; then
    __awsdir_clock
    left=$((__awsdir_expires - __awsdir_now))
    [ "$left" -le 0 ] || until=$((__awsdir_now + (left < 60 ? left : left % 60 + 1)))
    if [ "$left" -ge 3600 ]; then
      printf -v left '%dh%02dm' $((left / 3600)) $((left % 3600 / 60))
    elif [ "$left" -ge 60 ]; then
      left=$((left / 60))m
    elif [ "$left" -gt 0 ]; then
      left='<1m'
    else
      left=expired
    fi
  fi
  segment=${__awsdir_segment_head:+$__awsdir_segment_head$left${__awsdir_segment_tail-}}
}

# Writes the segment. PS1='${AWSDIR_SEGMENT} …' shows the same without a process.
awsdir_prompt() {
  local segment until
  __awsdir_render
  printf %s "$segment"
}

# --- attaching -------------------------------------------------------------------------------------------

# Runs $3 with those options off that would show secrets (x, v), export what we keep (a), run the user's traps in here
# (E, T) or stop us (e, u, k). $1 is "$-"; $2 is the status to return, which under errexit would end the shell.
__awsdir_quietly() {
  case $1 in
    *[aekuvxET]*) { set +aekuvxET; } 2>/dev/null ;;
    *) ;;
  esac
  export -n __awsdir_code
  local segment until
  # If Ctrl-C comes, the next prompt finds them here and gives them back.
  __awsdir_options=$__awsdir_options${1//[!aekuvxET]/}
  if [ "$BASH_SUBSHELL" -gt 0 ]; then "$3" 2>/dev/null; else "$3"; fi
  __awsdir_render
  # shellcheck disable=SC2034 # for PS1
  AWSDIR_SEGMENT=$segment
  __awsdir_settle "$until"
  set -- "$__awsdir_options" "$2"
  __awsdir_options=''
  [ -z "$1" ] || set "-$1"
  [ -o errexit ] || return "$2"
}

__awsdir_prompt() {
  __awsdir_code=${1-$?}
  __awsdir_look "$__awsdir_options" && return "$__awsdir_code"
  __awsdir_quietly "$-" "$__awsdir_code" __awsdir_check
}

# In a string, PIPESTATUS is lost to the hooks after us; starship looks here for it.
__awsdir_prompt_in_string() {
  set -- "$?" ${PIPESTATUS[@]+"${PIPESTATUS[@]}"}
  __awsdir_hand_on "${@:2}"
  __awsdir_prompt "$1"
}

# Too late where another hook calls us (more than two functions deep); bash-preexec has its own.
__awsdir_hand_on() {
  if [[ ${#FUNCNAME[@]} -eq 2 && -z ${bash_preexec_imported-}${__bp_imported-} ]]; then
    # shellcheck disable=SC2034
    BP_PIPESTATUS=("$@")
  fi
}

# `cd ../prod && command` must run as prod.
__awsdir_cd() {
  builtin "$@" || return
  __awsdir_look "$__awsdir_options" || __awsdir_quietly "$-" 0 __awsdir_check
}

__awsdir_install() {
  local entry kind
  if [ -z "$EPOCHSECONDS" ] && ! printf -v entry '%(%s)T' -1 2>/dev/null; then
    __awsdir_clock_offset=$(($(date +%s) - SECONDS))
  fi
  if [ -z "$__awsdir_no_cd" ]; then
    for entry in cd pushd popd; do
      declare -F "$entry" >/dev/null || alias "$entry" >/dev/null 2>&1 ||
        eval "$entry() { __awsdir_cd $entry \"\$@\"; }"
    done
  fi
  for entry in "${PROMPT_COMMAND[@]}" "${precmd_functions[@]}" "$STARSHIP_PROMPT_COMMAND"; do
    [ "${entry#*__awsdir_prompt}" = "$entry" ] || return 0
  done
  # Unset, it may become an array, which keeps the statuses for everyone; what is there keeps its type.
  kind=$(declare -p PROMPT_COMMAND 2>/dev/null || echo 'declare -a')
  kind=${kind#declare -} kind=${kind%% *}
  if [ -n "$BLE_VERSION" ] && declare -F blehook >/dev/null; then
    blehook PRECMD!=__awsdir_prompt
  elif [ -n "$bash_preexec_imported$__bp_imported" ]; then
    precmd_functions=(__awsdir_prompt "${precmd_functions[@]}")
  elif [ "${kind#*r}" != "$kind" ]; then
    echo 'awsdir: `PROMPT_COMMAND` is read-only; following `cd`, `pushd` and `popd` only' >&2
  elif [ "${kind#*a}" != "$kind" ] && [ "${BASH_VERSINFO[0]}${BASH_VERSINFO[1]}" -ge 51 ]; then
    PROMPT_COMMAND=(__awsdir_prompt "${PROMPT_COMMAND[@]}")
  else
    # Older bash runs only the first element of an array, which is what this changes.
    # shellcheck disable=SC2128,SC2178
    PROMPT_COMMAND=__awsdir_prompt_in_string${PROMPT_COMMAND:+$'\n'$PROMPT_COMMAND}
  fi
}

if [[ $- == *i* ]] && [ -n "${__awsdir_bin-}" ]; then __awsdir_quietly "$-" 0 __awsdir_install; fi

[ -z "${__awsdir_aliases-}" ] || shopt -s expand_aliases
[ -z "${__awsdir_allexport-}" ] || set -a
unset -v __awsdir_aliases __awsdir_allexport
