#!/usr/bin/env bash
# Starts one command at most once and lets its output, identity and exit code outlive whoever asked for it.
#
#   bash wrapper.sh run RUNDIR MARK WORKDIR COMMAND [ARGUMENT...]
#   bash wrapper.sh apart RUNDIR MARK WORKDIR COMMAND [ARGUMENT...]     the same, stderr in a file of its own
#   bash wrapper.sh prevent RUNDIR            takes the right to launch and does nothing with it
#   bash wrapper.sh state RUNDIR              none | starting | running | ended | gone
#   bash wrapper.sh follow RUNDIR WORKDIR [FILE OFFSET]...
#                                             frames until the end: that state and for each FILE how many bytes of it
#                                             come now, a line end, these bytes; at least one every two seconds
#   bash wrapper.sh stop RUNDIR MARK GRACE    TERM, after GRACE seconds KILL, to all of it; prints the pids that remain
#
# It writes into RUNDIR, each file whole (other name, then rename):
#   started/wrapper  its own identity; the directory's existence means: launched, and never again
#   pid              the command's identity: pid, start time (clock ticks since boot), boot id; in a session of its own
#   refused          why there was nothing to run: workdir | command | script | exec, then what
#   out.log          stdout and stderr of the command, appended; `apart`: stdout alone
#   err.log, order   `apart`: stderr, and how the two interleave: a line `STDOUT STDERR LAST` says how long both were
#                    when they were looked at, and which grew last (o or e)
#   exit             exit code as a shell gives it, Unix time, and `oom` where that is 137 and the kernel has killed for
#                    memory meanwhile; the last thing written, after out.log reached the disk
# MARK is NAME=VALUE; everything that the command starts has it in its environment.
set -uf
shopt -s execfail
unset CDPATH

identity() {
  local stat boot fields
  read -r stat < "/proc/$1/stat" && read -r boot < /proc/sys/kernel/random/boot_id || return
  fields=(${stat##*) })
  printf '%s %s %s' "$1" "${fields[19]}" "$boot"
}

place() {
  printf '%s\n' "$2" > "$rundir/.$1.$BASHPID" && mv -T -- "$rundir/.$1.$BASHPID" "$rundir/$1"
}

refuse() {
  place refused "$1 $2"
  exit "$3"
}

become() {
  rundir=$1
  local workdir=$2
  shift 2
  cd -- "$workdir" 2> /dev/null || refuse workdir "$workdir" 127
  type -P -- "$1" > /dev/null || refuse command "$1" 127
  case ${1##*/} in
    bash | sh | dash)
      if [[ ${2-} && $2 != -* ]] && [[ ! -f $2 || ! -r $2 ]]; then refuse script "$2" 127; fi ;;
  esac
  place pid "$(identity $$)" || exit 125
  exec -- "$@"
  refuse exec "$1" 126
}

# How many processes of this one's memory cgroup the kernel has killed for memory; nothing where it does not say.
oom_kills() {
  local controllers group file key count
  while IFS=: read -r _ controllers group; do
    case $controllers in
      '') set -- "/sys/fs/cgroup$group/memory.events" /sys/fs/cgroup/memory.events ;;
      memory) set -- "/sys/fs/cgroup/memory$group/memory.oom_control" /sys/fs/cgroup/memory/memory.oom_control ;;
      *) continue ;;
    esac
    for file; do
      [[ -r $file ]] || continue
      while read -r key count; do
        [[ $key == oom_kill ]] && echo "$count" && return
      done < "$file"
    done
  done < /proc/self/cgroup
}

