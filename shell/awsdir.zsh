# awsdir in zsh (5.3 or newer): the environment that the nearest .awsprofile asks for.
#
# `awsdir init zsh` prints `__awsdir_bin=…` and `__awsdir_generation_file=…`, then this file as it stands.
# Without them, and where nobody types, nothing is installed.
#
# Functions defined under an emulation keep it, whatever the user sets: therefore all of it is one string, and
# has no single quotes. Named beside the emulation are options that it leaves alone and that would show secrets,
# export what we keep, misread an answer or stop us.

\emulate zsh -o no_aliases -o no_xtrace -o no_verbose -o no_all_export -o no_auto_name_dirs -o no_rc_quotes \
  -o no_csh_junkie_quotes -o no_posix_identifiers -o no_err_exit -o no_err_return -o unset -c '

# What the hook may set or unset, and must be able to put back.
typeset -ga __awsdir_managed
__awsdir_managed=(
  AWS_PROFILE AWS_REGION AWS_DEFAULT_REGION
  AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_CREDENTIAL_EXPIRATION
  AWS_SSO_PROFILE AWS_DEFAULT_PROFILE AWS_SECURITY_TOKEN
  AWS_VAULT AWSUME_PROFILE AWSU_PROFILE AWSUME_EXPIRATION AWS_SESSION_EXPIRATION
  AWSDIR
)

# --- variables: a state is "=value", or "" for unset -----------------------------------------------------

# States by name; before and after differ where a value is ours.
typeset -gA __awsdir_snapshot __awsdir_before __awsdir_after
typeset -ga __awsdir_unexported __awsdir_theirs

# Sets state (of the caller) to that of the variable $1.
__awsdir_state() {
  state=
  if [[ -v $1 ]]; then state="=${(P)1}"; fi
}

# Gives the variable $1 the state $2.
__awsdir_put() {
  if [[ -z $2 ]]; then
    unset $1
  else
    typeset -gx "$1$2"
    if (( ${__awsdir_unexported[(Ie)$1]} )); then typeset -g +x $1; fi
  fi
}

# --- looking: builtins only ------------------------------------------------------------------------------

# Where nothing changed, this is all that a prompt runs. What costs in zsh is the number of functions called and the
# length of strings; a test of a file costs next to nothing.

# Sets __awsdir_seen_{file,content,generation}: the dotfile in force, what it holds, the generation; and __awsdir_who if
# there is one.
__awsdir_look() {
  __awsdir_seen_file=$PWD __awsdir_seen_content= __awsdir_seen_generation= __awsdir_who=
  until [[ -f $__awsdir_seen_file/.awsprofile || $__awsdir_seen_file == / ||
    -n $AWSDIR_CEILING && :$AWSDIR_CEILING: == *:$__awsdir_seen_file:* ]]; do
    __awsdir_seen_file=${__awsdir_seen_file:h}
  done
  if [[ ! -f $__awsdir_seen_file/.awsprofile ]]; then
    __awsdir_seen_file=
    return
  fi
  __awsdir_seen_file=${__awsdir_seen_file%/}/.awsprofile
  # A link may lead to what the kernel makes up, which has no size: it need not end, or cannot be read.
  if [[ -n $__awsdir_sysread ]]; then
    [[ ! -r $__awsdir_seen_file || ! -s $__awsdir_seen_file ]] ||
      sysread -s 4096 __awsdir_seen_content <$__awsdir_seen_file
    [[ ! -r $__awsdir_generation_file ]] || sysread -s 128 __awsdir_seen_generation <$__awsdir_generation_file
  else
    [[ ! -r $__awsdir_seen_file || ! -s $__awsdir_seen_file ]] ||
      IFS= read -r -k 4096 -u 0 __awsdir_seen_content <$__awsdir_seen_file
    [[ ! -r $__awsdir_generation_file ]] || IFS= read -r -k 128 -u 0 __awsdir_seen_generation <$__awsdir_generation_file
  fi
  __awsdir_identify
}

