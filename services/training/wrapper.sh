#!/usr/bin/env bash
# Starts one command at most once and lets its output, identity and exit code outlive whoever asked for it.
#
#   bash wrapper.sh run RUNDIR MARKER WORKDIR COMMAND [ARGUMENT...]
#
# It writes into RUNDIR, each file whole (other name, then rename):
#   started/wrapper  its own identity; the directory's existence means: launched, and never again
#   pid              the command's identity: pid, start time (clock ticks since boot), boot id; in a session of its own
#   refused          why there was nothing to run: workdir | command | script | exec, then what
#   out.log          stdout and stderr of the command, appended
#   exit             exit code as a shell gives it, Unix time; the last thing written, after out.log reached the disk
# Everything that the command starts carries TRAINLEDGER_RUN=MARKER in its environment.
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

run() {
  rundir=$1
  local marker=$2 workdir=$3 claim child code signalled
  shift 3
  claim=$rundir/.started.$$.$RANDOM$RANDOM
  mkdir -- "$claim" && printf '%s\n' "$(identity $$)" > "$claim/wrapper" || exit 125
  # The claim is not empty, so rename(2) onto an earlier one fails: whoever comes second launches nothing.
  if ! mv -T -- "$claim" "$rundir/started" 2> /dev/null; then
    rm -rf -- "$claim"
    exit 0
  fi
  # A handler, not '': an ignored signal would stay ignored in the command.
  trap 'signalled=1' HUP INT QUIT TERM
  TRAINLEDGER_RUN=$marker setsid "$BASH" "$script" become "$rundir" "$workdir" "$@" \
    < /dev/null >> "$rundir/out.log" 2>&1 &
  child=$!
  while signalled=; wait "$child"; code=$?; [[ $signalled ]]; do :; done
  now=${EPOCHREALTIME-$(date +%s)}
  # A full disk must not cost the exit code.
  until printf '%s %s\n' "$code" "${now/,/.}" > "$rundir/.exit" &&
    { sync -- "$rundir/out.log" "$rundir/.exit" || sync; } &&
    mv -T -- "$rundir/.exit" "$rundir/exit"; do
    [[ -d $rundir ]] || exit 125
    sleep 1
  done
  sync -- "$rundir" 2> /dev/null
}

script=$0
mode=$1
shift
case $mode in
  run) run "$@" ;;
  become) become "$@" ;;
esac
exit
