# shellcheck shell=bash
# Sourced by ../glovebox for `test`: prepares what the suites need, and runs them.
# shellcheck disable=SC2034
MOST_UNSTEADY=5 TEST_PROCESSES=${GLOVEBOX_TEST_PROCESSES:-2} TEST_CACHE=.glovebox/pytest TESTS_FOUND=0 TIMES=() IMAGES_PID=
unset PYTHONDONTWRITEBYTECODE # where it is set, each of many processes compiles all libraries anew

note_time() { # <of what> <SECONDS at its beginning>
  local took=$((SECONDS - $2))
  TIMES+=("$(printf '%-12s %3d:%02d' "$1" $((took / 60)) $((took % 60)))")
}

print_times() {
  say "Time (minutes:seconds)"
  printf '    %s\n' "${TIMES[@]}"
}

# The images are built while something else is done. What may have to be asked or installed for it is done before.
begin_images() {
  image_exists "$BASE_IMAGE" || prepare_base_image
  build_images &
  IMAGES_PID=$!
  trap 'kill "$IMAGES_PID" 2>/dev/null || true' EXIT
}

await_images() {
  local began=$SECONDS
  [[ -n $IMAGES_PID ]] || return 0
  wait "$IMAGES_PID" || exit 1 # it has said why
  IMAGES_PID=
  trap - EXIT
  note_time "images, rest" "$began"
}

prepare_postgres() { # Debian's own server, for the store's tests; none is started here, nor at the next boot
  if compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null; then return; fi
  if have apt-get && [[ ! -e /etc/postgresql-common ]]; then
    apt_install postgresql-common
    printf 'create_main_cluster = false\n' | as_root tee -a /etc/postgresql-common/createcluster.conf >/dev/null
  fi
  apt_install postgresql
}

failed_tests() { # prints the ids of the tests that failed when they were run last
  .venv/bin/python - "$TEST_CACHE/v/cache/lastfailed" <<'PYTHON'
import json, pathlib, sys
path = pathlib.Path(sys.argv[1])
for name in json.loads(path.read_text()) if path.exists() else ():
    print(name)
PYTHON
}

run_pytest() { # <argument...>: what pytest says, without a cache of earlier runs
  say pytest "$@"
  local status=0
  .venv/bin/pytest -o "cache_dir=$TEST_CACHE" "$@" || status=$?
  ((status == 5)) || TESTS_FOUND=1 # 5: there was no such test here, but there may be in the next folder
  return "$status"
}

# Runs a suite; where few tests failed, those run once more by themselves. Who passes then is unsteady, which is said, and
# who fails twice has failed. With arguments it is one plain run: whoever gives them looks at something particular.
run_suite() { # <suite> [<argument of pytest...>]
  local folder=tests/$1 distribution=load status=0 failed again item; shift
  if (($#)); then run_pytest "$folder" "$@"; return; fi
  if [[ $folder != tests/unit ]]; then distribution=loadscope; fi # tests/scheduling.py: who shares a stack
  run_pytest "$folder" --cache-clear --durations=20 -n "$TEST_PROCESSES" --dist "$distribution" || status=$?
  ((status == 1)) || return "$status"
  mapfile -t failed < <(failed_tests)
  ((${#failed[@]} > 0 && ${#failed[@]} <= MOST_UNSTEADY)) || return "$status"
  say "Once more: the ${#failed[@]} that failed"
  status=0
  run_pytest "$folder" --last-failed --last-failed-no-failures=none || status=$?
  mapfile -t again < <(failed_tests)
  for item in "${failed[@]}"; do
    if [[ " ${again[*]} " != *" $item "* ]]; then say "unsteady: $item"; else say "failed twice: $item"; fi
  done
  return "$status"
}
