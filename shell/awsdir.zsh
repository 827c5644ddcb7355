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

# Sets reply to at most $2 bytes of the file $1.
__awsdir_read() {
  reply=
  if [[ ! -r $1 ]]; then
    return
  elif [[ -n $__awsdir_sysread ]]; then
    sysread -s $2 reply <$1
  else
    IFS= read -r -k $2 -u 0 reply <$1
  fi
}

# Sets file, content (of the dotfile in force) and generation.
__awsdir_look() {
  local reply dir=${PWD%/} up
  file= content=
  while true; do
    if [[ -f $dir/.awsprofile ]]; then
      file=$dir/.awsprofile
      __awsdir_read $file 4096
      content=$reply
      break
    fi
    up=${dir%/*}
    if [[ $up == $dir || :$AWSDIR_CEILING: == *:$dir:* ]]; then break; fi
    dir=$up
  done
  __awsdir_read "$__awsdir_generation_file" 128
  generation=${reply%%$__awsdir_newline*}
}

# Sets now, in seconds since 1970.
__awsdir_clock() {
  local clock="%D{%s}"
  now=${EPOCHSECONDS:-${(%)clock}}
}

# Has something other than the dotfile changed since the last answer?
__awsdir_is_due() {
  local now
  [[ $generation != $__awsdir_generation ||
    $__awsdir_watch_config -nt $__awsdir_generation_file ||
    $__awsdir_watch_token -nt $__awsdir_generation_file ]] && return
  [[ -n $__awsdir_deadline ]] && __awsdir_clock && (( now >= __awsdir_deadline ))
}

# Sets identity: who the environment says we are.
__awsdir_identify() {
  identity="${AWS_PROFILE+=$AWS_PROFILE}
${AWS_SSO_PROFILE+=$AWS_SSO_PROFILE}
${AWS_ACCESS_KEY_ID+=$AWS_ACCESS_KEY_ID}
${AWS_SECRET_ACCESS_KEY+=$AWS_SECRET_ACCESS_KEY}
${AWS_SESSION_TOKEN+=$AWS_SESSION_TOKEN}
${AWS_SECURITY_TOKEN+=$AWS_SECURITY_TOKEN}
${AWS_DEFAULT_PROFILE+=$AWS_DEFAULT_PROFILE}"
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
  local name state identity
  for name in $__awsdir_managed; do
    if (( ${__awsdir_theirs[(Ie)$name]} )); then __awsdir_put $name "$__awsdir_snapshot[$name]"; fi
    __awsdir_before[$name]=$__awsdir_snapshot[$name]
    if [[ " $__awsdir_inherited " == *" $name "* ]]; then __awsdir_before[$name]=; fi
    __awsdir_state $name
    __awsdir_after[$name]=$state
  done
  __awsdir_identify
  __awsdir_identity=$identity
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

# The hook: returns at once where nothing changed.
__awsdir_check() {
  local file content generation identity began=$__awsdir_began
  [[ $__awsdir_status != standdown ]] || return 0
  if [[ $__awsdir_stage == asking ]]; then __awsdir_answered=; fi
  __awsdir_look
  if [[ -n $__awsdir_answered && $file == $__awsdir_file ]]; then
    [[ -z $__awsdir_stands_down ]] || return 0
    __awsdir_identify
    if [[ $__awsdir_status == active && $identity != $__awsdir_identity ]]; then
      __awsdir_stand_down
      return 0
    fi
    [[ $content != $__awsdir_content ]] || __awsdir_is_due || return 0
  fi

  # The old goes first: whatever interrupts from here on, no role credentials of another place remain.
  __awsdir_restore
  if [[ $file != $__awsdir_file ]]; then __awsdir_theirs=() __awsdir_stands_down=; fi
  __awsdir_file=$file __awsdir_content=$content __awsdir_generation=$generation __awsdir_began=yes
  if [[ -z $file && ( -n $began || -z $AWSDIR ) ]]; then
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

# Sets segment, e.g. "read-only 42m", fit for PROMPT.
__awsdir_render() {
  local now left=
  if [[ -n $__awsdir_expires ]]; then
    __awsdir_clock
    (( left = __awsdir_expires - now ))
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
  local segment
  __awsdir_render
  print -rn -- "$segment"
}

# --- attaching -------------------------------------------------------------------------------------------

__awsdir_precmd() {
  local segment
  __awsdir_check
  __awsdir_render
  AWSDIR_SEGMENT=$segment
}

__awsdir_chpwd() {
  local said=$__awsdir_said file=$__awsdir_file
  if (( ${+compstate} )); then
    return 0
  elif (( ZSH_SUBSHELL )); then
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
  zmodload -F zsh/datetime p:EPOCHSECONDS 2>/dev/null
  if zmodload -F zsh/system b:sysread 2>/dev/null; then __awsdir_sysread=yes; fi
  typeset -g +x __awsdir_bin __awsdir_generation_file
  typeset -ga precmd_functions chpwd_functions
  precmd_functions=(__awsdir_precmd ${precmd_functions:#__awsdir_precmd})
  chpwd_functions=(__awsdir_chpwd ${chpwd_functions:#__awsdir_chpwd})
fi
'