# Sets __awsdir_who: who the environment says we are. Of the token it has the length: it is long, and worth nothing
# without the key that it came with.
__awsdir_identify() {
  __awsdir_who="${AWS_PROFILE+=$AWS_PROFILE}:${AWS_SSO_PROFILE+=$AWS_SSO_PROFILE}:${#AWS_SESSION_TOKEN}\
:${AWS_ACCESS_KEY_ID+=$AWS_ACCESS_KEY_ID}:${AWS_SECRET_ACCESS_KEY+=$AWS_SECRET_ACCESS_KEY}\
:${AWS_SECURITY_TOKEN+=$AWS_SECURITY_TOKEN}:${AWS_DEFAULT_PROFILE+=$AWS_DEFAULT_PROFILE}"
}

# Is all as it was when __awsdir_settle noted it? In doubt, no: then __awsdir_check looks closer.
__awsdir_unchanged() {
  __awsdir_look
  [[ $__awsdir_seen_file:$__awsdir_seen_generation:$__awsdir_who:$__awsdir_seen_content == $__awsdir_known &&
    ( -z $__awsdir_seen_file ||
    ! $__awsdir_watch_config -nt $__awsdir_generation_file && ! $__awsdir_watch_token -nt $__awsdir_generation_file &&
    ( -z $__awsdir_wake || ${EPOCHSECONDS:-${(%)__awsdir_clock}} -lt $__awsdir_wake &&
    ${EPOCHSECONDS:-${(%)__awsdir_clock}} -ge $__awsdir_since ) ) ]]
}

# Notes what the next prompts will see where nothing has changed by then. $1 is when the segment will read otherwise.
# Nothing is noted where an answer is not whole, or where nobody could tell that it got old.
__awsdir_settle() {
  [[ $__awsdir_answered$__awsdir_stage$__awsdir_stands_down == yes && $__awsdir_status != standdown ]] || return 0
  [[ -z $__awsdir_file || -n $__awsdir_generation ]] || return 0
  __awsdir_wake=${1:-$__awsdir_deadline}
  if [[ -n $__awsdir_deadline && $__awsdir_deadline -lt $__awsdir_wake ]]; then __awsdir_wake=$__awsdir_deadline; fi
  __awsdir_since=${EPOCHSECONDS:-${(%)__awsdir_clock}} # a clock that is set back makes nothing last longer
  __awsdir_known=$__awsdir_file:$__awsdir_generation:$__awsdir_who:$__awsdir_content
}

# Has something other than the dotfile changed since the last answer?
__awsdir_is_due() {
  [[ $__awsdir_seen_generation != $__awsdir_generation ||
    $__awsdir_watch_config -nt $__awsdir_generation_file ||
    $__awsdir_watch_token -nt $__awsdir_generation_file ||
    -n $__awsdir_deadline && ${EPOCHSECONDS:-${(%)__awsdir_clock}} -ge $__awsdir_deadline ]]
}

# --- changing --------------------------------------------------------------------------------------------

# Puts back what stood there before. What no longer has our value is theirs: it stays, in this directory.
__awsdir_restore() {
  local name state fresh=$__awsdir_answered
  __awsdir_answered=
  for name in $__awsdir_managed; do
    [[ $__awsdir_before[$name] != $__awsdir_after[$name] ]] || continue
    __awsdir_state $name
    if [[ $state != $__awsdir_after[$name] || ${(Pt)name} == *readonly* ]]; then
      # Not so when Ctrl-C had stopped the first try: then it may be what we just put back.
      [[ -z $fresh ]] || __awsdir_theirs+=($name)
    else
      __awsdir_put $name "$__awsdir_before[$name]"
    fi
    __awsdir_after[$name]=$__awsdir_before[$name]
  done
  __awsdir_forget
}