# Of two files nobody can tell later in which order they grew, so this notes it meanwhile. The output does not pass
# through here: without it, only the order would be missing. Positions are read off the descriptors that the command
# has too, which takes no process.
observe() {
  local out err seen_out=0 seen_err=0 growing='' looks=0 quiet=0 pause=0.02
  while [[ $pause ]]; do
    read -r -t "$pause"
    (($? > 128)) || pause='' # the wrapper is over: a last look
    { read -r _ out < /proc/self/fdinfo/8 && read -r _ err < /proc/self/fdinfo/9; } 2> /dev/null || return
    if ((out > seen_out && err > seen_err)); then
      [[ $growing ]] && note "$seen_out" "$seen_err"
      note "$out" "$err"
      growing='' quiet=0
    elif ((out > seen_out || err > seen_err)); then
      local one=e
      ((out > seen_out)) && one=o
      [[ $growing && $growing != "$one" ]] && note "$seen_out" "$seen_err" && looks=0
      growing=$one quiet=0
      # While one of them grows alone, a note now and then will do.
      ((++looks >= 5)) && note "$out" "$err" && growing='' looks=0
    else
      [[ $growing ]] && note "$out" "$err" && growing='' looks=0
      ((++quiet > 50)) && [[ $pause ]] && pause=0.1
    fi
    ((quiet == 0)) && [[ $pause ]] && pause=0.02
    seen_out=$out seen_err=$err
  done
  [[ $growing ]] && note "$out" "$err"
}

note() {
  local last=e
  [[ $rundir/out.log -nt $rundir/err.log ]] && last=o
  printf '%s %s %s\n' "$1" "$2" "$last"
}

apart() {
  # All who write by one descriptor that appends share its position.
  exec 8>> "$1/out.log" 9>> "$1/err.log" || exit 125
  apart=1
  run "$@"
}

run() {
  rundir=$1
  local mark=$2 workdir=$3 claim child code signalled kills oom='' observer='' files=("$1/out.log")
  shift 3
  claim=$rundir/.started.$$.$RANDOM$RANDOM
  mkdir -- "$claim" && printf '%s\n' "$(identity $$)" > "$claim/wrapper" || exit 125
  # The claim is not empty, so rename(2) onto an earlier one fails: whoever comes second launches nothing.
  if ! mv -T -- "$claim" "$rundir/started" 2> /dev/null; then
    rm -rf -- "$claim"
    exit 0
  fi
  sync -- "$rundir" 2> /dev/null # at most once, also after a power cut
  kills=$(oom_kills)
  # A handler, not '': an ignored signal would stay ignored in the command.
  trap 'signalled=1' HUP INT QUIT TERM
  if [[ $apart ]]; then
    files+=("$rundir/err.log" "$rundir/order")
    exec 7> >(observe >> "$rundir/order")
    observer=$!
    env -- "$mark" setsid "$BASH" "$script" become "$rundir" "$workdir" "$@" < /dev/null >&8 2>&9 7>&- 8>&- 9>&- &
  else
    env -- "$mark" setsid "$BASH" "$script" become "$rundir" "$workdir" "$@" < /dev/null >> "$rundir/out.log" 2>&1 &
  fi
  child=$!
  while signalled=; wait "$child"; code=$?; [[ $signalled ]]; do :; done
  if [[ $apart ]]; then
    exec 7>&-
    wait "$observer" 2> /dev/null
  fi
  now=${EPOCHREALTIME-$(date +%s)}
  [[ $code == 137 && $(oom_kills) != "$kills" ]] && oom=' oom'
  # A full disk must not cost the exit code.
  until printf '%s %s%s\n' "$code" "${now/,/.}" "$oom" > "$rundir/.exit" &&
    { sync -- "${files[@]}" "$rundir/.exit" || sync; } &&
    mv -T -- "$rundir/.exit" "$rundir/exit"; do
    [[ -d $rundir ]] || exit 125
    sleep 1
  done
  sync -- "$rundir" 2> /dev/null
}

prevent() {
  local claim=$1/.started.$$.$RANDOM$RANDOM
  mkdir -p -- "$1" && mkdir -- "$claim" && : > "$claim/prevented" || exit 125
  mv -T -- "$claim" "$1/started" 2> /dev/null || rm -rf -- "$claim"
  [[ -e $1/started/prevented ]]
}