__awsdir_forget() {
  __awsdir_after=() __awsdir_before=() __awsdir_status=idle __awsdir_next= __awsdir_deadline= __awsdir_inherited=
  __awsdir_watch_config= __awsdir_watch_token= __awsdir_identity=
  __awsdir_segment_head= __awsdir_segment_tail= __awsdir_expires= AWSDIR_SEGMENT=
}

# Notes what stands before an evaluation. Fails, and says so, where a variable could not be changed.
__awsdir_take_snapshot() {
  local name state
  __awsdir_unexported=()
  for name in $__awsdir_managed; do
    if [[ ${(Pt)name} == *readonly* ]]; then
      [[ $name == $__awsdir_told ]] || print -ru2 "awsdir: \`$name\` is read-only in this shell; nothing is set"
      __awsdir_told=$name
      return 1
    fi
    __awsdir_state $name
    __awsdir_snapshot[$name]=$state
    if [[ -n $state && ${(Pt)name} != *export* ]]; then __awsdir_unexported+=($name); fi
  done
}

# Notes what an evaluation gave.
__awsdir_take_note() {
  local name state
  for name in $__awsdir_managed; do
    if (( ${__awsdir_theirs[(Ie)$name]} )); then __awsdir_put $name "$__awsdir_snapshot[$name]"; fi
    __awsdir_before[$name]=$__awsdir_snapshot[$name]
    if [[ " $__awsdir_inherited " == *" $name "* ]]; then __awsdir_before[$name]=; fi
    __awsdir_state $name
    __awsdir_after[$name]=$state
  done
  __awsdir_identify
  __awsdir_identity=$__awsdir_who
}

# Ctrl-C came in the middle of an evaluation: as if it had not begun.
__awsdir_roll_back() {
  local name
  for name in $__awsdir_managed; do
    __awsdir_put $name "$__awsdir_snapshot[$name]"
  done
  __awsdir_forget
  __awsdir_answered= __awsdir_stage=
}

# The identity was changed by hand, so it belongs to the user: what is left of ours goes, until the next directory.
__awsdir_stand_down() {
  local name state
  for name in AWS_PROFILE AWS_SSO_PROFILE AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN \
    AWS_SECURITY_TOKEN AWS_DEFAULT_PROFILE; do
    __awsdir_state $name
    [[ $state == $__awsdir_after[$name] ]] || break
  done
  __awsdir_stands_down=yes
  __awsdir_restore
  __awsdir_answered=yes
  print -ru2 "awsdir: \`$name\` was set by hand; standing down until the next directory"
}