# Whether the process of an identity is there and no zombie.
lives() {
  local pid start boot now stat fields
  [[ -r $1 ]] && read -r pid start boot < "$1" || return
  read -r now < /proc/sys/kernel/random/boot_id
  { read -r stat < "/proc/$pid/stat"; } 2> /dev/null || return
  fields=(${stat##*) })
  [[ $boot == "$now" && ${fields[19]} == "$start" && ${fields[0]} != [ZX] ]]
}

state() {
  if [[ -e $1/exit ]]; then echo ended
  elif [[ ! -e $1/started || -e $1/started/prevented ]]; then echo none
  elif lives "$1/pid"; then echo running
  elif lives "$1/started/wrapper"; then [[ -e $1/pid ]] && echo running || echo starting
  elif [[ -e $1/exit ]]; then echo ended # they died after the first look, and wrote it before
  else echo gone
  fi
}

# Every living process of the run: of the command's session or group, or with the marker in its environment.
members() {
  local leader='' start stat fields process pid variable variables
  if [[ -r $rundir/pid ]]; then
    read -r leader start _ < "$rundir/pid"
    if { read -r stat < "/proc/$leader/stat"; } 2> /dev/null; then
      fields=(${stat##*) })
      [[ ${fields[19]} == "$start" ]] || leader='' # the pid is another process's now
    fi
  fi
  set +f
  for process in /proc/[0-9]*; do
    { read -r stat < "$process/stat"; } 2> /dev/null || continue
    set -f
    fields=(${stat##*) })
    set +f
    [[ ${fields[0]} == [ZX] ]] && continue
    pid=${process#/proc/}
    if [[ $leader && (${fields[2]} == "$leader" || ${fields[3]} == "$leader") ]]; then
      echo "$pid"
      continue
    fi
    variables=()
    { mapfile -d '' -t variables < "$process/environ"; } 2> /dev/null || continue
    for variable in "${variables[@]}"; do
      if [[ $variable == "$mark" ]]; then
        echo "$pid"
        break
      fi
    done
  done
  set -f
}

stop() {
  rundir=$1 mark=$2
  local grace=$3 begun=$SECONDS told=' ' left pid
  while left=$(members) && [[ $left || $(state "$rundir") == starting ]]; do
    if ((SECONDS - begun > grace + 5)); then
      echo $left
      return
    fi
    for pid in $left; do
      if ((SECONDS - begun >= grace)); then
        kill -KILL "$pid"
      elif [[ $told != *" $pid "* ]]; then
        kill -TERM "$pid" && kill -CONT "$pid"
        told+="$pid "
      fi
    done 2> /dev/null
    sleep 0.1
  done
}

follow() {
  rundir=$1
  cd -- "$2" 2> /dev/null
  shift 2
  local files=() at=() word index size sizes counts silent=0 idle some most=$((4 * 1024 * 1024))
  while (($#)); do files+=("$1") at+=("$2") && shift 2; done
  exec {idle}<> <(:)
  while :; do
    word=$(state "$rundir") # first: what is read after an end is all there is
    counts=() some=''
    for index in "${!files[@]}"; do
      size=$(stat -L -c %s -- "${files[index]}" 2> /dev/null) || size=0
      ((size = size > at[index] ? size - at[index] : 0, size = size > most ? most : size))
      counts+=("$size")
      ((size)) && some=1
    done
    if [[ $some ]] || ((silent++ >= 8)) || [[ $word != "${before-}" ]]; then
      printf '%s %s\n' "$word" "${counts[*]}" || return
      for index in "${!files[@]}"; do
        ((counts[index])) || continue
        tail -c "+$((at[index] + 1))" -- "${files[index]}" 2> /dev/null | head -c "${counts[index]}" || return
        ((at[index] += counts[index]))
      done
      silent=0
    fi
    [[ $word == ended || $word == gone || $word == none ]] && [[ ! $some ]] && [[ $word == "${before-}" ]] && return
    before=$word
    [[ $some ]] || read -r -t 0.2 -u "$idle"
  done
}

script=$0
mode=$1
apart=''
shift
case $mode in
  run | apart | become | prevent | state | stop | follow) "$mode" "$@" ;;
esac
exit