# Asks the binary and takes its answer. No answer, or half of one, means nothing to set.
__awsdir_ask() {
  local answer=
  # A question cut short by Ctrl-C is asked once more, not for ever.
  if [[ $__awsdir_stage == asking ]]; then __awsdir_stage=insisting; else __awsdir_stage=asking; fi
  __awsdir_answered=yes
  if [[ -x $__awsdir_bin ]]; then
    answer=$("$__awsdir_bin" hook zsh --said="$__awsdir_said" "$@" </dev/null) || answer=
  fi
  if [[ ${answer##*$__awsdir_newline} == ": awsdir-end" ]] && __awsdir_take_snapshot; then
    {
      __awsdir_stage=applying
      eval "$answer"
      __awsdir_take_note
      __awsdir_stage=
    } always {
      if [[ -n $__awsdir_stage ]]; then __awsdir_roll_back; fi
    }
  fi
  __awsdir_stage=
}

# Looks at everything, and follows what changed.
__awsdir_check() {
  local began=$__awsdir_began
  __awsdir_known=
  [[ $__awsdir_status != standdown ]] || return 0
  if [[ $__awsdir_stage == asking ]]; then __awsdir_answered=; fi
  __awsdir_look
  if [[ -n $__awsdir_answered && $__awsdir_seen_file == $__awsdir_file ]]; then
    [[ -z $__awsdir_stands_down ]] || return 0
    if [[ $__awsdir_status == active && $__awsdir_who != $__awsdir_identity ]]; then
      __awsdir_stand_down
      return 0
    fi
    [[ $__awsdir_seen_content != $__awsdir_content ]] || __awsdir_is_due || return 0
  fi

  # The old goes first: whatever interrupts from here on, no role credentials of another place remain.
  __awsdir_restore
  if [[ $__awsdir_seen_file != $__awsdir_file ]]; then __awsdir_theirs=() __awsdir_stands_down=; fi
  __awsdir_file=$__awsdir_seen_file __awsdir_content=$__awsdir_seen_content
  __awsdir_generation=$__awsdir_seen_generation __awsdir_began=yes
  if [[ -z $__awsdir_file && ( -n $began || -z $AWSDIR ) ]]; then
    __awsdir_answered=yes __awsdir_stage=
    return 0
  fi
  __awsdir_ask
  if [[ $__awsdir_next == refresh && -t 0 && -t 2 ]]; then
    "$__awsdir_bin" refresh >&2
    __awsdir_restore
    __awsdir_ask --refreshed
  fi
  return 0
}

# --- the segment -----------------------------------------------------------------------------------------

# Sets segment, e.g. "read-only 42m", fit for PROMPT, and until: from when on it reads otherwise.
__awsdir_render() {
  local now=${EPOCHSECONDS:-${(%)__awsdir_clock}} left=
  until=
  if [[ -n $__awsdir_expires ]]; then
    left=$(( __awsdir_expires - now ))
    if (( left > 0 )); then until=$(( now + (left < 60 ? left : left % 60 + 1) )); fi
    if (( left >= 3600 )); then
      left=$(( left / 3600 ))h${(l:2::0:)$(( left % 3600 / 60 ))}m
    elif (( left >= 60 )); then
      left=$(( left / 60 ))m
    elif (( left > 0 )); then
      left="<1m"
    else
      left=expired
    fi
  fi
  segment=${__awsdir_segment_head:+$__awsdir_segment_head$left$__awsdir_segment_tail}
  segment=${segment//\%/%%}
}

# Writes the segment. With prompt_subst, a PROMPT that holds ${AWSDIR_SEGMENT} shows the same without a process.
awsdir_prompt() {
  local segment until
  __awsdir_render
  print -rn -- "$segment"
}

# --- attaching -------------------------------------------------------------------------------------------

__awsdir_precmd() {
  __awsdir_unchanged || __awsdir_attend
}

__awsdir_attend() {
  local segment until
  __awsdir_check
  __awsdir_render
  AWSDIR_SEGMENT=$segment
  __awsdir_settle $until
}

__awsdir_chpwd() {
  if (( ${+compstate} )) || __awsdir_unchanged; then return 0; fi
  local said=$__awsdir_said file=$__awsdir_file
  if (( ZSH_SUBSHELL )); then
    __awsdir_check 2>/dev/null
  elif zle 2>/dev/null; then
    # A widget has the terminal: switch at once, leave the words and the sign-in to the next prompt.
    __awsdir_check 2>/dev/null
    if [[ $file != $__awsdir_file ]]; then __awsdir_said=$said __awsdir_generation=-; fi
  else
    __awsdir_check
  fi
  return 0
}

if [[ -o interactive && -n $__awsdir_bin ]]; then
  __awsdir_newline="
"
  __awsdir_clock="%D{%s}" # where there is no EPOCHSECONDS
  __awsdir_known=
  zmodload -F zsh/datetime p:EPOCHSECONDS 2>/dev/null
  if zmodload -F zsh/system b:sysread 2>/dev/null; then __awsdir_sysread=yes; fi
  typeset -g +x __awsdir_bin __awsdir_generation_file
  typeset -ga precmd_functions chpwd_functions
  precmd_functions=(__awsdir_precmd ${precmd_functions:#__awsdir_precmd})
  chpwd_functions=(__awsdir_chpwd ${chpwd_functions:#__awsdir_chpwd})
fi
'
